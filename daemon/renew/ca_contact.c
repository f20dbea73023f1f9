/*
 * ca_contact.c - tells the CA other contacts than it has (RFC 8555 section 7.3.2).
 *
 * A step of ca.c, beside orders, which don't wait for it. What the CA has taken is in
 * the inventory, so nothing is sent twice; what it can't take now is sent later, and
 * what it refuses not again.
 */
#include "renew/ca_private.h"

#include <string.h>

#include "platform/clock.h"
#include "platform/log.h"
#include "result.h"
#include "schedule/wakeup.h"

static bool
is_wanted(const struct ca *ca)
{
	return !ca->settings.built_in && ca->stopped == NULL &&
	    own_account_contacts_differ(ca->account) &&
	    (ca->contact_refused == NULL ||
		strcmp(ca->contact_refused, ca->settings.contacts) != 0);
}

void
ca_contact_put_off(struct ca *ca, const struct acme_result *failure)
{
	int64_t now = clock_now();

	if (!is_wanted(ca) || ca->contact_at > now)
		return;
	ca->contact_failures++;
	ca->contact_at = wakeup_retry(
	    now, ca->contact_failures, failure, 0, clock_random(UINT32_MAX));
	ca_prepare_later(ca, ca->contact_at - now);
}

static void
told(struct ca *ca, const char *contacts)
{
	const char *shown = *contacts != '\0' ? contacts : "none";

	ca->contact_failures = 0;
	if (own_account_contacts_told(ca->account, contacts) < 0)
		return;
	log_line(LOG_NOTICE, &(struct log_fields){ .ca = ca->settings.name },
	    "contacts of the account changed at the CA: %s", shown);
	ca_history(ca, "contacts-changed", shown);
}

static void
refused(struct ca *ca, const struct acme_result *result, const char *contacts)
{
	bool for_good = result->class == ACME_GIVE_UP;
	char at[CLOCK_TEXT_SIZE];

	if (for_good) {
		free(ca->contact_refused);
		ca->contact_refused = strdup(contacts);
	} else {
		ca_contact_put_off(ca, result);
	}
	log_line(for_good || ca->contact_failures == 1 ? LOG_WARNING : LOG_DEBUG,
	    &(struct log_fields){ .event = LOG_EVENT_CONTACTS_REFUSED,
		.ca = ca->settings.name,
		.problem = result->type,
		.retry_at = for_good ? 0 : ca->contact_at },
	    for_good ? "the CA does not take the contacts: %s; not tried again%s"
		     : "the contacts could not be changed at the CA: %s; next attempt "
		       "at %s",
	    result->detail, for_good ? "" : clock_format(ca->contact_at, at));
}

static void
reply_cb(const struct acme_reply *reply, void *arg)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	struct ca *ca = arg;

	ca->contact_request = NULL;
	if (reply->status == 200) {
		/* as they were when it was sent: they may be others by now */
		_cleanup_free_ char *sent = steal_ptr(ca->contact_sent);

		if (sent != NULL)
			told(ca, sent);
	} else {
		result = acme_reply_result(reply, "account");
	}
	if (acme_result_is(result, "accountDoesNotExist"))
		ca_forgotten(ca);
	else if (acme_result_is(result, "userActionRequired") ||
	    acme_result_is(result, "agreementRequired"))
		ca_stop(ca, result);
	else if (result != NULL && ca->contact_sent != NULL)
		refused(ca, result, ca->contact_sent);
	ca_prepare(ca);
}

void
ca_contact_step(struct ca *ca)
{
	struct acme_request request = { .action = ACME_ACTION_UPDATE_ACCOUNT };
	_cleanup_free_ char *payload = NULL;
	int64_t now = clock_now();
	int r;

	if (!is_wanted(ca) || ca->contact_request != NULL)
		return;
	if (ca->contact_at > now) {
		ca_prepare_later(ca, ca->contact_at - now);
		return;
	}
	free(ca->contact_sent);
	ca->contact_sent = strdup(ca->settings.contacts);
	r = ca->contact_sent != NULL ? acme_account_contacts(ca->contact_sent, &payload)
				     : -1;
	request.payload = payload;
	if (r == 0)
		r = ca_send(ca, &request, reply_cb, ca, &ca->contact_request);
	if (r < 0)
		ca_contact_put_off(ca, NULL);
}

void
ca_contact_reset(struct ca *ca)
{
	ca->contact_request = ca_cancel(ca->contact_request);
	ca->contact_at = 0;
	ca->contact_failures = 0;
	free(ca->contact_refused);
	ca->contact_refused = NULL;
	free(ca->contact_sent);
	ca->contact_sent = NULL;
}
