/*
 * mass.c - what hits all certificates at once: a CA that is away for weeks, and one
 * that wants all of them renewed now.
 *
 * Usage: mass away|storm|broken|clock [-n CERTIFICATES] [-k]
 * As in year.c, on a virtual clock. Exit status 0: what is promised was kept, which is
 * printed with the figures. -k keeps the folder.
 *
 * away   The CA is away from the first minute, for 20 days, and has no limits of its
 * own when it is back (but for requests a second). Few requests, few lines of log; all
 *        have a certificate within an hour of its return.
 * storm  All are issued and then, by their renewal information, to be renewed at once,
 * as when a CA revokes. The most urgent come first, at the pace of the CA: 2 a second.
 * broken A fifth of the names can't be validated. The others don't notice.
 * clock  The clock here goes three years ahead and comes back, then falls three years
 *        behind. Nothing is renewed for that, and nothing expires after.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "life.h"
#include "sim_ca.h"
#include "virtual_time.h"

static char dir[64];
static bool good = true;

static void
must(bool holds, const char *what)
{
	printf("%-5s %s\n", holds ? "yes" : "NO", what);
	good = good && holds;
}

/* ---- what they share ---- */

/* One key in the CA's section, beside what is there from the beginning, or none. */
static void
configure_ca(const char *key)
{
	char path[128];
	char command[256];

	snprintf(path, sizeof(path), "%s/renewd.conf", dir);
	snprintf(command, sizeof(command), "/^order_interval/d;/^.ca sim/a \\%s", key);
	fflush(stdout);
	if (fork() == 0)
		execlp("sed", "sed", "-i", command, path, (char *)NULL);
	else
		wait(NULL);
}

static void
live_until(struct world *w, int64_t at)
{
	static uint64_t seed = 1;
	int status = life_run(w, dir, seed++, at * LIFE_SECOND, NULL);

	if (status != 0) {
		printf("a life ended with status %#x; see %s/log\n", (unsigned)status,
		    dir);
		exit(EXIT_FAILURE);
	}
}

static size_t
count_log(const char *containing)
{
	char path[128];
	char *text = NULL;
	size_t size = 0, lines = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", dir);
	f = fopen(path, "r");
	while (f != NULL && getline(&text, &size, f) > 0)
		lines += strstr(text, containing) != NULL;
	if (f != NULL)
		fclose(f);
	free(text);
	return lines;
}

static size_t
count_without(const struct world *w)
{
	size_t without = 0;

	for (size_t i = 0; i < w->ca.name_count; i++)
		without += w->ca.names[i].not_after < w->us / LIFE_SECOND;
	return without;
}

static void
print_cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	printf("CPU                      %.1f s, %ld MB at most\n",
	    (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec,
	    usage.ru_maxrss / 1024);
}

/* ---- away ---- */

#define AWAY_DAYS 20

static void
away(struct world *w)
{
	int64_t back = LIFE_BEGAN + AWAY_DAYS * LIFE_DAY;
	size_t lines;

	w->ca.unlimited = true;
	w->ca.outages[0] = (struct sim_outage){ LIFE_BEGAN, back };
	w->ca.outage_count = 1;
	configure_ca("order_interval = 0s");
	live_until(w, LIFE_BEGAN + 5 * LIFE_DAY);
	live_until(w, back);
	lines = count_log("");
	printf("requests to a dead CA    %llu in %d days\n",
	    (unsigned long long)w->ca.requests_down, AWAY_DAYS);
	printf("log lines                %zu\n", lines);
	must(w->ca.requests_down < AWAY_DAYS * 200, "requests are bounded: 200 a day");
	must(lines < 100, "log lines are bounded: 100 in 20 days");
	live_until(w, back + 3600);
	printf("without one in an hour   %zu of %zu\n", count_without(w),
	    w->ca.name_count);
	must(count_without(w) == 0, "all have one within an hour");
	must(count_log("answers again") == 1, "its return is said once");
	must(count_log("not tried again") == 0, "none is parked");
	must(w->ca.busiest_second <= 20, "no more than 20 requests in any second");
}

/* ---- storm ---- */

#define STORM_DAYS 20
#define DOWN_HOURS 7

/* When half of those with this life had got their new one. */
static int64_t
median(const struct world *w, int64_t life, int64_t since)
{
	int64_t sum = 0;
	size_t count = 0;

	for (size_t i = 0; i < w->ca.name_count; i++)
		if (sim_ca_life(i) == life) {
			sum += w->ca.names[i].not_after - life - since;
			count++;
		}
	return count > 0 ? sum / (int64_t)count : 0;
}

static size_t
count_old(const struct world *w)
{
	size_t old = 0;

	for (size_t i = 0; i < w->ca.name_count; i++)
		old += w->ca.names[i].not_after - sim_ca_life(i) < w->ca.storm_at;
	return old;
}

