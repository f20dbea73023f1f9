/*
 * check.c - what can be checked only when all files are read: duplicates, references,
 * and each certificate as a whole.
 *
 * Called by config.c, once. Everything is sorted or looked up, as there may be very
 * many certificates.
 */
#include "config/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/words.h"

/* In reading order where they are the same: files are read main first, then by name. */
static int
compare_origins(const void *a, const void *b)
{
	const struct origin *x = *(const struct origin *const *)a;
	const struct origin *y = *(const struct origin *const *)b;
	int r = (int)x->kind - (int)y->kind;

	if (r == 0)
		r = strcasecmp(x->name, y->name);
	if (r == 0)
		r = x < y ? -1 : x > y;
	return r;
}

static void
refuse_duplicate(struct load *l, const struct origin *o, const struct origin *first)
{
	const char *kind = schema_sections[o->kind].kind;

	l->failed = true;
	config_errors_add(l->errors, o->file, o->line, NULL,
	    "duplicate section [%s%s%s]; the first is at %s:%u", kind,
	    *o->name != '\0' ? " " : "", o->name, first->file, first->line);
}

static int
check_duplicates(struct load *l)
{
	_cleanup_free_ const struct origin **sorted = NULL;
	const struct origin *first = NULL;

	if (l->origin_count < 2)
		return 0;
	sorted = calloc(l->origin_count, sizeof(*sorted));
	if (sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < l->origin_count; i++)
		sorted[i] = &l->origins[i];
	qsort(sorted, l->origin_count, sizeof(*sorted), compare_origins);
	for (size_t i = 0; i < l->origin_count; i++) {
		const struct origin *o = sorted[i];

		if (first != NULL && first->kind == o->kind &&
		    strcasecmp(first->name, o->name) == 0)
			refuse_duplicate(l, o, first);
		else
			first = o;
	}
	return 0;
}

static const struct origin *
find_origin(const struct load *l, enum section_kind kind, const char *name)
{
	for (size_t i = 0; i < l->origin_count; i++)
		if (l->origins[i].kind == kind &&
		    strcasecmp(l->origins[i].name, name) == 0)
			return &l->origins[i];
	return NULL;
}

/* Written twice, and said so: which of them is meant nobody knows. */
static bool
is_doubled(const struct config *c, const struct ca_config *ca)
{
	size_t i = (size_t)(ca - c->cas);

	return (i > 0 && strcasecmp(ca[-1].name, ca->name) == 0) ||
	    (i + 1 < c->ca_count && strcasecmp(ca[1].name, ca->name) == 0);
}

/* Once for each CA, where it is written, or where it is used without being written. */
static int
check_cas(struct load *l, const struct certificate_text *text, const struct section *s,
    const struct section *defaults, bool *said)
{
	_cleanup_(words_clear) struct words cas = { 0 };
	const struct ca_config *ca;
	const char *what;
	size_t need;
	size_t i = 0;
	int r = parse_cas(l->c, s, defaults, &cas);

	while (r == 0 && (ca = parse_ca_lacks(l->c, &cas, &i, &need, &what)) != NULL) {
		size_t index = (size_t)(ca - l->c->cas) * PARSE_NEEDS + need;
		const struct origin *o;

		if (said[index] || is_doubled(l->c, ca))
			continue;
		said[index] = true;
		l->failed = true;
		o = ca->built_in ? NULL : find_origin(l, SECTION_CA, ca->name);
		config_errors_add(l->errors, o != NULL ? o->file : text->file,
		    o != NULL ? o->line : text->line, "ca", CA_LACKS, ca->name, what);
	}
	return r;
}

/* No key is shared between CAs: who has the one account's is not to have the other's.
 */
