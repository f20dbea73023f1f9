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
#include "key.h"
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

	int64_t only; /* the one to be used; 0: the CA's own */
	struct acme_key *key;
	struct acme_key *next; /* the key that it is to get, or NULL */
	int64_t id;            /* in the inventory; 0: not stored yet */
	bool committed;        /* it is on disk */
	char *url;
	char *contacts; /* as the CA has them; NULL: not known */
	enum account_state state;
	struct keyjob *keyjob;
};

int
own_account_new(const struct renewal_means *means, const struct ca_settings *settings,
    int64_t only, own_account_cb *cb, void *arg, struct own_account **ret)
{
	struct own_account *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	*a = (struct own_account){
		.means = means, .settings = settings, .only = only, .cb = cb, .arg = arg
	};
	*ret = a;
	return 0;
}

void
own_account_leave(struct own_account *a)
{
	if (a->means->store != NULL)
		store_forget(a->means->store, a);
	a->keyjob = keyjob_forget(a->keyjob);
	a->key = acme_key_free(a->key);
	a->next = acme_key_free(a->next);
	free(a->url);
	a->url = NULL;
	free(a->contacts);
	a->contacts = NULL;
	a->id = 0;
	a->committed = false;
	a->state = ACCOUNT_VALID;
}

struct own_account *
own_account_free(struct own_account *a)
{
	if (a == NULL)
		return NULL;
	own_account_leave(a);
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

/* ---- a key of one's own ---- */

/* What is wrong with the file itself is for its owner to change. */
static struct acme_result *
refuse_file(const char *path, int r)
{
	if (r == -EPROTONOSUPPORT)
		return acme_result_new(ACME_GIVE_UP, "account",
		    "account_key %s cannot be used: it must be ECDSA P-256 or P-384, "
		    "or RSA with 2048 to 4096 bits",
		    path);
	if (r == -EBADMSG)
		return acme_result_new(ACME_GIVE_UP, "account",
		    "account_key %s cannot be used: there is no private key in it that "
		    "can be read (PEM, not encrypted)",
		    path);
	return acme_result_new(ACME_RETRY, "account",
	    "account_key %s cannot be read: %s", path, strerror(-r));
}

int
own_account_read_file(const struct ca_settings *settings, struct acme_key **ret,
    struct acme_result **ret_failure)
{
	char *pem = NULL;
	size_t len = 0;
	int r;

	r = file_read(AT_FDCWD, settings->key_file, KEY_FILE_MAX, &pem, &len);
	if (r == 0)
		r = acme_key_from_pem(pem, len, ret);
	acme_wipe_free(pem, len);
	if (r < 0)
		*ret_failure = refuse_file(settings->key_file, r);
	return r;
}

/* May the key of the file become an account of its own? It must be fresh: no key is
 * shared between CAs, and none that was replaced comes back. */
static int
check_new_file(const struct own_account *a, const char *thumbprint,
    struct acme_result **ret_failure)
{
	_cleanup_(account_freep) struct account *row = NULL;
	const char *path = a->settings->key_file;
	int r;

	r = account_of_key(a->means->store, thumbprint, &row);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (strcmp(row->thumbprint, thumbprint) != 0)
		*ret_failure = acme_result_new(ACME_GIVE_UP, "account",
		    "account_key %s is a key that was replaced by a rollover, and is "
		    "not used again",
		    path);
	else if (strcasecmp(row->ca, a->settings->name) != 0 &&
	    strcmp(row->directory, a->settings->directory) != 0)
		*ret_failure = acme_result_new(ACME_GIVE_UP, "account",
		    "account_key %s is the key of the account at the CA %s: each CA "
		    "needs a key of its own",
		    path, row->ca);
	else
		return 0;
	return -EEXIST;
}

/* ---- in the inventory ---- */

/* The key of the file, where there is one, says which account. */
static int
find_row(struct own_account *a, const char *thumbprint, struct account **ret)
{
	if (a->only != 0)
		return account_get(a->means->store, a->only, ret);
	return account_find(a->means->store, a->settings->name, a->settings->directory,
	    thumbprint, ret);
}

static int
take_row(struct own_account *a, struct account *row)
{
	struct acme_key *key = NULL;
	struct acme_key *next = NULL;
	int r;

	r = acme_key_from_der(row->key.data, row->key.len, &key);
	if (r == 0 && row->next_thumbprint != NULL)
		r = acme_key_from_der(row->next_key.data, row->next_key.len, &next);
	if (r < 0) {
		acme_key_free(key);
		return r;
	}
	acme_key_free(a->key); /* that of the file may be the next one */
	a->key = key;
	a->next = next;
	a->id = row->id;
	a->committed = true;
	a->state = row->state;
	a->url = steal_ptr(row->url);
	a->contacts = steal_ptr(row->contacts);
	return 0;
}

/* The account of this key, or the newest of this CA. One that is deactivated is never
 * used again. */
static int
load(struct own_account *a, struct acme_result **ret_failure)
{
	_cleanup_(account_freep) struct account *row = NULL;
	char thumbprint[ACME_THUMBPRINT_SIZE];
	int r;

	if (a->key != NULL) {
		r = acme_key_thumbprint(a->key, thumbprint);
		if (r < 0)
			return r;
	}
	r = find_row(a, a->key != NULL ? thumbprint : NULL, &row);
	if (r == -ENOENT && a->key != NULL) {
		r = check_new_file(a, thumbprint, ret_failure);
		return r < 0 ? r : -ENOENT;
	}
	if (r < 0)
		return r;
	if (row->state != ACCOUNT_DEACTIVATED)
		return take_row(a, row);
	if (a->key == NULL && a->only == 0)
		return -ENOENT;
	*ret_failure = acme_result_new(ACME_GIVE_UP, "account",
	    "the account of the key %s is deactivated: another key is needed",
	    a->only == 0 ? a->settings->key_file : row->thumbprint);
	return -EEXIST;
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

static int
set_text(char **field, const char *text)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	if (text != NULL && copy == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int
own_account_registered(
    struct own_account *a, const char *url, const char *contacts, const char *terms)
{
	int r = set_text(&a->url, url);

	if (r == 0)
		r = set_text(&a->contacts, contacts);
	if (r < 0)
		return r;
	return account_registered(a->means->store, a->id, url, contacts, terms);
}

int
own_account_forgotten(struct own_account *a)
{
	(void)set_text(&a->url, NULL);
	return account_forgotten(a->means->store, a->id);
}

bool
own_account_contacts_differ(const struct own_account *a)
{
	const char *known = a->contacts != NULL ? a->contacts : "";

	return a->committed && a->only == 0 &&
	    strcmp(known, a->settings->contacts) != 0;
}

int
own_account_contacts_told(struct own_account *a, const char *contacts)
{
	int r = set_text(&a->contacts, contacts);

	return r < 0 ? r : account_set_contacts(a->means->store, a->id, contacts);
}

/* ---- another key ---- */

int
own_account_set_next(struct own_account *a, const struct acme_key *key)
{
	_cleanup_(account_freep) struct account *other = NULL;
	char thumbprint[ACME_THUMBPRINT_SIZE];
	struct secret secret = { 0 };
	int r;

	r = acme_key_thumbprint(key, thumbprint);
	if (r == 0)
		r = account_of_key(a->means->store, thumbprint, &other);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	r = acme_key_to_der(key, &secret.data, &secret.len);
	if (r == 0)
		r = account_set_next(a->means->store, a->id, &secret, thumbprint);
	secret_clear(&secret);
	if (r < 0)
		return r;
	acme_key_free(a->next);
	a->next = acme_key_ref(key);
	return 0;
}

int
own_account_drop_next(struct own_account *a)
{
	a->next = acme_key_free(a->next);
	return account_set_next(a->means->store, a->id, NULL, NULL);
}

int
own_account_take_next(struct own_account *a)
{
	int r = account_take_next(a->means->store, a->id, clock_now());

	if (r < 0)
		return r;
	acme_key_free(a->key);
	a->key = steal_ptr(a->next);
	return 0;
}

int
own_account_set_state(struct own_account *a, enum account_state state)
{
	int r = account_set_state(a->means->store, a->id, state, clock_now());

	if (r == 0)
		a->state = state;
	return r;
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

/* 1: it is there; -ENOENT: there is none, and a->key is the file's, if there is a file.
 */
static int
look(struct own_account *a, struct acme_result **ret_failure)
{
	int r = 0;

	if (a->committed)
		return 1;
	if (a->key == NULL && a->only == 0 && a->settings->key_file != NULL)
		r = own_account_read_file(a->settings, &a->key, ret_failure);
	if (r == -ENOENT)
		return -EIO; /* the file isn't there, which says nothing of an account
			      */
	if (r == 0)
		r = load(a, ret_failure);
	if (r < 0 && r != -ENOENT && *ret_failure == NULL)
		*ret_failure = failed("cannot load the account", r);
	if (r < 0 && r != -ENOENT) /* the file may be another the next time */
		a->key = acme_key_free(a->key);
	return r < 0 ? r : 1;
}

int
own_account_prepare(struct own_account *a, struct acme_result **ret_failure)
{
	int r;

	if (!a->committed && (a->id != 0 || a->keyjob != NULL))
		return 0;
	r = look(a, ret_failure);
	if (r != -ENOENT)
		return r;
	r = begin(a);
	if (r < 0)
		*ret_failure = failed("cannot store the account", r);
	return r;
}

bool
own_account_find(struct own_account *a)
{
	struct acme_result *failure = NULL;
	int r;

	if (!a->committed && (a->id != 0 || a->keyjob != NULL))
		return false;
	r = look(a, &failure);
	acme_result_free(failure);
	if (r == -ENOENT)
		a->key = acme_key_free(a->key);
	return r > 0;
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

const struct acme_key *
own_account_next(const struct own_account *a)
{
	return a->next;
}

enum account_state
own_account_state(const struct own_account *a)
{
	return a->state;
}
