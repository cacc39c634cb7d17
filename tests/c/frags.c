/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets in several buffers: chains in the packet calls, descriptors with
 * XDP_PKT_CONTD in the ring calls. Linux 6.6; the others are skipped before. */
#include "frags.h"

static uint32_t len_of(uint32_t number)
{
	static const uint32_t lens[] = { 64, JUMBO, 1514, 3840, 3841, 7680, 7681, 4096, 9000, 65 };

	return lens[number % COUNT(lens)];
}

static void both_ways_with_the_stack(uint32_t frame_size, uint32_t flags, uint32_t mode)
{
	struct xsk_buf bufs[ROOM];
	struct end end;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, frame_size, flags);
	CHECK_EQ(info_of(end.socket).xdp_mode, mode);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t n;

		stack_send_long(stack, i, len_of(i));
		receive_numbers(&end, i, 1);
		n = write_chain(&end, bufs, i, len_of(i), frame_size);
		CHECK_EQ(xsk_tx_burst(end.socket, bufs, n), n);
		CHECK_EQ(stack_receive_long(stack, i), len_of(i));
	}
	CHECK_EQ(stats_of(end.socket).rx_packets, 200);
	CHECK_EQ(stats_of(end.socket).tx_packets, 200);
	CHECK_EQ(stats_of(end.socket).rx_bytes, stats_of(end.socket).tx_bytes);
	CHECK_EQ(stats_of(end.socket).rx_dropped, 0);
	CHECK_EQ(stats_of(end.socket).tx_invalid_descs, 0);
	close_frags(&end);
}

TEST(long_and_short_packets_go_both_ways_in_native_mode)
{
	both_ways_with_the_stack(4096, 0, XSK_MODE_DRV);
}

TEST(long_and_short_packets_go_both_ways_in_generic_mode)
{
	both_ways_with_the_stack(4096, XSK_BIND_SKB_MODE, XSK_MODE_SKB);
}

TEST(long_and_short_packets_go_both_ways_in_small_frames)
{
	both_ways_with_the_stack(2048, XSK_BIND_COPY, XSK_MODE_DRV);
}

TEST(long_and_short_packets_go_both_ways_in_unaligned_frames)
{
	both_ways_with_the_stack(3000, 0, XSK_MODE_DRV);
}

/* Many in flight, over the ends of rings and arrays of odd sizes. */
TEST(packets_of_all_lengths_between_two_sockets_come_whole_in_order_and_once)
{
	const uint32_t total = 20000;
	uint32_t sent = 0, received = 0, parts, held = 0, turn = 0;
	struct xsk_buf out[ROOM], in[ROOM];
	uint64_t until = now_ms() + 50000;
	struct end a, b;

	make_jumbo_pair(1);
	a = open_frags(XA, 4096, 0);
	b = open_frags(XB, 2048, 0);
	while (received < total) {
		int n;

		if (now_ms() >= until)
			FAIL("of %u packets %u sent and %u came", total, sent, received);
		/* Some burst ends within the packet that goes on in the next. */
		while (sent < total && sent - received < 30 && held + 3 <= ROOM) {
			held += write_chain(&a, out + held, sent, len_of(sent), 4096);
			sent++;
		}
		n = xsk_tx_burst(a.socket, out, held);
		CHECK(n >= 0);
		CHECK(n == 0 || out[n - 1].options == 0);
		held -= (uint32_t)n;
		memmove(out, out + n, held * sizeof(*out));
		n = xsk_rx_burst(b.socket, in, 6 + turn++ % 30);
		CHECK(n >= 0);
		for (uint32_t at = 0; at < (uint32_t)n; at += parts) {
			parts = (uint32_t)n - at;
			CHECK_EQ(read_chain(in + at, &parts), received);
			received++;
		}
		CHECK_EQ(xsk_buf_free(b.socket, in, (uint32_t)n), n);
	}
	CHECK_EQ(stats_of(a.socket).tx_packets, total);
	CHECK_EQ(stats_of(b.socket).rx_packets, total);
	CHECK_EQ(stats_of(a.socket).tx_bytes, stats_of(b.socket).rx_bytes);
	CHECK_EQ(stats_of(b.socket).rx_dropped, 0);
	close_frags(&a);
	close_frags(&b);
}

