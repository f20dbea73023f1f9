/*
 * ini.h - our reader of INI text: hands out sections, keys and errors one by one.
 *
 * Used by config.c for files and by parse.c for the text of a section. It knows no key
 * and no section; it opens no file, allocates nothing, and never cuts anything
 * silently. It works in place: the text it is given is overwritten while it is read.
 */
#ifndef INI_H
#define INI_H

#include <stdbool.h>
#include <stddef.h>

#define INI_LINE_MAX 65536 /* bytes, without the line's end */

struct buffer;

enum ini_what { INI_END, INI_SECTION, INI_KEY, INI_ERROR };

/* The texts live as long as what was given to ini_open(). */
struct ini_item {
	enum ini_what what;
	unsigned line;       /* where it begins; of an error: where that is */
	const char *kind;    /* section: [kind name] */
	const char *name;    /* section: "" where there is none */
	const char *key;     /* key; of an error inside a value: its key, else NULL */
	const char *value;   /* key: raw, for ini_word(); "" where there is nothing */
	const char *message; /* error: a constant sentence */
	bool header; /* error: in a section's header, so the section is unknown */
};

struct ini {
	char *pos;
	char *end;
	unsigned line;   /* of pos */
	bool skip;       /* indented lines here go on with something reported already */
	size_t line_max; /* INI_LINE_MAX, unless changed after ini_open() */
};

/* text[len] must be there and writable, as in every NUL-terminated string. */
void ini_open(struct ini *in, char *text, size_t len);
/* The next thing, INI_END again and again after the last one. After an error it goes on
 * with the next line. */
enum ini_what ini_next(struct ini *in, struct ini_item *ret);

#define INI_TEXT    ""     /* separators: none, the value is one text */
#define INI_LIST    " \t," /* words by blanks or commas */
#define INI_COMMAND " \t"  /* words by blanks */

/* Takes the next word from a raw value, without its quotes, and moves *pos behind it.
 * out has room for strlen(*pos) + 1 bytes. False at the end of the value. */
bool ini_word(const char **pos, const char *separators, char *out);
/* Appends a word so that every kind of value reads it back as it is. */
void ini_quote(struct buffer *out, const char *word);

#endif
