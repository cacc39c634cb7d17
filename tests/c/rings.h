/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the tests of ring calls share: a socket on XA with small rings, whose frames they
 * share out themselves, and the network stack on XB. */

#ifndef RINGS_H
#define RINGS_H

#include "net.h"

#define FRAME 2048
#define RING_MAX 64

static uint32_t ring;		/* entries of each of the four rings */
static struct xsk_umem *umem;
static struct xsk_socket *sock;	/* on XA */
static int stack;		/* on XB */

static UNUSED void open_socket(uint32_t size, uint32_t flags)
{
	uint32_t rx = flags & XSK_SOCKET_TX_ONLY ? 0 : size;
	uint32_t tx = flags & XSK_SOCKET_RX_ONLY ? 0 : size;

	ring = size;
	CHECK_OK(xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = 256, .frame_size = FRAME)));
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, &XSK_SOCKET_PARAMS(
			.flags = flags, .rx_size = rx, .tx_size = tx, .fill_size = rx,
			.comp_size = tx), NULL));
}

static UNUSED void set_up(uint32_t size)
{
	make_pair(1);
	stack = stack_open(XB);
	open_socket(size, 0);
}

static UNUSED void tear_down(void)
{
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

static UNUSED struct xdp_desc packet(uint32_t frame, uint32_t number, uint32_t len)
{
	struct xdp_desc desc = { .addr = (uint64_t)frame * FRAME, .len = len };

	write_frame(xsk_umem_data(umem, desc.addr), number, len);
	return desc;
}

static UNUSED long number_of(const struct xdp_desc *desc)
{
	return read_frame(xsk_umem_data(umem, desc->addr), desc->len);
}

static UNUSED void fill(uint32_t first_frame, uint32_t n)
{
	uint64_t addrs[RING_MAX];

	for (uint32_t i = 0; i < n; i++)
		addrs[i] = (uint64_t)(first_frame + i) * FRAME;
	CHECK_EQ(xsk_fill_put(sock, addrs, n), n);
	CHECK(xsk_rx_kick(sock, 0) >= 0);
}

/* Waits until so many packets are there to be peeked; leaves none peeked. */
static UNUSED void await_rx(uint32_t n)
{
	uint32_t idx;

	WAIT_FOR(xsk_rx_cancel(sock, xsk_rx_peek(sock, n, &idx)) == n, 2000);
}

/* Sends numbers first to first + n - 1 from the stack and waits until all are there. */
static UNUSED void receive(uint32_t first, uint32_t n, uint32_t len)
{
	for (uint32_t i = 0; i < n; i++)
		stack_send_len(stack, first + i, len);
	await_rx(n);
}

/* Has the kernel send all that is in the TX ring: these, and no more, reach the stack. */
static UNUSED void send_out(uint32_t first, uint32_t n)
{
	for (int kicks = 0; xsk_tx_kick(sock, 0) != XSK_KICK_DONE; kicks++)
		CHECK(kicks < 10);
	for (uint32_t i = 0; i < n; i++)
		CHECK_EQ(stack_receive(stack, 1000), first + i);
	CHECK_EQ(stack_receive(stack, 0), -1);
}

#endif
