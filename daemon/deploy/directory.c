/*
 * directory.c - copies of a certificate's files, where and as other programs want them.
 *
 * A row of types.c. What is copied is read from the bundle, all from one generation of
 * it, and each file is replaced by one rename. It must never follow a link of a
 * stranger's, nor show a key to anybody for a moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cert.h"
#include "certder.h"
#include "deploy/directory_form.h"
#include "deploy/run.h"
#include "platform/file.h"
#include "platform/group.h"
#include "platform/log.h"
#include "platform/parent.h"
#include "platform/secret.h"

#define FILE_SIZE_MAX (256 * 1024)
#define PAIRS         2
#define FILES_MAX     (PAIRS * (COPY_KINDS + 1))

static const char *const stems[DIRECTORY_TEXTS] = { "cert", "chain", "fullchain",
	"privkey" };

/* A file that was written, to be told on the loop. */
struct written {
	char path[PATH_MAX];
	bool rsa;
};

/* One look at a target for one certificate, and what it needs. */
struct look {
	const struct target_config *target;
	const struct deploy_subject *subject;
	bool write;
	uid_t uid;
	gid_t gid;
	char *password;
	size_t password_len;
	struct directory_pair first; /* of the certificate's keys */
	struct directory_pair pairs[PAIRS];
	size_t count; /* 0: there is no other than the first */
	struct written *written;
	size_t written_count;
	char *why;
	size_t size;
};

/* Returns r. */
static int say(const struct look *l, int r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int
say(const struct look *l, int r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(l->why, l->size, format, ap);
	va_end(ap);
	return r;
}

static void
clear_pair(struct directory_pair *p)
{
	for (size_t i = 0; i < DIRECTORY_TEXTS; i++)
		acme_wipe_free(p->texts[i], p->lens[i]);
	acme_chain_free(p->chain);
}

static void
clear(struct look *l)
{
	clear_pair(&l->first);
	for (size_t i = 0; i < PAIRS; i++)
		clear_pair(&l->pairs[i]);
	acme_wipe_free(l->password, l->password_len);
}

/* ---- what there is to copy ---- */

static int
read_pair(int dir, const char *suffix, struct directory_pair *ret)
{
	char name[32];
	int r = 0;

	for (size_t i = 0; i < DIRECTORY_TEXTS && r == 0; i++) {
		snprintf(name, sizeof(name), "%s%s.pem", stems[i], suffix);
		r = file_read(dir, name, FILE_SIZE_MAX, &ret->texts[i], &ret->lens[i]);
		if (r == -ENOENT && i == COPY_KEY)
			r = 0; /* it is elsewhere: of a csr_file */
	}
	if (r == 0)
		r = acme_chain_parse(ret->texts[COPY_FULLCHAIN],
		    ret->lens[COPY_FULLCHAIN], &ret->chain, NULL);
	if (r == 0)
		ret->rsa =
		    acme_key_type_is_rsa(certder_key_type(cert_leaf(ret->chain)));
	return r;
}

static int
read_bundle(struct look *l)
{
	static const char *const suffixes[PAIRS] = { ".ecdsa", ".rsa" };
	const char *path = l->subject->bundle_dir;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : read_pair(dir, "", &l->first);

	for (size_t i = 0; i < PAIRS && r == 0; i++) {
		r = read_pair(dir, suffixes[i], &l->pairs[l->count]);
		if (r == 0)
			l->count++;
		else if (r == -ENOENT)
			r = 0;
	}
	return r == 0 ? 0 : say(l, r, "can't read %s: %s", path, strerror(-r));
}

static int
read_password(struct look *l)
{
	const char *from = l->target->pkcs12_password_file;
	_cleanup_free_ char *path = NULL;
	int r;

	if (l->target->copies[COPY_PKCS12] == NULL)
		return 0;
	r = secret_read(from, &l->password, &l->password_len, &path);
	if (r < 0)
		return say(l, r, "pkcs12_password_file %s can't be read: %s", path,
		    strerror(-r));
	if (l->password_len == 0)
		return say(l, -EINVAL, "pkcs12_password_file %s is empty", path);
	return 0;
}

static int
find_owners(struct look *l)
{
	const struct target_config *t = l->target;
	int r = 0;

	l->uid = (uid_t)-1;
	l->gid = (gid_t)-1;
	if (t->owner != NULL)
		r = group_find_user(t->owner, &l->uid);
	if (r < 0)
		return say(l, r, "there is no user \"%s\" (owner)", t->owner);
	if (t->group != NULL)
		r = group_find(t->group, &l->gid);
	if (r < 0)
		return say(l, r, "there is no group \"%s\" (group)", t->group);
	return 0;
}

/* ---- one file ---- */

static bool
is_right(const struct look *l, int dir, const char *name,
    const struct directory_pair *pair, unsigned kind)
{
	struct stat st;
	char *is;
	size_t len;
	bool same;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & 07777) != l->target->mode ||
	    (l->uid != (uid_t)-1 && st.st_uid != l->uid) ||
	    (l->gid != (gid_t)-1 && st.st_gid != l->gid) ||
	    file_read(dir, name, FILE_SIZE_MAX, &is, &len) < 0)
		return false;
	same = directory_form_same(pair, kind, l->password, is, len);
	acme_wipe_free(is, len);
	return same;
}

static const char *
explain(const struct look *l, int r)
{
	switch (-r) {
	case ELOOP:
		return "on the way there is a symbolic link of another user's";
	case EPERM:
		return l->target->owner != NULL
		    ? "renewd's user may not give files to others (owner, group)"
		    : "renewd's user is not in that group (group)";
	case ENOKEY:
		return "there is no private key: it stays where the csr_file was made";
	case EROFS:
		return "the unit's sandbox, or the file system, is read-only there; "
		       "\"renewd --check\" says what allows it";
	default:
		return strerror(-r);
	}
}

