/*
 * ari_news.h - what people hear of renewal information, and which CAs aren't asked for
 * it for a while.
 *
 * Used by ari.c for each answer. A problem is said once for a CA, however many of its
 * certificates it hits; in memory alone, so once more after a restart.
 */
#ifndef ARI_NEWS_H
#define ARI_NEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "renew/ari.h"

struct ari_news;
struct store;

struct ari_news *ari_news_new(struct store *store); /* NULL: no memory */
struct ari_news *ari_news_free(struct ari_news *n);
/* An answer has made `after` of `before`. */
void ari_news_tell(struct ari_news *n, enum ari_outcome outcome,
    const struct renewal_info *before, const struct renewal_info *after);
/* The CA doesn't answer, or does again (until 0). */
void ari_news_close(struct ari_news *n, const char *ca, int64_t until);
/* Until when this CA isn't asked; 0: it may be. */
int64_t ari_news_closed(const struct ari_news *n, const char *ca);

#endif
