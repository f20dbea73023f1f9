/*
 * values.c - the plain kinds of values: texts, paths, numbers, modes, choices, lists.
 *
 * Rows of schema.c name them. Nothing here looks at the system: whether a path or a
 * group is there is for those who use it.
 */
#include "config/values.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

#include "buffer.h"
#include "config/ini.h"
#include "config/names.h"
#include "config/words.h"

#define UNIT_NAME_MAX 255

int
value_error(struct parse *p, const char *format, ...)
{
	char *message = NULL;
	va_list ap;
	int r;

	p->failed = true;
	if (p->errors == NULL)
		return -EBADMSG;
	va_start(ap, format);
	r = vasprintf(&message, format, ap);
	va_end(ap);
	if (r < 0)
		return -ENOMEM;
	config_errors_add(p->errors, p->file, p->line,
	    p->key != NULL ? p->key->name : NULL, "%s", message);
	free(message);
	return -EBADMSG;
}

int
value_must_be(struct parse *p, const char *what, const char *word)
{
	return value_error(
	    p, "\"%s\" must be %s, not \"%s\"", p->key->name, what, word);
}

void *
value_field(const struct schema_key *key, void *object)
{
	return (char *)object + key->offset;
}

static const void *
peek_field(const struct schema_key *key, const void *object)
{
	return (const char *)object + key->offset;
}

/* ---- Texts -------------------------------------------------------------------- */

int
value_take_text(struct parse *p, struct words *w, void *object)
{
	char **text = value_field(p->key, object);

	free(*text);
	*text = steal_ptr(w->v[0]);
	return 0;
}

void
value_print_text(struct buffer *out, const struct schema_key *key, const void *object)
{
	const char *const *text = peek_field(key, object);

	if (*text != NULL)
		ini_quote(out, *text);
}

void
value_clear_text(const struct schema_key *key, void *object)
{
	char **text = value_field(key, object);

	free(*text);
	*text = NULL;
}

int
value_check_path(struct parse *p, const char *word)
{
	if (word[0] != '/')
		return value_must_be(p, "an absolute path", word);
	if (strlen(word) >= PATH_MAX)
		return value_error(
		    p, "\"%s\" is longer than a path may be", p->key->name);
	return 0;
}

static int
read_path(struct parse *p, struct words *w, void *object)
{
	int r = value_check_path(p, w->v[0]);

	return r < 0 ? r : value_take_text(p, w, object);
}

int
value_check_socket(struct parse *p, const char *word)
{
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (word[0] == '/' && strlen(word) > max)
		return value_error(p,
		    "\"%s\" has %zu bytes: the path of a UNIX socket has %zu at most",
		    p->key->name, strlen(word), max);
	return value_check_path(p, word);
}

static int
read_socket(struct parse *p, struct words *w, void *object)
{
	int r = value_check_socket(p, w->v[0]);

	return r < 0 ? r : value_take_text(p, w, object);
}

/* One word of printable ASCII, as it goes to a CA. */
static int
read_word(struct parse *p, struct words *w, void *object)
{
	const char *c = w->v[0];

	while (*c > ' ' && *c < 0x7f)
		c++;
	if (*c != '\0' || c == w->v[0])
		return value_must_be(p, "one word of plain characters", w->v[0]);
	return value_take_text(p, w, object);
}

static int
read_group(struct parse *p, struct words *w, void *object)
{
	if (!name_is_valid(w->v[0]))
		return value_must_be(p, "the name or number of a group", w->v[0]);
	return value_take_text(p, w, object);
}

/* An absolute path, or a bare name. */
static bool
names_program(const char *word)
{
	return word[0] == '/' || (word[0] != '\0' && strchr(word, '/') == NULL);
}

static int
read_program(struct parse *p, struct words *w, void *object)
{
	if (!names_program(w->v[0]))
		return value_must_be(
		    p, "the name or absolute path of a program", w->v[0]);
	return value_take_text(p, w, object);
}

/* systemd.unit(5); a template's instance counts, a template doesn't. {name} is for type
 * systemd, which asks for one after the other. */
static int
read_unit(struct parse *p, struct words *w, void *object)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789:-_.\\@";
	static const char mark[] = "{name}";
	const char *word = w->v[0], *suffix = strrchr(word, '.');
	size_t plain = strspn(word, allowed);

	if (((const struct target_config *)object)->type == TARGET_SYSTEMD &&
	    strncmp(word + plain, mark, strlen(mark)) == 0) {
		plain += strlen(mark);
		plain += strspn(word + plain, allowed);
	}
	if (strlen(word) > UNIT_NAME_MAX || word[plain] != '\0' || suffix == NULL ||
	    suffix == word || suffix[-1] == '@' || suffix[1] == '\0')
		return value_must_be(
		    p, "the whole name of a unit such as nginx.service", word);
	return value_take_text(p, w, object);
}

