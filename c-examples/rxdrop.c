/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Counts the packets that arrive on a queue and drops them, by the ring calls:
 *
 *	sudo build/examples/rxdrop -i eth0
 *
 * Mind that the network stack sees none of them while it runs.
 */
#include <errno.h>
#include <stdlib.h>

#include "common.h"

#define BATCH 64

/* As many as the fill ring has entries, so that all of them fit in it. */
#define FRAMES 2048

static const char usage[] =
	"usage: rxdrop -i IF [options]\n"
	"       rxdrop --broker PATH [-i IF] [options]\n"
	"Counts the packets that arrive on a queue of an interface and drops them.\n"
	"  -i IF       the interface\n"
	"  -q QUEUE    the queue (0)\n"
	"  -b PATH     --broker: without privileges, with a socket of xskbroker's\n"
	"  -c COUNT    stop after so many packets\n"
	"  -t SECONDS  stop after so long\n"
	"  -S | -N     XDP in the network stack (skb mode) | in the driver (native)\n"
	"  -C | -Z     the kernel copies packets | the device writes them (zero-copy)\n";

/* Hands every frame straight back to the kernel. */
static int drop(struct xsk_socket *socket, uint64_t count, struct meter *meter)
{
	struct xdp_desc descs[BATCH];
	uint64_t addrs[BATCH], packets = 0;

	while (packets < count && meter_running(meter)) {
		uint64_t left = count - packets;
		uint32_t i, n = xsk_rx_get(socket, descs, left < BATCH ? (uint32_t)left : BATCH);

		if (meter_due(meter))
			meter_line(meter, NULL);
		if (n == 0) {
			int err = xsk_socket_wait(socket, XSK_WAIT_RX, meter_wait_ms(meter));

			/* A link that is down may come up again; the log has said it. */
			if (err < 0 && err != -EINTR && err != -ENETDOWN)
				return err;
			continue;
		}
		for (i = 0; i < n; i++)
			addrs[i] = descs[i].addr;
		xsk_fill_put(socket, addrs, n);
		if (xsk_rx_kick(socket, 0) == -ENXIO)
			return -ENXIO;
		packets += n;
	}
	return 0;
}

/* Makes a socket, which takes the privilege to do so. */
static int open_own(struct xsk_umem **umem, struct xsk_socket **socket,
		    const struct options *options)
{
	static uint64_t frames[FRAMES];
	int err;

	err = xsk_umem_create(umem, &XSK_UMEM_PARAMS(.frame_count = FRAMES, .fill_size = FRAMES));
	if (err == 0)
		err = xsk_socket_create(socket, *umem,
					&XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_RX_ONLY));
	if (err < 0)
		return err;
	/* Before the bind, so that the first packet finds a frame. */
	xsk_fill_put(*socket, frames, xsk_umem_alloc(*umem, frames, FRAMES));
	return xsk_socket_bind(*socket, options->ifname, options->queue,
			       &XSK_BIND_PARAMS(.flags = options->bind_flags));
}

/* Takes one of a broker's, which is fed already. */
static int open_granted(struct xsk_port **port, struct xsk_socket **socket,
			const struct options *options)
{
	const struct xsk_umem_params umem = { .size = sizeof(umem), .frame_count = FRAMES,
					      .frame_size = 2048, .fill_size = FRAMES };
	const struct xsk_socket_params rx_only = { .size = sizeof(rx_only),
						   .flags = XSK_SOCKET_RX_ONLY };
	const struct xsk_bind_params bind = { .size = sizeof(bind), .flags = options->bind_flags };
	int err;

	err = xsk_from_grant(port, options->broker, options->ifname,
			     &XSK_PORT_PARAMS(.first_queue = options->queue, .queue_count = 1,
					      .umem_params = &umem, .socket_params = &rx_only,
					      .bind_params = &bind));
	if (err == 0)
		*socket = xsk_port_socket(*port, 0);
	return err;
}

int main(int argc, char **argv)
{
	struct xsk_umem *umem = NULL;
	struct xsk_socket *socket = NULL;
	struct xsk_port *port = NULL;
	struct options options;
	struct meter meter;
	int err;

	begin(&options, argc, argv, usage, "i:q:b:c:t:SNCZh", NULL);

	err = options.broker ? open_granted(&port, &socket, &options) :
			       open_own(&umem, &socket, &options);
	if (err == 0) {
		meter_start(&meter, stdout, &options, socket, NULL);
		err = drop(socket, options.count, &meter);
		meter_totals(&meter, NULL);
	}
	if (err < 0)
		failed();

	xsk_port_destroy(port);
	if (!port)
		xsk_socket_destroy(socket);
	xsk_umem_destroy(umem);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
