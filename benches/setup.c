/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Set-up and footprint: programs that set a socket up with one library or the other, each
 * run in a fresh process, in turns. Argument: the directory with the programs.
 *
 * CPU times are CLOCK_PROCESS_CPUTIME_ID around the calls, which is exact; what the
 * kernel does elsewhere on their behalf (RCU, workqueues) is in the wall times only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"
#include "setup_side.h"

#define PAIRS 16	/* a queue is free again some 50 ms after its socket is closed */
#define TRIES 50
#define STARTS 5	/* starts measured for one set-up */

enum side { LIBXDP, LIBXSK, NONE };
static const char *const names[] = { "setup_libxdp", "setup_libxsk", "setup_none" };

enum {
	UMEM_CPU, UMEM_WALL, SOCKET_CPU, SOCKET_WALL, BOTH_CPU, BOTH_WALL, CLOSE_CPU, CLOSE_WALL,
	FIRST, RSS, METRICS
};

static const struct bench_row rows[METRICS] = {
	[UMEM_CPU] = { .what = "umem create, CPU", .unit = "us" },
	[UMEM_WALL] = { .what = "umem create, wall", .unit = "us" },
	[SOCKET_CPU] = { .what = "socket create, CPU", .unit = "us", .min_ratio = 5,
			 .max_libxsk = 450 },
	[SOCKET_WALL] = { .what = "socket create, wall", .unit = "us" },
	[BOTH_CPU] = { .what = "umem + socket, CPU", .unit = "us" },
	[BOTH_WALL] = { .what = "umem + socket, wall", .unit = "us" },
	[CLOSE_CPU] = { .what = "teardown, CPU", .unit = "us" },
	[CLOSE_WALL] = { .what = "teardown, wall", .unit = "us" },
	/* 0.85 of libxdp's */
	[FIRST] = { .what = "exec to first packet, wall", .unit = "us", .min_ratio = 1 / 0.85 },
	[RSS] = { .what = "peak RSS without UMEM", .unit = "KiB" },
};

/* Of the UMEM: 4096 frames, as most programs have, and 512. */
static const struct size {
	const char *name;
	unsigned long bytes;
} sizes[] = { { "16 MiB", 16 << 20 }, { "2 MiB", 2 << 20 } };

static char paths[3][PATH_MAX];
static int senders[PAIRS];

static void row(struct bench_row row, double libxdp, double libxsk)
{
	row.part = "setup";
	row.variant = row.variant ? row.variant : "";
	row.libxdp = libxdp;
	row.libxsk = libxsk;
	bench_row(&row);
}

/* --- fresh processes */

