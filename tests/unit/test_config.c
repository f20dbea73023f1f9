/*
 * test_config.c - the configuration: what is understood, and every error word by word.
 *
 * Each test works in a directory of its own, as the working directory, so that the
 * names of files in messages are short.
 */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "buffer.h"
#include "config/schema.h"
#include "config/values.h"
#include "platform/file.h"
#include "suite.h"

/* ---- Places ---------------------------------------------------------------------- */

struct place {
	char path[32];
	int back;
};

static struct place
enter(void)
{
	struct place p = { .path = "/tmp/renewd-test-XXXXXX" };

	p.back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(p.back, 0);
	ck_assert_ptr_nonnull(mkdtemp(p.path));
	ck_assert_int_eq(chdir(p.path), 0);
	ck_assert_int_eq(mkdir("conf.d", 0700), 0);
	return p;
}

static void
leave(struct place *p)
{
	ck_assert_int_eq(fchdir(p->back), 0);
	close(p->back);
	ck_assert_int_eq(file_remove_tree(AT_FDCWD, p->path), 0);
}

static void
write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

/* A text may hold several files: a line "== PATH" begins the next one. */
static void
write_files(const char *text)
{
	_cleanup_free_ char *path = strdup("renewd.conf");

	while (path != NULL) {
		const char *next = strstr(text, "== ");
		size_t len = next != NULL ? (size_t)(next - text) : strlen(text);

		write_file(path, text, len);
		free(path);
		path = NULL;
		if (next != NULL) {
			path = strndup(next + 3, strcspn(next + 3, "\n"));
			text = next + 3 + strlen(path) + 1;
		}
	}
}

static char *
errors_text(const struct config_errors *errors)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	config_errors_print(errors, f);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

static char *
print_text(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	config_print(c, f);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

/* The messages of loading these files; "" where all is well. */
static char *
load_messages(const char *files)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	struct place p = enter();
	char *text;
	int r;

	write_files(files);
	r = config_load("renewd.conf", &c, &errors);
	text = errors_text(&errors);
	ck_assert_int_eq(r, errors.n > 0 ? -EBADMSG : 0);
	ck_assert((c != NULL) == (r == 0));
	config_errors_clear(&errors);
	config_free(c);
	leave(&p);
	return text;
}

static struct config *
load(const char *files)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	struct place p = enter();

	write_files(files);
	if (config_load("renewd.conf", &c, &errors) < 0)
		config_errors_print(&errors, stderr);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(errors.n, 0);
	leave(&p);
	return c;
}

static struct certificate_spec *
parse(const struct config *c, const char *name, const char *text)
{
	struct config_errors errors = { 0 };
	struct certificate_spec *spec = NULL;

	if (certificate_spec_parse(c, name, text, &spec, &errors) < 0)
		config_errors_print(&errors, stderr);
	ck_assert_ptr_nonnull(spec);
	ck_assert_uint_eq(errors.n, 0);
	return spec;
}

/* ---- Errors ---------------------------------------------------------------------- */

#define F "renewd.conf:"
#define CA \
  "[ca le]\ndirectory = https://ca.example/d\naccept_terms = yes\n" /* 3 lines */
#define LISTEN "numeric addresses with a port, such as 0.0.0.0:80 or [::]:80, not "
#define KEYS   "ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096, not "
#define NO_TERMS \
  " needs accept_terms = yes: renewd never agrees to a CA's terms by itself\n"
#define NO_EAB                                                          \
  " needs eab_kid and eab_hmac_key_file: this CA registers no account " \
  "without an external account binding\n"

