/*
 * life.c - see life.h.
 */
#include "life.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "daemon.h"
#include "virtual_time.h"

void
life_fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static size_t
world_size(size_t names)
{
	return sizeof(struct world) + sim_ca_size(names);
}

struct world *
world_new(size_t names)
{
	struct world *w = mmap(NULL, world_size(names), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (w == MAP_FAILED)
		life_fail("mmap");
	w->us = LIFE_BEGAN * LIFE_SECOND;
	w->ca.name_count = names;
	w->ca.began = LIFE_BEGAN;
	w->ca.tokens = SIM_BURST;
	w->ca.tokens_at = LIFE_BEGAN;
	return w;
}

void
world_free(struct world *w)
{
	munmap(w, world_size(w->ca.name_count));
}

/* Nobody asks there, but renewd orders nothing where it can't listen. */
static unsigned
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		life_fail("bind");
	close(fd);
	return ntohs(a.sin_port);
}

/* A server that keeps a copy of its own. */
static void
write_command(const char *dir)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/served", dir);
	if (mkdir(path, 0700) < 0)
		life_fail(path);
	snprintf(path, sizeof(path), "%s/take", dir);
	f = fopen(path, "w");
	if (f == NULL)
		life_fail(path);
	fprintf(f,
	    "#!/bin/sh\nset -e\ncd %s/served\n"
	    "cat \"$RENEWD_BUNDLE_DIR/fullchain.pem\" \"$RENEWD_BUNDLE_DIR/privkey.pem\" "
	    ">.new\nmv .new \"$RENEWD_CERTIFICATE.pem\"\n",
	    dir);
	fclose(f);
	if (chmod(path, 0700) < 0)
		life_fail(path);
}

static void
write_config(const struct world *w, const char *log_level, bool deploy, const char *dir)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/renewd.conf", dir);
	f = fopen(path, "w");
	if (f == NULL)
		life_fail(path);
	fprintf(f,
	    "[renewd]\nstate_dir = %s/state\nbundle_dir = %s/live\nlog_level = %s\n"
	    "[control]\nsocket = %s/control.sock\n"
	    "[http-01]\nlisten = 127.0.0.1:%u\n"
	    "[ca sim]\ndirectory = https://ca.sim/directory\naccept_terms = yes\n"
	    "[defaults]\nca = sim\nplaceholder = no\n",
	    dir, dir, log_level, dir, free_port());
	if (deploy)
		fprintf(f,
		    "deploy = copy\n[deploy copy]\ntype = exec\ncommand = %s/take\n",
		    dir);
	for (size_t i = 0; i < w->ca.name_count; i++)
		fprintf(f, "[certificate " SIM_NAME_FORMAT "]\n", i);
	fclose(f);
}

void
life_folder(const struct world *w, const char *log_level, bool deploy, char ret_dir[64])
{
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(ret_dir, 64, "%s/renewd-sim-XXXXXX", tmp);
	if (mkdtemp(ret_dir) == NULL)
		life_fail(ret_dir);
	if (deploy)
		write_command(ret_dir);
	write_config(w, log_level, deploy, ret_dir);
}

void
life_remove(const char *dir)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
	waitpid(pid, NULL, 0);
}

/* ---- one life ---- */

static void
redirect_log(const char *dir)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/log", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		life_fail(path);
	close(fd);
}

static void
live(struct world *w, const char *dir, uint64_t seed, int64_t until,
    void (*arm)(struct world *w))
{
	struct config_errors errors = { 0 };
	struct config *config;
	char path[128];

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	redirect_log(dir);
	virtual_chance_seed(seed);
	virtual_time_use(&w->us);
	virtual_time_wrong(&w->wrong, &w->wrong_at, &w->wrong_then);
	virtual_time_die_at(until);
	sim_ca_use(&w->ca);
	snprintf(path, sizeof(path), "%s/renewd.conf", dir);
	if (config_load(path, &config, &errors) < 0) {
		config_errors_print(&errors, stderr);
		_exit(EXIT_FAILURE);
	}
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	operator_use(&w->operator, path);
	if (arm != NULL)
		arm(w);
	_exit(daemon_run(config) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

int
life_run(struct world *w, const char *dir, uint64_t seed, int64_t until,
    void (*arm)(struct world *w))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid = fork();
	if (pid < 0)
		life_fail("fork");
	if (pid == 0)
		live(w, dir, seed, until, arm);
	if (waitpid(pid, &status, 0) != pid)
		life_fail("waitpid");
	while (waitpid(-1, NULL, 0) > 0) /* commands that it had started */
		continue;
	return status;
}
