/*
 * said.c - a tree of the texts that were said last, by certificate and kind.
 *
 * Used by the steps of jobs. Without memory something is said twice, nothing worse.
 */
#include "renew/said.h"

#include <errno.h>
#include <search.h>
#include <string.h>

struct remark {
	int64_t certificate;
	enum said_kind kind;
	char *text;
};

struct said {
	void *root;
};

static int
compare(const void *a, const void *b)
{
	const struct remark *x = a, *y = b;

	if (x->certificate != y->certificate)
		return x->certificate < y->certificate ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static void
remark_free(void *remark)
{
	struct remark *e = remark;

	free(e->text);
	free(e);
}

int
said_new(struct said **ret)
{
	struct said *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	*ret = s;
	return 0;
}

struct said *
said_free(struct said *s)
{
	if (s == NULL)
		return NULL;
	tdestroy(s->root, remark_free);
	free(s);
	return NULL;
}

static struct remark *
find(const struct said *s, int64_t certificate, enum said_kind kind)
{
	const struct remark key = { certificate, kind, NULL };
	struct remark **found = tfind(&key, &s->root, compare);

	return found != NULL ? *found : NULL;
}

static struct remark *
add(struct said *s, int64_t certificate, enum said_kind kind)
{
	struct remark *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->certificate = certificate;
	e->kind = kind;
	if (tsearch(e, &s->root, compare) == NULL) {
		free(e);
		return NULL;
	}
	return e;
}

bool
said_before(struct said *s, int64_t certificate, enum said_kind kind, const char *text)
{
	struct remark *e = find(s, certificate, kind);

	if (e != NULL && e->text != NULL && strcmp(e->text, text) == 0)
		return true;
	if (e == NULL)
		e = add(s, certificate, kind);
	if (e != NULL) {
		free(e->text);
		e->text = strdup(text);
	}
	return false;
}

bool
said_forget(struct said *s, int64_t certificate, enum said_kind kind)
{
	struct remark *e = find(s, certificate, kind);

	if (e == NULL)
		return false;
	tdelete(e, &s->root, compare);
	remark_free(e);
	return true;
}
