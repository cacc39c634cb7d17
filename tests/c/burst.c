/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packet calls: many packets, few frames, buffers that are refused, and every frame
 * accounted for. */
#include "net.h"

#define BURST 32
#define IN_FLIGHT 128	/* veth drops what is above 256 */

/* One way of the traffic. */
struct stream {
	struct end *from, *to;
	uint32_t sent, received;
};

static void push(struct stream *stream, uint32_t total)
{
	struct xsk_buf bufs[BURST];
	uint32_t n = total - stream->sent, done = 0;

	if (n > BURST)
		n = BURST;
	if (stream->sent - stream->received > IN_FLIGHT - BURST)
		return;
	n = xsk_buf_alloc(stream->from->socket, bufs, n);
	for (uint32_t i = 0; i < n; i++)
		bufs[i].len = write_frame(bufs[i].data, stream->sent + i, FRAME_LEN + i);
	while (done < n) {
		int taken = xsk_tx_burst(stream->from->socket, bufs + done, n - done);

		CHECK(taken >= 0);
		done += (uint32_t)taken;
	}
	stream->sent += n;
}

static void pull(struct stream *stream)
{
	struct xsk_buf bufs[BURST];
	int n = xsk_rx_burst(stream->to->socket, bufs, BURST);

	CHECK(n >= 0);
	for (int i = 0; i < n; i++) {
		/* In order, so none is lost and none comes twice. */
		CHECK_EQ(read_frame(bufs[i].data, bufs[i].len), stream->received);
		CHECK_EQ(bufs[i].options, 0);
		stream->received++;
	}
	CHECK_EQ(xsk_buf_free(stream->to->socket, bufs, (uint32_t)n), n);
}

static void move_both_ways(struct end *a, struct end *b, uint32_t total)
{
	struct stream there = { a, b, 0, 0 }, back = { b, a, 0, 0 };
	uint64_t until = now_ms() + (CASE_SECONDS - 10) * 1000;

	while (there.received < total || back.received < total) {
		push(&there, total);
		push(&back, total);
		pull(&there);
		pull(&back);
		if (now_ms() >= until)
			FAIL("of %u packets %u of %u sent and %u of %u came", total, there.received,
			     there.sent, back.received, back.sent);
	}
	pull(&there);
	pull(&back);
	CHECK_EQ(there.received, total);
	CHECK_EQ(back.received, total);
}

static void all_frames_come_back(struct end *end)
{
	struct xsk_umem_info info = umem_info_of(end->umem);

	xsk_socket_destroy(end->socket);
	CHECK_EQ(umem_info_of(end->umem).free_frames, info.frame_count);
	CHECK_OK(xsk_umem_destroy(end->umem));
}

/* While the socket lives: what can be had, what the kernel has, what caches may hold. */
static void no_frame_is_missing(struct end *end, uint32_t posted)
{
	struct xsk_umem_info info = umem_info_of(end->umem);
	struct xsk_buf *bufs = calloc(info.frame_count, sizeof(*bufs));
	uint32_t cache = info.frame_count / 16 > 2 ? info.frame_count / 16 : 2;
	uint32_t n = xsk_buf_alloc(end->socket, bufs, info.frame_count);

	CHECK_EQ(umem_info_of(end->umem).free_frames, 0);
	CHECK_WITHIN(n, info.frame_count - posted - cache, info.frame_count - posted);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			CHECK(bufs[i].addr != bufs[j].addr);
	CHECK_EQ(xsk_buf_free(end->socket, bufs, n), n);
	free(bufs);
}

TEST(a_flood_of_packets_goes_both_ways_in_order_and_every_frame_comes_back)
{
	const uint32_t packets = slow() ? 20000 : 500000;
	struct end a, b;

	make_pair(1);
	a = open_end(XA, 0, 0, 0);
	b = open_end(XB, 0, 0, 0);
	move_both_ways(&a, &b, packets);
	CHECK_EQ(stats_of(a.socket).tx_packets, packets);
	CHECK_EQ(stats_of(b.socket).rx_packets, packets);
	CHECK_EQ(stats_of(b.socket).rx_dropped, 0);
	no_frame_is_missing(&a, 256);
	no_frame_is_missing(&b, 256);
	all_frames_come_back(&a);
	all_frames_come_back(&b);
}

/* Generic mode queues packets on the CPU that sends them: one who moves to another may
 * overtake itself. */
static void stay_on_this_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
}

TEST(packets_go_both_ways_in_generic_mode)
{
	struct end a, b;

	stay_on_this_cpu();
	make_pair(1);
	a = open_end(XA, 0, 0, XSK_BIND_SKB_MODE);
	b = open_end(XB, 0, 0, XSK_BIND_SKB_MODE);
	move_both_ways(&a, &b, slow() ? 5000 : 50000);
	all_frames_come_back(&a);
	all_frames_come_back(&b);
}