/* clang-format off */
static const struct {
	const char *files;
	const char *messages;
} bad[] = {
	/* sections */
	{ "[renewed]\nlog_level = x\nfoo\n",
	    F "1: unknown section [renewed]; did you mean \"renewd\"?\n"
	    F "3: expected \"key = value\" or \"[section]\"\n" },
	{ "[certificates www]\n",
	    F "1: unknown section [certificates www]; did you mean \"certificate\"?\n" },
	{ "[xyzzy]\n", F "1: unknown section [xyzzy]\n" },
	{ "[renewd x]\n[ca]\n[certificate a b]\nca = google\n[deploy -x]\ntype = exec\ncommnd = x\n",
	    F "1: [renewd] takes no name\n"
	    F "2: [ca] needs a name: [ca NAME]\n"
	    F "2: [ca] needs \"directory\"\n"
	    F "3: \"a b\" is not a name: letters, digits, \".\", \"_\" and \"-\" only, 200 at most\n"
	    F "3: [ca google]" NO_TERMS
	    F "3: [ca google]" NO_EAB
	    F "5: \"-x\" is not a name: letters, digits, \".\", \"_\" and \"-\" only, 200 at most\n"
	    F "5: [deploy -x] needs \"command\"\n"
	    F "7: unknown key \"commnd\" in [deploy -x]; did you mean \"command\"?\n" },
	{ "log_level = debug\n[renewd\nlog_level = x\n",
	    F "1: key \"log_level\" before the first section\n"
	    F "2: section header without \"]\"\n" },
	{ CA
	    "[certificate www]\n[certificate WWW]\n[renewd]\n[renewd]\n"
	    "== conf.d/b.conf\n[ca LE]\n[defaults]\n[deploy le]\ntype = exec\ncommand = x\n"
	    "== conf.d/c.conf\n\n[defaults]\n[deploy LE]\ntype = exec\ncommand = x\n",
	    F "5: duplicate section [certificate WWW]; the first is at renewd.conf:4\n"
	    F "7: duplicate section [renewd]; the first is at renewd.conf:6\n"
	    "conf.d/b.conf:1: [ca LE] needs \"directory\"\n"
	    "conf.d/b.conf:1: duplicate section [ca LE]; the first is at renewd.conf:1\n"
	    "conf.d/c.conf:2: duplicate section [defaults]; the first is at conf.d/b.conf:2\n"
	    "conf.d/c.conf:3: duplicate section [deploy LE]; the first is at conf.d/b.conf:3\n" },
	/* keys */
	{ CA "[certificate www]\n\n\n\n\n\n\n\ndomain = example.org\nCa = le\n",
	    F "12: unknown key \"domain\" in [certificate www]; did you mean \"domains\"?\n"
	    F "13: unknown key \"Ca\" in [certificate www]; did you mean \"ca\"?\n" },
	{ "[http-01]\nfoo = 1\nredirects = none\n",
	    F "2: unknown key \"foo\" in [http-01]\n"
	    F "3: unknown key \"redirects\" in [http-01]; did you mean \"redirect\"?\n" },
	{ "[renewd]\nlog_level = info\n\nlog_level = debug\nlog_level =\n",
	    F "4: duplicate key \"log_level\"; the first is in line 2\n"
	    F "5: duplicate key \"log_level\"; the first is in line 2\n" },
	{ "[renewd]\nstate_dir = \"/x\nlog_level = nfo\n",
	    F "2: a double quote is not closed in its line\n"
	    F "3: \"log_level\" must be one of error, warning, notice, info, debug, not \"nfo\"\n" },
	/* plain values */
	{ "[renewd]\nstate_dir = lib\nbundle_dir = \"\"\nbundle_mode = 0644\nmax_orders = 0\n",
	    F "2: \"state_dir\" must be an absolute path, not \"lib\"\n"
	    F "3: \"bundle_dir\" must be an absolute path, not \"\"\n"
	    F "4: \"bundle_mode\" may have no bits beyond 0640, not \"0644\"\n"
	    F "5: \"max_orders\" must be a number from 1 to 1000, not \"0\"\n" },
	{ "[renewd]\nbundle_mode = 0660\n",
	    F "2: \"bundle_mode\" may have no bits beyond 0640, not \"0660\"\n" },
	{ "[renewd]\nbundle_mode = rw\nbundle_group = a b\nmax_orders = 99999999999999999999\n",
	    F "2: \"bundle_mode\" must be an octal mode such as 0640, not \"rw\"\n"
	    F "3: \"bundle_group\" must be the name or number of a group, not \"a b\"\n"
	    F "4: \"max_orders\" must be a number from 1 to 1000, not \"99999999999999999999\"\n" },
	{ "[renewd]\nmax_orders = -1\n[control]\nsocket = control.sock\n",
	    F "2: \"max_orders\" must be a number from 1 to 1000, not \"-1\"\n"
	    F "4: \"socket\" must be an absolute path, not \"control.sock\"\n" },
	{ "[control]\nsocket = /123456789/123456789/123456789/123456789/123456789"
	  "/123456789/123456789/123456789/123456789/123456789/1234567\n",
	    F "2: \"socket\" has 108 bytes: the path of a UNIX socket has 107 at most\n" },
	{ "[http-01]\nlisten = localhost:80\nredirect = yes\n",
	    F "2: \"listen\" must be numeric addresses with a port, such as 0.0.0.0:80 or "
	    "[::]:80, not \"localhost:80\"\n"
	    F "3: \"redirect\" must be one of none, https, not \"yes\"\n" },
	{ "[http-01]\nlisten = 0.0.0.0:0 [::1]:65536 [::1]:65535\n",
	    F "2: \"listen\" must be " LISTEN "\"0.0.0.0:0\"\n"
	    F "2: \"listen\" must be " LISTEN "\"[::1]:65536\"\n" },
	{ "[http-01]\nlisten = 0.0.0.0:80 0.0.0.0:80\n",
	    F "2: \"listen\" has \"0.0.0.0:80\" twice\n" },
	{ "[http-01]\nlisten = a 0.0.0.0:80 b A\n[ca google]\ncontact = a@b mailto:c@d e\n",
	    F "2: \"listen\" has \"A\" twice\n"
	    F "2: \"listen\" must be " LISTEN "\"a\"\n"
	    F "2: \"listen\" must be " LISTEN "\"b\"\n"
	    F "2: \"listen\" must be " LISTEN "\"A\"\n"
	    F "4: \"contact\" must be mailto: with one plain address each, not \"a@b\"\n"
	    F "4: \"contact\" must be mailto: with one plain address each, not \"e\"\n" },
	/* [ca] */
	{ "[ca own]\n", F "1: [ca own] needs \"directory\"\n" },
	{ "[ca own]\ndirectory = http://x/\n",
	    F "2: \"directory\" must be an https:// URL: ACME is never spoken without TLS\n" },
	{ "[ca own]\ndirectory = https:///x\naccept_terms = maybe\ncontact = ops@example.net\n"
	  "account_key = rsa\nproxy = ftp://u:secret@x\ntrust_file = x.pem\n",
	    F "2: \"directory\" must be an https:// URL, not \"https:///x\"\n"
	    F "3: \"accept_terms\" must be yes or no, not \"maybe\"\n"
	    F "4: \"contact\" must be mailto: with one plain address each, not \"ops@example.net\"\n"
	    F "5: \"account_key\" must be ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096, "
	    "or file: and an absolute path, not \"rsa\"\n"
	    F "6: \"proxy\" must be an http://, https:// or socks5:// URL\n"
	    F "7: \"trust_file\" must be an absolute path, not \"x.pem\"\n" },
	{ "[ca google]\neab_kid = k\n[ca zerossl]\neab_hmac_key_file = hmac\n",
	    F "2: [ca google] has \"eab_kid\" without \"eab_hmac_key_file\"\n"
	    F "4: \"eab_hmac_key_file\" must be an absolute path or credential:NAME, not \"hmac\"\n"
	    F "4: [ca zerossl] has \"eab_hmac_key_file\" without \"eab_kid\"\n" },
	{ "[ca google]\ncontact = mailto:a@b?subject=x\n",
	    F "2: \"contact\" must be mailto: with one plain address each, not "
	    "\"mailto:a@b?subject=x\"\n" },
	{ "[ca google]\naccount_key = file:key.pem\n",
	    F "2: \"account_key\" must be ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096, "
	    "or file: and an absolute path, not \"file:key.pem\"\n" },
	/* which CA, and its terms */
	{ "[certificate www]\n",
	    F "1: [certificate www] has no \"ca\", and no [ca] section is written\n" },
	{ CA "[ca google]\n[certificate www]\n",
	    F "5: [certificate www] has no \"ca\", and more than one [ca] section is written\n" },
	{ "[ca letsencrypt]\n[certificate a.example]\n[certificate b.example]\n",
	    F "1: [ca letsencrypt]" NO_TERMS },
	{ "[defaults]\nca = google\n[certificate a.example]\n[certificate b.example]\n",
	    F "3: [ca google]" NO_TERMS F "3: [ca google]" NO_EAB },
	{ CA
	    "[certificate a.example]\nca = le zerossl\n[ca google]\n[certificate b.example]\n"
	    "ca = google ZeroSSL\n",
	    F "4: [ca zerossl]" NO_TERMS F "4: [ca zerossl]" NO_EAB
	    F "6: [ca google]" NO_TERMS F "6: [ca google]" NO_EAB },
	/* they are said beside what else is wrong with a certificate */
	{ "[ca le]\ndirectory = https://ca.example/d\n[certificate www]\nkeys = dsa ecdsa-p384 dh\n"
	  "domains = *.example.org a_b x.example *.example.net x.example\nchallenge = dns-01 x\n"
	  "[defaults]\nca = le google\nprofile = a/b\n[certificate b c]\nkey = x\n",
	    F "1: [ca le]" NO_TERMS
	    F "3: [ca google]" NO_TERMS
	    F "3: [ca google]" NO_EAB
	    F "4: \"keys\" must be " KEYS "\"dsa\"\n"
	    F "4: \"keys\" must be " KEYS "\"dh\"\n"
	    F "5: \"a_b\" is not a domain or address: an underscore can't be in the name of a certificate\n"
	    F "5: \"domains\" has \"x.example\" twice\n"
	    F "5: \"*.example.org\" needs a dns challenge; this version has http-01 only\n"
	    F "5: \"*.example.net\" needs a dns challenge; this version has http-01 only\n"
	    F "6: challenge \"dns-01\" is not available in this version\n"
	    F "6: challenge \"x\" is not available in this version\n"
	    F "9: \"profile\" must be NAME or NAME!, not \"a/b\"\n"
	    F "10: \"b c\" is not a name: letters, digits, \".\", \"_\" and \"-\" only, 200 at most\n"
	    F "11: unknown key \"key\" in [certificate b c]; did you mean \"keys\"?\n" },
	/* what could not be read is not missed besides */
	{ "[certificate w_w]\nca = \"le\ndomains = \"w.example\n",
	    F "2: a double quote is not closed in its line\n"
	    F "3: a double quote is not closed in its line\n" },
	/* of CAs that are known: who needs an external account binding, where it is used */
	{ "[ca zerossl]\naccept_terms = yes\n[ca actalis]\naccept_terms = yes\n"
	  "[ca letsencrypt]\naccept_terms = yes\n"
	  "[certificate a.example]\nca = letsencrypt zerossl\n",
	    F "1: [ca zerossl]" NO_EAB },
	{ "[ca actalis]\naccept_terms = yes\n[certificate a.example]\n",
	    F "1: [ca actalis]" NO_EAB },
	{ "[ca google]\naccept_terms = yes\n[certificate a.example]\n"
	  "[certificate b.example]\n",
	    F "1: [ca google]" NO_EAB },
	{ "[ca google]\neab_alg = HS1\n",
	    F "2: \"eab_alg\" must be one of HS256, HS384, HS512, not \"HS1\"\n" },
	{ CA "account_key = file:/k\n[ca other]\naccount_key = file:/k\n"
	  "directory = https://other.example/d\n",
	    F "5: [ca other] has the account_key of [ca le]: each CA needs a key of its own\n" },
	/* references */
	{ CA "[certificate www]\n\ndeploy = edg edge nothing\n"
	     "== conf.d/e.conf\n[deploy edge]\ntype = exec\ncommand = x\n",
	    F "6: [certificate www] refers to an unknown deploy target \"edg\"; did you mean \"edge\"?\n"
	    F "6: [certificate www] refers to an unknown deploy target \"nothing\"\n" },
	{ CA
	    "[defaults]\ndeploy = edge\n[certificate a.example]\n[certificate b.example]\n",
	    F "5: [defaults] refers to an unknown deploy target \"edge\"\n" },
	{ CA "[certificate www]\nca = letsencryp\n",
	    F "5: [certificate www] refers to an unknown CA \"letsencryp\"; did you mean \"letsencrypt\"?\n" },
	{ CA "[certificate www]\nca = le LE\ndeploy = a a\n",
	    F "5: \"ca\" has \"LE\" twice\n"
	    F "6: \"deploy\" has \"a\" twice\n"
	    F "6: [certificate www] refers to an unknown deploy target \"a\"\n"
	    F "6: [certificate www] refers to an unknown deploy target \"a\"\n" },
	/* [certificate] */
	{ CA "[certificate www]\ndomains = *.example.org example.org\n",
	    F "5: \"*.example.org\" needs a dns challenge; this version has http-01 only\n" },
	{ CA "[certificate www]\ndomains = a.example b.example A.example.\n",
	    F "5: \"domains\" has \"a.example\" twice\n" },
	{ CA "[certificate www]\nchallenge = http-01 dns-01\n",
	    F "5: challenge \"dns-01\" is not available in this version\n" },
	{ CA "[certificate www]\nkeys = ecdsa-p256 ecdsa-p384\n",
	    F "5: \"keys\" may have at most one ECDSA and one RSA type\n" },
	{ CA "[certificate www]\nkeys = rsa-2048 rsa-2048\n",
	    F "5: \"keys\" may have at most one ECDSA and one RSA type\n" },
	{ CA "[certificate www]\nkeys = p256\n",
	    F "5: \"keys\" must be ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096, not \"p256\"\n" },
	{ CA
	    "[certificate www]\nprofile = short!!\nrenew_before = 2/3\nmust_staple = y\n",
	    F "5: \"profile\" must be NAME or NAME!, not \"short!\"\n"
	    F "6: \"renew_before\" must be 1/2 at most, not \"2/3\": never more than half of the life\n"
	    F "7: \"must_staple\" must be yes or no, not \"y\"\n" },
	{ CA "[defaults]\nrenew_before = 51%\n[certificate www]\nrenew_before = 30\n",
	    F "5: \"renew_before\" must be 1/2 at most, not \"51%\": never more than half of the life\n"
	    F "7: \"renew_before\" must be auto, a duration such as 30d, or a share such as 1/3, not \"30\"\n" },
	{ CA
	    "[certificate www]\nrenew_before = 0s\n[certificate www2]\nrenew_before = 999999999w\n",
	    F "5: \"renew_before\" must be from 1s to 3660d, not \"0s\"\n"
	    F "7: \"renew_before\" must be from 1s to 3660d, not \"999999999w\"\n" },
	{ CA
	    "[certificate www]\nrenew_before = 1/0\n[certificate www2]\nrenew_before = 1h30m\n",
	    F "5: \"renew_before\" must be auto, a duration such as 30d, or a share such as 1/3, not \"1/0\"\n"
	    F "7: \"renew_before\" must be auto, a duration such as 30d, or a share such as 1/3, not \"1h30m\"\n" },
	{ CA "[defaults]\ndomains = example.org\n",
	    F "5: \"domains\" does not belong in [defaults]\n" },
	{ CA
	    "[certificate www]\n[deploy x]\ntype = haproxy\n"
	    "socket = /s 192.0.2.1:9999\n"
	    "[deploy y]\ntype = haproxy\nsocket = 127.0.0.1:1 /s [::1]:2 127.0.0.1:1\n"
	    "[deploy z]\ntype = nginx\nsocket = /s\npidfile = /p\n",
	    F "7: \"socket\" must be paths of UNIX sockets, or loopback addresses with a port such as 127.0.0.1:9999, not \"192.0.2.1:9999\"\n"
	    F "10: \"socket\" has \"127.0.0.1:1\" twice\n"
	    F "13: \"socket\" does not belong to type \"nginx\"\n" },
	{ CA
	    "[certificate www]\n\n\n[deploy x]\ntype = haproxy\n"
	    "pidfile = /p\nsocket = s\nbundle_path = x\nverify = x http://[::1]:1\n"
	    "verify_interval = 0s\nroll_back = yes\ndeploy_window = Mon-Fry 02:00-05:00\n"
	    "require = maybe\nverify_names = none\n"
	    "[deploy y]\ntype = signal\npidfile = /p\nprocess = x\n"
	    "deploy_window = Mon 05:00-05:00\nroll_back = yes\n"
	    "[deploy z]\ntype = signal\npidfile = /p\nprocess = x\n"
	    "deploy_window = 24:00-25:00\n"
	    "[deploy zz]\ntype = signal\npidfile = /p\nprocess = x\n"
	    "deploy_window = 01:00-02:00 Sat,Sun\n",
	    F "7: [deploy x] needs \"verify\" for \"roll_back\", to see what is broken\n"
	    F "10: \"socket\" must be paths of UNIX sockets, or loopback addresses with a port such as 127.0.0.1:9999, not \"s\"\n"
	    F "11: \"bundle_path\" must be a path with {name} in it, for the certificate's name, not \"x\"\n"
	    F "12: \"verify\" must be numeric addresses with a port, such as 127.0.0.1:443 or smtp://127.0.0.1:25 (smtp, imap, pop3, ldap, postgres), not \"x\"\n"
	    F "12: \"verify\" must be numeric addresses with a port, such as 127.0.0.1:443 or smtp://127.0.0.1:25 (smtp, imap, pop3, ldap, postgres), not \"http://[::1]:1\"\n"
	    F "13: \"verify_interval\" must be from 1s to 30d, not \"0s\"\n"
	    F "15: \"deploy_window\" must be days and hours such as Mon-Fri 02:00-05:00, not \"Mon-Fry\"\n"
	    F "16: \"require\" must be yes or no, not \"maybe\"\n"
	    F "17: \"verify_names\" must be one of first, all, not \"none\"\n"
	    F "18: [deploy y] needs \"verify\" for \"roll_back\", to see what is broken\n"
	    F "22: \"deploy_window\" must be days and hours such as Mon-Fri 02:00-05:00, not \"05:00-05:00\"\n"
	    F "28: \"deploy_window\" must be days and hours such as Mon-Fri 02:00-05:00, not \"24:00-25:00\"\n"
	    F "33: \"deploy_window\" must have hours such as 02:00-05:00 after Sun\n" },
	{ CA
	    "[certificate www]\ndomains = 192.0.2.1\ncommon_name = yes\nlifetime = 1/3\n"
	    "preferred_chain = \"a\tb\"\nkey_file = k.pem\n"
	    "[certificate 1234567890123456789012345678901234567890.123456789012345678901234]\n"
	    "common_name = yes\ndomains = "
	    "1234567890123456789012345678901234567890.1234567890123456789.example a.example\n",
	    F "6: [certificate www] has addresses only, which can't be a common name\n"
	    F "7: \"lifetime\" must be a duration such as 90s or 15m, not \"1/3\"\n"
	    F "8: \"preferred_chain\" has a control character\n"
	    F "9: \"key_file\" must be an absolute path, not \"k.pem\"\n"
	    F "11: \"1234567890123456789012345678901234567890.1234567890123456789.example\" "
	    "has 68 characters, and a common name 64 at most: put a shorter name first, or "
	    "\"common_name = no\"\n" },
	{ CA
	    "[certificate www]\nkeys = ecdsa-p256 rsa-2048\nkey_file = /a\ncsr_file = /b /c\n"
	    "common_name = yes\nmust_staple = yes\nreuse_key = yes\ndrop_failed_names = yes\n"
	    "domains = www.example\n[certificate a.example]\nkey_file = /a /b /c\n"
	    "[certificate b.example]\ncsr_file = /b /b\n",
	    F "6: \"key_file\" needs one file for each of \"keys\": 2, not 1\n"
	    F "6: \"key_file\" can't be had with \"csr_file\"\n"
	    F "8: \"common_name\" can't be had with \"csr_file\"\n"
	    F "9: \"must_staple\" can't be had with \"csr_file\"\n"
	    F "10: \"reuse_key\" can't be had with \"csr_file\"\n"
	    F "11: \"drop_failed_names\" can't be had with \"csr_file\"\n"
	    F "14: \"key_file\" may have at most 2 entries, not 3\n"
	    F "16: \"csr_file\" has \"/b\" twice\n" },
	{ CA "[defaults]\nkey_file = /k\ncsr_file = /c\n",
	    F "5: \"key_file\" does not belong in [defaults]\n"
	    F "6: \"csr_file\" does not belong in [defaults]\n" },
	/* names in other scripts */
	{ CA
	    "[certificate www]\ndomains = m\xc3\xbcnchen.example xn--mnchen-3ya.example\n"
	    "[certificate b]\ndomains = M\xc3\x9cNCHEN.example mu\xcc\x88nchen.example.\n"
	    "[certificate c]\ndomains = a\xe2\x98\x83\xe2\x80\x8d.example xn--99999999.example\n"
	    "[certificate d]\ndomains = Example.org example.org.\n",
	    F "5: \"domains\" has \"xn--mnchen-3ya.example\" twice\n"
	    F "7: \"domains\" has \"xn--mnchen-3ya.example\" twice\n"
	    F "9: \"a\xe2\x98\x83\xe2\x80\x8d.example\" is not a domain or address: string "
	    "contains a disallowed character\n"
	    F "9: \"xn--99999999.example\" is not a domain or address: punycode conversion "
	    "resulted in overflow\n"
	    F "11: \"domains\" has \"example.org\" twice\n" },
	/* [deploy] */
	{ "[deploy a]\n[deploy b]\ntype = systemd\nunit =\n[deploy c]\ntype = nginy\n",
	    F "1: [deploy a] needs \"type\"\n"
	    F "2: [deploy b] needs \"unit\"\n"
	    F "6: \"type\" must be one of haproxy, nginx, signal, exec, systemd, "
	    "directory, not \"nginy\"\n" },
	{ "[deploy a]\ntype = systemd\nunit = nginx\naction = begin\npidfile = /p\n"
	  "[deploy b]\ntype = nginx\nunit = a/b.service\naction = restart\n"
	  "[deploy c]\ntype = haproxy\nunit = x@.service\n",
	    F "3: \"unit\" must be the whole name of a unit such as nginx.service, not \"nginx\"\n"
	    F "4: \"action\" must be one of reload, restart, reload-or-restart, start, not \"begin\"\n"
	    F "5: \"pidfile\" does not belong to type \"systemd\"\n"
	    F "8: \"unit\" must be the whole name of a unit such as nginx.service, not \"a/b.service\"\n"
	    F "9: \"action\" does not belong to type \"nginx\"\n"
	    F "12: \"unit\" must be the whole name of a unit such as nginx.service, not \"x@.service\"\n" },
	{ "[deploy a]\ntype = haproxy\n[deploy b]\ntype = nginx\n[deploy c]\ntype = signal\n"
	  "[deploy d]\ntype = exec\n",
	    F "1: [deploy a] needs \"socket\", \"master_socket\", \"unit\" or \"pidfile\"\n"
	    F "3: [deploy b] needs \"unit\" or \"pidfile\"\n"
	    F "5: [deploy c] needs \"pidfile\"\n"
	    F "5: [deploy c] needs \"process\"\n"
	    F "7: [deploy d] needs \"command\"\n" },
	{ "[deploy a]\ntype = directory\nowner = x\n"
	  "[deploy b]\ntype = directory\nkey_path = /k\ncert_path = /k\n"
	  "[deploy c]\ntype = directory\npkcs12_path = /k\n"
	  "[deploy d]\ntype = directory\nkey_path = k\ncert_path = /a/../b\nmode = 0644\n"
	  "chain_path = /a/\n[deploy e]\ntype = nginx\npidfile = /p\nkey_path = /k\n",
	    F "1: [deploy a] needs \"fullchain_path\", \"key_path\" or another path of a file\n"
	    F "4: [deploy b] has one path for two files\n"
	    F "10: [deploy c] has \"pkcs12_path\" without \"pkcs12_password_file\"\n"
	    F "13: \"key_path\" must be an absolute path, not \"k\"\n"
	    F "14: \"cert_path\" must be the path of a file, without \"..\", not \"/a/../b\"\n"
	    F "15: \"mode\" may have no bits beyond 0640, not \"0644\"\n"
	    F "16: \"chain_path\" must be the path of a file, without \"..\", not \"/a/\"\n"
	    F "20: \"key_path\" does not belong to type \"nginx\"\n" },
	{ CA "[deploy a]\ntype = directory\nkey_path = /k\n[certificate x]\ndeploy = a\n"
	     "[certificate y]\ndeploy = a\n",
	    F "9: [certificate y] would overwrite the files of [certificate x]: each path of "
	    "[deploy a] needs {name} in it\n" },
	{ "[deploy a]\nmaster_socket = /s\ntype = nginx\npidfile = /p\ntimeout = 1m\nsignal =\n",
	    F "2: \"master_socket\" does not belong to type \"nginx\"\n"
	    F "5: \"timeout\" does not belong to type \"nginx\"\n" },
	{ "[deploy a]\ntype = signal\npidfile = p\nprocess = ./x\nsignal = SIGFOO\n",
	    F "3: \"pidfile\" must be an absolute path, not \"p\"\n"
	    F "4: \"process\" must be the name or absolute path of a program, not \"./x\"\n"
	    F "5: \"signal\" must be a signal such as HUP or USR2, not \"SIGFOO\"\n" },
	{ "[deploy a]\ntype = exec\ncommand = bin/x y\ntimeout = 1/3\n",
	    F "3: \"command\" must begin with the name or absolute path of a program, not \"bin/x\"\n"
	    F "4: \"timeout\" must be a duration such as 90s or 15m, not \"1/3\"\n" },
	{ "[deploy a]\ntype = exec\ncommand = x\ntimeout = 2d\n",
	    F "4: \"timeout\" must be from 1s to 1d, not \"2d\"\n" },
	/* all of it at once, in the order of lines */
	{ "[certificate www]\nca = le\nkeys = dsa\n[renewd]\nlog_level = x\n[ca le]\nfoo = 1\n"
	  "== conf.d/z.conf\n[x]\n== conf.d/a.conf\n[y]\n",
	    F "3: \"keys\" must be ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096, not \"dsa\"\n"
	    F "5: \"log_level\" must be one of error, warning, notice, info, debug, not \"x\"\n"
	    F "6: [ca le] needs \"directory\"\n"
	    F "6: [ca le]" NO_TERMS
	    F "7: unknown key \"foo\" in [ca le]\n"
	    "conf.d/a.conf:1: unknown section [y]\n"
	    "conf.d/z.conf:1: unknown section [x]\n" },
};
/* clang-format on */

