/*
 * request.c - reads one request head, strictly, and composes its answer.
 *
 * What a proxy in front might read differently is refused, not guessed: bare CR or LF,
 * folded fields, several Hosts, bodies. Every decision depends on the bytes alone,
 * never on how they were cut into packets. Nothing is allocated.
 */
#include "challenge/request.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "scope.h"

#define CHALLENGE_PATH "/.well-known/acme-challenge/"
#define ALNUM          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define TOKEN          ALNUM "-_"
#define TCHAR          ALNUM "!#$%&'*+-.^_`|~" /* RFC 9110 section 5.6.2 */
#define HOST_MAX       255

/* What the fields of one head said. */
struct fields {
	struct request_text host;
	unsigned hosts;
	bool close;
	bool has_body;
	bool broken;
};

static bool
is(struct request_text t, const char *word)
{
	return t.len == strlen(word) && memcmp(t.data, word, t.len) == 0;
}

static bool
is_case(struct request_text t, const char *word)
{
	return t.len == strlen(word) && strncasecmp(t.data, word, t.len) == 0;
}

/* Is it all from this set, and not empty? */
static bool
only(struct request_text t, const char *set)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.data[i] == '\0' || strchr(set, t.data[i]) == NULL)
			return false;
	return t.len > 0;
}

/* Cuts off what stands before the first `c`, and that c; false where there is none. */
static bool
cut(struct request_text *rest, char c, struct request_text *ret)
{
	const char *at = rest->len == 0 ? NULL : memchr(rest->data, c, rest->len);

	if (at == NULL)
		return false;
	*ret = (struct request_text){ rest->data, (size_t)(at - rest->data) };
	rest->len -= ret->len + 1;
	rest->data = at + 1;
	return true;
}

