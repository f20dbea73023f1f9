/*
 * sim_account.h - the account at the simulation's CA, where that is strict: who signs a
 * request, another key, what is revoked.
 *
 * Part of sim_ca.c. Like all of the CA it lives in memory that processes share.
 */
#ifndef SIM_ACCOUNT_H
#define SIM_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_REVOKED_MAX 64

struct acme_message;

struct sim_account {
	unsigned made;        /* accounts; there shall be one */
	unsigned changes;     /* of its key */
	unsigned unsigned_by; /* requests that it hadn't signed */
	size_t key_len;
	unsigned char key[128];            /* SubjectPublicKeyInfo */
	uint64_t revoked[SIM_REVOKED_MAX]; /* serials: name << 32 | order */
	size_t revoked_count;
};

struct sim_said {
	int status;
	const char *problem; /* NULL: none */
	const char *location;
	const char *body;
};

/* False: it is signed by the account, and about something else. host: "https://..." */
bool sim_account_hear(struct sim_account *a, const struct acme_message *message,
    const char *host, struct sim_said *ret);
bool sim_account_revoked(const struct sim_account *a, size_t name, uint32_t order);

#endif