/* The daemon is down when it begins, so that it hears of all at once. */
static void
storm(struct world *w)
{
	int64_t up = LIFE_BEGAN + STORM_DAYS * LIFE_DAY + DOWN_HOURS * 3600;
	int64_t n = (int64_t)w->ca.name_count;
	int64_t pace = n / 2; /* seconds */
	int64_t asking = n / 8;
	uint64_t issued;

	w->ca.unlimited = w->ca.ari = true;
	configure_ca("order_interval = 0s");
	live_until(w, LIFE_BEGAN + LIFE_DAY);
	must(count_without(w) == 0, "all were issued");
	configure_ca("");
	live_until(w, LIFE_BEGAN + STORM_DAYS * LIFE_DAY);
	w->ca.storm_at = LIFE_BEGAN + STORM_DAYS * LIFE_DAY;
	w->us = up * LIFE_SECOND;
	issued = w->ca.issued;
	live_until(w, up + pace / 2);
	printf("renewed in half the time %llu of %lld\n",
	    (unsigned long long)(w->ca.issued - issued), (long long)n);
	must(w->ca.issued - issued <= (uint64_t)(pace + 20),
	    "at 2 a second, not faster");
	live_until(w, up + pace + asking + 600);
	printf("not renewed in %lld s   %zu\n", (long long)(pace + asking + 600),
	    count_old(w));
	must(count_old(w) == 0,
	    "all are renewed, as soon as the pace of 2 a second lets");
	printf("middle of 45, 90 days    %lld, %lld s\n",
	    (long long)median(w, 45 * LIFE_DAY, up),
	    (long long)median(w, 90 * LIFE_DAY, up));
	must(median(w, 45 * LIFE_DAY, up) < median(w, 90 * LIFE_DAY, up),
	    "those of which less is left come first");
	live_until(w, up + 2 * LIFE_DAY);
	must(count_without(w) == 0 && w->ca.gaps == 0, "none expires");
}

/* ---- broken ---- */

static void
broken(struct world *w)
{
	size_t bad = 0;
	size_t bad_without = 0;

	w->ca.broken_every = 5;
	live_until(w, LIFE_BEGAN + 33 * LIFE_DAY);
	for (size_t i = 0; i < w->ca.name_count; i++)
		bad += i % w->ca.broken_every == 1;
	bad_without = count_without(w);
	printf("validations that failed  %llu, of %zu names\n",
	    (unsigned long long)w->ca.failed, bad);
	must(bad_without == bad, "all others have a certificate");
	must(w->ca.gaps == 0 && w->ca.hopeless == 0, "none of them has expired");
	must(w->ca.limited == 0, "no limit was passed, nor five failures in an hour");
	printf(
	    "given up                 %zu\n", count_log("not tried again by itself"));
	must(count_log("not tried again by itself, it has failed for 30 days") == bad,
	    "after 30 days each that failed is given up, and said what to do");
}

/* ---- clock ---- */

#define YEARS (INT64_C(3) * 365 * LIFE_DAY)

/* The clock is set while it runs, and found wrong at a start. */
static void
set_clock(struct world *w, int64_t wrong, int64_t days)
{
	int64_t now = w->us / LIFE_SECOND;

	w->wrong_at = now + LIFE_DAY;
	w->wrong_then = wrong;
	live_until(w, now + days / 2 * LIFE_DAY);
	live_until(w, now + days * LIFE_DAY);
}

static void
clocks(struct world *w)
{
	uint64_t before;
	uint64_t orders;

	w->ca.life = 90 * LIFE_DAY;
	w->ca.unlimited = true;
	configure_ca("order_interval = 0s");
	live_until(w, LIFE_BEGAN + 2 * LIFE_DAY);
	must(count_without(w) == 0, "all were issued");
	before = w->ca.issued;
	orders = w->ca.orders;
	set_clock(w, YEARS, 6);
	printf("3 years ahead, 5 days    %llu orders\n",
	    (unsigned long long)(w->ca.orders - orders));
	must(w->ca.issued == before, "nothing is renewed by a clock that is ahead");
	must(count_log("ahead of the CA's") == 2, "said once in each life");
	set_clock(w, 0, 4);
	must(w->ca.issued == before, "nothing is renewed when it is right again");
	w->ca.outages[0] = (struct sim_outage){ w->us / LIFE_SECOND + 2 * LIFE_DAY,
		w->us / LIFE_SECOND + 3 * LIFE_DAY };
	w->ca.outage_count = 1;
	set_clock(w, YEARS, 6);
	set_clock(w, 0, 4);
	set_clock(w, -YEARS, 6);
	set_clock(w, 0, 4);
	must(w->ca.issued == before, "nor by one that is behind");
	live_until(w, LIFE_BEGAN + 95 * LIFE_DAY);
	printf("renewed after that       %llu of %zu\n",
	    (unsigned long long)(w->ca.issued - before), w->ca.name_count);
	must(w->ca.issued == before + w->ca.name_count, "then each is renewed once");
	must(w->ca.gaps == 0 && count_without(w) == 0, "none expires");
	printf("log lines                %zu\n", count_log(""));
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct world *w);
	} scenes[] = {
		{ "away", away },
		{ "storm", storm },
		{ "broken", broken },
		{ "clock", clocks },
	};
	size_t certificates = 1000;
	struct world *w = NULL;
	bool keep = false;
	int option;

	while ((option = getopt(argc, argv, "n:k")) != -1) {
		if (option == 'n')
			certificates = strtoul(optarg, NULL, 10);
		else if (option == 'k')
			keep = true;
		else
			return 64;
	}
	for (size_t i = 0; optind < argc && i < sizeof(scenes) / sizeof(*scenes); i++)
		if (strcmp(argv[optind], scenes[i].name) == 0) {
			w = world_new(certificates);
			life_folder(w, "info", false, dir);
			scenes[i].run(w);
		}
	if (w == NULL) {
		fprintf(stderr,
		    "usage: mass away|storm|broken|clock [-n CERTIFICATES] [-k]\n");
		return 64;
	}
	print_cpu();
	if (keep)
		printf("kept                     %s\n", dir);
	else
		life_remove(dir);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
