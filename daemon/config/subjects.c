/*
 * subjects.c - values that say what is ordered: names, keys, CAs, challenges, targets.
 *
 * References are checked against the configuration read so far, so certificates are
 * read after all sections that they may name.
 */
#include "config/values.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "config/ini.h"
#include "config/names.h"
#include "config/suggest.h"
#include "config/words.h"

/* ---- Domains ------------------------------------------------------------------ */

static int
compare_identifiers(const void *a, const void *b)
{
	const struct acme_identifier *x = *(const struct acme_identifier *const *)a;
	const struct acme_identifier *y = *(const struct acme_identifier *const *)b;

	return strcmp(x->value, y->value);
}

/* Sorted, as hundreds of names in each of thousands of certificates are normal. Those
 * that could not be read are empty. */
static int
refuse_duplicates(struct parse *p, const struct acme_identifier *ids, size_t n)
{
	_cleanup_free_ const struct acme_identifier **sorted = NULL;

	if (n < 2)
		return 0;
	sorted = calloc(n, sizeof(*sorted));
	if (sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &ids[i];
	qsort(sorted, n, sizeof(*sorted), compare_identifiers);
	for (size_t i = 1; i < n; i++)
		if (sorted[i]->value[0] != '\0' &&
		    acme_identifier_equal(sorted[i - 1], sorted[i]))
			return value_error(p, "\"%s\" has \"%s\" twice", p->key->name,
			    sorted[i]->value);
	return 0;
}

/* All that are wrong are said, not only the first. */
static int
read_identifiers(struct parse *p, const struct words *w, struct acme_identifier *ids)
{
	int result = 0;

	for (size_t i = 0; i < w->n; i++) {
		const char *why = NULL;
		int r = name_to_identifier(w->v[i], &ids[i], &why);

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			result = value_error(p, "\"%s\" is not a domain or address: %s",
			    w->v[i], why != NULL ? why : "it cannot be read");
	}
	return result;
}

static int
read_domains(struct parse *p, struct words *w, void *object)
{
	_cleanup_free_ struct acme_identifier *ids = NULL;
	struct certificate_spec *s = object;
	int r = value_check_words(p, w, false);
	int twice;

	if (r < 0)
		return r;
	ids = calloc(w->n, sizeof(*ids));
	if (ids == NULL)
		return -ENOMEM;
	r = read_identifiers(p, w, ids);
	twice = r != -ENOMEM ? refuse_duplicates(p, ids, w->n) : r;
	if (twice == -ENOMEM)
		return twice;
	/* those that could be read are looked at further, beside an error, too */
	free(s->identifiers);
	s->identifiers = steal_ptr(ids);
	s->identifier_count = w->n;
	return r < 0 ? r : twice;
}

static void
print_domains(struct buffer *out, const struct schema_key *key, const void *object)
{
	const struct certificate_spec *s = object;

	(void)key;
	for (size_t i = 0; i < s->identifier_count; i++)
		buffer_printf(out, "%s%s", i > 0 ? " " : "", s->identifiers[i].value);
}

static void
clear_domains(const struct schema_key *key, void *object)
{
	struct certificate_spec *s = object;

	(void)key;
	free(s->identifiers);
	s->identifiers = NULL;
	s->identifier_count = 0;
}

/* ---- Keys --------------------------------------------------------------------- */

#define KEY_TYPES "ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096"

static int
read_keys(struct parse *p, struct words *w, void *object)
{
	struct certificate_spec *s = object;
	enum acme_key_type keys[ELEMENTS(s->keys)] = { ACME_KEY_NONE };
	size_t rsa = 0, ecdsa = 0;
	int r = 0;

	for (size_t i = 0; r != -ENOMEM && i < w->n; i++) {
		enum acme_key_type type = acme_key_type_parse(w->v[i]);

		if (type == ACME_KEY_NONE)
			r = value_must_be(p, KEY_TYPES, w->v[i]);
		else
			++*(acme_key_type_is_rsa(type) ? &rsa : &ecdsa);
		if (i < ELEMENTS(keys))
			keys[i] = type;
	}
	if (rsa > 1 || ecdsa > 1)
		r = value_error(p, "\"%s\" may have at most one ECDSA and one RSA type",
		    p->key->name);
	if (r < 0)
		return r;
	memcpy(s->keys, keys, w->n * sizeof(keys[0]));
	s->key_count = w->n;
	return 0;
}

static void
print_keys(struct buffer *out, const struct schema_key *key, const void *object)
{
	const struct certificate_spec *s = object;

	(void)key;
	for (size_t i = 0; i < s->key_count; i++)
		buffer_printf(
		    out, "%s%s", i > 0 ? " " : "", acme_key_type_name(s->keys[i]));
}

static int
read_account_key(struct parse *p, struct words *w, void *object)
{
	struct ca_config *ca = object;
	bool is_file = strncmp(w->v[0], "file:/", 6) == 0;
	enum acme_key_type type = acme_key_type_parse(w->v[0]);
	char *path = NULL;

	if (!is_file && type == ACME_KEY_NONE)
		return value_must_be(
		    p, KEY_TYPES ", or file: and an absolute path", w->v[0]);
	if (is_file) {
		path = strdup(w->v[0] + strlen("file:"));
		if (path == NULL)
			return -ENOMEM;
		type = ACME_KEY_NONE;
	}
	free(ca->account_key_file);
	ca->account_key_file = path;
	ca->account_key = type;
	return 0;
}

static void
print_account_key(struct buffer *out, const struct schema_key *key, const void *object)
{
	const struct ca_config *ca = object;

	(void)key;
	if (ca->account_key_file != NULL) {
		buffer_puts(out, "file:");
		ini_quote(out, ca->account_key_file);
	} else {
		buffer_puts(out, acme_key_type_name(ca->account_key));
	}
}

static void
clear_account_key(const struct schema_key *key, void *object)
{
	struct ca_config *ca = object;

	(void)key;
	free(ca->account_key_file);
	ca->account_key_file = NULL;
}

/* ---- Challenges and profile ----------------------------------------------------- */

static int
read_challenges(struct parse *p, struct words *w, void *object)
{
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r != -ENOMEM && i < w->n; i++)
		if (strcmp(w->v[i], "http-01") != 0)
			r = value_error(p,
			    "challenge \"%s\" is not available in this version",
			    w->v[i]);
	return r < 0 ? r : value_take_words(p, w, object);
}

