/*
 * fuzz.h - what the targets share. A target is a file here with one function, which
 * takes bytes that a stranger may have chosen: libFuzzer calls it with bytes of its own
 * making (configure --enable-fuzzing), replay.c with those of tests/fuzz/corpus.
 *
 * What must hold for all input is said by MUST(), which holds in every build.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                             \
  do {                                                                         \
    if (!(what)) {                                                             \
      fprintf(stderr, "%s:%d: doesn't hold: %s\n", __FILE__, __LINE__, #what); \
      abort();                                                                 \
    }                                                                          \
  } while (0)

/* The bytes with a NUL after them, in a block of just that size, so that a sanitizer
 * sees whoever reads on. The caller frees. */
static inline char *
fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	MUST(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
