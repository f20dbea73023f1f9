/*
 * places.h - where each certificate was written, in few bytes; inside daemon/config/
 * only.
 */
#ifndef PLACES_H
#define PLACES_H

#include "config/config.h"

struct places;

struct places *places_free(struct places *p);
/* Certificates and files, but not how many certificates there were. */
void places_clear_texts(struct config *c);

#endif
