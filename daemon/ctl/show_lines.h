/*
 * show_lines.h - inside ctl/: the lines of which show.c and show_status.c make a page.
 */
#ifndef SHOW_LINES_H
#define SHOW_LINES_H

#include <stddef.h>

struct buffer;
struct json;
struct show;

/* A label and what follows; between the two the caller adds that. */
void show_begin_line(const struct show *s, struct buffer *b, const char *label);
void show_end_line(const struct show *s, struct buffer *b);
void show_line(const struct show *s, const char *label, const char *text);
/* A time as text, with a note behind it on a terminal; note may be NULL. */
void show_line_time(
    const struct show *s, const char *label, const char *text, const char *note);
void show_line_number(
    const struct show *s, const char *label, const struct json *number);
/* Several fields of an object, names in the order of printing. */
void show_line_fields(const struct show *s, const char *label,
    const struct json *object, const char *const *names, size_t count);
/* A member that is text, or NULL. */
const char *show_text_of(const struct json *object, const char *name);

#endif
