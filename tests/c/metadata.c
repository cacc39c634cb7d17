/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is asked for single packets, and what comes of it on the wire and at completion. */
#include "net.h"

#define SENT_META 32
#define START 18	/* behind the number */
#define OFFSET 6

/* `struct xsk_tx_metadata` of <linux/if_xdp.h>, which older headers lack. */
struct metadata {
	uint64_t flags;
	union {
		struct {
			uint16_t csum_start, csum_offset;
			uint64_t launch_time;
		} request;
		uint64_t tx_timestamp;
	};
};

#define FLAG_TIMESTAMP 1
#define FLAG_CHECKSUM 2
#define OPTION 2	/* XDP_TX_METADATA */

static struct xsk_umem *umem_with(uint32_t flags)
{
	struct xsk_umem *umem = NULL;
	int answer = xsk_umem_create(&umem, &XSK_UMEM_PARAMS(
		.frame_count = 256, .headroom = 16, .frame_size = 2048, .flags = flags,
		.frame_stride = flags & XSK_UMEM_UNALIGNED ? 2500 : 0));

	if (answer != 0) {
		CHECK_EQ(answer, -EOPNOTSUPP);
		CHECK_SAYS("metadata", "6.8");
		SKIP("this kernel has no metadata for packets to be sent (Linux 6.8)");
	}
	CHECK_EQ(umem_info_of(umem).tx_metadata_len, SENT_META);
	return umem;
}

static struct end sender_with(uint32_t flags, uint32_t tx_size)
{
	struct end end = { umem_with(flags), NULL };

	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY,
						    .tx_size = tx_size), NULL));
	return end;
}

static struct xsk_buf new_packet(struct end *end, uint32_t number)
{
	struct xsk_buf buf;

	CHECK_EQ(xsk_buf_alloc(end->socket, &buf, 1), 1);
	buf.len = write_frame(buf.data, number, FRAME_LEN);
	return buf;
}

/* RFC 1071, over what `sum` already has. */
static uint16_t folded(const uint8_t *bytes, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | (i + 1 < len ? bytes[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The next frame as it is. */
static void receive_raw(int fd, uint8_t frame[FRAME_LEN])
{
	struct pollfd entry = { fd, POLLIN, 0 };

	CHECK_EQ(poll(&entry, 1, 1000), 1);
	CHECK_EQ(recv(fd, frame, FRAME_LEN, MSG_DONTWAIT | MSG_TRUNC), FRAME_LEN);
}

/* A sum was put at START + OFFSET, and no other byte of the frame is changed. */
static void check_summed(const uint8_t *got, uint32_t number)
{
	uint8_t sent[FRAME_LEN];
	uint16_t sum;

	write_frame(sent, number, FRAME_LEN);
	sum = (uint16_t)~folded(sent + START, FRAME_LEN - START, 0);
	CHECK_EQ(got[START + OFFSET] << 8 | got[START + OFFSET + 1], sum);
	sent[START + OFFSET] = (uint8_t)(sum >> 8);
	sent[START + OFFSET + 1] = (uint8_t)sum;
	CHECK_EQ(memcmp(sent, got, FRAME_LEN), 0);
}

static uint64_t tai_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_TAI, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

TEST(a_checksum_that_is_asked_for_is_right_on_the_wire_and_no_other_is_made)
{
	uint8_t frame[FRAME_LEN];
	struct xsk_buf bufs[64];
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = sender_with(XSK_UMEM_TX_METADATA | XSK_UMEM_TX_SW_CSUM, 256);
	/* In one burst, and often enough for frames to be used again. */
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 64; i++) {
			bufs[i] = new_packet(&end, i);
			CHECK_EQ(bufs[i].options, 0);
			if ((i ^ round) % 3 == 0)
				CHECK_OK(xsk_buf_request_checksum(end.socket, &bufs[i], START,
								  OFFSET));
			CHECK_EQ(bufs[i].options, (i ^ round) % 3 == 0 ? OPTION : 0);
		}
		CHECK_EQ(xsk_tx_burst(end.socket, bufs, 64), 64);
		for (uint32_t i = 0; i < 64; i++) {
			receive_raw(stack, frame);
			if ((i ^ round) % 3 == 0)
				check_summed(frame, i);
			else
				CHECK_EQ(read_frame(frame, FRAME_LEN), i);
		}
	}
	CHECK_EQ(stats_of(end.socket).tx_packets, 20 * 64);
	CHECK_EQ(stats_of(end.socket).tx_bytes, 20 * 64 * FRAME_LEN);
	CHECK_EQ(stats_of(end.socket).tx_invalid_descs, 0);
	close_end(&end);
}

/* veth takes packets whose sum is still to be made. */
TEST(without_software_sums_a_packet_stays_as_it_is_within_the_machine)
{
	uint8_t frame[FRAME_LEN];
	struct xsk_buf buf;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = sender_with(XSK_UMEM_TX_METADATA, 64);
	buf = new_packet(&end, 3);
	CHECK_OK(xsk_buf_request_checksum(end.socket, &buf, START, OFFSET));
	CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
	receive_raw(stack, frame);
	CHECK_EQ(read_frame(frame, FRAME_LEN), 3);
	close_end(&end);
}

TEST(a_received_packet_is_sent_on_with_a_checksum)
{
	uint8_t frame[FRAME_LEN];
	struct end end = { NULL, NULL };
	struct xsk_buf buf;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end.umem = umem_with(XSK_UMEM_TX_METADATA | XSK_UMEM_TX_SW_CSUM);
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, NULL));
	stack_send(stack, 5);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
	CHECK_EQ(xsk_rx_burst(end.socket, &buf, 1), 1);
	CHECK_EQ(read_frame(buf.data, buf.len), 5);
	CHECK_OK(xsk_buf_request_checksum(end.socket, &buf, START, OFFSET));
	CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
	receive_raw(stack, frame);
	check_summed(frame, 5);
	close_end(&end);
}

