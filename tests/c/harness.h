/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the test programs share. A program is a list of cases; each runs in a child
 * process and a network namespace of its own, so that one that fails, dies or hangs
 * leaves nothing to the next. Prints `ok NAME`, `not ok NAME: reason` or
 * `skip NAME: reason` for each. Exit code 0: all ok, 1: some failed, 77: all skipped.
 *
 * Arguments are names of cases: those run, the others do not.
 */

#ifndef HARNESS_H
#define HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "xsk.h"

#define UNUSED __attribute__((unused))
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(*(array))))

#define EXIT_SKIP 77
#define CASE_SECONDS (slow() ? 200 : 60)

/* XSK_TEST_SLOW=1: in a machine that is emulated. Fewer packets do, and things take
 * longer. */
static UNUSED int slow(void)
{
	const char *value = getenv("XSK_TEST_SLOW");

	return value && strcmp(value, "0") != 0;
}

/* --- verdicts */

struct verdict {
	char reason[1024];	/* of the first failure, in whichever process */
	int skipped;
	int ended;		/* the case came to its end */
};

static struct verdict *verdict;	/* shared with all children */

/* Ends the case: the runner prints the first reason that any of its processes had. */
static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *format, ...)
{
	if (verdict->reason[0] == 0) {
		va_list args;

		va_start(args, format);
		vsnprintf(verdict->reason, sizeof(verdict->reason), format, args);
		va_end(args);
	}
	_exit(1);
}

#define FAIL(...) give_up(__VA_ARGS__)

#define SKIP(why) \
	do { \
		verdict->skipped = 1; \
		give_up("%s", why); \
	} while (0)

#define CHECK(condition) \
	((condition) ? (void)0 : \
	 give_up("%s:%d: %s does not hold (errmsg \"%s\")", __FILE__, __LINE__, #condition, \
		 xsk_errmsg()))

static UNUSED void check_eq(const char *file, int line, const char *what, const char *wanted,
			    long long got, long long want)
{
	if (got != want)
		give_up("%s:%d: %s is %lld, not %s = %lld (errmsg \"%s\")", file, line, what, got,
			wanted, want, xsk_errmsg());
}