static int
write_file(const struct look *l, int dir, const char *name,
    const struct directory_pair *pair, unsigned kind)
{
	char *data;
	size_t len;
	int r = directory_form(
	    pair, kind, l->password, l->subject->certificate, &data, &len);

	if (r < 0)
		return r;
	r = file_replace_owned(dir, name, data, len, l->target->mode, l->uid, l->gid);
	acme_wipe_free(data, len);
	return r;
}

static void
note_written(struct look *l, const char *path, const struct directory_pair *pair)
{
	struct written *w = &l->written[l->written_count++];

	snprintf(w->path, sizeof(w->path), "%s", path);
	w->rsa = pair->rsa;
}

/* 1: it is right now; 0: it isn't, and was to be looked at only. */
static int
attend(
    struct look *l, const char *path, const struct directory_pair *pair, unsigned kind)
{
	_cleanup_close_ int dir = -1;
	const char *name;
	int r =
	    l->write ? parent_open(path, &dir, &name) : parent_find(path, &dir, &name);

	if (r == 0 && is_right(l, dir, name, pair, kind))
		return 1;
	if (!l->write)
		return say(l, 0, "%s is missing or not as it has to be", path);
	if (r == 0)
		r = write_file(l, dir, name, pair, kind);
	if (r < 0)
		return say(l, r, "can't write %s: %s", path, explain(l, r));
	note_written(l, path, pair);
	return 1;
}

/* {name} and {key} become what they stand for, each as often as it is there. */
static int
fill_in(const struct look *l, const char *pattern, bool rsa, char ret[PATH_MAX])
{
	const struct {
		const char *mark, *value;
	} marks[] = { { "{name}", l->subject->certificate },
		{ "{key}", rsa ? "rsa" : "ecdsa" } };
	size_t n = 0;

	while (*pattern != '\0') {
		const char *value = NULL;
		size_t len = 1;

		for (size_t i = 0; i < ELEMENTS(marks) && value == NULL; i++)
			if (strncmp(pattern, marks[i].mark, strlen(marks[i].mark)) ==
			    0) {
				value = marks[i].value;
				pattern += strlen(marks[i].mark);
				len = strlen(value);
			}
		if (n + len >= PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(ret + n, value != NULL ? value : pattern++, len);
		n += len;
	}
	ret[n] = '\0';
	return 0;
}

/* With {key} one file for each key type, without it one of the first of `keys`. */
static int
attend_kind(struct look *l, unsigned kind, const char *pattern)
{
	bool each = strstr(pattern, "{key}") != NULL && l->count > 0;
	const struct directory_pair *pairs = each ? l->pairs : &l->first;
	size_t count = each ? l->count : 1;
	char path[PATH_MAX];
	int r = 1;

	for (size_t i = 0; i < count && r == 1; i++) {
		r = fill_in(l, pattern, pairs[i].rsa, path);
		if (r < 0)
			return say(l, r, "the path is too long: %s", pattern);
		r = attend(l, path, &pairs[i], kind);
	}
	return r;
}

/* ---- the target ---- */

static int
attend_all(struct look *l)
{
	const struct target_config *t = l->target;
	int r = find_owners(l);

	if (r == 0)
		r = read_password(l);
	if (r == 0)
		r = read_bundle(l);
	if (r < 0)
		return r;
	r = t->bundle_path != NULL ? attend_kind(l, COPY_BUNDLE, t->bundle_path) : 1;
	for (unsigned i = 0; i < COPY_KINDS && r == 1; i++)
		if (t->copies[i] != NULL)
			r = attend_kind(l, i, t->copies[i]);
	return r;
}

static int
look(const struct target_config *t, const struct deploy_subject *s, char *why,
    size_t size)
{
	_cleanup_(clear) struct look l = {
		.target = t, .subject = s, .why = why, .size = size
	};

	return attend_all(&l) == 1;
}

/* ---- a run, which waits for the disk in a thread ---- */

struct writing {
	struct run *run;
	struct look look;
	int r;
	struct written written[FILES_MAX];
	char why[PATH_MAX + 256];
};

static void
write_cb(void *arg)
{
	struct writing *w = arg;

	w->r = attend_all(&w->look);
}

static void
log_written(const struct look *l)
{
	for (size_t i = 0; i < l->written_count; i++)
		log_line(LOG_INFO,
		    (&(struct log_fields){ .certificate = l->subject->certificate,
			.target = l->target->name }),
		    "file written: %s, of the %s certificate", l->written[i].path,
		    l->written[i].rsa ? "RSA" : "ECDSA");
}

static void
written_cb(void *arg)
{
	struct writing *w = arg;

	log_written(&w->look);
	if (w->run->closing)
		return;
	if (w->r == 1)
		run_succeeded(w->run);
	else
		run_failed(w->run, "%s", w->why);
}

static int
start(struct run *r)
{
	struct writing *w = r->state = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->run = r;
	w->look = (struct look){ .target = r->target,
		.subject = r->subject,
		.write = true,
		.written = w->written,
		.why = w->why,
		.size = sizeof(w->why) };
	return run_in_thread(r, write_cb, written_cb, w);
}

static void
stop(struct run *r)
{
	struct writing *w = r->state;

	if (w == NULL)
		return;
	clear(&w->look);
	free(w);
	r->state = NULL;
}

const struct deploy_type directory_type = {
	.name = "directory",
	.whole = false,
	.start = start,
	.stop = stop,
	.look = look,
};