TEST(the_longest_packet_of_all_is_received_whole)
{
	struct xsk_buf bufs[ROOM];
	struct end end;
	uint32_t n;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, 2048, 0);
	shell("ip link set dev " XA " mtu 65535 && ip link set dev " XB " mtu 65535");
	stack_send_long(stack, 7, 65535);
	n = receive_some(&end, bufs, ROOM);
	CHECK_EQ(n, 65534 / (2048 - 256) + 1);
	CHECK_EQ(read_chain(bufs, &n), 7);
	CHECK_EQ(xsk_buf_free(end.socket, bufs, n), n);
	CHECK_EQ(stats_of(end.socket).rx_packets, 1);
	close_frags(&end);
}

/* --- arrays and rings that cut a packet */

TEST(a_packet_that_an_array_would_cut_waits_for_the_next_call)
{
	struct xsk_buf bufs[ROOM];
	uint32_t parts = 3;
	struct end end;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, 4096, 0);
	stack_send_long(stack, 1, 64);
	stack_send_long(stack, 2, JUMBO);
	stack_send_long(stack, 3, 64);
	WAIT_FOR(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0) == XSK_WAIT_RX, 1000);
	nap_ms(20);
	CHECK_EQ(xsk_rx_burst(end.socket, bufs, 3), 1);
	CHECK_EQ(read_frame(bufs[0].data, bufs[0].len), 1);
	CHECK_EQ(xsk_buf_free(end.socket, bufs, 1), 1);
	CHECK_EQ(stats_of(end.socket).rx_packets, 1);

	/* Not even an error loses it. */
	for (uint32_t room = 1; room < 3; room++)
		CHECK_FAILS(xsk_rx_burst(end.socket, bufs, room), -EMSGSIZE, "more buffers",
			    room == 1 ? "room for, 1" : "room for, 2", "it waits");
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_EQ(stats_of(end.socket).rx_packets, 1);
	CHECK_EQ(xsk_rx_burst(end.socket, bufs, 3), 3);
	CHECK_EQ(read_chain(bufs, &parts), 2);
	CHECK_EQ(xsk_buf_free(end.socket, bufs, 3), 3);
	CHECK_EQ(xsk_rx_burst(end.socket, bufs, 3), 1);
	CHECK_EQ(read_frame(bufs[0].data, bufs[0].len), 3);
	CHECK_EQ(xsk_buf_free(end.socket, bufs, 1), 1);
	CHECK_EQ(xsk_rx_burst(end.socket, bufs, 1), 0);
	CHECK_EQ(stats_of(end.socket).rx_packets, 3);
	CHECK_EQ(stats_of(end.socket).rx_bytes, JUMBO + 2 * 64);
	close_frags(&end);
}

TEST(a_packet_whose_end_is_not_in_the_array_is_not_sent)
{
	struct xsk_buf bufs[4];
	struct end end;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, 4096, 0);
	CHECK_EQ(write_chain(&end, bufs, 1, 64, 4096), 1);
	CHECK_EQ(write_chain(&end, bufs + 1, 2, JUMBO, 4096), 3);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 3), 1);
	CHECK_EQ(stack_receive_long(stack, 1), 64);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs + 1, 2), -EINVAL, "behind the last buffer",
		    "XSK_BUF_MORE", "whole packets");
	CHECK_EQ(stats_of(end.socket).tx_packets, 1);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs + 1, 3), 3);
	CHECK_EQ(stack_receive_long(stack, 2), JUMBO);
	CHECK_EQ(stats_of(end.socket).tx_packets, 2);
	CHECK_EQ(stats_of(end.socket).tx_bytes, JUMBO + 64);
	close_frags(&end);
}

static struct end open_small_rings(uint32_t tx_size, uint32_t comp_size)
{
	struct end end = { NULL, NULL };

	CHECK_OK(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(.frame_count = 128,
							     .comp_size = comp_size)));
	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY, .tx_size = tx_size,
						    .comp_size = comp_size),
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_SG)));
	return end;
}

