/*
 * replay.c - the main of fuzz targets where libFuzzer isn't: gives them the files of
 * their corpus, or those that it is told, one after the other.
 *
 * `make check` runs it, in builds with sanitizers too; a crash names the file.
 */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

#define INPUT_MAX (4U << 20)

static void
replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_MAX);
	size_t size;

	MUST(file != NULL && data != NULL);
	size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

static int
is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int
replay_all(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_input, alphasort);

	if (n <= 0) {
		fprintf(
		    stderr, "%s: %s\n", folder, n < 0 ? strerror(errno) : "is empty");
		return EXIT_FAILURE;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 0; i < n; i++) {
		char *path = NULL;

		MUST(asprintf(&path, "%s/%s", folder, entries[i]->d_name) >= 0);
		replay(path);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return EXIT_SUCCESS;
}

int
main(int argc, char *argv[])
{
	const char *top = getenv("SRCDIR");
	char *folder = NULL;
	int status;

	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc > 1)
		return EXIT_SUCCESS;
	MUST(asprintf(&folder, "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".",
		 program_invocation_short_name) >= 0);
	status = replay_all(folder);
	free(folder);
	return status;
}
