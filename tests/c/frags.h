/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * For the tests of packets in several buffers: interfaces and sockets that take them,
 * and chains. Linux 6.6; on older kernels the case is skipped.
 */

#ifndef FRAGS_H
#define FRAGS_H

#include "bpf.h"

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)	/* headers of Linux 6.6 and newer have it */
#endif

#define JUMBO 9014	/* a packet of an MTU of 9000: 3 buffers of 4096, 6 of 2048 */
#define ROOM 64		/* buffers of a call; the longest packet has 37 */

static UNUSED int kernel_has_sg(void)
{
	struct xsk_caps caps = { .size = sizeof(caps) };

	CHECK_OK(xsk_probe("lo", &caps));
	return (caps.kernel & XSK_KERNEL_SG) != 0;
}

static UNUSED void make_jumbo_pair(unsigned int queues)
{
	if (!kernel_has_sg())
		SKIP("this kernel has no packets in several buffers (Linux 6.6)");
	make_pair(queues);
	shell("ip link set dev " XA " mtu 9000 && ip link set dev " XB " mtu 9000");
}

static UNUSED struct end open_frags(const char *ifname, uint32_t frame_size, uint32_t bind_flags)
{
	struct end end = { NULL, NULL };

	CHECK_OK(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(.frame_count = 1024,
		.frame_size = frame_size, .fill_size = 256, .comp_size = 256,
		.flags = frame_size & (frame_size - 1) ? XSK_UMEM_UNALIGNED : 0)));
	CHECK_OK(xsk_socket_create(&end.socket, end.umem,
				   &XSK_SOCKET_PARAMS(.rx_size = 256, .tx_size = 256)));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(end.socket, ifname, 0,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_SG | bind_flags)));
	return end;
}

static UNUSED void close_frags(struct end *end)
{
	uint64_t until = now_ms() + 2000;

	while (xsk_tx_pending(end->socket) != 0 && now_ms() < until)
		CHECK(xsk_tx_kick(end->socket, 0) >= 0);
	CHECK_EQ(xsk_tx_pending(end->socket), 0);
	xsk_socket_destroy(end->socket);
	CHECK_EQ(umem_info_of(end->umem).free_frames, umem_info_of(end->umem).frame_count);
	CHECK_OK(xsk_umem_destroy(end->umem));
}

/* --- the network stack's end, for long frames */

static UNUSED void stack_send_long(int fd, uint32_t number, uint32_t len)
{
	static uint8_t frame[1 << 16];

	write_frame(frame, number, len);
	if (send(fd, frame, len, 0) != (ssize_t)len)
		FAIL("packet socket: send of %u bytes: %s", len, strerror(errno));
}

/* The length of the next frame, which must have that number; -1 if none comes. */
static UNUSED long stack_receive_long(int fd, uint32_t number)
{
	static uint8_t frame[1 << 17];
	struct pollfd entry = { fd, POLLIN, 0 };
	ssize_t len;

	if (poll(&entry, 1, 1000) != 1)
		return -1;
	len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
	CHECK_EQ(read_frame(frame, (uint32_t)len), number);
	return len;
}

/* --- chains */

/* Writes a packet in parts of that many bytes at most; gives how many. */
static UNUSED uint32_t write_chain(struct end *end, struct xsk_buf *bufs, uint32_t number, uint32_t len,
			    uint32_t part)
{
	static uint8_t frame[1 << 17];
	uint32_t n = (len - 1) / part + 1;

	write_frame(frame, number, len);
	CHECK_EQ(xsk_buf_alloc(end->socket, bufs, n), n);
	for (uint32_t i = 0; i < n; i++) {
		bufs[i].len = i + 1 < n ? part : len - i * part;
		bufs[i].options = i + 1 < n ? XSK_BUF_MORE : 0;
		memcpy(bufs[i].data, frame + i * part, bufs[i].len);
	}
	return n;
}

/* The number of the packet that begins there; n gets how many buffers it has. */
static UNUSED long read_chain(const struct xsk_buf *bufs, uint32_t *n)
{
	static uint8_t frame[1 << 17];
	uint32_t len = 0, i = 0;

	do {
		CHECK(i < *n);
		CHECK_EQ(bufs[i].options & ~XSK_BUF_MORE, 0);
		memcpy(frame + len, bufs[i].data, bufs[i].len);
		len += bufs[i].len;
	} while (bufs[i++].options & XSK_BUF_MORE);
	*n = i;
	return read_frame(frame, len);
}

/* Receives until there is a packet, into room for so many buffers. */
static UNUSED uint32_t receive_some(struct end *end, struct xsk_buf *bufs, uint32_t room)
{
	uint64_t until = now_ms() + 2000;
	int n;

	while ((n = xsk_rx_burst(end->socket, bufs, room)) == 0 && now_ms() < until)
		CHECK(xsk_socket_wait(end->socket, XSK_WAIT_RX, 10) >= 0);
	CHECK(n > 0);
	return (uint32_t)n;
}

/* Packets of these numbers come next, whole and in order. */
static UNUSED void receive_numbers(struct end *end, uint32_t first, uint32_t count)
{
	struct xsk_buf bufs[ROOM];
	uint32_t got = 0;

	while (got < count) {
		uint32_t n = receive_some(end, bufs, ROOM);

		for (uint32_t at = 0, parts; at < n; at += parts) {
			parts = n - at;
			CHECK_EQ(read_chain(bufs + at, &parts), first + got);
			got++;
		}
		CHECK_EQ(xsk_buf_free(end->socket, bufs, n), n);
	}
	CHECK_EQ(got, count);
}

#endif
