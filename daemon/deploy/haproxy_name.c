/*
 * haproxy_name.c - under which names a running HAProxy may know a bundle: paths, as in
 * its configuration, or items of its crt-stores, which have a path.
 *
 * Called by haproxy_hot.c and haproxy_store.c. It must never look at the file system:
 * what counts is how HAProxy's configuration names a file.
 */
#include "deploy/haproxy_name.h"

#include <stdio.h>
#include <string.h>

#include "deploy/haproxy_copy.h"

void
haproxy_name_live(const struct haproxy_file *file, char ret[HAPROXY_NAME_SIZE])
{
	snprintf(ret, HAPROXY_NAME_SIZE, "%.4000s/haproxy.pem%s", file->bundle_dir,
	    file->kind);
}

/* bundle_dir/../haproxy, which stands beside all certificates' directories. */
static void
name_flat(const struct haproxy_file *file, char ret[HAPROXY_LIST_SIZE])
{
	const char *dir = file->bundle_dir;
	size_t len = strlen(dir);

	for (int up = 0; up < 2; up++)
		while (len > 0 && dir[--len] != '/')
			;
	snprintf(ret, HAPROXY_LIST_SIZE, "%.*s/haproxy", (int)len, dir);
}

/* Where the target says under which path HAProxy knows it, there is no other. */
static void
name_given(const struct haproxy_file *file, char ret[HAPROXY_NAME_SIZE],
    char ret_list[HAPROXY_LIST_SIZE])
{
	char name[HAPROXY_LIST_SIZE] = "";
	const char *slash;

	(void)haproxy_copy_name(
	    file->bundle_path, file->certificate, name, sizeof(name));
	slash = strrchr(name, '/');
	snprintf(ret, HAPROXY_NAME_SIZE, "%s%s", name, file->kind);
	snprintf(ret_list, HAPROXY_LIST_SIZE, "%.*s",
	    slash != NULL ? (int)(slash - name) : 0, name);
}

void
haproxy_name_listed(const struct haproxy_file *file, char ret[HAPROXY_NAME_SIZE],
    char ret_list[HAPROXY_LIST_SIZE])
{
	if (file->bundle_path != NULL) {
		name_given(file, ret, ret_list);
		return;
	}
	name_flat(file, ret_list);
	snprintf(ret, HAPROXY_NAME_SIZE, "%s/%.200s.pem%s", ret_list, file->certificate,
	    file->kind);
}

static bool
is_below(const char *name, const char *dir, size_t len)
{
	return strncmp(name, dir, len) == 0 && name[len] == '/';
}

bool
haproxy_name_is_ours(const struct haproxy_file *file, const char *name)
{
	const char *slash = strrchr(file->bundle_dir, '/');
	char flat[HAPROXY_LIST_SIZE];

	if (file->bundle_path != NULL || slash == NULL)
		return false;
	name_flat(file, flat);
	return is_below(name, flat, strlen(flat)) ||
	    is_below(name, file->bundle_dir, (size_t)(slash - file->bundle_dir));
}

/* ---- items of crt-stores ---- */

/* A path of the bundle's, and where in it the component with its name begins. */
struct own {
	char path[HAPROXY_NAME_SIZE];
	size_t name;
};

static size_t
begin_of_component(const char *path, size_t at)
{
	while (at > 0 && path[at - 1] != '/')
		at--;
	return at;
}

static bool
is_end(const struct own *own, const char *relative)
{
	size_t len, own_len = strlen(own->path);

	if (strncmp(relative, "./", 2) == 0)
		relative += 2;
	len = strlen(relative);
	return len < own_len && own->path[own_len - len - 1] == '/' &&
	    own_len - len <= own->name &&
	    strcmp(own->path + own_len - len, relative) == 0;
}

/* An item without an alias is named by its path, of which a leading '/' is lost. */
static bool
is_item(const struct own *own, const char *item)
{
	const char *slash = strchr(item, '/');

	if (*item != '@')
		return is_end(own, item);
	return slash != NULL &&
	    (strcmp(slash, own->path) == 0 || is_end(own, slash + 1));
}

static bool
leads_to(const struct own *own, const char *item, const char *path)
{
	if (*path == '\0')
		return is_item(own, item);
	return *path == '/' ? strcmp(path, own->path) == 0 : is_end(own, path);
}

static void
own_listed(const struct haproxy_file *file, struct own *ret)
{
	char list[HAPROXY_LIST_SIZE];
	const char *given = file->bundle_path;

	haproxy_name_listed(file, ret->path, list);
	ret->name = given != NULL ? (size_t)(strstr(given, "{name}") - given)
				  : strlen(list) + 1;
	if (ret->name > strlen(ret->path))
		ret->name = strlen(ret->path); /* too long a path: no name at all */
	ret->name = begin_of_component(ret->path, ret->name);
}

bool
haproxy_name_leads(const struct haproxy_file *file, const char *item, const char *path)
{
	struct own own;

	own_listed(file, &own);
	if (leads_to(&own, item, path) || file->bundle_path != NULL)
		return leads_to(&own, item, path);
	own.name = begin_of_component(file->bundle_dir, strlen(file->bundle_dir));
	haproxy_name_live(file, own.path);
	if (leads_to(&own, item, path))
		return true;
	snprintf(own.path, sizeof(own.path), "%.4000s/fullchain%s.pem",
	    file->bundle_dir, file->kind); /* with its key in another file */
	return leads_to(&own, item, path);
}
