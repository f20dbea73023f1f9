/*
 * buffer.c - a growing run of bytes for composing text, NUL-terminated at any time.
 *
 * Used all over libacme and renewd, also for private keys: memory is overwritten before
 * it is given back, which is why it never grows by realloc(3).
 */
#include "buffer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"

#define SIZE_MIN 128

static void
drop(struct buffer *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->size);
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->size = 0;
}

/* Room for this many bytes more, and the NUL. */
static bool
reserve(struct buffer *b, size_t more)
{
	size_t size = b->size > 0 ? b->size : SIZE_MIN;
	size_t len = b->len;
	char *data = NULL;

	if (b->failed)
		return false;
	if (b->data != NULL && more < b->size - b->len)
		return true;
	if (more < SIZE_MAX / 4 - b->len) {
		while (size <= b->len + more)
			size *= 2;
		data = malloc(size);
	}
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	if (b->data != NULL)
		memcpy(data, b->data, len);
	data[len] = '\0';
	drop(b);
	*b = (struct buffer){ .data = data, .len = len, .size = size };
	return true;
}

void
buffer_add(struct buffer *b, const void *data, size_t len)
{
	if (len == 0 || !reserve(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buffer_puts(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

void
buffer_vprintf(struct buffer *b, const char *format, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (len < 0)
		b->failed = true;
	if (len <= 0 || !reserve(b, (size_t)len))
		return;
	vsnprintf(b->data + b->len, (size_t)len + 1, format, ap);
	b->len += (size_t)len;
}

void
buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buffer_vprintf(b, format, ap);
	va_end(ap);
}

void
buffer_clear(struct buffer *b)
{
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

int
buffer_steal(struct buffer *b, char **ret, size_t *ret_len)
{
	if (!reserve(b, 0))
		return -ENOMEM;
	if (ret_len != NULL)
		*ret_len = b->len;
	*ret = steal_ptr(b->data);
	b->len = 0;
	b->size = 0;
	return 0;
}

void
buffer_free(struct buffer *b)
{
	if (b == NULL)
		return;
	drop(b);
	b->failed = false;
}
