/*
 * parse.c - sections to structs, row by row.
 *
 * Each function goes on after an error, so that all of them are said at once; what
 * could not be read keeps its default.
 */
#include "config/parse.h"

#include <errno.h>
#include <string.h>

#include "config/array.h"
#include "config/words.h"

static const struct built_in {
	const char *name;
	const char *directory;
	bool needs_eab; /* it registers nobody without an external account binding */
	unsigned max_requests; /* where it takes fewer than others; 0: the default */
} built_ins[] = {
	{ "letsencrypt", "https://acme-v02.api.letsencrypt.org/directory", false, 0 },
	{ "letsencrypt-staging",
	    "https://acme-staging-v02.api.letsencrypt.org/directory", false, 0 },
	{ "zerossl", "https://acme.zerossl.com/v2/DV90", true, 6 },
	{ "google", "https://dv.acme-v02.api.pki.goog/directory", true, 0 },
	{ "actalis", "https://acme-api.actalis.com/acme/directory", true, 6 },
};

struct parse
parse_begin(
    const struct config *c, const struct section *s, struct config_errors *errors)
{
	return (struct parse){
		.config = c,
		.errors = errors,
		.file = s->file,
		.line = s->line,
		.title = s->title,
	};
}

static int
parse_value(
    struct parse *p, const struct schema_key *key, const char *raw, void *object)
{
	struct words w = { 0 };
	int r = words_split(&w, raw, key->type->separators);

	p->key = key;
	if (r == 0 && w.n > 0)
		r = key->type->parse(p, &w, object);
	words_clear(&w);
	return r == -EBADMSG ? 0 : r; /* said, and kept in p->failed */
}

int
parse_row(struct parse *p, const struct section *s, const struct section *defaults,
    size_t i, void *object)
{
	const struct schema_key *key = &s->schema->keys[i];
	struct config_errors *errors = p->errors;
	int r;

	if (s->slots[i].value != NULL) {
		p->line = s->slots[i].line;
		return parse_value(p, key, s->slots[i].value, object);
	}
	if (defaults != NULL && defaults->slots[i].value != NULL) {
		p->errors = NULL; /* said where [defaults] itself was read */
		r = parse_value(p, key, defaults->slots[i].value, object);
		p->errors = errors;
		return r;
	}
	return key->standard != NULL ? parse_value(p, key, key->standard, object) : 0;
}

/* A complaint about the section as a whole, or about a key that it gives. */
static void
complain(struct parse *p, const struct section *s, const char *key, const char *what)
{
	const struct schema_key *row = key != NULL ? schema_key(s->schema, key) : NULL;

	p->key = row;
	p->line = s->line;
	if (row != NULL && s->slots[row - s->schema->keys].line != 0)
		p->line = s->slots[row - s->schema->keys].line;
	value_error(p, "%s %s", s->title, what);
}

int
parse_config(struct config *c, const struct section *s, struct config_errors *errors)
{
	struct parse p = parse_begin(c, s, errors);
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->schema->count; i++)
		r = parse_row(&p, s, NULL, i, c);
	return r < 0 ? r : p.failed ? -EBADMSG : 0;
}

/* ---- [ca] ---------------------------------------------------------------------- */

static const struct built_in *
find_built_in(const char *name)
{
	for (size_t i = 0; i < ELEMENTS(built_ins); i++)
		if (strcasecmp(built_ins[i].name, name) == 0)
			return &built_ins[i];
	return NULL;
}

static int
set_directory(struct parse *p, const struct section *s, struct ca_config *ca)
{
	const struct built_in *known = find_built_in(s->name);

	if (ca->directory != NULL)
		return 0;
	if (known != NULL) {
		ca->directory = strdup(known->directory);
		return ca->directory != NULL ? 0 : -ENOMEM;
	}
	if (!section_gives(s, "directory"))
		complain(p, s, NULL, "needs \"directory\"");
	return 0;
}

