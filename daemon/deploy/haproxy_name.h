/*
 * haproxy_name.h - under which names a running HAProxy may know a bundle.
 *
 * Used by haproxy_hot.c and haproxy_store.c.
 */
#ifndef HAPROXY_NAME_H
#define HAPROXY_NAME_H

#include <limits.h>
#include <stdbool.h>

#define HAPROXY_NAME_SIZE (PATH_MAX + 16)
#define HAPROXY_LIST_SIZE (PATH_MAX - 256)

/* A bundle of a certificate. */
struct haproxy_file {
	const char *certificate;
	const char *bundle_dir;
	const char
	    *bundle_path; /* of the target; NULL: bundle_dir and the flat directory
			   */
	const char *kind; /* of haproxy_kinds */
};

/* In bundle_dir. */
void haproxy_name_live(const struct haproxy_file *file, char ret[HAPROXY_NAME_SIZE]);
/* In a directory that HAProxy may read as a whole: the flat one, or bundle_path's,
 * whose name is given back, too. */
void haproxy_name_listed(const struct haproxy_file *file, char ret[HAPROXY_NAME_SIZE],
    char ret_list[HAPROXY_LIST_SIZE]);

/* Is this name a bundle's of renewd's, of whatever certificate? With a bundle_path
 * nobody knows, as others may have theirs in the same directory. */
bool haproxy_name_is_ours(const struct haproxy_file *file, const char *name);

/* Is an item of a crt-store this bundle? item: HAProxy's name for it. path: what its
 * configuration says after "crt"; "" where HAProxy doesn't tell, as an older one. A
 * path that is relative to a crt-base, which isn't told, leads to the bundle where it
 * has the certificate's name in it, and all of it is the end of the bundle's own path.
 */
bool haproxy_name_leads(
    const struct haproxy_file *file, const char *item, const char *path);

#endif
