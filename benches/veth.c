/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Packets over veth, both ends in this thread: what one library's end costs beside the
 * other's. The far end is libxdp's in all cases, so that the near one makes the difference.
 * Each contender has a veth pair; they take turns slice by slice, and change pairs several
 * times, so that no pair is anybody's advantage.
 *
 *	tx	the near end sends, the far one counts and drops
 *	rxdrop	the far end sends, the near one counts and drops
 *	l2fwd	the far end sends, the near one sends back, the far one counts and drops
 *
 * "total" is all the time, from which follow packets per second; "user" is the near end's
 * without system calls; "system" that in system calls, of both ends, for most of what the
 * kernel does for one end happens in a call of the other.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "calls.h"
#include "end.h"
#include "net.h"

#define CONTENDERS 5
#define SLICE 1024	/* packets, about a millisecond */
#define TIMES 3		/* as many slices as other parts have */
#define PATIENCE 100000	/* looks at a ring until packets count as lost */

enum { TOTAL, USER, SYSTEM, CALLS, METRICS };

enum kind { TX, RXDROP, L2FWD };
static const char *const kinds[] = { "tx", "rxdrop", "l2fwd" };

struct contender {
	const struct library *library;
	uint32_t tx_budget;
};

/* A contender in a test: its sockets for now, and what was measured. */
struct lane {
	const struct contender *who;
	struct end *near, *far;
	double *values[METRICS];
};

struct test {
	enum kind kind;
	int drv;
	uint32_t batch;
};

/*
 * libxsk raises the TX budget of its sockets by itself. The equal comparisons are those
 * with both as the kernel has it and both raised.
 */
enum { XDP, PUT, BURST, XDP_RAISED, PUT_32 };
static const struct contender contenders[CONTENDERS] = {
	[XDP] = { &libxdp, 0 },
	[PUT] = { &libxsk_put, 0 },
	[BURST] = { &libxsk_burst, 0 },
	[XDP_RAISED] = { &libxdp, END_RING },
	[PUT_32] = { &libxsk_put, KERNEL_TX_BUDGET },
};

static unsigned int slices(void)
{
	return TIMES * bench_slices();
}

static void lane_open(struct lane *lane, const struct test *test, unsigned int pair)
{
	char near[16], far[16];
	struct end_params params = { .ifname = near, .drv = test->drv,
				     .tx_only = test->kind == TX,
				     .tx_budget = lane->who->tx_budget };

	snprintf(near, sizeof(near), "a%u", pair);
	snprintf(far, sizeof(far), "b%u", pair);
	lane->near = lane->who->library->open(&params);
	params.ifname = far;
	params.tx_only = test->kind == RXDROP;
	params.tx_budget = END_RING;
	lane->far = libxdp.open(&params);
}

static void lane_close(struct lane *lane)
{
	libxdp.close(lane->far);
	lane->who->library->close(lane->near);
}

/* Takes n packets with the call given. */
static void take(uint32_t (*receive)(struct end *end, uint32_t n), struct end *end, uint32_t n)
{
	for (uint32_t empty = 0; n > 0;) {
		uint32_t got = receive(end, n);

		n -= got;
		if (got == 0 && ++empty > PATIENCE)
			bench_die("veth: packets are lost");
		if (got == 0)
			sched_yield();	/* to the kernel's thread that has them */
	}
}

/* What the near end does with a batch. */
static void work(const struct lane *lane, const struct test *test)
{
	const struct library *library = lane->who->library;

	if (test->kind == TX)
		library->send(lane->near, test->batch);
	else
		take(test->kind == RXDROP ? library->receive : library->forward, lane->near,
		     test->batch);
}

static void slice(struct lane *lane, const struct test *test, unsigned int at)
{
	uint64_t ns = bench_wall_ns(), start = ticks(), near = 0, near_calls = 0;
	struct calls before = calls;
	double unit;

	for (uint32_t done = 0; done < SLICE; done += test->batch) {
		struct calls then;
		uint64_t from;

		if (test->kind != TX)
			libxdp.send(lane->far, test->batch);
		then = calls;
		from = ticks();
		work(lane, test);
		near += ticks() - from - (calls.ticks - then.ticks);
		near_calls += calls.count - then.count;
		if (test->kind != RXDROP)
			take(libxdp.receive, lane->far, test->batch);
	}
	start = ticks() - start;
	ns = bench_wall_ns() - ns;
	unit = (double)ns / (double)start / SLICE;	/* ns a packet of a tick */
	lane->values[TOTAL][at] = (double)start * unit;
	lane->values[USER][at] = (double)near * unit;
	lane->values[SYSTEM][at] = (double)(calls.ticks - before.ticks) * unit;
	lane->values[CALLS][at] = (double)near_calls / SLICE;
}

