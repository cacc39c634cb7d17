/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules and filters on packets in several buffers: the whole packet's length counts. */
#include "frags.h"

#include <linux/filter.h>

#define HEADERS (14 + 20 + 8)	/* Ethernet, IPv4, UDP */

static void put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/* Sends a UDP packet of `len` bytes, of which the IP header promises `promised`. */
static void send_udp(int fd, uint16_t port, uint32_t len, uint32_t promised)
{
	static uint8_t frame[JUMBO];

	memset(frame, 0x5a, len);
	memset(frame, 2, 12);
	put16(frame + 12, 0x0800);
	memset(frame + 14, 0, 20);
	frame[14] = 0x45;
	put16(frame + 16, promised);
	frame[22] = 64;
	frame[23] = 17;
	put16(frame + 36, port);
	put16(frame + 38, promised - 20);
	put16(frame + 40, 0);
	CHECK_EQ(send(fd, frame, len, 0), len);
}

static struct end open_with(const struct xsk_program *program, uint32_t mode)
{
	struct end end = { NULL, NULL };

	CHECK_OK(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(.frame_count = 256,
		.frame_size = 4096, .fill_size = 128, .comp_size = 64)));
	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.rx_size = 128, .tx_size = 64),
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_SG | mode, .program = program)));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	return end;
}

/* The length of the next packet. */
static uint32_t receive_len(struct end *end)
{
	struct xsk_buf bufs[ROOM];
	uint32_t len = 0, n = receive_some(end, bufs, ROOM);

	for (uint32_t i = 0; i < n; i++) {
		len += bufs[i].len;
		CHECK_EQ((bufs[i].options & XSK_BUF_MORE) != 0, i + 1 < n);
	}
	CHECK_EQ(xsk_buf_free(end->socket, bufs, n), n);
	return len;
}

static const uint32_t modes[] = { XSK_BIND_DRV_MODE, XSK_BIND_SKB_MODE };

TEST(rules_match_long_packets_and_count_all_of_their_bytes)
{
	const struct xsk_rule rule = {
		.ip_version = 4, .ip_proto = 17, .dst_port = 7777, .dst_port_last = 7777 };
	struct xsk_program *program = NULL;

	make_jumbo_pair(1);
	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.rules = &rule,
		.rule_count = 1, .default_action = XSK_ACTION_PASS)));
	for (uint32_t i = 0; i < COUNT(modes); i++) {
		struct end end = open_with(program, modes[i]);
		struct xsk_counter counters[3];
		int stack = stack_open(XB);

		send_udp(stack, 7777, JUMBO, JUMBO - 14);
		CHECK_EQ(receive_len(&end), JUMBO);
		send_udp(stack, 7777, HEADERS + 100, HEADERS + 100 - 14);
		CHECK_EQ(receive_len(&end), HEADERS + 100);
		/* One byte more is promised than there is. */
		send_udp(stack, 7777, JUMBO, JUMBO - 13);
		send_udp(stack, 7777, 5000, 5000 - 13);
		send_udp(stack, 7778, JUMBO, JUMBO - 14);
		WAIT_FOR(xsk_program_counters(end.socket, counters, 3) == 3 &&
			 counters[1].packets == 1, 1000);
		CHECK_EQ(counters[0].packets, 2);
		CHECK_EQ(counters[0].bytes, JUMBO + HEADERS + 100);
		CHECK_EQ(counters[1].bytes, JUMBO);
		CHECK_EQ(counters[2].packets, 2);
		CHECK_EQ(counters[2].bytes, JUMBO + 5000);
		close(stack);
		xsk_socket_destroy(end.socket);
		CHECK_OK(xsk_umem_destroy(end.umem));
		WAIT_FOR(attached_id(XA) == 0, 2000);
	}
	xsk_program_destroy(program);
}

TEST(a_filter_knows_how_long_a_long_packet_is)
{
	const struct sock_filter longer[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 8000, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 65535),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct xsk_program *program = NULL;

	make_jumbo_pair(1);
	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.filter = longer,
		.filter_len = COUNT(longer), .default_action = XSK_ACTION_PASS)));
	for (uint32_t i = 0; i < COUNT(modes); i++) {
		struct end end = open_with(program, modes[i]);
		int stack = stack_open(XB);

		send_udp(stack, 7777, 8000, 8000 - 14);
		send_udp(stack, 7777, 8001, 8001 - 14);
		CHECK_EQ(receive_len(&end), 8001);
		close(stack);
		xsk_socket_destroy(end.socket);
		CHECK_OK(xsk_umem_destroy(end.umem));
		WAIT_FOR(attached_id(XA) == 0, 2000);
	}
	xsk_program_destroy(program);
}
