/*
 * year.c - a year of renewd's life in minutes: the whole daemon but for the network, on
 * a virtual clock, against a CA with limits and outages, killed at random.
 *
 * Usage: year [-n CERTIFICATES] [-d DAYS] [-s SEED] [-r DAYS-BETWEEN-KILLS]
 *             [-o FIRST-DAY:DAYS]... [-k]
 * Each life of the daemon is a child process; time and the CA are in shared memory.
 * Exit status 0: no certificate ever expired, and no limit was passed. -k keeps the
 * folder, whose log shows what the daemon said.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "daemon.h"
#include "sim_ca.h"
#include "virtual_time.h"

#define DAY    INT64_C(86400)
#define BEGAN  INT64_C(1800000000) /* some day in 2027 */
#define SECOND INT64_C(1000000)

struct world {
	int64_t us;
	struct sim_ca ca; /* last: it goes on behind its end */
};

struct plan {
	size_t certificates;
	int64_t days;
	uint64_t seed;
	int64_t kill_days;
	bool keep;
	char dir[64];
};

static void
fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* ---- setting up ---- */

static void
read_outage(struct sim_ca *ca, const char *text)
{
	long long first;
	long long days;

	if (sscanf(text, "%lld:%lld", &first, &days) != 2 ||
	    ca->outage_count == SIM_OUTAGES_MAX) {
		fprintf(stderr, "year: outages are FIRST-DAY:DAYS\n");
		exit(64);
	}
	ca->outages[ca->outage_count++] =
	    (struct sim_outage){ BEGAN + first * DAY, BEGAN + (first + days) * DAY };
}

static struct plan
read_arguments(int argc, char **argv, struct sim_ca *outages)
{
	struct plan plan = { .certificates = 500, .days = 120, .seed = 1, .kill_days = 5 };
	int option;

	while ((option = getopt(argc, argv, "n:d:s:r:o:k")) != -1) {
		if (option == 'n')
			plan.certificates = strtoul(optarg, NULL, 10);
		else if (option == 'd')
			plan.days = atoll(optarg);
		else if (option == 's')
			plan.seed = strtoull(optarg, NULL, 10);
		else if (option == 'r')
			plan.kill_days = atoll(optarg);
		else if (option == 'o')
			read_outage(outages, optarg);
		else if (option == 'k')
			plan.keep = true;
		else
			exit(64);
	}
	return plan;
}

static struct world *
make_world(const struct plan *plan, const struct sim_ca *outages)
{
	size_t size = sizeof(struct world) + sim_ca_size(plan->certificates);
	struct world *w =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (w == MAP_FAILED)
		fail("mmap");
	w->us = BEGAN * SECOND;
	w->ca.name_count = plan->certificates;
	w->ca.began = BEGAN;
	w->ca.tokens = 300;
	w->ca.tokens_at = BEGAN;
	w->ca.outage_count = outages->outage_count;
	memcpy(w->ca.outages, outages->outages, sizeof(w->ca.outages));
	return w;
}

/* Nobody asks there, but renewd orders nothing where it can't listen. */
static unsigned
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		fail("bind");
	close(fd);
	return ntohs(a.sin_port);
}

static void
write_config(const struct plan *plan)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/renewd.conf", plan->dir);
	f = fopen(path, "w");
	if (f == NULL)
		fail(path);
	fprintf(f,
	    "[renewd]\nstate_dir = %s/state\nbundle_dir = %s/live\nlog_level = info\n"
	    "[control]\nsocket = %s/control.sock\n"
	    "[http-01]\nlisten = 127.0.0.1:%u\n"
	    "[ca sim]\ndirectory = https://ca.sim/directory\naccept_terms = yes\n"
	    "[defaults]\nca = sim\nplaceholder = no\n",
	    plan->dir, plan->dir, plan->dir, free_port());
	for (size_t i = 0; i < plan->certificates; i++)
		fprintf(f, "[certificate " SIM_NAME_FORMAT "]\n", i);
	fclose(f);
}

/* ---- one life ---- */

static void
redirect_log(const struct plan *plan)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/log", plan->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		fail(path);
	close(fd);
}