TEST(a_packet_that_the_tx_ring_would_cut_waits_and_is_the_programs)
{
	struct xsk_buf bufs[6];
	struct end end;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_small_rings(4, 64);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(write_chain(&end, bufs + i, i, 64, 4096), 1);
	CHECK_EQ(write_chain(&end, bufs + 3, 3, JUMBO, 4096), 3);
	link_down(XA);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 2), 2);
	/* Room for two: one packet more, and nothing of the next. */
	CHECK_EQ(xsk_tx_burst(end.socket, bufs + 2, 4), 1);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs + 3, 3), -ENETDOWN, "down");
	CHECK_EQ(xsk_tx_pending(end.socket), 3);
	link_up(XA);
	WAIT_FOR(xsk_tx_kick(end.socket, 0) == XSK_KICK_DONE && xsk_tx_pending(end.socket) == 0,
		 2000);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(stack_receive_long(stack, i), 64);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs + 3, 3), 3);
	CHECK_EQ(stack_receive_long(stack, 3), JUMBO);
	/* Over the ring's end. */
	for (uint32_t i = 0; i < 20; i++) {
		CHECK_EQ(write_chain(&end, bufs, i, JUMBO, 4096), 3);
		CHECK_EQ(xsk_tx_burst(end.socket, bufs, 3), 3);
		CHECK_EQ(stack_receive_long(stack, i), JUMBO);
	}
	CHECK_EQ(stats_of(end.socket).tx_invalid_descs, 0);
	close_frags(&end);
}

/* --- packets of too many buffers */

TEST(a_packet_of_more_buffers_than_the_kernel_takes_is_refused_before_it_drops_it)
{
	struct xsk_buf bufs[ROOM];
	struct xdp_desc descs[19];
	struct end end;
	uint32_t most;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, 4096, 0);
	most = info_of(end.socket).max_frags;
	CHECK_WITHIN(most, 17, ROOM - 1);
	CHECK_EQ(write_chain(&end, bufs, 1, 100 * most, 100), most);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, most), most);
	CHECK_EQ(stack_receive_long(stack, 1), 100 * most);

	CHECK_EQ(write_chain(&end, bufs, 2, 100 * most + 1, 100), most + 1);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs, most + 1), -EMSGSIZE, "the packet has more than",
		    "256 in the TX ring");
	CHECK_EQ(stats_of(end.socket).tx_packets, 1);
	CHECK_EQ(xsk_buf_free(end.socket, bufs, most + 1), most + 1);

	/* What is in front of it goes out. */
	CHECK_EQ(write_chain(&end, bufs, 3, 64, 100), 1);
	CHECK_EQ(write_chain(&end, bufs + 1, 4, 100 * most + 1, 100), most + 1);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, most + 2), 1);
	CHECK_EQ(stack_receive_long(stack, 3), 64);
	CHECK_EQ(xsk_buf_free(end.socket, bufs + 1, most + 1), most + 1);
	CHECK_EQ(stats_of(end.socket).tx_invalid_descs, 0);

	/* The kernel's own limit is near; ring calls hand it what they get. */
	if (most == 17) {
		CHECK_EQ(write_chain(&end, bufs, 5, 1900, 100), 19);
		for (uint32_t i = 0; i < 19; i++)
			descs[i] = (struct xdp_desc){ bufs[i].addr, 100, bufs[i].options };
		CHECK_EQ(xsk_tx_put(end.socket, descs, 19), 19);
		CHECK(xsk_tx_kick(end.socket, 0) >= 0);
		WAIT_FOR(stats_of(end.socket).tx_invalid_descs >= 18, 1000);
	}
	xsk_socket_destroy(end.socket);
	CHECK_OK(xsk_umem_destroy(end.umem));
}

TEST(a_packet_of_more_buffers_than_a_ring_has_entries_is_refused)
{
	static const uint32_t sizes[][2] = { { 4, 64 }, { 64, 4 } };

	make_jumbo_pair(1);
	for (uint32_t i = 0; i < COUNT(sizes); i++) {
		struct end end = open_small_rings(sizes[i][0], sizes[i][1]);
		int stack = stack_open(XB);
		struct xsk_buf bufs[5];

		CHECK_EQ(write_chain(&end, bufs, 1, 500, 100), 5);
		CHECK_FAILS(xsk_tx_burst(end.socket, bufs, 5), -EMSGSIZE, "more than 4 buffers");
		bufs[3].options = 0;
		CHECK_EQ(xsk_tx_burst(end.socket, bufs, 4), 4);
		CHECK_EQ(stack_receive_long(stack, 1), 400);
		CHECK_EQ(xsk_buf_free(end.socket, bufs + 4, 1), 1);
		close_frags(&end);
		close(stack);
	}
}

