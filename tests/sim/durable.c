/*
 * durable.c - whatever write fails, and whatever write is the last before a crash or a
 * power cut: nothing is lost, and what was promised comes.
 *
 * Usage: durable crash|power|full|io|upgrade [-n CERTIFICATES] [-f FIRST] [-e EVERY]
 * [-v] A scenario (certificates are issued, deployed, renewed and revoked, and the
 * account gets another key, over 5 days) runs once for each call that writes, with the
 * fault at that call; a crash or a cut has another one while it recovers. Then it goes
 * on without faults. At its end each certificate must be what the CA issued last,
 * served whole, with its key; and no order may have been made twice but one whose
 * answer was lost by the crash. "upgrade" cuts the power while databases of earlier
 * versions are migrated: see upgrade.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "life.h"
#include "on_disk.h"
#include "power.h"
#include "sim_ca.h"
#include "upgrade.h"

#define FIRST_DAYS 5
#define THEN_DAYS  4
#define NAMES_MAX  64

static struct test {
	enum fault fault;
	enum power_disk disk;
	int64_t at;
	int64_t length;
	int64_t next;          /* the call of this life */
	bool there[NAMES_MAX]; /* bundles that were on the disk at its beginning */
	bool verbose;
	char dir[64];
} test;

static void
arm(struct world *w)
{
	faults_arm(
	    test.fault, &w->points, test.next, test.next + test.length - 1, test.dir);
}

/* ---- what must be true ---- */

static const char *
check_served(const struct world *w, size_t name)
{
	const struct sim_name *n = &w->ca.names[name];
	const char *why;

	if (n->not_after == 0)
		return "was never issued";
	if (n->not_after < w->us / LIFE_SECOND)
		return "has expired";
	if (sim_account_revoked(&w->ca.account, name, n->order))
		return "is revoked";
	why = on_disk_whole(test.dir, name, n->pem);
	return why != NULL ? why : on_disk_copied(test.dir, name);
}

/* What was asked for may have been asked for twice, where its answer was lost. */
static uint64_t
count_asked(const struct world *w)
{
	uint64_t count = 0;

	for (size_t i = 0; i < OPERATOR_WISHES; i++)
		if (strstr(w->operator.wishes[i].path, "/certificates/") != NULL)
			count += w->operator.wishes[i].asked;
	return count;
}

static const char *
check(const struct world *w)
{
	const char *why = NULL;

	for (size_t i = 0; i < w->ca.name_count && why == NULL; i++)
		why = check_served(w, i);
	if (why != NULL)
		return why;
	if (w->ca.twice > 0)
		return "was ordered beside an open order";
	if (w->ca.early > count_asked(w))
		return "was ordered beside a fresh certificate";
	if (w->ca.limited > 0)
		return "passed a limit";
	if (w->ca.account.made != 1)
		return "has another account";
	if (operator_missing(&w->operator) != NULL) {
		static char text[256];

		snprintf(text, sizeof(text),
		    "%s was asked %u times, the last answer is %d",
		    operator_missing(&w->operator)->path,
		    operator_missing(&w->operator)->asked,
		    operator_missing(&w->operator)->status);
		return text;
	}
	return NULL;
}

/* ---- the cut ---- */

static void
end_badly(const struct world *w, const char *why)
{
	printf("fault at call %lld (then %lld, disk %d): %s (%llu orders, %llu issued, "
	       "%llu twice, %llu early); see %s\n",
	    (long long)test.at, (long long)test.next, (int)test.disk, why,
	    (unsigned long long)w->ca.orders, (unsigned long long)w->ca.issued,
	    (unsigned long long)w->ca.twice, (unsigned long long)w->ca.early, test.dir);
	exit(EXIT_FAILURE);
}

static void
remember_disk(const struct world *w)
{
	for (size_t i = 0; i < w->ca.name_count; i++)
		test.there[i] = on_disk_there(test.dir, i);
	power_begin(test.dir);
}

/* A server that starts before renewd finds whole sets; none that it had is gone. */
static void
cut(const struct world *w)
{
	const char *why = NULL;

	power_cut(test.dir, test.disk, (uint64_t)test.next);
	for (size_t i = 0; i < w->ca.name_count && why == NULL; i++) {
		if (on_disk_there(test.dir, i))
			why = on_disk_whole(test.dir, i, NULL);
		else if (test.there[i])
			why = "is gone";
		if (why == NULL)
			why = on_disk_kept(test.dir, i, w->ca.names[i].pem);
	}
	if (why != NULL)
		end_badly(w, why);
}

/* ---- a run ---- */

static bool
stops(void)
{
	return test.fault == FAULT_CRASH || test.fault == FAULT_POWER;
}

