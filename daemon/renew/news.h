/*
 * news.h - is a failure the one that was said before?
 */
#ifndef NEWS_H
#define NEWS_H

#include <stdbool.h>

#include "acme.h"

/* `before` is the last_error of a certificate (NULL: none): does it tell of the same
 * problem, at the same stage? Times and URLs in the CA's words make no other one. */
bool news_is_old(const char *before, const struct acme_result *failure);

#endif
