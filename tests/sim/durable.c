/*
 * durable.c - whatever write fails, and whatever write is the last before a crash:
 * nothing is lost, and what was promised comes.
 *
 * Usage: durable crash|full|io [-n CERTIFICATES] [-f FIRST] [-e EVERY]
 * A scenario (certificates are issued and renewed, over 5 days) runs once for each call
 * that writes, with the fault at that call; then it goes on without faults. At its end
 * each certificate must be what the CA issued last, served whole, with its key; and no
 * order may have been made twice but one whose answer was lost by the crash.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "life.h"
#include "sim_ca.h"

#define FIRST_DAYS 5
#define THEN_DAYS  4

static struct test {
	enum fault fault;
	int64_t at;
	int64_t length;
	char dir[64];
} test;

static void
arm(struct world *w)
{
	faults_arm(
	    test.fault, &w->points, test.at, test.at + test.length - 1, test.dir);
}

/* ---- what must be true at the end ---- */

static char *
read_file(const char *dir, size_t name, const char *file)
{
	char path[256];
	static char text[16384];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/live/" SIM_NAME_FORMAT "/%s", dir, name, file);
	f = fopen(path, "r");
	if (f == NULL)
		return NULL;
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	return text;
}

static bool
key_fits(const char *certificate, const char *key)
{
	BIO *a = BIO_new_mem_buf(certificate, -1);
	BIO *b = BIO_new_mem_buf(key, -1);
	X509 *x = PEM_read_bio_X509(a, NULL, NULL, NULL);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
	bool fits = x != NULL && pkey != NULL && X509_check_private_key(x, pkey) == 1;

	BIO_free(a);
	BIO_free(b);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return fits;
}

static const char *
check_served(const struct world *w, size_t name)
{
	const char *served = read_file(test.dir, name, "fullchain.pem");
	const char *key;

	if (w->ca.names[name].not_after == 0)
		return "was never issued";
	if (w->ca.names[name].not_after < w->us / LIFE_SECOND)
		return "has expired";
	if (served == NULL || strcmp(served, w->ca.names[name].pem) != 0)
		return "is not what the CA issued last";
	key = read_file(test.dir, name, "privkey.pem");
	if (key == NULL || !key_fits(w->ca.names[name].pem, key))
		return "has another key than the one that is served";
	return NULL;
}

static const char *
check(const struct world *w)
{
	const char *why = NULL;

	for (size_t i = 0; i < w->ca.name_count && why == NULL; i++)
		why = check_served(w, i);
	if (why == NULL && w->ca.twice > 0)
		why = "was ordered beside an open order";
	if (why == NULL && w->ca.limited > 0)
		why = "passed a limit";
	return why;
}

/* ---- a run ---- */

static void
end_badly(const struct world *w, const char *why)
{
	printf(
	    "fault at call %lld: %s (%llu orders, %llu issued, %llu twice); see %s\n",
	    (long long)test.at, why, (unsigned long long)w->ca.orders,
	    (unsigned long long)w->ca.issued, (unsigned long long)w->ca.twice,
	    test.dir);
	exit(EXIT_FAILURE);
}

/* A disk that is full from the start lets nothing start: that is fine, and said. */
static void
live_on(struct world *w, int64_t days, void (*prepare)(struct world *w))
{
	int64_t until = w->us + days * LIFE_DAY * LIFE_SECOND;

	for (unsigned tries = 0; w->us < until; tries++) {
		int status = life_run(
		    w, test.dir, (uint64_t)test.at * 100 + tries, until, prepare);

		prepare = NULL;
		if (status != 0 && test.fault != FAULT_FULL && test.fault != FAULT_IO)
			end_badly(w, "a life ended by itself");
		if (tries > 3)
			end_badly(w, "it doesn't live");
	}
}

/* False: the scenario has no such call any more. */
static bool
run(size_t names)
{
	struct world *w = world_new(names);
	const char *why;
	bool reached;

	w->ca.life = 6 * LIFE_DAY;
	life_folder(w, "info", test.dir);
	live_on(w, FIRST_DAYS, arm);
	reached = w->points >= test.at;
	live_on(w, THEN_DAYS, NULL);
	why = check(w);
	if (why != NULL)
		end_badly(w, why);
	life_remove(test.dir);
	world_free(w);
	return reached;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum fault fault;
		int64_t length;
	} faults[] = {
		{ "crash", FAULT_CRASH, 1 },
		{ "full", FAULT_FULL, 40 },
		{ "io", FAULT_IO, 1 },
	};
	size_t names = 2;
	int64_t every = 1;
	int64_t runs = 0;
	int option;

	test.at = 1;
	while ((option = getopt(argc, argv, "n:f:e:")) != -1) {
		if (option == 'n')
			names = strtoul(optarg, NULL, 10);
		else if (option == 'f')
			test.at = strtoll(optarg, NULL, 10);
		else if (option == 'e')
			every = strtoll(optarg, NULL, 10);
		else
			return 64;
	}
	for (size_t i = 0; optind < argc && i < sizeof(faults) / sizeof(*faults); i++)
		if (strcmp(argv[optind], faults[i].name) == 0) {
			test.fault = faults[i].fault;
			test.length = faults[i].length;
		}
	if (test.fault == FAULT_NONE || every < 1) {
		fprintf(stderr,
		    "usage: durable crash|full|io [-n N] [-f FIRST] [-e EVERY]\n");
		return 64;
	}
	for (; run(names); test.at += every)
		runs++;
	printf("%lld faults, one at a time: all is there\n", (long long)runs);
	return EXIT_SUCCESS;
}
