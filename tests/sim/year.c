/*
 * year.c - a year of renewd's life in minutes: the whole daemon but for the network, on
 * a virtual clock, against a CA with limits and outages, killed at random.
 *
 * Usage: year [-n CERTIFICATES] [-d DAYS] [-s SEED] [-r DAYS-BETWEEN-KILLS]
 *             [-o FIRST-DAY:DAYS]... [-k]
 * Each life of the daemon is a child process; time and the CA are in shared memory.
 * A twentieth of the certificates live 6 days, half of the others 45, half 90. The CA
 * allows 300 orders in 3 hours and 5 a week for the same names, as Let's Encrypt does.
 *
 * Exit status 0: no certificate expired but those for which the CA was away all the
 * time from when they were due; no limit was passed; and from 4000 certificates on no
 * hour had twice the renewals of the mean, but for those hours in which something
 * urgent was caught up with (measure_load() says exactly what counts). -k keeps the
 * folder, whose log shows what the daemon said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "life.h"
#include "sim_ca.h"

/* With fewer of them an hour has so few renewals that one more is a peak. */
#define EVEN_FROM 4000

struct plan {
	size_t certificates;
	int64_t days;
	uint64_t seed;
	int64_t kill_days;
	bool keep;
	struct sim_outage outages[SIM_OUTAGES_MAX];
	size_t outage_count;
	char dir[64];
};

/* ---- setting up ---- */

static void
read_outage(struct plan *plan, const char *text)
{
	long long first;
	long long days;

	if (sscanf(text, "%lld:%lld", &first, &days) != 2 ||
	    plan->outage_count == SIM_OUTAGES_MAX) {
		fprintf(stderr, "year: outages are FIRST-DAY:DAYS\n");
		exit(64);
	}
	plan->outages[plan->outage_count++] =
	    (struct sim_outage){ LIFE_BEGAN + first * LIFE_DAY,
		    LIFE_BEGAN + (first + days) * LIFE_DAY };
}

static struct plan
read_arguments(int argc, char **argv)
{
	struct plan plan = {
		.certificates = 500, .days = 120, .seed = 1, .kill_days = 5
	};
	int option;

	while ((option = getopt(argc, argv, "n:d:s:r:o:k")) != -1) {
		if (option == 'n')
			plan.certificates = strtoul(optarg, NULL, 10);
		else if (option == 'd')
			plan.days = strtoll(optarg, NULL, 10);
		else if (option == 's')
			plan.seed = strtoull(optarg, NULL, 10);
		else if (option == 'r')
			plan.kill_days = strtoll(optarg, NULL, 10);
		else if (option == 'o')
			read_outage(&plan, optarg);
		else if (option == 'k')
			plan.keep = true;
		else
			exit(64);
	}
	return plan;
}

/* Lives until the time comes; then the next one begins. */
static unsigned
run(const struct plan *plan, struct world *w)
{
	int64_t end = (LIFE_BEGAN + plan->days * LIFE_DAY) * LIFE_SECOND;
	uint64_t longest = (uint64_t)(2 * plan->kill_days * LIFE_DAY * LIFE_SECOND);
	unsigned lives = 0;
	uint64_t chance = plan->seed;

	while (w->us < end) {
		int64_t until = end;
		int status;

		chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (longest > 0)
			until = w->us + (int64_t)((chance >> 8) % longest);
		if (until > end)
			until = end;
		status =
		    life_run(w, plan->dir, plan->seed * 1000003 + lives, until, NULL);
		if (status != 0) {
			fprintf(stderr,
			    "year: a life ended with status %#x; see %s/log\n",
			    (unsigned)status, plan->dir);
			exit(EXIT_FAILURE);
		}
		lives++;
	}
	return lives;
}

/* ---- what it came to ---- */

static size_t
count_log(const struct plan *plan)
{
	char path[128];
	size_t lines = 0;
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "%s/log", plan->dir);
	f = fopen(path, "r");
	while (f != NULL && (c = getc(f)) != EOF)
		lines += c == '\n';
	if (f != NULL)
		fclose(f);
	return lines;
}

static size_t
count_without(const struct world *w)
{
	size_t without = 0;

	for (size_t i = 0; i < w->ca.name_count; i++)
		if (w->ca.names[i].not_after < w->us / LIFE_SECOND)
			without++;
	return without;
}

