/*
 * config.h - what the administrator wrote, checked, with defaults filled in.
 *
 * config_load() reads the INI file and conf.d; everything else in renewd sees only
 * these structs. Certificates are kept as the text of their section: there may be
 * 100,000 of them, and the inventory keeps the same text, so here they are forgotten
 * when it has them; certificate_spec_parse() turns a text, with [defaults] of the
 * moment, into a struct.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "acme.h"
#include "platform/unit_job.h"
#include "scope.h"

/* A list of words, as `domains = a b` gives it. */
struct words {
	char **v;
	size_t n;
};

/* A length of time: seconds, or a share of a certificate's life. */
struct duration {
	int64_t seconds; /* 0 where it is a share */
	unsigned share;  /* parts per million of the life; 0 where it is seconds */
};

enum http01_redirect { HTTP01_REDIRECT_NONE, HTTP01_REDIRECT_HTTPS };

struct ca_config {
	char *name;
	char *directory;
	struct words contact;
	bool accept_terms;
	enum acme_key_type account_key; /* ACME_KEY_NONE: account_key_file says */
	char *account_key_file;
	char *trust_file;
	char *proxy;
	char *eab_kid;
	char *eab_hmac_key_file;
	enum acme_hmac eab_alg;
	unsigned max_requests; /* a second; 0: no limit */
	unsigned order_burst;
	struct duration order_interval; /* 0: no limit */
	unsigned max_orders;            /* 0: as in [renewd] */
	bool needs_eab; /* the CA is known to want an eab_kid, and none is written */
	bool built_in;  /* and not written in the file */
};

enum target_type {
	TARGET_HAPROXY = 1,
	TARGET_NGINX = 2,
	TARGET_SIGNAL = 3,
	TARGET_EXEC = 4,
	TARGET_SYSTEMD = 5,
	TARGET_DIRECTORY = 6,
};

/* The files of a directory target. */
enum copy_kind {
	COPY_CERT,
	COPY_CHAIN,
	COPY_FULLCHAIN,
	COPY_KEY,
	COPY_PKCS12,
	COPY_CERT_DER,
	COPY_KEY_DER,
	COPY_KINDS,
};

/* Hours of a day, in local time. */
struct window {
	unsigned days; /* a bit each, that of Sunday is 1 */
	int from, to;  /* minutes; to isn't later: it ends on the next day */
};

#define WINDOWS_MAX 16
struct windows {
	struct window v[WINDOWS_MAX];
	size_t n; /* 0: always */
};

/* What is spoken before TLS at an address of `verify`, where it begins with this name
 * and "://". */
enum starttls {
	STARTTLS_SMTP,
	STARTTLS_IMAP,
	STARTTLS_POP3,
	STARTTLS_LDAP,
	STARTTLS_POSTGRES,
	STARTTLS_KINDS,
};
extern const char *const config_starttls[STARTTLS_KINDS];

enum verify_names { VERIFY_NAMES_FIRST, VERIFY_NAMES_ALL };

struct target_config {
	char *name;
	enum target_type type;
	struct words sockets;       /* haproxy: its runtime API */
	char *bundle_path;          /* haproxy: has {name} in it, or NULL; directory */
	char *copies[COPY_KINDS];   /* directory: paths, NULL where it isn't wanted */
	char *pkcs12_password_file; /* directory */
	char *owner;                /* directory; NULL: as it comes */
	char *group;                /* the same */
	mode_t mode;                /* directory */
	char *master_socket;        /* haproxy */
	char *unit;                 /* haproxy nginx systemd */
	enum unit_action action;    /* systemd */
	char *pidfile;              /* haproxy nginx signal */
	char *process; /* signal; nginx and haproxy have theirs as default */
	int signal;    /* signal */
	struct words test_command; /* nginx */
	struct words command;      /* exec */
	struct duration timeout;   /* exec, test_command */
	struct words verify;       /* addresses to look at; none: it isn't verified */
	struct duration verify_interval;
	enum verify_names verify_names;
	bool roll_back;
	bool require;           /* those after it wait until it has taken them */
	struct windows windows; /* when it may be told */
};

/* One [certificate NAME] as it stands in a file. */
struct certificate_text {
	char *name;
	char *spec; /* "key = value" lines, canonical: equal text means equal section */
	const char *file;
	unsigned line;
};

