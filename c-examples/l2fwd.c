/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Forwards between two interfaces, both ways, by the packet calls. Both ports use one
 * UMEM, so a packet goes from one to the other without being copied here:
 *
 *	sudo build/examples/l2fwd -i eth0 -o eth1 -q all
 *
 * As it is called here it is a wire between the two. With -d or -D, frames get that
 * destination and the address of the interface they leave by as their source.
 *
 * Each queue has a thread and a CPU of its own: what comes on a queue of one interface
 * leaves by the queue of that number of the other, so no thread waits for another.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common.h"

#define BATCH 64

/* Of a queue, two fill rings and two TX rings of 2048 may be full at the same time. */
#define FRAMES (4 * 2048 + 2 * BATCH)

static const char usage[] =
	"usage: l2fwd -i IF -o IF [options]\n"
	"Forwards frames between two interfaces, both ways, with a thread for each queue.\n"
	"  -i IF -o IF  the interfaces\n"
	"  -q QUEUES    of both: one, FIRST-LAST, or all (0)\n"
	"  -d MAC       new destination of what leaves by -o\n"
	"  -D MAC       new destination of what leaves by -i\n"
	"  -x           swap source and destination\n"
	"  -t SECONDS   stop after so long\n"
	"  -S | -N      XDP in the network stack (skb mode) | in the driver (native)\n"
	"  -C | -Z      the kernel copies packets | the device moves them (zero-copy)\n";

struct side {
	const char *ifname;
	struct xsk_port *port;
	int sets_macs;			/* on what leaves by it */
	uint8_t dst[MAC_LEN], src[MAC_LEN];
};

/* What one thread has: a socket of each side, on the same queue. */
struct lane {
	pthread_t thread;
	struct xsk_socket *sockets[2];
	int err;
};

static struct side sides[2];
static int swaps_macs;
static uint64_t unsent;

/* Readable when all is to end; it wakes whoever waits. */
static struct pollfd quit = { .events = POLLIN };

static void own_option(int letter, const char *value)
{
	if (letter == 'x') {
		swaps_macs = 1;
	} else if (letter == 'o') {
		sides[1].ifname = value;
	} else {
		struct side *side = &sides[letter == 'd'];

		side->sets_macs = 1;
		read_mac(value, side->dst);
	}
}

static void readdress(uint8_t *frame, const struct side *to)
{
	uint8_t old_dst[MAC_LEN];

	if (swaps_macs) {
		memcpy(old_dst, frame, MAC_LEN);
		memcpy(frame, frame + MAC_LEN, MAC_LEN);
		memcpy(frame + MAC_LEN, old_dst, MAC_LEN);
	}
	if (to->sets_macs) {
		memcpy(frame, to->dst, MAC_LEN);
		memcpy(frame + MAC_LEN, to->src, MAC_LEN);
	}
}

/* Forwards one burst from a side; gives how many packets there were, or a negative errno. */
static int forward(const struct lane *lane, int from)
{
	struct xsk_buf bufs[BATCH];
	int i, sent, n = xsk_rx_burst(lane->sockets[from], bufs, BATCH);

	if (n <= 0)
		return n == -ENETDOWN ? 0 : n;
	for (i = 0; i < n; i++)
		if (bufs[i].len >= ETH_HEADER)
			readdress(bufs[i].data, &sides[!from]);

	/* What the other side does not take is ours still: it is lost. */
	sent = xsk_tx_burst(lane->sockets[!from], bufs, (uint32_t)n);
	i = sent < 0 ? 0 : sent;
	if (i < n) {
		xsk_buf_free(lane->sockets[from], bufs + i, (uint32_t)(n - i));
		__atomic_fetch_add(&unsent, (uint64_t)(n - i), __ATOMIC_RELAXED);
	}
	return sent < 0 && sent != -ENETDOWN ? sent : n;
}

static void end_all(void)
{
	stopped = 1;
	eventfd_write(quit.fd, 1);
}

/* A thread. Whichever ends, ends all. */
static void *run_lane(void *arg)
{
	struct lane *lane = arg;
	struct pollfd fds[3] = {
		{ .fd = xsk_socket_fd(lane->sockets[0]), .events = POLLIN },
		{ .fd = xsk_socket_fd(lane->sockets[1]), .events = POLLIN },
		quit,
	};

	while (!stopped) {
		int there = forward(lane, 0);
		int back = there < 0 ? 0 : forward(lane, 1);

		if (there < 0 || back < 0) {
			lane->err = there < 0 ? there : back;
			failed();	/* the sentence is this thread's */
			break;
		}
		/* Nothing came: wait. In copy mode poll() also sends what is left. */
		if (there == 0 && back == 0)
			poll(fds, 3, 1000);
	}
	end_all();
	return NULL;
}

