/*
 * suggest.c - "did you mean", by Levenshtein distance without regard to case.
 *
 * Words over WORD_MAX bytes get no suggestion, so the work stays bounded.
 */
#include "config/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static unsigned
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[WORD_MAX + 1];

	for (unsigned j = 0; j <= b_len; j++)
		row[j] = j;
	for (unsigned i = 0; i < a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (unsigned j = 0; j < b_len; j++) {
			unsigned change = diagonal;

			if (tolower((unsigned char)a[i]) !=
			    tolower((unsigned char)b[j]))
				change++;
			diagonal = row[j + 1];
			row[j + 1] = min3(change, row[j] + 1, diagonal + 1);
		}
	}
	return row[b_len];
}

void
suggestion_offer(struct suggestion *s, const char *candidate)
{
	size_t len = strlen(s->word), other = strlen(candidate);
	unsigned limit = len < 4 ? 1 : 2;
	unsigned d;

	if (len > WORD_MAX || other > WORD_MAX || len > other + limit ||
	    other > len + limit)
		return;
	d = distance(s->word, len, candidate, other);
	if (d > limit || d >= other || (s->best != NULL && d >= s->distance))
		return;
	s->best = candidate;
	s->distance = d;
}

const char *
suggestion_text(struct suggestion *s)
{
	s->text[0] = '\0';
	if (s->best != NULL)
		snprintf(s->text, sizeof(s->text), "; did you mean \"%s\"?", s->best);
	return s->text;
}
