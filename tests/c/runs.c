/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs: batches in the rings themselves, with the kernel at the other side. */
#include "rings.h"

#include "xdp/xsk.h"

/* --- where runs lie */

/* How many of n entries lie in a row behind `done` ones. */
static uint32_t in_a_row(uint32_t done, uint32_t n)
{
	uint32_t row = ring - done % ring;

	return n < row ? n : row;
}

/* Each frame goes through all four rings, in runs that must be where the cursor calls'
 * entries are, and as long as can be. */
static void echo_in_runs(uint32_t done, uint32_t n)
{
	const struct xdp_desc *rx, *rx_ring = xsk_rx_desc(sock, 0);
	struct xdp_desc *tx, *tx_ring = xsk_tx_desc(sock, 0), descs[RING_MAX];
	uint64_t *to, *fill_ring = xsk_fill_addr(sock, 0);
	const uint64_t *comp, *comp_ring = xsk_comp_addr(sock, 0);
	uint32_t k;

	for (uint32_t i = 0; i < n; i += k) {
		k = xsk_rx_peek_run(sock, n - i, &rx);
		CHECK_EQ(k, in_a_row(done + i, n - i));
		CHECK(rx == rx_ring + (done + i) % ring);
		memcpy(descs + i, rx, k * sizeof(*rx));
	}
	CHECK_EQ(xsk_rx_peek_run(sock, n, &rx), 0);
	CHECK(rx == NULL);
	CHECK_EQ(xsk_rx_release(sock, n), n);
	for (uint32_t i = 0; i < n; i++)
		CHECK_EQ(number_of(&descs[i]), done + i);

	for (uint32_t i = 0; i < n; i += k) {
		k = xsk_tx_reserve_run(sock, n - i, &tx);
		CHECK_EQ(k, in_a_row(done + i, n - i));
		CHECK(tx == tx_ring + (done + i) % ring);
		memcpy(tx, descs + i, k * sizeof(*tx));
	}
	CHECK_EQ(xsk_tx_submit(sock, n), n);
	send_out(done, n);

	for (uint32_t i = 0; i < n; i += k) {
		k = xsk_comp_peek_run(sock, n - i, &comp);
		CHECK_EQ(k, in_a_row(done + i, n - i));
		CHECK(comp == comp_ring + (done + i) % ring);
		for (uint32_t j = 0; j < k; j++)
			CHECK_EQ(comp[j], descs[i + j].addr);
	}
	CHECK_EQ(xsk_comp_peek_run(sock, n, &comp), 0);
	CHECK(comp == NULL);
	CHECK_EQ(xsk_comp_release(sock, n), n);

	for (uint32_t i = 0; i < n; i += k) {
		/* The ring was filled once, to the end. */
		k = xsk_fill_reserve_run(sock, n - i, &to);
		CHECK_EQ(k, in_a_row(done + i, n - i));
		CHECK(to == fill_ring + (done + i) % ring);
		for (uint32_t j = 0; j < k; j++)
			to[j] = descs[i + j].addr;
	}
	CHECK_EQ(xsk_fill_reserve_run(sock, n, &to), 0);
	CHECK(to == NULL);
	CHECK_EQ(xsk_fill_submit(sock, n), n);
}

/* From ring to ring: what a run gives goes to the next ring as it lies there. */
static void echo_ring_to_ring(uint32_t done, uint32_t n)
{
	const struct xdp_desc *rx;
	const uint64_t *comp;
	uint32_t k, got = 0;

	while ((k = xsk_rx_next_run(sock, n, &rx)) != 0) {
		CHECK_EQ(k, in_a_row(done + got, n - got));
		for (uint32_t i = 0; i < k; i++)
			CHECK_EQ(number_of(&rx[i]), done + got + i);
		CHECK_EQ(xsk_tx_put(sock, rx, k), k);
		got += k;
	}
	CHECK_EQ(got, n);
	send_out(done, n);
	for (got = 0; (k = xsk_comp_next_run(sock, n, &comp)) != 0; got += k) {
		CHECK_EQ(k, in_a_row(done + got, n - got));
		CHECK_EQ(xsk_fill_put(sock, comp, k), k);
	}
	CHECK_EQ(got, n);
}

