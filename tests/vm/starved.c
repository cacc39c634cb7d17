/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Need-wakeup on the fill ring of zero-copy sockets: ring calls, and no more frames than
 * packets, so that the driver runs out of them. */
#include "wired.h"

#include "xdp/xsk.h"

#define FRAMES 32

static struct end from, to;
static int asks;	/* the driver did, for a kick */
static uint64_t frames[FRAMES];

static void start_receiver(const char *sends, const char *receives)
{
	/* igb sends without a copy beside an XDP program only. */
	from = open_end(sends, 0, XSK_SOCKET_TX_ONLY, XSK_BIND_ZEROCOPY);
	CHECK_EQ(info_of(from.socket).program_id != 0, strcmp(sends, "ig0") == 0);
	to.umem = small_umem();
	CHECK_OK(xsk_socket_create(&to.socket, to.umem, &XSK_SOCKET_PARAMS(
			.flags = XSK_SOCKET_RX_ONLY, .rx_size = 64, .fill_size = 64)));
	CHECK_EQ(xsk_umem_alloc(to.umem, frames, FRAMES), FRAMES);
	CHECK_EQ(xsk_fill_put(to.socket, frames, FRAMES), FRAMES);
	CHECK_OK(xsk_socket_bind(to.socket, receives, 0,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)));
	WAIT_FOR(has_carrier(sends) && has_carrier(receives), 20000);
}

static void stop_receiver(void)
{
	close_end(&to);
	close_end(&from);
}

static void send_round(uint32_t round)
{
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct xsk_buf buf;

		WAIT_FOR(xsk_buf_alloc(from.socket, &buf, 1) == 1, 5000);
		buf.len = write_packet(buf.data, 0, round * FRAMES + i);
		CHECK_EQ(xsk_tx_burst(from.socket, &buf, 1), 1);
	}
}

/* What comes of a round, without a kick; ends when nothing did for so long. The frames
 * stay with us. */
static uint32_t receive_round(uint32_t round, int ms)
{
	uint64_t until = now_ms() + (uint64_t)ms;
	uint32_t n = 0;

	while (n < FRAMES && now_ms() < until) {
		struct xdp_desc desc;

		if (xsk_rx_get(to.socket, &desc, 1) == 0)
			continue;
		CHECK_EQ(read_packet(xsk_umem_data(to.umem, desc.addr), desc.len, 0),
			 round * FRAMES + n);
		frames[n++] = desc.addr;
		until = now_ms() + (uint64_t)ms;
	}
	return n;
}

/* Whether the driver, which has found no frame, asks for a kick within so long. */
static int asks_for_a_kick(int ms)
{
	uint64_t until = now_ms() + (uint64_t)ms;

	while (!xsk_ring_prod__needs_wakeup(xsk_socket_fill_ring(to.socket)))
		if (now_ms() >= until)
			return 0;
	return 1;
}

/* Nothing tells when the driver has given the frames to the card, and a card may lose
 * what comes before that: hence the nap. */
static void kick(void)
{
	CHECK_EQ(xsk_rx_kick(to.socket, 0), XSK_KICK_DONE);
	nap_ms(50);
}

static void use_up_the_frames_and_give_them_back(void)
{
	send_round(0);
	CHECK_EQ(receive_round(0, 5000), FRAMES);
	asks = asks_for_a_kick(2000);
	CHECK_EQ(xsk_fill_put(to.socket, frames, FRAMES), FRAMES);
	send_round(1);
}

static void stalls_until_kicked(void)
{
	CHECK_EQ(receive_round(1, 2000), 0);
	CHECK_EQ(stats_of(to.socket).rx_kicks, 0);
	kick();
	CHECK_EQ(stats_of(to.socket).rx_kicks, 1);
}

static void kicks_each_time(const char *sends, const char *receives, uint32_t rounds)
{
	uint32_t kicks = 0;

	start_receiver(sends, receives);
	for (uint32_t round = 0; round < rounds; round++) {
		send_round(round);
		CHECK_EQ(receive_round(round, 5000), FRAMES);
		kicks += (uint32_t)asks_for_a_kick(100);
		CHECK_EQ(xsk_fill_put(to.socket, frames, FRAMES), FRAMES);
		kick();
	}
	CHECK_WITHIN(stats_of(to.socket).rx_kicks, kicks, rounds);
	CHECK_EQ(stats_of(to.socket).rx_packets, rounds * FRAMES);
	stop_receiver();
}

/* Linux 6.18's virtio does not ask, and looks for frames by itself. */
WIRED(a_receiver_on_virtio_that_forgets_the_rx_kick_stalls_if_the_driver_asks_for_one)
{
	need_zero_copy("zc0");
	start_receiver("zc0", "zc1");
	use_up_the_frames_and_give_them_back();
	if (asks)
		stalls_until_kicked();
	/* Nothing is lost: the wire has held it back. */
	CHECK_EQ(receive_round(1, 5000), FRAMES);
	CHECK_EQ(stats_of(to.socket).rx_kicks, asks);
	stop_receiver();
}

WIRED(a_receiver_on_virtio_with_rx_kicks_never_stalls)
{
	need_zero_copy("zc0");
	kicks_each_time("zc0", "zc1", 20);
}

/* Whatever comes, until nothing did for so long. */
static uint32_t receive_some(int ms)
{
	uint64_t until = now_ms() + (uint64_t)ms;
	struct xdp_desc desc;
	uint32_t n = 0;

	while (now_ms() < until) {
		if (xsk_rx_get(to.socket, &desc, 1) == 0)
			continue;
		CHECK(n < FRAMES);
		read_packet(xsk_umem_data(to.umem, desc.addr), desc.len, 0);
		frames[n++] = desc.addr;
		until = now_ms() + (uint64_t)ms;
	}
	return n;
}

/* Every two seconds the driver looks by itself; right after that there is time for a
 * second try. What comes while the card has no frame may be lost, as on a real one. */
WIRED(a_receiver_on_igb_that_forgets_the_rx_kick_stalls_until_it_makes_one)
{
	uint32_t stalled = 0;

	set_up_igb();
	need_zero_copy("ig0");
	start_receiver("ig0", "ig1");
	for (uint32_t i = 0; i < 3 && !stalled; i++) {
		uint32_t n;

		send_round(2 * i);
		CHECK_EQ(receive_some(300), FRAMES);
		CHECK(asks_for_a_kick(2000));
		CHECK_EQ(xsk_fill_put(to.socket, frames, FRAMES), FRAMES);
		send_round(2 * i + 1);
		n = receive_some(300);
		stalled = n == 0;
		CHECK_EQ(xsk_fill_put(to.socket, frames, n), n);
		kick();
	}
	CHECK(stalled);
	send_round(6);
	CHECK_EQ(receive_some(300), FRAMES);
	stop_receiver();
}

/* Fewer packets than its ring has entries: after that, one that runs out of frames takes
 * an entry of the round before for a packet (Linux 7.3). */
WIRED(a_receiver_on_igb_with_rx_kicks_never_stalls)
{
	set_up_igb();
	need_zero_copy("ig0");
	kicks_each_time("ig0", "ig1", 7);
}
