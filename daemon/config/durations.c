/*
 * durations.c - lengths of time: 90s 15m 12h 30d 2w, or a share of a certificate's
 * life.
 *
 * Read and printed here; duration_seconds() says what they mean for a life.
 */
#include "config/values.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "config/ini.h"

#define MILLION   1000000
#define SHARE_MAX 1000 /* of the numbers in a share: printing finds them again */

static const struct unit {
	char letter;
	int64_t seconds;
} units[] = {
	{ 'w', 7 * 86400 },
	{ 'd', 86400 },
	{ 'h', 3600 },
	{ 'm', 60 },
	{ 's', 1 },
};

/* Up to 9 digits; -EINVAL where there are none, or more. */
static int
read_digits(const char **text, int64_t *ret)
{
	const char *c = *text;
	int64_t n = 0;

	while (isdigit((unsigned char)*c) && c - *text < 9)
		n = n * 10 + *c++ - '0';
	if (c == *text || isdigit((unsigned char)*c))
		return -EINVAL;
	*text = c;
	*ret = n;
	return 0;
}

static int
parse_share(int64_t n, const char *rest, struct duration *ret)
{
	int64_t of = 100;

	if (strcmp(rest, "%") != 0) {
		if (*rest++ != '/' || read_digits(&rest, &of) < 0 || *rest != '\0')
			return -EINVAL;
	}
	if (n < 1 || n > of || of > SHARE_MAX)
		return -EINVAL;
	*ret = (struct duration){ .share = (unsigned)((n * MILLION + of / 2) / of) };
	return 0;
}

int
duration_parse(const char *text, struct duration *ret)
{
	int64_t n;

	if (read_digits(&text, &n) < 0)
		return -EINVAL;
	for (size_t i = 0; i < ELEMENTS(units); i++)
		if (text[0] == units[i].letter && text[1] == '\0') {
			*ret = (struct duration){ .seconds = n * units[i].seconds };
			return 0;
		}
	return parse_share(n, text, ret);
}

static void
print_seconds(struct buffer *out, int64_t seconds)
{
	size_t i = seconds == 0 ? ELEMENTS(units) - 1 : 0;

	while (seconds % units[i].seconds != 0)
		i++;
	buffer_printf(
	    out, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

/* The share with the smallest numbers that reads as the same parts per million. */
static void
print_share(struct buffer *out, unsigned share)
{
	for (int64_t of = 1; of <= SHARE_MAX; of++) {
		int64_t n = (share * of + MILLION / 2) / MILLION;

		if (n > 0 && (n * MILLION + of / 2) / of == share) {
			buffer_printf(out, "%lld/%lld", (long long)n, (long long)of);
			return;
		}
	}
}

static void
print_duration(struct buffer *out, const struct schema_key *key, const void *object)
{
	const struct duration *d = (const void *)((const char *)object + key->offset);

	if (d->share > 0)
		print_share(out, d->share);
	else if (d->seconds > 0)
		print_seconds(out, d->seconds);
}

static int
check_bounds(struct parse *p, const struct duration *d, const char *word)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };

	if (d->share > 0 || (d->seconds >= p->key->min && d->seconds <= p->key->max))
		return 0;
	print_seconds(&text, p->key->min);
	buffer_puts(&text, " to ");
	print_seconds(&text, p->key->max);
	if (text.failed)
		return -ENOMEM;
	return value_error(
	    p, "\"%s\" must be from %s, not \"%s\"", p->key->name, text.data, word);
}

static int
read_duration(struct parse *p, struct words *w, void *object)
{
	struct duration d;
	int r;

	if (duration_parse(w->v[0], &d) < 0 || d.share > 0)
		return value_must_be(p, "a duration such as 90s or 15m", w->v[0]);
	r = check_bounds(p, &d, w->v[0]);
	if (r < 0)
		return r;
	*(struct duration *)value_field(p->key, object) = d;
	return 0;
}

static int
read_renew_before(struct parse *p, struct words *w, void *object)
{
	struct duration d = { 0 };
	int r;

	if (strcasecmp(w->v[0], "auto") != 0) {
		if (duration_parse(w->v[0], &d) < 0)
			return value_must_be(p,
			    "auto, a duration such as 30d, or a share such as 1/3",
			    w->v[0]);
		r = check_bounds(p, &d, w->v[0]);
		if (r < 0)
			return r;
	}
	if (d.share > MILLION / 2)
		return value_error(p,
		    "\"%s\" must be 1/2 at most, not \"%s\": never more than half of the "
		    "life",
		    p->key->name, w->v[0]);
	*(struct duration *)value_field(p->key, object) = d;
	return 0;
}

static void
print_interval(struct buffer *out, const struct schema_key *key, const void *object)
{
	print_seconds(out,
	    ((const struct duration *)(const void *)((const char *)object +
		 key->offset))
		->seconds);
}

static void
print_renew_before(struct buffer *out, const struct schema_key *key, const void *object)
{
	size_t before = out->len;

	print_duration(out, key, object);
	if (out->len == before)
		buffer_puts(out, "auto");
}

int64_t
duration_seconds(const struct duration *d, int64_t life)
{
	if (d->share == 0)
		return d->seconds;
	if (life <= 0)
		return 0;
	return life / MILLION * d->share + life % MILLION * d->share / MILLION;
}

const struct value_type value_duration = { INI_TEXT, read_duration, print_duration,
	NULL, NULL };
/* One that may be 0s. */
const struct value_type value_interval = { INI_TEXT, read_duration, print_interval,
	NULL, NULL };
const struct value_type value_renew_before = { INI_TEXT, read_renew_before,
	print_renew_before, NULL, NULL };
