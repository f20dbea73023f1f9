/*
 * section.c - a section between reading and parsing: its keys by row, and its text.
 *
 * The text is canonical: keys in the order of their rows, values with single blanks and
 * quotes only where they must be, so that equal texts mean equal sections. A value that
 * could not be read is an empty one there: it was said, and nothing of it is kept.
 */
#include "config/section.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "config/array.h"
#include "config/ini.h"
#include "config/suggest.h"
#include "config/values.h"
#include "config/words.h"

void
section_begin(struct section *s, const struct schema_section *schema, const char *name,
    const char *file, unsigned line)
{
	*s = (struct section){
		.schema = schema,
		.name = name,
		.file = file,
		.line = line,
	};
	if (schema != NULL)
		snprintf(s->title, sizeof(s->title), "[%s%s%.210s]", schema->kind,
		    *name != '\0' ? " " : "", name);
}

static void
refuse_key(
    const struct section *s, const struct ini_item *item, struct config_errors *errors)
{
	struct suggestion near = { .word = item->key };

	for (size_t i = 0; i < s->schema->count; i++)
		suggestion_offer(&near, s->schema->keys[i].name);
	config_errors_add(errors, s->file, item->line, item->key,
	    "unknown key \"%s\" in %s%s", item->key, s->title, suggestion_text(&near));
}

static struct slot *
find_slot(struct section *s, const char *key)
{
	const struct schema_key *row = schema_key(s->schema, key);

	return row != NULL ? &s->slots[row - s->schema->keys] : NULL;
}

void
section_add(
    struct section *s, const struct ini_item *item, struct config_errors *errors)
{
	struct slot *slot = find_slot(s, item->key);

	if (slot == NULL) {
		refuse_key(s, item, errors);
		return;
	}
	if (slot->line != 0) {
		config_errors_add(errors, s->file, item->line, item->key,
		    "duplicate key \"%s\"; the first is in line %u", item->key,
		    slot->line);
		return;
	}
	slot->line = item->line;
	if (*item->value != '\0')
		slot->value = item->value;
}

void
section_spoil(struct section *s, const char *key, unsigned line)
{
	struct slot *slot = find_slot(s, key);

	if (slot == NULL || slot->line != 0)
		return;
	slot->line = line;
	slot->spoiled = true;
}

bool
section_gives(const struct section *s, const char *key)
{
	const struct schema_key *row = schema_key(s->schema, key);
	const struct slot *slot = &s->slots[row - s->schema->keys];

	/* A value that could not be read was complained of already. */
	return slot->value != NULL || slot->spoiled;
}

const char *
section_value(const struct section *s, const char *key)
{
	return s->slots[schema_key(s->schema, key) - s->schema->keys].value;
}

static int
add_line(struct buffer *out, const struct schema_key *key, const char *value)
{
	struct words w = { 0 };
	int r = words_split(&w, value, key->type->separators);

	buffer_printf(out, "%s =", key->name);
	for (size_t i = 0; i < w.n; i++) {
		buffer_puts(out, " ");
		ini_quote(out, w.v[i]);
	}
	buffer_puts(out, "\n");
	words_clear(&w);
	return r;
}

int
section_text(const struct section *s, char **ret, unsigned **lines, size_t *line_count)
{
	_cleanup_(buffer_free) struct buffer out = { 0 };

	for (size_t i = 0; i < s->schema->count; i++) {
		const struct slot *slot = &s->slots[i];
		int r;

		if (slot->value == NULL && !slot->spoiled)
			continue;
		r = add_line(&out, &s->schema->keys[i], slot->value ?: "");
		if (r == 0)
			r = array_grow(*lines, *line_count);
		if (r < 0)
			return r;
		(*lines)[(*line_count)++] = slot->line;
	}
	return buffer_steal(&out, ret, NULL);
}

size_t
section_read(
    struct section *s, char *text, const unsigned *lines, struct config_errors *errors)
{
	struct ini_item item;
	struct ini in;
	size_t n = 0;

	ini_open(&in, text, strlen(text));
	in.line_max = SIZE_MAX; /* a value that was many lines is one here */
	while (ini_next(&in, &item) != INI_END) {
		if (item.what == INI_KEY) {
			if (lines != NULL)
				item.line = lines[n++];
			if (*item.value != '\0')
				section_add(s, &item, errors);
			else
				section_spoil(s, item.key, item.line);
		} else {
			config_errors_add(errors, s->file, item.line, item.key, "%s",
			    item.what == INI_ERROR ? item.message
						   : "a section does not belong here");
		}
	}
	return n;
}
