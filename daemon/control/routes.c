/*
 * routes.c - the table of calls on the control socket, and how a path finds its row.
 *
 * Used by control.c for each request. Paths come from clients: they are compared
 * segment by segment before anything is decoded, so an escaped slash never becomes a
 * separator.
 */
#include "control/routes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"

static const struct route routes[] = {
	{ EVHTTP_REQ_GET, "/healthz", ROUTE_LOOK, status_health,
	    "200 while the scheduler ticks, else 503" },
	{ EVHTTP_REQ_GET, "/metrics", ROUTE_LOOK, metrics_show,
	    "everything that is counted, as Prometheus reads it" },
	{ EVHTTP_REQ_POST, "/v1/reload", ROUTE_CHANGE, reload_run,
	    "read the configuration again: all of it, or nothing where it is bad" },
	{ EVHTTP_REQ_GET, "/v1/status", ROUTE_LOOK, status_show,
	    "the daemon: counts, jobs, CAs, what comes next" },
	{ EVHTTP_REQ_GET, "/v1/served", ROUTE_LOOK, served_list,
	    "what HAProxy processes have loaded, known here or not" },
	{ EVHTTP_REQ_GET, "/v1/polkit", ROUTE_LOOK, polkit_show,
	    "a rule for polkit that allows what the configuration asks systemd for" },
	{ EVHTTP_REQ_GET, "/v1/events", ROUTE_LOOK, events_list,
	    "what happened, an event a line; follow=1: and what happens" },
	{ EVHTTP_REQ_GET, "/v1/accounts", ROUTE_LOOK, accounts_list,
	    "the accounts at the CAs" },
	{ EVHTTP_REQ_POST, "/v1/accounts/ID/rollover", ROUTE_CHANGE, accounts_rollover,
	    "give the account another key" },
	{ EVHTTP_REQ_POST, "/v1/accounts/ID/deactivate", ROUTE_CHANGE,
	    accounts_deactivate, "end the account at its CA, for good" },
	{ EVHTTP_REQ_GET, "/v1/certificates", ROUTE_LOOK, certificates_list,
	    "all certificates, by name" },
	{ EVHTTP_REQ_GET, "/v1/certificates/NAME", ROUTE_LOOK, certificates_show,
	    "one certificate" },
	{ EVHTTP_REQ_PUT, "/v1/certificates/NAME", ROUTE_CHANGE, edit_put,
	    "add it, or change it: keys of the configuration, unless it is there" },
	{ EVHTTP_REQ_DELETE, "/v1/certificates/NAME", ROUTE_CHANGE, edit_delete,
	    "renew it no more; purge=1: its files and keys go at once; revoke=1: it is"
	    " revoked before" },
	{ EVHTTP_REQ_POST, "/v1/certificates/NAME/renew", ROUTE_CHANGE,
	    certificates_renew, "renew it now where due, or always with force" },
	{ EVHTTP_REQ_POST, "/v1/certificates/NAME/revoke", ROUTE_CHANGE, revoke_run,
	    "revoke it, and wait for the CA" },
	{ EVHTTP_REQ_GET, "/v1/certificates/NAME/history", ROUTE_LOOK, events_history,
	    "what happened to it, an event a line" },
	{ EVHTTP_REQ_GET, "/v1/certificates/NAME/bundle", ROUTE_CHANGE, pem_show,
	    "certificate, chain and private key as PEM" },
	{ EVHTTP_REQ_POST, "/v1/certificates/NAME/deploy", ROUTE_CHANGE,
	    certificates_deploy, "tell all its deploy targets again" },
	{ EVHTTP_REQ_POST, "/v1/certificates/NAME/rollback", ROUTE_CHANGE,
	    certificates_rollback,
	    "its servers get the certificate of before, until the next renewal or"
	    " deploy" },
	{ EVHTTP_REQ_POST, "/v1/certificates/NAME/verify", ROUTE_CHANGE,
	    certificates_verify, "look now at what its deploy targets serve" },
	{ EVHTTP_REQ_POST, "/v1/certificates/NAME/pause", ROUTE_CHANGE,
	    certificates_pause, "order nothing for it until it is resumed" },
	{ EVHTTP_REQ_POST, "/v1/certificates/NAME/resume", ROUTE_CHANGE,
	    certificates_resume, "end a pause" },
};

static const struct {
	enum evhttp_cmd_type method;
	const char *name;
} method_names[] = {
	{ EVHTTP_REQ_GET, "GET" },
	{ EVHTTP_REQ_POST, "POST" },
	{ EVHTTP_REQ_PUT, "PUT" },
	{ EVHTTP_REQ_DELETE, "DELETE" },
};

const char *
routes_methods(unsigned methods, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < ELEMENTS(method_names); i++)
		if (methods & method_names[i].method && len < size)
			len += (size_t)snprintf(ret + len, size - len, "%s%s",
			    len > 0 ? ", " : "", method_names[i].name);
	return ret;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
routes_decode(const char *text, size_t len, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			if (len - i < 3 || hex_digit(text[i + 1]) < 0 ||
			    hex_digit(text[i + 2]) < 0)
				return -EINVAL;
			c = hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]);
			i += 2;
		}
		if (c == '\0')
			return -EINVAL;
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return 0;
}

/* A part of a path; not terminated. */
struct segment {
	const char *text;
	size_t len;
};

/* *ret_name is set where the pattern has a NAME. */
static bool
matches(const char *pattern, const char *path, struct segment *ret_name)
{
	struct segment name = { "", 0 };

	for (;;) {
		size_t want = strcspn(pattern, "/");
		size_t have = strcspn(path, "/");

		/* CA/THUMBPRINT is an ID, too; another segment follows */
		if (want == 2 && memcmp(pattern, "ID", 2) == 0 && path[have] == '/' &&
		    strchr(path + have + 1, '/') != NULL)
			have += 1 + strcspn(path + have + 1, "/");
		if ((want == 4 && memcmp(pattern, "NAME", 4) == 0 && have > 0) ||
		    (want == 2 && memcmp(pattern, "ID", 2) == 0 && have > 0))
			name = (struct segment){ path, have };
		else if (want != have || memcmp(pattern, path, want) != 0)
			return false;
		pattern += want;
		path += have;
		if (*pattern != *path)
			return false;
		if (*pattern == '\0')
			break;
		pattern++;
		path++;
	}
	*ret_name = name;
	return true;
}

int
routes_find(enum evhttp_cmd_type method, const char *path, char *ret_name,
    size_t name_size, const struct route **ret, unsigned *ret_methods)
{
	const struct route *found = NULL;
	unsigned methods = 0;
	struct segment name = { "", 0 };

	for (size_t i = 0; i < ELEMENTS(routes); i++) {
		if (!matches(routes[i].pattern, path, &name))
			continue;
		methods |= routes[i].method;
		if (routes[i].method == method)
			found = &routes[i];
	}
	if (methods == 0 || routes_decode(name.text, name.len, ret_name, name_size) < 0)
		return -ENOENT;
	if (found == NULL) {
		*ret_methods = methods;
		return -EPERM;
	}
	*ret = found;
	return 0;
}
