/*
 * words.c - lists of words as values have them.
 */
#include "config/words.h"

#include <errno.h>
#include <string.h>

#include "config/array.h"
#include "config/ini.h"

int
words_split(struct words *w, const char *raw, const char *separators)
{
	_cleanup_free_ char *word = malloc(strlen(raw) + 1);

	if (word == NULL)
		return -ENOMEM;
	while (ini_word(&raw, separators, word)) {
		char *copy;

		if (array_grow(w->v, w->n) < 0)
			return -ENOMEM;
		copy = strdup(word);
		if (copy == NULL)
			return -ENOMEM;
		w->v[w->n++] = copy;
	}
	return 0;
}

void
words_clear(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){ 0 };
}

const char *
words_duplicate(const struct words *w)
{
	for (size_t i = 1; i < w->n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcasecmp(w->v[i], w->v[j]) == 0)
				return w->v[i];
	return NULL;
}