START_TEST(messages)
{
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		_cleanup_free_ char *text = load_messages(bad[i].files);

		if (strcmp(text, bad[i].messages) != 0)
			ck_abort_msg("%s\ngave\n%s\ninstead of\n%s", bad[i].files, text,
			    bad[i].messages);
	}
}
END_TEST

/* The wording of why is the library's. */
START_TEST(names_that_are_none)
{
	_cleanup_free_ char *one = load_messages(
	    CA "[certificate _x]\n[certificate y]\ndomains = a_b.example c d..e\n");
	_cleanup_free_ char *idn = load_messages(
	    CA "[certificate x]\ndomains = \xc3\xa4\xe2\x80\xa8.example\n");

	ck_assert_ptr_nonnull(strstr(one,
	    F
	    "4: [certificate _x] has no \"domains\", and its name is not a domain: "));
	ck_assert_ptr_nonnull(
	    strstr(one, "\n" F "6: \"a_b.example\" is not a domain or address: "));
	ck_assert_ptr_nonnull(
	    strstr(one, "\n" F "6: \"d..e\" is not a domain or address: "));
	ck_assert_ptr_nonnull(strstr(idn, ".example\" is not a domain or address: "));
}
END_TEST

START_TEST(too_many_domains)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	_cleanup_free_ char *good = NULL, *over = NULL, *far = NULL;
	size_t len;

	buffer_puts(&text, CA "[certificate www]\ndomains =\n");
	for (int i = 0; i < 100; i++)
		buffer_printf(&text, " n%d.example\n", i);
	good = load_messages(text.data);
	ck_assert_str_eq(good, "");
	len = text.len;
	buffer_puts(&text, " n100.example\n");
	over = load_messages(text.data);
	ck_assert_str_eq(
	    over, F "5: \"domains\" may have at most 100 entries, not 101\n");
	ck_assert_uint_gt(text.len, len);
	/* more than a line may have, and a key behind it keeps its own line */
	for (int i = 101; i < 10000; i++)
		buffer_printf(&text, " n%d.example\n", i);
	buffer_puts(&text, "enabled = perhaps\n");
	far = load_messages(text.data);
	ck_assert_str_eq(far,
	    F "5: \"domains\" may have at most 100 entries, not 10000\n" F
	      "10006: \"enabled\" must be yes or no, not \"perhaps\"\n");
}
END_TEST

