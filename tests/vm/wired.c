/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets between two cards: copy mode, zero-copy, and what is said where a driver or a
 * kernel has none. */
#include "wired.h"

#define BURST 16
#define IN_FLIGHT 64	/* a card drops what its ring has no room for */
#define MOST_QUEUES 2
#define PACKETS (slow() ? 2000u : 20000u)

struct card {
	const char *name;
	uint32_t queues;
	struct end ends[MOST_QUEUES];
};

static struct card open_card(const char *name, uint32_t queues, uint32_t bind_flags)
{
	struct card card = { .name = name, .queues = queues };

	for (uint32_t queue = 0; queue < queues; queue++)
		card.ends[queue] = open_end(name, queue, 0, bind_flags);
	return card;
}

static void close_card(struct card *card)
{
	for (uint32_t queue = 0; queue < card->queues; queue++)
		close_end(&card->ends[queue]);
}

/* --- traffic */

/* One way, from the first card of a pair (0) or from the second (1). */
struct way {
	struct card *from, *to;
	uint32_t which;
	uint32_t sent, received;
	uint32_t by_queue[MOST_QUEUES];
	uint8_t *seen;
};

static void push(struct way *way)
{
	struct end *end = &way->from->ends[way->sent / BURST % way->from->queues];
	struct xsk_buf bufs[BURST];
	uint32_t n = PACKETS - way->sent, done = 0;

	if (n > BURST)
		n = BURST;
	if (way->sent - way->received > IN_FLIGHT - BURST)
		return;
	n = xsk_buf_alloc(end->socket, bufs, n);
	for (uint32_t i = 0; i < n; i++)
		bufs[i].len = write_packet(bufs[i].data, way->which, way->sent + i);
	while (done < n) {
		int taken = xsk_tx_burst(end->socket, bufs + done, n - done);

		CHECK(taken >= 0);
		done += (uint32_t)taken;
	}
	way->sent += n;
}

/* Of several queues each packet once; of one in order, too. */
static void pull(struct way *way)
{
	for (uint32_t queue = 0; queue < way->to->queues; queue++) {
		struct xsk_socket *socket = way->to->ends[queue].socket;
		struct xsk_buf bufs[BURST];
		int n = xsk_rx_burst(socket, bufs, BURST);

		CHECK(n >= 0);
		for (int i = 0; i < n; i++) {
			uint32_t number = read_packet(bufs[i].data, bufs[i].len, way->which);

			if (way->to->queues == 1)
				CHECK_EQ(number, way->received);
			CHECK(number < way->sent);
			CHECK_EQ(way->seen[number]++, 0);
			way->received++;
			way->by_queue[queue]++;
		}
		CHECK_EQ(xsk_buf_free(socket, bufs, (uint32_t)n), n);
	}
}

static void move_both_ways(struct card *a, struct card *b, struct way ways[2])
{
	uint64_t until = now_ms() + (CASE_SECONDS - 10) * 1000;

	ways[0] = (struct way){ .from = a, .to = b, .which = 0, .seen = calloc(PACKETS, 1) };
	ways[1] = (struct way){ .from = b, .to = a, .which = 1, .seen = calloc(PACKETS, 1) };
	/* Some links come up again only a while after a driver was set up anew. */
	WAIT_FOR(has_carrier(a->name) && has_carrier(b->name), 20000);
	while (ways[0].received < PACKETS || ways[1].received < PACKETS) {
		for (uint32_t i = 0; i < 2; i++) {
			push(&ways[i]);
			pull(&ways[i]);
		}
		if (now_ms() >= until)
			FAIL("of %u packets %u were sent and %u came there, %u and %u back", PACKETS,
			     ways[0].sent, ways[0].received, ways[1].sent, ways[1].received);
	}
	for (uint32_t i = 0; i < 2; i++) {
		pull(&ways[i]);
		CHECK_EQ(ways[i].received, PACKETS);
		free(ways[i].seen);
	}
}