TEST(a_packet_with_a_bad_buffer_is_refused_whole)
{
	struct xsk_buf bufs[3], bad;
	struct end end;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, 4096, 0);
	CHECK_EQ(write_chain(&end, bufs, 1, JUMBO, 4096), 3);
	bad = bufs[2];
	bufs[2].len = 4097;
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs, 3), -EINVAL, "4097", "do not fit");
	bufs[2].len = 0;
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs, 3), -EINVAL, "do not fit");
	bufs[2] = bad;
	bufs[1].options |= 1 << 7;
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs, 3), -EINVAL, "options 0x81");
	bufs[1].options = XSK_BUF_MORE;
	bufs[2] = bufs[0];
	bufs[2].options = 0;
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs, 3), -EINVAL, "already on its way");
	bufs[2] = bad;
	CHECK_EQ(xsk_tx_pending(end.socket), 0);
	CHECK_EQ(stats_of(end.socket).tx_packets, 0);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 3), 3);
	CHECK_EQ(stack_receive_long(stack, 1), JUMBO);
	close_frags(&end);
}

/* --- without the flag */

TEST(a_socket_without_the_flag_gets_no_long_packet_and_sends_none)
{
	struct xsk_buf bufs[3];
	struct end end;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, XSK_BIND_SKB_MODE);
	CHECK_EQ(info_of(end.socket).max_frags, 1);
	stack_send_long(stack, 1, JUMBO);
	stack_send_long(stack, 2, 64);
	CHECK_EQ(end_receive(&end, 1000), 2);
	CHECK_EQ(stats_of(end.socket).rx_dropped, 1);
	CHECK_EQ(stats_of(end.socket).rx_packets, 1);
	CHECK_EQ(write_chain(&end, bufs, 1, 3000, 1000), 3);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs, 3), -EINVAL, "XSK_BUF_MORE", "XSK_BIND_SG");
	CHECK_EQ(xsk_buf_free(end.socket, bufs, 3), 3);
	close_frags(&end);
}

/* The only case that old kernels run. */
TEST(XSK_BIND_SG_is_told_by_info_or_refused_with_the_kernel_that_it_needs)
{
	struct end end;
	int err;

	make_pair(1);
	end = (struct end){ small_umem(), NULL };
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(info_of(end.socket).max_frags, 1);
	err = xsk_socket_bind(end.socket, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_SG));
	if (kernel_has_sg()) {
		CHECK_OK(err);
		CHECK_WITHIN(info_of(end.socket).max_frags, 17, 45);
	} else {
		CHECK_EQ(err, -EOPNOTSUPP);
		CHECK_SAYS("XSK_BIND_SG", "Linux 6.6");
		CHECK_EQ(attached_to(XA).id, 0);
		CHECK_OK(xsk_socket_bind(end.socket, XA, 0, NULL));
		CHECK_EQ(info_of(end.socket).max_frags, 1);
	}
	close_end(&end);
}

TEST(zero_copy_is_refused_on_veth_with_the_flag_too)
{
	struct end end;

	make_jumbo_pair(1);
	end = (struct end){ small_umem(), NULL };
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_FAILS(xsk_socket_bind(end.socket, XA, 0,
				    &XSK_BIND_PARAMS(.flags = XSK_BIND_SG | XSK_BIND_ZEROCOPY)),
		    -EOPNOTSUPP, "no zero-copy", "several buffers");
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_SG)));
	CHECK_EQ(info_of(end.socket).zero_copy, 0);
	close_end(&end);
}

/* --- sharing */

TEST(a_chain_is_forwarded_to_another_interface_without_a_touch)
{
	struct xsk_buf bufs[ROOM];
	struct end in, out;
	int from, to;

	make_jumbo_pair(1);
	shell("ip link add xc mtu 9000 numrxqueues 1 numtxqueues 1 type veth "
	      "peer name xd mtu 9000 numrxqueues 1 numtxqueues 1");
	link_up("xc");
	link_up("xd");
	from = stack_open(XB);
	to = stack_open("xd");
	in = open_frags(XA, 4096, 0);
	out.umem = in.umem;
	CHECK_OK(xsk_socket_open(&out.socket, out.umem, "xc", 0, NULL,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_SG)));
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t n;

		stack_send_long(from, i, len_of(i));
		n = receive_some(&in, bufs, ROOM);
		CHECK_EQ(xsk_tx_burst(out.socket, bufs, n), n);
		CHECK_EQ(stack_receive_long(to, i), len_of(i));
	}
	CHECK_EQ(stats_of(in.socket).rx_packets, 2000);
	CHECK_EQ(stats_of(out.socket).tx_packets, 2000);
	while (xsk_tx_pending(out.socket) != 0)
		CHECK(xsk_tx_kick(out.socket, 0) >= 0);
	xsk_socket_destroy(out.socket);
	close_frags(&in);
}