START_TEST(unreadable)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	struct place p = enter();
	_cleanup_free_ char *none = NULL, *dir = NULL;

	ck_assert_int_eq(config_load("renewd.conf", &c, &errors), -EBADMSG);
	none = errors_text(&errors);
	ck_assert_str_eq(
	    none, "renewd.conf: cannot be read: No such file or directory\n");
	config_errors_clear(&errors);

	write_files("[renewd]\n== conf.d/.hidden.conf\n[x]\n== conf.d/x.conf~\n[x]\n"
		    "== conf.d/.conf\n[x]\n");
	ck_assert_int_eq(mkdir("conf.d/x.conf", 0700), 0);
	ck_assert_int_eq(config_load("renewd.conf", &c, &errors), -EBADMSG);
	dir = errors_text(&errors);
	ck_assert_str_eq(dir, "conf.d/x.conf: cannot be read: Is a directory\n");
	ck_assert_uint_eq(errors.v[0].line, 0);
	config_errors_clear(&errors);
	ck_assert_ptr_null(c);
	leave(&p);
}
END_TEST

START_TEST(too_large)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	struct place p = enter();
	_cleanup_free_ char *text = NULL;

	write_files("");
	ck_assert_int_eq(truncate("renewd.conf", (16 << 20) + 1), 0);
	ck_assert_int_eq(config_load("renewd.conf", &c, &errors), -EBADMSG);
	text = errors_text(&errors);
	ck_assert_str_eq(text, "renewd.conf: larger than 16 MiB\n");
	config_errors_clear(&errors);
	leave(&p);
}
END_TEST

