/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counters that count what happened, and structs of older and newer callers. */
#include "net.h"

#include <stddef.h>

TEST(packets_bytes_and_kicks_of_packet_calls_are_counted)
{
	struct xsk_socket_stats stats;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	for (uint32_t i = 0; i < 10; i++) {
		stack_send_len(stack, i, 100 + i);
		CHECK_EQ(end_receive(&end, 1000), i);
	}
	for (uint32_t i = 0; i < 7; i++)
		end_send(&end, i);
	stats = stats_of(end.socket);
	CHECK_EQ(stats.size, sizeof(stats));
	CHECK_EQ(stats.kernel_counters, 6);
	CHECK_EQ(stats.rx_packets, 10);
	CHECK_EQ(stats.rx_bytes, 1045);
	CHECK_EQ(stats.tx_packets, 7);
	CHECK_EQ(stats.tx_bytes, 7 * FRAME_LEN);
	CHECK_EQ(stats.tx_kicks, 7);
	CHECK_EQ(stats.rx_kicks, 0);
	CHECK_EQ(xsk_rx_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	CHECK_EQ(stats_of(end.socket).rx_kicks, 1);
	CHECK_EQ(stats.rx_dropped + stats.rx_invalid_descs + stats.tx_invalid_descs +
		 stats.rx_ring_full + stats.rx_fill_ring_empty_descs, 0);
	close_end(&end);
}

TEST(packets_and_bytes_of_ring_calls_are_counted_when_they_are_given_back_or_submitted)
{
	struct xsk_socket_stats stats;
	struct xdp_desc desc[2] = { { .len = 70 }, { .addr = 2048, .len = 80 } };
	uint64_t addrs[4] = { 4096, 6144, 8192, 10240 };
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	uint32_t idx;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, NULL, NULL));
	CHECK_EQ(xsk_fill_put(sock, addrs, 4), 4);
	for (uint32_t i = 0; i < 4; i++)
		stack_send_len(stack, i, 100 + i);
	WAIT_FOR(xsk_rx_peek(sock, 4, &idx) == 4 || (xsk_rx_cancel(sock, 4), 0), 1000);
	CHECK_EQ(xsk_rx_cancel(sock, 1), 1);
	CHECK_EQ(stats_of(sock).rx_packets, 0);
	CHECK_EQ(xsk_rx_release(sock, 3), 3);
	CHECK_EQ(stats_of(sock).rx_packets, 3);
	CHECK_EQ(stats_of(sock).rx_bytes, 303);
	CHECK_EQ(xsk_rx_get(sock, desc, 1), 1);
	CHECK_EQ(stats_of(sock).rx_packets, 4);
	CHECK_EQ(stats_of(sock).rx_bytes, 406);
	desc[0] = (struct xdp_desc){ .len = 70 };
	CHECK_EQ(xsk_tx_reserve(sock, 3, &idx), 3);
	for (uint32_t i = 0; i < 3; i++)
		*xsk_tx_desc(sock, idx + i) = (struct xdp_desc){ .addr = i * 2048, .len = 60 + i };
	CHECK_EQ(stats_of(sock).tx_packets, 0);
	CHECK_EQ(xsk_tx_cancel(sock, 1), 1);
	CHECK_EQ(xsk_tx_submit(sock, 9), 2);
	CHECK_EQ(xsk_tx_put(sock, desc, 2), 2);
	CHECK(xsk_tx_kick(sock, 0) >= 0);
	stats = stats_of(sock);
	CHECK_EQ(stats.tx_packets, 4);
	CHECK_EQ(stats.tx_bytes, 60 + 61 + 70 + 80);
	CHECK_EQ(stats.tx_kicks, 1);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* Rings by hand: so many frames in the fill ring, and an RX ring of so many. */
static struct xsk_socket *open_rings(struct xsk_umem *umem, uint32_t frames, uint32_t rx_size)
{
	struct xsk_socket *sock = NULL;
	uint64_t addrs[64];

	CHECK_OK(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.rx_size = rx_size)));
	for (uint32_t i = 0; i < frames; i++)
		addrs[i] = i * 2048;
	CHECK_EQ(xsk_fill_put(sock, addrs, frames), frames);
	CHECK_OK(xsk_socket_bind(sock, XA, 0, NULL));
	return sock;
}

