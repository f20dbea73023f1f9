/*
 * base64url.c - RFC 4648 section 5 without padding (RFC 7515 section 2).
 *
 * Used wherever JWS and ACME carry bytes in JSON. Decoding accepts exactly what
 * encoding makes, so two texts never stand for the same bytes.
 */
#include "base64url.h"

#include <errno.h>
#include <stdint.h>

#include "scope.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			     "0123456789-_";

/* 0 to 63, or -1. */
static int
value_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

int
base64url_encode(const void *data, size_t len, char **ret)
{
	const unsigned char *in = data;
	uint32_t bits = 0;
	unsigned count = 0;
	char *text;
	char *out;

	if (len > SIZE_MAX / 2)
		return -ENOMEM;
	text = malloc(len / 3 * 4 + 5);
	if (text == NULL)
		return -ENOMEM;
	out = text;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		for (count += 8; count >= 6; count -= 6)
			*out++ = digits[bits >> (count - 6) & 63];
	}
	if (count > 0)
		*out++ = digits[bits << (6 - count) & 63];
	*out = '\0';
	*ret = text;
	return 0;
}

int
base64url_decode(const char *text, size_t len, unsigned char **ret, size_t *ret_len)
{
	_cleanup_free_ unsigned char *data = NULL;
	uint32_t bits = 0;
	unsigned count = 0;
	size_t used = 0;

	if (len % 4 == 1)
		return -EBADMSG;
	data = malloc(len / 4 * 3 + 3);
	if (data == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		int value = value_of((unsigned char)text[i]);

		if (value < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			data[used++] = (unsigned char)(bits >> count);
		}
	}
	/* RFC 4648 section 3.5: what is left over must be zero */
	if ((bits & ((1u << count) - 1)) != 0)
		return -EBADMSG;
	*ret = steal_ptr(data);
	*ret_len = used;
	return 0;
}
