/*
 * test_control.c - the control server's judgements: how a certificate is, which route a
 * path finds, who may connect.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control/endpoint.h"
#include "control/facts.h"
#include "control/peer.h"
#include "control/routes.h"
#include "control/view.h"
#include "json.h"
#include "platform/group.h"
#include "suite.h"

#define DAY  86400
#define NOW  ((int64_t)1800000000)
#define LIFE ((int64_t)100 * DAY)

/* ---- view ---- */

/* A certificate of 100 days, of which `left` are left; everything else is well. */
struct scene {
	struct certificate certificate;
	struct certificate_spec spec;
	struct issued issued[2];
	struct deployment deployment;
	struct facts facts;
};

static void
set_left(struct issued *row, int64_t left)
{
	row->not_after = NOW + left;
	row->not_before = row->not_after - LIFE;
	row->issued_at = row->not_before;
}

static void
begin(struct scene *s, int64_t days_left)
{
	*s = (struct scene){ 0 };
	s->certificate.id = 1;
	s->certificate.name = (char *)"a.example";
	s->certificate.origin = ORIGIN_CONFIG;
	s->certificate.renew_at = NOW + DAY;
	s->spec.enabled = true;
	s->spec.key_count = 1;
	s->spec.keys[0] = ACME_KEY_ECDSA_P256;
	for (size_t i = 0; i < 2; i++) {
		s->issued[i].id = 71 + (int64_t)i;
		s->issued[i].ca = (char *)"first";
		s->issued[i].names = (char *)"a.example b.example";
		s->issued[i].key_type =
		    i == 0 ? ACME_KEY_ECDSA_P256 : ACME_KEY_RSA_2048;
		set_left(&s->issued[i], days_left * DAY);
	}
	s->deployment.target = (char *)"edge";
	s->deployment.state = DEPLOYMENT_DEPLOYED;
	s->facts = (struct facts){
		.certificate = &s->certificate,
		.spec = &s->spec,
		.issued = s->issued,
		.issued_count = 1,
		.deployments = &s->deployment,
		.deployment_count = 1,
		.now = NOW,
	};
}

static struct view
judge(const struct scene *s)
{
	struct view v;

	view_judge(&s->facts, &v);
	return v;
}

static void
parked(struct scene *s)
{
	s->certificate.parked = true;
}

static void
paused(struct scene *s)
{
	s->certificate.paused = true;
}

static void
paused_due(struct scene *s)
{
	s->certificate.paused = true;
	s->certificate.renew_at = NOW;
}

static void
disabled_due(struct scene *s)
{
	s->spec.enabled = false;
	s->certificate.renew_at = NOW - 1;
}

static void
one_failure(struct scene *s)
{
	s->certificate.failures = 1;
}

static void
two_failures(struct scene *s)
{
	s->certificate.failures = 2;
}

static void
revoked(struct scene *s)
{
	s->issued[0].revoked_at = NOW - 5;
}

static void
fresh(struct scene *s)
{
	s->facts.issued_count = 0;
}

static void
fresh_failed(struct scene *s)
{
	fresh(s);
	one_failure(s);
}

static void
fresh_paused(struct scene *s)
{
	fresh(s);
	paused(s);
}

static void
not_deployed(struct scene *s)
{
	s->deployment.state = DEPLOYMENT_FAILED;
}

/* The target serves the RSA certificate, 11 days from its end; it isn't configured any
 * more, so nothing else counts it. */
static void
served_ends(struct scene *s)
{
	s->facts.issued_count = 2;
	set_left(&s->issued[1], 11 * DAY);
	s->deployment.state = DEPLOYMENT_FAILED;
	s->deployment.bundled = (char *)"5,72";
}

static void
served_ends_deployed(struct scene *s)
{
	served_ends(s);
	s->deployment.state = DEPLOYMENT_DEPLOYED;
}

static void
placeholder_hour(struct scene *s)
{
	fresh(s);
	s->certificate.placeholder_since = NOW - 3600;
}

static void
placeholder_long(struct scene *s)
{
	fresh(s);
	s->certificate.placeholder_since = NOW - 3601;
}

static void
second_expired(struct scene *s)
{
	s->spec.key_count = 2;
	s->spec.keys[1] = ACME_KEY_RSA_2048;
	s->facts.issued_count = 2;
	set_left(&s->issued[1], 0);
}

static void
second_missing(struct scene *s)
{
	s->spec.key_count = 2;
	s->spec.keys[1] = ACME_KEY_RSA_2048;
}

static void
broken_text(struct scene *s)
{
	s->facts.spec = NULL;
}

