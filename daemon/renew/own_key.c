/*
 * own_key.c - reads key_file and csr_file; see own_key.h.
 *
 * What they hold comes from outside, and is checked before anything is made of it. A
 * key passes through memory and is wiped.
 */
#include "renew/own_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "buffer.h"
#include "cert.h"
#include "key.h"
#include "platform/file.h"
#include "platform/log.h"
#include "renew/due.h"

#define FILE_MAX (64 * 1024)

DEFINE_CLEANUP(struct acme_csr, acme_csr_free)

bool
own_key_wanted(const struct certificate_spec *spec)
{
	return spec->key_files.n > 0 || spec->csr_files.n > 0;
}

/* The file for this type, in the order of keys; NULL: there is none. */
static const char *
find(const struct certificate_spec *spec, const struct words *files,
    enum acme_key_type type)
{
	for (size_t k = 0; k < spec->key_count && k < files->n; k++)
		if (spec->keys[k] == type)
			return files->v[k];
	return NULL;
}

static int
explain(struct buffer *why, const char *key, const char *path, const char *text, int r)
{
	buffer_printf(why, "%s %s: %s", key, path, text);
	return r;
}

static int
check_type(struct buffer *why, const char *what, const char *path,
    const struct acme_key *key, enum acme_key_type type)
{
	if (acme_key_get_type(key) == type)
		return 0;
	buffer_printf(why, "%s %s: its key is %s, and \"keys\" says %s", what, path,
	    acme_key_type_name(acme_key_get_type(key)), acme_key_type_name(type));
	return -EKEYREJECTED;
}

/* ---- key_file ---- */

void
own_key_warn(const struct certificate_spec *spec, enum acme_key_type type)
{
	const char *path = find(spec, &spec->key_files, type);
	struct stat st;

	if (path != NULL && stat(path, &st) == 0 &&
	    (st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		log_line(LOG_WARNING, &(struct log_fields){ .certificate = spec->name },
		    "key_file %s has mode %04o: others may read or change the key",
		    path, (unsigned)st.st_mode & 07777);
}

static const char *
pem_problem(int r)
{
	switch (r) {
	case -EBADMSG:
		return "it isn't a PEM private key without a passphrase, or its halves "
		       "don't match";
	case -EPROTONOSUPPORT:
		return "its key is of a kind or size that isn't supported";
	default:
		return strerror(-r);
	}
}

static int
read_key(const char *path, enum acme_key_type type, struct acme_key **ret,
    struct buffer *why)
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	char *pem = NULL;
	size_t len = 0;
	int r;

	r = file_read(AT_FDCWD, path, FILE_MAX, &pem, &len);
	if (r < 0)
		return explain(why, "key_file", path, strerror(-r), r);
	r = acme_key_from_pem(pem, len, &key);
	acme_wipe_free(pem, len);
	if (r < 0)
		return explain(why, "key_file", path, pem_problem(r), r);
	r = check_type(why, "key_file", path, key, type);
	if (r < 0)
		return r;
	*ret = steal_ptr(key);
	return 0;
}

/* ---- csr_file ---- */

static bool
has_name(const struct certificate_spec *spec, const struct acme_identifier *name)
{
	for (size_t i = 0; i < spec->identifier_count; i++)
		if (acme_identifier_equal(&spec->identifiers[i], name))
			return true;
	return false;
}

/* RFC 8555 section 7.4: a request names what was ordered, no more and no less. Neither
 * list has anything twice. */
static int
check_names(const struct certificate_spec *spec, const struct acme_csr *csr,
    const char *path, struct buffer *why)
{
	size_t count;
	const struct acme_identifier *names = acme_csr_identifiers(csr, &count);

	for (size_t i = 0; i < count; i++)
		if (!has_name(spec, &names[i])) {
			buffer_printf(why, "csr_file %s: \"domains\" lacks its name %s",
			    path, names[i].value);
			return -EKEYREJECTED;
		}
	if (count == spec->identifier_count)
		return 0;
	return explain(
	    why, "csr_file", path, "it doesn't have all of \"domains\"", -EKEYREJECTED);
}

static int
read_request(const struct certificate_spec *spec, const char *path,
    enum acme_key_type type, struct acme_csr **ret, struct buffer *why)
{
	_cleanup_(acme_csr_freep) struct acme_csr *csr = NULL;
	_cleanup_free_ char *data = NULL;
	const char *what = NULL;
	size_t len = 0;
	int r;

	r = file_read(AT_FDCWD, path, FILE_MAX, &data, &len);
	if (r < 0)
		return explain(why, "csr_file", path, strerror(-r), r);
	r = acme_csr_read(data, len, &csr, &what);
	if (r < 0)
		return explain(
		    why, "csr_file", path, what != NULL ? what : strerror(-r), r);
	r = check_type(why, "csr_file", path, acme_csr_key(csr), type);
	if (r == 0)
		r = check_names(spec, csr, path, why);
	if (r < 0)
		return r;
	*ret = steal_ptr(csr);
	return 0;
}

/* ---- both ---- */

int
own_key_read(const struct certificate_spec *spec, enum acme_key_type type,
    struct acme_key **ret_key, struct acme_csr **ret_csr, struct buffer *why)
{
	const char *path = find(spec, &spec->csr_files, type);
	int r;

	if (path == NULL) {
		*ret_csr = NULL;
		path = find(spec, &spec->key_files, type);
		return path != NULL ? read_key(path, type, ret_key, why) : -ENOENT;
	}
	r = read_request(spec, path, type, ret_csr, why);
	if (r == 0)
		*ret_key = acme_key_ref(acme_csr_key(*ret_csr));
	return r;
}

static bool
is_other(const struct certificate_spec *spec, const struct issued *row,
    enum acme_key_type type)
{
	_cleanup_(acme_chain_freep) struct acme_chain *chain = NULL;
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	_cleanup_(acme_csr_freep) struct acme_csr *csr = NULL;
	_cleanup_(buffer_free) struct buffer why = { 0 };

	return own_key_read(spec, type, &key, &csr, &why) == 0 &&
	    acme_chain_parse(row->chain, strlen(row->chain), &chain, NULL) == 0 &&
	    !cert_is_for(chain, key);
}

void
own_key_compare(const struct certificate_spec *spec, struct issued *rows, size_t count)
{
	for (size_t k = 0; own_key_wanted(spec) && k < spec->key_count; k++)
		for (size_t i = 0; i < count; i++)
			if (&rows[i] == due_find(rows, count, spec->keys[k]) &&
			    rows[i].chain != NULL)
				rows[i].stale = is_other(spec, &rows[i], spec->keys[k]);
}
