/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ring loops, timed or counted:
 *
 *	rings time                      ns per descriptor, all variants in turns
 *	valgrind --tool=callgrind --collect-atstart=no rings count
 *	                                dumps instructions, a file for each variant
 *	rings insns FILE                rows from "VARIANT WORK BATCH INSTRUCTIONS" lines
 *
 * Needs root: the rings are those of a socket, bound in a network namespace that goes
 * with this program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>
#include <xdp/xsk.h>
#include <xsk.h>

#include "bench.h"
#include "kernel.h"

/* Descriptors in a slice, and in a count. */
#define SLICE (1u << 16)
#define COUNTED (1u << 13)

static const uint32_t batches[] = { 1, 4, 16, 64, 256 };
#define BATCHES (sizeof(batches) / sizeof(batches[0]))

static const char *const work_names[WORKS] = {
	"tx", "rx", "fill", "comp", "rx+fill", "tx+comp", "rx->tx forward",
};
static const char *const moved_names[MOVEDS] = {
	"receive packets", "send packets", "forward packets",
};

enum variant { LIBXDP, INLINE, FFI, ARRAYS, RUNS, PACKETS, VARIANTS };

static const struct {
	const char *name;
	const struct loops *loops;
} variants[VARIANTS] = {
	{ "libxdp", &loops_libxdp }, { "inline", &loops_inline }, { "ffi", &loops_ffi },
	{ "arrays", &loops_arrays }, { "runs", &loops_runs },	  { "packets", &loops_packets },
};

/* Works and those with moved entries under one number. */
#define ALL (WORKS + MOVEDS)

static loop loop_of(enum variant variant, uint32_t work)
{
	const struct loops *loops = variants[variant].loops;

	return work < WORKS ? loops->works[work] : loops->moved[work - WORKS];
}

static const char *name_of(uint32_t work)
{
	return work < WORKS ? work_names[work] : moved_names[work - WORKS];
}

/* What the goals are, against libxdp's inline helpers or, for FFI, its calls. */
struct goal {
	uint32_t work, batch;
	const char *variant;
	double min_ratio, max_insns;
};

static const struct goal goals[] = {
	{ FILL, 64, "arrays", 3, 3 },
	{ COMP, 64, "arrays", 3, 3 },
	{ TX_COMP, 1, "runs", 0.45, 0 },
	{ TX_COMP, 4, "runs", 0.65, 0 },
	{ TX_COMP, 16, "runs", 1.15, 0 },
	{ TX_COMP, 64, "runs", 1.5, 0 },
	{ TX_COMP, 256, "runs", 1.7, 0 },
	{ RX_FILL, 1, "runs", 0.45, 0 },
	{ RX_FILL, 4, "runs", 0.65, 0 },
	{ RX_FILL, 16, "runs", 0.95, 0 },
	{ RX_FILL, 64, "runs", 1.15, 12 },
};

static const struct goal *goal_of(uint32_t work, uint32_t batch, const char *variant)
{
	size_t i;

	for (i = 0; i < sizeof(goals) / sizeof(goals[0]); i++)
		if (goals[i].work == work && goals[i].batch == batch &&
		    strcmp(goals[i].variant, variant) == 0)
			return &goals[i];
	return NULL;
}

/* A socket each: for works, for moved entries, and for the packet calls. */
static struct rings plain, moving, packets;

static void open_rings(struct rings *r)
{
	struct xsk_umem *umem;
	int err = xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = 4 * RING_SIZE,
							  .fill_size = RING_SIZE,
							  .comp_size = RING_SIZE));

	if (err == 0)
		err = xsk_socket_create(&r->socket, umem,
					&XSK_SOCKET_PARAMS(.rx_size = RING_SIZE,
							   .tx_size = RING_SIZE));
	if (err < 0)
		bench_die("%s", xsk_errmsg());
	r->rx = xsk_socket_rx_ring(r->socket);
	r->tx = xsk_socket_tx_ring(r->socket);
	r->fill = xsk_socket_fill_ring(r->socket);
	r->comp = xsk_socket_comp_ring(r->socket);
	xsk_umem_alloc(umem, r->addrs, MAX_BATCH);
}