/* A file of garbage can't fill the memory with complaints. */
START_TEST(endless_errors)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	_cleanup_free_ char *all = NULL;
	size_t lines = 0;

	for (int i = 0; i < 30000; i++)
		buffer_puts(&text, "x\n");
	all = load_messages(text.data);
	for (const char *c = all; *c != '\0'; c++)
		lines += *c == '\n';
	ck_assert_uint_eq(lines, 10000);
	ck_assert_ptr_nonnull(
	    strstr(all, ": too many errors: those after this one are not shown\n"));
}
END_TEST

START_TEST(long_messages)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	_cleanup_free_ char *all = NULL;

	buffer_puts(&text, "[renewd]\nlog_level = ");
	for (int i = 0; i < 10000; i++)
		buffer_puts(&text, "\xc3\xa4");
	all = load_messages(text.data);
	ck_assert_uint_le(strlen(all), 1030);
	ck_assert_str_eq(all + strlen(all) - 6, "\xc3\xa4...\n");
}
END_TEST

/* ---- What is understood ------------------------------------------------------------
 */

START_TEST(built_in_defaults)
{
	_cleanup_(config_freep) struct config *c = load("");

	ck_assert_str_eq(c->path, "renewd.conf");
	ck_assert_str_eq(c->renewd.state_dir, "/var/lib/renewd");
	ck_assert_str_eq(c->renewd.bundle_dir, "/var/lib/renewd/live");
	ck_assert_uint_eq(c->renewd.bundle_mode, 0640);
	ck_assert_ptr_null(c->renewd.bundle_group);
	ck_assert_int_eq(c->renewd.log_level, LOG_INFO);
	ck_assert_uint_eq(c->renewd.max_orders, 16);
	ck_assert_str_eq(c->control.socket, "/run/renewd/control.sock");
	ck_assert_str_eq(c->control.group, "renewd-admin");
	ck_assert_ptr_null(c->control.readers);
	ck_assert_uint_eq(c->http01.listen.n, 2);
	ck_assert_str_eq(c->http01.listen.v[0], "[::]:80");
	ck_assert_int_eq(c->http01.redirect, HTTP01_REDIRECT_NONE);
	ck_assert_uint_eq(c->ca_count, 5);
	ck_assert_uint_eq(c->target_count, 0);
	ck_assert_uint_eq(c->certificate_count, 0);
	ck_assert_uint_eq(c->file_count, 1);
	ck_assert_str_eq(
	    config_ca(c, "ZeroSSL")->directory, "https://acme.zerossl.com/v2/DV90");
	ck_assert(config_ca(c, "actalis")->built_in);
	ck_assert(!config_ca(c, "actalis")->accept_terms);
	ck_assert_int_eq(config_ca(c, "google")->account_key, ACME_KEY_ECDSA_P256);
	ck_assert_int_eq(config_ca(c, "google")->eab_alg, ACME_HS256);
	ck_assert(config_ca(c, "google")->needs_eab);
	ck_assert(!config_ca(c, "letsencrypt")->needs_eab);
	ck_assert_ptr_null(config_ca(c, "other"));
	ck_assert_ptr_null(config_target(c, "other"));
}
END_TEST

