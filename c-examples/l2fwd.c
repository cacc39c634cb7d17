/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Forwards between two interfaces, both ways, by the packet calls. Both sockets use
 * one UMEM, so a packet goes from one to the other without being copied here:
 *
 *	sudo build/examples/l2fwd -i eth0 -o eth1
 *
 * As it is called here it is a wire between the two. With -d or -D, frames get that
 * destination and the address of the interface they leave by as their source.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

#define BATCH 64

/* Two fill rings and two TX rings of 2048 may be full at the same time. */
#define FRAMES (4 * 2048 + 2 * BATCH)

static const char usage[] =
	"usage: l2fwd -i IF -o IF [options]\n"
	"Forwards frames between two interfaces, both ways.\n"
	"  -i IF -o IF  the interfaces\n"
	"  -q QUEUE     the queue, of both (0)\n"
	"  -d MAC       new destination of what leaves by -o\n"
	"  -D MAC       new destination of what leaves by -i\n"
	"  -x           swap source and destination\n"
	"  -t SECONDS   stop after so long\n"
	"  -S | -N      XDP in the network stack (skb mode) | in the driver (native)\n"
	"  -C | -Z      the kernel copies packets | the device moves them (zero-copy)\n";

struct port {
	struct xsk_socket *socket;
	const char *ifname;
	int sets_macs;			/* on what leaves by it */
	uint8_t dst[MAC_LEN], src[MAC_LEN];
};

static struct port ports[2];
static int swaps_macs;
static uint64_t unsent;

static void own_option(int letter, const char *value)
{
	if (letter == 'x') {
		swaps_macs = 1;
	} else if (letter == 'o') {
		ports[1].ifname = value;
	} else {
		struct port *port = &ports[letter == 'd'];

		port->sets_macs = 1;
		read_mac(value, port->dst);
	}
}

static void readdress(uint8_t *frame, const struct port *to)
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

/* Forwards one burst; gives how many packets there were, or a negative errno. */
static int forward(const struct port *from, const struct port *to)
{
	struct xsk_buf bufs[BATCH];
	int i, sent, n = xsk_rx_burst(from->socket, bufs, BATCH);

	if (n <= 0)
		return n == -ENETDOWN ? 0 : n;
	for (i = 0; i < n; i++)
		if (bufs[i].len >= ETH_HEADER)
			readdress(bufs[i].data, to);

	/* What the other side does not take is ours still: it is lost. */
	sent = xsk_tx_burst(to->socket, bufs, (uint32_t)n);
	i = sent < 0 ? 0 : sent;
	unsent += xsk_buf_free(from->socket, bufs + i, (uint32_t)(n - i));
	return sent < 0 && sent != -ENETDOWN ? sent : n;
}

static int forward_all(struct meter *meter)
{
	struct pollfd fds[2] = {
		{ .fd = xsk_socket_fd(ports[0].socket), .events = POLLIN },
		{ .fd = xsk_socket_fd(ports[1].socket), .events = POLLIN },
	};
	char words[64];

	while (meter_running(meter)) {
		int there = forward(&ports[0], &ports[1]);
		int back = there < 0 ? 0 : forward(&ports[1], &ports[0]);

		if (there < 0 || back < 0)
			return there < 0 ? there : back;

		/* Nothing came: wait. In copy mode poll() also sends what is left. */
		if (there == 0 && back == 0)
			poll(fds, 2, meter_wait_ms(meter));

		if (meter_due(meter)) {
			int i;

			/* poll() does not tell of an interface that goes away. */
			for (i = 0; i < 2; i++)
				if (xsk_socket_check(ports[i].socket) == -ENXIO)
					return -ENXIO;
			snprintf(words, sizeof(words), "%llu unsent", (unsigned long long)unsent);
			meter_line(meter, words);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct xsk_umem *umem = NULL;
	struct options options;
	struct meter meter;
	char words[64];
	int i, err;

	begin(&options, argc, argv, usage, "i:o:q:t:SNCZhd:D:x", own_option);
	if (!ports[1].ifname)
		bad_usage("and the other interface? ", "-o IF");
	ports[0].ifname = options.ifname;

	err = xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = FRAMES));
	for (i = 0; i < 2 && err == 0; i++) {
		mac_of(ports[i].ifname, ports[i].src);
		err = xsk_socket_create(&ports[i].socket, umem, NULL);
		if (err == 0)	/* frames for the first packets */
			err = xsk_rx_burst(ports[i].socket, NULL, 0);
		if (err == 0)
			err = xsk_socket_bind(ports[i].socket, ports[i].ifname, options.queue,
					      &XSK_BIND_PARAMS(.flags = options.bind_flags));
	}
	if (err == 0) {
		meter_start(&meter, stdout, &options, ports[0].socket, ports[1].socket);
		err = forward_all(&meter);
		snprintf(words, sizeof(words), "unsent: %llu", (unsigned long long)unsent);
		meter_totals(&meter, words);
	}
	if (err < 0)
		failed();

	for (i = 0; i < 2; i++)
		xsk_socket_destroy(ports[i].socket);
	xsk_umem_destroy(umem);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