/* Puts a thread on one of the CPUs that we may use, counted round. */
static void pin(pthread_t thread, uint32_t number)
{
	cpu_set_t ours, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(ours), &ours) < 0)
		return;
	number %= (uint32_t)CPU_COUNT(&ours);
	for (cpu = 0; !CPU_ISSET(cpu, &ours) || number-- > 0; cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(thread, sizeof(one), &one);
}

/* Both ports, over one UMEM: the first one's. */
static int open_ports(const struct options *options)
{
	struct xsk_bind_params bind = { .size = sizeof(bind), .flags = options->bind_flags };
	struct xsk_umem_params umem = { .size = sizeof(umem), .frame_count = FRAMES };
	struct xsk_port_params params = {
		.size = sizeof(params), .first_queue = options->queue,
		.queue_count = options->queue_count, .umem_params = &umem, .bind_params = &bind,
	};
	uint32_t queues[2];
	int i;

	for (i = 0; i < 2; i++) {
		mac_of(sides[i].ifname, sides[i].src);
		if (xsk_port_open(&sides[i].port, sides[i].ifname, &params) < 0)
			return failed();
		params.umem = xsk_port_umem(sides[0].port, 0);
		params.umem_params = NULL;
		queues[i] = xsk_port_queue_count(sides[i].port);
	}
	if (queues[0] == queues[1])
		return EXIT_SUCCESS;
	fprintf(stderr, "l2fwd: %s has %u queues and %s %u: choose by -q FIRST-LAST\n",
		sides[0].ifname, queues[0], sides[1].ifname, queues[1]);
	return EXIT_FAILURE;
}

/* Prints statistics until all is to end. */
static int watch(const struct options *options)
{
	struct meter meter;
	char words[64];
	int i, code = EXIT_SUCCESS;

	meter_start_ports(&meter, stdout, options, sides[0].port, sides[1].port);
	while (code == EXIT_SUCCESS && meter_running(&meter)) {
		poll(&quit, 1, meter_wait_ms(&meter));
		if (!meter_due(&meter))
			continue;
		/* poll() does not tell of an interface that goes away. */
		for (i = 0; i < 2 && code == EXIT_SUCCESS; i++)
			if (xsk_socket_check(meter.sockets[i]) == -ENXIO)
				code = failed();
		snprintf(words, sizeof(words), "%llu unsent",
			 (unsigned long long)__atomic_load_n(&unsent, __ATOMIC_RELAXED));
		meter_line(&meter, words);
	}
	snprintf(words, sizeof(words), "unsent: %llu",
		 (unsigned long long)__atomic_load_n(&unsent, __ATOMIC_RELAXED));
	meter_totals(&meter, words);
	return code;
}

/* A lane for each queue. */
static int run(const struct options *options)
{
	uint32_t i, started, count = xsk_port_queue_count(sides[0].port);
	struct lane *lanes = calloc(count, sizeof(*lanes));
	int err = lanes ? 0 : ENOMEM, code = EXIT_FAILURE;

	for (started = 0; started < count && err == 0; started += err == 0) {
		struct lane *lane = &lanes[started];

		for (i = 0; i < 2; i++)
			lane->sockets[i] = xsk_port_socket(sides[i].port, started);
		err = pthread_create(&lane->thread, NULL, run_lane, lane);
		if (err == 0 && count > 1)
			pin(lane->thread, started);
	}
	if (err == 0)
		code = watch(options);
	else
		fprintf(stderr, "l2fwd: a thread: %s\n", strerror(err));
	end_all();
	for (i = 0; i < started; i++) {
		pthread_join(lanes[i].thread, NULL);
		if (lanes[i].err < 0)
			code = EXIT_FAILURE;
	}
	free(lanes);
	return code;
}

int main(int argc, char **argv)
{
	struct options options;
	int code;

	begin_queues(&options, argc, argv, usage, "i:o:q:t:SNCZhd:D:x", own_option);
	if (!sides[1].ifname)
		bad_usage("and the other interface? ", "-o IF");
	sides[0].ifname = options.ifname;
	quit.fd = eventfd(0, EFD_CLOEXEC);

	code = open_ports(&options);
	if (code == EXIT_SUCCESS)
		code = run(&options);
	/* The second one first: the UMEM is the other's. */
	xsk_port_destroy(sides[1].port);
	xsk_port_destroy(sides[0].port);
	return code;
}