static void rounds(void (*echo)(uint32_t done, uint32_t n))
{
	static const uint32_t sizes[] = { 4, 8, 16, 64 };

	make_pair(1);
	stack = stack_open(XB);
	for (uint32_t i = 0; i < COUNT(sizes); i++) {
		uint64_t bytes = 0;
		uint32_t done = 0, n = 1, len = FRAME_LEN;

		open_socket(sizes[i], 0);
		fill(0, ring);
		for (uint32_t round = 0; round < 150; round++) {
			receive(done, n, len);
			echo(done, n);
			done += n;
			bytes += (uint64_t)n * len;
			CHECK_EQ(stats_of(sock).rx_packets, done);
			CHECK_EQ(stats_of(sock).tx_packets, done);
			CHECK_EQ(stats_of(sock).rx_bytes, bytes);
			CHECK_EQ(stats_of(sock).tx_bytes, bytes);
			n = (n * 7 + 3) % ring + 1;
			len = FRAME_LEN + round * 9;
		}
		CHECK(done > 20 * ring);
		tear_down();
	}
}

TEST(runs_end_at_the_ring_s_end_and_keep_order_and_contents)
{
	rounds(echo_in_runs);
}

TEST(runs_are_forwarded_from_ring_to_ring)
{
	rounds(echo_ring_to_ring);
}

TEST(one_recycling_call_a_batch_receives_every_packet_once)
{
	const struct xdp_desc *run;
	uint64_t bytes = 0;
	uint32_t done = 0, sent = 0, got, n = 1, frames = 0;

	set_up(16);
	fill(0, 13);	/* so that the two rings end at different times */
	for (uint32_t round = 0; round < 2000; round++, n = n * 7 % 13 + 1) {
		receive(sent, n, FRAME_LEN + n);
		sent += n;
		bytes += (uint64_t)n * (FRAME_LEN + n);
		while ((got = xsk_rx_recycle_run(sock, 1 + round % ring, &run)) != 0) {
			CHECK(got <= in_a_row(done, ring));
			for (uint32_t i = 0; i < got; i++)
				CHECK_EQ(number_of(&run[i]), done + i);
			done += got;
		}
		CHECK(run == NULL);
		CHECK_EQ(done, sent);
		CHECK_EQ(stats_of(sock).rx_packets, sent);
		CHECK_EQ(stats_of(sock).rx_bytes, bytes);
	}
	/* All frames are still there, each once. */
	receive(sent, 13, FRAME_LEN);
	for (done = 0; (got = xsk_rx_recycle_run(sock, ring, &run)) != 0; done += got)
		for (uint32_t i = 0; i < got; i++)
			frames |= UINT32_C(1) << (run[i].addr / FRAME);
	CHECK_EQ(frames, 0x1fff);
	CHECK_EQ(stats_of(sock).rx_dropped, 0);
	tear_down();
}

/* --- claims, in parts */

TEST(a_run_is_released_in_parts_and_its_rest_by_the_next_call)
{
	const struct xdp_desc *run, *again;
	const uint64_t *comp, *comp_again;
	struct xdp_desc *tx;

	set_up(16);
	fill(0, 16);
	receive(0, 12, FRAME_LEN);
	CHECK_EQ(xsk_rx_peek_run(sock, 8, &run), 8);
	CHECK_EQ(xsk_rx_release(sock, 3), 3);
	CHECK_EQ(stats_of(sock).rx_packets, 3);
	CHECK_EQ(xsk_rx_cancel(sock, 2), 2);
	CHECK_EQ(xsk_rx_peek_run(sock, 1, &again), 1);
	CHECK(again == run + 6 && number_of(again) == 6);
	CHECK_EQ(xsk_rx_next_run(sock, 2, &again), 2);
	CHECK(again == run + 7 && number_of(again) == 7);
	CHECK_EQ(stats_of(sock).rx_packets, 7);
	CHECK_EQ(xsk_rx_next_run(sock, 0, &again), 0);
	CHECK_EQ(stats_of(sock).rx_packets, 9);
	CHECK_EQ(stats_of(sock).rx_bytes, 9 * FRAME_LEN);
	CHECK_EQ(xsk_rx_next_run(sock, 99, &again), 3);
	CHECK_EQ(xsk_rx_release(sock, 99), 3);
	CHECK_EQ(xsk_rx_release(sock, 99), 0);

	CHECK_EQ(xsk_tx_reserve_run(sock, 10, &tx), 10);
	for (uint32_t i = 0; i < 10; i++)
		tx[i] = packet(20 + i, i, FRAME_LEN + i);
	CHECK_EQ(xsk_tx_submit(sock, 2), 2);
	CHECK_EQ(xsk_tx_cancel(sock, 5), 5);
	CHECK_EQ(stats_of(sock).tx_bytes, 2 * FRAME_LEN + 1);
	send_out(0, 2);
	CHECK_EQ(xsk_tx_submit(sock, 99), 3);
	send_out(2, 3);
	CHECK_EQ(stats_of(sock).tx_packets, 5);
	CHECK_EQ(stats_of(sock).tx_bytes, 5 * FRAME_LEN + 10);

	CHECK_EQ(xsk_comp_peek_run(sock, 4, &comp), 4);
	CHECK_EQ(xsk_comp_release(sock, 1), 1);
	CHECK_EQ(xsk_comp_cancel(sock, 1), 1);
	CHECK_EQ(xsk_comp_next_run(sock, 99, &comp_again), 2);
	CHECK(comp_again == comp + 3 && *comp_again == 23 * FRAME);
	CHECK_EQ(xsk_comp_next_run(sock, 0, &comp_again), 0);
	CHECK_EQ(xsk_comp_next_run(sock, 99, &comp_again), 0);
	tear_down();
}

