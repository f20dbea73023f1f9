/*
 * array.h - arrays that grow by one: room is doubled whenever the count is a power of
 * two, so a count and a pointer are all there is to keep.
 *
 * Used inside daemon/config/ only. An array that was shrunk or adopted from elsewhere
 * must not be grown by this.
 */
#ifndef CONFIG_ARRAY_H
#define CONFIG_ARRAY_H

#include <errno.h>
#include <stdlib.h>

/* Room for an element after the first n; -ENOMEM leaves the array as it is. */
#define array_grow(array, n) \
  ( \
      { \
size_t grow_n = (n); \
int grow_r = 0; \
if ((grow_n & (grow_n - 1)) == 0) { \
void *grown = reallocarray((array), grow_n > 0 ? 2 * grow_n : 1, sizeof(*(array))); \
if (grown != NULL) \
(array) = grown; \
else \
grow_r = -ENOMEM; \
} \
grow_r; \
      })

#endif
