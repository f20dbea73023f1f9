/*
 * year.c - a year of renewd's life in minutes: the whole daemon but for the network, on
 * a virtual clock, against a CA with limits and outages, killed at random.
 *
 * Usage: year [-n CERTIFICATES] [-d DAYS] [-s SEED] [-r DAYS-BETWEEN-KILLS]
 *             [-o FIRST-DAY:DAYS]... [-w DAYS-BETWEEN-WALKS] [-l FILE] [-k]
 * Each life of the daemon is a child process; time and the CA are in shared memory.
 * A twentieth of the certificates live 6 days, half of the others 45, half 90. The CA
 * allows 300 orders in 3 hours and 5 a week for the same names, as Let's Encrypt does.
 *
 * Exit status 0: no certificate expired but those for which the CA was away all the
 * time from when they were due; no limit was passed; and from 4000 certificates
 * and 300 days on, once all have been renewed, no hour had twice the mean. Which hours
 * that are, and why those of an outage's backlog are not among them, stands at
 * count_load().
 *
 * -k keeps the folder, whose log shows what the daemon said; -l writes what was issued
 * in each hour, and how much of that was urgent. -w: files are looked at by every life,
 * and then not each day, but in so many days, as that is most of what a long run costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "inventory/inventory.h"
#include "life.h"
#include "platform/clock.h"
#include "sim_ca.h"

/* With fewer of them an hour has so few renewals that one more is a peak; in fewer days
 * the mean depends on which waves of the bulk are among them. */
#define EVEN_FROM      4000
#define EVEN_FROM_DAYS 300
#define LEAST_HOURS    (7 * 24) /* say something of a mean */

struct plan {
	size_t certificates;
	int64_t days;
	uint64_t seed;
	int64_t kill_days;
	int64_t walk_days;
	const char *load_file; /* NULL: none */
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
	struct plan plan = { .certificates = 500,
		.days = 120,
		.seed = 1,
		.kill_days = 5,
		.walk_days = 1 };
	int option;

	while ((option = getopt(argc, argv, "n:d:s:r:o:w:l:k")) != -1) {
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
		else if (option == 'w')
			plan.walk_days = strtoll(optarg, NULL, 10);
		else if (option == 'l')
			plan.load_file = optarg;
		else if (option == 'k')
			plan.keep = true;
		else
			exit(64);
	}
	return plan;
}

/* ---- the walk over files ---- */

static int64_t walk_days;
static int64_t walked_at;

int __real_certificate_bundled(struct store *s, int64_t after, int64_t before,
    struct certificate_pick *ret, size_t max);
int __wrap_certificate_bundled(struct store *s, int64_t after, int64_t before,
    struct certificate_pick *ret, size_t max);

/* Stands before renew/repair.c's question which certificates have files to look at; the
 * linker makes it so. */
int
__wrap_certificate_bundled(struct store *s, int64_t after, int64_t before,
    struct certificate_pick *ret, size_t max)
{
	int64_t now = clock_now();

	/* a walk takes a moment, and asks often */
	if (walked_at != 0 && now > walked_at + LIFE_DAY / 2 &&
	    now < walked_at + walk_days * LIFE_DAY - LIFE_DAY / 2)
		return 0;
	if (walked_at == 0 || now > walked_at + LIFE_DAY / 2)
		walked_at = now;
	return __real_certificate_bundled(s, after, before, ret, max);
}

/* ---- lives ---- */

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

/* What is counted, and what is promised.
 *
 * Hours count from when each certificate has been renewed once: before, the bulk in
 * which they were ordered comes back as one, while nobody else is due, and the mean is
 * of too few. Those of outages count, with nothing in them.
 *
 * (a) is the peak of all of them. It can't be under twice the mean: after a week
 * without a CA all certificates of six days are urgent at once, if they haven't
 * expired, and so are others. They have to be ordered as fast as the CA allows.
 *
 * (b) leaves out that and nothing else: the hours from an outage's end on, as long as
 * each has a certificate that is renewed with less than a quarter of its life left.
 * Urgent ones at any other time count. This is what is promised. */
struct load {
	size_t hours;
	size_t backlog;  /* hours that (b) leaves out */
	size_t urgent;   /* hours with something urgent that it doesn't */
	uint32_t before; /* the peak between the first issues and then */
	uint64_t sum;
	uint32_t peak;
	uint32_t calm_peak;
	size_t over; /* hours with twice the mean and more, */
	size_t calm_over;
};