/* All sockets go with the process. */
static void open_all(void)
{
	uint32_t i;

	if (unshare(CLONE_NEWNET) < 0 ||
	    system("ip link add xbench type veth peer name xother && ip link set xbench up") != 0)
		bench_die("no network namespace with a veth pair: %s", strerror(errno));
	open_rings(&plain);
	for (i = 0; i < RING_SIZE; i++) {
		struct xdp_desc *desc = (struct xdp_desc *)plain.rx->ring + i;

		desc->addr = (uint64_t)i * 4096;
		desc->len = PACKET_LEN;
		((uint64_t *)plain.comp->ring)[i] = (uint64_t)i * 4096;
	}

	open_rings(&moving);
	if (xsk_fill_put(moving.socket, moving.addrs, MAX_BATCH) != MAX_BATCH)
		bench_die("no room in an empty ring");

	open_rings(&packets);
	if (xsk_rx_burst(packets.socket, NULL, 0) < 0 ||
	    xsk_socket_bind(packets.socket, "xbench", 0,
			    &XSK_BIND_PARAMS(.flags = XSK_BIND_NO_PROGRAM)) < 0)
		bench_die("%s", xsk_errmsg());
	/* Where the flag asks for it, sends would go to the kernel. */
	*packets.tx->flags = 0;
}

/*
 * Has a batch in the TX ring where that is where frames come from, and none otherwise:
 * libxdp's peek gives what it knows of, so rounds must come out even.
 */
static void settle(uint32_t work, uint32_t batch)
{
	uint64_t addrs[MAX_BATCH];
	uint32_t wanted = work == WORKS + MOVED_TX ? batch : 0;

	moves_tx_to_comp(&moving);
	xsk_comp_get(moving.socket, addrs, MAX_BATCH);
	if (xsk_tx_put_addrs(moving.socket, moving.addrs, wanted, PACKET_LEN) != wanted)
		bench_die("no room in an empty ring");
}

static struct rings *rings_of(enum variant variant, uint32_t work)
{
	if (variant == PACKETS)
		return &packets;
	return work < WORKS ? &plain : &moving;
}

static void run(enum variant variant, uint32_t work, uint32_t batch, uint32_t descs)
{
	if (loop_of(variant, work)(rings_of(variant, work), batch, descs / batch) < 0)
		bench_die("%s, %s, batch %u: a ring did not give what it has",
			  variants[variant].name, name_of(work), batch);
}

/* --- time */

static void time_one(uint32_t work, uint32_t batch)
{
	uint32_t slices = bench_slices(), slice, v;
	double *ns[VARIANTS], median[VARIANTS];

	settle(work, batch);
	for (v = 0; v < VARIANTS; v++) {
		ns[v] = calloc(slices, sizeof(*ns[v]));
		if (!ns[v])
			bench_die("out of memory");
		if (loop_of(v, work))
			run(v, work, batch, SLICE);
	}
	for (slice = 0; slice < slices; slice++)
		for (v = 0; v < VARIANTS; v++) {
			uint64_t from;

			if (!loop_of(v, work))
				continue;
			from = bench_wall_ns();
			run(v, work, batch, SLICE);
			ns[v][slice] = (double)(bench_wall_ns() - from) / SLICE;
		}
	for (v = 0; v < VARIANTS; v++) {
		median[v] = bench_median(ns[v], slices);
		free(ns[v]);
	}
	for (v = INLINE; v < VARIANTS; v++) {
		const struct goal *goal = goal_of(work, batch, variants[v].name);
		struct bench_row row = {
			.part = "rings", .what = name_of(work), .variant = variants[v].name,
			.unit = "ns/desc", .batch = batch, .libxdp = median[LIBXDP],
			.libxsk = median[v],
		};

		if (!loop_of(v, work) || v == FFI)
			continue;
		if (v == INLINE)
			row.min_ratio = 0.97;
		else if (v == PACKETS)
			/* A forwarded packet goes both ways. */
			row.max_libxsk = batch != 64 ? 0 : median[LIBXDP] +
					 (work == WORKS + MOVED_FORWARD ? 6 : 3);
		else if (goal)
			row.min_ratio = goal->min_ratio;
		bench_row(&row);
		/* Calls against calls: what a language that cannot inline C would choose. */
		if (v == (loop_of(RUNS, work) ? RUNS : ARRAYS) && loop_of(FFI, work)) {
			row.variant = "calls";
			row.libxdp = median[FFI];
			row.min_ratio = batch >= 64 ? 5 : 0;
			bench_row(&row);
		}
	}
}