TEST(packets_that_find_no_frame_are_counted)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	sock = open_rings(umem, 3, 64);
	for (uint32_t i = 0; i < 10; i++)
		stack_send(stack, i);
	WAIT_FOR(stats_of(sock).rx_fill_ring_empty_descs == 7, 1000);
	CHECK_EQ(stats_of(sock).rx_ring_full, 0);
	CHECK_EQ(stats_of(sock).rx_packets, 0);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(packets_that_find_the_rx_ring_full_are_counted)
{
	struct xsk_umem *umem = small_umem();
	struct xdp_desc descs[64];
	struct xsk_socket *sock;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	sock = open_rings(umem, 32, 8);
	for (uint32_t i = 0; i < 20; i++)
		stack_send(stack, i);
	WAIT_FOR(stats_of(sock).rx_ring_full == 12, 1000);
	CHECK_EQ(stats_of(sock).rx_fill_ring_empty_descs, 0);
	CHECK_EQ(xsk_rx_get(sock, descs, 64), 8);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(descriptors_that_cannot_be_sent_are_counted_and_those_behind_them_are_sent)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock;
	struct xdp_desc descs[4] = {
		{ .addr = 512 * 2048, .len = FRAME_LEN },	/* outside */
		{ .addr = 2000, .len = 49 },			/* into the next frame */
		{ .addr = 4096, .len = FRAME_LEN },		/* good */
		{ .addr = 0, .len = FRAME_LEN, .options = 0x8000 },
	};
	uint64_t addrs[4];
	uint32_t n;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	sock = open_rings(umem, 0, 64);
	write_frame(xsk_umem_data(umem, 4096), 5, FRAME_LEN);
	CHECK_EQ(xsk_tx_put(sock, descs, 4), 4);
	/* In copy mode a kick ends at an invalid one. */
	for (uint32_t kicks = 0; kicks < 4; kicks++)
		CHECK(xsk_tx_kick(sock, 0) >= 0);
	CHECK_EQ(stack_receive(stack, 1000), 5);
	CHECK_EQ(stack_receive(stack, 10), -1);
	CHECK_EQ(stats_of(sock).tx_invalid_descs, 3);
	/* Linux 6.18 completes the invalid ones too, older kernels may not. */
	n = xsk_comp_get(sock, addrs, 4);
	CHECK(n == 4 || n == 1);
	CHECK_EQ(addrs[n == 4 ? 2 : 0], 4096);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(addresses_in_the_fill_ring_that_are_outside_are_skipped)
{
	struct xsk_umem *umem = small_umem();
	uint64_t addrs[3] = { UINT64_C(1) << 40, 512 * 2048, 4096 };
	struct xdp_desc desc;
	struct xsk_socket *sock;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	sock = open_rings(umem, 0, 64);
	CHECK_EQ(xsk_fill_put(sock, addrs, 3), 3);
	stack_send(stack, 1);
	WAIT_FOR(xsk_rx_get(sock, &desc, 1) == 1, 1000);
	CHECK_EQ(desc.addr / 2048, 2);
	/* Linux reads this counter from another ring than the one that it counts in. */
	CHECK(stats_of(sock).rx_invalid_descs == 0 || stats_of(sock).rx_invalid_descs == 2);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(packets_too_long_for_a_frame_are_counted)
{
	struct end end;
	int stack;

	make_pair(1);
	shell("ip link set " XA " mtu 2000 && ip link set " XB " mtu 2000");
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);	/* frames of 2048 with 256 before the packet */
	stack_send_len(stack, 1, 1792);
	CHECK_EQ(end_receive(&end, 1000), 1);
	for (uint32_t i = 0; i < 5; i++)
		stack_send_len(stack, i, 1793);
	WAIT_FOR(stats_of(end.socket).rx_dropped == 5, 1000);
	CHECK_EQ(end_receive(&end, 10), -1);
	CHECK_EQ(stats_of(end.socket).rx_packets, 1);
	close_end(&end);
}

TEST(looks_at_an_empty_tx_ring_are_counted)
{
	struct end end;
	uint64_t before;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	before = stats_of(end.socket).tx_ring_empty_descs;
	for (uint32_t i = 0; i < 5; i++)
		CHECK_EQ(xsk_tx_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	CHECK_EQ(stats_of(end.socket).tx_ring_empty_descs, before + 5);
	close_end(&end);
}

/* --- sizes */

static uint8_t room[8192] __attribute__((aligned(8)));

/* Asks with that size into poisoned memory; what lies behind must stay as it is. */
static int ask(int (*call)(const void *, void *), const void *object, uint32_t size)
{
	int answer;

	memset(room, 0xee, sizeof(room));
	memcpy(room, &size, sizeof(size));
	answer = call(object, room);
	for (uint32_t i = answer == 0 ? size : 4; i < sizeof(room); i++)
		CHECK_EQ(room[i], 0xee);
	CHECK_EQ(memcmp(room, &size, sizeof(size)), 0);
	return answer;
}

static int ask_stats(const void *socket, void *to)
{
	return xsk_socket_stats(socket, to);
}

static int ask_info(const void *socket, void *to)
{
	return xsk_socket_info(socket, to);
}

static int ask_umem(const void *umem, void *to)
{
	return xsk_umem_info(umem, to);
}

static void sizes(int (*call)(const void *, void *), const void *object, uint32_t whole,
		  const char *name)
{
	uint8_t all[512];

	CHECK_OK(ask(call, object, whole));
	memcpy(all, room, whole);
	for (uint32_t size = 4; size < whole; size++) {
		CHECK_OK(ask(call, object, size));
		CHECK_EQ(memcmp(room + 4, all + 4, size - 4), 0);
	}
	for (uint32_t size = whole + 1; size <= 4096; size += 61) {
		CHECK_OK(ask(call, object, size));
		CHECK_EQ(memcmp(room + 4, all + 4, whole - 4), 0);
		for (uint32_t i = whole; i < size; i++)
			CHECK_EQ(room[i], 0);
	}
	CHECK_FAILS(ask(call, object, 0), -EINVAL, name, "size");
	CHECK_FAILS(ask(call, object, 3), -EINVAL, name, "size");
	CHECK_FAILS(ask(call, object, 4097), -EINVAL, name, "size");
	CHECK_FAILS(ask(call, object, UINT32_MAX), -EINVAL, name, "size");
}

TEST(older_callers_get_the_start_of_a_struct_and_newer_ones_zeros_behind_it)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	sizes(ask_stats, end.socket, sizeof(struct xsk_socket_stats), "xsk_socket_stats");
	sizes(ask_info, end.socket, sizeof(struct xsk_socket_info), "xsk_socket_info");
	sizes(ask_umem, end.umem, sizeof(struct xsk_umem_info), "xsk_umem_info");
	close_end(&end);
}

TEST(the_params_of_older_callers_have_defaults_behind_their_end)
{
	struct xsk_umem_params umem_params = {
		.size = offsetof(struct xsk_umem_params, frame_size), .frame_count = 16,
		.frame_size = 77, .reserved = 99
	};
	struct xsk_socket_params params = {
		.size = offsetof(struct xsk_socket_params, tx_size), .rx_size = 32, .tx_size = 3
	};
	struct xsk_bind_params bind_params = {
		.size = offsetof(struct xsk_bind_params, retry_ms), .retry_ms = -9, .xskmap_fd = 9
	};
	struct end end = { NULL, NULL };

	make_pair(1);
	CHECK_OK(xsk_umem_create(&end.umem, &umem_params));
	CHECK_EQ(umem_info_of(end.umem).frame_count, 16);
	CHECK_EQ(umem_info_of(end.umem).frame_size, 4096);
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, &params));
	CHECK_EQ(info_of(end.socket).rx_size, 32);
	CHECK_EQ(info_of(end.socket).tx_size, 2048);
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, &bind_params));
	close_end(&end);
}

