/*
 * words.h - lists of words as values have them; used inside daemon/config/ only.
 */
#ifndef WORDS_H
#define WORDS_H

#include "config/config.h"

/* Splits a raw value (ini.h) by these separators. -ENOMEM. */
int words_split(struct words *w, const char *raw, const char *separators);
void words_clear(struct words *w);
/* A word that is there twice, compared without regard to case, or NULL. */
const char *words_duplicate(const struct words *w);

#endif