/* Only said where it is: nothing secret is ever kept in the configuration. */
static int
read_secret(struct parse *p, struct words *w, void *object)
{
	static const char credential[] = "credential:";
	const char *word = w->v[0];

	if (word[0] != '/' &&
	    (strncmp(word, credential, strlen(credential)) != 0 ||
		!name_is_valid(word + strlen(credential))))
		return value_must_be(p, "an absolute path or credential:NAME", word);
	return value_take_text(p, w, object);
}

/* ---- Numbers and choices -------------------------------------------------------- */

static int
read_number(struct parse *p, struct words *w, void *object)
{
	unsigned long long n = 0;
	const char *c = w->v[0];

	for (; *c >= '0' && *c <= '9' && n <= p->key->max; c++)
		n = n * 10 + (unsigned)(*c - '0');
	if (c == w->v[0] || *c != '\0' || n < p->key->min || n > p->key->max)
		return value_error(p,
		    "\"%s\" must be a number from %u to %u, not \"%s\"", p->key->name,
		    p->key->min, p->key->max, w->v[0]);
	*(unsigned *)value_field(p->key, object) = (unsigned)n;
	return 0;
}

static void
print_number(struct buffer *out, const struct schema_key *key, const void *object)
{
	buffer_printf(out, "%u", *(const unsigned *)peek_field(key, object));
}

static int
read_mode(struct parse *p, struct words *w, void *object)
{
	const char *c = w->v[0];
	unsigned mode = 0;

	for (; *c >= '0' && *c <= '7' && c - w->v[0] < 5; c++)
		mode = mode * 8 + (unsigned)(*c - '0');
	if (c == w->v[0] || *c != '\0')
		return value_must_be(p, "an octal mode such as 0640", w->v[0]);
	if ((mode & ~p->key->max) != 0)
		return value_error(p, "\"%s\" may have no bits beyond %04o, not \"%s\"",
		    p->key->name, p->key->max, w->v[0]);
	*(mode_t *)value_field(p->key, object) = mode;
	return 0;
}

static void
print_mode(struct buffer *out, const struct schema_key *key, const void *object)
{
	buffer_printf(out, "%04o", (unsigned)*(const mode_t *)peek_field(key, object));
}

static const struct choice bool_choices[] = {
	{ "yes", true },
	{ "no", false },
	{ "true", true },
	{ "false", false },
	{ "on", true },
	{ "off", false },
	{ NULL, 0 },
};

static const struct choice log_level_choices[] = {
	{ "error", LOG_ERR },
	{ "warning", LOG_WARNING },
	{ "notice", LOG_NOTICE },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
	{ NULL, 0 },
};

static const struct choice redirect_choices[] = {
	{ "none", HTTP01_REDIRECT_NONE },
	{ "https", HTTP01_REDIRECT_HTTPS },
	{ NULL, 0 },
};

static const struct choice hmac_choices[] = {
	{ "HS256", ACME_HS256 },
	{ "HS384", ACME_HS384 },
	{ "HS512", ACME_HS512 },
	{ NULL, 0 },
};

static const struct choice target_choices[] = {
	{ "haproxy", TARGET_HAPROXY },
	{ "nginx", TARGET_NGINX },
	{ "signal", TARGET_SIGNAL },
	{ "exec", TARGET_EXEC },
	{ "systemd", TARGET_SYSTEMD },
	{ "directory", TARGET_DIRECTORY },
	{ NULL, 0 },
};

static const struct choice verify_names_choices[] = {
	{ "first", VERIFY_NAMES_FIRST },
	{ "all", VERIFY_NAMES_ALL },
	{ NULL, 0 },
};

static const struct choice action_choices[] = {
	{ "reload", UNIT_RELOAD },
	{ "restart", UNIT_RESTART },
	{ "reload-or-restart", UNIT_RELOAD_OR_RESTART },
	{ "start", UNIT_START },
	{ NULL, 0 },
};

static const struct choice *
find_choice(const struct choice *c, const char *word)
{
	while (c->name != NULL && strcasecmp(c->name, word) != 0)
		c++;
	return c->name != NULL ? c : NULL;
}

static const char *
choice_name(const struct choice *c, int value)
{
	while (c->name != NULL && c->value != value)
		c++;
	return c->name != NULL ? c->name : "";
}

static int
refuse_choice(struct parse *p, const char *word)
{
	_cleanup_(buffer_free) struct buffer all = { 0 };

	for (const struct choice *c = p->key->type->choices; c->name != NULL; c++)
		buffer_printf(&all, "%s%s", all.len > 0 ? ", " : "", c->name);
	if (all.failed)
		return -ENOMEM;
	return value_error(
	    p, "\"%s\" must be one of %s, not \"%s\"", p->key->name, all.data, word);
}

static int
read_choice(struct parse *p, struct words *w, void *object)
{
	const struct choice *c = find_choice(p->key->type->choices, w->v[0]);

	if (c == NULL)
		return refuse_choice(p, w->v[0]);
	*(int *)value_field(p->key, object) = c->value;
	return 0;
}

