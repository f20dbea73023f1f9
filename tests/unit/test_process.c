/*
 * test_process.c - process.c against real processes, and against pidfiles that lie.
 */
#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "need_pidfd.h"
#include "suite.h"

static char directory[] = "/tmp/renewd-process-XXXXXX";
static char pidfile[sizeof(directory) + 16];

static void
put(const char *text, size_t len)
{
	FILE *f;

	if (pidfile[0] == '\0') {
		ck_assert_ptr_nonnull(mkdtemp(directory));
		snprintf(pidfile, sizeof(pidfile), "%s/pid", directory);
	}
	f = fopen(pidfile, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void
put_text(const char *text)
{
	put(text, strlen(text));
}

static void
put_pid(pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", pid);
	put_text(text);
}

static void
clean(void)
{
	unlink(pidfile);
	rmdir(directory);
	pidfile[0] = '\0'; /* without forks the next test makes its own */
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
}

/* A real program that a signal ends; its path is in ret_path. */
static pid_t
start_sleep(char ret_path[4096])
{
	char link[64];
	ssize_t n = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("sleep", "sleep", "60", (char *)NULL);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	for (int i = 0; i < 500; i++) {
		n = readlink(link, ret_path, 4095);
		ck_assert_int_gt(n, 0);
		ret_path[n] = '\0';
		if (strstr(ret_path, "/sleep") != NULL)
			break;
		usleep(10000); /* until it has executed that */
	}
	ck_assert_ptr_nonnull(strstr(ret_path, "/sleep"));
	return pid;
}

static int
end_sleep(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void
still_runs(pid_t pid)
{
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
}

START_TEST(test_signal_arrives)
{
	char path[4096];
	pid_t pid = start_sleep(path), got = 0;
	int status;

	put_pid(pid);
	ck_assert_int_eq(process_signal(pidfile, "sleep", SIGHUP, &got), 0);
	ck_assert_int_eq(got, pid);
	status = end_sleep(pid);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGHUP);
	clean();
}
END_TEST

START_TEST(test_by_path)
{
	char path[4096], linked[64];
	pid_t pid = start_sleep(path), got;
	int status;

	put_pid(pid);
	ck_assert_int_eq(
	    process_signal(pidfile, "/nowhere/sleep", SIGTERM, &got), -EXDEV);
	still_runs(pid);
	/* signal 0 is the question only */
	ck_assert_int_eq(process_signal(pidfile, path, 0, &got), 0);
	snprintf(linked, sizeof(linked), "%s/link", directory);
	ck_assert_int_eq(symlink(path, linked), 0);
	ck_assert_int_eq(process_signal(pidfile, linked, SIGUSR1, &got), 0);
	unlink(linked);
	status = end_sleep(pid);
	ck_assert_int_eq(WTERMSIG(status), SIGUSR1);
	clean();
}
END_TEST

START_TEST(test_stranger_gets_nothing)
{
	char path[4096];
	pid_t pid = start_sleep(path), got = 77;

	put_pid(pid);
	ck_assert_int_eq(process_signal(pidfile, "haproxy", SIGKILL, &got), -EXDEV);
	ck_assert_int_eq(process_signal(pidfile, "slee", SIGKILL, &got), -EXDEV);
	ck_assert_int_eq(process_signal(pidfile, "sleep2", SIGKILL, &got), -EXDEV);
	ck_assert_int_eq(process_signal(pidfile, "", SIGKILL, &got), -EXDEV);
	ck_assert_int_eq(got, 77);
	still_runs(pid);
	kill(pid, SIGKILL);
	end_sleep(pid);
	clean();
}
END_TEST

START_TEST(test_stale)
{
	char path[4096];
	pid_t pid = start_sleep(path), got;
	siginfo_t info;

	put_pid(pid);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	/* a zombie: kill() would say that all is well */
	ck_assert_int_eq(kill(pid, 0), 0);
	ck_assert_int_eq(process_signal(pidfile, "sleep", SIGHUP, &got), -ESRCH);
	end_sleep(pid);
	ck_assert_int_eq(process_signal(pidfile, "sleep", SIGHUP, &got), -ESRCH);
	clean();
}
END_TEST

START_TEST(test_garbage)
{
	static const char *const texts[] = { "", "\n", "haproxy\n", "-1\n", "0\n",
		"00000\n", "12x\n", "0x12\n", "1 2\n", "+5\n", "1.5\n", "9999999999\n",
		"99999999999999999999999999999999999999999999999999999999999999999999999\n",
		"\n1\n" };
	pid_t got;

	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		put_text(texts[i]);
		ck_assert_msg(process_signal(pidfile, "sleep", 0, &got) == -EBADMSG,
		    "pidfile \"%s\" passed", texts[i]);
	}
	clean();
}
END_TEST

START_TEST(test_what_is_accepted)
{
	static const char *const forms[] = { "%d", "%d\n", " %d \r\n", "%d\nmore\n" };
	char path[4096], text[64];
	pid_t pid = start_sleep(path), got;

	for (size_t i = 0; i < ELEMENTS(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), forms[i], pid);
#pragma GCC diagnostic pop
		put_text(text);
		ck_assert_int_eq(process_signal(pidfile, "sleep", 0, &got), 0);
	}
	kill(pid, SIGKILL);
	end_sleep(pid);
	clean();
}
END_TEST

