/*
 * load.h - what a configuration is while it is being read; inside daemon/config/ only.
 *
 * config.c reads files, load.c takes their sections in, check.c looks at all of it
 * when everything is there.
 */
#ifndef LOAD_H
#define LOAD_H

#include "config/parse.h"

/* Where a section was written. */
struct origin {
	enum section_kind kind;
	const char *name;
	const char *file;
	unsigned line;
};

struct load {
	struct config *c;
	struct config_errors *errors;
	struct origin *origins; /* in reading order */
	size_t origin_count;
	unsigned *lines; /* of the keys of all certificates, one after the other */
	size_t line_count;
	unsigned *defaults_lines;
	size_t defaults_line_count;
	size_t total;           /* bytes read */
	bool failed;            /* something was said, or should have been */
	bool unreadable;        /* a file could not be read */
	const char *file;       /* being read */
	struct section section; /* being read; without a schema: its keys are skipped */
	bool in_section;
};

/* Takes in the text of l->file, which is overwritten. 0, also after errors; -ENOMEM. */
int load_text(struct load *l, char *text, size_t len);
/* Duplicates, references, and every certificate. 0, also after errors; -ENOMEM. */
int load_check(struct load *l);
/* By file, the main one first, and line. */
void config_errors_sort(struct config_errors *errors, const char *main_file);

#endif