TEST(times_of_completion_come_in_order_for_the_packets_that_asked)
{
	struct xsk_tx_timestamp stamps[64];
	uint64_t before, after;
	struct xsk_buf bufs[48];
	uint32_t got = 0, expected = 0;
	struct end end;

	make_pair(1);
	end = sender_with(XSK_UMEM_TX_METADATA, 256);
	CHECK_EQ(xsk_tx_timestamps(end.socket, stamps, 64), 0);
	for (uint32_t round = 0; round < 30; round++) {
		uint64_t cookies[64], last = 0;
		uint32_t asked = 0, n = 0;

		/* Frames come back with the metadata of their last packet in front. */
		for (uint32_t i = 0; i < 48; i++) {
			bufs[i] = new_packet(&end, i);
			if ((i * 7 + round) % 3 == 0) {
				cookies[asked] = (uint64_t)round << 40 | i;
				CHECK_OK(xsk_buf_request_timestamp(end.socket, &bufs[i],
								   cookies[asked++]));
			}
		}
		before = tai_ns();
		CHECK_EQ(xsk_tx_burst(end.socket, bufs, 48), 48);
		WAIT_FOR((n += xsk_tx_timestamps(end.socket, stamps + n, 64 - n)) >= asked, 1000);
		after = tai_ns();
		CHECK_EQ(n, asked);
		for (uint32_t i = 0; i < n; i++) {
			CHECK_EQ(stamps[i].cookie, cookies[i]);
			CHECK(stamps[i].time_ns >= last && stamps[i].time_ns >= before);
			CHECK(stamps[i].time_ns <= after);
			last = stamps[i].time_ns;
		}
		got += n;
		expected += asked;
		CHECK_EQ(xsk_tx_pending(end.socket), 0);
	}
	CHECK_EQ(got, expected);
	close_end(&end);
}