/* Rings have 2048 entries, more than there are frames. */
static void few_frames(uint32_t count)
{
	struct end ends[2];
	const char *const names[] = { XA, XB };

	make_pair(1);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_OK(xsk_umem_create(&ends[i].umem, &XSK_UMEM_PARAMS(.frame_count = count)));
		CHECK_OK(xsk_socket_open(&ends[i].socket, ends[i].umem, names[i], 0, NULL, NULL));
		CHECK_EQ(xsk_rx_burst(ends[i].socket, NULL, 0), 0);
	}
	for (uint32_t i = 0; i < 500; i++) {
		end_send(&ends[0], i);
		CHECK_EQ(end_receive(&ends[1], 1000), i);
		end_send(&ends[1], i);
		CHECK_EQ(end_receive(&ends[0], 1000), i);
	}
	all_frames_come_back(&ends[0]);
	all_frames_come_back(&ends[1]);
}

TEST(sixteen_frames_serve_both_ways)
{
	few_frames(16);
}

TEST(eight_frames_serve_both_ways)
{
	few_frames(8);
}

TEST(a_header_is_prepended_into_the_headroom_of_what_was_received)
{
	struct xsk_umem_info info;
	struct xsk_buf buf;
	struct end end;
	uint8_t *data;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(.headroom = 64)));
	info = umem_info_of(end.umem);
	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0, NULL, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	stack_send_len(stack, 5, 200);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
	CHECK_EQ(xsk_rx_burst(end.socket, &buf, 1), 1);
	data = buf.data;
	CHECK(data == (uint8_t *)info.memory + buf.addr);
	CHECK_EQ(buf.addr % info.frame_size, 64 + 256);
	/* The whole headroom, and the kernel's, are the program's to write to. */
	data -= 64 + 256;
	buf.data = data;
	buf.len = write_frame(data, 6, 64 + 256 + 200);
	CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
	CHECK_EQ(stack_receive(stack, 1000), 6);
	all_frames_come_back(&end);
}

TEST(a_received_packet_is_stripped_of_its_head_and_forwarded)
{
	struct xsk_buf buf;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	stack_send_len(stack, 5, 200);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
	CHECK_EQ(xsk_rx_burst(end.socket, &buf, 1), 1);
	CHECK_EQ(buf.len, 200);
	buf.data = (uint8_t *)buf.data + 100;
	buf.len = write_frame(buf.data, 7, 100);
	CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
	CHECK_EQ(stack_receive(stack, 1000), 7);
	all_frames_come_back(&end);
}

TEST(a_buffer_of_xsk_buf_alloc_has_the_frame_but_for_the_headroom)
{
	struct xsk_umem_info info;
	struct xsk_buf buf;
	struct end end;

	CHECK_OK(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(.headroom = 100, .frame_size = 2048)));
	info = umem_info_of(end.umem);
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_buf_alloc(end.socket, &buf, 1), 1);
	CHECK_EQ(buf.addr % 2048, 100);
	CHECK_EQ(buf.len, 1948);
	CHECK(buf.data == (uint8_t *)info.memory + buf.addr);
	CHECK_EQ(buf.options, 0);
	CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 1);
	all_frames_come_back(&end);
}

TEST(buffers_that_cannot_be_sent_are_refused_with_the_reason)
{
	struct xsk_buf good, bad;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	CHECK_EQ(xsk_buf_alloc(end.socket, &good, 1), 1);
	good.len = write_frame(good.data, 1, FRAME_LEN);

	bad = good;
	bad.addr = 512 * 2048;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "outside the UMEM");
	bad.addr = UINT64_MAX;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "outside the UMEM");
	bad = good;
	bad.len = 2049;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "2049", "do not fit");
	bad.len = UINT32_MAX;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "do not fit");
	bad = good;
	bad.data = (uint8_t *)good.data + 2000;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "2000", "do not fit");
	bad.data = (uint8_t *)good.data - 1;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "-1", "do not fit");
	bad.data = NULL;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "do not fit");
	bad = good;
	bad.len = 0;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "0 bytes");
	bad = good;
	bad.options = 1 << 7;
	CHECK_FAILS(xsk_tx_burst(end.socket, &bad, 1), -EINVAL, "options 0x80");

	/* Nothing of that was sent, and the good one still can be. */
	CHECK_EQ(stack_receive(stack, 10), -1);
	CHECK_EQ(xsk_tx_burst(end.socket, &good, 1), 1);
	CHECK_EQ(stack_receive(stack, 1000), 1);
	all_frames_come_back(&end);
}

TEST(the_packets_before_a_bad_one_are_sent)
{
	struct xsk_buf bufs[4];
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	CHECK_EQ(xsk_buf_alloc(end.socket, bufs, 4), 4);
	for (uint32_t i = 0; i < 4; i++)
		bufs[i].len = write_frame(bufs[i].data, i, FRAME_LEN);
	bufs[2].len = 0;
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 4), 2);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs + 2, 2), -EINVAL, "0 bytes");
	CHECK_EQ(stack_receive(stack, 1000), 0);
	CHECK_EQ(stack_receive(stack, 1000), 1);
	CHECK_EQ(stack_receive(stack, 10), -1);
	CHECK_EQ(xsk_buf_free(end.socket, bufs + 2, 2), 2);
	all_frames_come_back(&end);
}

