/*
 * change.c - see change.h. The one step that readers see is the rename of a symbolic
 * link; before it everything new is on disk, and only after it anything old goes.
 *
 * The files of one certificate are fsynced one by one. For several, one syncfs() is
 * faster: it waits for what other programs have written to that disk, too, which a
 * single certificate shouldn't have to.
 */
#include "bundle/change.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "bundle/bundle_private.h"
#include "bundle/generation.h"
#include "platform/file.h"
#include "scope.h"

#define MANY 2 /* from here on one syncfs() costs less than some 6 fsyncs for each */

void
change_begin(struct change *c, struct bundles *bundles, const struct bundle *bundle)
{
	*c = (struct change){
		.bundles = bundles_ref(bundles), .bundle = bundle, .dirfd = -1
	};
}

void
change_clear(struct change *c)
{
	compose_clear(&c->files);
	closep(&c->dirfd);
	c->dirfd = -1;
	c->bundles = bundles_close(c->bundles);
}

/* ---- what is new ---- */

static int
sync_generations(struct bundles *b)
{
	int r;

	if (!atomic_exchange(&b->unsynced, false))
		return 0;
	r = file_sync_dir(b->generations, ".");
	if (r < 0)
		b->unsynced = true;
	return r;
}

static int
write_new(struct change *c, bool sync)
{
	const struct bundle *bundle = c->bundle;
	uint64_t next;
	int r;

	r = generation_write(c->dirfd, &c->files, sync && !c->files.stand_in,
	    bundle->mode, bundle->group, c->live, &next);
	if (r < 0)
		return r;
	c->next = next;
	c->made = true;
	return 0;
}

static int
prepare(struct change *c, bool sync)
{
	struct bundles *b = c->bundles;
	int r;

	r = bundles_prepare(b, c->bundle, compose_files, &c->files, &c->live);
	if (r < 0)
		return r;
	if (flat_blocked(&b->flat, c->bundle->name, &c->files))
		return -EEXIST;
	c->dirfd = bundles_open_generations(b, c->bundle->name, true);
	if (c->dirfd < 0)
		return c->dirfd;
	r = sync && !c->files.stand_in ? sync_generations(b) : 0;
	if (r == 0 && !c->files.stand_in)
		r = flat_sync(&b->flat); /* what was removed by others */
	if (r < 0)
		return r;
	if (!bundles_same(c->dirfd, c->live, c->bundle, &c->files, BUNDLE_SAME))
		return write_new(c, sync);
	if (!flat_intact(&b->flat, c->bundle->name, &c->files))
		c->next = c->live;
	return 0;
}

/* fd was opened before anything was written: only then does it tell of all errors. */
static void
sync_all(int fd, struct change *const *changes, size_t count)
{
	int r = fd < 0 || syncfs(fd) < 0 ? -errno : 0;

	for (size_t i = 0; i < count && r < 0; i++)
		if (changes[i]->made && changes[i]->r == 0)
			changes[i]->r = r;
}

void
change_prepare(struct change *const *changes, size_t count)
{
	bool many = count >= MANY;
	_cleanup_close_ int fd = -1;

	if (many)
		fd = openat(changes[0]->bundles->generations, ".",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < count; i++)
		changes[i]->r = prepare(changes[i], !many);
	if (many)
		sync_all(fd, changes, count);
}

/* ---- the switch ---- */

/* Links in the flat directory never point to nothing: one that the next generation
 * doesn't serve is gone, on disk, before the switch; a new one is made after it. */
void
change_switch(struct change *c)
{
	struct bundles *b = c->bundles;
	int r;

	if (c->r < 0 || c->abandoned || c->next == 0)
		return;
	c->switched = true;
	r = flat_remove(&b->flat, c->bundle->name, c->next);
	if (r > 0)
		r = c->files.stand_in ? 0 : flat_sync(&b->flat);
	if (r == 0)
		r = bundles_set_live(b, c->bundle->name, c->next);
	c->r = r;
}

/* After it, what leads to it is on disk. */
void
change_settle(struct change *const *changes, size_t count)
{
	struct bundles *b = count > 0 ? changes[0]->bundles : NULL;
	bool sync = false;
	int r = 0;

	for (size_t i = 0; i < count; i++)
		sync |= changes[i]->switched && !changes[i]->files.stand_in;
	if (sync)
		r = file_sync_dir(b->live, ".");
	for (size_t i = 0; i < count; i++) {
		struct change *c = changes[i];

		if (c->switched && c->r == 0)
			c->r = r;
		if (c->switched && c->r == 0)
			c->r = flat_make(&b->flat, c->bundle->name, c->next);
	}
	r = sync ? flat_sync(&b->flat) : 0;
	for (size_t i = 0; i < count; i++) {
		struct change *c = changes[i];

		if (c->switched && c->r == 0 && !c->files.stand_in)
			c->r = r;
		if (c->switched && c->made && c->r == 0)
			generation_prune(c->dirfd, c->next, c->live);
	}
}

/* ---- back ---- */

/* Each step is tried whatever came of those before, as what made the switch fail may
 * stop the same step here. */
static void
go_back(const struct change *c)
{
	struct bundles *b = c->bundles;
	const char *name = c->bundle->name;
	uint64_t now = 0;

	flat_remove(&b->flat, name, c->live);
	if (bundles_read_live(b, name, &now) < 0 || now != c->live)
		bundles_set_live(b, name, c->live);
	file_sync_dir(b->live, ".");
	flat_make(&b->flat, name, c->live);
	flat_sync(&b->flat);
	/* Only when nothing leads to it any more. */
	if (bundles_read_live(b, name, &now) == 0 && now == c->live)
		generation_remove(c->dirfd, c->next);
}

int
change_end(struct change *c)
{
	if (c->made && !c->switched)
		generation_remove(c->dirfd, c->next);
	else if (c->made && c->r < 0)
		go_back(c);
	return c->r;
}

int
bundle_write(struct bundles *b, const struct bundle *bundle)
{
	struct change c;
	struct change *const changes[] = { &c };
	int r;

	change_begin(&c, b, bundle);
	change_prepare(changes, 1);
	change_switch(&c);
	change_settle(changes, 1);
	r = change_end(&c);
	change_clear(&c);
	return r;
}
