/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include <xdp/xsk.h>

#include "bench.h"
#include "end.h"
#include "net.h"

struct end {
	struct xsk_ring_prod tx, fill;
	struct xsk_ring_cons rx, comp;
	uint64_t free[END_FRAMES];	/* a stack of frames to send */
	uint32_t nfree;
	uint8_t *memory;
	struct xsk_socket *socket;
	struct xsk_umem *umem;
};

static void fill_ring(struct end *end)
{
	uint32_t idx;

	if (xsk_ring_prod__reserve(&end->fill, END_RING, &idx) != END_RING)
		bench_die("libxdp: the fill ring is not empty");
	for (uint32_t i = 0; i < END_RING; i++) {
		*xsk_ring_prod__fill_addr(&end->fill, idx + i) = (uint64_t)i * END_FRAME_SIZE;
		end->free[end->nfree++] = (uint64_t)(END_RING + i) * END_FRAME_SIZE;
	}
	xsk_ring_prod__submit(&end->fill, END_RING);
}

static struct end *end_open(const struct end_params *params)
{
	const struct xsk_umem_config umem = {
		.fill_size = END_RING, .comp_size = END_RING, .frame_size = END_FRAME_SIZE,
	};
	const struct xsk_socket_config config = {
		.rx_size = END_RING, .tx_size = END_RING,
		.libxdp_flags = params->tx_only ? XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD : 0,
		.xdp_flags = params->drv ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE,
		.bind_flags = XDP_USE_NEED_WAKEUP | XDP_COPY,
	};
	struct end *end = calloc(1, sizeof(*end));
	int err, tries = 1000;

	if (!end)
		bench_die("no memory");
	/* It tells each time which of its ways it goes. */
	libxdp_set_print(NULL);
	libbpf_set_print(NULL);
	end->memory = end_memory();
	err = xsk_umem__create(&end->umem, end->memory, (uint64_t)END_FRAMES * END_FRAME_SIZE,
			       &end->fill, &end->comp, &umem);
	if (err)
		bench_die("libxdp: umem: %s", strerror(-err));
	/* The queue is busy for some tens of milliseconds after its last socket. */
	while ((err = xsk_socket__create(&end->socket, params->ifname, params->queue, end->umem,
					 params->tx_only ? NULL : &end->rx, &end->tx,
					 &config)) == -EBUSY && tries-- > 0)
		usleep(1000);
	if (err)
		bench_die("libxdp: socket on %s: %s", params->ifname, strerror(-err));
	if (params->tx_budget)
		end_set_budget(xsk_socket__fd(end->socket), params->tx_budget);
	fill_ring(end);
	return end;
}

static void end_close(struct end *end)
{
	xsk_socket__delete(end->socket);
	if (xsk_umem__delete(end->umem) < 0)
		bench_die("libxdp: the UMEM is still used");
	munmap(end->memory, (size_t)END_FRAMES * END_FRAME_SIZE);
	free(end);
}

static void kick(struct end *end)
{
	if (xsk_ring_prod__needs_wakeup(&end->tx) &&
	    sendto(xsk_socket__fd(end->socket), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
	    errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
		bench_die("libxdp: kick: %s", strerror(errno));
}

static void end_send(struct end *end, uint32_t n)
{
	uint32_t idx, left = n;

	if (xsk_ring_prod__reserve(&end->tx, n, &idx) != n)
		bench_die("libxdp: the TX ring is full");
	for (uint32_t i = 0; i < n; i++) {
		struct xdp_desc *desc = xsk_ring_prod__tx_desc(&end->tx, idx + i);

		desc->addr = end->free[--end->nfree];
		desc->len = FRAME_LEN;
		desc->options = 0;
	}
	xsk_ring_prod__submit(&end->tx, n);
	while (left > 0) {
		uint32_t done;

		kick(end);
		done = xsk_ring_cons__peek(&end->comp, left, &idx);
		for (uint32_t i = 0; i < done; i++)
			end->free[end->nfree++] = *xsk_ring_cons__comp_addr(&end->comp, idx + i);
		xsk_ring_cons__release(&end->comp, done);
		left -= done;
	}
}

static void wake_fill(struct end *end)
{
	if (xsk_ring_prod__needs_wakeup(&end->fill))
		recvfrom(xsk_socket__fd(end->socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static uint32_t end_receive(struct end *end, uint32_t n)
{
	uint32_t idx, to;

	n = xsk_ring_cons__peek(&end->rx, n, &idx);
	if (n == 0)
		return 0;
	if (xsk_ring_prod__reserve(&end->fill, n, &to) != n)
		bench_die("libxdp: the fill ring is full");
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&end->fill, to + i) =
			xsk_ring_cons__rx_desc(&end->rx, idx + i)->addr;
	xsk_ring_prod__submit(&end->fill, n);
	xsk_ring_cons__release(&end->rx, n);
	wake_fill(end);
	return n;
}

static uint32_t end_forward(struct end *end, uint32_t n)
{
	uint32_t idx, to, left;

	n = xsk_ring_cons__peek(&end->rx, n, &idx);
	if (n == 0)
		return 0;
	if (xsk_ring_prod__reserve(&end->tx, n, &to) != n)
		bench_die("libxdp: the TX ring is full");
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&end->rx, idx + i);

		end_swap(xsk_umem__get_data(end->memory, desc->addr));
		*xsk_ring_prod__tx_desc(&end->tx, to + i) = *desc;
	}
	xsk_ring_prod__submit(&end->tx, n);
	xsk_ring_cons__release(&end->rx, n);
	for (left = n; left > 0;) {
		uint32_t done;

		kick(end);
		done = xsk_ring_cons__peek(&end->comp, left, &idx);
		if (xsk_ring_prod__reserve(&end->fill, done, &to) != done)
			bench_die("libxdp: the fill ring is full");
		for (uint32_t i = 0; i < done; i++)
			*xsk_ring_prod__fill_addr(&end->fill, to + i) =
				*xsk_ring_cons__comp_addr(&end->comp, idx + i);
		xsk_ring_prod__submit(&end->fill, done);
		xsk_ring_cons__release(&end->comp, done);
		left -= done;
	}
	wake_fill(end);
	return n;
}

const struct library libxdp = {
	.name = "libxdp",
	.open = end_open,
	.close = end_close,
	.send = end_send,
	.receive = end_receive,
	.forward = end_forward,
};
