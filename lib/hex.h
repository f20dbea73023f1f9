/*
 * hex.h - inside libacme: bytes as lower-case hexadecimal digits.
 */
#ifndef HEX_H
#define HEX_H

#include <stddef.h>

/* ret: 2 * len + 1 bytes. */
static inline void
hex_write(const unsigned char *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[data[i] >> 4];
		ret[2 * i + 1] = digits[data[i] & 15];
	}
	ret[2 * len] = '\0';
}

#endif