static void sums_and_times(uint32_t flags)
{
	struct xsk_tx_timestamp stamp = { 0, 0 };
	uint8_t frame[FRAME_LEN];
	struct xsk_buf buf;
	struct end end;
	uint64_t before, addrs[20];
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = sender_with(XSK_UMEM_TX_METADATA | XSK_UMEM_TX_SW_CSUM | flags, 64);
	/* The first frames would be in the same place if they were aligned. */
	CHECK_EQ(xsk_umem_alloc(end.umem, addrs, COUNT(addrs)), COUNT(addrs));
	for (uint32_t i = 0; i < 300; i++) {
		buf = new_packet(&end, i);
		CHECK_OK(xsk_buf_request_timestamp(end.socket, &buf, 77 + i));
		CHECK_OK(xsk_buf_request_checksum(end.socket, &buf, START, OFFSET));
		before = tai_ns();
		CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
		receive_raw(stack, frame);
		check_summed(frame, i);
		WAIT_FOR(xsk_tx_timestamps(end.socket, &stamp, 1) == 1, 1000);
		CHECK_EQ(stamp.cookie, 77 + i);
		CHECK(stamp.time_ns >= before && stamp.time_ns <= tai_ns());
	}
	/* A request holds for one packet, not for the next one in the frame. */
	for (uint32_t i = 0; i < 300; i++) {
		buf = new_packet(&end, i);
		CHECK_OK(xsk_buf_request_checksum(end.socket, &buf, START, OFFSET));
		CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
		receive_raw(stack, frame);
		check_summed(frame, i);
	}
	CHECK_EQ(xsk_tx_timestamps(end.socket, &stamp, 1), 0);
	CHECK_EQ(xsk_umem_free(end.umem, addrs, COUNT(addrs)), COUNT(addrs));
	close_end(&end);
}

TEST(a_packet_has_a_checksum_made_and_its_time_told)
{
	sums_and_times(0);
}

TEST(a_packet_in_an_unaligned_frame_has_a_checksum_made_and_its_time_told)
{
	sums_and_times(XSK_UMEM_UNALIGNED);
}

TEST(of_two_sockets_on_a_queue_either_tells_the_times_of_both)
{
	struct xsk_tx_timestamp stamp;
	struct end ends[2];
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	ends[0] = ends[1] = sender_with(XSK_UMEM_TX_METADATA, 64);
	CHECK_OK(xsk_socket_open(&ends[1].socket, ends[0].umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY |
						    XSK_SOCKET_SHARE_QUEUE), NULL));
	for (uint32_t i = 0; i < 400; i++) {
		struct xsk_socket *one = ends[i & 1].socket, *other = ends[i >> 1 & 1].socket;
		struct xsk_buf buf = new_packet(&ends[i & 1], i);

		CHECK_OK(xsk_buf_request_timestamp(one, &buf, i));
		CHECK_EQ(xsk_tx_burst(one, &buf, 1), 1);
		CHECK_EQ(stack_receive(stack, 1000), i);
		WAIT_FOR(xsk_tx_timestamps(other, &stamp, 1) == 1, 1000);
		CHECK_EQ(stamp.cookie, i);
	}
	xsk_socket_destroy(ends[1].socket);
	close_end(&ends[0]);
}

/* That one keeps the times, and has no TX ring to say how many. */
TEST(the_times_of_a_socket_are_told_that_joined_one_that_only_receives)
{
	struct xsk_tx_timestamp stamps[128];
	const uint32_t flags = XSK_UMEM_TX_METADATA;
	struct end end = { umem_with(flags), NULL };
	struct xsk_socket *receiver = NULL;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_open(&receiver, end.umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_RX_ONLY, .comp_size = 64),
				 NULL));
	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY |
						    XSK_SOCKET_SHARE_QUEUE), NULL));
	for (uint32_t i = 0; i < 100; i++) {
		struct xsk_buf buf = new_packet(&end, i);

		CHECK_OK(xsk_buf_request_timestamp(end.socket, &buf, i));
		CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
		CHECK_EQ(stack_receive(stack, 1000), i);
	}
	WAIT_FOR(xsk_tx_pending(end.socket) == 0, 1000);
	CHECK_EQ(xsk_tx_timestamps(end.socket, stamps, 128), 100);
	for (uint32_t i = 0; i < 100; i++)
		CHECK_EQ(stamps[i].cookie, i);
	xsk_socket_destroy(receiver);
	close_end(&end);
}

