/*
 * suggest.h - "did you mean": the word that was probably meant by one that isn't known.
 *
 * Used for keys, sections and references. Small edit distances only: a wrong guess is
 * worse than none.
 */
#ifndef SUGGEST_H
#define SUGGEST_H

struct suggestion {
	const char *word;
	const char *best; /* NULL: nothing near */
	unsigned distance;
	char text[240]; /* of suggestion_text() */
};

/* Considers one candidate; the first of equally near ones wins. */
void suggestion_offer(struct suggestion *s, const char *candidate);
/* `; did you mean "best"?`, or nothing. */
const char *suggestion_text(struct suggestion *s);

#endif
