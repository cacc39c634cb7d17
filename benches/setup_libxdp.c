/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stddef.h>
#include <xdp/xsk.h>

#include "setup_side.h"

static struct xsk_umem *umem;
static struct xsk_socket *sock;
static struct xsk_ring_prod fill, tx;
static struct xsk_ring_cons comp, rx;

int side_umem(void *memory, uint64_t size)
{
	return xsk_umem__create(&umem, memory, size, &fill, &comp, NULL);
}

int side_socket(const char *ifname)
{
	struct xsk_socket_config config = {
		.rx_size = XSK_RING_CONS__DEFAULT_NUM_DESCS,
		.tx_size = XSK_RING_PROD__DEFAULT_NUM_DESCS,
		.bind_flags = XDP_USE_NEED_WAKEUP,
	};

	return xsk_socket__create(&sock, ifname, 0, umem, &rx, &tx, &config);
}

void side_fill(void)
{
	uint32_t idx, i;

	if (xsk_ring_prod__reserve(&fill, FILLED, &idx) != FILLED)
		return;
	for (i = 0; i < FILLED; i++)
		*xsk_ring_prod__fill_addr(&fill, idx + i) = (uint64_t)i * FRAME_SIZE;
	xsk_ring_prod__submit(&fill, FILLED);
}

int side_fd(void)
{
	return xsk_socket__fd(sock);
}

unsigned int side_receive(void)
{
	uint32_t idx, n = xsk_ring_cons__peek(&rx, FILLED, &idx);

	xsk_ring_cons__release(&rx, n);
	return n;
}

void side_close(void)
{
	xsk_socket__delete(sock);
	xsk_umem__delete(umem);
}
