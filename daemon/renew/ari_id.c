/*
 * ari_id.c - by which name a CA knows a certificate, and whether an order may use it.
 *
 * Called by ari.c and order.c.
 */
#include <string.h>
#include <strings.h>

#include "cert.h"
#include "platform/clock.h"
#include "renew/ari.h"
#include "renew/ca.h"

int
ari_id(const char *pem, char **ret)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	int r;

	r = acme_chain_parse(pem, strlen(pem), &chain, NULL);
	return r == 0 ? acme_chain_renewal_id(chain, ret) : r;
}

/* Both are sorted lists of words; most CAs want one name at least to stay. */
static bool
share_a_name(const char *a, const char *b)
{
	while (*a != '\0') {
		size_t len = strcspn(a, " ");
		const char *at = b;

		while (*at != '\0') {
			size_t n = strcspn(at, " ");

			if (n == len && memcmp(a, at, n) == 0)
				return true;
			at += n + (at[n] == ' ');
		}
		a += len + (a[len] == ' ');
	}
	return false;
}

char *
ari_replaces(const struct ca *ca, const struct issued *old, const char *names)
{
	_cleanup_free_ char *url = NULL;
	_cleanup_free_ char *id = NULL;

	if (old == NULL || old->chain == NULL || old->not_after <= clock_now() ||
	    strcasecmp(old->ca, ca_name(ca)) != 0 || old->account != ca_account(ca) ||
	    !share_a_name(old->names, names) || ari_id(old->chain, &id) < 0 ||
	    ca_renewal_info_url(ca, id, &url) < 0)
		return NULL;
	return steal_ptr(id);
}