/* What stands in the place of a pidfile must not make us wait. */
START_TEST(test_no_file)
{
	pid_t got;

	put_text("1\n");
	ck_assert_int_eq(process_signal(directory, "sleep", 0, &got), -EBADMSG);
	unlink(pidfile);
	ck_assert_int_eq(process_signal(pidfile, "sleep", 0, &got), -ENOENT);
	ck_assert_int_eq(mkfifo(pidfile, 0600), 0);
	ck_assert_int_eq(process_signal(pidfile, "sleep", 0, &got), -EBADMSG);
	clean();
}
END_TEST

/* After a package upgrade the running program's file is gone. */
START_TEST(test_deleted_executable)
{
	char path[4096], copy[64], command[5000];
	pid_t pid, got;
	int status;

	put_text("");
	pid = start_sleep(path);
	kill(pid, SIGKILL);
	end_sleep(pid);
	snprintf(copy, sizeof(copy), "%s/myserver", directory);
	snprintf(command, sizeof(command), "%s", path);
	pid = fork();
	if (pid == 0) {
		execlp("cp", "cp", command, copy, (char *)NULL);
		_exit(127);
	}
	end_sleep(pid);
	pid = fork();
	if (pid == 0) {
		execl(copy, "myserver", "60", (char *)NULL);
		_exit(127);
	}
	put_pid(pid);
	WAIT_UNTIL(5, process_signal(pidfile, "myserver", 0, &got) >= 0);
	unlink(copy);
	ck_assert_int_eq(process_signal(pidfile, copy, 0, &got), 0);
	ck_assert_int_eq(process_signal(pidfile, "myserver", SIGTERM, &got), 0);
	status = end_sleep(pid);
	ck_assert_int_eq(WTERMSIG(status), SIGTERM);
	clean();
}
END_TEST

#define NOBODY 65534

/* As another user: the executable can't be read, so the command's name counts; and the
 * signal isn't ours to send. */
START_TEST(test_not_allowed)
{
	char path[4096];
	pid_t pid, child, got;
	int status;

	if (geteuid() != 0) {
		fprintf(stderr, "test_not_allowed: skipped, needs root\n");
		return;
	}
	pid = start_sleep(path);
	put_pid(pid);
	chmod(directory, 0755);
	chmod(pidfile, 0644);
	child = fork();
	if (child == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		    setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(1);
		if (process_signal(pidfile, "sleep", SIGTERM, &got) != -EPERM)
			_exit(2);
		if (process_signal(pidfile, "nginx", SIGTERM, &got) != -EXDEV)
			_exit(3);
		_exit(0);
	}
	status = end_sleep(child);
	ck_assert_int_eq(status, 0);
	chmod(directory, 0700);
	still_runs(pid);
	kill(pid, SIGKILL);
	end_sleep(pid);
	clean();
}
END_TEST

#if defined(__x86_64__)
#  define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#  define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OUR_ARCH
/* From here on kill() and its relatives end this process. */
static int
forbid_kill(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tkill, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ELEMENTS(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}

/* The signal goes through the pidfd: kill() isn't even called. */
START_TEST(test_through_pidfd)
{
	char path[4096];
	pid_t pid = start_sleep(path), child, got;
	int status;

	put_pid(pid);
	child = fork();
	if (child == 0) {
		if (forbid_kill() < 0)
			_exit(9);
		_exit(process_signal(pidfile, "sleep", SIGUSR2, &got) == 0 ? 0 : 1);
	}
	status = end_sleep(child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 9) {
		fprintf(stderr, "test_through_pidfd: skipped, no seccomp here\n");
		kill(pid, SIGUSR2);
	} else
		ck_assert_int_eq(status, 0);
	status = end_sleep(pid);
	ck_assert_int_eq(WTERMSIG(status), SIGUSR2);

	/* and the filter would have shown it */
	child = fork();
	if (child == 0) {
		if (forbid_kill() < 0)
			_exit(9);
		kill(getpid(), 0);
		_exit(0);
	}
	status = end_sleep(child);
	if (WIFSIGNALED(status))
		ck_assert_int_eq(WTERMSIG(status), SIGSYS);
	else
		ck_assert_int_eq(WEXITSTATUS(status), 9);
	clean();
}
END_TEST
#else
START_TEST(test_through_pidfd)
{
	fprintf(stderr, "test_through_pidfd: skipped on this architecture\n");
}
END_TEST
#endif

SUITE("process", test_signal_arrives, test_by_path, test_stranger_gets_nothing,
    test_stale, test_garbage, test_what_is_accepted, test_no_file,
    test_deleted_executable, test_not_allowed, test_through_pidfd)
