/*
 * json.h - JSON in and out, bounded: the only place where yajl is used.
 *
 * Reading goes through yajl's callback parser with limits on size, depth and number of
 * values, and stops at the byte that passes one of them. What is read is immutable and
 * lives until json_free(). Getters take NULL and values of another type, and then
 * answer "not there", so that callers chain them without checks in between.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_limits {
	size_t size;   /* bytes of text */
	size_t depth;  /* nested arrays and objects */
	size_t values; /* in all */
};

/* What a CA may send (RFC 8555 objects): 256 KiB, depth 16, 20,000 values. */
extern const struct json_limits json_limits_acme;

/* -EBADMSG: not JSON, not UTF-8, a NUL in a string, trailing text, or a name twice in
 * one object; -E2BIG: a limit was passed; -ENOMEM. */
int json_parse(
    const char *text, size_t len, const struct json_limits *limits, struct json **ret);
struct json *json_free(struct json *j);

enum json_type json_type(const struct json *j); /* JSON_NULL for NULL */
const struct json *json_get(const struct json *object, const char *name);
size_t json_count(const struct json *array_or_object); /* 0 for others */
const struct json *json_at(const struct json *array_or_object, size_t i);
const char *json_name_at(const struct json *object, size_t i);
const char *json_string(const struct json *j); /* NULL unless a string */
bool json_is_true(const struct json *j);
bool json_is_false(const struct json *j);
int json_integer(
    const struct json *j, int64_t *ret); /* -EINVAL unless a whole number */

/* Writing. Errors stick; json_writer_steal() reports them. A NULL text is written as
 * null. Text that isn't UTF-8 gets U+FFFD in place of what is broken. */
struct json_writer;

struct json_writer *json_writer_new(void); /* NULL: no memory; all calls accept NULL */
struct json_writer *json_writer_free(struct json_writer *w);
void json_open_object(struct json_writer *w);
void json_close_object(struct json_writer *w);
void json_open_array(struct json_writer *w);
void json_close_array(struct json_writer *w);
void json_name(struct json_writer *w, const char *name);
void json_put_string(struct json_writer *w, const char *text);
void json_put_integer(struct json_writer *w, int64_t value);
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);
/* A value that is already JSON text, as kept in the inventory; empty or NULL: null. */
void json_put_raw(struct json_writer *w, const char *text);
/* Name and value in one. */
void json_member_string(struct json_writer *w, const char *name, const char *text);
void json_member_integer(struct json_writer *w, const char *name, int64_t value);
void json_member_bool(struct json_writer *w, const char *name, bool value);
void json_member_null(struct json_writer *w, const char *name);
void json_member_raw(struct json_writer *w, const char *name, const char *text);
/* The text, to be freed by the caller; -ENOMEM, -EINVAL where calls didn't nest. The
 * writer is empty and usable again after. */
int json_writer_steal(struct json_writer *w, char **ret, size_t *ret_len);
/* The same, lent until the writer is used again: for many values, one after the other.
 */
int json_writer_lend(struct json_writer *w, const char **ret, size_t *ret_len);

#endif
