/*
 * test_own_key.c - key_file and csr_file: what is taken, what is refused and how that
 * is said, and when a certificate has grown stale.
 */
#include "renew/own_key.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "key.h"
#include "platform/file.h"
#include "renew/due.h"
#include "suite.h"

static char dir[] = "/tmp/test_own_key.XXXXXX";
static char path[100];
static struct acme_identifier names[2];

static void
setup(void)
{
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/own.pem", dir);
	ck_assert_int_eq(acme_identifier_parse("a.example", &names[0], NULL), 0);
	ck_assert_int_eq(acme_identifier_parse("b.example", &names[1], NULL), 0);
}

static void
put(const void *data, size_t len)
{
	ck_assert_int_eq(file_replace(AT_FDCWD, path, data, len, 0600, (gid_t)-1), 0);
}

static void
put_key(const struct acme_key *key)
{
	char *pem;

	ck_assert_int_eq(acme_key_to_pem(key, &pem), 0);
	put(pem, strlen(pem));
	acme_wipe_free(pem, strlen(pem));
}

/* What reading it says; "" where it is taken. */
static const char *
read_it(struct certificate_spec *spec)
{
	static char said[500];
	_cleanup_(buffer_free) struct buffer why = { 0 };
	struct acme_key *key = NULL;
	struct acme_csr *csr = NULL;
	int r = own_key_read(spec, spec->keys[0], &key, &csr, &why);

	snprintf(said, sizeof(said), "%s", why.data != NULL ? why.data : "");
	ck_assert(r == 0 ? *said == '\0' && key != NULL : *said != '\0');
	acme_key_free(key);
	acme_csr_free(csr);
	return said;
}

#define ck_says(spec, text) ck_assert_ptr_nonnull(strstr(read_it(spec), text))

START_TEST(key_files)
{
	char *files[] = { path };
	struct certificate_spec spec = { .name = (char *)"x",
		.identifiers = names,
		.identifier_count = 2,
		.keys = { ACME_KEY_ECDSA_P256 },
		.key_count = 1,
		.key_files = { files, 1 } };
	struct acme_key *key;

	setup();
	ck_says(&spec, "No such file");
	put("x", 1);
	ck_says(&spec, "isn't a PEM private key");
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	put_key(key);
	ck_assert_str_eq(read_it(&spec), "");
	spec.keys[0] = ACME_KEY_RSA_2048;
	ck_says(&spec, "its key is ecdsa-p256, and \"keys\" says rsa-2048");
	ck_assert_ptr_nonnull(strstr(read_it(&spec), path));
	acme_key_free(key);
	unlink(path);
	rmdir(dir);
}
END_TEST

START_TEST(request_files)
{
	char *files[] = { path };
	struct certificate_spec spec = { .name = (char *)"x",
		.identifiers = names,
		.identifier_count = 2,
		.keys = { ACME_KEY_ECDSA_P256 },
		.key_count = 1,
		.csr_files = { files, 1 } };
	struct acme_key *key;

	setup();
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	for (size_t count = 1; count <= 2; count++) {
		_cleanup_free_ unsigned char *der = NULL;
		size_t len;

		ck_assert_int_eq(acme_csr_new(key, names, count, false, &der, &len), 0);
		put(der, len);
		if (count == 2)
			ck_assert_str_eq(read_it(&spec), "");
		else
			ck_says(&spec, "doesn't have all of \"domains\"");
	}
	spec.identifier_count = 1;
	ck_says(&spec, "\"domains\" lacks its name b.example");
	put("-----BEGIN ", 11);
	ck_says(&spec, "isn't a PKCS#10 request");
	put_key(key);
	ck_says(&spec, "isn't a PKCS#10 request");
	acme_key_free(key);
	unlink(path);
	rmdir(dir);
}
END_TEST

/* Another key in the file: to be ordered for anew. One that can't be read says nothing.
 */
