/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cursor and batch calls on the four rings, with the kernel at the other side. */
#include "rings.h"

#define RING 64

TEST(reserved_tx_entries_are_submitted_from_the_oldest_and_cancelled_from_the_newest)
{
	uint32_t idx, again;

	set_up(RING);
	CHECK_EQ(xsk_tx_reserve(sock, 10, &idx), 10);
	for (uint32_t i = 0; i < 10; i++)
		*xsk_tx_desc(sock, idx + i) = packet(i, i, FRAME_LEN);
	CHECK_EQ(xsk_tx_cancel(sock, 4), 4);
	CHECK_EQ(xsk_tx_submit(sock, 2), 2);
	CHECK_EQ(xsk_tx_kick(sock, 0), XSK_KICK_DONE);
	CHECK_EQ(stack_receive(stack, 1000), 0);
	CHECK_EQ(stack_receive(stack, 1000), 1);
	CHECK_EQ(stack_receive(stack, 20), -1);
	CHECK_EQ(xsk_tx_submit(sock, 100), 4);
	CHECK_EQ(xsk_tx_submit(sock, 100), 0);
	CHECK_EQ(xsk_tx_cancel(sock, 100), 0);
	CHECK_EQ(xsk_tx_kick(sock, 0), XSK_KICK_DONE);
	for (uint32_t i = 2; i < 6; i++)
		CHECK_EQ(stack_receive(stack, 1000), i);
	CHECK_EQ(stack_receive(stack, 20), -1);
	CHECK_EQ(xsk_tx_reserve(sock, 1, &again), 1);
	CHECK_EQ(again, idx + 6);
	CHECK_EQ(xsk_tx_cancel(sock, 1), 1);
	tear_down();
}

TEST(peeked_rx_entries_are_released_from_the_oldest_and_cancelled_from_the_newest)
{
	uint32_t idx, again;

	set_up(RING);
	fill(0, 8);
	for (uint32_t i = 0; i < 6; i++)
		stack_send(stack, i);
	await_rx(6);
	CHECK_EQ(xsk_rx_peek(sock, 4, &idx), 4);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(number_of(xsk_rx_desc(sock, idx + i)), i);
	CHECK_EQ(xsk_rx_cancel(sock, 2), 2);
	CHECK_EQ(xsk_rx_release(sock, 5), 2);
	CHECK_EQ(xsk_rx_release(sock, 5), 0);
	CHECK_EQ(xsk_rx_peek(sock, 10, &again), 4);
	CHECK_EQ(again, idx + 2);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(number_of(xsk_rx_desc(sock, again + i)), i + 2);
	CHECK_EQ(xsk_rx_release(sock, 4), 4);
	CHECK_EQ(xsk_rx_peek(sock, 10, &again), 0);
	tear_down();
}

TEST(the_kernel_gets_the_fill_entries_that_are_submitted_and_not_those_cancelled)
{
	uint32_t idx, rx;

	set_up(RING);
	CHECK_EQ(xsk_fill_reserve(sock, 5, &idx), 5);
	for (uint32_t i = 0; i < 5; i++)
		*xsk_fill_addr(sock, idx + i) = (uint64_t)(40 + i) * FRAME;
	CHECK_EQ(xsk_fill_cancel(sock, 2), 2);
	CHECK_EQ(xsk_fill_submit(sock, 99), 3);
	CHECK_EQ(xsk_rx_kick(sock, 0), XSK_KICK_DONE);
	for (uint32_t i = 0; i < 5; i++)
		stack_send(stack, i);
	await_rx(3);
	CHECK_EQ(xsk_rx_peek(sock, 99, &rx), 3);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK_EQ(xsk_rx_desc(sock, rx + i)->addr / FRAME, 40 + i);
		CHECK_EQ(number_of(xsk_rx_desc(sock, rx + i)), i);
	}
	CHECK_EQ(xsk_rx_release(sock, 3), 3);
	tear_down();
}

TEST(peeked_completions_are_released_from_the_oldest_and_cancelled_from_the_newest)
{
	struct xdp_desc descs[6];
	uint32_t idx, again;

	set_up(RING);
	for (uint32_t i = 0; i < 6; i++)
		descs[i] = packet(10 + i, i, FRAME_LEN);
	CHECK_EQ(xsk_tx_put(sock, descs, 6), 6);
	CHECK_EQ(xsk_tx_kick(sock, 0), XSK_KICK_DONE);
	WAIT_FOR(xsk_comp_peek(sock, 6, &idx) == 6 || (xsk_comp_cancel(sock, 6), 0), 1000);
	CHECK_EQ(xsk_comp_cancel(sock, 4), 4);
	CHECK_EQ(xsk_comp_release(sock, 1), 1);
	CHECK_EQ(xsk_comp_peek(sock, 99, &again), 4);
	CHECK_EQ(again, idx + 2);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(*xsk_comp_addr(sock, again + i), descs[i + 2].addr);
	CHECK_EQ(xsk_comp_release(sock, 99), 5);
	CHECK_EQ(xsk_comp_peek(sock, 99, &again), 0);
	tear_down();
}