static size_t
hour_of(const struct sim_ca *ca, int64_t at)
{
	return (size_t)((at - ca->began) / 3600);
}

static bool
is_backlog(const struct sim_ca *ca, size_t hour)
{
	for (size_t i = 0; i < ca->outage_count; i++) {
		size_t end = hour_of(ca, ca->outages[i].to);
		size_t h = end;

		/* it may take most of an hour until it is asked again */
		while (h <= hour && (ca->urgent[h] > 0 || h == end))
			h++;
		if (hour >= end && h > hour)
			return true;
	}
	return false;
}

static struct load
count_load(const struct plan *plan, const struct sim_ca *ca)
{
	size_t end = (size_t)plan->days * 24;
	struct load l = { 0 };

	end = end < SIM_HOURS_MAX ? end : SIM_HOURS_MAX;
	if (ca->round_at == 0 || hour_of(ca, ca->round_at) + LEAST_HOURS > end)
		return l;
	for (size_t h = hour_of(ca, ca->all_at) + 1; h <= hour_of(ca, ca->round_at);
	     h++)
		if (!is_backlog(ca, h) && ca->by_hour[h] > l.before)
			l.before = ca->by_hour[h];
	for (size_t h = hour_of(ca, ca->round_at) + 1; h < end; h++) {
		l.hours++;
		l.sum += ca->by_hour[h];
	}
	for (size_t h = end - l.hours; h < end; h++) {
		uint32_t n = ca->by_hour[h];
		bool backlog = is_backlog(ca, h);
		bool over = (uint64_t)n * l.hours >= 2 * l.sum;

		l.backlog += backlog;
		l.urgent += !backlog && ca->urgent[h] > 0;
		l.over += over;
		l.calm_over += !backlog && over;
		l.peak = n > l.peak ? n : l.peak;
		if (!backlog && n > l.calm_peak)
			l.calm_peak = n;
	}
	return l;
}

/* The ratio that is promised. */
static double
print_load(const struct plan *plan, const struct sim_ca *ca)
{
	struct load l = count_load(plan, ca);
	double mean = l.hours > 0 ? (double)l.sum / (double)l.hours : 0;

	if (mean == 0) {
		printf(
		    "load an hour             not counted: all were renewed once too late\n");
		return 0;
	}
	printf("load an hour             mean %.1f from day %lld on, when all had been "
	       "renewed\n",
	    mean, (long long)((ca->round_at - ca->began) / LIFE_DAY));
	printf(
	    "(a) all %5zu hours       peak %u, peak/mean %.2f, twice the mean in %zu\n",
	    l.hours, l.peak, l.peak / mean, l.over);
	printf(
	    "(b) but %5zu of backlog  peak %u, peak/mean %.2f, twice the mean in %zu; "
	    "something urgent in %zu\n",
	    l.backlog, l.calm_peak, l.calm_peak / mean, l.calm_over, l.urgent);
	printf("the first round          peak %u, %.2f of that mean\n", l.before,
	    l.before / mean);
	return l.calm_peak / mean;
}

static void
write_load(const struct plan *plan, const struct sim_ca *ca)
{
	FILE *f = fopen(plan->load_file, "w");

	if (f == NULL)
		life_fail(plan->load_file);
	for (size_t h = 0; h < (size_t)plan->days * 24 && h < SIM_HOURS_MAX; h++)
		fprintf(f, "%zu %u %u\n", h, ca->by_hour[h], ca->urgent[h]);
	fclose(f);
}

static double
seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static bool
report(const struct plan *plan, const struct world *w, unsigned lives)
{
	const struct sim_ca *ca = &w->ca;
	size_t without = count_without(w);
	struct rusage usage;
	double ratio, cpu;

	getrusage(RUSAGE_CHILDREN, &usage);
	cpu = seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
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
	    cpu, cpu * 1000 / (double)(ca->issued > 0 ? ca->issued : 1),
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
	    (plan->certificates < EVEN_FROM || plan->days < EVEN_FROM_DAYS ||
		ratio < 2);
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
	walk_days = plan.walk_days;
	life_folder(w, "info", false, plan.dir);
	lives = run(&plan, w);
	good = report(&plan, w, lives);
	if (plan.load_file != NULL)
		write_load(&plan, &w->ca);
	if (plan.keep)
		printf("kept                     %s\n", plan.dir);
	else
		life_remove(plan.dir);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
