/*
 * json_tree.c - JSON values that were read, and how to get at them.
 *
 * Filled by json.c. One block of memory holds a whole tree: the values, the children of
 * each as neighbours, and all strings behind them. So nothing recurses, whatever the
 * depth, and freeing is free(). A tree never changes once it is made.
 */
#include "json_tree.h"

#include <errno.h>
#include <string.h>

#include "scope.h"

struct json {
	const char *name; /* within an object, else NULL */
	union {
		const char *text;         /* JSON_STRING, JSON_NUMBER */
		const struct json *first; /* JSON_ARRAY, JSON_OBJECT */
	};
	uint32_t count;
	uint8_t type;
	bool truth;
};

/* Parents come before their children in the text: one pass gives each its place. */
static void
place(struct draft *drafts, size_t count, struct json *values, const char *strings)
{
	uint32_t next = 1;

	for (size_t i = 0; i < count; i++) {
		struct draft *d = &drafts[i];
		struct draft *parent =
		    d->parent != DRAFT_NONE ? &drafts[d->parent] : NULL;
		struct json *j =
		    &values[parent != NULL ? parent->first + parent->placed++ : 0];

		j->type = d->type;
		j->truth = d->truth;
		j->count = d->count;
		j->name = d->name != DRAFT_NONE ? strings + d->name : NULL;
		if (d->type == JSON_ARRAY || d->type == JSON_OBJECT) {
			d->first = next;
			j->first = &values[next];
			next += d->count;
		} else if (d->text != DRAFT_NONE) {
			j->text = strings + d->text;
		}
	}
}

static int
compare_names_cb(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* RFC 8259 section 4: what a name twice in an object means is anybody's guess. */
static int
check_names(const struct json *object, const char **names)
{
	for (uint32_t i = 0; i < object->count; i++)
		names[i] = object->first[i].name;
	qsort(names, object->count, sizeof(*names), compare_names_cb);
	for (uint32_t i = 1; i < object->count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return -EBADMSG;
	return 0;
}

static int
check_objects(const struct json *values, size_t count)
{
	_cleanup_free_ const char **names = calloc(count, sizeof(*names));
	int r = 0;

	if (names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++)
		if (values[i].type == JSON_OBJECT && values[i].count > 1)
			r = check_names(&values[i], names);
	return r;
}

/* One block: the values, and their strings behind them. */
int
json_tree(struct draft *drafts, size_t count, const char *strings, size_t strings_len,
    struct json **ret)
{
	size_t size = count * sizeof(struct json);
	_cleanup_free_ struct json *values = NULL;
	int r;

	values = malloc(size + strings_len);
	if (values == NULL)
		return -ENOMEM;
	memset(values, 0, size);
	memcpy((char *)values + size, strings, strings_len);
	place(drafts, count, values, (char *)values + size);
	r = check_objects(values, count);
	if (r < 0)
		return r;
	*ret = steal_ptr(values);
	return 0;
}

struct json *
json_free(struct json *j)
{
	free(j);
	return NULL;
}

enum json_type
json_type(const struct json *j)
{
	return j != NULL ? (enum json_type)j->type : JSON_NULL;
}

static bool
is_container(const struct json *j)
{
	return json_type(j) == JSON_ARRAY || json_type(j) == JSON_OBJECT;
}

const struct json *
json_get(const struct json *object, const char *name)
{
	if (json_type(object) != JSON_OBJECT)
		return NULL;
	for (uint32_t i = 0; i < object->count; i++)
		if (strcmp(object->first[i].name, name) == 0)
			return &object->first[i];
	return NULL;
}

size_t
json_count(const struct json *array_or_object)
{
	return is_container(array_or_object) ? array_or_object->count : 0;
}

const struct json *
json_at(const struct json *array_or_object, size_t i)
{
	if (i >= json_count(array_or_object))
		return NULL;
	return &array_or_object->first[i];
}

const char *
json_name_at(const struct json *object, size_t i)
{
	const struct json *j = json_at(object, i);

	return j != NULL ? j->name : NULL;
}

const char *
json_string(const struct json *j)
{
	return json_type(j) == JSON_STRING ? j->text : NULL;
}

bool
json_is_true(const struct json *j)
{
	return json_type(j) == JSON_BOOL && j->truth;
}

bool
json_is_false(const struct json *j)
{
	return json_type(j) == JSON_BOOL && !j->truth;
}

int
json_integer(const struct json *j, int64_t *ret)
{
	long long value;
	char *end;

	if (json_type(j) != JSON_NUMBER)
		return -EINVAL;
	errno = 0;
	value = strtoll(j->text, &end, 10);
	if (errno != 0 || *end != '\0')
		return -EINVAL;
	*ret = value;
	return 0;
}
