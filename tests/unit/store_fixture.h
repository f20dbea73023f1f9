/*
 * store_fixture.h - a database in a folder of its own, for tests of the inventory: how
 * it is kept (test_store.c), and what is in it (test_inventory.c).
 */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/inventory.h"
#include "inventory/store.h"
#include "platform/file.h"
#include "suite.h"

static char dir[] = "/tmp/renewd-inventory-XXXXXX";

static inline void
make_dir(void)
{
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline struct store *
open_store(struct event_base *base)
{
	struct store *s;
	char *why = NULL;

	ck_assert_int_eq(store_open(base, dir, &s, &why), 0);
	return s;
}

static inline int64_t
add_certificate(struct store *s, const char *name, int64_t now)
{
	int64_t id = 0;

	ck_assert_int_eq(
	    certificate_insert(s, name, ORIGIN_CONFIG, "ca = x\n", now, &id), 0);
	return id;
}

#endif