static void
check_binding(struct parse *p, const struct section *s, struct ca_config *ca)
{
	const struct built_in *known = find_built_in(s->name);
	bool kid = section_gives(s, "eab_kid");
	bool key = section_gives(s, "eab_hmac_key_file");

	if (kid && !key)
		complain(
		    p, s, "eab_kid", "has \"eab_kid\" without \"eab_hmac_key_file\"");
	if (key && !kid)
		complain(p, s, "eab_hmac_key_file",
		    "has \"eab_hmac_key_file\" without \"eab_kid\"");
	ca->needs_eab = known != NULL && known->needs_eab && !kid && !key &&
	    ca->directory != NULL && strcmp(ca->directory, known->directory) == 0;
}

/* A CA on this machine is nobody's but ours, so it has no limits but those written. */
static bool
is_own(const char *directory)
{
	static const char *const hosts[] = { "https://localhost", "https://127.",
		"https://[::1]" };

	for (size_t i = 0; directory != NULL && i < ELEMENTS(hosts); i++)
		if (strncasecmp(directory, hosts[i], strlen(hosts[i])) == 0)
			return true;
	return false;
}

static void
set_limits(const struct section *s, struct ca_config *ca)
{
	const struct built_in *known = find_built_in(s->name);
	bool own = is_own(ca->directory);

	if (known != NULL && known->max_requests > 0 &&
	    !section_gives(s, "max_requests"))
		ca->max_requests = known->max_requests;
	if (own && !section_gives(s, "max_requests"))
		ca->max_requests = 0;
	if (own && !section_gives(s, "order_interval"))
		ca->order_interval = (struct duration){ 0 };
}

int
parse_ca(const struct config *c, const struct section *s, struct ca_config *ret,
    struct config_errors *errors)
{
	struct parse p = parse_begin(c, s, errors);
	int r = 0;

	ret->name = strdup(s->name);
	if (ret->name == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < s->schema->count; i++)
		r = parse_row(&p, s, NULL, i, ret);
	if (r == 0)
		r = set_directory(&p, s, ret);
	if (r < 0)
		return r;
	check_binding(&p, s, ret);
	set_limits(s, ret);
	return p.failed ? -EBADMSG : 0;
}

static int
add_built_in(struct config *c, const struct built_in *known)
{
	struct section s;
	int r;

	for (size_t i = 0; i < c->ca_count; i++)
		if (strcasecmp(c->cas[i].name, known->name) == 0)
			return 0;
	r = array_grow(c->cas, c->ca_count);
	if (r < 0)
		return r;
	c->cas[c->ca_count] = (struct ca_config){ .built_in = true };
	section_begin(&s, &schema_sections[SECTION_CA], known->name, NULL, 0);
	return parse_ca(c, &s, &c->cas[c->ca_count++], NULL);
}

static int
compare_cas(const void *a, const void *b)
{
	return strcasecmp(
	    ((const struct ca_config *)a)->name, ((const struct ca_config *)b)->name);
}

static int
compare_targets(const void *a, const void *b)
{
	return strcasecmp(((const struct target_config *)a)->name,
	    ((const struct target_config *)b)->name);
}

int
parse_built_in(struct config *c)
{
	for (size_t i = 0; i < ELEMENTS(built_ins); i++) {
		int r = add_built_in(c, &built_ins[i]);

		if (r < 0)
			return r;
	}
	qsort(c->cas, c->ca_count, sizeof(*c->cas), compare_cas);
	if (c->target_count > 0)
		qsort(
		    c->targets, c->target_count, sizeof(*c->targets), compare_targets);
	return 0;
}

const struct ca_config *
config_ca(const struct config *c, const char *name)
{
	const struct ca_config key = { .name = (char *)name };

	if (c->ca_count == 0)
		return NULL;
	return bsearch(&key, c->cas, c->ca_count, sizeof(key), compare_cas);
}

const struct target_config *
config_target(const struct config *c, const char *name)
{
	const struct target_config key = { .name = (char *)name };

	if (c->target_count == 0)
		return NULL;
	return bsearch(&key, c->targets, c->target_count, sizeof(key), compare_targets);
}

/* ---- [deploy] ------------------------------------------------------------------ */

static const char *const type_names[] = {
	[TARGET_HAPROXY] = "haproxy",
	[TARGET_NGINX] = "nginx",
	[TARGET_SIGNAL] = "signal",
	[TARGET_EXEC] = "exec",
	[TARGET_SYSTEMD] = "systemd",
	[TARGET_DIRECTORY] = "directory",
};

