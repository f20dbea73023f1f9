/*
 * buffer.h - a growing run of bytes, always NUL-terminated, for composing text.
 *
 * Used all over libacme and renewd. Errors stick: after one failed allocation every
 * call does nothing, and buffer_steal() says -ENOMEM, so callers check once, at the
 * end.
 */
#ifndef BUFFER_H
#define BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buffer {
	char *data; /* NULL while empty */
	size_t len;
	size_t size;
	bool failed;
};

void buffer_add(struct buffer *b, const void *data, size_t len);
void buffer_puts(struct buffer *b, const char *text);
void buffer_printf(struct buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *b, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* Empty again, with its memory for what comes next. */
void buffer_clear(struct buffer *b);

/* 0, or -ENOMEM where anything failed before (nothing is returned then). An empty
 * buffer gives an empty string. ret_len may be NULL. The caller frees *ret. */
int buffer_steal(struct buffer *b, char **ret, size_t *ret_len);

/* Frees what is held; overwrites it before, as it may be a key. Use with
 * _cleanup_(buffer_free). */
void buffer_free(struct buffer *b);

#endif