static const struct {
	const char *what;
	int64_t days_left;
	void (*change)(struct scene *s);
	enum view_state state;
	enum view_health health;
} scenes[] = {
	{ "all well", 50, NULL, VIEW_VALID, VIEW_OK },
	{ "exactly 25 %", 25, two_failures, VIEW_VALID, VIEW_OK },
	{ "exactly 12 %", 12, NULL, VIEW_VALID, VIEW_OK },
	{ "under 12 %", 11, NULL, VIEW_VALID, VIEW_CRITICAL },
	{ "expired this second", 0, NULL, VIEW_EXPIRED, VIEW_CRITICAL },
	{ "expired", -3, NULL, VIEW_EXPIRED, VIEW_CRITICAL },
	{ "revoked", 50, revoked, VIEW_REVOKED, VIEW_CRITICAL },
	{ "revoked and expired", -1, revoked, VIEW_REVOKED, VIEW_CRITICAL },
	{ "under 25 %", 24, NULL, VIEW_VALID, VIEW_OK },
	{ "under 25 %, failed once", 24, one_failure, VIEW_VALID, VIEW_OK },
	{ "under 25 %, failed twice", 24, two_failures, VIEW_VALID, VIEW_WARNING },
	{ "failed twice, time enough", 50, two_failures, VIEW_VALID, VIEW_OK },
	{ "parked", 50, parked, VIEW_VALID, VIEW_WARNING },
	{ "parked under 25 %", 24, parked, VIEW_VALID, VIEW_CRITICAL },
	{ "deployment failed", 50, not_deployed, VIEW_VALID, VIEW_WARNING },
	{ "served one ends", 50, served_ends, VIEW_VALID, VIEW_CRITICAL },
	{ "old one ends", 50, served_ends_deployed, VIEW_VALID, VIEW_OK },
	{ "new", 0, fresh, VIEW_NEW, VIEW_OK },
	{ "new, failed", 0, fresh_failed, VIEW_NEW, VIEW_WARNING },
	{ "new, paused", 0, fresh_paused, VIEW_NEW, VIEW_WARNING },
	{ "placeholder for 1 h", 0, placeholder_hour, VIEW_NEW, VIEW_OK },
	{ "placeholder for longer", 0, placeholder_long, VIEW_NEW, VIEW_CRITICAL },
	{ "paused", 50, paused, VIEW_VALID, VIEW_OK },
	{ "paused and due", 50, paused_due, VIEW_VALID, VIEW_WARNING },
	{ "disabled and due", 50, disabled_due, VIEW_VALID, VIEW_WARNING },
	{ "second key expired", 50, second_expired, VIEW_EXPIRED, VIEW_CRITICAL },
	{ "second key missing", 50, second_missing, VIEW_NEW, VIEW_OK },
	{ "text can't be read", 50, broken_text, VIEW_VALID, VIEW_OK },
};

START_TEST(test_health)
{
	for (size_t i = 0; i < ELEMENTS(scenes); i++) {
		struct scene s;
		struct view v;

		begin(&s, scenes[i].days_left);
		if (scenes[i].change != NULL)
			scenes[i].change(&s);
		v = judge(&s);
		ck_assert_msg(v.state == scenes[i].state, "%s: state %s",
		    scenes[i].what, view_state_name(v.state));
		ck_assert_msg(v.health == scenes[i].health, "%s: health %s",
		    scenes[i].what, view_health_name(v.health));
	}
}
END_TEST

START_TEST(test_activity)
{
	struct scene s;

	begin(&s, 50);
	ck_assert_int_eq(judge(&s).activity, VIEW_IDLE);
	s.certificate.next_attempt = NOW;
	ck_assert_int_eq(judge(&s).activity, VIEW_IDLE);
	/* asked for, and not taken up yet */
	s.facts.due = RENEW_FORCED;
	ck_assert_int_eq(judge(&s).activity, VIEW_IDLE);
	s.certificate.next_at = NOW;
	ck_assert_int_eq(judge(&s).activity, VIEW_ORDERING);
	s.certificate.next_at = NOW + 1;
	ck_assert_int_eq(judge(&s).activity, VIEW_IDLE);
	s.certificate.next_at = NOW;
	s.certificate.next_attempt = NOW + 1;
	ck_assert_int_eq(judge(&s).activity, VIEW_WAITING);
	s.certificate.parked = true;
	ck_assert_int_eq(judge(&s).activity, VIEW_PARKED);
	s.spec.enabled = false;
	ck_assert_int_eq(judge(&s).activity, VIEW_PAUSED);
	s.spec.enabled = true;
	s.certificate.paused = true;
	ck_assert_int_eq(judge(&s).activity, VIEW_PAUSED);
	s.facts.doing = RENEWAL_ORDERING;
	ck_assert_int_eq(judge(&s).activity, VIEW_ORDERING);
	s.facts.doing = RENEWAL_DEPLOYING;
	ck_assert_int_eq(judge(&s).activity, VIEW_DEPLOYING);
}
END_TEST