static void both_ways(const char *first, const char *second, uint32_t queues, uint32_t flags,
		      int zero_copy)
{
	struct card a, b;
	struct way ways[2];

	need_cards(first);
	a = open_card(first, queues, flags);
	b = open_card(second, queues, flags);
	move_both_ways(&a, &b, ways);
	for (uint32_t queue = 0; queue < queues; queue++) {
		struct xsk_socket *sockets[] = { a.ends[queue].socket, b.ends[queue].socket };

		for (uint32_t i = 0; i < 2; i++) {
			CHECK_EQ(info_of(sockets[i]).zero_copy, zero_copy);
			CHECK_EQ(stats_of(sockets[i]).rx_dropped, 0);
			CHECK_EQ(stats_of(sockets[i]).rx_invalid_descs, 0);
			CHECK_EQ(stats_of(sockets[i]).tx_invalid_descs, 0);
			/* In copy mode the fill ring's flag never asks. */
			if (!zero_copy)
				CHECK_EQ(stats_of(sockets[i]).rx_kicks, 0);
		}
	}
	if (queues == 2)
		for (uint32_t i = 0; i < 2; i++)
			CHECK(ways[i].by_queue[0] > 0 && ways[i].by_queue[1] > 0);
	close_card(&a);
	close_card(&b);
}

WIRED(virtio_moves_packets_both_ways_in_copy_mode)
{
	both_ways("zc0", "zc1", 1, XSK_BIND_COPY, 0);
}

WIRED(virtio_moves_packets_both_ways_in_generic_mode)
{
	both_ways("zc0", "zc1", 1, XSK_BIND_COPY | XSK_BIND_SKB_MODE, 0);
}

WIRED(two_queues_of_virtio_move_packets_both_ways_in_copy_mode)
{
	both_ways("mq0", "mq1", 2, XSK_BIND_COPY, 0);
}

WIRED(virtio_moves_packets_both_ways_without_a_copy)
{
	need_zero_copy("zc0");
	both_ways("zc0", "zc1", 1, XSK_BIND_ZEROCOPY, 1);
}

WIRED(two_queues_of_virtio_move_packets_both_ways_without_a_copy)
{
	need_zero_copy("mq0");
	both_ways("mq0", "mq1", 2, XSK_BIND_ZEROCOPY, 1);
}

static struct end open_unaligned(const char *name)
{
	struct end end = { NULL, NULL };

	CHECK_OK(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(
		.flags = XSK_UMEM_UNALIGNED | XSK_UMEM_HUGE_PAGES, .frame_count = 1000,
		.frame_size = 3000, .fill_size = 256, .comp_size = 256)));
	if (!umem_info_of(end.umem).huge_pages)
		SKIP("no huge pages are free");
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(end.socket, name, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)));
	return end;
}

/* Most frames lie in two pages of 4096 bytes, which lie in one of 2 MiB. */
WIRED(unaligned_frames_on_huge_pages_move_packets_both_ways_without_a_copy)
{
	struct card cards[2] = { { .name = "zc0", .queues = 1 }, { .name = "zc1", .queues = 1 } };
	struct way ways[2];

	need_zero_copy("zc0");
	for (uint32_t i = 0; i < 2; i++)
		cards[i].ends[0] = open_unaligned(cards[i].name);
	move_both_ways(&cards[0], &cards[1], ways);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_EQ(info_of(cards[i].ends[0].socket).zero_copy, 1);
		CHECK_EQ(stats_of(cards[i].ends[0].socket).rx_invalid_descs, 0);
		CHECK_EQ(stats_of(cards[i].ends[0].socket).tx_invalid_descs, 0);
		close_card(&cards[i]);
	}
}