TEST(a_buffer_that_is_on_its_way_is_not_sent_again)
{
	struct xsk_buf bufs[2];
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	link_down(XA);
	CHECK_EQ(xsk_buf_alloc(end.socket, bufs, 1), 1);
	bufs[0].len = write_frame(bufs[0].data, 3, FRAME_LEN);
	bufs[1] = bufs[0];
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 2), 1);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs, 1), -EINVAL, "on its way");
	link_up(XA);
	CHECK_EQ(xsk_tx_burst(end.socket, NULL, 0), 0);
	CHECK_EQ(stack_receive(stack, 1000), 3);
	CHECK_EQ(stack_receive(stack, 10), -1);
	all_frames_come_back(&end);
}

/* Eight frames are in the fill ring: who frees one of them is refused. */
TEST(a_frame_that_waits_for_a_packet_cannot_be_freed)
{
	struct xsk_buf bufs[16], buf = { .len = 1 };
	uint32_t n, refused = 0;
	struct end end;

	CHECK_OK(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(.frame_count = 16)));
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	n = xsk_buf_alloc(end.socket, bufs, 16);
	CHECK_WITHIN(n, 6, 8);
	for (uint32_t frame = 0; frame < 16; frame++) {
		uint32_t ours = 0;

		for (uint32_t i = 0; i < n; i++)
			ours |= bufs[i].addr / 4096 == frame;
		buf.addr = frame * 4096;
		if (!ours)
			refused += !xsk_buf_free(end.socket, &buf, 1);
	}
	CHECK_WITHIN(refused, 8, 10);
	buf.addr = 16 * 4096;
	CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 0);
	xsk_socket_destroy(end.socket);
	CHECK_OK(xsk_umem_destroy(end.umem));
}

TEST(a_full_ring_takes_part_of_a_burst_and_all_frames_come_back_while_the_link_is_down)
{
	struct xsk_buf bufs[300];
	uint64_t addrs[300];
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, XSK_SOCKET_TX_ONLY, 0);	/* a ring of 256 */
	CHECK_EQ(xsk_buf_alloc(end.socket, bufs, 300), 300);
	for (uint32_t i = 0; i < 300; i++) {
		bufs[i].len = write_frame(bufs[i].data, i, FRAME_LEN);
		addrs[i] = bufs[i].addr;
	}
	link_down(XA);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 300), 256);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs + 256, 44), -ENETDOWN, "down");
	xsk_socket_destroy(end.socket);
	CHECK_EQ(umem_info_of(end.umem).free_frames, 512 - 44);
	CHECK_EQ(xsk_umem_free(end.umem, addrs + 256, 44), 44);
	CHECK_EQ(umem_info_of(end.umem).free_frames, 512);
	CHECK_OK(xsk_umem_destroy(end.umem));
}

TEST(a_burst_larger_than_the_ring_is_taken_as_far_as_the_kernel_sends)
{
	struct xsk_buf bufs[512];
	uint32_t n = 0;
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK_EQ(xsk_buf_alloc(end.socket, bufs, 512), 512);
	for (uint32_t i = 0; i < 512; i++)
		bufs[i].len = write_frame(bufs[i].data, i, FRAME_LEN);
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 512), 512);
	/* All frames are sent, so all can be had again. */
	WAIT_FOR((n += xsk_buf_alloc(end.socket, bufs + n, 512 - n)) == 512, 1000);
	CHECK_EQ(xsk_buf_alloc(end.socket, bufs, 1), 0);
	xsk_socket_destroy(end.socket);
	CHECK_EQ(umem_info_of(end.umem).free_frames, 0);
	CHECK_OK(xsk_umem_destroy(end.umem));
}

TEST(packet_calls_are_refused_while_entries_of_ring_calls_are_open)
{
	struct xsk_buf buf;
	struct end end;
	uint32_t idx;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	CHECK_EQ(xsk_tx_reserve(end.socket, 1, &idx), 1);
	CHECK_FAILS(xsk_tx_burst(end.socket, NULL, 0), -EBUSY, "reserved");
	CHECK_EQ(xsk_tx_cancel(end.socket, 1), 1);
	CHECK_EQ(xsk_tx_burst(end.socket, NULL, 0), 0);
	end_send(&end, 1);
	WAIT_FOR(xsk_comp_peek(end.socket, 1, &idx) == 1, 1000);
	CHECK_FAILS(xsk_tx_burst(end.socket, NULL, 0), -EBUSY, "peeked");
	CHECK_EQ(xsk_comp_cancel(end.socket, 1), 1);
	CHECK_EQ(xsk_tx_burst(end.socket, NULL, 0), 0);
	stack_send(stack_open(XB), 1);
	WAIT_FOR(xsk_rx_peek(end.socket, 1, &idx) == 1, 1000);
	CHECK_FAILS(xsk_rx_burst(end.socket, &buf, 1), -EBUSY, "peeked");
	CHECK_EQ(xsk_rx_cancel(end.socket, 1), 1);
	CHECK_EQ(xsk_rx_burst(end.socket, &buf, 1), 1);
	CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 1);
	all_frames_come_back(&end);
}
