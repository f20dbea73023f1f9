/*
 * view.h - what users are told of a certificate: state, health, activity, and all of it
 * as JSON.
 *
 * Pure functions over struct facts: the rules of what is critical live here and nowhere
 * else. Used by the handlers that show or count certificates.
 */
#ifndef VIEW_H
#define VIEW_H

#include <stddef.h>
#include <stdint.h>

struct deployment;
struct facts;
struct issued;
struct json_writer;

enum view_state { /* the worst first */
	VIEW_REVOKED,
	VIEW_EXPIRED,
	VIEW_NEW,
	VIEW_VALID,
	VIEW_STATES,
};

enum view_health { /* the worst first */
	VIEW_CRITICAL,
	VIEW_WARNING,
	VIEW_OK,
	VIEW_HEALTHS,
};

enum view_activity {
	VIEW_IDLE,
	VIEW_ORDERING,
	VIEW_DEPLOYING,
	VIEW_WAITING,
	VIEW_PARKED,
	VIEW_PAUSED,
	VIEW_ACTIVITIES,
};

struct view {
	enum view_state state;
	enum view_health health;
	enum view_activity activity;
	const struct issued *rows[2]; /* those that count, in the order of `keys` */
	size_t row_count;
	int64_t not_after; /* the earliest of them; 0: none */
};

const char *view_state_name(enum view_state state);
const char *view_health_name(enum view_health health);
const char *view_activity_name(enum view_activity activity);

/* The facts must outlive the view. */
void view_judge(const struct facts *f, struct view *ret);
/* Its part that says how worrying that is, where all else is judged. */
enum view_health view_judge_health(const struct facts *f, const struct view *v);
/* The issuer's section, or NULL. */
const char *view_ca(const struct facts *f, const struct view *v);
/* The object of the API. */
void view_write(struct json_writer *w, const struct facts *f, const struct view *v);
/* A member with a time as text, or null for 0. */
/* What of it a target has, where, and who says so (view_target.c). */
void view_target_write(
    struct json_writer *w, const struct facts *f, const struct deployment *d);
void view_member_time(struct json_writer *w, const char *name, int64_t at);

#endif
