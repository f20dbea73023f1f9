/*
 * certificate.c - a [certificate] section, from a file or from the inventory, to what
 * is to be ordered.
 *
 * The same rows and the same errors for both. [defaults] and the rest of the
 * configuration are taken as they are at the moment of the call.
 */
#include "config/parse.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "config/array.h"
#include "config/ini.h"
#include "config/names.h"
#include "config/words.h"

/* For errors about a key: where it stands, or the section where it does not. */
static void
point_at(struct parse *p, const struct section *s, const char *key)
{
	const struct schema_key *row = schema_key(s->schema, key);
	const struct slot *slot = &s->slots[row - s->schema->keys];

	p->key = row;
	p->line = slot->line != 0 ? slot->line : s->line;
}

static int
take_name_as_domain(
    struct parse *p, const struct section *s, struct certificate_spec *spec)
{
	const char *why = NULL;
	int r;

	if (!name_is_valid(s->name))
		return 0; /* said where the section begins */
	spec->identifiers = calloc(1, sizeof(*spec->identifiers));
	if (spec->identifiers == NULL)
		return -ENOMEM;
	r = name_to_identifier(s->name, spec->identifiers, &why);
	if (r == -ENOMEM)
		return r;
	if (r == 0) {
		spec->identifier_count = 1;
		return 0;
	}
	point_at(p, s, "domains");
	value_error(p, "%s has no \"domains\", and its name is not a domain: %s",
	    s->title, why != NULL ? why : "it cannot be read");
	return 0;
}

/* The one [ca] that is written; *ret_count says how many there are. One that is written
 * twice, an error of its own, counts once: they stand side by side. */
static const struct ca_config *
only_ca(const struct config *c, size_t *ret_count)
{
	const struct ca_config *only = NULL;

	*ret_count = 0;
	for (size_t i = 0; i < c->ca_count; i++) {
		if (c->cas[i].built_in ||
		    (only != NULL && strcasecmp(only->name, c->cas[i].name) == 0))
			continue;
		only = &c->cas[i];
		++*ret_count;
	}
	return only;
}

static int
take_only_ca(struct parse *p, const struct section *s, struct certificate_spec *spec)
{
	size_t count;
	const struct ca_config *ca = only_ca(p->config, &count);

	if (count == 1)
		return words_split(&spec->cas, ca->name, " ");
	if (s->schema == &schema_sections[SECTION_DEFAULTS])
		return 0;
	point_at(p, s, "ca");
	value_error(p, "%s has no \"ca\", and %s [ca] section is written", s->title,
	    count == 0 ? "no" : "more than one");
	return 0;
}

static void
check_wildcards(
    struct parse *p, const struct section *s, const struct certificate_spec *spec)
{
	for (size_t i = 0; i < spec->identifier_count; i++) {
		if (strncmp(spec->identifiers[i].value, "*.", 2) != 0)
			continue;
		point_at(p, s, "domains");
		value_error(p,
		    "\"%s\" needs a dns challenge; this version has http-01 only",
		    spec->identifiers[i].value);
	}
}

/* RFC 5280 appendix A.1: ub-common-name */
#define COMMON_NAME_MAX 64

static void
check_common_name(
    struct parse *p, const struct section *s, const struct certificate_spec *spec)
{
	size_t i = 0;

	if (!spec->common_name || spec->identifier_count == 0)
		return;
	while (i < spec->identifier_count &&
	    spec->identifiers[i].type != ACME_IDENTIFIER_DNS)
		i++;
	point_at(p, s, "common_name");
	if (i == spec->identifier_count)
		value_error(
		    p, "%s has addresses only, which can't be a common name", s->title);
	else if (strlen(spec->identifiers[i].value) > COMMON_NAME_MAX)
		value_error(p,
		    "\"%s\" has %zu characters, and a common name 64 at most: put a "
		    "shorter name first, or \"common_name = no\"",
		    spec->identifiers[i].value, strlen(spec->identifiers[i].value));
}

/* Files for some of the keys would leave open who makes the others. */
static void
check_files(struct parse *p, const struct section *s, const char *key,
    const struct words *files, size_t key_count)
{
	if (files->n == 0 || files->n == key_count)
		return;
	point_at(p, s, key);
	value_error(p, "\"%s\" needs one file for each of \"keys\": %zu, not %zu", key,
	    key_count, files->n);
}

