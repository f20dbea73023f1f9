/*
 * scope.h - what a scope owns, it frees: cleanup attributes and explicit leaving.
 *
 * Included by every .c file of libacme and renewd; never by acme.h. A destructor
 * x_free(NULL) does nothing and returns NULL, so `c->x = x_free(c->x)` is safe.
 */
#ifndef SCOPE_H
#define SCOPE_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)    __attribute__((cleanup(f)))
#define _cleanup_free_  _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* Take ownership out of a variable that would be cleaned up. */
#define steal_ptr(p)            \
  (                             \
      {                         \
__typeof__(p) *steal_from = &(p);   \
__typeof__(p) stolen = *steal_from; \
*steal_from = NULL;                 \
stolen;                             \
      })

#define steal_fd(fd)  \
  (                   \
      {               \
int *steal_from = &(fd);  \
int stolen = *steal_from; \
*steal_from = -1;         \
stolen;                   \
      })

/* DEFINE_CLEANUP(struct acme_key, acme_key_free) makes acme_key_freep. */
#define DEFINE_CLEANUP(type, function)     \
  static inline void function##p(type **p) \
  {                                        \
    if (*p != NULL)                        \
      function(*p);                        \
  }

static inline void
freep(void *p)
{
	free(*(void **)p);
}

static inline void
closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
