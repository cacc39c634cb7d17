/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Packets over veth, both ends in this thread: what one library's end costs beside the
 * other's. Each contender has a veth pair; they take turns slice by slice, and change pairs
 * several times, so that no pair is anybody's advantage.
 *
 * "total" is all the time, from which follow packets per second; "user" is the near end's
 * without system calls; "system" that in system calls, of both ends, for most of what the
 * kernel does for one end happens in a call of the other.
 */
#include <stdio.h>

#include "bench.h"
#include "calls.h"
#include "lane.h"
#include "net.h"

#define CONTENDERS 5
#define SLICE 1024	/* packets, about a millisecond */
#define TIMES 3		/* as many slices as other parts have */

enum { TOTAL, USER, SYSTEM, CALLS, METRICS };

static const char *const kinds[KINDS] = { "tx", "rxdrop", "l2fwd" };

struct test {
	enum kind kind;
	int drv;
	uint32_t batch;
};

/*
 * libxsk raises the TX budget of its sockets by itself. The equal comparisons are those
 * with both as the kernel has it and both raised.
 */
enum { XDP, BATCH, BURST, XDP_RAISED, BATCH_32 };
static const struct {
	const struct library *library;
	uint32_t tx_budget;
} contenders[CONTENDERS] = {
	[XDP] = { &libxdp, 0 },
	[BATCH] = { &libxsk_batch, 0 },
	[BURST] = { &libxsk_burst, 0 },
	[XDP_RAISED] = { &libxdp, END_RING },
	[BATCH_32] = { &libxsk_batch, KERNEL_TX_BUDGET },
};

static struct lane lanes[CONTENDERS];
static double *values[CONTENDERS][METRICS];

static unsigned int slices(void)
{
	return TIMES * bench_slices();
}

static void slice(struct lane *lane, double *const to[METRICS], unsigned int at)
{
	uint64_t ns = bench_wall_ns(), start = ticks(), in_calls = calls.ticks;
	double unit;

	lane->user = 0;
	lane->calls = 0;
	for (uint32_t done = 0; done < SLICE; done += lane->batch)
		lane_round(lane);
	start = ticks() - start;
	ns = bench_wall_ns() - ns;
	unit = (double)ns / (double)start / SLICE;	/* ns a packet of a tick */
	to[TOTAL][at] = (double)start * unit;
	to[USER][at] = (double)lane->user * unit;
	to[SYSTEM][at] = (double)(calls.ticks - in_calls) * unit;
	to[CALLS][at] = (double)lane->calls / SLICE;
}

static uint64_t kicks_of(const struct lane *lane)
{
	return lane->library->kicks ? lane->library->kicks(lane->near) : 0;
}

/* The library's own counter says the same as ours. */
static void check_calls(const struct lane *lane, const double *counts, unsigned int from,
			unsigned int to, uint64_t before)
{
	double sum = 0;

	for (unsigned int at = from; at < to; at++)
		sum += counts[at] * SLICE;
	if (lane->library->kicks && kicks_of(lane) - before != (uint64_t)(sum + 0.5))
		bench_die("veth: libxsk counts %lu system calls, not %.0f",
			  (unsigned long)(kicks_of(lane) - before), sum);
}

/* Slices of n contenders in turns. */
static void measure(const struct test *test, unsigned int n)
{
	unsigned int from = 0, to;

	for (unsigned int turn = 0; turn < n; turn++, from = to) {
		uint64_t kicks[CONTENDERS];

		to = slices() * (turn + 1) / n;
		for (unsigned int i = 0; i < n; i++) {
			lanes[i] = (struct lane){
				.library = contenders[i].library,
				.tx_budget = contenders[i].tx_budget,
				.kind = test->kind, .drv = test->drv, .batch = test->batch,
			};
			lane_open(&lanes[i], (i + turn) % n, 0);
			slice(&lanes[i], values[i], from);	/* to warm up */
			kicks[i] = kicks_of(&lanes[i]);
		}
		for (unsigned int at = from; at < to; at++)
			for (unsigned int i = 0; i < n; i++) {
				unsigned int next = (i + at) % n;

				slice(&lanes[next], values[next], at);
			}
		for (unsigned int i = 0; i < n; i++) {
			check_calls(&lanes[i], values[i][CALLS], from, to, kicks[i]);
			lane_close(&lanes[i]);
		}
	}
}

static void row(const struct test *test, int metric, const char *variant, int xdp, int xsk,
		double min_ratio, double max_libxsk)
{
	static const char *const names[METRICS] = { "total", "user", "system", "system calls" };
	char what[32];
	struct bench_row row = {
		.part = "veth", .what = what, .variant = variant, .batch = test->batch,
		.unit = metric == CALLS ? "/packet" : "ns/packet", .min_ratio = min_ratio,
		.max_libxsk = max_libxsk,
	};

	snprintf(what, sizeof(what), "%s %s, %s", kinds[test->kind], test->drv ? "DRV" : "SKB",
		 names[metric]);
	bench_compare(&row, values[xdp][metric], values[xsk][metric], slices());
	bench_row(&row);
}

static void report(const struct test *test)
{
	if (test->kind == TX) {
		row(test, TOTAL, "batch, 32", XDP, BATCH_32, 0.98, 0);
		row(test, TOTAL, "batch, raised", XDP_RAISED, BATCH, 0.98, 0);
	}
	for (int i = BATCH; i <= BURST; i++) {
		const char *name = contenders[i].library->name;

		row(test, TOTAL, name, XDP, i, test->kind == TX ? 1.02 : 0.98, 0);
		row(test, USER, name, XDP, i, 0, 0);
		row(test, SYSTEM, name, XDP, i, 0, 0);
		if (test->kind != RXDROP)	/* which makes none */
			row(test, CALLS, name, XDP, i, 0,
			    test->batch == END_BATCH ? 1. / END_BATCH : 0);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{ TX, 0, 64 }, { TX, 0, 256 }, { TX, 1, 64 }, { TX, 1, 256 },
		{ RXDROP, 0, 64 }, { RXDROP, 1, 64 }, { L2FWD, 0, 64 }, { L2FWD, 1, 64 },
	};

	bench_pin(0);
	net_enter();
	for (unsigned int i = 0; i < CONTENDERS; i++) {
		net_pair(i, 1);
		for (unsigned int metric = 0; metric < METRICS; metric++)
			values[i][metric] = bench_numbers(slices());
	}
	for (unsigned int i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		measure(&tests[i], tests[i].kind == TX ? CONTENDERS : BURST + 1);
		report(&tests[i]);
	}
	return 0;
}