/* A request made elsewhere is what it is. */
static void
check_request(
    struct parse *p, const struct section *s, const struct certificate_spec *spec)
{
	const struct {
		const char *key;
		bool given;
	} foreign[] = {
		{ "key_file", spec->key_files.n > 0 },
		{ "reuse_key", spec->reuse_key },
		{ "must_staple", spec->must_staple },
		{ "common_name", spec->common_name },
		{ "drop_failed_names", spec->drop_failed_names },
	};

	for (size_t i = 0; spec->csr_files.n > 0 && i < ELEMENTS(foreign); i++) {
		if (!foreign[i].given)
			continue;
		point_at(p, s, foreign[i].key);
		value_error(p, "\"%s\" can't be had with \"csr_file\"", foreign[i].key);
	}
}

static void
refuse_in_defaults(struct parse *p, const struct section *s, const char *key)
{
	if (!section_gives(s, key))
		return;
	point_at(p, s, key);
	value_error(p, "\"%s\" does not belong in [defaults]", key);
}

static void
check_wishes(
    struct parse *p, const struct section *s, const struct certificate_spec *spec)
{
	check_wildcards(p, s, spec);
	check_common_name(p, s, spec);
	check_files(p, s, "key_file", &spec->key_files, spec->key_count);
	check_files(p, s, "csr_file", &spec->csr_files, spec->key_count);
	check_request(p, s, spec);
}

static int
start_spec(const struct config *c, const char *name, struct certificate_spec **ret)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec =
	    calloc(1, sizeof(*spec));

	if (spec == NULL)
		return -ENOMEM;
	spec->bundle_mode = c->renewd.bundle_mode;
	spec->name = strdup(name);
	if (spec->name == NULL)
		return -ENOMEM;
	if (c->renewd.bundle_group != NULL) {
		spec->bundle_group = strdup(c->renewd.bundle_group);
		if (spec->bundle_group == NULL)
			return -ENOMEM;
	}
	*ret = steal_ptr(spec);
	return 0;
}

static int
parse_rows(struct parse *p, const struct section *s, const struct section *defaults,
    struct certificate_spec *spec)
{
	for (size_t i = 0; i < s->schema->count; i++) {
		bool domains = s->schema->keys[i].type == &value_domains;
		int r = parse_row(p, s, domains ? NULL : defaults, i, spec);

		if (r < 0)
			return r;
	}
	return 0;
}

/* What makes rows a certificate. */
static int
complete(struct parse *p, const struct section *s, const struct section *defaults,
    struct certificate_spec *spec)
{
	bool is_defaults = s->schema == &schema_sections[SECTION_DEFAULTS];
	int r = 0;

	if (!section_gives(s, "ca") &&
	    (defaults == NULL || !section_gives(defaults, "ca")))
		r = take_only_ca(p, s, spec);
	if (r == 0 && !is_defaults && !section_gives(s, "domains"))
		r = take_name_as_domain(p, s, spec);
	if (r < 0)
		return r;
	if (is_defaults) {
		refuse_in_defaults(p, s, "domains");
		refuse_in_defaults(p, s, "key_file");
		refuse_in_defaults(p, s, "csr_file");
	} else {
		check_wishes(p, s, spec);
	}
	return 0;
}

int
parse_certificate(const struct config *c, const struct section *s,
    const struct section *defaults, struct certificate_spec **ret,
    struct config_errors *errors)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	struct parse p = parse_begin(c, s, errors);
	int r = start_spec(c, s->name, &spec);

	if (r == 0)
		r = parse_rows(&p, s, defaults, spec);
	if (r == 0)
		r = complete(&p, s, defaults, spec);
	if (r < 0)
		return r;
	if (p.failed)
		return -EBADMSG;
	*ret = steal_ptr(spec);
	return 0;
}