static void
print_choice(struct buffer *out, const struct schema_key *key, const void *object)
{
	int value = *(const int *)peek_field(key, object);

	buffer_puts(out, choice_name(key->type->choices, value));
}

static int
read_bool(struct parse *p, struct words *w, void *object)
{
	const struct choice *c = find_choice(bool_choices, w->v[0]);

	if (c == NULL)
		return value_must_be(p, "yes or no", w->v[0]);
	*(bool *)value_field(p->key, object) = c->value != 0;
	return 0;
}

static void
print_bool(struct buffer *out, const struct schema_key *key, const void *object)
{
	bool value = *(const bool *)peek_field(key, object);

	buffer_puts(out, choice_name(bool_choices, value));
}

/* "HUP", "SIGHUP" or its number; 0: none. */
static int
find_signal(const char *word)
{
	const char *name = strncasecmp(word, "SIG", 3) == 0 ? word + 3 : word;
	int number = 0;

	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) != NULL && strcasecmp(sigabbrev_np(i), name) == 0)
			return i;
	for (; *word >= '0' && *word <= '9' && number < NSIG; word++)
		number = number * 10 + *word - '0';
	return *word == '\0' ? number : 0;
}

static int
read_signal(struct parse *p, struct words *w, void *object)
{
	int number = find_signal(w->v[0]);

	if (number < (int)p->key->min || number > (int)p->key->max)
		return value_must_be(p, "a signal such as HUP or USR2", w->v[0]);
	*(int *)value_field(p->key, object) = number;
	return 0;
}

static void
print_signal(struct buffer *out, const struct schema_key *key, const void *object)
{
	int number = *(const int *)peek_field(key, object);

	if (sigabbrev_np(number) != NULL)
		buffer_puts(out, sigabbrev_np(number));
	else if (number != 0)
		buffer_printf(out, "%d", number);
}

/* ---- Lists -------------------------------------------------------------------- */

int
value_check_words(struct parse *p, const struct words *w, bool unique)
{
	const char *twice;

	if (w->n > p->key->max)
		return value_error(p, "\"%s\" may have at most %u entries, not %zu",
		    p->key->name, p->key->max, w->n);
	twice = unique ? words_duplicate(w) : NULL;
	if (twice != NULL)
		return value_error(p, "\"%s\" has \"%s\" twice", p->key->name, twice);
	return 0;
}

int
value_take_words(struct parse *p, struct words *w, void *object)
{
	struct words *field = value_field(p->key, object);

	words_clear(field);
	*field = *w;
	*w = (struct words){ 0 };
	return 0;
}

void
value_print_words(struct buffer *out, const struct schema_key *key, const void *object)
{
	const struct words *w = peek_field(key, object);

	for (size_t i = 0; i < w->n; i++) {
		if (i > 0)
			buffer_puts(out, " ");
		ini_quote(out, w->v[i]);
	}
}

void
value_clear_words(const struct schema_key *key, void *object)
{
	words_clear(value_field(key, object));
}

static int
read_command(struct parse *p, struct words *w, void *object)
{
	int r = value_check_words(p, w, false);

	if (r < 0)
		return r;
	if (!names_program(w->v[0]))
		return value_error(p,
		    "\"%s\" must begin with the name or absolute path of a program, "
		    "not \"%s\"",
		    p->key->name, w->v[0]);
	return value_take_words(p, w, object);
}

#define TEXT(read)                                             \
  {                                                            \
    INI_TEXT, (read), value_print_text, value_clear_text, NULL \
  }

const struct value_type value_path = TEXT(read_path);
const struct value_type value_socket = TEXT(read_socket);
const struct value_type value_word = TEXT(read_word);
const struct value_type value_group = TEXT(read_group);
const struct value_type value_program = TEXT(read_program);
const struct value_type value_unit = TEXT(read_unit);
const struct value_type value_action = { INI_TEXT, read_choice, print_choice, NULL,
	action_choices };
const struct value_type value_secret = TEXT(read_secret);
const struct value_type value_number = { INI_TEXT, read_number, print_number, NULL,
	NULL };
const struct value_type value_mode = { INI_TEXT, read_mode, print_mode, NULL, NULL };
const struct value_type value_bool = { INI_TEXT, read_bool, print_bool, NULL, NULL };
const struct value_type value_signal = { INI_TEXT, read_signal, print_signal, NULL,
	NULL };
const struct value_type value_log_level = { INI_TEXT, read_choice, print_choice, NULL,
	log_level_choices };
const struct value_type value_redirect = { INI_TEXT, read_choice, print_choice, NULL,
	redirect_choices };
const struct value_type value_hmac = { INI_TEXT, read_choice, print_choice, NULL,
	hmac_choices };
const struct value_type value_verify_names = { INI_TEXT, read_choice, print_choice,
	NULL, verify_names_choices };
const struct value_type value_target_type = { INI_TEXT, read_choice, print_choice, NULL,
	target_choices };
const struct value_type value_command = { INI_COMMAND, read_command, value_print_words,
	value_clear_words, NULL };
