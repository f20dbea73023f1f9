/*
 * values.h - the kinds of values: how each is read, checked, printed and freed.
 *
 * Named by the rows of schema.c, used by parse.c and print.c. A parser replaces what
 * stands in the struct; on an error it says so and leaves it alone.
 */
#ifndef VALUES_H
#define VALUES_H

#include "config/config.h"
#include "config/schema.h"

struct buffer;

/* Where a value is being read, and who hears what is wrong with it. */
struct parse {
	const struct config *config;  /* for references; sections read so far */
	struct config_errors *errors; /* NULL: what is wrong here was said already */
	const char *file;             /* NULL: no file */
	unsigned line;
	const char *title; /* "[certificate www]" */
	const struct schema_key *key;
	bool failed; /* an error was met, said or not */
};

struct choice {
	const char *name;
	int value;
};

struct value_type {
	const char *separators; /* of ini.h */
	/* At least one word. 0; -EBADMSG, said; -ENOMEM. */
	int (*parse)(struct parse *p, struct words *w, void *object);
	/* The value as it would be written; nothing where it is the empty one. NULL:
	 * none is kept. */
	void (*print)(
	    struct buffer *out, const struct schema_key *key, const void *object);
	void (*clear)(
	    const struct schema_key *key, void *object); /* NULL: nothing to */
	const struct choice *choices;
};

extern const struct value_type value_account_key, value_action, value_api_sockets,
    value_bool, value_bundle_path, value_cas, value_challenges, value_command,
    value_contact, value_copy_path, value_directory, value_domains, value_duration,
    value_group, value_hmac, value_interval, value_keys, value_listen, value_log_level,
    value_mode, value_number, value_path, value_paths, value_profile, value_program,
    value_proxy, value_redirect, value_renew_before, value_secret, value_signal,
    value_socket, value_target_type, value_targets, value_title, value_unit, value_user,
    value_verify, value_verify_names, value_windows, value_word;

/* Says what is wrong; -EBADMSG, to be returned. */
int value_error(struct parse *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `"KEY" must be WHAT, not "WORD"`. */
int value_must_be(struct parse *p, const char *what, const char *word);

/* What rows of several files of values share. */
void *value_field(const struct schema_key *key, void *object);
int value_take_text(struct parse *p, struct words *w, void *object);
/* The list itself, after its length and duplicates are checked. */
int value_take_words(struct parse *p, struct words *w, void *object);
int value_check_words(struct parse *p, const struct words *w, bool unique);
int value_check_path(struct parse *p, const char *word);
int value_check_socket(struct parse *p, const char *word);
void value_print_text(
    struct buffer *out, const struct schema_key *key, const void *object);
void value_print_words(
    struct buffer *out, const struct schema_key *key, const void *object);
void value_clear_text(const struct schema_key *key, void *object);
void value_clear_words(const struct schema_key *key, void *object);

#endif