int
parse_cas(const struct config *c, const struct section *s,
    const struct section *defaults, struct words *ret)
{
	const char *raw = section_value(s, "ca");
	const struct ca_config *only;
	size_t count;

	if (raw == NULL && !section_gives(s, "ca") && defaults != NULL)
		raw = section_value(defaults, "ca");
	if (raw != NULL)
		return words_split(ret, raw, INI_LIST);
	only = only_ca(c, &count);
	if (count != 1 || section_gives(s, "ca") ||
	    (defaults != NULL && section_gives(defaults, "ca")))
		return 0;
	return words_split(ret, only->name, " ");
}

static const char *const needs[PARSE_NEEDS] = {
	"accept_terms = yes: renewd never agrees to a CA's terms by itself",
	"eab_kid and eab_hmac_key_file: this CA registers no account without an external "
	"account binding",
};

static bool
lacks(const struct ca_config *ca, size_t need)
{
	return need == 0 ? !ca->accept_terms : ca->needs_eab;
}

const struct ca_config *
parse_ca_lacks(const struct config *c, const struct words *cas, size_t *i,
    size_t *ret_need, const char **ret_what)
{
	while (*i < cas->n * PARSE_NEEDS) {
		const struct ca_config *ca = config_ca(c, cas->v[*i / PARSE_NEEDS]);
		size_t need = (*i)++ % PARSE_NEEDS;

		if (ca == NULL || !lacks(ca, need))
			continue;
		*ret_need = need;
		*ret_what = needs[need];
		return ca;
	}
	return NULL;
}

static int
check_cas(const struct config *c, const struct section *s,
    const struct section *defaults, struct config_errors *errors)
{
	_cleanup_(words_clear) struct words cas = { 0 };
	const struct ca_config *ca;
	const char *what;
	size_t need;
	size_t i = 0;
	int r = parse_cas(c, s, defaults, &cas);

	while (
	    r != -ENOMEM && (ca = parse_ca_lacks(c, &cas, &i, &need, &what)) != NULL) {
		config_errors_add(errors, NULL, 0, "ca", CA_LACKS, ca->name, what);
		r = -EBADMSG;
	}
	return r;
}

/* A text with [defaults] of the moment. Both texts are overwritten. */
static int
parse_text(const struct config *c, const char *name, char *text, char *defaults_text,
    struct certificate_spec **ret, struct config_errors *errors)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	struct section s, defaults;
	size_t before = errors->n;
	int r, lacks;

	section_begin(&defaults, &schema_sections[SECTION_DEFAULTS], "", NULL, 0);
	section_read(&defaults, defaults_text, NULL, errors);
	section_begin(&s, &schema_sections[SECTION_CERTIFICATE], name, NULL, 0);
	section_read(&s, text, NULL, errors);
	r = parse_certificate(c, &s, &defaults, &spec, errors);
	lacks = check_cas(c, &s, &defaults, errors);
	if (r == 0)
		r = lacks;
	if (r == 0 && errors->n > before)
		r = -EBADMSG;
	if (r == 0)
		*ret = steal_ptr(spec);
	return r;
}

int
certificate_spec_parse(const struct config *c, const char *name, const char *text,
    struct certificate_spec **ret, struct config_errors *errors)
{
	_cleanup_free_ char *defaults = strdup(c->defaults != NULL ? c->defaults : "");
	_cleanup_free_ char *copy = strdup(text);

	if (copy == NULL || defaults == NULL)
		return -ENOMEM;
	if (!name_is_valid(name)) {
		config_errors_add(errors, NULL, 0, "name", NAME_REFUSED, name);
		return -EBADMSG;
	}
	return parse_text(c, name, copy, defaults, ret, errors);
}

struct certificate_spec *
certificate_spec_free(struct certificate_spec *s)
{
	if (s == NULL)
		return NULL;
	parse_clear(SECTION_CERTIFICATE, s);
	free(s->name);
	free(s);
	return NULL;
}

char *
certificate_spec_domains(const struct certificate_spec *s, char separator)
{
	_cleanup_(buffer_free) struct buffer out = { 0 };
	char *text = NULL;

	for (size_t i = 0; i < s->identifier_count; i++) {
		if (i > 0)
			buffer_add(&out, &separator, 1);
		buffer_puts(&out, s->identifiers[i].value);
	}
	return buffer_steal(&out, &text, NULL) == 0 ? text : NULL;
}
