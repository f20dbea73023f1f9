/*
 * sandbox.c - what of a configuration renewd.service's sandbox would forbid, and the
 * drop-in that allows it.
 *
 * Called for `renewd --check`. It knows what the shipped unit says (systemd/), not what
 * an administrator has made of it, so it only tells.
 */
#include "config/config.h"

#include <string.h>

#include "config/words.h"
#include "platform/paths.h"

/* Where the unit lets it write. */
static const char *const open_dirs[] = { PATHS_STATE_DIR, "/run/renewd" };

/* What else of the unit hides a place, and what shows it again. */
static const struct {
	const char *dir;
	const char *setting;
} hidden[] = {
	{ "/home", "ProtectHome=no" },
	{ "/root", "ProtectHome=no" },
	{ "/run/user", "ProtectHome=no" },
	{ "/tmp", "PrivateTmp=no" },
	{ "/var/tmp", "PrivateTmp=no" },
};

static bool
is_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool
may_write(const char *dir)
{
	for (size_t i = 0; i < ELEMENTS(open_dirs); i++)
		if (is_in(dir, open_dirs[i]))
			return true;
	return false;
}

static bool
holds(const struct words *dirs, const char *dir)
{
	for (size_t i = 0; i < dirs->n; i++)
		if (strcmp(dirs->v[i], dir) == 0)
			return true;
	return false;
}

/* Takes over the text. */
static void
note(struct words *dirs, char *dir)
{
	char **v;

	if (dir == NULL || may_write(dir) || holds(dirs, dir)) {
		free(dir);
		return;
	}
	v = reallocarray(dirs->v, dirs->n + 1, sizeof(*v));
	if (v == NULL) {
		free(dir);
		return;
	}
	dirs->v = v;
	dirs->v[dirs->n++] = dir;
}

static void
note_dir(struct words *dirs, const char *path)
{
	if (path != NULL)
		note(dirs, strdup(path));
}

/* The directory of a file, as far as it is the same for all certificates. */
static void
note_file(struct words *dirs, const char *path)
{
	size_t len = path != NULL ? strcspn(path, "{") : 0;

	while (len > 1 && path[len - 1] != '/')
		len--;
	if (len > 0)
		note(dirs, strndup(path, len > 1 ? len - 1 : 1));
}

static void
note_targets(struct words *dirs, const struct config *c)
{
	for (size_t i = 0; i < c->target_count; i++) {
		const struct target_config *t = &c->targets[i];

		note_file(dirs, t->bundle_path);
		for (size_t k = 0; k < COPY_KINDS; k++)
			note_file(dirs, t->copies[k]);
	}
}

static void
print_hidden(const struct words *dirs, FILE *out)
{
	const char *said = "";

	for (size_t i = 0; i < ELEMENTS(hidden); i++)
		for (size_t k = 0; k < dirs->n; k++)
			if (is_in(dirs->v[k], hidden[i].dir) &&
			    strcmp(said, hidden[i].setting) != 0) {
				said = hidden[i].setting;
				fprintf(out, "%s\n", said);
			}
}

void
config_print_sandbox(const struct config *c, FILE *out)
{
	_cleanup_(words_clear) struct words dirs = { 0 };

	note_dir(&dirs, c->renewd.state_dir);
	/* beside it is HAProxy's */
	note_file(&dirs, c->renewd.bundle_dir);
	note_file(&dirs, c->control.socket);
	note_targets(&dirs, c);
	if (dirs.n == 0)
		return;
	fputs(
	    "note: renewd.service, as it is installed, may not write to what follows;\n"
	    "\"systemctl edit renewd\" and these lines allow it:\n[Service]\n",
	    out);
	for (size_t i = 0; i < dirs.n; i++)
		fprintf(out, "ReadWritePaths=-%s\n", dirs.v[i]);
	print_hidden(&dirs, out);
}