static int
read_profile(struct parse *p, struct words *w, void *object)
{
	struct certificate_spec *s = object;
	char *name = w->v[0];
	size_t len = strlen(name);
	bool insists = len > 0 && name[len - 1] == '!';

	if (insists)
		name[len - 1] = '\0';
	if (!name_is_valid(name))
		return value_must_be(p, "NAME or NAME!", name);
	s->profile_insists = insists;
	return value_take_text(p, w, object);
}

static void
print_profile(struct buffer *out, const struct schema_key *key, const void *object)
{
	const struct certificate_spec *s = object;

	value_print_text(out, key, object);
	if (s->profile_insists)
		buffer_puts(out, "!");
}

/* ---- Own keys and chains --------------------------------------------------------- */

#define TITLE_MAX 256

/* What people call something: one line. */
static int
read_title(struct parse *p, struct words *w, void *object)
{
	const unsigned char *c = (const unsigned char *)w->v[0];

	while (*c >= ' ' && *c != 0x7f)
		c++;
	if (*c != '\0')
		return value_error(p, "\"%s\" has a control character", p->key->name);
	if (strlen(w->v[0]) > TITLE_MAX)
		return value_error(
		    p, "\"%s\" has more than %d bytes", p->key->name, TITLE_MAX);
	return value_take_text(p, w, object);
}

static int
read_paths(struct parse *p, struct words *w, void *object)
{
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = value_check_path(p, w->v[i]);
	return r < 0 ? r : value_take_words(p, w, object);
}

/* ---- References ----------------------------------------------------------------- */

static int
refuse_reference(struct parse *p, const char *what, struct suggestion *s)
{
	return value_error(p, "%s refers to an unknown %s \"%s\"%s", p->title, what,
	    s->word, suggestion_text(s));
}

static int
read_cas(struct parse *p, struct words *w, void *object)
{
	const struct config *c = p->config;
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r != -ENOMEM && i < w->n; i++) {
		struct suggestion s = { .word = w->v[i] };

		if (config_ca(c, w->v[i]) != NULL)
			continue;
		for (size_t j = 0; j < c->ca_count; j++)
			suggestion_offer(&s, c->cas[j].name);
		r = refuse_reference(p, "CA", &s);
	}
	return r < 0 ? r : value_take_words(p, w, object);
}

static int
read_targets(struct parse *p, struct words *w, void *object)
{
	const struct config *c = p->config;
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r != -ENOMEM && i < w->n; i++) {
		struct suggestion s = { .word = w->v[i] };

		if (config_target(c, w->v[i]) != NULL)
			continue;
		for (size_t j = 0; j < c->target_count; j++)
			suggestion_offer(&s, c->targets[j].name);
		r = refuse_reference(p, "deploy target", &s);
	}
	return r < 0 ? r : value_take_words(p, w, object);
}

const struct value_type value_domains = { INI_LIST, read_domains, print_domains,
	clear_domains, NULL };
const struct value_type value_keys = { INI_LIST, read_keys, print_keys, NULL, NULL };
const struct value_type value_account_key = { INI_TEXT, read_account_key,
	print_account_key, clear_account_key, NULL };
const struct value_type value_challenges = { INI_LIST, read_challenges,
	value_print_words, value_clear_words, NULL };
const struct value_type value_profile = { INI_TEXT, read_profile, print_profile,
	value_clear_text, NULL };
const struct value_type value_cas = { INI_LIST, read_cas, value_print_words,
	value_clear_words, NULL };
const struct value_type value_targets = { INI_LIST, read_targets, value_print_words,
	value_clear_words, NULL };
const struct value_type value_paths = { INI_LIST, read_paths, value_print_words,
	value_clear_words, NULL };
const struct value_type value_title = { INI_TEXT, read_title, value_print_text,
	value_clear_text, NULL };