START_TEST(sections)
{
	_cleanup_(config_freep) struct config *c = load(
	    "\xef\xbb\xbf[renewd]\r\nstate_dir = \"/var/my lib\" ; here\r\n"
	    "bundle_mode = 400\r\nlog_level = debug\r\nbundle_group = haproxy\r\n"
	    "[http-01]\nlisten = 127.0.0.1:80,\n  [::1]:8402\nredirect = https\n"
	    "[control]\nsocket = /s\ngroup = adm\nreaders = users\n"
	    "[ca Google]\naccept_terms = on\naccount_key = file:/k.pem\neab_kid = kid\n"
	    "eab_hmac_key_file = credential:hmac\nproxy = socks5://127.0.0.1:1080\n"
	    "contact = mailto:a@example.net mailto:b+c@example.net\ntrust_file = /t\n"
	    "[deploy h]\ntype = haproxy\nmaster_socket = /m\n"
	    "socket = /a, [::1]:9999\nverify = [::1]:443\nverify_interval = 1h\n"
	    "[deploy n]\ntype = nginx\npidfile = /p\ntest_command = nginx -t -g \"a b;\"\n"
	    "== conf.d/s.conf\n"
	    "[deploy s]\ntype = signal\npidfile = /q\nprocess = /usr/bin/x\nsignal = SIGUSR1\n"
	    "[deploy e]\ntype = exec\ncommand = /bin/x --a=b,c\ntimeout = 90s\nunit =\n");
	const struct ca_config *ca = config_ca(c, "google");
	const struct target_config *t;

	ck_assert_str_eq(c->renewd.state_dir, "/var/my lib");
	ck_assert_uint_eq(c->renewd.bundle_mode, 0400);
	ck_assert_int_eq(c->renewd.log_level, LOG_DEBUG);
	ck_assert_str_eq(c->renewd.bundle_group, "haproxy");
	ck_assert_uint_eq(c->http01.listen.n, 2);
	ck_assert_str_eq(c->http01.listen.v[1], "[::1]:8402");
	ck_assert_int_eq(c->http01.redirect, HTTP01_REDIRECT_HTTPS);
	ck_assert_str_eq(c->control.readers, "users");
	ck_assert_uint_eq(c->ca_count, 5);
	ck_assert_str_eq(ca->name, "Google");
	ck_assert_str_eq(ca->directory, "https://dv.acme-v02.api.pki.goog/directory");
	ck_assert(ca->accept_terms && !ca->built_in);
	ck_assert_int_eq(ca->account_key, ACME_KEY_NONE);
	ck_assert_str_eq(ca->account_key_file, "/k.pem");
	ck_assert_str_eq(ca->eab_kid, "kid");
	ck_assert_str_eq(ca->eab_hmac_key_file, "credential:hmac");
	ck_assert_str_eq(ca->proxy, "socks5://127.0.0.1:1080");
	ck_assert_uint_eq(ca->contact.n, 2);
	ck_assert_str_eq(ca->trust_file, "/t");
	ck_assert_uint_eq(c->target_count, 4);
	t = config_target(c, "H");
	ck_assert_int_eq(t->type, TARGET_HAPROXY);
	ck_assert_str_eq(t->master_socket, "/m");
	ck_assert_uint_eq(t->sockets.n, 2);
	ck_assert_str_eq(t->sockets.v[1], "[::1]:9999");
	ck_assert_uint_eq(t->verify.n, 1);
	ck_assert_int_eq(t->verify_interval.seconds, 3600);
	ck_assert_str_eq(t->process, "haproxy");
	t = config_target(c, "n");
	ck_assert_str_eq(t->process, "nginx");
	ck_assert_uint_eq(t->test_command.n, 4);
	ck_assert_str_eq(t->test_command.v[3], "a b;");
	ck_assert_int_eq(t->timeout.seconds, 120);
	t = config_target(c, "s");
	ck_assert_int_eq(t->signal, SIGUSR1);
	ck_assert_str_eq(t->process, "/usr/bin/x");
	t = config_target(c, "e");
	ck_assert_uint_eq(t->command.n, 2);
	ck_assert_str_eq(t->command.v[1], "--a=b,c");
	ck_assert_int_eq(t->timeout.seconds, 90);
	ck_assert_uint_eq(c->file_count, 2);
	ck_assert_str_eq(c->files[1], "conf.d/s.conf");
}
END_TEST

START_TEST(signals)
{
	static const struct {
		const char *word;
		int number;
	} cases[] = { { "", SIGHUP }, { "HUP", SIGHUP }, { "sighup", SIGHUP },
		{ "1", SIGHUP }, { "USR2", SIGUSR2 }, { "34", 34 } };

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_(config_freep) struct config *c = NULL;
		char text[128];

		snprintf(text, sizeof(text),
		    "[deploy x]\ntype = signal\npidfile = /p\nprocess = x\nsignal = %s\n",
		    cases[i].word);
		c = load(text);
		ck_assert_int_eq(c->targets[0].signal, cases[i].number);
	}
}
END_TEST

/* Own keys, then [defaults], then what is built in. */
START_TEST(layers)
{
	_cleanup_(config_freep) struct config *c = load(CA
	    "[renewd]\nbundle_mode = 0600\nbundle_group = web\n[defaults]\n"
	    "keys = rsa-3072\nprofile = classic\nreuse_key = yes\nbundle_group = ssl\n"
	    "[certificate Example.NET]\n"
	    "[certificate own]\ndomains = own.example,\n  ::1\nkeys = ecdsa-p384 rsa-2048\n"
	    "profile = short!\nreuse_key = no\n");
	_cleanup_(certificate_spec_freep) struct certificate_spec *a = NULL, *b = NULL;
	_cleanup_free_ char *domains = NULL;

	a = parse(c, c->certificates[0].name, c->certificates[0].spec);
	ck_assert_str_eq(c->certificates[0].spec, "");
	ck_assert_str_eq(a->name, "Example.NET");
	ck_assert_str_eq(a->identifiers[0].value, "example.net");
	ck_assert_uint_eq(a->key_count, 1);
	ck_assert_int_eq(a->keys[0], ACME_KEY_RSA_3072);
	ck_assert_str_eq(a->profile, "classic");
	ck_assert(!a->profile_insists && a->reuse_key && a->placeholder && a->enabled);
	ck_assert(!a->must_staple);
	ck_assert_int_eq(a->renew_before.seconds, 0);
	ck_assert_uint_eq(a->renew_before.share, 0);
	ck_assert_uint_eq(a->cas.n, 1);
	ck_assert_str_eq(a->cas.v[0], "le");
	ck_assert_uint_eq(a->challenges.n, 1);
	ck_assert_uint_eq(a->deploy.n, 0);
	ck_assert_uint_eq(a->bundle_mode, 0600);
	ck_assert_str_eq(a->bundle_group, "ssl");
	domains = certificate_spec_domains(a, ' ');
	ck_assert_str_eq(domains, "example.net");
	b = parse(c, "own", c->certificates[1].spec);
	ck_assert_uint_eq(b->identifier_count, 2);
	ck_assert_uint_eq(b->key_count, 2);
	ck_assert_int_eq(b->keys[0], ACME_KEY_ECDSA_P384);
	ck_assert_int_eq(b->keys[1], ACME_KEY_RSA_2048);
	ck_assert_str_eq(b->profile, "short");
	ck_assert(b->profile_insists && !b->reuse_key);
}
END_TEST