START_TEST(what_is_stale)
{
	char *files[] = { path };
	struct words ca = { (char *[]){ (char *)"ca" }, 1 };
	struct certificate_spec spec = { .name = (char *)"x",
		.identifiers = names,
		.identifier_count = 1,
		.cas = ca,
		.keys = { ACME_KEY_ECDSA_P256 },
		.key_count = 1,
		.key_files = { files, 1 } };
	struct certificate c = { 0 };
	struct acme_key *key;
	struct acme_key *other;
	struct issued row = { .id = 1,
		.key_type = ACME_KEY_ECDSA_P256,
		.ca = (char *)"ca",
		.names = (char *)"a.example",
		.wish = (char *)"key_file\n",
		.not_before = 1000,
		.not_after = 1000000 };

	setup();
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &key), 0);
	ck_assert_int_eq(acme_key_generate(ACME_KEY_ECDSA_P256, &other), 0);
	ck_assert_int_eq(
	    acme_placeholder_new(key, names, 1, 1000, 1000, &row.chain), 0);
	own_key_compare(&spec, &row, 1);
	ck_assert(!row.stale);
	put_key(key);
	own_key_compare(&spec, &row, 1);
	ck_assert(!row.stale);
	ck_assert_int_eq(
	    due_reason(&c, &spec, "a.example", &row, 1, ACME_KEY_ECDSA_P256, 2000),
	    RENEW_NONE);
	put_key(other);
	own_key_compare(&spec, &row, 1);
	ck_assert(row.stale);
	ck_assert_int_eq(
	    due_reason(&c, &spec, "a.example", &row, 1, ACME_KEY_ECDSA_P256, 2000),
	    RENEW_CHANGED);
	acme_key_free(key);
	acme_key_free(other);
	free(row.chain);
	unlink(path);
	rmdir(dir);
}
END_TEST

/* What of a specification makes what was issued another thing, and what doesn't. */
START_TEST(what_a_change_costs)
{
	struct words ca = { (char *[]){ (char *)"ca" }, 1 };
	struct certificate c = { 0 };
	struct issued row = { .id = 1,
		.key_type = ACME_KEY_ECDSA_P256,
		.ca = (char *)"ca",
		.names = (char *)"a.example",
		.wish = (char *)"",
		.not_before = 1000,
		.not_after = 1000000 };
	struct words files = { (char *[]){ (char *)"/x" }, 1 };
	const struct certificate_spec same[] = {
		{ .placeholder = true },
		{ .bundle_mode = 0600, .bundle_group = (char *)"web" },
		{ .reuse_key = true },
		{ .drop_failed_names = true },
		{ .deploy = files },
		{ .renew_before = { .seconds = 60 } },
	};
	const struct certificate_spec others[] = {
		{ .must_staple = true },
		{ .common_name = true },
		{ .lifetime = { .seconds = 3600 } },
		{ .preferred_chain = (char *)"X" },
		{ .key_files = files },
		{ .csr_files = files },
		{ .profile = (char *)"p" },
	};

	for (size_t i = 0; i < ELEMENTS(same) + ELEMENTS(others); i++) {
		bool differs = i >= ELEMENTS(same);
		struct certificate_spec spec =
		    differs ? others[i - ELEMENTS(same)] : same[i];

		spec.cas = ca;
		spec.keys[0] = ACME_KEY_ECDSA_P256;
		spec.key_count = 1;
		row.wish = (char *)"";
		ck_assert_int_eq(due_reason(&c, &spec, "a.example", &row, 1,
				     ACME_KEY_ECDSA_P256, 2000),
		    differs ? RENEW_CHANGED : RENEW_NONE);
		/* issued by a version that didn't keep it */
		row.wish = NULL;
		if (spec.profile == NULL)
			ck_assert_int_eq(due_reason(&c, &spec, "a.example", &row, 1,
					     ACME_KEY_ECDSA_P256, 2000),
			    RENEW_NONE);
	}
}
END_TEST

SUITE("own_key", key_files, request_files, what_is_stale, what_a_change_costs)