/* What the load of an hour is: all hours count that begin after all have got their
 * first certificate, those of outages too, with nothing in them, and those of catching
 * up. The second figure leaves out the hours in which a certificate was renewed of
 * which less than a quarter was left: they are for speed. */
struct load {
	size_t hours;
	size_t urgent_hours;
	uint64_t sum;
	uint32_t peak;
	uint32_t calm_peak;
	size_t over; /* hours with twice the mean and more */
};

static struct load
measure_load(const struct plan *plan, const struct sim_ca *ca)
{
	size_t end = (size_t)plan->days * 24;
	size_t begin = (size_t)((ca->all_at - ca->began) / 3600) + 1;
	struct load l = { 0 };

	for (size_t h = begin; h < end && h < SIM_HOURS_MAX; h++) {
		l.hours++;
		l.sum += ca->by_hour[h];
		l.urgent_hours += ca->urgent[h] > 0;
		if (ca->by_hour[h] > l.peak)
			l.peak = ca->by_hour[h];
		if (ca->urgent[h] == 0 && ca->by_hour[h] > l.calm_peak)
			l.calm_peak = ca->by_hour[h];
	}
	for (size_t h = begin; h < end && h < SIM_HOURS_MAX; h++)
		l.over += (uint64_t)ca->by_hour[h] * l.hours >= 2 * l.sum;
	return l;
}

/* The ratio without the hours for speed. */
static double
print_load(const struct plan *plan, const struct sim_ca *ca)
{
	struct load l = measure_load(plan, ca);
	double mean = l.hours > 0 ? (double)l.sum / (double)l.hours : 0;

	if (mean == 0)
		return 0;
	printf(
	    "load an hour             mean %.1f, peak %u, peak/mean %.2f, twice the mean "
	    "in %zu of %zu hours\n",
	    mean, l.peak, l.peak / mean, l.over, l.hours);
	printf("without %4zu urgent hours peak %u, peak/mean %.2f\n", l.urgent_hours,
	    l.calm_peak, l.calm_peak / mean);
	return l.calm_peak / mean;
}

static bool
report(const struct plan *plan, const struct world *w, unsigned lives)
{
	const struct sim_ca *ca = &w->ca;
	size_t without = count_without(w);
	struct rusage usage;
	double ratio;

	getrusage(RUSAGE_CHILDREN, &usage);
	printf("certificates             %zu, %lld days, seed %llu\n",
	    plan->certificates, (long long)plan->days, (unsigned long long)plan->seed);
	printf("lives of the daemon      %u\n", lives);
	printf("issued                   %llu in %llu orders, %llu requests\n",
	    (unsigned long long)ca->issued, (unsigned long long)ca->orders,
	    (unsigned long long)ca->requests);
	printf(
	    "requests to a dead CA    %llu\n", (unsigned long long)ca->requests_down);
	ratio = print_load(plan, ca);
	printf("log lines                %zu\n", count_log(plan));
	printf(
	    "CPU                      %.1f s, %.2f ms a certificate, %ld MB at most\n",
	    (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec,
	    ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1000 /
		(double)(ca->issued > 0 ? ca->issued : 1),
	    usage.ru_maxrss / 1024);
	printf("orders beside an open one %llu\n", (unsigned long long)ca->twice);
	printf("refused for a limit      %llu, sent all the same %llu\n",
	    (unsigned long long)ca->limited, (unsigned long long)ca->ignored);
	printf("could not be renewed     %llu, away from before they were due\n",
	    (unsigned long long)ca->hopeless);
	printf("expired before renewal   %llu, the longest for %lld s\n",
	    (unsigned long long)ca->gaps, (long long)ca->gap_worst);
	printf("without one at the end   %zu\n", without);
	return ca->limited == 0 && ca->gaps == 0 && without == 0 &&
	    (plan->certificates < EVEN_FROM || ratio < 2);
}

int
main(int argc, char **argv)
{
	struct plan plan = read_arguments(argc, argv);
	struct world *w = world_new(plan.certificates);
	unsigned lives;
	bool good;

	w->ca.outage_count = plan.outage_count;
	memcpy(w->ca.outages, plan.outages, sizeof(plan.outages));
	life_folder(w, "info", false, plan.dir);
	lives = run(&plan, w);
	good = report(&plan, w, lives);
	if (plan.keep)
		printf("kept                     %s\n", plan.dir);
	else
		life_remove(plan.dir);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