START_TEST(texts)
{
	_cleanup_(config_freep) struct config *c = load(CA
	    "[deploy a]\ntype = exec\ncommand = x\n[deploy b]\ntype = exec\ncommand = x\n"
	    "[certificate one]\ndeploy = b,  a ; why\nrenew_before =  30d\nprofile =\n"
	    "domains =\n  one.example\n  two.example\n"
	    "[certificate two]\ndomains = \"one.example\" two.example\nrenew_before = 30d\n"
	    "deploy = b a\n");
	_cleanup_(certificate_spec_freep) struct certificate_spec *s = NULL;
	_cleanup_free_ char *domains = NULL;

	ck_assert_str_eq(c->certificates[0].spec,
	    "domains = one.example two.example\nrenew_before = 30d\ndeploy = b a\n");
	ck_assert_str_eq(c->certificates[0].spec, c->certificates[1].spec);
	ck_assert_str_eq(c->certificates[0].file, "renewd.conf");
	ck_assert_uint_eq(c->certificates[1].line, 17);
	s = parse(c, "one", c->certificates[0].spec);
	ck_assert_int_eq(s->renew_before.seconds, 30 * 86400);
	ck_assert_str_eq(s->deploy.v[0], "b");
	domains = certificate_spec_domains(s, ',');
	ck_assert_str_eq(domains, "one.example,two.example");
}
END_TEST

START_TEST(utf8_domains)
{
	_cleanup_(config_freep) struct config *c =
	    load(CA "[certificate x]\ndomains = B\xc3\xbc"
		    "cher.example xn--strae-oqa.example "
		    "192.0.2.1 2001:DB8::0:1\n");
	_cleanup_(certificate_spec_freep) struct certificate_spec *s =
	    parse(c, "x", c->certificates[0].spec);
	_cleanup_free_ char *domains = certificate_spec_domains(s, ' ');

	ck_assert_str_eq(domains,
	    "xn--bcher-kva.example xn--strae-oqa.example 192.0.2.1 "
	    "2001:db8::1");
	ck_assert_int_eq(s->identifiers[3].type, ACME_IDENTIFIER_IP);
}
END_TEST

/* What comes from the inventory or the API: the same checks, without a file. */
START_TEST(spec_errors)
{
	static const struct {
		const char *name;
		const char *text;
		const char *field;
		const char *messages;
	} cases[] = {
		{ "x", "keys = dsa\n", "keys",
		    "\"keys\" must be ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096, "
		    "not \"dsa\"\n" },
		{ "x", "doman = x\n", "doman",
		    "unknown key \"doman\" in [certificate x]; did you mean \"domains\"?\n" },
		{ "x", "ca = google\n", "ca",
		    "[ca google]" NO_TERMS "[ca google]" NO_EAB },
		{ "x", "[renewd]\nmax_orders = 3\n", NULL,
		    "a section does not belong here\n"
		    "unknown key \"max_orders\" in [certificate x]\n" },
		{ "../x", "", "name",
		    "\"../x\" is not a name: letters, digits, \".\", \"_\" and \"-\" only, 200 at "
		    "most\n" },
		{ "x", "enabled = \"\n", "enabled",
		    "a double quote is not closed in its line\n" },
	};
	_cleanup_(config_freep) struct config *c = load(CA);

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct config_errors errors = { 0 };
		struct certificate_spec *s = NULL;
		_cleanup_free_ char *text = NULL;

		ck_assert_int_eq(certificate_spec_parse(
				     c, cases[i].name, cases[i].text, &s, &errors),
		    -EBADMSG);
		ck_assert_ptr_null(s);
		text = errors_text(&errors);
		ck_assert_str_eq(text, cases[i].messages);
		if (cases[i].field != NULL)
			ck_assert_str_eq(errors.v[0].field, cases[i].field);
		ck_assert_ptr_null(errors.v[0].file);
		config_errors_clear(&errors);
	}
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *word;
		int64_t seconds;
		unsigned share;
		const char *printed;
	} cases[] = { { "90s", 90, 0, "90s" }, { "120s", 120, 0, "2m" },
		{ "12h", 43200, 0, "12h" }, { "24h", 86400, 0, "1d" },
		{ "2w", 1209600, 0, "2w" }, { "30d", 2592000, 0, "30d" },
		{ "1/3", 0, 333333, "1/3" }, { "25%", 0, 250000, "1/4" },
		{ "1/2", 0, 500000, "1/2" }, { "50%", 0, 500000, "1/2" },
		{ "7/999", 0, 7007, "7/999" }, { "1/1000", 0, 1000, "1/1000" },
		{ "AUTO", 0, 0, "auto" } };

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		_cleanup_(certificate_spec_freep) struct certificate_spec *s = NULL;
		_cleanup_(config_freep) struct config *c = load(CA);
		_cleanup_(buffer_free) struct buffer printed = { 0 };
		char text[64];

		snprintf(text, sizeof(text), "renew_before = %s\n", cases[i].word);
		s = parse(c, "x", text);
		ck_assert_int_eq(s->renew_before.seconds, cases[i].seconds);
		ck_assert_uint_eq(s->renew_before.share, cases[i].share);
		value_renew_before.print(&printed,
		    schema_key(&schema_sections[SECTION_CERTIFICATE], "renew_before"),
		    s);
		ck_assert_str_eq(printed.data, cases[i].printed);
	}
	ck_assert_int_eq(duration_seconds(&(struct duration){ .seconds = 5 }, 100), 5);
	ck_assert_int_eq(
	    duration_seconds(&(struct duration){ .share = 333333 }, 90 * 86400),
	    2591997);
	ck_assert_int_eq(
	    duration_seconds(&(struct duration){ .share = 500000 }, INT64_MAX),
	    INT64_MAX / 2);
	ck_assert_int_eq(
	    duration_seconds(&(struct duration){ .share = 500000 }, -5), 0);
}
END_TEST

/* ---- Printing ----------------------------------------------------------------------
 */

#define EVERYTHING                                                                 \
  "[renewd]\nstate_dir = \"/a b;c\"\nbundle_group = web\n"                         \
  "[ca own]\ndirectory = https://ca.example/d\naccept_terms = yes\n"               \
  "proxy = http://user:secret@proxy.example:3128\ncontact = mailto:a@b.example\n"  \
  "[ca zerossl]\naccept_terms = yes\neab_kid = k\neab_hmac_key_file = /h\n"        \
  "eab_alg = hs512\n"                                                              \
  "account_key = file:/k\n"                                                        \
  "[deploy e]\ntype = exec\ncommand = x \"a b\" \"\\\"q\\\"\" c,d\n"               \
  "[deploy h]\ntype = haproxy\npidfile = /p\nmaster_socket = /s\n"                 \
  "socket = /a 127.0.0.1:1\nbundle_path = /{name}.pem\nverify = [::1]:443\n"       \
  "deploy_window = sunday,Fri-mon 22:00-02:00 00:00-24:00\nrequire = yes\n"        \
  "[deploy n]\ntype = nginx\npidfile = /p\nunit = nginx.service\n"                 \
  "[deploy u]\ntype = systemd\nunit = \"a\\\\x2db@c.service\"\naction = Restart\n" \
  "[deploy s]\ntype = signal\npidfile = /p\nprocess = x\nsignal = 40\n"            \
  "[defaults]\nca = own\ndeploy = e\nrenew_before = 2/7\n"                         \
  "[certificate a.example]\nca = zerossl own\nprofile = p!\nbundle_mode = 0600\n"  \
  "preferred_chain = Root X 1\nlifetime = 12h\nkey_file = \"/a b\"\n"              \
  "common_name = on\ndrop_failed_names = yes\n"                                    \
  "[certificate b.example]\ndeploy = h n s\nkeys = rsa-2048\nenabled = no\n"

