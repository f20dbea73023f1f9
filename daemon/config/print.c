/*
 * print.c - the configuration in force as INI: what `renewd --print-config` shows.
 *
 * Prints by the rows of the schema, so that reading it again gives the same print.
 * Never prints a secret: those that values may hold are masked by their types.
 */
#include "config/config.h"

#include <string.h>

#include "buffer.h"
#include "config/parse.h"

/* types: TYPE_BITs of [deploy], 0 elsewhere. */
static void
print_keys(
    struct buffer *out, enum section_kind kind, const void *object, unsigned types)
{
	const struct schema_section *s = &schema_sections[kind];

	for (size_t i = 0; i < s->count; i++) {
		const struct schema_key *key = &s->keys[i];
		size_t before;

		if (key->type->print == NULL ||
		    (types != 0 && key->types != 0 && (key->types & types) == 0) ||
		    (kind == SECTION_DEFAULTS && key->type == &value_domains))
			continue;
		buffer_printf(out, "%s =", key->name);
		before = out->len;
		buffer_puts(out, " ");
		key->type->print(out, key, object);
		if (out->len == before + 1) /* no blank at the end of a line */
			out->data[--out->len] = '\0';
		buffer_puts(out, "\n");
	}
}

static void
print_section(enum section_kind kind, const char *name, const void *object,
    unsigned types, FILE *out)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };

	buffer_printf(&text, "[%s%s%s]\n", schema_sections[kind].kind,
	    name != NULL ? " " : "", name != NULL ? name : "");
	print_keys(&text, kind, object, types);
	if (text.failed) {
		fputs("; out of memory\n", out);
		return;
	}
	fwrite(text.data, 1, text.len, out);
}

static void
print_defaults(const struct config *c, FILE *out)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	_cleanup_free_ char *text = strdup(c->defaults != NULL ? c->defaults : "");
	struct config_errors errors = { 0 };
	struct section s;

	if (text == NULL)
		return;
	section_begin(&s, &schema_sections[SECTION_DEFAULTS], "", NULL, 0);
	section_read(&s, text, NULL, &errors);
	if (parse_certificate(c, &s, NULL, &spec, &errors) == 0) {
		fputc('\n', out);
		print_section(SECTION_DEFAULTS, NULL, spec, 0, out);
	}
	config_errors_clear(&errors);
}

static void
print_certificate(
    const struct config *c, const struct certificate_text *text, FILE *out)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	struct config_errors errors = { 0 };

	if (certificate_spec_parse(c, text->name, text->spec, &spec, &errors) == 0) {
		fputc('\n', out);
		print_section(SECTION_CERTIFICATE, text->name, spec, 0, out);
	}
	config_errors_clear(&errors);
}

void
config_print(const struct config *c, FILE *out)
{
	print_section(SECTION_RENEWD, NULL, c, 0, out);
	fputc('\n', out);
	print_section(SECTION_CONTROL, NULL, c, 0, out);
	fputc('\n', out);
	print_section(SECTION_HTTP01, NULL, c, 0, out);
	for (size_t i = 0; i < c->ca_count; i++) {
		if (c->cas[i].built_in) /* nobody can use it without a section */
			continue;
		fputc('\n', out);
		print_section(SECTION_CA, c->cas[i].name, &c->cas[i], 0, out);
	}
	for (size_t i = 0; i < c->target_count; i++) {
		const struct target_config *t = &c->targets[i];

		fputc('\n', out);
		print_section(SECTION_DEPLOY, t->name, t, TYPE_BIT(t->type), out);
	}
	print_defaults(c, out);
	for (size_t i = 0; i < c->certificate_count; i++)
		print_certificate(c, &c->certificates[i], out);
}
