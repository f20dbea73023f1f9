/*
 * show.h - what renewctl prints: columns and plain words on a terminal, tab-separated
 * fields elsewhere.
 *
 * Used by the verbs. Prints what the daemon says, with control characters made
 * harmless; it never asks the daemon anything.
 */
#ifndef SHOW_H
#define SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct buffer;
struct json;

struct show {
	FILE *out;
	bool terminal;
	bool colour;
	unsigned width; /* of the terminal, in columns */
	int64_t now;
};

/* What stdout is. */
void show_init(struct show *s);

/* Appends text with control characters escaped; elsewhere than on a terminal the
 * backslash, too. "-" for NULL and "". */
void show_text(const struct show *s, struct buffer *b, const char *text);
/* The same straight to a file. */
void show_print(const struct show *s, FILE *to, const char *text);
/* "in 23 days" "3 hours ago" "now". */
const char *show_when(int64_t now, int64_t at, char *ret, size_t size);
/* A time of the API: as people say it on a terminal, else as it is. */
void show_time(const struct show *s, struct buffer *b, const char *text);

/* The start of a coloured run for this health, and its end; "" without colour. */
const char *show_colour(const struct show *s, const char *health);
const char *show_plain(const struct show *s);

/* Rows of the list; first: the header comes before, on a terminal. */
void show_list(const struct show *s, const struct json *certificates, bool first);
void show_certificate(const struct show *s, const struct json *certificate);
/* What HAProxy has loaded: a line each, and what could not be asked on stderr. */
void show_served(const struct show *s, const struct json *served);
void show_status(const struct show *s, const struct json *status);

#endif
