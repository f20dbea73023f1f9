/*
 * on_disk.c - see on_disk.h. Read as a server reads, by the names alone.
 */
#include "on_disk.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scope.h"
#include "sim_ca.h"

#define PATH_SIZE 256

/* NULL: it can't be read. To be freed. */
static char *
read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	if (f == NULL)
		return NULL;
	n = getdelim(&text, &size, '\0', f);
	fclose(f);
	if (n <= 0) {
		free(text);
		return NULL;
	}
	return text;
}

static char *
read_bundle(const char *dir, size_t name, const char *file)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/live/" SIM_NAME_FORMAT "/%s", dir, name, file);
	return read_text(path);
}

bool
on_disk_there(const char *dir, size_t name)
{
	char path[PATH_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "%s/live/" SIM_NAME_FORMAT, dir, name);
	return lstat(path, &st) == 0;
}

static bool
key_fits(const char *certificate, const char *key)
{
	BIO *a = BIO_new_mem_buf(certificate, -1);
	BIO *b = BIO_new_mem_buf(key, -1);
	X509 *x = PEM_read_bio_X509(a, NULL, NULL, NULL);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
	bool fits = x != NULL && pkey != NULL && X509_check_private_key(x, pkey) == 1;

	BIO_free(a);
	BIO_free(b);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return fits;
}

/* One after the other, as HAProxy wants them. */
static bool
is_both(const char *both, const char *chain, const char *key)
{
	size_t len = strlen(chain);

	return both != NULL && strncmp(both, chain, len) == 0 &&
	    strcmp(both + len, key) == 0;
}

/* Where HAProxy's directory has the name, it leads to the same bytes. */
static bool
flat_fits(const char *dir, size_t name, const char *both)
{
	_cleanup_free_ char *flat = NULL;
	char path[PATH_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "%s/haproxy/" SIM_NAME_FORMAT ".pem", dir, name);
	if (lstat(path, &st) < 0)
		return true;
	flat = read_text(path);
	return flat != NULL && strcmp(flat, both) == 0;
}

const char *
on_disk_whole(const char *dir, size_t name, const char *chain)
{
	_cleanup_free_ char *full = read_bundle(dir, name, "fullchain.pem");
	_cleanup_free_ char *key = read_bundle(dir, name, "privkey.pem");
	_cleanup_free_ char *both = read_bundle(dir, name, "haproxy.pem");

	if (full == NULL)
		return "has no fullchain.pem";
	if (chain != NULL && strcmp(full, chain) != 0)
		return "is not what the CA issued last";
	if (key == NULL || !key_fits(full, key))
		return "has another key than the one that is served";
	if (!is_both(both, full, key))
		return "has another pair in haproxy.pem";
	return flat_fits(dir, name, both) ? NULL : "has another pair for HAProxy";
}

static char *
read_copy(const char *dir, size_t name)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/served/" SIM_NAME_FORMAT ".pem", dir, name);
	return read_text(path);
}

const char *
on_disk_copied(const char *dir, size_t name)
{
	_cleanup_free_ char *both = read_bundle(dir, name, "haproxy.pem");
	_cleanup_free_ char *copy = read_copy(dir, name);

	if (copy == NULL)
		return "was never deployed";
	return both != NULL && strcmp(copy, both) == 0 ? NULL
						       : "was not deployed at last";
}

const char *
on_disk_kept(const char *dir, size_t name, const char *newer)
{
	_cleanup_free_ char *both = read_bundle(dir, name, "haproxy.pem");
	_cleanup_free_ char *copy = read_copy(dir, name);

	if (copy == NULL)
		return NULL; /* nobody has been told of any */
	if (both == NULL)
		return "was deployed, and is gone";
	if (strcmp(both, copy) == 0 || strncmp(both, newer, strlen(newer)) == 0)
		return NULL;
	return "is older than what was deployed";
}
