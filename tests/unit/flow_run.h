/*
 * flow_run.h - drives a flow to its end against a scripted CA, whose answers a test may
 * replace one by one.
 */
#ifndef FLOW_RUN_H
#define FLOW_RUN_H

#include <stdio.h>
#include <string.h>

#include "acme.h"
#include "scripted_ca.h"
#include "suite.h"

#define RUN_URL "https://ca.test"

/* NULL: the scripted CA's own answer. */
typedef const struct acme_reply *run_answer_fn(
    struct scripted_ca *ca, const struct acme_request *request);

static struct acme_key *run_account_key;
static struct acme_key *run_key;
static int64_t run_now;

static inline void
run_setup(struct scripted_ca *ca, const char *names)
{
	char text[1000];
	char *rest = text;
	char *name;

	if (run_key == NULL) {
		ck_assert_int_eq(
		    acme_key_generate(ACME_KEY_ECDSA_P256, &run_account_key), 0);
		ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &run_key), 0);
	}
	run_now = 1;
	snprintf(text, sizeof(text), "%s", names);
	while ((name = strsep(&rest, " ")) != NULL)
		ck_assert_int_eq(
		    acme_identifier_parse(name, &ca->names[ca->name_count++], NULL), 0);
}

static inline struct acme_plan
run_plan(const struct scripted_ca *ca)
{
	return (struct acme_plan){ .identifiers = ca->names,
		.identifier_count = ca->name_count,
		.account_key = run_account_key,
		.key = run_key,
		.challenges = "http-01" };
}

/* To its end; the caller frees it. */
static inline struct acme_flow *
run_flow(const struct acme_plan *plan, struct scripted_ca *ca, run_answer_fn *answer)
{
	struct acme_request request;
	struct acme_flow *f;

	ck_assert_int_eq(acme_flow_new(plan, &f), 0);
	for (unsigned step = 0; step < 10000; step++) {
		const struct acme_reply *reply = NULL;

		switch (acme_flow_next(f, run_now, &request)) {
		case ACME_FINISHED:
			return f;
		case ACME_WAIT:
			ck_assert_int_gt(acme_flow_wait_until(f), run_now);
			run_now = acme_flow_wait_until(f);
			break;
		case ACME_SEND:
			if (answer != NULL)
				reply = answer(ca, &request);
			if (reply == NULL)
				reply = scripted_ca_answer(ca, &request);
			run_now += 5;
			acme_flow_reply(f, run_now, reply);
			break;
		}
	}
	ck_abort_msg("no end");
}

static inline void
run_end(struct acme_flow *f, struct scripted_ca *ca)
{
	acme_flow_free(f);
	scripted_ca_clear(ca);
	run_account_key = acme_key_free(run_account_key);
	run_key = acme_key_free(run_key);
}

/* A reply with this text, good until the next one. */
static inline const struct acme_reply *
run_reply(int status, const char *body)
{
	static struct acme_reply reply;

	reply = (struct acme_reply){ .status = status,
		.body = body,
		.body_len = strlen(body),
		.received_at = 1000 };
	return &reply;
}

#endif
