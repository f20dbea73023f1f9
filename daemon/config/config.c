/*
 * config.c - loads the configuration: the main file, then those of conf.d
 * beside it.
 *
 * First everything is read, then references are checked, as a section may refer to one
 * in a later file. Certificates are read twice: once to their canonical text, and once,
 * when all is known, to a struct that is thrown away after its errors are said. It
 * never changes a running configuration: the caller swaps.
 */
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "config/array.h"
#include "config/load.h"
#include "config/places.h"
#include "platform/file.h"

#define FILE_MAX  (16U << 20)
#define TOTAL_MAX (256U << 20)

static void
free_loadp(struct load *l)
{
	free(l->origins);
	free(l->lines);
	free(l->defaults_lines);
	config_free(l->c);
}

struct config *
config_free(struct config *c)
{
	if (c == NULL)
		return NULL;
	parse_clear(SECTION_RENEWD, c);
	parse_clear(SECTION_CONTROL, c);
	parse_clear(SECTION_HTTP01, c);
	for (size_t i = 0; i < c->ca_count; i++) {
		parse_clear(SECTION_CA, &c->cas[i]);
		free(c->cas[i].name);
	}
	for (size_t i = 0; i < c->target_count; i++) {
		parse_clear(SECTION_DEPLOY, &c->targets[i]);
		free(c->targets[i].name);
	}
	places_clear_texts(c);
	places_free(c->places);
	free(c->cas);
	free(c->targets);
	free(c->defaults);
	free(c->path);
	free(c);
	return NULL;
}

static void
refuse_file(struct load *l, const char *path, int r)
{
	l->failed = true;
	l->unreadable = true;
	if (r == -EFBIG)
		config_errors_add(l->errors, path, 0, NULL, "larger than 16 MiB");
	else if (r == -EINVAL)
		config_errors_add(
		    l->errors, path, 0, NULL, "cannot be read: not a regular file");
	else
		config_errors_add(
		    l->errors, path, 0, NULL, "cannot be read: %s", strerror(-r));
}

/* By its name in dirfd, which is quicker where there are very many, and by its path for
 * people. Takes path over. */
static int
read_file(struct load *l, int dirfd, const char *name, char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r;

	if (path == NULL || array_grow(l->c->files, l->c->file_count) < 0) {
		free(path);
		return -ENOMEM;
	}
	l->c->files[l->c->file_count++] = path;
	l->file = path;
	r = file_read(dirfd, name, FILE_MAX, &text, &len);
	if (r == -ENOMEM)
		return r;
	if (r == 0 && len > TOTAL_MAX - l->total)
		r = -EFBIG;
	if (r < 0) {
		refuse_file(l, path, r);
		return 0;
	}
	l->total += len;
	return load_text(l, text, len);
}

static int
is_conf(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > strlen(".conf") &&
	    strcmp(entry->d_name + len - strlen(".conf"), ".conf") == 0;
}

/* By bytes, whatever the locale. */
static int
compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static char *
join(const char *directory, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* "/etc/renewd/conf.d" for "/etc/renewd/renewd.conf", "conf.d" for "renewd.conf". */
static char *
conf_d(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = NULL;
	int dir_len = slash != NULL ? (int)(slash + 1 - path) : 0;

	if (asprintf(&directory, "%.*sconf.d", dir_len, path) < 0)
		return NULL;
	return directory;
}

static int
read_directory(struct load *l)
{
	_cleanup_free_ char *directory = conf_d(l->c->path);
	struct dirent **entries = NULL;
	_cleanup_close_ int fd = -1;
	int n, r = 0;

	if (directory == NULL)
		return -ENOMEM;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = fd < 0 ? -1 : scandirat(fd, ".", &entries, is_conf, compare_entries);
	if (n < 0) {
		r = -errno;
		if (r == -ENOMEM)
			return r;
		if (r != -ENOENT)
			refuse_file(l, directory, r);
		return 0;
	}
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (r == 0)
			r = read_file(l, fd, name, join(directory, name));
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int
start(struct load *l, const char *path)
{
	static const enum section_kind kinds[] = { SECTION_RENEWD, SECTION_CONTROL,
		SECTION_HTTP01 };
	struct section s;
	int r = 0;

	l->c = calloc(1, sizeof(*l->c));
	if (l->c == NULL)
		return -ENOMEM;
	l->c->path = strdup(path);
	if (l->c->path == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < ELEMENTS(kinds); i++) {
		section_begin(&s, &schema_sections[kinds[i]], "", NULL, 0);
		r = parse_config(l->c, &s, l->errors);
	}
	return r;
}

static int
load_all(struct load *l, const char *path)
{
	int r = start(l, path);

	if (r == 0)
		r = read_file(l, AT_FDCWD, path, strdup(path));
	if (r == 0 && l->unreadable)
		return 0; /* nothing in conf.d makes sense without it */
	if (r == 0)
		r = read_directory(l);
	if (r == 0)
		r = parse_built_in(l->c);
	return r == 0 ? load_check(l) : r;
}

int
config_load(const char *path, struct config **ret, struct config_errors *errors)
{
	_cleanup_(free_loadp) struct load l = { .errors = errors };
	size_t before = errors->n;
	int r = load_all(&l, path);

	if (r == 0 && (l.failed || errors->n > before))
		r = -EBADMSG;
	if (r == -EBADMSG)
		config_errors_sort(errors, path);
	if (r == 0)
		*ret = steal_ptr(l.c);
	return r;
}
