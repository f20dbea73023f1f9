/*
 * types.c - the table of target types.
 *
 * A new type is a file of its own and a row here. Nothing else in deploy/ may ask which
 * type a target has.
 */
#include "deploy/types.h"

#include <assert.h>
#include <stddef.h>

#include "deploy/deploy.h"
#include "scope.h"

static const struct deploy_type *const types[] = {
	[TARGET_HAPROXY] = &haproxy_type,
	[TARGET_NGINX] = &nginx_type,
	[TARGET_SIGNAL] = &signal_type,
	[TARGET_EXEC] = &exec_type,
	[TARGET_SYSTEMD] = &systemd_type,
	[TARGET_DIRECTORY] = &directory_type,
};

const struct deploy_type *
types_get(enum target_type type)
{
	assert(type < ELEMENTS(types) && types[type] != NULL);
	return types[type];
}

bool
deploy_takes_staples(const struct target_config *t)
{
	return t != NULL && types_get(t->type)->staples && t->sockets.n > 0;
}

bool
deploy_reads_staples(const struct target_config *t, bool must_staple)
{
	enum type_reads reads;

	if (t == NULL || deploy_takes_staples(t))
		return false;
	reads = types_get(t->type)->reads;
	return reads == READS_STAPLES || (reads == READS_STAPLES_WANTED && must_staple);
}

bool
deploy_wants_json(const struct target_config *t)
{
	return t != NULL && types_get(t->type)->json;
}

bool
deploy_has_files(const struct target_config *t)
{
	return t != NULL && types_get(t->type)->look != NULL;
}

int
deploy_look(const struct target_config *t, const struct deploy_subject *s, char *why,
    size_t size)
{
	return types_get(t->type)->look(t, s, why, size);
}