/* The same with [defaults] and built-in defaults applied. */
struct certificate_spec {
	char *name;
	struct acme_identifier *identifiers;
	size_t identifier_count;
	struct words cas;
	enum acme_key_type keys[2];
	size_t key_count;
	bool reuse_key;
	struct words challenges;
	char *
	    profile; /* NULL: none; a last "!" is cut off and told by profile_insists */
	bool profile_insists;
	bool must_staple;
	struct duration renew_before; /* both 0: auto */
	bool placeholder;
	struct words deploy;
	bool enabled;
	mode_t bundle_mode;
	char *bundle_group;       /* NULL: as it comes */
	struct words key_files;   /* one for each of keys, or none */
	struct words csr_files;   /* the same */
	char *preferred_chain;    /* common name of an issuer, or NULL */
	struct duration lifetime; /* seconds 0: as the CA thinks */
	bool common_name;
	bool drop_failed_names;
};

struct config {
	char *path;
	struct {
		char *state_dir;
		char *bundle_dir;
		mode_t bundle_mode;
		char *bundle_group;
		int log_level; /* LOG_INFO ... */
		unsigned max_orders;
	} renewd;
	struct {
		char *socket;
		char *group;
		char *readers;
	} control;
	struct {
		struct words listen;
		enum http01_redirect redirect;
	} http01;
	struct ca_config *cas; /* built-in ones too */
	size_t ca_count;
	struct target_config *targets;
	size_t target_count;
	char *defaults; /* text of [defaults], as in struct certificate_text */
	struct certificate_text *certificates; /* NULL: forgotten */
	size_t certificate_count;
	char **files; /* all that were read; the same */
	size_t file_count;
	struct places *places; /* of those that were forgotten */
};

/* Everything that is wrong, in the order of files and lines. */
struct config_errors {
	struct config_error {
		char *file;    /* NULL: what certificate_spec_parse() was given */
		unsigned line; /* 0: about the file as a whole */
		char *field;   /* the key, or NULL */
		char *message;
	} * v;
	size_t n;
};

/* -EBADMSG where there is at least one error (all of them are in `errors`), -ENOMEM. */
int config_load(const char *path, struct config **ret, struct config_errors *errors);
struct config *config_free(struct config *c);
/* The texts of certificates, of which there may be very many, go once the inventory has
 * them. Where each was written is still known, unless there is no memory for that. */
void config_forget_texts(struct config *c);
/* The file, to be freed, and line of one whose text was forgotten; -ENOENT. */
int config_place(
    const struct config *c, const char *name, char **ret_file, unsigned *ret_line);
/* What is in force, as INI, defaults included, secrets masked. */
void config_print(const struct config *c, FILE *out);
/* What renewd.service's sandbox forbids of it, and what allows it; nothing where
 * nothing is. */
void config_print_sandbox(const struct config *c, FILE *out);
/* NULL where there is none of that name; names are compared without regard to case. */
const struct ca_config *config_ca(const struct config *c, const char *name);
const struct target_config *config_target(const struct config *c, const char *name);

/* Reads a section's text as kept in the inventory. The same errors as config_load(). */
int certificate_spec_parse(const struct config *c, const char *name, const char *text,
    struct certificate_spec **ret, struct config_errors *errors);
/* One key as a client gives it. */
struct config_setting {
	const char *key;
	const char *value;        /* as it would stand in a file; NULL: words */
	const char *const *words; /* or the words of a list, as they are */
	size_t count;
};
/* The canonical text of a section with these keys. What is wrong with the names of keys
 * is said (-EBADMSG), and *ret is the text of the others; values are
 * certificate_spec_parse()'s to judge. */
int certificate_spec_text(const char *name, const struct config_setting *settings,
    size_t count, char **ret, struct config_errors *errors);
struct certificate_spec *certificate_spec_free(struct certificate_spec *s);
/* The domains as one string, separated by `separator`. The caller frees. */
char *certificate_spec_domains(const struct certificate_spec *s, char separator);

void config_errors_add(struct config_errors *errors, const char *file, unsigned line,
    const char *field, const char *format, ...) __attribute__((format(printf, 5, 6)));
void config_errors_print(const struct config_errors *errors, FILE *out);
void config_errors_clear(struct config_errors *errors);

/* "90s" "30d" "1/3" "25%"; -EINVAL. */
int duration_parse(const char *text, struct duration *ret);
/* The number of parts of `life` (seconds) that a duration means. */
int64_t duration_seconds(const struct duration *d, int64_t life);

DEFINE_CLEANUP(struct config, config_free)
DEFINE_CLEANUP(struct certificate_spec, certificate_spec_free)

#endif
