/*
 * config.c - a whole configuration file: refused with its errors said, or taken, and
 * then what is printed of it is taken, too.
 */
#include "config/config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

static int
load(const void *text, size_t size, struct config **ret, struct config_errors *errors)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	char path[64];
	int r;

	MUST(fd >= 0 && write(fd, text, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load(path, ret, errors);
	close(fd);
	return r;
}

static void
parse_certificates(const struct config *c)
{
	for (size_t i = 0; i < c->certificate_count; i++) {
		const struct certificate_text *text = &c->certificates[i];
		struct config_errors errors = { 0 };
		struct certificate_spec *spec;

		MUST(certificate_spec_parse(
			 c, text->name, text->spec, &spec, &errors) == 0);
		MUST(spec->identifier_count > 0 && spec->key_count > 0);
		certificate_spec_free(spec);
		config_errors_clear(&errors);
	}
}

static void
print(const struct config *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	MUST(out != NULL);
	config_print(c, out);
	fclose(out);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = { 0 };
	struct config *config = NULL;

	if (load(data, size, &config, &errors) == 0) {
		MUST(errors.n == 0);
		parse_certificates(config);
		print(config);
	} else {
		MUST(errors.n > 0 && config == NULL);
	}
	config_free(config);
	config_errors_clear(&errors);
	return 0;
}
