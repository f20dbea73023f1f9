/*
 * load.c - takes the sections of one file into the configuration that is being
 * read.
 *
 * Called by config.c for each file. Sections that only refer to themselves are parsed
 * here; certificates and [defaults] are kept as text until everything is known.
 */
#include "config/load.h"

#include <errno.h>
#include <string.h>

#include "config/array.h"
#include "config/ini.h"
#include "config/names.h"
#include "config/suggest.h"

static int
add_ca(struct load *l, const struct section *s)
{
	struct config *c = l->c;

	if (array_grow(c->cas, c->ca_count) < 0)
		return -ENOMEM;
	c->cas[c->ca_count] = (struct ca_config){ 0 };
	return parse_ca(c, s, &c->cas[c->ca_count++], l->errors);
}

static int
add_target(struct load *l, const struct section *s)
{
	struct config *c = l->c;

	if (array_grow(c->targets, c->target_count) < 0)
		return -ENOMEM;
	c->targets[c->target_count] = (struct target_config){ 0 };
	return parse_target(c, s, &c->targets[c->target_count++], l->errors);
}

static int
add_certificate(struct load *l, const struct section *s)
{
	struct certificate_text text = { .file = s->file, .line = s->line };
	struct config *c = l->c;
	int r;

	if (array_grow(c->certificates, c->certificate_count) < 0)
		return -ENOMEM;
	text.name = strdup(s->name);
	if (text.name == NULL)
		return -ENOMEM;
	r = section_text(s, &text.spec, &l->lines, &l->line_count);
	if (r < 0) {
		free(text.name);
		return r;
	}
	c->certificates[c->certificate_count++] = text;
	return 0;
}

static int
set_defaults(struct load *l, const struct section *s)
{
	if (l->c->defaults != NULL)
		return 0; /* a duplicate: said with the others */
	return section_text(
	    s, &l->c->defaults, &l->defaults_lines, &l->defaults_line_count);
}

static int
set_config(struct load *l, const struct section *s)
{
	return parse_config(l->c, s, l->errors);
}

static int (*const adders[SECTION_KINDS])(struct load *, const struct section *) = {
	[SECTION_RENEWD] = set_config,
	[SECTION_CONTROL] = set_config,
	[SECTION_HTTP01] = set_config,
	[SECTION_CA] = add_ca,
	[SECTION_DEFAULTS] = set_defaults,
	[SECTION_CERTIFICATE] = add_certificate,
	[SECTION_DEPLOY] = add_target,
};

static int
add_origin(struct load *l, const char *name)
{
	const struct section *s = &l->section;

	if (array_grow(l->origins, l->origin_count) < 0)
		return -ENOMEM;
	l->origins[l->origin_count++] = (struct origin){
		.kind = (enum section_kind)(s->schema - schema_sections),
		.name = name,
		.file = s->file,
		.line = s->line,
	};
	return 0;
}

/* Where a section's name lives on when its file's text is gone. */
static const char *
kept_name(const struct config *c, const struct section *s)
{
	if (s->schema == &schema_sections[SECTION_CA])
		return c->cas[c->ca_count - 1].name;
	if (s->schema == &schema_sections[SECTION_DEPLOY])
		return c->targets[c->target_count - 1].name;
	if (s->schema == &schema_sections[SECTION_CERTIFICATE])
		return c->certificates[c->certificate_count - 1].name;
	return "";
}

/* What was read of a section goes where it belongs. */
static int
end_section(struct load *l)
{
	struct section *s = &l->section;
	int r;

	if (s->schema == NULL)
		return 0;
	r = adders[s->schema - schema_sections](l, s);
	if (r == -EBADMSG)
		l->failed = true;
	else if (r < 0)
		return r;
	if (s->bad)
		return 0; /* read for what else is wrong with it */
	return add_origin(l, kept_name(l->c, s));
}

static void
refuse_section(struct load *l, const struct ini_item *item)
{
	struct suggestion near = { .word = item->kind };

	for (size_t i = 0; i < SECTION_KINDS; i++)
		suggestion_offer(&near, schema_sections[i].kind);
	config_errors_add(l->errors, l->file, item->line, NULL,
	    "unknown section [%s%s%s]%s", item->kind, *item->name != '\0' ? " " : "",
	    item->name, suggestion_text(&near));
	l->failed = true;
}

static void
check_name(struct load *l, const struct ini_item *item)
{
	struct section *s = &l->section;

	s->bad = true;
	if (!s->schema->named && *item->name != '\0')
		config_errors_add(l->errors, l->file, item->line, NULL,
		    "[%s] takes no name", item->kind);
	else if (s->schema->named && *item->name == '\0')
		config_errors_add(l->errors, l->file, item->line, NULL,
		    "[%s] needs a name: [%s NAME]", item->kind, item->kind);
	else if (s->schema->named && !name_is_valid(item->name))
		config_errors_add(
		    l->errors, l->file, item->line, NULL, NAME_REFUSED, item->name);
	else
		s->bad = false;
	l->failed = l->failed || s->bad;
}

static int
begin_section(struct load *l, const struct ini_item *item)
{
	int r = end_section(l);

	section_begin(
	    &l->section, schema_section(item->kind), item->name, l->file, item->line);
	l->in_section = true;
	if (l->section.schema == NULL)
		refuse_section(l, item);
	else
		check_name(l, item);
	return r;
}

static int
begin_nothing(struct load *l)
{
	int r = end_section(l);

	l->section = (struct section){ 0 };
	l->in_section = true;
	return r;
}

static int
read_error(struct load *l, const struct ini_item *item)
{
	config_errors_add(
	    l->errors, l->file, item->line, item->key, "%s", item->message);
	if (item->header)
		return begin_nothing(l);
	if (item->key != NULL && l->section.schema != NULL)
		section_spoil(&l->section, item->key, item->line);
	return 0;
}

static void
read_key(struct load *l, const struct ini_item *item)
{
	if (l->section.schema != NULL)
		section_add(&l->section, item, l->errors);
	else if (!l->in_section)
		config_errors_add(l->errors, l->file, item->line, item->key,
		    "key \"%s\" before the first section", item->key);
}

int
load_text(struct load *l, char *text, size_t len)
{
	struct ini_item item;
	struct ini in;
	int r = 0;

	l->section = (struct section){ 0 };
	l->in_section = false;
	ini_open(&in, text, len);
	while (r == 0 && ini_next(&in, &item) != INI_END) {
		if (item.what == INI_SECTION)
			r = begin_section(l, &item);
		else if (item.what == INI_ERROR)
			r = read_error(l, &item);
		else
			read_key(l, &item);
	}
	return r == 0 ? end_section(l) : r;
}