TEST(sockets_of_one_umem_on_two_queues_both_take_long_packets)
{
	struct xsk_port *ports[2] = { NULL, NULL };
	static const char *const names[] = { XA, XB };

	make_jumbo_pair(2);
	for (uint32_t i = 0; i < 2; i++)
		CHECK_OK(xsk_port_open(&ports[i], names[i],
				       &XSK_PORT_PARAMS(.bind_params =
					&XSK_BIND_PARAMS(.flags = XSK_BIND_SG))));
	for (uint32_t queue = 0; queue < 2; queue++) {
		struct end a = { xsk_port_umem(ports[0], queue), xsk_port_socket(ports[0], queue) };
		struct end b = { xsk_port_umem(ports[1], queue), xsk_port_socket(ports[1], queue) };
		struct xsk_buf bufs[ROOM];

		CHECK_EQ(write_chain(&a, bufs, queue, JUMBO, 4096), 3);
		CHECK_EQ(xsk_tx_burst(a.socket, bufs, 3), 3);
		receive_numbers(&b, queue, 1);
		CHECK_EQ(stats_of(b.socket).rx_packets, 1);
	}
	xsk_port_destroy(ports[0]);
	xsk_port_destroy(ports[1]);
}

static void bind_plain_on_queue_1(void)
{
	struct end end = open_end(XA, 1, 0, 0);

	CHECK_EQ(info_of(end.socket).xdp_mode, XSK_MODE_DRV);
	close_end(&end);
}

TEST(a_program_for_long_packets_is_shared_by_sockets_that_take_none)
{
	struct end end;

	make_jumbo_pair(2);
	end = open_frags(XA, 4096, 0);
	bind_plain_on_queue_1();
	run_in_child(bind_plain_on_queue_1);
	close_frags(&end);
}

static void no_long_packets_here(void)
{
	struct end end = { small_umem(), NULL };

	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_FAILS(xsk_socket_bind(end.socket, XA, 1, &XSK_BIND_PARAMS(.flags = XSK_BIND_SG)),
		    -EBUSY, "shared", "without XSK_BIND_SG", "bind a socket with the flag first");
	CHECK_OK(xsk_socket_bind(end.socket, XA, 1, NULL));
	close_end(&end);
}

TEST(a_native_program_for_short_packets_is_not_joined_for_long_ones)
{
	struct end end;

	make_jumbo_pair(2);
	shell("ip link set dev " XA " mtu 1500");
	shell("ip link set dev " XB " mtu 1500");
	end = open_end(XA, 0, 0, XSK_BIND_DRV_MODE);
	no_long_packets_here();
	run_in_child(no_long_packets_here);
	close_end(&end);
}

TEST(a_generic_program_for_short_packets_will_do_for_long_ones)
{
	struct end plain, end;
	int stack;

	make_jumbo_pair(2);
	stack = stack_open(XB);
	plain = open_end(XA, 1, 0, XSK_BIND_SKB_MODE);
	end = open_frags(XA, 2048, 0);
	CHECK_EQ(info_of(end.socket).program_id, info_of(plain.socket).program_id);
	stack_send_long(stack, 1, JUMBO);
	receive_numbers(&end, 1, 1);
	close_frags(&end);
	close_end(&plain);
}

/* --- ring calls: descriptors as they are */

/* So many descriptors are there. */
static void await_descs(struct xsk_socket *socket, uint32_t n)
{
	uint64_t until = now_ms() + 2000;
	uint32_t idx, got;

	while ((got = xsk_rx_peek(socket, n, &idx)) < n && now_ms() < until) {
		xsk_rx_cancel(socket, got);
		nap_ms(1);
	}
	CHECK_EQ(got, n);
	CHECK_EQ(xsk_rx_cancel(socket, n), n);
}