/* Runs a program; gives its exit status, and what it wrote up to `room` bytes. */
static int run(enum side side, char **argv, void *answer, size_t room)
{
	posix_spawn_file_actions_t actions;
	char *env[] = { NULL }, log[PATH_MAX + 8];
	int ends[2], status = -1;
	pid_t pid;

	argv[0] = paths[side];
	/* libxdp says there which of its ways it goes. */
	snprintf(log, sizeof(log), "%s.log", paths[side]);
	if (pipe(ends) < 0)
		bench_die("pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	if (posix_spawn(&pid, paths[side], &actions, NULL, argv, env) != 0)
		bench_die("cannot run %s", paths[side]);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (room != 0 && read(ends[0], answer, room) != (ssize_t)room)
		memset(answer, 0, room);
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		bench_die("%s died", names[side]);
	return WEXITSTATUS(status);
}

/*
 * Attaching, detaching and closing wait for RCU, some 10 ms, which end with a tick. So
 * that each run finds the same: first what the last one left is waited for, and then a
 * part of the ticks' period, another for each slice.
 */
static void settle(unsigned int slice)
{
	for (int i = 0; i < 2; i++)
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	usleep(slice * 1619 % 4000);
}

/* Sets a socket up on the next pair, whose queue has had the longest time to rest. */
static void set_up(enum side side, const struct size *size, double *values,
		   unsigned int slices, unsigned int slice)
{
	static unsigned int next;
	struct setup_result result;
	char ifname[16], sender[16], bytes[16];
	char *args[] = { NULL, ifname, sender, bytes, NULL };
	unsigned int tries;
	double at[METRICS];
	uint64_t start;
	int status;

	for (tries = 0; tries < TRIES; tries++) {
		unsigned int pair = next++ % PAIRS;

		snprintf(ifname, sizeof(ifname), "a%u", pair);
		snprintf(sender, sizeof(sender), "%d", senders[pair]);
		snprintf(bytes, sizeof(bytes), "%lu", size->bytes);
		settle(slice);
		start = bench_wall_ns();
		status = run(side, args, &result, sizeof(result));
		if (status == 0)
			break;
		if (status != 2)	/* busy still */
			bench_die("%s failed: see %s.log", names[side], paths[side]);
	}
	if (tries == TRIES)
		bench_die("%s: no queue gets free", names[side]);
	at[UMEM_CPU] = result.umem_cpu / 1e3;
	at[UMEM_WALL] = result.umem_wall / 1e3;
	at[SOCKET_CPU] = result.socket_cpu / 1e3;
	at[SOCKET_WALL] = result.socket_wall / 1e3;
	at[BOTH_CPU] = at[UMEM_CPU] + at[SOCKET_CPU];
	at[BOTH_WALL] = at[UMEM_WALL] + at[SOCKET_WALL];
	at[FIRST] = (result.received_at - start) / 1e3;
	at[CLOSE_CPU] = result.close_cpu / 1e3;
	at[CLOSE_WALL] = result.close_wall / 1e3;
	at[RSS] = result.peak_rss / 1024. - size->bytes / 1024.;
	for (unsigned int i = 0; i < METRICS; i++)
		values[i * slices + slice] = at[i];
}

static void measure_set_up(const struct size *size, unsigned int slices)
{
	double *libxdp = bench_numbers(METRICS * slices), *libxsk = bench_numbers(METRICS * slices);

	for (unsigned int i = 0; i < slices; i++) {
		if (i % 2)
			set_up(LIBXSK, size, libxsk, slices, i);
		set_up(LIBXDP, size, libxdp, slices, i);
		if (i % 2 == 0)
			set_up(LIBXSK, size, libxsk, slices, i);
	}
	for (unsigned int i = 0; i < METRICS; i++) {
		struct bench_row one = rows[i];

		one.variant = size->name;
		row(one, bench_median(libxdp + i * slices, slices),
		    bench_median(libxsk + i * slices, slices));
	}
	free(libxdp);
	free(libxsk);
}

/* What it costs a program that it links the library, though it calls nothing. */
static void measure_start(unsigned int n)
{
	double *values[] = { bench_numbers(n), bench_numbers(n), bench_numbers(n) }, median[3];

	for (unsigned int i = 0; i < n; i++)
		for (enum side side = LIBXDP; side <= NONE; side++) {
			uint64_t start = bench_wall_ns();

			run(side, (char *[]){ NULL, NULL }, NULL, 0);
			values[side][i] = (bench_wall_ns() - start) / 1e3;
		}
	for (enum side side = LIBXDP; side <= NONE; side++) {
		median[side] = bench_median(values[side], n);
		free(values[side]);
	}
	row((struct bench_row){ .what = "start-up cost of linking", .unit = "us",
				.max_libxsk = 120 },
	    median[LIBXDP] - median[NONE], median[LIBXSK] - median[NONE]);
}

/* --- footprint, by the usual tools */

/* The number that a shell command prints. */
static double ask(const char *command)
{
	FILE *pipe = popen(command, "r");
	double value = -1;

	if (!pipe || fscanf(pipe, "%lf", &value) != 1)
		value = -1;
	if (!pipe || pclose(pipe) != 0 || value < 0)
		bench_die("no number from: %s", command);
	return value;
}

/* What `command` gives for the libraries that a program loads beside libc. */
static double of_libraries(enum side side, const char *command)
{
	char line[2 * PATH_MAX];

	snprintf(line, sizeof(line), "set -- $(ldd %s | awk '$3 ~ \"^/\" && $1 !~ \"^libc\\\\.\" "
		 "{ print $3 }'); %s", paths[side], command);
	return ask(line);
}

static void footprint(struct bench_row kind, const char *command)
{
	row(kind, of_libraries(LIBXDP, command), of_libraries(LIBXSK, command));
}

static void measure_footprint(void)
{
	footprint((struct bench_row){ .what = "stripped size", .unit = "KiB", .max_libxsk = 200 },
		  "stat -Lc %s \"$@\" | awk '{ n += $1 } END { print n / 1024 }'");
	footprint((struct bench_row){ .what = "dynamic relocations", .unit = "", .max_libxsk = 100 },
		  "for lib; do readelf -rW \"$lib\"; done | grep -c ' R_'");
	footprint((struct bench_row){ .what = "libraries beside libc", .unit = "",
				      .max_libxsk = 1 }, "echo $#");
}

/* --- system calls, where strace is there */

enum { UMEM_CALLS = 1, SOCKET_CALLS, CLOSE_CALLS = 4, WHOLE_CALLS = 0 };

/* Counts those of one run: between marks, or all. */
static void count_calls(enum side side, double *counts)
{
	char command[3 * PATH_MAX], log[PATH_MAX + 16], line[512];
	unsigned int section = 0, tries;
	FILE *file;

	snprintf(log, sizeof(log), "%s.strace", paths[side]);
	for (tries = 0; tries < TRIES; tries++) {
		unsigned int pair = tries % PAIRS;

		snprintf(command, sizeof(command), "strace -f -qq -o %s %s a%u %d %lu >/dev/null "
			 "2>&1", log, paths[side], pair, senders[pair], sizes[0].bytes);
		if (system(command) == 0)
			break;
	}
	file = fopen(log, "r");
	if (tries == TRIES || !file)
		bench_die("failed: %s", command);
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, " getppid()")) {
			section++;
			continue;
		}
		counts[WHOLE_CALLS]++;
		if (section != WHOLE_CALLS)
			counts[section]++;
	}
	fclose(file);
}

