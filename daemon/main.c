/*
 * main.c - renewd(8): reads its arguments and its configuration, and runs.
 *
 * Exit status: 0 stopped by a signal, 1 could not start or go on, 64 usage, 78 bad
 * configuration (sysexits.h).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "autoconf.h"
#include "config/config.h"
#include "daemon.h"

#define DEFAULT_CONFIG SYSCONFDIR "/renewd/renewd.conf"

static const char usage[] =
    "usage: renewd [-c FILE] [--check] [--print-config] [--version] [--help]\n"
    "  -c, --config FILE  read this file instead of " DEFAULT_CONFIG "\n"
    "      --check        check the configuration, touch nothing\n"
    "      --print-config print what is in force, defaults included\n"
    "      --version      print the version\n"
    "      --help         print this\n";

enum mode { RUN, CHECK, PRINT };

struct arguments {
	const char *config;
	enum mode mode;
};

/* Negative: go on; else the exit status. */
static int
read_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "print-config", no_argument, NULL, 'p' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	*ret = (struct arguments){ .config = DEFAULT_CONFIG };
	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == 'c') {
			ret->config = optarg;
		} else if (option == 'k') {
			ret->mode = CHECK;
		} else if (option == 'p') {
			ret->mode = PRINT;
		} else if (option == 'v') {
			puts(PACKAGE_STRING);
			return 0;
		} else if (option == 'h') {
			fputs(usage, stdout);
			return 0;
		} else {
			fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "renewd: unexpected argument \"%s\"\n%s", argv[optind],
		    usage);
		return EX_USAGE;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct arguments arguments;
	struct config_errors errors = { 0 };
	struct config *config;
	int status = read_arguments(argc, argv, &arguments);

	if (status >= 0)
		return status;
	if (config_load(arguments.config, &config, &errors) < 0) {
		config_errors_print(&errors, stderr);
		config_errors_clear(&errors);
		return EX_CONFIG;
	}
	config_errors_clear(&errors);
	if (arguments.mode == RUN)
		return daemon_run(config) < 0 ? 1 : 0;
	if (arguments.mode == PRINT)
		config_print(config, stdout);
	else
		config_print_sandbox(config, stderr);
	config_free(config);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	fprintf(stderr, "renewd: cannot write: %s\n", strerror(errno));
	return 1;
}
