/*
 * ca_private.h - inside renew/: one CA, as its files share it.
 *
 * ca.c makes it ready to be used; ca_request.c has the requests on their way to it.
 */
#ifndef CA_PRIVATE_H
#define CA_PRIVATE_H

#include <sys/queue.h>

#include "renew/account.h"
#include "renew/ca.h"
#include "renew/ca_settings.h"

struct waiter;

struct ca {
	unsigned refs;
	const struct renewal_means *means;
	struct ca_settings settings;
	struct own_account *account;
	bool no_account; /* nor will it get one */
	struct acme_session *session;
	int64_t directory_at;
	struct ca_request *request; /* of the session itself */
	unsigned active;            /* requests on their way */
	TAILQ_HEAD(waiters_head, waiter) waiters;

	struct acme_result *last_failure;
	char *last_logged; /* so that the same is said once */
};

#endif
