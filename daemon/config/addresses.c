/*
 * addresses.c - values that say where something is: listeners, sockets, URLs, mail
 * addresses.
 *
 * Nothing is resolved or opened here. Listeners are numeric, so that starting never
 * waits for DNS.
 */
#include "config/values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "config/ini.h"

#define URL_MAX 2048

const char *const config_starttls[STARTTLS_KINDS] = {
	[STARTTLS_SMTP] = "smtp",
	[STARTTLS_IMAP] = "imap",
	[STARTTLS_POP3] = "pop3",
	[STARTTLS_LDAP] = "ldap",
	[STARTTLS_POSTGRES] = "postgres",
};

/* 1 to 65535, in digits. */
static bool
is_port(const char *text)
{
	size_t len = strlen(text);
	unsigned long port = 0;

	if (len == 0 || len > 5 || text[strspn(text, "0123456789")] != '\0')
		return false;
	for (; *text != '\0'; text++)
		port = port * 10 + (unsigned long)(*text - '0');
	return port >= 1 && port <= 65535;
}

/* 192.0.2.1:80 or [2001:db8::1]:80 */
static bool
is_listen_address(const char *text)
{
	char host[INET6_ADDRSTRLEN + 2];
	unsigned char address[sizeof(struct in6_addr)];
	const char *colon = strrchr(text, ':');
	size_t len;

	if (colon == NULL || !is_port(colon + 1))
		return false;
	len = (size_t)(colon - text);
	if (len < 2 || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] != '[')
		return inet_pton(AF_INET, host, address) == 1;
	if (host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, address) == 1;
}

static int
read_listen(struct parse *p, struct words *w, void *object)
{
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r != -ENOMEM && i < w->n; i++)
		if (!is_listen_address(w->v[i]))
			r = value_must_be(p,
			    "numeric addresses with a port, such as 0.0.0.0:80 or [::]:80",
			    w->v[i]);
	return r < 0 ? r : value_take_words(p, w, object);
}

/* [smtp://]192.0.2.1:25; who speaks what is deploy/starttls.c's. */
static int
read_verify(struct parse *p, struct words *w, void *object)
{
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r != -ENOMEM && i < w->n; i++) {
		const char *address = w->v[i];

		for (size_t k = 0; k < ELEMENTS(config_starttls); k++) {
			size_t len = strlen(config_starttls[k]);

			if (strncmp(w->v[i], config_starttls[k], len) == 0 &&
			    strncmp(w->v[i] + len, "://", 3) == 0)
				address = w->v[i] + len + 3;
		}
		if (!is_listen_address(address))
			r = value_must_be(p,
			    "numeric addresses with a port, such as 127.0.0.1:443 or "
			    "smtp://127.0.0.1:25 (smtp, imap, pop3, ldap, postgres)",
			    w->v[i]);
	}
	return r < 0 ? r : value_take_words(p, w, object);
}

static bool
is_loopback(const char *text)
{
	return strncmp(text, "127.", 4) == 0 || strncmp(text, "[::1]:", 6) == 0;
}

/* Keys travel there, so it is no farther than this machine. */
static int
check_api_socket(struct parse *p, const char *word)
{
	if (word[0] == '/')
		return value_check_socket(p, word);
	if (!is_listen_address(word) || !is_loopback(word))
		return value_must_be(p,
		    "paths of UNIX sockets, or loopback addresses with a port such as "
		    "127.0.0.1:9999",
		    word);
	return 0;
}

static int
read_api_sockets(struct parse *p, struct words *w, void *object)
{
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r == 0 && i < w->n; i++)
		r = check_api_socket(p, w->v[i]);
	return r < 0 ? r : value_take_words(p, w, object);
}

/* Printable ASCII without what can't be in a URL, and a host behind the scheme. */
static bool
is_url(const char *text, const char *scheme)
{
	size_t len = strlen(scheme);

	if (strncasecmp(text, scheme, len) != 0 || strlen(text) > URL_MAX)
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("\"<>\\^`{|}", *c) != NULL)
			return false;
	return text[len] != '\0' && strchr("/?#:@", text[len]) == NULL;
}

/* RFC 8555 section 6.1: nothing but HTTPS between client and server. */
static int
read_directory(struct parse *p, struct words *w, void *object)
{
	if (strncasecmp(w->v[0], "http://", 7) == 0)
		return value_error(p,
		    "\"%s\" must be an https:// URL: ACME is never spoken without TLS",
		    p->key->name);
	if (!is_url(w->v[0], "https://"))
		return value_must_be(p, "an https:// URL", w->v[0]);
	return value_take_text(p, w, object);
}

static int
read_proxy(struct parse *p, struct words *w, void *object)
{
	static const char *const schemes[] = { "http://", "https://", "socks5://" };

	for (size_t i = 0; i < ELEMENTS(schemes); i++)
		if (is_url(w->v[0], schemes[i]))
			return value_take_text(p, w, object);
	/* The value isn't repeated: there may be a password in it. */
	return value_error(
	    p, "\"%s\" must be an http://, https:// or socks5:// URL", p->key->name);
}

/* Name and password are nobody's business. */
static void
print_proxy(struct buffer *out, const struct schema_key *key, const void *object)
{
	const char *url =
	    *(const char *const *)(const void *)((const char *)object + key->offset);
	const char *host, *at;

	if (url == NULL)
		return;
	host = strstr(url, "://") + strlen("://");
	at = strrchr(host, '@');
	if (at == NULL) {
		ini_quote(out, url);
		return;
	}
	buffer_add(out, url, (size_t)(host - url));
	buffer_puts(out, "***");
	ini_quote(out, at);
}

/* RFC 8555 section 7.3: one address, no header fields. */
static bool
is_contact(const char *text)
{
	static const char mailto[] = "mailto:";
	const char *address = text + strlen(mailto);
	const char *at;

	if (strncmp(text, mailto, strlen(mailto)) != 0 || strlen(text) > 320)
		return false;
	for (const char *c = address; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("\"(),:;<>?[\\]%", *c) != NULL)
			return false;
	at = strchr(address, '@');
	return at != NULL && at != address && at[1] != '\0' &&
	    strchr(at + 1, '@') == NULL;
}

static int
read_contact(struct parse *p, struct words *w, void *object)
{
	int r = value_check_words(p, w, true);

	for (size_t i = 0; r != -ENOMEM && i < w->n; i++)
		if (!is_contact(w->v[i]))
			r = value_must_be(
			    p, "mailto: with one plain address each", w->v[i]);
	return r < 0 ? r : value_take_words(p, w, object);
}

const struct value_type value_api_sockets = { INI_LIST, read_api_sockets,
	value_print_words, value_clear_words, NULL };
const struct value_type value_listen = { INI_LIST, read_listen, value_print_words,
	value_clear_words, NULL };
const struct value_type value_directory = { INI_TEXT, read_directory, value_print_text,
	value_clear_text, NULL };
const struct value_type value_verify = { INI_LIST, read_verify, value_print_words,
	value_clear_words, NULL };
const struct value_type value_proxy = { INI_TEXT, read_proxy, print_proxy,
	value_clear_text, NULL };
const struct value_type value_contact = { INI_LIST, read_contact, value_print_words,
	value_clear_words, NULL };
