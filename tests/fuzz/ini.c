/*
 * ini.c - the INI reader: every item has its line, words fit where they are said to,
 * and a word that is quoted comes back.
 */
#include "config/ini.h"

#include "buffer.h"
#include "fuzz.h"

static void
quote(const char *word)
{
	_cleanup_(buffer_free) struct buffer quoted = { 0 };
	const char *pos;
	char *out;

	ini_quote(&quoted, word);
	MUST(!quoted.failed);
	pos = quoted.data != NULL ? quoted.data : "";
	out = malloc(strlen(pos) + 1);
	MUST(out != NULL);
	MUST(ini_word(&pos, INI_LIST, out));
	MUST(strcmp(out, word) == 0);
	free(out);
}

static void
split(const char *value)
{
	static const char *const separators[] = { INI_TEXT, INI_LIST, INI_COMMAND };

	for (size_t i = 0; i < ELEMENTS(separators); i++) {
		const char *pos = value;
		char *out = malloc(strlen(pos) + 1);

		MUST(out != NULL);
		while (ini_word(&pos, separators[i], out))
			quote(out);
		free(out);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct ini_item item;
	unsigned line = 0;
	struct ini in;

	ini_open(&in, text, size);
	while (ini_next(&in, &item) != INI_END) {
		MUST(item.line >= 1 && item.line <= size + 1);
		MUST(item.what == INI_ERROR || item.line > line);
		if (item.what != INI_ERROR)
			line = item.line;
		if (item.what == INI_KEY)
			split(item.value);
		if (item.what == INI_ERROR)
			MUST(item.message != NULL);
	}
	MUST(ini_next(&in, &item) == INI_END);
	free(text);
	return 0;
}
