/*
 * settings.c - a [certificate] section that doesn't come from a file: keys and values
 * as a client of the control socket gives them, to the canonical text.
 *
 * The same rows and the same errors as for files. Values must never break out of their
 * line: control characters are refused.
 */
#include "config/config.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "config/ini.h"
#include "config/section.h"

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/* The value as it would stand in a file; to be freed. -EBADMSG for what can't. */
static int
make_value(const struct config_setting *setting, char **ret)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };

	if (setting->value != NULL && !is_plain(setting->value))
		return -EBADMSG;
	if (setting->value != NULL)
		buffer_puts(&b, setting->value + strspn(setting->value, " "));
	for (size_t i = 0; setting->value == NULL && i < setting->count; i++) {
		if (!is_plain(setting->words[i]))
			return -EBADMSG;
		if (i > 0)
			buffer_puts(&b, " ");
		ini_quote(&b, setting->words[i]);
	}
	return buffer_steal(&b, ret, NULL);
}

static int
add_setting(struct section *s, const struct config_setting *setting, char **value,
    struct config_errors *errors)
{
	struct ini_item item = { .what = INI_KEY, .line = 1, .key = setting->key };
	int r;

	r = make_value(setting, value);
	if (r == -EBADMSG) {
		config_errors_add(errors, NULL, 0, setting->key,
		    "\"%s\" must not hold control characters", setting->key);
		section_spoil(s, setting->key, item.line);
		return 0;
	}
	if (r < 0)
		return r;
	item.value = *value;
	section_add(s, &item, errors);
	return 0;
}

static int
compose(struct section *s, const struct config_setting *settings, size_t count,
    char **values, struct config_errors *errors)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = add_setting(s, &settings[i], &values[i], errors);
	return r;
}

int
certificate_spec_text(const char *name, const struct config_setting *settings,
    size_t count, char **ret, struct config_errors *errors)
{
	_cleanup_free_ char **values = calloc(count + 1, sizeof(*values));
	_cleanup_free_ unsigned *lines = NULL;
	size_t line_count = 0;
	size_t before = errors->n;
	struct section s;
	int r;

	if (values == NULL)
		return -ENOMEM;
	section_begin(&s, &schema_sections[SECTION_CERTIFICATE], name, NULL, 0);
	r = compose(&s, settings, count, values, errors);
	if (r == 0)
		r = section_text(&s, ret, &lines, &line_count);
	for (size_t i = 0; i < count; i++)
		free(values[i]);
	return r == 0 && errors->n > before ? -EBADMSG : r;
}
