/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Interfaces and traffic for the test programs: a veth pair "xa" and "xb" in the
 * case's own namespace, numbered frames of an ethertype that nothing else uses, a
 * packet socket to play the network stack, and AF_XDP sockets ready to use.
 */

#ifndef NET_H
#define NET_H

#include "harness.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#define XA "xa"
#define XB "xb"
#define ETHERTYPE 0x88b5	/* IEEE 802: for local experiments */
#define FRAME_LEN 64

/* --- interfaces */

static UNUSED void make_pair(unsigned int queues)
{
	shell("ip link add " XA " numrxqueues %u numtxqueues %u type veth "
	      "peer name " XB " numrxqueues %u numtxqueues %u", queues, queues, queues, queues);
	shell("ip link set dev " XA " up && ip link set dev " XB " up");
}

static UNUSED void link_up(const char *ifname)
{
	shell("ip link set dev %s up", ifname);
}

static UNUSED void link_down(const char *ifname)
{
	shell("ip link set dev %s down", ifname);
}

/* The stack sends again, which it does some time after the carrier is back: until then
 * it drops. */
static UNUSED int stack_sends(const char *ifname)
{
	char command[128];

	snprintf(command, sizeof(command), "ip link show dev %s | grep -q 'state UP'", ifname);
	return system(command) == 0;
}

/* Takes the peer with it. */
static UNUSED void link_delete(const char *ifname)
{
	shell("ip link delete dev %s", ifname);
}

/* --- frames: broadcast, numbered, every byte of the rest depends on the number */

static UNUSED uint32_t write_frame(void *to, uint32_t number, uint32_t len)
{
	static const uint8_t head[14] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, ETHERTYPE >> 8,
		ETHERTYPE & 0xff
	};
	uint8_t *bytes = to;
	uint32_t net = htonl(number);

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + 14, &net, 4);
	for (uint32_t i = 18; i < len; i++)
		bytes[i] = (uint8_t)(number * 31 + i);
	return len;
}

/* The number; -1 if it is not one of ours, and the case fails if one is damaged. */
static UNUSED long read_frame(const void *from, uint32_t len)
{
	const uint8_t *bytes = from;
	uint32_t number;

	if (len < FRAME_LEN || bytes[12] != ETHERTYPE >> 8 || bytes[13] != (ETHERTYPE & 0xff))
		return -1;
	memcpy(&number, bytes + 14, 4);
	number = ntohl(number);
	for (uint32_t i = 18; i < len; i++)
		if (bytes[i] != (uint8_t)(number * 31 + i))
			FAIL("frame %u is damaged at byte %u of %u", number, i, len);
	return number;
}

/* --- the network stack's end */

static UNUSED int stack_open(const char *ifname)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		FAIL("packet socket on %s: %s", ifname, strerror(errno));
	return fd;
}

static UNUSED void stack_send_len(int fd, uint32_t number, uint32_t len)
{
	uint8_t frame[2048];

	write_frame(frame, number, len);
	if (send(fd, frame, len, 0) != (ssize_t)len)
		FAIL("packet socket: send: %s", strerror(errno));
}

static UNUSED void stack_send(int fd, uint32_t number)
{
	stack_send_len(fd, number, FRAME_LEN);
}

/* The next frame's number; -1 if none comes in that time. */
static UNUSED long stack_receive(int fd, int timeout_ms)
{
	uint8_t frame[2048];
	struct pollfd entry = { fd, POLLIN, 0 };
	ssize_t len;

	if (poll(&entry, 1, timeout_ms) != 1)
		return -1;
	len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
	return len < 0 ? -1 : read_frame(frame, (uint32_t)len);
}

/* --- AF_XDP sockets, used by the packet calls */

struct end {
	struct xsk_umem *umem;
	struct xsk_socket *socket;
};

static UNUSED struct xsk_umem *small_umem(void)
{
	struct xsk_umem *umem = NULL;

	CHECK_OK(xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = 512, .frame_size = 2048,
							 .fill_size = 256, .comp_size = 256)));
	return umem;
}

static UNUSED struct end open_end(const char *ifname, uint32_t queue, uint32_t socket_flags,
				  uint32_t bind_flags)
{
	struct end end = { small_umem(), NULL };
	struct xsk_socket_params params = { .size = sizeof(params), .flags = socket_flags };

	if (!(socket_flags & XSK_SOCKET_TX_ONLY))
		params.rx_size = 256;
	if (!(socket_flags & XSK_SOCKET_RX_ONLY))
		params.tx_size = 256;
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, &params));
	if (!(socket_flags & XSK_SOCKET_TX_ONLY))
		CHECK_OK(xsk_rx_burst(end.socket, NULL, 0));
	CHECK_OK(xsk_socket_bind(end.socket, ifname, queue, &XSK_BIND_PARAMS(.flags = bind_flags)));
	return end;
}

static UNUSED void close_end(struct end *end)
{
	xsk_socket_destroy(end->socket);
	CHECK_OK(xsk_umem_destroy(end->umem));
	end->socket = NULL;
	end->umem = NULL;
}

static UNUSED void end_send(struct end *end, uint32_t number)
{
	struct xsk_buf buf;

	CHECK_EQ(xsk_buf_alloc(end->socket, &buf, 1), 1);
	buf.len = write_frame(buf.data, number, FRAME_LEN);
	CHECK_EQ(xsk_tx_burst(end->socket, &buf, 1), 1);
}

/* The next frame's number; -1 if none comes in that time. */
static UNUSED long end_receive(struct end *end, int timeout_ms)
{
	uint64_t until = now_ms() + (uint64_t)timeout_ms;

	for (;;) {
		struct xsk_buf buf;
		int n = xsk_rx_burst(end->socket, &buf, 1);

		if (n == 1) {
			long number = read_frame(buf.data, buf.len);

			CHECK_EQ(xsk_buf_free(end->socket, &buf, 1), 1);
			if (number >= 0)
				return number;
			continue;
		}
		CHECK_EQ(n, 0);
		if (now_ms() >= until)
			return -1;
		CHECK(xsk_socket_wait(end->socket, XSK_WAIT_RX, 1) >= 0);
	}
}

static UNUSED struct xsk_socket_info info_of(const struct xsk_socket *socket)
{
	struct xsk_socket_info info = { .size = sizeof(info) };

	CHECK_OK(xsk_socket_info(socket, &info));
	return info;
}

static UNUSED struct xsk_umem_info umem_info_of(const struct xsk_umem *umem)
{
	struct xsk_umem_info info = { .size = sizeof(info) };

	CHECK_OK(xsk_umem_info(umem, &info));
	return info;
}

static UNUSED struct xsk_socket_stats stats_of(const struct xsk_socket *socket)
{
	struct xsk_socket_stats stats = { .size = sizeof(stats) };

	CHECK_OK(xsk_socket_stats(socket, &stats));
	return stats;
}

#endif