static int
parse_target_row(
    struct parse *p, const struct section *s, size_t i, struct target_config *t)
{
	const struct schema_key *key = &s->schema->keys[i];
	bool foreign =
	    t->type != 0 && key->types != 0 && (key->types & TYPE_BIT(t->type)) == 0;

	if (!foreign || s->slots[i].value == NULL)
		return parse_row(p, s, NULL, i, t);
	p->key = key;
	p->line = s->slots[i].line;
	value_error(
	    p, "\"%s\" does not belong to type \"%s\"", key->name, type_names[t->type]);
	return 0;
}

/* Each file has a place of its own, and PKCS#12 a password. */
static void
check_copies(struct parse *p, const struct section *s, const struct target_config *t)
{
	const char *paths[COPY_KINDS + 1];
	size_t n = 0;

	if (t->bundle_path != NULL)
		paths[n++] = t->bundle_path;
	for (size_t i = 0; i < COPY_KINDS; i++)
		if (t->copies[i] != NULL)
			paths[n++] = t->copies[i];
	if (n == 0 && !p->failed)
		complain(p, s, NULL,
		    "needs \"fullchain_path\", \"key_path\" or another path of a file");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(paths[i], paths[k]) == 0)
				complain(p, s, NULL, "has one path for two files");
	if (t->copies[COPY_PKCS12] != NULL && !section_gives(s, "pkcs12_password_file"))
		complain(p, s, "pkcs12_path",
		    "has \"pkcs12_path\" without \"pkcs12_password_file\"");
}

static void
check_needed(struct parse *p, const struct section *s, const struct target_config *t)
{
	for (size_t i = 0; i < s->schema->count; i++) {
		const struct schema_key *key = &s->schema->keys[i];

		if ((key->needed & TYPE_BIT(t->type)) == 0 ||
		    section_gives(s, key->name))
			continue;
		p->key = key;
		p->line = s->line;
		value_error(p, "%s needs \"%s\"", s->title, key->name);
	}
	if (t->type == TARGET_HAPROXY && !section_gives(s, "socket") &&
	    !section_gives(s, "master_socket") && !section_gives(s, "unit") &&
	    !section_gives(s, "pidfile"))
		complain(p, s, NULL,
		    "needs \"socket\", \"master_socket\", \"unit\" or \"pidfile\"");
	if (t->type == TARGET_DIRECTORY)
		check_copies(p, s, t);
	if (t->type == TARGET_NGINX && !section_gives(s, "unit") &&
	    !section_gives(s, "pidfile"))
		complain(p, s, NULL, "needs \"unit\" or \"pidfile\"");
	if (t->roll_back && t->verify.n == 0)
		complain(p, s, NULL,
		    "needs \"verify\" for \"roll_back\", to see what is broken");
}

/* A pidfile's process must be the server itself. */
static int
set_process(struct target_config *t)
{
	if (t->process != NULL ||
	    (t->type != TARGET_HAPROXY && t->type != TARGET_NGINX))
		return 0;
	t->process = strdup(type_names[t->type]);
	return t->process != NULL ? 0 : -ENOMEM;
}

int
parse_target(const struct config *c, const struct section *s, struct target_config *ret,
    struct config_errors *errors)
{
	struct parse p = parse_begin(c, s, errors);
	int r = 0;

	ret->name = strdup(s->name);
	if (ret->name == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < s->schema->count; i++)
		r = parse_target_row(&p, s, i, ret);
	if (r == 0)
		r = set_process(ret);
	if (r < 0)
		return r;
	if (ret->type != 0)
		check_needed(&p, s, ret);
	else if (!section_gives(s, "type"))
		complain(&p, s, NULL, "needs \"type\"");
	return p.failed ? -EBADMSG : 0;
}

void
parse_clear(enum section_kind kind, void *object)
{
	const struct schema_section *s = &schema_sections[kind];

	for (size_t i = 0; i < s->count; i++)
		if (s->keys[i].type->clear != NULL)
			s->keys[i].type->clear(&s->keys[i], object);
}
