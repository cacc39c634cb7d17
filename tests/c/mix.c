/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cursor, array and run calls and the inline helpers, in turns on the same rings. */
#include "rings.h"

#include "xdp/xsk.h"

static uint32_t random_state = 1;

/* 0 to n - 1, the same in every run. */
static uint32_t pick(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

/* What went through calls, which is all that can be counted. */
static uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;

static void take_rx(struct xdp_desc *descs, uint32_t n)
{
	struct xsk_ring_cons *rx = xsk_socket_rx_ring(sock);
	const struct xdp_desc *run;
	uint32_t idx, k, done = 0, style = pick(4);

	if (style == 3) {
		CHECK_EQ(xsk_rx_get(sock, descs, n), n);
		rx_packets += n;
		for (uint32_t i = 0; i < n; i++)
			rx_bytes += descs[i].len;
		return;
	}
	for (; done < n; done += k, style = pick(3)) {
		uint32_t want = 1 + pick(n - done);

		if (style == 0) {
			k = xsk_rx_peek(sock, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				descs[done + i] = *xsk_rx_desc(sock, idx + i);
		} else if (style == 1) {
			k = xsk_rx_peek_run(sock, want, &run);
			memcpy(descs + done, run, k * sizeof(*run));
		} else {
			k = xsk_ring_cons__peek(rx, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				descs[done + i] = *xsk_ring_cons__rx_desc(rx, idx + i);
		}
		CHECK(k > 0 && k <= want);
	}
	for (done = 0; done < n; done += k) {
		k = 1 + pick(n - done);
		style = pick(3);
		if (style == 0) {
			xsk_ring_cons__release(rx, k);
			continue;
		}
		if (style == 1)
			CHECK_EQ(xsk_rx_release(sock, k), k);
		else if ((k = n - done))	/* all that is claimed */
			CHECK_EQ(xsk_rx_next_run(sock, 0, &run), 0);
		rx_packets += k;
		for (uint32_t i = done; i < done + k; i++)
			rx_bytes += descs[i].len;
	}
}

static void give_tx(const struct xdp_desc *descs, uint32_t n)
{
	struct xsk_ring_prod *tx = xsk_socket_tx_ring(sock);
	uint64_t addrs[RING_MAX];
	struct xdp_desc *run;
	uint32_t idx, k, done = 0, style = pick(5);

	if (style >= 3) {
		for (uint32_t i = 0; i < n; i++)
			addrs[i] = descs[i].addr;
		CHECK_EQ(style == 3 ? xsk_tx_put(sock, descs, n) :
				      xsk_tx_put_addrs(sock, addrs, n, descs[0].len), n);
		tx_packets += n;
		tx_bytes += (uint64_t)n * descs[0].len;
		return;
	}
	for (; done < n; done += k, style = pick(3)) {
		uint32_t want = 1 + pick(n - done);

		if (style == 0) {
			k = xsk_tx_reserve(sock, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				*xsk_tx_desc(sock, idx + i) = descs[done + i];
		} else if (style == 1) {
			k = xsk_tx_reserve_run(sock, want, &run);
			memcpy(run, descs + done, k * sizeof(*run));
		} else {
			k = xsk_ring_prod__reserve(tx, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				*xsk_ring_prod__tx_desc(tx, idx + i) = descs[done + i];
		}
		CHECK(k > 0 && k <= want);
	}
	for (done = 0; done < n; done += k) {
		k = 1 + pick(n - done);
		if (pick(2)) {
			xsk_ring_prod__submit(tx, k);
			continue;
		}
		CHECK_EQ(xsk_tx_submit(sock, k), k);
		tx_packets += k;
		tx_bytes += (uint64_t)k * descs[0].len;
	}
}

static void take_comp(uint64_t *addrs, uint32_t n)
{
	struct xsk_ring_cons *comp = xsk_socket_comp_ring(sock);
	const uint64_t *run;
	uint32_t idx, k, done = 0, style = pick(4);

	if (style == 3) {
		CHECK_EQ(xsk_comp_get(sock, addrs, n), n);
		return;
	}
	for (; done < n; done += k, style = pick(3)) {
		uint32_t want = 1 + pick(n - done);

		if (style == 0) {
			k = xsk_comp_peek(sock, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				addrs[done + i] = *xsk_comp_addr(sock, idx + i);
		} else if (style == 1) {
			k = xsk_comp_peek_run(sock, want, &run);
			memcpy(addrs + done, run, k * sizeof(*run));
		} else {
			k = xsk_ring_cons__peek(comp, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				addrs[done + i] = *xsk_ring_cons__comp_addr(comp, idx + i);
		}
		CHECK(k > 0 && k <= want);
	}
	k = pick(n + 1);
	xsk_ring_cons__release(comp, k);
	if (pick(2))
		CHECK_EQ(xsk_comp_next_run(sock, 0, &run), 0);
	else
		CHECK_EQ(xsk_comp_release(sock, n), n - k);
}

static void give_fill(const uint64_t *addrs, uint32_t n)
{
	struct xsk_ring_prod *fill_ring = xsk_socket_fill_ring(sock);
	uint32_t idx, k, done = 0, style = pick(4);
	uint64_t *run;

	if (style == 3) {
		CHECK_EQ(xsk_fill_put(sock, addrs, n), n);
		return;
	}
	for (; done < n; done += k, style = pick(3)) {
		uint32_t want = 1 + pick(n - done);

		if (style == 0) {
			k = xsk_fill_reserve(sock, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				*xsk_fill_addr(sock, idx + i) = addrs[done + i];
		} else if (style == 1) {
			k = xsk_fill_reserve_run(sock, want, &run);
			memcpy(run, addrs + done, k * sizeof(*run));
		} else {
			k = xsk_ring_prod__reserve(fill_ring, want, &idx);
			for (uint32_t i = 0; i < k; i++)
				*xsk_ring_prod__fill_addr(fill_ring, idx + i) = addrs[done + i];
		}
		CHECK(k > 0 && k <= want);
	}
	k = pick(n + 1);
	xsk_ring_prod__submit(fill_ring, k);
	CHECK_EQ(xsk_fill_submit(sock, n), n - k);
}

static void recycle(uint32_t first, uint32_t n, uint32_t len)
{
	const struct xdp_desc *run;
	uint32_t k, done = 0;

	/* Of one run, or of several, one of which may lie behind the ring's end. */
	for (; done < n; done += k) {
		k = (pick(2) ? xsk_rx_peek_run : xsk_rx_recycle_run)(sock, 1 + pick(ring), &run);
		CHECK(k != 0);
		for (uint32_t i = 0; i < k; i++)
			CHECK_EQ(number_of(&run[i]), first + done + i);
	}
	CHECK_EQ(done, n);
	CHECK_EQ(xsk_rx_recycle_run(sock, 1, &run), 0);
	rx_packets += n;
	rx_bytes += (uint64_t)n * len;
}

static void mix(uint32_t size)
{
	struct xdp_desc descs[RING_MAX];
	uint64_t addrs[RING_MAX];
	uint32_t done = 0;

	set_up(size);
	/* Not as many as entries: the ends of RX and fill ring come at different times. */
	fill(0, ring - 1);
	for (uint32_t round = 0; round < 8000; round++) {
		uint32_t n = 1 + pick(ring - 1), len = FRAME_LEN + pick(200);

		receive(done, n, len);
		if (pick(4) == 0) {
			recycle(done, n, len);
		} else {
			take_rx(descs, n);
			for (uint32_t i = 0; i < n; i++)
				CHECK_EQ(number_of(&descs[i]), done + i);
			give_tx(descs, n);
			send_out(done, n);
			take_comp(addrs, n);
			for (uint32_t i = 0; i < n; i++)
				CHECK_EQ(addrs[i], descs[i].addr);
			give_fill(addrs, n);
		}
		done += n;
		CHECK_EQ(stats_of(sock).rx_packets, rx_packets);
		CHECK_EQ(stats_of(sock).rx_bytes, rx_bytes);
		CHECK_EQ(stats_of(sock).tx_packets, tx_packets);
		CHECK_EQ(stats_of(sock).tx_bytes, tx_bytes);
	}
	CHECK_EQ(stats_of(sock).rx_dropped, 0);
	tear_down();
}

TEST(all_calls_and_inline_helpers_mix_on_rings_of_four_entries)
{
	mix(4);
}

TEST(all_calls_and_inline_helpers_mix_on_rings_of_eight_entries)
{
	mix(8);
}

TEST(all_calls_and_inline_helpers_mix_on_rings_of_sixty_four_entries)
{
	mix(64);
}
