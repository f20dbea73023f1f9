/*
 * places.c - where each certificate was written, for who wants to change it, once the
 * texts are forgotten: 16 bytes for each, and the names of the files.
 *
 * Called by config.c and, through config.h, by daemon.c and control/. A name is found
 * by its hash alone: were two the same, the place of one would be said of the other.
 */
#include "config/places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct place {
	uint64_t hash; /* of the certificate's name */
	uint32_t file; /* where in the names of files its own begins */
	uint32_t line;
};

struct places {
	size_t count;
	char *files;         /* names, one after the other, each with its NUL */
	struct place *place; /* by hash */
};

/* FNV-1a, without regard to case. */
static uint64_t
hash_name(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;

		hash ^= c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
		hash *= 0x100000001b3;
	}
	return hash;
}

static int
compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The files are all below the folder of the main one. */
static size_t
folder_length(const struct config *c)
{
	const char *slash = strrchr(c->path, '/');

	return slash != NULL ? (size_t)(slash + 1 - c->path) : 0;
}

/* Certificates stand in the order in which they were read, so those of a file stand
 * together. Without `places` it only says how long the names are. */
static size_t
fill(const struct config *c, size_t folder, struct places *places)
{
	const char *file = NULL;
	size_t length = 0, at = 0;

	for (size_t i = 0; i < c->certificate_count; i++) {
		const struct certificate_text *text = &c->certificates[i];

		if (text->file != file) {
			file = text->file;
			at = length;
			length += strlen(file + folder) + 1;
			if (places != NULL)
				memcpy(places->files + at, file + folder, length - at);
		}
		if (places != NULL)
			places->place[i] = (struct place){ hash_name(text->name),
				(uint32_t)at, text->line };
	}
	return length;
}

static struct places *
make(const struct config *c)
{
	size_t folder = folder_length(c), length = fill(c, folder, NULL);
	struct places *p = length <= UINT32_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (p == NULL)
		return NULL;
	p->count = c->certificate_count;
	p->place = calloc(p->count, sizeof(*p->place));
	p->files = malloc(length + 1);
	if (p->place == NULL || p->files == NULL)
		return places_free(p);
	(void)fill(c, folder, p);
	qsort(p->place, p->count, sizeof(p->place[0]), compare_places);
	return p;
}

struct places *
places_free(struct places *p)
{
	if (p == NULL)
		return NULL;
	free(p->place);
	free(p->files);
	free(p);
	return NULL;
}

void
places_clear_texts(struct config *c)
{
	for (size_t i = 0; c->certificates != NULL && i < c->certificate_count; i++) {
		free(c->certificates[i].name);
		free(c->certificates[i].spec);
	}
	for (size_t i = 0; i < c->file_count; i++)
		free(c->files[i]);
	free(c->certificates);
	free(c->files);
	c->certificates = NULL;
	c->files = NULL;
	c->file_count = 0;
}

void
config_forget_texts(struct config *c)
{
	if (c->certificates != NULL)
		c->places = make(c);
	places_clear_texts(c);
}

int
config_place(
    const struct config *c, const char *name, char **ret_file, unsigned *ret_line)
{
	const struct place key = { .hash = hash_name(name) }, *found = NULL;
	const struct places *p = c->places;

	if (p != NULL)
		found = bsearch(&key, p->place, p->count, sizeof(key), compare_places);
	if (found == NULL)
		return -ENOENT;
	if (asprintf(ret_file, "%.*s%s", (int)folder_length(c), c->path,
		p->files + found->file) < 0)
		return -ENOMEM;
	*ret_line = found->line;
	return 0;
}