static struct request_text
trim(struct request_text t)
{
	while (t.len > 0 && (*t.data == ' ' || *t.data == '\t')) {
		t.data++;
		t.len--;
	}
	while (t.len > 0 && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\t'))
		t.len--;
	return t;
}

bool
request_token_valid(const char *token, size_t len)
{
	return only((struct request_text){ token, len }, TOKEN);
}

/* Length of the head with its empty line; 0: more is needed; negative: the status to
 * refuse it with. It stops at the first byte that can't be, so that the answer doesn't
 * depend on what was received together. */
static ssize_t
find_end(const char *data, size_t len, size_t *scanned)
{
	for (size_t i = *scanned; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		bool after_cr = i > 0 && data[i - 1] == '\r';

		if (i == REQUEST_HEAD_MAX)
			return -431;
		/* RFC 9112 section 2.2: a bare CR or LF is invalid, or may be taken so.
		 */
		if (after_cr != (c == '\n'))
			return -400;
		if ((c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
			return -400;
		/* One empty line before the request is to be ignored. */
		if (c == '\n' && i > 3 && data[i - 2] == '\n')
			return (ssize_t)i + 1;
		if (c == '\n' && i == 3 && data[1] == '\n')
			return -400;
	}
	*scanned = len;
	return 0;
}

/* RFC 9112 section 2.3. Minor versions are compatible, so any HTTP/1.x will do. */
static int
check_version(struct request_text version, bool *ret_old)
{
	static const char digits[] = "0123456789";

	if (version.len != 8 || memcmp(version.data, "HTTP/", 5) != 0 ||
	    version.data[6] != '.' || strchr(digits, version.data[5]) == NULL ||
	    strchr(digits, version.data[7]) == NULL)
		return 400;
	*ret_old = version.data[7] == '0';
	return version.data[5] == '1' ? 0 : 505;
}

/* Origin form only (RFC 9112 section 3.2.1): path and query in visible ASCII. An
 * absolute URI would override Host, and nobody sends it to a server. */
static bool
target_valid(struct request_text target)
{
	if (target.len == 0 || target.data[0] != '/')
		return false;
	for (size_t i = 0; i < target.len; i++)
		if (target.data[i] <= ' ' || target.data[i] > '~' ||
		    target.data[i] == '#')
			return false;
	return true;
}

/* "close" anywhere in a list of options (RFC 9110 section 7.6.1). */
static bool
asks_close(struct request_text list)
{
	struct request_text option;

	while (cut(&list, ',', &option))
		if (is_case(trim(option), "close"))
			return true;
	return is_case(trim(list), "close");
}

static void
note_host(struct fields *f, struct request_text value)
{
	f->hosts++;
	f->host = value;
}

static void
note_connection(struct fields *f, struct request_text value)
{
	f->close |= asks_close(value);
}

static void
note_length(struct fields *f, struct request_text value)
{
	f->broken |= !only(value, "0123456789");
	f->has_body |= !only(value, "0");
}

static void
note_encoding(struct fields *f, struct request_text value)
{
	(void)value;
	f->has_body = true;
}

static const struct {
	const char *name;
	void (*note)(struct fields *f, struct request_text value);
} known_fields[] = {
	{ "Host", note_host },
	{ "Connection", note_connection },
	{ "Content-Length", note_length },
	{ "Transfer-Encoding", note_encoding },
};

/* RFC 9112 section 5: no blank before the colon, no folding. */
static void
read_field(struct fields *f, struct request_text line)
{
	struct request_text name;

	if (!cut(&line, ':', &name) || !only(name, TCHAR)) {
		f->broken = true;
		return;
	}
	for (size_t i = 0; i < ELEMENTS(known_fields); i++)
		if (is_case(name, known_fields[i].name))
			known_fields[i].note(f, trim(line));
}

/* All lines up to the empty one; find_end() has made sure of the line ends. */
static void
read_fields(struct fields *f, struct request_text lines)
{
	struct request_text line;

	while (cut(&lines, '\n', &line) && line.len > 1) {
		line.len--;
		read_field(f, line);
	}
}

static bool
address_valid(struct request_text text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	if (text.len >= sizeof(address))
		return false;
	memcpy(address, text.data, text.len);
	address[text.len] = '\0';
	return inet_pton(AF_INET6, address, &ignored) == 1;
}

static bool
port_valid(struct request_text port)
{
	return port.len == 0 || (port.len <= 5 && only(port, "0123456789"));
}

/* Takes "name", "name:port", "[address]:port" apart (RFC 9112 section 3.2). Underscores
 * are let pass, as nginx sends the name of an upstream block where nobody tells it
 * otherwise; but such a name isn't reflected. */
static bool
split_host(struct request_text value, struct request_text *ret)
{
	struct request_text name = value, port = { "", 0 };

	if (value.len > 0 && value.data[0] == '[') {
		if (!cut(&value, ']', &name))
			return false;
		if (value.len > 0 && value.data[0] != ':')
			return false;
		port = (struct request_text){ value.data + 1,
			value.len ? value.len - 1 : 0 };
		*ret = (struct request_text){ name.data, name.len + 1 };
		return port_valid(port) &&
		    address_valid((struct request_text){ name.data + 1, name.len - 1 });
	}
	if (cut(&value, ':', &name))
		port = value;
	*ret = only(name, ALNUM ".-") ? name : (struct request_text){ "", 0 };
	return name.len <= HOST_MAX && only(name, ALNUM ".-_") && port_valid(port);
}

static enum request_kind
classify(struct request_text target, struct request_text *ret_token)
{
	const size_t prefix = sizeof(CHALLENGE_PATH) - 1;

	if (target.len < prefix || memcmp(target.data, CHALLENGE_PATH, prefix) != 0)
		return REQUEST_OTHER;
	*ret_token = (struct request_text){ target.data + prefix, target.len - prefix };
	return only(*ret_token, TOKEN) ? REQUEST_CHALLENGE : REQUEST_RESERVED;
}

/* What is wrong with a complete head: a status, or 0 and *ret filled. */
static int
read_head(struct request_text head, struct request *ret)
{
	struct request_text line, method, target;
	struct fields f = { 0 };
	bool old = false;
	int status;

	if (!cut(&head, '\r', &line) || !cut(&line, ' ', &method) ||
	    !cut(&line, ' ', &target) || !only(method, TCHAR))
		return 400;
	status = check_version(line, &old);
	if (status != 0)
		return status;
	head.data++; /* the LF */
	head.len--;
	read_fields(&f, head);
	if (f.broken || f.hosts > 1 || (f.hosts == 0 && !old))
		return 400;
	if (f.hosts == 1 && !split_host(f.host, &ret->host))
		return 400;
	ret->head = is(method, "HEAD");
	if (!ret->head && !is(method, "GET"))
		return 405;
	if (!target_valid(target))
		return 400;
	if (f.has_body)
		return 413;
	ret->target = target;
	ret->close = old || f.close;
	ret->kind = classify(target, &ret->token);
	return 0;
}

size_t
request_parse(const char *data, size_t len, size_t *scanned, struct request *ret)
{
	struct request_text head = { data, 0 };
	ssize_t n = find_end(data, len, scanned);
	int status;

	if (n == 0)
		return 0;
	*ret = (struct request){ .host = { "", 0 } };
	if (n > 0) {
		head.len = (size_t)n;
		if (head.data[0] == '\r') {
			head.data += 2;
			head.len -= 2;
		}
	}
	status = n < 0 ? (int)-n : read_head(head, ret);
	if (status == 0)
		return (size_t)n;
	ret->kind = REQUEST_REFUSED;
	ret->status = status;
	ret->close = true;
	return len;
}

static const struct {
	int status;
	const char *text;
} statuses[] = {
	{ 200, "OK" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 413, "Content Too Large" },
	{ 431, "Request Header Fields Too Large" },
	{ 505, "HTTP Version Not Supported" },
};

static const char *
status_text(int status)
{
	for (size_t i = 0; i < ELEMENTS(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "";
}

static int
choose_status(const struct request *q, const struct request_site *site)
{
	switch (q->kind) {
	case REQUEST_CHALLENGE:
		return site->body == NULL ? 404 : 200;
	case REQUEST_RESERVED:
		return 404;
	case REQUEST_OTHER:
		if (!site->redirect)
			return 404;
		return q->host.len == 0 ? 400 : 308;
	case REQUEST_REFUSED:
		return q->status;
	}
	return 400;
}

__attribute__((format(printf, 2, 3))) static void
add(struct request_answer *a, const char *format, ...)
{
	size_t room = sizeof(a->head) - a->head_len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(a->head + a->head_len, room, format, ap);
	va_end(ap);
	/* Target and host come from a head that is smaller than this array. */
	assert(n >= 0 && (size_t)n < room);
	a->head_len += (size_t)n;
}

/* RFC 9110 section 5.6.7. Not strftime(), which asks the locale. */
static void
add_date(struct request_answer *a, int64_t now)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri",
		"Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm tm = { 0 };
	time_t t = now;

	if (gmtime_r(&t, &tm) == NULL)
		return;
	add(a, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
	    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
	    tm.tm_sec);
}

void
request_answer(const struct request *q, const struct request_site *site,
    struct request_answer *ret)
{
	int status = choose_status(q, site);
	size_t len = status == 200 ? strlen(site->body) : 0;

	ret->status = status;
	ret->close = q->close || site->close || status == 400;
	ret->body = status == 200 && !q->head ? site->body : NULL;
	ret->body_len = ret->body == NULL ? 0 : len;
	ret->head_len = 0;
	add(ret, "HTTP/1.1 %d %s\r\n", status, status_text(status));
	add_date(ret, site->now);
	if (status == 200)
		add(ret, "Content-Type: application/octet-stream\r\n");
	if (status == 308)
		add(ret, "Location: https://%.*s%.*s\r\n", (int)q->host.len,
		    q->host.data, (int)q->target.len, q->target.data);
	if (status == 405)
		add(ret, "Allow: GET, HEAD\r\n"); /* RFC 9110 section 15.5.6 */
	add(ret, "Cache-Control: no-store\r\nContent-Length: %zu\r\n%s\r\n", len,
	    ret->close ? "Connection: close\r\n" : "");
}
