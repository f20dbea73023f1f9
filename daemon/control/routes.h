/*
 * routes.h - what the control socket offers: one row for each call.
 *
 * control.c finds the route of a request here; help and documentation are made from the
 * same rows. The handlers are in a file for each resource.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include <stddef.h>

#include <event2/http.h>

struct call;

enum route_privilege {
	ROUTE_LOOK,   /* readers may */
	ROUTE_CHANGE, /* administrators only; also whatever shows a key */
};

struct route {
	enum evhttp_cmd_type method;
	/* A segment NAME stands for any one name, ID for that of an account. */
	const char *pattern;
	enum route_privilege privilege;
	void (*handler)(struct call *call);
	const char *help;
};

/* The row for a method and path (without query; still percent-encoded). The name in the
 * path is decoded to ret_name. -ENOENT: no such path, or a name that can't be one;
 * -EPERM: not with this method, and *ret_methods says with which. */
int routes_find(enum evhttp_cmd_type method, const char *path, char *ret_name,
    size_t name_size, const struct route **ret, unsigned *ret_methods);
/* "GET, POST" and a NUL, for Allow. */
const char *routes_methods(unsigned methods, char *ret, size_t size);
/* Decodes one segment of a path (RFC 3986 section 2.1). -EINVAL for a broken escape or
 * a NUL, -ENAMETOOLONG. */
int routes_decode(const char *text, size_t len, char *ret, size_t size);

void status_show(struct call *call);
void status_health(struct call *call);
void polkit_show(struct call *call);
void served_list(struct call *call);
void metrics_show(struct call *call);
void reload_run(struct call *call);
void events_list(struct call *call);
void events_history(struct call *call);
void accounts_list(struct call *call);
void accounts_rollover(struct call *call);
void accounts_deactivate(struct call *call);
void pem_show(struct call *call);
void certificates_list(struct call *call);
void certificates_show(struct call *call);
void certificates_renew(struct call *call);
void certificates_deploy(struct call *call);
void certificates_rollback(struct call *call);
void certificates_verify(struct call *call);
void certificates_pause(struct call *call);
void certificates_resume(struct call *call);
void revoke_run(struct call *call);
void edit_put(struct call *call);
void edit_delete(struct call *call);

#endif
