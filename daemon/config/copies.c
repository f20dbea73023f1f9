/*
 * copies.c - the kinds of values that say where copies of files go, and whose they are.
 *
 * Rows of schema.c name them. Nothing here looks at the system.
 */
#include "config/values.h"

#include <string.h>

#include "config/ini.h"
#include "config/names.h"

static int
read_user(struct parse *p, struct words *w, void *object)
{
	if (!name_is_valid(w->v[0]))
		return value_must_be(p, "the name or number of a user", w->v[0]);
	return value_take_text(p, w, object);
}

/* Where {name} and {key} stand for what they say. */
static int
read_copy_path(struct parse *p, struct words *w, void *object)
{
	const char *word = w->v[0], *slash = strrchr(word, '/');
	int r = value_check_path(p, word);

	if (r == 0 && (slash[1] == '\0' || strstr(word, "/../") != NULL))
		r = value_must_be(p, "the path of a file, without \"..\"", word);
	return r < 0 ? r : value_take_text(p, w, object);
}

/* Each certificate's is another. */
static int
read_bundle_path(struct parse *p, struct words *w, void *object)
{
	const struct target_config *t = object;
	int r;

	if (t->type == TARGET_DIRECTORY)
		return read_copy_path(p, w, object);
	if (strstr(w->v[0], "{name}") == NULL)
		return value_must_be(
		    p, "a path with {name} in it, for the certificate's name", w->v[0]);
	r = value_check_path(p, w->v[0]);
	return r < 0 ? r : value_take_text(p, w, object);
}

const struct value_type value_user = { INI_TEXT, read_user, value_print_text,
	value_clear_text, NULL };
const struct value_type value_copy_path = { INI_TEXT, read_copy_path, value_print_text,
	value_clear_text, NULL };
const struct value_type value_bundle_path = { INI_TEXT, read_bundle_path,
	value_print_text, value_clear_text, NULL };