TEST(recycling_gives_nothing_back_while_the_fill_ring_has_not_room_for_all)
{
	const struct xdp_desc *run, *untouched = (void *)&stack;
	uint64_t *to;
	uint32_t idx;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = 64, .frame_size = FRAME)));
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, &XSK_SOCKET_PARAMS(
			.rx_size = 16, .fill_size = 4), NULL));
	fill(0, 4);
	receive(0, 4, FRAME_LEN);
	CHECK_EQ(xsk_rx_recycle_run(sock, 4, &run), 4);
	fill(4, 4);	/* full */
	CHECK_EQ(xsk_rx_recycle_run(sock, 4, &untouched), 0);
	CHECK(untouched == (void *)&stack);
	for (uint32_t i = 4; i < 7; i++) {
		/* Room for one, two, three: not for all. */
		stack_send(stack, i);
		WAIT_FOR(xsk_rx_cancel(sock, xsk_rx_peek(sock, 9, &idx)) == i - 3, 1000);
		CHECK_EQ(xsk_rx_recycle_run(sock, 4, &untouched), 0);
	}
	CHECK_EQ(stats_of(sock).rx_packets, 0);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(run[i].addr / FRAME == i && number_of(&run[i]) == i);
	stack_send(stack, 7);
	WAIT_FOR(xsk_rx_cancel(sock, xsk_rx_peek(sock, 9, &idx)) == 4, 1000);

	/* Room for all, but somebody is at work there. */
	CHECK_EQ(xsk_fill_reserve_run(sock, 1, &to), 1);
	CHECK_EQ(xsk_rx_recycle_run(sock, 4, &untouched), 0);
	CHECK_EQ(xsk_fill_cancel(sock, 1), 1);

	CHECK_EQ(xsk_rx_recycle_run(sock, 4, &run), 4);
	CHECK_EQ(stats_of(sock).rx_packets, 4);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(run[i].addr / FRAME == 4 + i && number_of(&run[i]) == 4 + i);
	/* The kernel has the first four frames again: full. */
	CHECK_EQ(xsk_rx_recycle_run(sock, 4, &untouched), 0);
	CHECK_EQ(xsk_rx_release(sock, 4), 4);
	receive(8, 4, FRAME_LEN);
	CHECK_EQ(xsk_rx_recycle_run(sock, 4, &run), 4);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(run[i].addr / FRAME == i && number_of(&run[i]) == 8 + i);
	CHECK_EQ(xsk_rx_recycle_run(sock, 4, &run), 0);
	CHECK(run == NULL);
	CHECK_EQ(stats_of(sock).rx_packets, 12);
	tear_down();
}