#define CHECK_EQ(got, want) \
	check_eq(__FILE__, __LINE__, #got, #want, (long long)(got), (long long)(want))
#define CHECK_OK(call) CHECK_EQ(call, 0)

static UNUSED void check_within(const char *file, int line, const char *what, long long got,
				long long least, long long most)
{
	if (got < least || got > most)
		give_up("%s:%d: %s is %lld, not within %lld to %lld (errmsg \"%s\")", file, line,
			what, got, least, most, xsk_errmsg());
}

#define CHECK_WITHIN(got, least, most) \
	check_within(__FILE__, __LINE__, #got, (long long)(got), least, most)

static UNUSED void check_says(const char *file, int line, const char *what,
			      const char *const *words)
{
	for (; *words; words++)
		if (!strstr(xsk_errmsg(), *words))
			give_up("%s:%d: %s: no \"%s\" in errmsg \"%s\"", file, line, what, *words,
				xsk_errmsg());
}

/* The sentence of the last failure has all these words. */
#define CHECK_SAYS(...) \
	check_says(__FILE__, __LINE__, "sentence", (const char *const[]){ __VA_ARGS__, NULL })

/* The call gives this error, and its sentence has all these words. */
#define CHECK_FAILS(call, error, ...) \
	do { \
		check_eq(__FILE__, __LINE__, #call, #error, (long long)(call), error); \
		check_says(__FILE__, __LINE__, #call, (const char *const[]){ __VA_ARGS__, NULL }); \
	} while (0)

/* --- time */

static UNUSED uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static UNUSED void nap_ms(unsigned int ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

/* Looks once a millisecond until the condition holds; fails after so many. */
#define WAIT_FOR(condition, ms) \
	do { \
		uint64_t until_ = now_ms() + (ms); \
		int holds_; \
		while (!(holds_ = !!(condition)) && now_ms() < until_) \
			nap_ms(1); \
		if (!holds_) \
			give_up("%s:%d: %s does not hold after %d ms (errmsg \"%s\")", __FILE__, \
				__LINE__, #condition, (int)(ms), xsk_errmsg()); \
	} while (0)

/* --- processes and what they hold */

/* A child that cannot outlive the case. */
static UNUSED pid_t fork_child(void)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		give_up("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

/* The child must have ended well; what it failed at stands in the verdict already. */
static UNUSED void join_child(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		give_up("a child process ended with status %#x", status);
}

/* By SIGKILL, which runs no destructor. */
static UNUSED void kill_child(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static UNUSED void run_in_child(void (*work)(void))
{
	pid_t pid = fork_child();

	if (pid == 0) {
		work();
		_exit(0);
	}
	join_child(pid);
}

static UNUSED void keep_capabilities(uint32_t caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { caps, caps, 0 }, { 0, 0, 0 } };

	CHECK_OK(syscall(SYS_capset, &head, data));
}

static UNUSED int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		give_up("/proc/self/fd: %s", strerror(errno));
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3;	/* ".", ".." and the directory itself */
}

static UNUSED int count_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	int byte, n = 0;

	if (!file)
		give_up("/proc/self/maps: %s", strerror(errno));
	while ((byte = getc(file)) != EOF)
		n += byte == '\n';
	fclose(file);
	return n;
}

static UNUSED void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		give_up("writing %s to %s: %s", text, path, strerror(errno));
	close(fd);
}

static UNUSED void __attribute__((format(printf, 1, 2))) shell(const char *format, ...)
{
	char command[512];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	if (status != 0)
		give_up("`%s` ended with status %#x", command, status);
}

/* --- cases */

struct test_case {
	const char *name;
	void (*run)(void);
	int plain;	/* needs neither root nor a network */
};

static struct test_case cases[64];
static uint32_t case_count;

static UNUSED void add_case(const char *name, void (*run)(void), int plain)
{
	if (case_count == COUNT(cases))
		abort();
	cases[case_count++] = (struct test_case){ name, run, plain };
}

#define CASE(name, plain) \
	static void name(void); \
	static void __attribute__((constructor)) add_##name(void) { add_case(#name, name, plain); } \
	static void name(void)

#define TEST(name) CASE(name, 0)
#define TEST_WITHOUT_ROOT(name) CASE(name, 1)

static void run_case(const struct test_case *test)
{
	memset(verdict, 0, sizeof(*verdict));
	pid_t pid = fork_child();
	int status = 0;

	if (pid == 0) {
		alarm(CASE_SECONDS);
		if (!test->plain) {
			if (unshare(CLONE_NEWNET) != 0)
				SKIP("no network namespace can be made");
			/* No router solicitations among the packets counted. */
			if (access("/proc/sys/net/ipv6", F_OK) == 0) {
				write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
				write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
			}
		}
		test->run();
		verdict->ended = 1;
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if ((status == 0 && verdict->ended) || verdict->reason[0] != 0)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(verdict->reason, sizeof(verdict->reason), "no end after %d s", CASE_SECONDS);
	else if (WIFSIGNALED(status))
		snprintf(verdict->reason, sizeof(verdict->reason), "died of signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(verdict->reason, sizeof(verdict->reason), "exited with %d and no verdict",
			 WEXITSTATUS(status));
}

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0;

	verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (verdict == MAP_FAILED)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint32_t i = 0; i < case_count; i++) {
		if (!wanted(cases[i].name, argc, argv))
			continue;
		if (!cases[i].plain && geteuid() != 0) {
			printf("skip %s: needs root\n", cases[i].name);
			continue;
		}
		run_case(&cases[i]);
		if (verdict->skipped) {
			printf("skip %s: %s\n", cases[i].name, verdict->reason);
		} else if (verdict->reason[0]) {
			printf("not ok %s: %s\n", cases[i].name, verdict->reason);
			failed++;
		} else {
			printf("ok %s\n", cases[i].name);
			passed++;
		}
	}
	return failed ? 1 : passed ? 0 : EXIT_SKIP;
}

#endif
