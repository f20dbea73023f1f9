/*
 * test_threads.c - libacme has no global state: sessions and flows in several threads
 * at once, with one account key among them. `./dev threads` runs it under
 * ThreadSanitizer.
 */
#include "acme.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "suite.h"
#include "whole_order.h"

#define THREADS 4
#define ORDERS  8

static struct acme_key *account_key;
static atomic_uint issued;

static void
issue(unsigned i)
{
	static const char *const names[] = { "a.example.test", "*.b.example.test",
		"192.0.2.1" };
	struct scripted_ca ca = { .authz_polls = i % 2, .order_polls = i % 3 };
	struct acme_key *key;

	ca.name_count = 1 + i % ELEMENTS(names);
	for (size_t k = 0; k < ca.name_count; k++)
		ck_assert_int_eq(
		    acme_identifier_parse(names[k], &ca.names[k], NULL), 0);
	if (acme_key_generate(ACME_KEY_ECDSA_P256, &key) == 0 &&
	    whole_order_run(&(struct whole_order){
		.ca = &ca, .account_key = account_key, .key = key }) == 0)
		atomic_fetch_add(&issued, 1);
	acme_key_free(key);
	scripted_ca_clear(&ca);
}

/* Some of a library's first steps are its most delicate: no thread waits for another.
 */
static void *
work(void *arg)
{
	unsigned first = *(unsigned *)arg;

	for (unsigned i = 0; i < ORDERS; i++)
		issue(first + i);
	return NULL;
}

START_TEST(orders_side_by_side)
{
	pthread_t threads[THREADS];
	unsigned first[THREADS];

	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &account_key), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		first[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &first[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(issued, THREADS * ORDERS);
	account_key = acme_key_free(account_key);
}
END_TEST

SUITE("threads", orders_side_by_side)
