/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "lane.h"

#include <sched.h>
#include <stdio.h>

#include "bench.h"
#include "calls.h"

#define PATIENCE 100000	/* looks at a ring until packets count as lost */

void lane_open(struct lane *lane, unsigned int pair, uint32_t queue)
{
	char near[16], far[16];
	struct end_params params = { .ifname = near, .queue = queue, .drv = lane->drv,
				     .tx_only = lane->kind == TX, .tx_budget = lane->tx_budget };

	snprintf(near, sizeof(near), "a%u", pair);
	snprintf(far, sizeof(far), "b%u", pair);
	lane->near = lane->library->open(&params);
	params.ifname = far;
	params.tx_only = lane->kind == RXDROP;
	params.tx_budget = END_RING;
	lane->far = libxdp.open(&params);
}

void lane_close(struct lane *lane)
{
	libxdp.close(lane->far);
	lane->library->close(lane->near);
}

/* Takes n packets with the call given. */
static void take(uint32_t (*receive)(struct end *end, uint32_t n), struct end *end, uint32_t n)
{
	for (uint32_t empty = 0; n > 0;) {
		uint32_t got = receive(end, n);
		uint64_t start;

		n -= got;
		if (got != 0)
			continue;
		if (++empty > PATIENCE)
			bench_die("packets are lost");
		/* A thread of the kernel's has them. */
		start = ticks();
		sched_yield();
		calls.ticks += ticks() - start;
	}
}

/* What the near end does with a batch. */
static void work(struct lane *lane)
{
	const struct library *library = lane->library;

	if (lane->kind == TX)
		library->send(lane->near, lane->batch);
	else
		take(lane->kind == RXDROP ? library->receive : library->forward, lane->near,
		     lane->batch);
}

void lane_round(struct lane *lane)
{
	struct calls before;
	uint64_t start;

	if (lane->kind != TX)
		libxdp.send(lane->far, lane->batch);
	before = calls;
	start = ticks();
	work(lane);
	lane->user += ticks() - start - (calls.ticks - before.ticks);
	lane->calls += calls.count - before.count;
	if (lane->kind != RXDROP)
		take(libxdp.receive, lane->far, lane->batch);
}
