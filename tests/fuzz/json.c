/*
 * json.c - the JSON reader: whatever it takes can be walked, written, and read again.
 */
#include "json.h"

#include "fuzz.h"

static void
copy(struct json_writer *w, const struct json *j)
{
	int64_t number = 0;

	switch (json_type(j)) {
	case JSON_NULL:
		json_put_null(w);
		break;
	case JSON_BOOL:
		MUST(json_is_true(j) != json_is_false(j));
		json_put_bool(w, json_is_true(j));
		break;
	case JSON_NUMBER:
		(void)json_integer(j, &number);
		json_put_integer(w, number);
		break;
	case JSON_STRING:
		json_put_string(w, json_string(j));
		break;
	case JSON_ARRAY:
		json_open_array(w);
		for (size_t i = 0; i < json_count(j); i++)
			copy(w, json_at(j, i));
		json_close_array(w);
		break;
	case JSON_OBJECT:
		json_open_object(w);
		for (size_t i = 0; i < json_count(j); i++) {
			MUST(json_get(j, json_name_at(j, i)) == json_at(j, i));
			json_name(w, json_name_at(j, i));
			copy(w, json_at(j, i));
		}
		json_close_object(w);
		break;
	}
}

static char *
written(const struct json *j, size_t *ret_len)
{
	struct json_writer *w = json_writer_new();
	char *text;

	copy(w, j);
	MUST(json_writer_steal(w, &text, ret_len) == 0);
	json_writer_free(w);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* an escape takes six bytes in place of one */
	const struct json_limits wide = { json_limits_acme.size * 8,
		json_limits_acme.depth, json_limits_acme.values };
	char *text = fuzz_text(data, size);
	struct json *first, *second;
	char *once, *twice;
	size_t len;

	if (json_parse(text, size, &json_limits_acme, &first) == 0) {
		once = written(first, &len);
		MUST(json_parse(once, len, &wide, &second) == 0);
		twice = written(second, &len);
		MUST(strcmp(once, twice) == 0);
		free(once);
		free(twice);
		json_free(first);
		json_free(second);
	}
	free(text);
	return 0;
}