TEST(of_times_that_nobody_fetches_the_last_are_kept)
{
	struct xsk_tx_timestamp stamps[128];
	struct end end;

	make_pair(1);
	end = sender_with(XSK_UMEM_TX_METADATA, 64);
	for (uint32_t i = 0; i < 100; i++) {
		struct xsk_buf buf = new_packet(&end, i);

		CHECK_OK(xsk_buf_request_timestamp(end.socket, &buf, i));
		CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
	}
	WAIT_FOR(xsk_tx_pending(end.socket) == 0, 1000);
	CHECK_EQ(xsk_tx_timestamps(end.socket, stamps, 128), 64);
	for (uint32_t i = 0; i < 64; i++)
		CHECK_EQ(stamps[i].cookie, i + 36);
	CHECK_EQ(xsk_tx_timestamps(end.socket, stamps, 128), 0);
	close_end(&end);
}

TEST(packets_leave_room_for_the_metadata_in_their_frame)
{
	struct xsk_buf buf;
	struct end end;
	char *start;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = sender_with(XSK_UMEM_TX_METADATA, 64);
	CHECK_EQ(xsk_buf_alloc(end.socket, &buf, 1), 1);
	start = xsk_umem_data(end.umem, buf.addr & ~(uint64_t)2047);
	CHECK_EQ((char *)buf.data - start, 16 + SENT_META);
	CHECK_EQ(buf.len, 2048 - 16 - SENT_META);
	/* The headroom can be used, but not what the metadata needs. */
	buf.data = start + SENT_META - 1;
	buf.len = write_frame(buf.data, 1, FRAME_LEN);
	CHECK_FAILS(xsk_buf_request_timestamp(end.socket, &buf, 0), -EINVAL, "offset 31", "32");
	CHECK_FAILS(xsk_tx_burst(end.socket, &buf, 1), -EINVAL, "offset 31", "32");
	buf.data = start + SENT_META;
	buf.len = write_frame(buf.data, 1, FRAME_LEN);
	CHECK_OK(xsk_buf_request_timestamp(end.socket, &buf, 0));
	CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
	CHECK_EQ(stack_receive(stack, 1000), 1);
	close_end(&end);
}

TEST(what_cannot_be_done_is_refused_with_its_reason)
{
	struct xsk_socket *unbound = NULL;
	struct xsk_umem *umem = NULL;
	struct xsk_buf buf, copy;
	struct end end, plain;

	make_pair(1);
	CHECK_FAILS(xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.flags = XSK_UMEM_TX_SW_CSUM)), -EINVAL,
		    "XSK_UMEM_TX_METADATA");
	end = sender_with(XSK_UMEM_TX_METADATA, 64);
	buf = new_packet(&end, 1);
	copy = buf;
	CHECK_FAILS(xsk_buf_request_launch_time(end.socket, &buf, 1), -EOPNOTSUPP, XA, "launch time",
		    "6.14");
	CHECK_FAILS(xsk_buf_request_checksum(end.socket, &buf, START, FRAME_LEN - START - 1),
		    -EINVAL, "18 + 45", "64 bytes");
	CHECK_FAILS(xsk_buf_request_checksum(end.socket, &buf, UINT16_MAX, UINT16_MAX), -EINVAL,
		    "65535 + 65535");
	CHECK_EQ(memcmp(&buf, &copy, sizeof(buf)), 0);
	CHECK_OK(xsk_socket_create(&unbound, end.umem, NULL));
	CHECK_FAILS(xsk_buf_request_timestamp(unbound, &buf, 1), -ENOTCONN, "bound");
	xsk_socket_destroy(unbound);
	CHECK_EQ(memcmp(&buf, &copy, sizeof(buf)), 0);
	CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);

	plain = open_end(XB, 0, 0, 0);
	CHECK_EQ(umem_info_of(plain.umem).tx_metadata_len, 0);
	CHECK_EQ(xsk_buf_alloc(plain.socket, &buf, 1), 1);
	CHECK_FAILS(xsk_buf_request_timestamp(plain.socket, &buf, 1), -EOPNOTSUPP,
		    "XSK_UMEM_TX_METADATA");
	buf.len = FRAME_LEN;
	buf.options = OPTION;
	CHECK_FAILS(xsk_tx_burst(plain.socket, &buf, 1), -EINVAL, "options 0x2");
	CHECK_EQ(xsk_tx_timestamps(plain.socket, NULL, 0), 0);
	CHECK(xsk_umem_tx_metadata(plain.umem, 4096) == NULL);
	close_end(&plain);
	close_end(&end);
}