TEST(put_is_refused_while_a_reservation_is_open)
{
	struct xdp_desc desc;
	uint64_t addr = 0;
	uint32_t idx;

	set_up(RING);
	desc = packet(1, 1, FRAME_LEN);
	CHECK_EQ(xsk_tx_reserve(sock, 2, &idx), 2);
	CHECK_EQ(xsk_tx_put(sock, &desc, 1), 0);
	CHECK_EQ(xsk_tx_cancel(sock, 1), 1);
	CHECK_EQ(xsk_tx_put(sock, &desc, 1), 0);
	CHECK_EQ(xsk_tx_cancel(sock, 1), 1);
	CHECK_EQ(xsk_tx_put(sock, &desc, 1), 1);
	CHECK_EQ(xsk_fill_reserve(sock, 1, &idx), 1);
	CHECK_EQ(xsk_fill_put(sock, &addr, 1), 0);
	*xsk_fill_addr(sock, idx) = FRAME;
	CHECK_EQ(xsk_fill_submit(sock, 1), 1);
	CHECK_EQ(xsk_fill_put(sock, &addr, 1), 1);
	tear_down();
}

TEST(get_is_refused_while_peeked_entries_are_open)
{
	struct xdp_desc desc, got[4];
	uint64_t addrs[4];
	uint32_t idx;

	set_up(RING);
	fill(0, 4);
	stack_send(stack, 5);
	stack_send(stack, 6);
	await_rx(2);
	CHECK_EQ(xsk_rx_peek(sock, 1, &idx), 1);
	CHECK_EQ(xsk_rx_get(sock, got, 4), 0);
	CHECK_EQ(xsk_rx_release(sock, 1), 1);
	CHECK_EQ(xsk_rx_get(sock, got, 4), 1);
	CHECK_EQ(number_of(got), 6);
	desc = packet(9, 9, FRAME_LEN);
	CHECK_EQ(xsk_tx_put(sock, &desc, 1), 1);
	CHECK_EQ(xsk_tx_kick(sock, 0), XSK_KICK_DONE);
	CHECK_EQ(stack_receive(stack, 1000), 9);
	WAIT_FOR(xsk_comp_peek(sock, 1, &idx) == 1, 1000);
	CHECK_EQ(xsk_comp_get(sock, addrs, 4), 0);
	CHECK_EQ(xsk_comp_cancel(sock, 1), 1);
	CHECK_EQ(xsk_comp_get(sock, addrs, 4), 1);
	CHECK_EQ(addrs[0], desc.addr);
	tear_down();
}

TEST(a_full_tx_ring_has_no_room_until_the_kernel_has_sent)
{
	struct xdp_desc descs[RING + 10];
	uint32_t idx;

	set_up(RING);
	for (uint32_t i = 0; i < COUNT(descs); i++)
		descs[i] = packet(i, i, FRAME_LEN);
	CHECK_EQ(xsk_tx_put(sock, descs, COUNT(descs)), RING);
	CHECK_EQ(xsk_tx_put(sock, descs, 1), 0);
	CHECK_EQ(xsk_tx_reserve(sock, 1, &idx), 0);
	for (int kicks = 0; xsk_tx_kick(sock, 0) == XSK_KICK_AGAIN; kicks++)
		CHECK(kicks < 10);
	for (uint32_t i = 0; i < RING; i++)
		CHECK_EQ(stack_receive(stack, 1000), i);
	CHECK_EQ(xsk_tx_reserve(sock, UINT32_MAX, &idx), RING);
	CHECK_EQ(xsk_tx_reserve(sock, 1, &idx), 0);
	CHECK_EQ(xsk_tx_cancel(sock, UINT32_MAX), RING);
	tear_down();
}

TEST(a_full_fill_ring_has_no_room_until_the_kernel_has_received)
{
	uint64_t addr = 100 * FRAME;
	uint32_t idx;

	set_up(RING);
	fill(0, RING);
	CHECK_EQ(xsk_fill_put(sock, &addr, 1), 0);
	CHECK_EQ(xsk_fill_reserve(sock, 1, &idx), 0);
	stack_send(stack, 1);
	await_rx(1);
	CHECK_EQ(xsk_fill_put(sock, &addr, 1), 1);
	tear_down();
}

TEST(empty_rings_give_nothing_and_asking_for_none_gives_none)
{
	struct xdp_desc descs[4];
	uint64_t addrs[4] = { 0 };
	uint32_t idx;

	set_up(RING);
	CHECK_EQ(xsk_rx_peek(sock, 4, &idx), 0);
	CHECK_EQ(xsk_rx_get(sock, descs, 4), 0);
	CHECK_EQ(xsk_rx_release(sock, 4), 0);
	CHECK_EQ(xsk_rx_cancel(sock, 4), 0);
	CHECK_EQ(xsk_comp_peek(sock, 4, &idx), 0);
	CHECK_EQ(xsk_comp_get(sock, addrs, 4), 0);
	CHECK_EQ(xsk_comp_release(sock, 4), 0);
	CHECK_EQ(xsk_comp_cancel(sock, 4), 0);
	CHECK_EQ(xsk_tx_reserve(sock, 0, &idx), 0);
	CHECK_EQ(xsk_tx_put(sock, descs, 0), 0);
	CHECK_EQ(xsk_tx_submit(sock, 4), 0);
	CHECK_EQ(xsk_fill_reserve(sock, 0, &idx), 0);
	CHECK_EQ(xsk_fill_put(sock, addrs, 0), 0);
	CHECK_EQ(xsk_fill_submit(sock, 4), 0);
	CHECK_EQ(xsk_fill_cancel(sock, 4), 0);
	tear_down();
}