/* The library's own counters say the same as ours. */
static void check_calls(const struct lane *lane, uint64_t counted)
{
	const struct library *library = lane->who->library;

	if (library->kicks && library->kicks(lane->near) != counted)
		bench_die("libxsk counts %lu system calls, not %lu",
			  (unsigned long)library->kicks(lane->near), (unsigned long)counted);
}

/* Slices of all lanes in turns. */
static void measure(struct lane *lanes, unsigned int n, const struct test *test)
{
	unsigned int done = 0;

	for (unsigned int turn = 0; turn < n; turn++) {
		unsigned int until = slices() * (turn + 1) / n;
		uint64_t kicks[CONTENDERS];

		for (unsigned int i = 0; i < n; i++) {
			lane_open(&lanes[i], test, (i + turn) % n);
			slice(&lanes[i], test, 0);	/* to warm up */
			kicks[i] = lanes[i].who->library->kicks ?
				   lanes[i].who->library->kicks(lanes[i].near) : 0;
		}
		for (unsigned int at = done; at < until; at++)
			for (unsigned int i = 0; i < n; i++)
				slice(&lanes[(i + at) % n], test, at);
		for (unsigned int i = 0; i < n; i++) {
			double sum = 0;

			for (unsigned int at = done; at < until; at++)
				sum += lanes[i].values[CALLS][at] * SLICE;
			check_calls(&lanes[i], kicks[i] + (uint64_t)(sum + 0.5));
			lane_close(&lanes[i]);
		}
		done = until;
	}
}

static void row(const struct test *test, int metric, const char *variant, struct lane *xdp,
		struct lane *xsk, double min_ratio, double max_libxsk)
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
	bench_compare(&row, xdp->values[metric], xsk->values[metric], slices());
	bench_row(&row);
}

static void report(struct lane *lanes, const struct test *test)
{
	if (test->kind == TX) {
		row(test, TOTAL, "put, both 32", &lanes[XDP], &lanes[PUT_32], 0.98, 0);
		row(test, TOTAL, "put, raised", &lanes[XDP_RAISED], &lanes[PUT], 0.98, 0);
	}
	for (unsigned int i = PUT; i <= BURST; i++) {
		const char *name = lanes[i].who->library->name;

		row(test, TOTAL, name, &lanes[XDP], &lanes[i], test->kind == TX ? 1.02 : 0.98, 0);
		row(test, USER, name, &lanes[XDP], &lanes[i], 0, 0);
		row(test, SYSTEM, name, &lanes[XDP], &lanes[i], 0, 0);
		if (test->kind != RXDROP)	/* which makes none */
			row(test, CALLS, name, &lanes[XDP], &lanes[i], 0,
			    test->batch == END_BATCH ? 1. / END_BATCH : 0);
	}
}

static void run(const struct test *test)
{
	unsigned int n = test->kind == TX ? CONTENDERS : BURST + 1;
	struct lane lanes[CONTENDERS];

	for (unsigned int i = 0; i < n; i++) {
		lanes[i].who = &contenders[i];
		for (unsigned int metric = 0; metric < METRICS; metric++) {
			lanes[i].values[metric] = calloc(slices(), sizeof(double));
			if (!lanes[i].values[metric])
				bench_die("no memory");
		}
	}
	measure(lanes, n, test);
	report(lanes, test);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int metric = 0; metric < METRICS; metric++)
			free(lanes[i].values[metric]);
}

int main(void)
{
	static const struct test tests[] = {
		{ TX, 0, 64 }, { TX, 0, 256 }, { TX, 1, 64 }, { TX, 1, 256 },
		{ RXDROP, 0, 64 }, { RXDROP, 1, 64 }, { L2FWD, 0, 64 }, { L2FWD, 1, 64 },
	};

	bench_pin(0);
	net_enter();
	for (unsigned int i = 0; i < CONTENDERS; i++)
		net_pair(i, 1);
	for (unsigned int i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		run(&tests[i]);
	return 0;
}
