/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define _GNU_SOURCE
#include "end.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "bench.h"
#include "net.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

void *end_memory(void)
{
	size_t size = (size_t)END_FRAMES * END_FRAME_SIZE;
	uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		bench_die("no memory");
	for (unsigned int i = 0; i < END_FRAMES; i++)
		net_frame(memory + (size_t)i * END_FRAME_SIZE);
	return memory;
}

void end_set_budget(int fd, uint32_t budget)
{
	if (setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget)) < 0)
		bench_die("TX budget %u: %s (Linux 6.17 has it)", budget, strerror(errno));
}