/* The kernel would stop at such a descriptor, for good. */
TEST(metadata_in_disorder_is_refused_and_the_ring_goes_on)
{
	struct xsk_buf bufs[3];
	struct metadata *meta;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = sender_with(XSK_UMEM_TX_METADATA | XSK_UMEM_TX_SW_CSUM, 64);
	for (uint32_t i = 0; i < 3; i++)
		bufs[i] = new_packet(&end, i);
	CHECK_OK(xsk_buf_request_checksum(end.socket, &bufs[1], START, FRAME_LEN - START - 2));
	/* Made shorter behind its back. */
	bufs[1].len = FRAME_LEN - 1;
	CHECK_EQ(xsk_tx_burst(end.socket, bufs, 3), 1);
	CHECK_EQ(stack_receive(stack, 1000), 0);
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs + 1, 2), -EINVAL, "63 bytes");
	meta = (struct metadata *)xsk_umem_tx_metadata(end.umem, bufs[1].addr);
	CHECK((char *)meta == (char *)bufs[1].data - SENT_META);
	meta->flags = 1 << 5;
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs + 1, 2), -EOPNOTSUPP, "0x20");
	bufs[1].options = 4;
	CHECK_FAILS(xsk_tx_burst(end.socket, bufs + 1, 2), -EINVAL, "options 0x4");
	bufs[1].options = 0;
	bufs[1].len = FRAME_LEN;
	CHECK_EQ(xsk_tx_burst(end.socket, bufs + 1, 2), 2);
	CHECK_EQ(stack_receive(stack, 1000), 1);
	CHECK_EQ(stack_receive(stack, 1000), 2);
	close_end(&end);
}

TEST(the_ring_calls_send_metadata_that_the_program_wrote)
{
	uint8_t frame[FRAME_LEN];
	struct metadata *meta;
	struct xdp_desc desc = { .len = FRAME_LEN, .options = OPTION };
	uint64_t addr, before;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = sender_with(XSK_UMEM_TX_METADATA | XSK_UMEM_TX_SW_CSUM, 64);
	CHECK_EQ(xsk_umem_alloc(end.umem, &addr, 1), 1);
	desc.addr = addr;
	CHECK_EQ(addr % 2048, 16 + SENT_META);
	write_frame(xsk_umem_data(end.umem, addr), 4, FRAME_LEN);
	meta = (struct metadata *)xsk_umem_tx_metadata(end.umem, addr);
	CHECK((char *)meta == (char *)xsk_umem_data(end.umem, addr) - SENT_META);
	memset(meta, 0, sizeof(*meta));
	meta->flags = FLAG_TIMESTAMP | FLAG_CHECKSUM;
	meta->request.csum_start = START;
	meta->request.csum_offset = OFFSET;
	before = tai_ns();
	CHECK_EQ(xsk_tx_put(end.socket, &desc, 1), 1);
	CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
	receive_raw(stack, frame);
	check_summed(frame, 4);
	WAIT_FOR(xsk_comp_get(end.socket, &addr, 1) == 1, 1000);
	CHECK_EQ(addr, desc.addr);
	CHECK(meta->tx_timestamp >= before && meta->tx_timestamp <= tai_ns());
	/* In front of the first, and behind the last. */
	CHECK(xsk_umem_tx_metadata(end.umem, 31) == NULL);
	CHECK(xsk_umem_tx_metadata(end.umem, 2048 + 31) == NULL);
	CHECK(xsk_umem_tx_metadata(end.umem, 256 * 2048) == NULL);
	CHECK(xsk_umem_tx_metadata(end.umem, UINT64_MAX) == NULL);
	close_end(&end);
}
