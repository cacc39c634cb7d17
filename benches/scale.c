/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * More sockets: one a core, and many in one thread. The near end forwards, with native
 * XDP; the far end, which makes the packets, runs in the same thread, and so does what the
 * kernel does for both. So the time of all is mostly the kernel's, and how it scales is the
 * kernel's matter: what the library takes of it is told apart.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "calls.h"
#include "lane.h"
#include "net.h"

#define PACKETS 64	/* in a batch, of all sockets together */
#define CORES 2
#define SOCKETS 16	/* and queues */
#define SLICE_NS 2000000

enum { XDP, BATCH, BURST, CONTENDERS };
static const struct library *const contenders[CONTENDERS] = {
	&libxdp, &libxsk_batch, &libxsk_burst,
};

static struct lane lanes[CONTENDERS][SOCKETS];

static void open_lanes(unsigned int n, unsigned int queues)
{
	for (unsigned int i = 0; i < CONTENDERS; i++)
		for (unsigned int queue = 0; queue < n; queue++) {
			lanes[i][queue] = (struct lane){ .library = contenders[i], .kind = L2FWD,
							 .drv = 1, .batch = PACKETS };
			lane_open(&lanes[i][queue], queues * CONTENDERS + i, queue);
		}
}

static void close_lanes(unsigned int n)
{
	for (unsigned int i = 0; i < CONTENDERS; i++)
		for (unsigned int queue = 0; queue < n; queue++)
			lane_close(&lanes[i][queue]);
}

/* Makes a pair for each contender, numbered from queues * CONTENDERS on. */
static void make_pairs(unsigned int queues)
{
	for (unsigned int i = 0; i < CONTENDERS; i++)
		net_pair(queues * CONTENDERS + i, queues);
}

/* What a slice took: ns a packet, all of it and the library's own. */
struct took {
	double total, user;
};

/* Moves packets over n lanes in turns for a while. */
static void slice(struct lane *lane, unsigned int n, double *packets, struct took *took)
{
	uint64_t start = bench_wall_ns(), from = ticks(), ns, user = 0;

	*packets = 0;
	for (unsigned int i = 0; i < n; i++)
		lane[i].user = 0;
	do {
		for (unsigned int i = 0; i < n; i++) {
			lane_round(&lane[i]);
			*packets += lane[i].batch;
		}
		ns = bench_wall_ns() - start;
	} while (ns < SLICE_NS);
	for (unsigned int i = 0; i < n; i++)
		user += lane[i].user;
	took->total = (double)ns / *packets;
	took->user = took->total * (double)user / (double)(ticks() - from);
}

static void row(const char *what, unsigned int contender, const char *unit, unsigned int batch,
		const double *xdp, const double *xsk)
{
	struct bench_row row = { .part = "scale", .what = what, .unit = unit, .batch = batch,
				 .variant = contenders[contender]->name };

	bench_compare(&row, xdp, xsk, bench_slices());
	bench_row(&row);
}

/* --- a core for each queue */

static struct worker {
	pthread_t thread;
	unsigned int cpu;
	struct lane *lane;	/* NULL: a pause; the thread ends where `ends` is set */
	int ends;
	double packets;
	struct took took;
} workers[CORES];
static pthread_barrier_t barrier;

static void *work(void *argument)
{
	struct worker *worker = argument;

	bench_pin(worker->cpu);
	for (;;) {
		pthread_barrier_wait(&barrier);	/* there is work */
		if (worker->ends)
			return NULL;
		if (worker->lane)
			slice(worker->lane, 1, &worker->packets, &worker->took);
		pthread_barrier_wait(&barrier);	/* it is done */
	}
}

/* A slice on the first n cores at once; ns a packet of all of them together. */
static struct took slice_on(struct lane *lane, unsigned int n)
{
	struct took all = { 0, 0 };
	double rate = 0;

	for (unsigned int i = 0; i < CORES; i++)
		workers[i].lane = i < n ? &lane[i] : NULL;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < n; i++) {
		rate += 1 / workers[i].took.total;
		all.user += workers[i].took.user / n;
	}
	all.total = 1 / rate;
	return all;
}