TEST(ring_calls_hand_out_descriptors_as_they_are_and_count_packets)
{
	const struct xdp_desc *run;
	struct xdp_desc descs[8];
	struct end end;
	uint32_t idx;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, 4096, 0);
	for (uint32_t i = 0; i < 6; i++)
		stack_send_long(stack, i, i % 2 ? 64 : JUMBO);
	await_descs(end.socket, 12);

	/* The first packet in two goes: it counts when its last descriptor does. */
	CHECK_EQ(xsk_rx_get(end.socket, descs, 2), 2);
	CHECK_EQ(descs[0].options, XDP_PKT_CONTD);
	CHECK_EQ(descs[1].options, XDP_PKT_CONTD);
	CHECK_EQ(stats_of(end.socket).rx_packets, 0);
	CHECK_EQ(xsk_rx_get(end.socket, descs, 2), 2);
	CHECK_EQ(descs[0].options, 0);
	CHECK_EQ(descs[1].len, 64);
	CHECK_EQ(stats_of(end.socket).rx_packets, 2);
	CHECK_EQ(stats_of(end.socket).rx_bytes, JUMBO + 64);

	CHECK_EQ(xsk_rx_peek(end.socket, 3, &idx), 3);
	CHECK_EQ(xsk_rx_desc(end.socket, idx)->options, XDP_PKT_CONTD);
	CHECK_EQ(xsk_rx_release(end.socket, 1), 1);
	CHECK_EQ(stats_of(end.socket).rx_packets, 2);
	CHECK_EQ(xsk_rx_release(end.socket, 2), 2);
	CHECK_EQ(stats_of(end.socket).rx_packets, 3);

	CHECK_EQ(xsk_rx_next_run(end.socket, 3, &run), 3);
	CHECK_EQ(run[0].len, 64);
	CHECK_EQ(run[1].options, XDP_PKT_CONTD);
	CHECK_EQ(xsk_rx_next_run(end.socket, 2, &run), 2);
	CHECK_EQ(stats_of(end.socket).rx_packets, 4);
	CHECK_EQ(run[0].options, 0);
	CHECK_EQ(xsk_rx_next_run(end.socket, 2, &run), 0);
	CHECK_EQ(stats_of(end.socket).rx_packets, 6);
	CHECK_EQ(stats_of(end.socket).rx_bytes, 3 * (JUMBO + 64));

	for (uint32_t i = 0; i < 2; i++)
		stack_send_long(stack, i, JUMBO);
	await_descs(end.socket, 6);
	CHECK_EQ(xsk_rx_recycle_run(end.socket, 6, &run), 6);
	CHECK_EQ(xsk_rx_recycle_run(end.socket, 6, &run), 0);
	CHECK_EQ(stats_of(end.socket).rx_packets, 8);
	xsk_socket_destroy(end.socket);
	CHECK_OK(xsk_umem_destroy(end.umem));
}

TEST(ring_calls_send_chains_and_count_packets)
{
	struct xsk_buf bufs[3];
	struct xdp_desc descs[3];
	struct end end;
	uint32_t idx;
	int stack;

	make_jumbo_pair(1);
	stack = stack_open(XB);
	end = open_frags(XA, 4096, 0);
	for (uint32_t turn = 0; turn < 2; turn++) {
		CHECK_EQ(write_chain(&end, bufs, turn, JUMBO, 4096), 3);
		for (uint32_t i = 0; i < 3; i++)
			descs[i] = (struct xdp_desc){ bufs[i].addr, bufs[i].len, bufs[i].options };
		if (turn == 0) {
			CHECK_EQ(xsk_tx_put(end.socket, descs, 3), 3);
		} else {
			CHECK_EQ(xsk_tx_reserve(end.socket, 3, &idx), 3);
			for (uint32_t i = 0; i < 3; i++)
				*xsk_tx_desc(end.socket, idx + i) = descs[i];
			CHECK_EQ(xsk_tx_submit(end.socket, 2), 2);
			CHECK_EQ(stats_of(end.socket).tx_packets, 1);
			CHECK_EQ(xsk_tx_submit(end.socket, 1), 1);
		}
		CHECK_EQ(stats_of(end.socket).tx_packets, turn + 1);
		CHECK_EQ(stats_of(end.socket).tx_bytes, (turn + 1) * JUMBO);
		CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
		CHECK_EQ(stack_receive_long(stack, turn), JUMBO);
	}
	xsk_socket_destroy(end.socket);
	CHECK_OK(xsk_umem_destroy(end.umem));
}
