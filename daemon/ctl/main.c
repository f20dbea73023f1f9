/*
 * main.c - renewctl: reads the command line and runs the verb.
 *
 * It knows options and usage; what verbs do is in verbs.c and renew.c.
 */
#include "autoconf.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/verbs.h"
#include "platform/paths.h"
#include "scope.h"

#define DEFAULT_TIMEOUT_S 600
#define TIMEOUT_MAX_S     (365 * 86400)

struct command_line {
	const char *socket;
	bool help;
	bool version;
	bool wrong;
	struct ctl ctl;
};

/* What getopt_long() returns for options without a letter: their index after this. */
#define LONG_ONLY 256

static int take_timeout(struct command_line *line, const char *value);
static int take_reason(struct command_line *line, const char *value);
static int take_key(struct command_line *line, const char *value);
static int take_format(struct command_line *line, const char *value);

/* The options that only some verbs take. */
static const struct {
	const char *name;
	enum ctl_option bit;
	int argument;
	int letter;  /* 0: none */
	int setting; /* of enum ctl_setting, or -1 */
	int (*take)(struct command_line *line, const char *value);
} verb_options[] = {
	{ "force", CTL_FORCE, no_argument, 0, -1, NULL },
	{ "wait", CTL_WAIT, no_argument, 0, -1, NULL },
	{ "timeout", CTL_TIMEOUT, required_argument, 0, -1, take_timeout },
	{ "purge", CTL_PURGE, no_argument, 0, -1, NULL },
	{ "revoke", CTL_REVOKE, no_argument, 0, -1, NULL },
	{ "follow", CTL_FOLLOW, no_argument, 'f', -1, NULL },
	{ "keys", CTL_KEYS, required_argument, 0, CTL_SET_KEYS, NULL },
	{ "ca", CTL_CA, required_argument, 0, CTL_SET_CA, NULL },
	{ "profile", CTL_PROFILE, required_argument, 0, CTL_SET_PROFILE, NULL },
	{ "deploy", CTL_DEPLOY, required_argument, 0, CTL_SET_DEPLOY, NULL },
	{ "reason", CTL_REASON, required_argument, 0, -1, take_reason },
	{ "key", CTL_KEY, required_argument, 0, -1, take_key },
	{ "yes", CTL_YES, no_argument, 0, -1, NULL },
	{ "format", CTL_FORMAT, required_argument, 0, -1, take_format },
	{ "served", CTL_SERVED, no_argument, 0, -1, NULL },
};

static const struct option common_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
};

#define OPTIONS (ELEMENTS(common_options) + ELEMENTS(verb_options))

static void
make_options(struct option ret[OPTIONS + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < ELEMENTS(common_options); i++)
		ret[n++] = common_options[i];
	for (size_t i = 0; i < ELEMENTS(verb_options); i++)
		ret[n++] = (struct option){ verb_options[i].name,
			verb_options[i].argument, NULL, LONG_ONLY + (int)i };
	ret[n] = (struct option){ 0 };
}

static void
print_usage(FILE *out)
{
	fputs("Usage: renewctl [-s SOCKET] [--json] VERB ...\n\n", out);
	for (size_t i = 0; i < verb_count; i++)
		fprintf(out, "  %s%s%s\n      %s\n", verbs[i].name,
		    verbs[i].arguments[0] != 0 ? " " : "", verbs[i].arguments,
		    verbs[i].help);
	fputs("\n"
	      "  -s, --socket=SOCKET  default: " PATHS_CONTROL_SOCKET "\n"
	      "      --json           print renewd's answer as it is\n"
	      "  -h, --help\n"
	      "      --version\n\n"
	      "Exit status: 0 done, 1 refused or failed, 2 usage, 3 no daemon.\n",
	    out);
}

static const struct {
	char unit;
	int64_t seconds;
} units[] = {
	{ 's', 1 },
	{ 'm', 60 },
	{ 'h', 3600 },
	{ 'd', 86400 },
	{ 'w', 7 * 86400 },
};

/* "90s" "10m"; -EINVAL. */
static int
parse_duration(const char *text, int64_t *ret)
{
	long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || n > TIMEOUT_MAX_S || *end == '\0' || end[1] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < ELEMENTS(units); i++)
		if (units[i].unit == *end && n * units[i].seconds <= TIMEOUT_MAX_S) {
			*ret = n * units[i].seconds;
			return 0;
		}
	return -EINVAL;
}