TEST(an_index_is_taken_modulo_the_size_of_the_ring)
{
	set_up(RING);
	CHECK(xsk_rx_desc(sock, 5) == xsk_rx_desc(sock, 5 + RING));
	CHECK(xsk_rx_desc(sock, UINT32_MAX) == xsk_rx_desc(sock, RING - 1));
	CHECK(xsk_rx_desc(sock, 6) == xsk_rx_desc(sock, 5) + 1);
	CHECK(xsk_tx_desc(sock, 5) == xsk_tx_desc(sock, 5 + 1000 * RING));
	CHECK(xsk_tx_desc(sock, UINT32_MAX) == xsk_tx_desc(sock, 0) + RING - 1);
	CHECK(xsk_fill_addr(sock, 3) == xsk_fill_addr(sock, 3 + RING));
	CHECK(xsk_comp_addr(sock, UINT32_MAX) == xsk_comp_addr(sock, 0) + RING - 1);
	tear_down();
}

/* One kick moves the kernel's budget only: all of this ring, or 16 on Linux 5.10. */
static void kick_until_done(void)
{
	for (uint32_t kicks = 0; xsk_kick(sock, 0) != XSK_KICK_DONE; kicks++)
		CHECK(kicks < RING / 16);
}

/* From the stack to the socket and back, each frame through all four rings. */
static void echo_with_cursor_calls(uint32_t n)
{
	uint32_t rx, tx, comp, fill_idx;

	await_rx(n);
	CHECK_EQ(xsk_rx_peek(sock, n, &rx), n);
	CHECK_EQ(xsk_tx_reserve(sock, n, &tx), n);
	for (uint32_t i = 0; i < n; i++)
		*xsk_tx_desc(sock, tx + i) = *xsk_rx_desc(sock, rx + i);
	CHECK_EQ(xsk_rx_release(sock, n), n);
	CHECK_EQ(xsk_tx_submit(sock, n), n);
	kick_until_done();
	WAIT_FOR(xsk_comp_peek(sock, n, &comp) == n || (xsk_comp_cancel(sock, n), 0), 1000);
	CHECK_EQ(xsk_fill_reserve(sock, n, &fill_idx), n);
	for (uint32_t i = 0; i < n; i++)
		*xsk_fill_addr(sock, fill_idx + i) = *xsk_comp_addr(sock, comp + i);
	CHECK_EQ(xsk_comp_release(sock, n), n);
	CHECK_EQ(xsk_fill_submit(sock, n), n);
}

static void echo_with_batch_calls(uint32_t n)
{
	struct xdp_desc descs[RING];
	uint64_t addrs[RING];

	await_rx(n);
	CHECK_EQ(xsk_rx_get(sock, descs, RING), n);
	CHECK_EQ(xsk_tx_put(sock, descs, n), n);
	kick_until_done();
	for (uint32_t done = 0; done < n;) {
		uint32_t got = xsk_comp_get(sock, addrs, n - done);

		CHECK_EQ(xsk_fill_put(sock, addrs, got), got);
		done += got;
	}
}

static void wrap(void (*echo)(uint32_t n))
{
	uint32_t sent = 0, size = 1;

	set_up(RING);
	fill(0, RING);
	/* Batches of 1 to 29, so that they cross the end of the ring everywhere. */
	for (uint32_t round = 0; round < 200; round++, size = size * 7 % 29 + 1) {
		for (uint32_t i = 0; i < size; i++)
			stack_send(stack, sent + i);
		echo(size);
		for (uint32_t i = 0; i < size; i++)
			CHECK_EQ(stack_receive(stack, 1000), sent + i);
		sent += size;
	}
	CHECK(sent > 20 * RING);
	CHECK_EQ(stats_of(sock).rx_packets, sent);
	CHECK_EQ(stats_of(sock).tx_packets, sent);
	tear_down();
}

TEST(cursor_calls_keep_order_and_contents_across_the_end_of_all_four_rings)
{
	wrap(echo_with_cursor_calls);
}

TEST(batch_calls_keep_order_and_contents_across_the_end_of_all_four_rings)
{
	wrap(echo_with_batch_calls);
}

/* The smallest rings there are wrap with every packet. */
TEST(rings_of_one_entry_work)
{
	set_up(1);
	fill(7, 1);
	for (uint32_t i = 0; i < 50; i++) {
		stack_send(stack, i);
		echo_with_cursor_calls(1);
		CHECK_EQ(stack_receive(stack, 1000), i);
	}
	tear_down();
}