START_TEST(test_rows)
{
	struct scene s;
	struct view v;

	/* Two of one kind: the newer counts. */
	begin(&s, 50);
	s.facts.issued_count = 2;
	s.issued[1].key_type = ACME_KEY_ECDSA_P384;
	s.issued[1].issued_at++;
	v = judge(&s);
	ck_assert_uint_eq(v.row_count, 1);
	ck_assert_ptr_eq(v.rows[0], &s.issued[1]);

	/* In the order of the keys; the earliest end is told. */
	begin(&s, 50);
	s.facts.issued_count = 2;
	s.spec.key_count = 2;
	s.spec.keys[0] = ACME_KEY_RSA_2048;
	s.spec.keys[1] = ACME_KEY_ECDSA_P256;
	set_left(&s.issued[0], 40 * DAY);
	v = judge(&s);
	ck_assert_uint_eq(v.row_count, 2);
	ck_assert_ptr_eq(v.rows[0], &s.issued[1]);
	ck_assert_int_eq(v.not_after, NOW + 40 * DAY);

	/* The kind was changed: the old one is still what servers use. */
	begin(&s, 50);
	s.spec.keys[0] = ACME_KEY_RSA_4096;
	v = judge(&s);
	ck_assert_uint_eq(v.row_count, 1);
	ck_assert_int_eq(v.state, VIEW_NEW);
}
END_TEST

static const struct json_limits limits = { 65536, 8, 1000 };

static struct json *
written(const struct scene *s)
{
	struct json_writer *w = json_writer_new();
	_cleanup_free_ char *text = NULL;
	struct view v = judge(s);
	struct json *j;
	size_t len;

	view_write(w, &s->facts, &v);
	ck_assert_int_eq(json_writer_steal(w, &text, &len), 0);
	json_writer_free(w);
	ck_assert_int_eq(json_parse(text, len, &limits, &j), 0);
	return j;
}

START_TEST(test_json)
{
	static const char *const members[] = { "name", "origin", "domains", "ca",
		"profile", "state", "health", "activity", "enabled", "certificates",
		"not_after", "renew_at", "renew_reason", "failures", "next_attempt",
		"last_error", "deployments" };
	struct scene s;
	struct json *j;

	begin(&s, 50);
	s.facts.spec = NULL;
	s.certificate.last_error = (char *)"{\"detail\":\"no\"}";
	j = written(&s);
	ck_assert_uint_eq(json_count(j), ELEMENTS(members));
	for (size_t i = 0; i < ELEMENTS(members); i++)
		ck_assert_str_eq(json_name_at(j, i), members[i]);
	ck_assert_uint_eq(json_count(json_get(j, "domains")), 2);
	ck_assert_str_eq(json_string(json_get(j, "renew_at")), "2027-01-16T08:00:00Z");
	ck_assert_int_eq(json_type(json_get(j, "next_attempt")), JSON_NULL);
	ck_assert_int_eq(json_type(json_get(j, "renew_reason")), JSON_NULL);
	ck_assert_str_eq(
	    json_string(json_get(json_get(j, "last_error"), "detail")), "no");
	json_free(j);

	/* Since it was planned somebody has asked for it. */
	s.facts.due = RENEW_FORCED;
	s.certificate.renew_reason = RENEW_LIFETIME;
	s.certificate.next_at = NOW - 1;
	j = written(&s);
	ck_assert_str_eq(json_string(json_get(j, "renew_reason")), "forced");
	ck_assert_str_eq(json_string(json_get(j, "renew_at")), "2027-01-15T07:59:59Z");
	json_free(j);
	s.facts.due = RENEW_NONE;

	/* Nothing at all is known. */
	s.facts.issued_count = 0;
	s.facts.deployment_count = 0;
	s.certificate.last_error = NULL;
	j = written(&s);
	ck_assert_str_eq(json_string(json_at(json_get(j, "domains"), 0)), "a.example");
	ck_assert_int_eq(json_type(json_get(j, "ca")), JSON_NULL);
	ck_assert_int_eq(json_type(json_get(j, "not_after")), JSON_NULL);
	ck_assert_int_eq(json_type(json_get(j, "certificates")), JSON_ARRAY);
	ck_assert_int_eq(json_type(json_get(j, "last_error")), JSON_NULL);
	json_free(j);
}
END_TEST

