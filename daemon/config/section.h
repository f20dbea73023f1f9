/*
 * section.h - one section between reading and parsing: its keys, by the rows of the
 * schema, and its canonical text.
 *
 * Filled by load.c from files and by certificate.c from the inventory; read by parse.c.
 * Knows rows, but never looks into a value.
 */
#ifndef SECTION_H
#define SECTION_H

#include "config/config.h"
#include "config/schema.h"

struct ini_item;

/* One section as it was read; texts are lent. */
struct section {
	const struct schema_section *schema; /* NULL: none that is known */
	const char *name;                    /* "" where it has none */
	const char *file;                    /* NULL: not from a file */
	unsigned line;
	bool bad; /* its header is wrong: it is read for its other errors only */
	char title[240];
	struct slot {
		const char *value; /* raw; NULL: none */
		unsigned line;     /* 0: not given */
		bool spoiled;      /* given, but not readable: said already */
	} slots[SCHEMA_KEYS_MAX];  /* by the row in schema->keys */
};

/* Says what is wrong with names of keys; keeps the others. */
void section_begin(struct section *s, const struct schema_section *schema,
    const char *name, const char *file, unsigned line);
void section_add(
    struct section *s, const struct ini_item *item, struct config_errors *errors);
/* An error inside the value of a key: it is there, but has no value. */
void section_spoil(struct section *s, const char *key, unsigned line);
/* The value as it stands there, or NULL. */
const char *section_value(const struct section *s, const char *key);
/* Is there a value, good or bad? */
bool section_gives(const struct section *s, const char *key);
/* The section as canonical text; -ENOMEM. The lines of its keys, in the order of the
 * text, are appended to *lines (array_grow()). */
int section_text(
    const struct section *s, char **ret, unsigned **lines, size_t *line_count);
/* The other way; text is overwritten, and must live as long as s. Lines are counted in
 * the text, or taken from `lines`, of which it returns how many. */
size_t section_read(
    struct section *s, char *text, const unsigned *lines, struct config_errors *errors);

#endif