TEST(packets_of_one_length_are_sent_from_addresses_across_the_ring_s_end)
{
	uint64_t addrs[RING_MAX];
	const uint64_t *comp;
	uint64_t bytes = 0;
	uint32_t sent = 0, idx, n = 1;

	set_up(32);
	for (uint32_t i = 0; i < 64; i++)
		addrs[i] = (uint64_t)(i + 1) * FRAME;
	for (uint32_t round = 0; round < 200; round++, n = n * 5 % 31 + 1) {
		uint32_t len = FRAME_LEN + round, got = 0, k;

		for (uint32_t i = 0; i < n; i++)
			packet(i + 1, sent + i, len);
		CHECK_EQ(xsk_tx_put_addrs(sock, addrs, n, len), n);
		send_out(sent, n);
		sent += n;
		bytes += (uint64_t)n * len;
		CHECK_EQ(stats_of(sock).tx_packets, sent);
		CHECK_EQ(stats_of(sock).tx_bytes, bytes);
		for (; (k = xsk_comp_next_run(sock, n, &comp)) != 0; got += k)
			CHECK(memcmp(comp, addrs + got, k * sizeof(*comp)) == 0);
		CHECK_EQ(got, n);
	}
	CHECK_EQ(stats_of(sock).tx_invalid_descs, 0);

	CHECK_EQ(xsk_tx_reserve(sock, 1, &idx), 1);
	CHECK_EQ(xsk_tx_put_addrs(sock, addrs, 4, FRAME_LEN), 0);
	CHECK_EQ(xsk_tx_cancel(sock, 1), 1);
	for (uint32_t i = 0; i < 32; i++)
		packet(i + 1, i, FRAME_LEN);
	CHECK_EQ(xsk_tx_put_addrs(sock, addrs, 64, FRAME_LEN), 32);
	CHECK_EQ(xsk_tx_put_addrs(sock, addrs, 64, FRAME_LEN), 0);
	send_out(0, 32);

	/* And again, as the completion ring has them. */
	while ((n = xsk_comp_next_run(sock, 64, &comp)) != 0)
		CHECK_EQ(xsk_tx_put_addrs(sock, comp, n, FRAME_LEN), n);
	send_out(0, 32);
	tear_down();
}

/* --- absent rings */

TEST(a_socket_that_only_sends_has_no_runs_of_received_packets)
{
	const struct xdp_desc *run;
	struct xdp_desc *tx;
	uint64_t *to;

	make_pair(1);
	stack = stack_open(XB);
	open_socket(16, XSK_SOCKET_TX_ONLY);
	CHECK(xsk_socket_rx_ring(sock) == NULL);
	run = (void *)&stack;
	CHECK(xsk_rx_peek_run(sock, 4, &run) == 0 && run == NULL);
	run = (void *)&stack;
	CHECK(xsk_rx_next_run(sock, 4, &run) == 0 && run == NULL);
	run = (void *)&stack;
	CHECK(xsk_rx_recycle_run(sock, 4, &run) == 0 && run == NULL);
	/* A fill ring the kernel wants of every socket. */
	CHECK_EQ(xsk_socket_fill_ring(sock)->size, 1);
	CHECK_EQ(xsk_fill_reserve_run(sock, 4, &to), 1);
	CHECK_EQ(xsk_fill_cancel(sock, 4), 1);
	CHECK_EQ(xsk_tx_reserve_run(sock, 4, &tx), 4);
	for (uint32_t i = 0; i < 4; i++)
		tx[i] = packet(i, i, FRAME_LEN);
	CHECK_EQ(xsk_tx_submit(sock, 4), 4);
	send_out(0, 4);
	tear_down();
}

TEST(a_socket_that_only_receives_has_no_runs_to_send)
{
	const struct xdp_desc *run;
	struct xdp_desc *tx = (void *)&stack;
	const uint64_t *comp;
	uint64_t addr = 0;

	make_pair(1);
	stack = stack_open(XB);
	open_socket(16, XSK_SOCKET_RX_ONLY);
	CHECK(xsk_socket_tx_ring(sock) == NULL);
	CHECK(xsk_tx_reserve_run(sock, 4, &tx) == 0 && tx == NULL);
	CHECK_EQ(xsk_tx_put_addrs(sock, &addr, 1, FRAME_LEN), 0);
	CHECK_EQ(xsk_socket_comp_ring(sock)->size, 1);
	CHECK(xsk_comp_peek_run(sock, 4, &comp) == 0 && comp == NULL);
	CHECK(xsk_comp_next_run(sock, 4, &comp) == 0 && comp == NULL);
	fill(0, 4);
	receive(0, 4, FRAME_LEN);
	CHECK_EQ(xsk_rx_recycle_run(sock, 9, &run), 4);
	CHECK_EQ(number_of(run + 3), 3);
	tear_down();
}
