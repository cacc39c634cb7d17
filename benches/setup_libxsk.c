/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stddef.h>
#include <xsk.h>

#include "setup_side.h"

static struct xsk_umem *umem;
static struct xsk_socket *sock;

int side_umem(void *memory, uint64_t size)
{
	return xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.memory = memory, .memory_size = size));
}

int side_socket(const char *ifname)
{
	return xsk_socket_open(&sock, umem, ifname, 0, NULL,
			       &XSK_BIND_PARAMS(.retry_ms = XSK_RETRY_NEVER));
}

void side_fill(void)
{
	uint64_t addrs[FILLED];
	uint32_t i;

	for (i = 0; i < FILLED; i++)
		addrs[i] = (uint64_t)i * FRAME_SIZE;
	xsk_fill_put(sock, addrs, FILLED);
}

int side_fd(void)
{
	return xsk_socket_fd(sock);
}

unsigned int side_receive(void)
{
	struct xdp_desc descs[FILLED];

	return xsk_rx_get(sock, descs, FILLED);
}

void side_close(void)
{
	xsk_socket_destroy(sock);
	xsk_umem_destroy(umem);
}