static void
check_account_keys(struct load *l)
{
	const struct config *c = l->c;

	for (size_t i = 0; i < c->ca_count; i++)
		for (size_t k = 0; k < i && c->cas[i].account_key_file != NULL; k++) {
			const char *file = c->cas[k].account_key_file;
			const struct origin *o;

			if (file == NULL ||
			    strcmp(file, c->cas[i].account_key_file) != 0 ||
			    strcasecmp(c->cas[i].name, c->cas[k].name) == 0)
				continue;
			o = find_origin(l, SECTION_CA, c->cas[i].name);
			l->failed = true;
			config_errors_add(l->errors, o != NULL ? o->file : NULL,
			    o != NULL ? o->line : 0, "account_key",
			    "[ca %s] has the account_key of [ca %s]: each CA needs a "
			    "key of its own",
			    c->cas[i].name, c->cas[k].name);
		}
}

/* Has it a file that is the same for all certificates? */
static bool
is_shared(const struct target_config *t)
{
	bool shared =
	    t->bundle_path != NULL && strstr(t->bundle_path, "{name}") == NULL;

	for (size_t i = 0; i < COPY_KINDS && !shared; i++)
		shared = t->copies[i] != NULL && strstr(t->copies[i], "{name}") == NULL;
	return t->type == TARGET_DIRECTORY && shared;
}

/* One certificate's files would be another's. */
static void
check_targets(struct load *l, const struct certificate_text *text,
    const struct certificate_spec *spec, const char **writers)
{
	for (size_t i = 0; i < spec->deploy.n; i++) {
		const struct target_config *t = config_target(l->c, spec->deploy.v[i]);
		size_t index = t != NULL ? (size_t)(t - l->c->targets) : 0;

		if (t == NULL || !is_shared(t))
			continue;
		if (writers[index] == NULL) {
			writers[index] = text->name;
			continue;
		}
		l->failed = true;
		config_errors_add(l->errors, text->file, text->line, "deploy",
		    "[certificate %s] would overwrite the files of [certificate %s]: "
		    "each path of [deploy %s] needs {name} in it",
		    text->name, writers[index], t->name);
	}
}

/* Reads it once more, now that all it may refer to is known. */
static int
check_certificate(struct load *l, const struct certificate_text *text,
    const struct section *defaults, size_t *line, bool *said, const char **writers)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	_cleanup_free_ char *copy = strdup(text->spec);
	const unsigned *lines = l->lines != NULL ? l->lines + *line : NULL;
	struct section s;
	int r;

	if (copy == NULL)
		return -ENOMEM;
	section_begin(&s, &schema_sections[SECTION_CERTIFICATE], text->name, text->file,
	    text->line);
	*line += section_read(&s, copy, lines, l->errors);
	r = parse_certificate(l->c, &s, defaults, &spec, l->errors);
	if (r == -EBADMSG)
		l->failed = true;
	else if (r == 0)
		check_targets(l, text, spec, writers);
	return r == -ENOMEM ? r : check_cas(l, text, &s, defaults, said);
}

static int
check_defaults(struct load *l, struct section *defaults, char *text)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	const struct origin *o = find_origin(l, SECTION_DEFAULTS, "");
	int r;

	section_begin(defaults, &schema_sections[SECTION_DEFAULTS], "",
	    o != NULL ? o->file : NULL, o != NULL ? o->line : 0);
	section_read(defaults, text, l->defaults_lines, l->errors);
	r = parse_certificate(l->c, defaults, NULL, &spec, l->errors);
	if (r == -EBADMSG)
		l->failed = true;
	return r == -ENOMEM ? r : 0;
}

static int
check_certificates(struct load *l)
{
	_cleanup_free_ char *text =
	    strdup(l->c->defaults != NULL ? l->c->defaults : "");
	_cleanup_free_ bool *said = calloc(l->c->ca_count, PARSE_NEEDS * sizeof(*said));
	_cleanup_free_ const char **writers =
	    calloc(l->c->target_count + 1, sizeof(*writers));
	struct section defaults;
	size_t line = 0;
	int r;

	if (text == NULL || said == NULL || writers == NULL)
		return -ENOMEM;
	r = check_defaults(l, &defaults, text);
	for (size_t i = 0; r == 0 && i < l->c->certificate_count; i++)
		r = check_certificate(
		    l, &l->c->certificates[i], &defaults, &line, said, writers);
	return r;
}

int
load_check(struct load *l)
{
	int r = check_duplicates(l);

	check_account_keys(l);
	return r == 0 ? check_certificates(l) : r;
}
