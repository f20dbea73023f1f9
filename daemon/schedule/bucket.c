/*
 * bucket.c - see bucket.h. The generic cell rate algorithm: instead of a count that has
 * to be refilled there is the time at which the bucket would be full.
 */
#include "schedule/bucket.h"

#define LEFT_MAX 1000000

static int64_t
room(const struct bucket *b)
{
	return b->interval * (int64_t)(b->burst > 0 ? b->burst : 1);
}

int64_t
bucket_at(const struct bucket *b, int64_t now)
{
	int64_t at = b->full_at + b->interval - room(b);

	return b->interval > 0 && at > now ? at : now;
}

void
bucket_take(struct bucket *b, int64_t now)
{
	if (b->full_at < now)
		b->full_at = now;
	b->full_at += b->interval;
}

unsigned
bucket_left(const struct bucket *b, int64_t now)
{
	int64_t owed = b->full_at > now ? b->full_at - now : 0;

	if (b->interval <= 0)
		return LEFT_MAX;
	return owed >= room(b) ? 0 : (unsigned)((room(b) - owed) / b->interval);
}

void
bucket_restore(struct bucket *b, int64_t full_at, int64_t now)
{
	b->full_at = full_at;
	if (b->full_at > now + room(b))
		b->full_at = now + room(b);
}