static int
take_timeout(struct command_line *line, const char *value)
{
	int r = parse_duration(value, &line->ctl.timeout_s);

	if (r < 0)
		fprintf(stderr, "renewctl: --timeout wants a time as 90s or 10m\n");
	return r;
}

/* Judged by the verb, or by the daemon. */
static int
take_reason(struct command_line *line, const char *value)
{
	line->ctl.reason = value;
	return 0;
}

static int
take_key(struct command_line *line, const char *value)
{
	line->ctl.key = value;
	return 0;
}

static int
take_format(struct command_line *line, const char *value)
{
	line->ctl.format = value;
	return 0;
}

static void
read_verb_option(struct command_line *line, size_t i, const char *value)
{
	line->ctl.given |= verb_options[i].bit;
	if (verb_options[i].setting >= 0)
		line->ctl.settings[verb_options[i].setting] = value;
	if (verb_options[i].take != NULL && verb_options[i].take(line, value) < 0)
		line->wrong = true;
}

static bool
read_letter(struct command_line *line, int letter)
{
	for (size_t i = 0; i < ELEMENTS(verb_options); i++)
		if (verb_options[i].letter == letter) {
			read_verb_option(line, i, NULL);
			return true;
		}
	return false;
}

static void
read_option(struct command_line *line, int option)
{
	if (option >= LONG_ONLY)
		read_verb_option(line, (size_t)(option - LONG_ONLY), optarg);
	else if (option == 's')
		line->socket = optarg;
	else if (option == 'j')
		line->ctl.json = true;
	else if (option == 'h')
		line->help = true;
	else if (option == 'V')
		line->version = true;
	else if (!read_letter(line, option))
		line->wrong = true; /* getopt has said what */
}

/* What is wrong with how the verb is used, or NULL. */
static const char *
check_usage(const struct verb *verb, const struct command_line *line)
{
	if (line->ctl.count < verb->min)
		return "an argument is missing";
	if (line->ctl.count > verb->max)
		return "too many arguments";
	if (line->ctl.given & ~verb->options)
		return "doesn't take this option";
	for (size_t i = 0; i < line->ctl.count; i++)
		if (line->ctl.args[i][0] == '\0')
			return "an argument is empty";
	return NULL;
}

static int
run(const struct verb *verb, struct command_line *line)
{
	_cleanup_(client_freep) struct client *client = NULL;
	int status;

	if (client_new(line->socket, &client) < 0) {
		fputs("renewctl: cannot set up the connection\n", stderr);
		return CTL_REFUSED;
	}
	line->ctl.client = client;
	show_init(&line->ctl.show);
	status = verb->run(&line->ctl);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "renewctl: cannot write: %s\n", strerror(errno));
		return CTL_REFUSED;
	}
	return status;
}

static int
complain_of_usage(const struct verb *verb, const char *what)
{
	fprintf(stderr, "renewctl: %s: %s\nUsage: renewctl %s %s\n", verb->name, what,
	    verb->name, verb->arguments);
	return verb->usage_exit;
}

static int
run_verb(struct command_line *line, char **words, size_t count)
{
	const struct verb *verb = count > 0 ? verbs_find(words[0]) : NULL;
	const char *wrong;

	if (count == 0) {
		print_usage(stderr);
		return CTL_USAGE;
	}
	if (verb == NULL) {
		fprintf(stderr, "renewctl: no such verb; renewctl --help lists them\n");
		return CTL_USAGE;
	}
	if (line->wrong)
		return verb->usage_exit;
	line->ctl.args = words + 1;
	line->ctl.count = count - 1;
	wrong = check_usage(verb, line);
	return wrong != NULL ? complain_of_usage(verb, wrong) : run(verb, line);
}

int
main(int argc, char **argv)
{
	struct command_line line = {
		.socket = PATHS_CONTROL_SOCKET,
		.ctl.timeout_s = DEFAULT_TIMEOUT_S,
	};
	struct option options[OPTIONS + 1];
	int option;

	make_options(options);
	while ((option = getopt_long(argc, argv, "s:hf", options, NULL)) != -1)
		read_option(&line, option);
	if (line.help) {
		print_usage(stdout);
		return CTL_DONE;
	}
	if (line.version) {
		puts("renewctl " PACKAGE_VERSION);
		return CTL_DONE;
	}
	if (line.wrong && optind == argc)
		return CTL_USAGE;
	return run_verb(&line, argv + optind, (size_t)(argc - optind));
}
