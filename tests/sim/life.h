/*
 * life.h - lives of the daemon, each a child process on the virtual clock, in a folder
 * and a world that outlive it.
 */
#ifndef LIFE_H
#define LIFE_H

#include <stddef.h>
#include <stdint.h>

#include "operator.h"
#include "sim_ca.h"

#define LIFE_DAY    INT64_C(86400)
#define LIFE_SECOND INT64_C(1000000)    /* in microseconds */
#define LIFE_BEGAN  INT64_C(1800000000) /* some day in 2027 */

/* Time and the CA, in memory that all processes share. */
struct world {
	int64_t us;
	int64_t wrong;      /* seconds that the daemon's wall clock is ahead, */
	int64_t wrong_at;   /* and at this time, seconds since 1970, it is set */
	int64_t wrong_then; /* so much ahead; 0: never */
	int64_t points;     /* what a test counts over a life */
	struct operator operator;
	struct sim_ca ca; /* last: it goes on behind its end */
};

struct world *world_new(size_t names);
void world_free(struct world *w);

/* A fresh folder in memory, with renewd.conf for the world's names; to be removed.
 * deploy: each certificate is copied by a command to served/NAME.pem. */
void life_folder(
    const struct world *w, const char *log_level, bool deploy, char ret_dir[64]);
void life_remove(const char *dir);
/* Lives until the time comes (microseconds since 1970). Returns how it ended, as from
 * waitpid(2). arm (may be NULL) is called in the child before it begins. */
int life_run(struct world *w, const char *dir, uint64_t seed, int64_t until,
    void (*arm)(struct world *w));
/* Says what failed, and ends. */
void life_fail(const char *what) __attribute__((noreturn));

#endif