START_TEST(test_json_of_what_is_revoked)
{
	struct revocation row = { .reason = ACME_REASON_SUPERSEDED,
		.waits = true,
		.asked_at = NOW - 5,
		.next_attempt = NOW - 5,
		.key_type = ACME_KEY_ECDSA_P256,
		.serial = (char *)"0a" };
	struct scene s;
	struct json *j;
	const struct json *shown;

	begin(&s, 50);
	s.issued[0].revoked_at = NOW - 5;
	s.facts.revocations = &row;
	s.facts.revocation_count = 1;
	j = written(&s);
	shown = json_at(json_get(j, "certificates"), 0);
	ck_assert_str_eq(
	    json_string(json_get(shown, "revoked_at")), "2027-01-15T07:59:55Z");
	shown = json_at(json_get(j, "revocations"), 0);
	ck_assert_str_eq(json_string(json_get(shown, "reason")), "superseded");
	ck_assert_str_eq(json_string(json_get(shown, "serial")), "0a");
	ck_assert_str_eq(json_string(json_get(shown, "key")), "ecdsa-p256");
	ck_assert_int_eq(json_type(json_get(shown, "next_attempt")), JSON_NULL);
	ck_assert_str_eq(
	    json_string(json_get(shown, "detail")), "it is replaced first");
	json_free(j);
	row.waits = false;
	row.next_attempt = NOW + 60;
	row.detail = (char *)"no answer";
	j = written(&s);
	shown = json_at(json_get(j, "revocations"), 0);
	ck_assert_str_eq(json_string(json_get(shown, "detail")), "no answer");
	ck_assert_str_eq(
	    json_string(json_get(shown, "next_attempt")), "2027-01-15T08:01:00Z");
	json_free(j);
}
END_TEST

/* ---- routes ---- */