/* --- instructions, by callgrind */

static void count_all(void)
{
	uint32_t work, v;
	size_t b;

	for (v = 0; v < VARIANTS; v++)
		for (work = 0; work < ALL; work++)
			for (b = 0; b < BATCHES && loop_of(v, work); b++) {
				char name[64];

				settle(work, batches[b]);
				run(v, work, batches[b], COUNTED);
				CALLGRIND_ZERO_STATS;
				CALLGRIND_TOGGLE_COLLECT;
				run(v, work, batches[b], COUNTED);
				CALLGRIND_TOGGLE_COLLECT;
				snprintf(name, sizeof(name), "%s %u %u", variants[v].name, work,
					 batches[b]);
				CALLGRIND_DUMP_STATS_AT(name);
			}
}

static double insns[VARIANTS][ALL][BATCHES];

static void read_counts(const char *path)
{
	FILE *file = fopen(path, "r");
	char name[16];
	unsigned int work, batch;
	double count;

	if (!file)
		bench_die("%s: %s", path, strerror(errno));
	while (fscanf(file, "%15s %u %u %lf", name, &work, &batch, &count) == 4) {
		size_t v, b;

		for (v = 0; v < VARIANTS; v++)
			for (b = 0; b < BATCHES && work < ALL; b++)
				if (strcmp(name, variants[v].name) == 0 && batch == batches[b])
					insns[v][work][b] = count / COUNTED;
	}
	fclose(file);
}

static void count_rows(const char *path)
{
	uint32_t work, v;
	size_t b;

	read_counts(path);
	for (work = 0; work < ALL; work++)
		for (b = 0; b < BATCHES; b++)
			for (v = INLINE; v < VARIANTS; v++) {
				const struct goal *goal = goal_of(work, batches[b],
								  variants[v].name);
				struct bench_row row = {
					.part = "insns", .what = name_of(work),
					.variant = variants[v].name, .unit = "insn/desc",
					.batch = batches[b], .libxdp = insns[LIBXDP][work][b],
					.libxsk = insns[v][work][b],
					.min_ratio = v == INLINE ? 1 : 0,
					.max_libxsk = goal ? goal->max_insns : 0,
				};

				if (loop_of(v, work) && v != FFI)
					bench_row(&row);
			}
}

int main(int argc, char **argv)
{
	uint32_t work;
	size_t b;

	if (argc == 3 && strcmp(argv[1], "insns") == 0) {
		count_rows(argv[2]);
		return 0;
	}
	if (argc != 2 || (strcmp(argv[1], "time") != 0 && strcmp(argv[1], "count") != 0)) {
		fputs("usage: rings time | count | insns FILE\n", stderr);
		return 2;
	}
	open_all();
	bench_pin(0);
	if (strcmp(argv[1], "count") == 0) {
		count_all();
		return 0;
	}
	for (work = 0; work < ALL; work++)
		for (b = 0; b < BATCHES; b++)
			time_one(work, batches[b]);
	return 0;
}
