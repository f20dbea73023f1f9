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
	unsigned given; /* enum ctl_option */
	bool help;
	bool version;
	bool wrong;
	struct ctl ctl;
};

static const struct option options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	{ "force", no_argument, NULL, 'f' },
	{ "wait", no_argument, NULL, 'w' },
	{ "timeout", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

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

static void
read_option(struct command_line *line, int option)
{
	switch (option) {
	case 's':
		line->socket = optarg;
		break;
	case 'j':
		line->ctl.json = true;
		break;
	case 'f':
		line->given |= CTL_FORCE;
		line->ctl.force = true;
		break;
	case 'w':
		line->given |= CTL_WAIT;
		line->ctl.wait = true;
		break;
	case 't':
		line->given |= CTL_TIMEOUT;
		if (parse_duration(optarg, &line->ctl.timeout_s) < 0) {
			fprintf(
			    stderr, "renewctl: --timeout wants a time as 90s or 10m\n");
			line->wrong = true;
		}
		break;
	case 'h':
		line->help = true;
		break;
	case 'V':
		line->version = true;
		break;
	default: /* getopt has said what */
		line->wrong = true;
	}
}

/* What is wrong with how the verb is used, or NULL. */
static const char *
check_usage(const struct verb *verb, const struct command_line *line)
{
	if (line->ctl.count < verb->min)
		return "an argument is missing";
	if (line->ctl.count > verb->max)
		return "too many arguments";
	if (line->given & ~verb->options)
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
	int option;

	while ((option = getopt_long(argc, argv, "s:h", options, NULL)) != -1)
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
