/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The program that setup.c runs, afresh each time: without arguments it ends at once;
 * with an interface, a packet socket on its peer and the UMEM's size it sets a socket up,
 * sends itself a packet, and tells on standard output what that took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "setup_side.h"

static uint64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The precise CPU time of the process; getrusage's user and system are by ticks. */
#define CPU now(CLOCK_PROCESS_CPUTIME_ID)
#define WALL now(CLOCK_MONOTONIC)

static uint64_t peak_rss(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kib * 1024;
}

static void must(int err, const char *what)
{
	if (err < 0) {
		fprintf(stderr, "setup: %s: %s\n", what, strerror(-err));
		exit(err == -EBUSY ? 2 : 1);
	}
}

static void receive_one(int sender)
{
	struct pollfd entry = { side_fd(), POLLIN, 0 };
	char frame[64];

	side_fill();
	memset(frame, 0xff, sizeof(frame));	/* broadcast, of no known type */
	if (send(sender, frame, sizeof(frame), 0) != sizeof(frame))
		must(-errno, "send");
	if (poll(&entry, 1, 1000) != 1 || side_receive() == 0)
		must(-ETIMEDOUT, "no packet came");
}

int main(int argc, char **argv)
{
	struct setup_result result;
	uint64_t cpu, wall, size;
	void *memory;

	if (argc < 4)
		return 0;
	/* Prefaulted, so that no library's calls are where the pages come from. */
	size = strtoull(argv[3], NULL, 10);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		must(-errno, "mmap");

	/* getppid() marks the place for who counts system calls. */
	getppid();
	wall = WALL;
	cpu = CPU;
	must(side_umem(memory, size), "umem");
	result.umem_cpu = CPU - cpu;
	result.umem_wall = WALL - wall;

	getppid();
	wall = WALL;
	cpu = CPU;
	must(side_socket(argv[1]), "socket");
	result.socket_cpu = CPU - cpu;
	result.socket_wall = WALL - wall;
	getppid();

	receive_one(atoi(argv[2]));
	result.received_at = WALL;

	getppid();
	wall = WALL;
	cpu = CPU;
	side_close();
	result.close_cpu = CPU - cpu;
	result.close_wall = WALL - wall;
	getppid();

	result.peak_rss = peak_rss();
	return write(1, &result, sizeof(result)) != sizeof(result);
}