static void
live(const struct plan *plan, struct world *w, unsigned number, int64_t until)
{
	struct config_errors errors = { 0 };
	struct config *config;
	char path[128];

	redirect_log(plan);
	virtual_chance_seed(plan->seed * 1000003 + number);
	virtual_time_use(&w->us);
	virtual_time_die_at(until);
	sim_ca_use(&w->ca);
	snprintf(path, sizeof(path), "%s/renewd.conf", plan->dir);
	if (config_load(path, &config, &errors) < 0) {
		config_errors_print(&errors, stderr);
		_exit(EXIT_FAILURE);
	}
	_exit(daemon_run(config) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* Lives until the time comes; then the next one begins. */
static unsigned
run(const struct plan *plan, struct world *w)
{
	int64_t end = (BEGAN + plan->days * DAY) * SECOND;
	unsigned lives = 0;
	uint64_t chance = plan->seed;

	while (w->us < end) {
		int64_t until = end;
		int status = 0;
		pid_t pid;

		chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (plan->kill_days > 0)
			until = w->us +
			    (int64_t)((chance >> 20) %
				(uint64_t)(2 * plan->kill_days * DAY * SECOND));
		if (until > end)
			until = end;
		pid = fork();
		if (pid < 0)
			fail("fork");
		if (pid == 0)
			live(plan, w, lives, until);
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "year: a life ended with status %#x; see %s/log\n",
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
		if (w->ca.names[i].not_after < w->us / SECOND)
			without++;
	return without;
}

/* Is the CA up at this hour, and was it for the two days before? What was missed is
 * caught up with then. */
static bool
normal_hour(const struct sim_ca *ca, size_t hour)
{
	int64_t at = ca->began + (int64_t)hour * 3600;

	for (size_t i = 0; i < ca->outage_count; i++)
		if (at >= ca->outages[i].from && at < ca->outages[i].to + 2 * DAY)
			return false;
	return true;
}

/* Of the second half of the time: what began together has parted by then. */
static void
print_load(const struct plan *plan, const struct sim_ca *ca)
{
	size_t hours = (size_t)plan->days * 24;
	size_t counted = 0;
	uint64_t sum = 0;
	uint32_t peak = 0;

	for (size_t h = hours / 2; h < hours && h < SIM_HOURS_MAX; h++) {
		if (!normal_hour(ca, h))
			continue;
		counted++;
		sum += ca->by_hour[h];
		if (ca->by_hour[h] > peak)
			peak = ca->by_hour[h];
	}
	printf("load an hour             mean %.1f, peak %u, peak/mean %.2f\n",
	    counted > 0 ? (double)sum / (double)counted : 0, peak,
	    sum > 0 ? (double)peak * (double)counted / (double)sum : 0);
}

static bool
report(const struct plan *plan, const struct world *w, unsigned lives)
{
	const struct sim_ca *ca = &w->ca;
	size_t without = count_without(w);
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	printf("certificates             %zu, %lld days, seed %llu\n", plan->certificates,
	    (long long)plan->days, (unsigned long long)plan->seed);
	printf("lives of the daemon      %u\n", lives);
	printf("issued                   %llu in %llu orders, %llu requests\n",
	    (unsigned long long)ca->issued, (unsigned long long)ca->orders,
	    (unsigned long long)ca->requests);
	printf("requests to a dead CA    %llu\n", (unsigned long long)ca->requests_down);
	print_load(plan, ca);
	printf("log lines                %zu\n", count_log(plan));
	printf("CPU                      %.1f s, %.2f ms a certificate, %ld MB at most\n",
	    (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec,
	    ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1000 /
		(double)(ca->issued > 0 ? ca->issued : 1),
	    usage.ru_maxrss / 1024);
	printf("orders beside an open one %llu\n", (unsigned long long)ca->twice);
	printf("refused for a limit      %llu, sent all the same %llu\n",
	    (unsigned long long)ca->limited, (unsigned long long)ca->ignored);
	printf("expired before renewal   %llu, the longest for %lld s\n",
	    (unsigned long long)ca->gaps, (long long)ca->gap_worst);
	printf("without one at the end   %zu\n", without);
	return ca->limited == 0 && ca->gaps == 0 && without == 0;
}

static void
remove_dir(const struct plan *plan)
{
	pid_t pid;

	if (plan->keep) {
		printf("kept                     %s\n", plan->dir);
		return;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		execlp("rm", "rm", "-rf", plan->dir, (char *)NULL);
	waitpid(pid, NULL, 0);
}

int
main(int argc, char **argv)
{
	struct sim_ca outages = { 0 };
	struct plan plan = read_arguments(argc, argv, &outages);
	struct world *w = make_world(&plan, &outages);
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	unsigned lives;
	bool good;

	snprintf(plan.dir, sizeof(plan.dir), "%s/renewd-year-XXXXXX", tmp);
	if (mkdtemp(plan.dir) == NULL)
		fail(plan.dir);
	write_config(&plan);
	lives = run(&plan, w);
	good = report(&plan, w, lives);
	remove_dir(&plan);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