TEST(the_params_of_newer_callers_are_taken_if_what_is_new_is_zero)
{
	struct { struct xsk_umem_params known; uint8_t more[64]; } umem_params = {
		.known = { .size = sizeof(umem_params), .frame_count = 16 } };
	struct { struct xsk_socket_params known; uint8_t more[64]; } params = {
		.known = { .size = sizeof(params) } };
	struct { struct xsk_bind_params known; uint8_t more[64]; } bind_params = {
		.known = { .size = sizeof(bind_params) } };
	struct end end = { NULL, NULL };

	make_pair(1);
	umem_params.more[63] = 1;
	CHECK_FAILS(xsk_umem_create(&end.umem, &umem_params.known), -EINVAL, "xsk_umem_params",
		    "does not know");
	umem_params.more[63] = 0;
	CHECK_OK(xsk_umem_create(&end.umem, &umem_params.known));
	params.more[0] = 1;
	CHECK_FAILS(xsk_socket_create(&end.socket, end.umem, &params.known), -EINVAL,
		    "xsk_socket_params", "does not know");
	params.more[0] = 0;
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, &params.known));
	bind_params.more[7] = 1;
	CHECK_FAILS(xsk_socket_bind(end.socket, XA, 0, &bind_params.known), -EINVAL,
		    "xsk_bind_params", "does not know");
	CHECK_EQ(info_of(end.socket).bound, 0);
	bind_params.more[7] = 0;
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, &bind_params.known));
	close_end(&end);
}
