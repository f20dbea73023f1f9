/*
 * errors.c - the list of all that is wrong with a configuration.
 *
 * Messages quote what somebody wrote: they are bounded, and hold no control characters,
 * as they go to terminals and the journal.
 */
#include "config/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/array.h"
#include "config/load.h"

#define ERRORS_MAX  10000
#define MESSAGE_MAX 1000

/* Nobody reads on after that many, but memory has an end. */
static const char and_more[] = "too many errors: those after this one are not shown";

static void
make_printable(char *message)
{
	if (strlen(message) > MESSAGE_MAX + strlen("...")) {
		size_t len = MESSAGE_MAX;

		while (len > 0 && ((unsigned char)message[len] & 0xc0) == 0x80)
			len--; /* not inside a UTF-8 sequence */
		memcpy(message + len, "...", sizeof("..."));
	}
	for (char *p = message; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static char *compose(const char *, va_list) __attribute__((format(printf, 1, 0)));

static char *
compose(const char *format, va_list ap)
{
	char *message = NULL;

	if (vasprintf(&message, format, ap) < 0)
		return NULL;
	make_printable(message);
	return message;
}

void
config_errors_add(struct config_errors *errors, const char *file, unsigned line,
    const char *field, const char *format, ...)
{
	struct config_error e = { .line = line };
	va_list ap;

	if (errors->n >= ERRORS_MAX || array_grow(errors->v, errors->n) < 0)
		return;
	va_start(ap, format);
	e.message = errors->n + 1 < ERRORS_MAX ? compose(format, ap) : strdup(and_more);
	va_end(ap);
	e.file = file != NULL ? strdup(file) : NULL;
	e.field = field != NULL ? strdup(field) : NULL;
	errors->v[errors->n++] = e;
}

void
config_errors_print(const struct config_errors *errors, FILE *out)
{
	for (size_t i = 0; i < errors->n; i++) {
		const struct config_error *e = &errors->v[i];

		if (e->file != NULL)
			fprintf(out, "%s:", e->file);
		if (e->file != NULL && e->line > 0)
			fprintf(out, "%u:", e->line);
		fprintf(out, "%s%s\n", e->file != NULL ? " " : "",
		    e->message != NULL ? e->message : "out of memory");
	}
}

void
config_errors_clear(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++) {
		free(errors->v[i].file);
		free(errors->v[i].field);
		free(errors->v[i].message);
	}
	free(errors->v);
	*errors = (struct config_errors){ 0 };
}

static int
compare_errors(const void *a, const void *b, void *arg)
{
	const struct config_error *x = *(const struct config_error *const *)a;
	const struct config_error *y = *(const struct config_error *const *)b;
	const char *x_file = x->file != NULL ? x->file : "";
	const char *y_file = y->file != NULL ? y->file : "";
	int r = (strcmp(y_file, arg) == 0) - (strcmp(x_file, arg) == 0);

	if (r == 0)
		r = strcmp(x_file, y_file);
	if (r == 0)
		r = (x->line > y->line) - (x->line < y->line);
	if (r == 0)
		r = (x > y) - (x < y); /* as they were said */
	return r;
}

/* Without memory they stay as they are. */
void
config_errors_sort(struct config_errors *errors, const char *main_file)
{
	_cleanup_free_ struct config_error **sorted =
	    calloc(errors->n, sizeof(*sorted));
	_cleanup_free_ struct config_error *copy = calloc(errors->n, sizeof(*copy));

	if (sorted == NULL || copy == NULL)
		return;
	for (size_t i = 0; i < errors->n; i++)
		sorted[i] = &errors->v[i];
	qsort_r(sorted, errors->n, sizeof(*sorted), compare_errors, (char *)main_file);
	for (size_t i = 0; i < errors->n; i++)
		copy[i] = *sorted[i];
	memcpy(errors->v, copy, errors->n * sizeof(*copy));
}
