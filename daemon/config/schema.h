/*
 * schema.h - what may stand in the configuration: one row per section and per key.
 *
 * From these rows follow reading, defaults, bounds, printing, freeing and help. Used
 * inside daemon/config/, and by whoever prints help. A new key is a new row.
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

struct value_type;

enum section_kind {
	SECTION_RENEWD,
	SECTION_CONTROL,
	SECTION_HTTP01,
	SECTION_CA,
	SECTION_DEFAULTS,
	SECTION_CERTIFICATE,
	SECTION_DEPLOY,
	SECTION_KINDS,
};

#define SCHEMA_KEYS_MAX 48 /* in one section */

struct schema_key {
	const char *name;
	const struct value_type *type;
	size_t offset;        /* in the section's struct; config itself where unnamed */
	const char *standard; /* the default as it would be written; NULL: nothing */
	unsigned min;         /* of numbers and, in seconds, of durations */
	unsigned max;         /* the same; of lists: how many words */
	unsigned types;       /* [deploy]: TYPE_BITs that have it; 0: all */
	unsigned needed;      /* [deploy]: TYPE_BITs that can't do without */
	const char *help;
};

#define TYPE_BIT(type) (1U << (type))

struct schema_section {
	const char *kind;
	bool named; /* [kind NAME] */
	const struct schema_key *keys;
	size_t count;
	const char *help;
};

/* Indexed by enum section_kind. */
extern const struct schema_section schema_sections[SECTION_KINDS];

/* NULL where there is none. */
const struct schema_section *schema_section(const char *kind);
const struct schema_key *schema_key(const struct schema_section *s, const char *name);

#endif