static void measure_calls(void)
{
	double libxdp[6] = { 0 }, libxsk[6] = { 0 };

	if (system("command -v strace >/dev/null") != 0) {
		printf("setup: no strace, hence no counts of system calls\n");
		return;
	}
	count_calls(LIBXDP, libxdp);
	count_calls(LIBXSK, libxsk);
#define ROW(name, section) \
	row((struct bench_row){ .what = name, .unit = "" }, libxdp[section], libxsk[section])
	ROW("system calls, umem", UMEM_CALLS);
	ROW("system calls, socket", SOCKET_CALLS);
	ROW("system calls, teardown", CLOSE_CALLS);
	ROW("system calls, whole run", WHOLE_CALLS);
#undef ROW
}

int main(int argc, char **argv)
{
	unsigned int slices = bench_slices();

	if (argc != 2)
		bench_die("usage: setup DIRECTORY");
	for (enum side side = LIBXDP; side <= NONE; side++)
		snprintf(paths[side], PATH_MAX, "%s/%s", argv[1], names[side]);
	net_enter();
	for (unsigned int i = 0; i < PAIRS; i++) {
		char ifname[16];

		net_pair(i, 1);
		snprintf(ifname, sizeof(ifname), "b%u", i);
		senders[i] = net_sender(ifname);
	}
	bench_pin(0);	/* the programs too */
	for (unsigned int i = 0; i < 2; i++)
		measure_set_up(&sizes[i], slices);
	measure_start(STARTS * slices);
	measure_calls();
	measure_footprint();
	return 0;
}