WIRED(two_sockets_of_a_queue_send_without_a_copy_and_either_goes_first)
{
	for (uint32_t round = 0; round < 2; round++) {
		struct card a, b;
		struct end ends[2];

		need_zero_copy("zc0");
		a = open_card("zc0", 1, XSK_BIND_ZEROCOPY);
		b = open_card("zc1", 1, XSK_BIND_ZEROCOPY);
		ends[0] = ends[1] = a.ends[0];
		CHECK_OK(xsk_socket_open(&ends[1].socket, a.ends[0].umem, "zc0", 0,
					 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_SHARE_QUEUE |
							    XSK_SOCKET_TX_ONLY), NULL));
		CHECK_EQ(info_of(ends[1].socket).zero_copy, 1);
		WAIT_FOR(has_carrier("zc0") && has_carrier("zc1"), 20000);
		/* More packets than frames: those of one are reaped by the other, too. */
		for (uint32_t i = 0; i < 1200; i++) {
			end_send(&ends[i / 100 % 2], i);
			CHECK_EQ(end_receive(&b.ends[0], 5000), i);
		}
		xsk_socket_destroy(ends[round].socket);
		for (uint32_t i = 0; i < 600; i++) {
			end_send(&ends[!round], i);
			CHECK_EQ(end_receive(&b.ends[0], 5000), i);
		}
		a.ends[0].socket = ends[!round].socket;
		close_card(&a);
		close_card(&b);
	}
}

WIRED(copy_mode_reaches_zero_copy_and_the_other_way_round)
{
	struct card a, b;
	struct way ways[2];

	need_zero_copy("zc0");
	a = open_card("zc0", 1, XSK_BIND_COPY);
	b = open_card("zc1", 1, XSK_BIND_ZEROCOPY);
	move_both_ways(&a, &b, ways);
	close_card(&a);
	close_card(&b);
}

WIRED(igb_moves_packets_both_ways_in_copy_mode)
{
	set_up_igb();
	both_ways("ig0", "ig1", 1, XSK_BIND_COPY, 0);
}

WIRED(igb_moves_packets_both_ways_without_a_copy)
{
	set_up_igb();
	need_zero_copy("ig0");
	both_ways("ig0", "ig1", 1, XSK_BIND_ZEROCOPY, 1);
}

/* --- which mode it becomes, and what is said of it */

static char said[4096];

static void keep_lines(uint32_t level, const char *line, void *context)
{
	size_t len = strlen(said);

	(void)level;
	(void)context;
	snprintf(said + len, sizeof(said) - len, "%s\n", line);
}

WIRED(without_a_flag_it_is_zero_copy_where_the_driver_can_and_copy_mode_where_not)
{
	int answer = zero_copy_answer("zc0");
	struct end end;

	if (answer != 0)
		CHECK_FAILS(answer, -EOPNOTSUPP, "zc0", "zero-copy", "XSK_BIND_COPY");
	CHECK_OK(xsk_log_set(keep_lines, NULL, XSK_LOG_INFO));
	end = open_end("zc0", 0, 0, 0);
	CHECK_EQ(info_of(end.socket).zero_copy, answer == 0);
	CHECK(strstr(said, "zc0") && strstr(said, answer == 0 ? "zero-copy" : "copy mode"));
	close_end(&end);
}

/* The driver promises zero-copy and cannot do it on this card. */
WIRED(zero_copy_that_the_driver_refuses_is_explained_and_copy_mode_is_fallen_back_to)
{
	int answer = zero_copy_answer("nz0");
	struct way ways[2];
	struct card a, b;

	if (answer == -EOPNOTSUPP)
		SKIP("this kernel has no zero-copy in the driver of these cards");
	CHECK_FAILS(answer, -EINVAL, "nz0", "the driver refuses zero-copy here", "copy mode");
	CHECK_OK(xsk_log_set(keep_lines, NULL, XSK_LOG_WARN));
	a = open_card("nz0", 1, 0);
	b = open_card("nz1", 1, 0);
	CHECK_EQ(info_of(a.ends[0].socket).zero_copy, 0);
	CHECK(strstr(said, "queue 0 of nz0: the driver has zero-copy and refuses it here"));
	move_both_ways(&a, &b, ways);
	close_card(&a);
	close_card(&b);
}