static const struct {
	enum evhttp_cmd_type method;
	const char *path;
	int r;
	const char *pattern; /* or what is allowed */
	const char *name;
} paths[] = {
	{ EVHTTP_REQ_GET, "/v1/status", 0, "/v1/status", "" },
	{ EVHTTP_REQ_GET, "/healthz", 0, "/healthz", "" },
	{ EVHTTP_REQ_GET, "/v1/certificates", 0, "/v1/certificates", "" },
	{ EVHTTP_REQ_GET, "/v1/certificates/a", 0, "/v1/certificates/NAME", "a" },
	{ EVHTTP_REQ_GET, "/v1/certificates/%5fwild%2Fa", 0, "/v1/certificates/NAME",
	    "_wild/a" },
	{ EVHTTP_REQ_POST, "/v1/certificates/renew/renew", 0,
	    "/v1/certificates/NAME/renew", "renew" },
	{ EVHTTP_REQ_POST, "/v1/certificates/a", -EPERM, "GET, PUT, DELETE", NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/a/renew", -EPERM, "POST", NULL },
	{ EVHTTP_REQ_HEAD, "/v1/status", -EPERM, "GET", NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates//renew", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/a/", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/a/b", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/%00", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/%", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/a%4", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/%g0", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/certificates/0123456789012345", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/statu", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1/status/", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "v1/status", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "//v1/status", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/v1%2fstatus", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "/", -ENOENT, NULL, NULL },
	{ EVHTTP_REQ_GET, "", -ENOENT, NULL, NULL },
};

START_TEST(test_routes)
{
	for (size_t i = 0; i < ELEMENTS(paths); i++) {
		const struct route *route = NULL;
		unsigned methods = 0;
		char name[16];
		char allow[64];
		int r;

		r = routes_find(paths[i].method, paths[i].path, name, sizeof(name),
		    &route, &methods);
		ck_assert_msg(r == paths[i].r, "%s: %d", paths[i].path, r);
		if (r == 0) {
			ck_assert_str_eq(route->pattern, paths[i].pattern);
			ck_assert_str_eq(name, paths[i].name);
		} else if (r == -EPERM) {
			ck_assert_str_eq(routes_methods(methods, allow, sizeof(allow)),
			    paths[i].pattern);
		}
	}
}
END_TEST

START_TEST(test_decode)
{
	char out[4];

	ck_assert_int_eq(routes_decode("abc", 3, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "abc");
	ck_assert_int_eq(routes_decode("%61%62%63", 9, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "abc");
	ck_assert_int_eq(routes_decode("", 0, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(routes_decode("+", 1, out, sizeof(out)), 0);
	ck_assert_str_eq(out, "+");
	ck_assert_int_eq(routes_decode("abcd", 4, out, sizeof(out)), -ENAMETOOLONG);
	ck_assert_int_eq(routes_decode("%61", 2, out, sizeof(out)), -EINVAL);
	ck_assert_int_eq(routes_decode("%6", 2, out, sizeof(out)), -EINVAL);
	ck_assert_int_eq(routes_decode("%-1", 3, out, sizeof(out)), -EINVAL);
	ck_assert_int_eq(routes_decode("%00", 3, out, sizeof(out)), -EINVAL);
}
END_TEST

START_TEST(test_methods)
{
	char out[64];

	ck_assert_str_eq(routes_methods(0, out, sizeof(out)), "");
	ck_assert_str_eq(
	    routes_methods(EVHTTP_REQ_DELETE | EVHTTP_REQ_GET, out, sizeof(out)),
	    "GET, DELETE");
	ck_assert_uint_lt(strlen(routes_methods(~0U, out, 8)), 8);
}
END_TEST

/* ---- who may connect ---- */

START_TEST(test_peer)
{
	const struct peer_groups nobody = { PEER_NO_GROUP, PEER_NO_GROUP };
	int fds[2];
	uid_t uid = 12345;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(peer_access(fds[0], &nobody, &uid), PEER_ADMIN);
	ck_assert_uint_eq(uid, geteuid());
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(peer_access(fds[0], &nobody, NULL), PEER_STRANGER);
}
END_TEST

START_TEST(test_group)
{
	gid_t group = 12345;

	ck_assert_int_eq(group_find("root", &group), 0);
	ck_assert_uint_eq(group, 0);
	ck_assert_int_eq(group_find("0", &group), 0);
	ck_assert_uint_eq(group, 0);
	ck_assert_int_eq(group_find("0x1", &group), -ENOENT);
	ck_assert_int_eq(group_find("99999999999", &group), -ENOENT);
	ck_assert_int_eq(group_find("no-such-group-here", &group), -ENOENT);
	ck_assert_int_eq(group_find("", &group), -ENOENT);
	ck_assert_int_eq(group_find(NULL, &group), -ENOENT);
}
END_TEST

static mode_t
mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode : 0;
}

START_TEST(test_endpoint)
{
	char dir[] = "/tmp/test_control.XXXXXX";
	struct endpoint *e = NULL;
	struct endpoint *other = NULL;
	char path[128];
	char parent[64];
	int fd = -1;
	int other_fd = -1;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(parent, sizeof(parent), "%s/run", dir);
	snprintf(path, sizeof(path), "%s/control.sock", parent);

	umask(0);
	ck_assert_int_eq(endpoint_open(path, &e, &fd), 0);
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0600);
	ck_assert_uint_eq(mode_of(parent), S_IFDIR | 0755);
	ck_assert_int_eq(endpoint_allow(e, (gid_t)-1, 0660), 0);
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0660);
	ck_assert_str_eq(endpoint_path(e), path);

	/* Somebody listens: it stays. */
	ck_assert_int_eq(endpoint_open(path, &other, &fd), -EADDRINUSE);
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0660);

	/* Another one has taken its place: that stays, too. */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(endpoint_open(path, &other, &other_fd), 0);
	endpoint_close(e);
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0600);
	close(fd);

	/* Nobody listens any more: it is replaced, and in the end removed. */
	close(other_fd);
	ck_assert_int_eq(endpoint_open(path, &e, &fd), 0);
	endpoint_close(e);
	ck_assert_uint_eq(mode_of(path), 0);
	close(fd);
	endpoint_close(other);

	/* Something else is there. */
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(endpoint_open(path, &e, &fd), -EEXIST);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(parent), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(test_endpoint_long)
{
	struct endpoint *e = NULL;
	char path[200] = "/tmp/";
	int fd;

	memset(path + 5, 'a', sizeof(path) - 6);
	ck_assert_int_eq(endpoint_open(path, &e, &fd), -ENAMETOOLONG);
	ck_assert_int_eq(endpoint_open("", &e, &fd), -EINVAL);
	ck_assert_ptr_null(endpoint_close(NULL));
}
END_TEST

SUITE("control", test_health, test_activity, test_rows, test_json,
    test_json_of_what_is_revoked, test_routes, test_decode, test_methods, test_peer,
    test_group, test_endpoint, test_endpoint_long)