static void start_workers(void)
{
	pthread_barrier_init(&barrier, NULL, CORES + 1);
	for (unsigned int i = 0; i < CORES; i++) {
		workers[i].cpu = i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			bench_die("no thread");
	}
}

static void end_workers(void)
{
	for (unsigned int i = 0; i < CORES; i++)
		workers[i].ends = 1;
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < CORES; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
}

static void measure_cores(void)
{
	enum { ONE, TWO, USER_ONE, USER_TWO, SCALED, METRICS };
	static const struct {
		const char *what, *unit;
	} rows[METRICS] = {
		[ONE] = { "1 queue, total", "ns/packet" },
		[TWO] = { "2 queues on 2 cores, total", "ns/packet" },
		[USER_ONE] = { "1 queue, user", "ns/packet" },
		[USER_TWO] = { "2 queues on 2 cores, user", "ns/packet" },
		[SCALED] = { "2 queues: time of 1 queue", "of it" },
	};
	double *values[CONTENDERS][METRICS];
	unsigned int slices = bench_slices();

	for (unsigned int i = 0; i < CONTENDERS; i++)
		for (unsigned int metric = 0; metric < METRICS; metric++)
			values[i][metric] = bench_numbers(slices);
	open_lanes(CORES, CORES);
	start_workers();
	for (unsigned int at = 0; at < slices; at++)
		for (unsigned int turn = 0; turn < CONTENDERS; turn++) {
			unsigned int i = (turn + at) % CONTENDERS;
			struct took one = slice_on(lanes[i], 1), two = slice_on(lanes[i], CORES);

			values[i][ONE][at] = one.total;
			values[i][TWO][at] = two.total;
			values[i][USER_ONE][at] = one.user;
			values[i][USER_TWO][at] = two.user;
			values[i][SCALED][at] = two.total / one.total;
		}
	end_workers();
	close_lanes(CORES);
	for (unsigned int i = BATCH; i < CONTENDERS; i++)
		for (unsigned int metric = 0; metric < METRICS; metric++)
			row(rows[metric].what, i, rows[metric].unit, PACKETS, values[XDP][metric],
			    values[i][metric]);
	for (unsigned int i = 0; i < CONTENDERS; i++)
		for (unsigned int metric = 0; metric < METRICS; metric++)
			free(values[i][metric]);
}

/* --- many sockets in one thread, which share out a batch */

static void measure_sockets(unsigned int n)
{
	double *total[CONTENDERS], *user[CONTENDERS], packets;
	unsigned int slices = bench_slices();
	struct took took;
	char what[32];

	for (unsigned int i = 0; i < CONTENDERS; i++) {
		total[i] = bench_numbers(slices);
		user[i] = bench_numbers(slices);
		for (unsigned int queue = 0; queue < n; queue++)
			lanes[i][queue].batch = PACKETS / n;
	}
	for (unsigned int at = 0; at < slices; at++)
		for (unsigned int turn = 0; turn < CONTENDERS; turn++) {
			unsigned int i = (turn + at) % CONTENDERS;

			slice(lanes[i], n, &packets, &took);
			total[i][at] = took.total;
			user[i][at] = took.user;
		}
	for (unsigned int i = BATCH; i < CONTENDERS; i++) {
		snprintf(what, sizeof(what), "%u in a thread, total", n);
		row(what, i, "ns/packet", PACKETS / n, total[XDP], total[i]);
		snprintf(what, sizeof(what), "%u in a thread, user", n);
		row(what, i, "ns/packet", PACKETS / n, user[XDP], user[i]);
	}
	for (unsigned int i = 0; i < CONTENDERS; i++) {
		free(total[i]);
		free(user[i]);
	}
}

int main(void)
{
	net_enter();
	make_pairs(CORES);
	make_pairs(SOCKETS);
	if (sysconf(_SC_NPROCESSORS_ONLN) >= CORES)
		measure_cores();
	else
		printf("scale: one CPU only, hence nothing of %u queues\n", CORES);
	bench_pin(0);
	open_lanes(SOCKETS, SOCKETS);
	for (unsigned int n = 1; n <= SOCKETS; n *= 2)
		measure_sockets(n);
	close_lanes(SOCKETS);
	return 0;
}
