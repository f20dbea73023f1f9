/*
 * patience.c - see patience.h. Each first look that finds it ready makes the next one
 * a little earlier, one that doesn't twice as late: one look in twenty is too early.
 */
#include "patience.h"

#include <stdatomic.h>
#include <stdlib.h>

#define LEAST_MS 20
#define MOST_MS  10000
#define EARLIER  32 /* by this part of it */

/* Before anything was learned. */
static const int64_t at_first[PATIENCE_COUNT] = {
	[PATIENCE_VALIDATION] = 150,
	[PATIENCE_ISSUE] = 500,
};

/* A session's flows may live in several threads; which of two lessons counts is all
 * one. */
struct patience {
	_Atomic int64_t ms[PATIENCE_COUNT];
	atomic_uint owners;
};

struct patience *
patience_new(void)
{
	struct patience *p = calloc(1, sizeof(*p));

	for (size_t i = 0; p != NULL && i < PATIENCE_COUNT; i++)
		atomic_init(&p->ms[i], at_first[i]);
	if (p != NULL)
		atomic_init(&p->owners, 1);
	return p;
}

struct patience *
patience_ref(struct patience *p)
{
	if (p != NULL)
		atomic_fetch_add(&p->owners, 1);
	return p;
}

struct patience *
patience_free(struct patience *p)
{
	if (p != NULL && atomic_fetch_sub(&p->owners, 1) == 1)
		free(p);
	return NULL;
}

int64_t
patience_ms(const struct patience *p, enum patience_for what)
{
	return p != NULL ? p->ms[what] : at_first[what];
}

void
patience_learn(struct patience *p, enum patience_for what, bool ready)
{
	int64_t ms;

	if (p == NULL)
		return;
	ms = p->ms[what];
	ms = ready ? ms - (ms + EARLIER - 1) / EARLIER : ms * 2;
	if (ms < LEAST_MS)
		ms = LEAST_MS;
	p->ms[what] = ms < MOST_MS ? ms : MOST_MS;
}
