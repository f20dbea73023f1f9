/*
 * log.c - one log line: native journal entry or text on standard error.
 *
 * Called from all over daemon/. Never allocates, so that it also works when memory is
 * out; what is too long is cut. The level is the only state.
 */
#include "platform/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "platform/clock.h"
#include "scope.h"

#define MESSAGE_MAX 2048
#define VALUE_MAX   1024

static int log_level = LOG_INFO;

static const char *const level_names[] = {
	[LOG_EMERG] = "emergency",
	[LOG_ALERT] = "alert",
	[LOG_CRIT] = "critical",
	[LOG_ERR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* The texts among the fields, in the order in which they are written. */
static const struct {
	const char *journal;
	const char *text;
	size_t offset;
} text_fields[] = {
	{ "RENEWD_CERTIFICATE", "certificate",
	    offsetof(struct log_fields, certificate) },
	{ "RENEWD_DOMAIN", "domain", offsetof(struct log_fields, domain) },
	{ "RENEWD_CA", "ca", offsetof(struct log_fields, ca) },
	{ "RENEWD_ORDER", "order", offsetof(struct log_fields, order) },
	{ "RENEWD_PROBLEM", "problem", offsetof(struct log_fields, problem) },
	{ "RENEWD_TARGET", "target", offsetof(struct log_fields, target) },
};

#define FIELDS_MAX (ELEMENTS(text_fields) + 1) /* and retry_at */

/* Text of a fixed size. What doesn't fit is left out, whole characters at a time. */
struct line {
	size_t len;
	size_t size;
	char *data;
};

#define LINE(array)         \
  {                         \
    0, sizeof(array), array \
  }

static void
put(struct line *l, const char *text)
{
	size_t n = strlen(text);

	if (n > l->size - 1 - l->len)
		n = l->size - 1 - l->len;
	memcpy(l->data + l->len, text, n);
	l->len += n;
	l->data[l->len] = '\0';
}

/* How many bytes at s are one UTF-8 character that a terminal only shows; 0 where it
 * would obey (C0, DEL, C1), or where it isn't UTF-8. */
static size_t
printable(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1
	    : s[0] < 0xc2      ? 0
	    : s[0] < 0xe0      ? 2
	    : s[0] < 0xf0      ? 3
			       : 4;

	if (s[0] < 0x20 || s[0] == 0x7f || s[0] > 0xf4 || (s[0] == 0xc2 && s[1] < 0xa0))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static void
escape(unsigned char c, char ret[8])
{
	if (c == '\n')
		snprintf(ret, 8, "\\n");
	else if (c == '\t')
		snprintf(ret, 8, "\\t");
	else
		snprintf(ret, 8, "\\x%02x", c);
}

static void
put_escaped(struct line *l, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	char piece[8];

	while (*s != '\0') {
		size_t n = printable(s);

		if (n == 0)
			escape(*s, piece);
		else
			snprintf(piece, sizeof(piece), "%.*s", (int)n, (const char *)s);
		if (strlen(piece) > l->size - 1 - l->len)
			return;
		put(l, piece);
		s += n == 0 ? 1 : n;
	}
}

/* The i-th field's value, or NULL where it isn't set. */
static const char *
field_text(const struct log_fields *fields, size_t i, char time[CLOCK_TEXT_SIZE])
{
	const char *value;

	if (fields == NULL)
		return NULL;
	if (i == ELEMENTS(text_fields))
		return fields->retry_at == 0 ? NULL
					     : clock_format(fields->retry_at, time);
	memcpy(&value, (const char *)fields + text_fields[i].offset, sizeof(value));
	return value;
}

static const char *
field_name(size_t i, bool journal)
{
	if (i == ELEMENTS(text_fields))
		return journal ? "RENEWD_RETRY_AT" : "retry_at";
	return journal ? text_fields[i].journal : text_fields[i].text;
}

/* Has systemd connected standard error to the journal (systemd.exec(5))? Somebody may
 * have redirected it since, so the variable alone says nothing. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char actual[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(actual, sizeof(actual), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(stream, actual) == 0;
}

static int
send_entry(int level, const struct log_fields *fields, const char *message)
{
	char data[4 + FIELDS_MAX][VALUE_MAX + 32], text[MESSAGE_MAX + 16];
	const char *id = fields != NULL ? log_event_id(fields->event) : NULL;
	struct iovec iov[4 + FIELDS_MAX];
	char time[CLOCK_TEXT_SIZE];
	int n = 0;

	snprintf(text, sizeof(text), "MESSAGE=%s", message);
	iov[n++] = (struct iovec){ text, strlen(text) };
	snprintf(data[n], sizeof(data[n]), "PRIORITY=%d", level);
	iov[n] = (struct iovec){ data[n], strlen(data[n]) };
	n++;
	snprintf(data[n], sizeof(data[n]), "SYSLOG_IDENTIFIER=renewd");
	iov[n] = (struct iovec){ data[n], strlen(data[n]) };
	n++;
	if (id != NULL) {
		snprintf(data[n], sizeof(data[n]), "MESSAGE_ID=%s", id);
		iov[n] = (struct iovec){ data[n], strlen(data[n]) };
		n++;
	}
	for (size_t i = 0; i < FIELDS_MAX; i++) {
		const char *value = field_text(fields, i, time);
		struct line l = LINE(data[n]);

		if (value == NULL)
			continue;
		put(&l, field_name(i, true));
		put(&l, "=");
		put_escaped(&l, value);
		iov[n++] = (struct iovec){ l.data, l.len };
	}
	return sd_journal_sendv(iov, n);
}

static void
write_text(int level, const struct log_fields *fields, const char *message)
{
	char data[MESSAGE_MAX + FIELDS_MAX * VALUE_MAX], time[CLOCK_TEXT_SIZE];
	struct line l = LINE(data);
	const char *sep = " [";

	l.size--; /* for the last newline */
	put(&l, clock_format(clock_now(), time));
	put(&l, " ");
	put(&l, level_names[level & LOG_PRIMASK]);
	put(&l, ": ");
	put(&l, message);
	for (size_t i = 0; i < FIELDS_MAX; i++) {
		const char *value = field_text(fields, i, time);

		if (value == NULL)
			continue;
		put(&l, sep);
		put(&l, field_name(i, false));
		put(&l, "=");
		put_escaped(&l, value);
		sep = " ";
	}
	if (sep[1] == '\0')
		put(&l, "]");
	l.data[l.len++] = '\n';
	/* One write, or lines of children that share standard error get mixed in. */
	if (write(STDERR_FILENO, l.data, l.len) < 0)
		return; /* nobody is left to be told */
}

void
log_set_level(int level)
{
	log_level = level;
}

bool
log_wanted(int level)
{
	return level <= log_level;
}

void
log_line(int level, const struct log_fields *fields, const char *format, ...)
{
	char raw[MESSAGE_MAX], message[MESSAGE_MAX];
	struct line l = LINE(message);
	int saved = errno;
	va_list ap;

	if (!log_wanted(level))
		return;
	va_start(ap, format);
	vsnprintf(raw, sizeof(raw), format, ap);
	va_end(ap);
	message[0] = '\0';
	put_escaped(&l, raw);
	if (!stderr_is_journal() || send_entry(level, fields, message) < 0)
		write_text(level, fields, message);
	errno = saved;
}
