/*
 * account.c - the account that renewd has at one CA: found in the inventory, or made.
 *
 * Called by ca.c, whose callback hears of what took a while. Nothing here talks to the
 * CA.
 */
#include "renew/account.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "inventory/store.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "renew/ca_settings.h"
#include "renew/keyjob.h"
#include "result.h"

#define KEY_FILE_MAX (64 * 1024)

struct own_account {
	const struct renewal_means *means;
	const struct ca_settings *settings;
	own_account_cb *cb;
	void *arg;

	struct acme_key *key;
	int64_t id;     /* in the inventory; 0: not stored yet */
	bool committed; /* it is on disk */
	char *url;
	struct keyjob *keyjob;
};

int
own_account_new(const struct renewal_means *means, const struct ca_settings *settings,
    own_account_cb *cb, void *arg, struct own_account **ret)
{
	struct own_account *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	*a = (struct own_account){
		.means = means, .settings = settings, .cb = cb, .arg = arg
	};
	*ret = a;
	return 0;
}

struct own_account *
own_account_free(struct own_account *a)
{
	if (a == NULL)
		return NULL;
	if (a->means->store != NULL)
		store_forget(a->means->store, a);
	keyjob_forget(a->keyjob);
	acme_key_free(a->key);
	free(a->url);
	free(a);
	return NULL;
}

/* ---- failures ---- */

static struct acme_result *
failed(const char *what, int r)
{
	return acme_result_new(
	    ACME_RETRY, "account", "%s: %s", what, strerror(r < 0 ? -r : r));
}

static void
tell_failure(struct own_account *a, const char *what, int r)
{
	struct acme_result *failure = failed(what, r);

	if (failure != NULL)
		a->cb(failure, a->arg);
	acme_result_free(failure);
}

/* ---- in the inventory ---- */

static int
load_key_file(struct own_account *a)
{
	char *pem = NULL;
	size_t len = 0;
	int r;

	r = file_read(AT_FDCWD, a->settings->key_file, KEY_FILE_MAX, &pem, &len);
	if (r == 0)
		r = acme_key_from_pem(pem, len, &a->key);
	acme_wipe_free(pem, len);
	return r;
}

/* The account of this key, or the newest of this CA. */
static int
load(struct own_account *a)
{
	_cleanup_(account_freep) struct account *row = NULL;
	char thumbprint[ACME_THUMBPRINT_SIZE];
	int r;

	if (a->key != NULL) {
		r = acme_key_thumbprint(a->key, thumbprint);
		if (r < 0)
			return r;
	}
	r = account_find(a->means->store, a->settings->name, a->settings->directory,
	    a->key != NULL ? thumbprint : NULL, &row);
	if (r < 0)
		return r;
	if (a->key == NULL)
		r = acme_key_from_der(row->key.data, row->key.len, &a->key);
	if (r < 0)
		return r;
	a->id = row->id;
	a->committed = true;
	a->url = steal_ptr(row->url);
	return 0;
}

static int
insert(struct own_account *a)
{
	_cleanup_(account_freep) struct account *row = calloc(1, sizeof(*row));
	char thumbprint[ACME_THUMBPRINT_SIZE];
	int r;

	if (row == NULL)
		return -ENOMEM;
	r = acme_key_thumbprint(a->key, thumbprint);
	if (r == 0)
		r = acme_key_to_der(a->key, &row->key.data, &row->key.len);
	if (r < 0)
		return r;
	row->ca = strdup(a->settings->name);
	row->directory = strdup(a->settings->directory);
	row->thumbprint = strdup(thumbprint);
	row->contacts = strdup(a->settings->contacts);
	row->created_at = clock_now();
	if (row->ca == NULL || row->directory == NULL || row->thumbprint == NULL ||
	    row->contacts == NULL)
		return -ENOMEM;
	r = account_insert(a->means->store, row);
	if (r == 0)
		a->id = row->id;
	return r;
}

int
own_account_registered(struct own_account *a, const char *url, const char *terms)
{
	a->url = strdup(url);
	if (a->url == NULL)
		return -ENOMEM;
	return account_registered(
	    a->means->store, a->id, url, a->settings->contacts, terms);
}

/* ---- what takes a while ---- */

static void
key_made_cb(struct acme_key *key, void *arg)
{
	struct own_account *a = arg;

	a->keyjob = NULL;
	a->key = key;
	if (key != NULL)
		a->cb(NULL, a->arg);
	else
		tell_failure(a, "cannot make an account key", -EIO);
}

static void
committed_cb(int r, void *arg)
{
	struct own_account *a = arg;

	if (r < 0) {
		a->id = 0;
		tell_failure(a, "cannot store the account's key", r);
		return;
	}
	a->committed = true;
	a->cb(NULL, a->arg);
}

/* There is none in the inventory: a key is made, or the one that is there stored. */
static int
begin(struct own_account *a)
{
	int r;

	if (a->key == NULL)
		return keyjob_start(a->means->worker, a->settings->key_type,
		    key_made_cb, a, &a->keyjob);
	r = insert(a);
	if (r == 0)
		r = store_after_commit(a->means->store, committed_cb, a);
	if (r < 0)
		a->id = 0;
	return r;
}

int
own_account_prepare(struct own_account *a, struct acme_result **ret_failure)
{
	int r = 0;

	if (a->committed)
		return 1;
	if (a->id != 0 || a->keyjob != NULL)
		return 0;
	if (a->key == NULL && a->settings->key_file != NULL)
		r = load_key_file(a);
	if (r < 0) {
		*ret_failure = failed(a->settings->key_file, r);
		return r;
	}
	r = load(a);
	if (r == 0)
		return 1;
	if (r == -ENOENT)
		r = begin(a);
	if (r < 0)
		*ret_failure = failed("cannot load the account", r);
	return r;
}

int64_t
own_account_id(const struct own_account *a)
{
	return a->id;
}

const struct acme_key *
own_account_key(const struct own_account *a)
{
	return a->key;
}

const char *
own_account_url(const struct own_account *a)
{
	return a->url;
}