/* What is printed can be read, and prints the same. */
START_TEST(round_trip)
{
	_cleanup_(config_freep) struct config *c = load(EVERYTHING);
	_cleanup_free_ char *first = print_text(c);
	_cleanup_(config_freep) struct config *again = load(first);
	_cleanup_free_ char *second = print_text(again);

	ck_assert_str_eq(first, second);
	ck_assert_ptr_null(strstr(first, "secret"));
	ck_assert_ptr_null(strstr(first, "user"));
	ck_assert_ptr_null(strstr(first, " \n"));
	ck_assert_ptr_nonnull(
	    strstr(first, "\nproxy = http://***@proxy.example:3128\n"));
	ck_assert_ptr_nonnull(strstr(first, "\nstate_dir = \"/a b;c\"\n"));
	ck_assert_ptr_nonnull(strstr(first,
	    "\n\n[certificate a.example]\ndomains = a.example\n"
	    "ca = zerossl own\nkeys = ecdsa-p256\n"));
	ck_assert_ptr_nonnull(strstr(first, "\nprofile = p!\n"));
	ck_assert_ptr_nonnull(strstr(first, "\nkey_file = \"/a b\"\n"));
	ck_assert_ptr_nonnull(strstr(first,
	    "\npreferred_chain = \"Root X 1\"\nlifetime = 12h\ncommon_name = yes\n"
	    "drop_failed_names = yes\n"));
	ck_assert_ptr_nonnull(strstr(first, "\nrenew_before = 2/7\n"));
	ck_assert_ptr_nonnull(strstr(first,
	    "\ndeploy_window = Sun Mon Fri Sat 22:00-02:00 00:00-24:00\n"
	    "require = yes\n"));
	ck_assert_ptr_nonnull(
	    strstr(first, "\ncommand = x \"a b\" \"\\\"q\\\"\" \"c,d\"\n"));
	ck_assert_ptr_nonnull(strstr(first,
	    "\n[deploy n]\ntype = nginx\nunit = nginx.service\npidfile = /p\n"
	    "test_command =\nverify =\nverify_names = first\nverify_interval = 6h\n"
	    "roll_back = no\ndeploy_window =\nrequire = no\n\n"));
	ck_assert_ptr_null(strstr(first, "[ca letsencrypt]"));
}
END_TEST

START_TEST(round_trip_of_nothing)
{
	_cleanup_(config_freep) struct config *c = load("");
	_cleanup_free_ char *first = print_text(c);
	_cleanup_(config_freep) struct config *again = load(first);
	_cleanup_free_ char *second = print_text(again);

	ck_assert_str_eq(first, second);
	ck_assert_ptr_nonnull(strstr(first, "\nlisten = [::]:80 0.0.0.0:80\n"));
	ck_assert_ptr_nonnull(strstr(first, "\nbundle_group =\n"));
}
END_TEST

/* ---- The example that is installed
 * ---------------------------------------------------- */

static char *
read_example(void)
{
	const char *top = getenv("SRCDIR");
	char path[PATH_MAX];
	char *text = NULL;

	snprintf(path, sizeof(path), "%s/conf/renewd.conf", top != NULL ? top : ".");
	ck_assert_int_eq(file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
	return text;
}

/* "#key = value" and "#[section]" become what they are meant to be. */
static void
uncomment(char *text)
{
	char *out = text;

	for (char *in = text; *in != '\0'; in++) {
		bool begins = in == text || in[-1] == '\n';

		if (!begins || *in != '#' || in[1] == ' ' || in[1] == '\n')
			*out++ = *in;
	}
	*out = '\0';
}

START_TEST(example)
{
	_cleanup_free_ char *text = read_example();
	_cleanup_(config_freep) struct config *plain = load("");
	_cleanup_(config_freep) struct config *c = load(text);
	_cleanup_free_ char *expected = print_text(plain);
	_cleanup_free_ char *printed = print_text(c);

	ck_assert_str_eq(printed, expected);
}
END_TEST

START_TEST(example_uncommented)
{
	_cleanup_free_ char *text = read_example();
	_cleanup_(config_freep) struct config *c = NULL;

	uncomment(text);
	c = load(text);
	ck_assert_uint_eq(c->certificate_count, 1);
	ck_assert_uint_eq(c->target_count, 7);
	for (size_t i = 0; i < SECTION_KINDS; i++) {
		const struct schema_section *s = &schema_sections[i];

		for (size_t j = 0; j < s->count; j++) {
			char line[64];

			snprintf(line, sizeof(line), "\n%s =", s->keys[j].name);
			if (strstr(text, line) == NULL)
				ck_abort_msg(
				    "%s is not in the example", s->keys[j].name);
		}
	}
}
END_TEST

START_TEST(schema_is_whole)
{
	for (size_t i = 0; i < SECTION_KINDS; i++) {
		const struct schema_section *s = &schema_sections[i];

		ck_assert_ptr_nonnull(s->kind);
		ck_assert_ptr_nonnull(s->help);
		ck_assert_uint_le(s->count, SCHEMA_KEYS_MAX);
		ck_assert_ptr_eq(schema_section(s->kind), s);
		for (size_t j = 0; j < s->count; j++) {
			ck_assert_ptr_nonnull(s->keys[j].help);
			ck_assert_ptr_eq(schema_key(s, s->keys[j].name), &s->keys[j]);
		}
	}
}
END_TEST

/* Thousands of certificates in one file; the last one is a duplicate. */
START_TEST(very_many)
{
	_cleanup_(buffer_free) struct buffer text = { 0 };
	_cleanup_(config_freep) struct config *c = NULL;
	_cleanup_free_ char *all = NULL;

	buffer_puts(&text, CA);
	for (int i = 0; i < 20000; i++)
		buffer_printf(&text, "[certificate c%d.example]\nkeys = rsa-2048\n", i);
	c = load(text.data);
	ck_assert_uint_eq(c->certificate_count, 20000);
	buffer_puts(&text, "[certificate C777.example]\n");
	all = load_messages(text.data);
	ck_assert_str_eq(all,
	    F "40004: duplicate section [certificate C777.example]; the first "
	      "is at renewd.conf:1558\n");
}
END_TEST

static void
check_place(const struct config *c, const char *name, const char *file, unsigned line)
{
	_cleanup_free_ char *found = NULL;
	unsigned at = 0;

	ck_assert_int_eq(config_place(c, name, &found, &at), 0);
	ck_assert_str_eq(found, file);
	ck_assert_uint_eq(at, line);
}

START_TEST(forgotten_texts)
{
	_cleanup_(config_freep) struct config *c =
	    load(CA "[certificate a.example]\n[certificate B.example]\n"
		    "== conf.d/1.conf\n\n[certificate c.example]\n"
		    "== conf.d/2.conf\n[deploy x]\ntype = exec\ncommand = x\n"
		    "== conf.d/3.conf\n[certificate d.example]\n\n"
		    "[certificate e.example]\n");
	char *file = NULL;
	unsigned line;

	ck_assert_int_eq(config_place(c, "a.example", &file, &line), -ENOENT);
	config_forget_texts(c);
	config_forget_texts(c);
	ck_assert_uint_eq(c->certificate_count, 5);
	check_place(c, "a.example", "renewd.conf", 4);
	check_place(c, "b.EXAMPLE", "renewd.conf", 5);
	check_place(c, "c.example", "conf.d/1.conf", 2);
	check_place(c, "d.example", "conf.d/3.conf", 1);
	check_place(c, "e.example", "conf.d/3.conf", 3);
	ck_assert_int_eq(config_place(c, "f.example", &file, &line), -ENOENT);
}
END_TEST

START_TEST(nothing_to_forget)
{
	_cleanup_(config_freep) struct config *c = load("[renewd]\n");
	char *file = NULL;
	unsigned line;

	config_forget_texts(c);
	ck_assert_int_eq(config_place(c, "a.example", &file, &line), -ENOENT);
}
END_TEST

SUITE("config", messages, names_that_are_none, too_many_domains, unreadable, too_large,
    endless_errors, long_messages, built_in_defaults, sections, signals, layers, texts,
    utf8_domains, spec_errors, durations, round_trip, round_trip_of_nothing, example,
    example_uncommented, schema_is_whole, very_many, forgotten_texts, nothing_to_forget)