/* Once more while it recovers from the first. */
static bool
plan_next(const struct world *w, unsigned tries)
{
	if (tries == 0)
		test.next = test.at;
	else
		test.next = w->points + 1 + test.at * 7 % 29;
	return tries == 0 || (tries == 1 && stops());
}

static void
live_on(struct world *w, int64_t days, bool faults)
{
	int64_t until = w->us + days * LIFE_DAY * LIFE_SECOND;

	for (unsigned tries = 0; w->us < until; tries++) {
		bool armed = faults && plan_next(w, tries);
		int status;

		if (armed && test.fault == FAULT_POWER)
			remember_disk(w);
		status = life_run(w, test.dir, (uint64_t)test.at * 100 + tries, until,
		    armed ? arm : NULL);
		if (armed && test.fault == FAULT_POWER && w->points >= test.next)
			cut(w);
		/* a disk that is full from the start lets nothing start: that is said
		 */
		if (status != 0 && stops())
			end_badly(w, "a life ended by itself");
		if (tries > 4)
			end_badly(w, "it doesn't live");
	}
}

static void
plan_wishes(struct world *w)
{
	const int64_t hour = 3600;

	operator_plan(&w->operator, LIFE_BEGAN + 12 * hour, "POST",
	    "/v1/accounts/sim/rollover", "");
	operator_plan(&w->operator, LIFE_BEGAN + 24 * hour, "POST",
	    "/v1/certificates/n0.sim.test/revoke", "{\"reason\":\"superseded\"}");
	operator_plan(&w->operator, LIFE_BEGAN + 36 * hour, "POST",
	    "/v1/certificates/n1.sim.test/revoke", "{\"reason\":\"keyCompromise\"}");
	operator_plan(&w->operator, LIFE_BEGAN + 48 * hour, "POST",
	    "/v1/certificates/n0.sim.test/renew", "{\"force\":true}");
}

/* False: the scenario has no such call any more. */
static bool
run(size_t names)
{
	struct world *w = world_new(names);
	const char *why;
	bool reached;

	w->ca.life = 6 * LIFE_DAY;
	w->ca.strict = true;
	plan_wishes(w);
	life_folder(w, "info", true, test.dir);
	live_on(w, FIRST_DAYS, true);
	reached = w->points >= test.at;
	live_on(w, THEN_DAYS, false);
	why = check(w);
	if (why != NULL)
		end_badly(w, why);
	if (test.verbose)
		printf(
		    "%lld, disk %d: %lld calls, %llu orders, %llu issued, %zu revoked\n",
		    (long long)test.at, (int)test.disk, (long long)w->points,
		    (unsigned long long)w->ca.orders, (unsigned long long)w->ca.issued,
		    w->ca.account.revoked_count);
	power_end(test.dir);
	life_remove(test.dir);
	world_free(w);
	return reached;
}

/* What a disk makes of a cut is tried in each way. */
static bool
run_all(size_t names)
{
	int disks = test.fault == FAULT_POWER ? POWER_DISKS : 1;
	bool reached = false;

	for (int disk = 0; disk < disks; disk++) {
		test.disk = (enum power_disk)disk;
		reached = run(names) || reached;
	}
	return reached;
}

static const struct {
	const char *name;
	enum fault fault;
	int64_t length;
} faults[] = {
	{ "crash", FAULT_CRASH, 1 },
	{ "power", FAULT_POWER, 1 },
	{ "full", FAULT_FULL, 40 },
	{ "io", FAULT_IO, 1 },
};

static void
choose(const char *name)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		if (strcmp(name, faults[i].name) == 0) {
			test.fault = faults[i].fault;
			test.length = faults[i].length;
		}
}

int
main(int argc, char **argv)
{
	size_t names = 2;
	int64_t every = 1;
	int64_t runs = 0;
	int option;

	test.at = 1;
	while ((option = getopt(argc, argv, "n:f:e:v")) != -1) {
		if (option == 'n')
			names = strtoul(optarg, NULL, 10);
		else if (option == 'f')
			test.at = strtoll(optarg, NULL, 10);
		else if (option == 'e')
			every = strtoll(optarg, NULL, 10);
		else if (option == 'v')
			test.verbose = true;
		else
			return 64;
	}
	if (optind < argc && strcmp(argv[optind], "upgrade") == 0)
		return upgrade_all();
	if (optind < argc)
		choose(argv[optind]);
	if (test.fault == FAULT_NONE || every < 1 || names < 2 || names > NAMES_MAX) {
		fprintf(stderr,
		    "usage: durable crash|power|full|io|upgrade [-n N] [-f FIRST] [-e EVERY] "
		    "[-v]\n");
		return 64;
	}
	for (; run_all(names); test.at += every)
		runs++;
	printf("%lld faults, one at a time: all is there\n", (long long)runs);
	return EXIT_SUCCESS;
}
