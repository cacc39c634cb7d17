/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Log lines: where they go, and that there are none unless they are asked for. */
#include "net.h"

static char said[4096];
static uint32_t levels[XSK_LOG_DEBUG + 1];

/* What `work` in a child process with that LIBXSK_LOG wrote to standard error. */
static void hear(const char *variable, void (*work)(void))
{
	size_t len = 0;
	ssize_t n;
	pid_t pid;
	int ends[2];

	CHECK_OK(pipe(ends));
	pid = fork_child();
	if (pid == 0) {
		if (variable)
			setenv("LIBXSK_LOG", variable, 1);
		else
			unsetenv("LIBXSK_LOG");
		CHECK_EQ(dup2(ends[1], 2), 2);
		work();
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = 0;
	close(ends[0]);
	join_child(pid);
}

/* Info of what is attached and bound, and two warnings. */
static void makes_lines(void)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	link_down(XA);
	CHECK_EQ(xsk_socket_check(end.socket), -ENETDOWN);
	link_delete(XA);
	CHECK_EQ(xsk_socket_check(end.socket), -ENXIO);
	close_end(&end);
}

TEST(nothing_is_written_unless_it_is_asked_for)
{
	hear(NULL, makes_lines);
	CHECK_EQ(said[0], 0);
	hear("", makes_lines);
	CHECK_EQ(said[0], 0);
	hear("nonsense", makes_lines);
	CHECK_EQ(said[0], 0);
}

TEST(the_environment_asks_for_lines_on_standard_error)
{
	hear("warn", makes_lines);
	CHECK(strstr(said, "libxsk: warning: ") && strstr(said, "is down\n"));
	CHECK(strstr(said, "is gone\n") != NULL);
	CHECK(strstr(said, "info") == NULL);
	hear("info", makes_lines);
	CHECK(strstr(said, "libxsk: info: ") && strstr(said, "attached the default program"));
	CHECK(strstr(said, "queue 0 of " XA ": bound, copy mode\n") != NULL);
	CHECK(strstr(said, "is down\n") != NULL);
}

static void count_level(uint32_t level, const char *line, void *context)
{
	CHECK(context == levels);
	CHECK(level >= XSK_LOG_WARN && level <= XSK_LOG_DEBUG);
	CHECK(line[0] != 0 && strchr(line, '\n') == NULL);
	levels[level]++;
	/* A callback may call the library. */
	CHECK(xsk_version() != NULL);
	CHECK_OK(xsk_umem_destroy(NULL));
}

static void has_a_callback(void)
{
	CHECK_OK(xsk_log_set(count_level, levels, XSK_LOG_WARN));
	makes_lines();
	CHECK_EQ(levels[XSK_LOG_WARN], 2);
	CHECK_EQ(levels[XSK_LOG_INFO], 0);
	CHECK_OK(xsk_log_set(count_level, levels, XSK_LOG_INFO));
	makes_lines();
	CHECK_EQ(levels[XSK_LOG_WARN], 4);
	CHECK(levels[XSK_LOG_INFO] >= 2);
	CHECK_OK(xsk_log_set(count_level, levels, XSK_LOG_OFF));
	makes_lines();
	CHECK_EQ(levels[XSK_LOG_WARN], 4);
}

TEST(a_callback_gets_the_lines_of_its_level_and_standard_error_none)
{
	hear("info", has_a_callback);
	CHECK_EQ(said[0], 0);
}

static void goes_back(void)
{
	CHECK_OK(xsk_log_set(count_level, levels, XSK_LOG_INFO));
	CHECK_OK(xsk_log_set(NULL, NULL, XSK_LOG_OFF));
	makes_lines();
	CHECK_EQ(levels[XSK_LOG_WARN], 0);
}

TEST(no_callback_goes_back_to_the_environment)
{
	hear("warn", goes_back);
	CHECK(strstr(said, "is down\n") != NULL);
	hear(NULL, goes_back);
	CHECK_EQ(said[0], 0);
}
