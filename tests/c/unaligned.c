/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames that lie anywhere: of any size, at any distance, in buffers of the program's
 * own; and the headroom in front of packets, there and in aligned frames. */
#include "net.h"

#define ADDR(word) ((word) & ((UINT64_C(1) << XSK_UNALIGNED_BUF_OFFSET_SHIFT) - 1))
#define OFFSET(word) ((word) >> XSK_UNALIGNED_BUF_OFFSET_SHIFT)
#define BURST 32

static struct xsk_umem *create(struct xsk_umem_params params)
{
	struct xsk_umem *umem = NULL;

	params.size = sizeof(params);
	CHECK_OK(xsk_umem_create(&umem, &params));
	return umem;
}

/* A frame that starts at `start`, for an area of that layout. */
struct layout {
	uint64_t first;		/* address of the first frame */
	uint32_t size, stride;
};

/* The address names the frame, and has the rest of the way in its upper bits. */
static void check_word(const struct xsk_umem_info *info, struct layout l, uint64_t word,
		       const void *data, uint64_t offset)
{
	CHECK((ADDR(word) - l.first) % l.stride == 0);
	CHECK((ADDR(word) - l.first) / l.stride < info->frame_count);
	CHECK_EQ(OFFSET(word), offset);
	CHECK((const uint8_t *)info->memory + ADDR(word) + OFFSET(word) == data);
}

/* Packets go both ways, in bursts, each to its frame; then all frames are there. */
static void works(struct xsk_umem *umem, struct layout l)
{
	struct xsk_umem_info info = umem_info_of(umem);
	const uint32_t total = 4000, room = l.size - info.headroom - 256;
	struct xsk_socket *sock = NULL;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_create(&sock, umem, NULL));
	CHECK_EQ(xsk_rx_burst(sock, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(sock, XA, 0, NULL));
	for (uint32_t done = 0; done < total; done += BURST) {
		struct xsk_buf bufs[BURST];
		uint32_t n, got = 0;

		for (uint32_t i = 0; i < 8; i++)
			stack_send_len(stack, done + i, room < 1514 ? room : 1514);
		while (got < 8) {
			CHECK_EQ(xsk_socket_wait(sock, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
			n = (uint32_t)xsk_rx_burst(sock, bufs, BURST);
			CHECK(n <= BURST);
			for (uint32_t i = 0; i < n; i++) {
				CHECK_EQ(read_frame(bufs[i].data, bufs[i].len), done + got + i);
				check_word(&info, l, bufs[i].addr, bufs[i].data, info.headroom + 256);
				CHECK(xsk_umem_data(umem, bufs[i].addr) == bufs[i].data);
			}
			CHECK_EQ(xsk_buf_free(sock, bufs, n), n);
			got += n;
		}
		n = xsk_buf_alloc(sock, bufs, BURST);
		CHECK(n > 0);
		for (uint32_t i = 0; i < n; i++) {
			check_word(&info, l, bufs[i].addr, bufs[i].data, info.headroom);
			CHECK_EQ(bufs[i].len, l.size - info.headroom);
			bufs[i].len = write_frame(bufs[i].data, i, FRAME_LEN + i * 40);
		}
		CHECK_EQ(xsk_tx_burst(sock, bufs, n), n);
		for (uint32_t i = 0; i < n; i++)
			CHECK_EQ(stack_receive(stack, 1000), i);
	}
	/* No packet at all is no packet that cannot be sent. */
	CHECK_EQ(xsk_tx_burst(sock, NULL, 0), 0);
	CHECK_EQ(stats_of(sock).rx_invalid_descs, 0);
	CHECK_EQ(stats_of(sock).tx_invalid_descs, 0);
	xsk_socket_destroy(sock);
	CHECK_EQ(umem_info_of(umem).free_frames, info.free_frames);
	CHECK_OK(xsk_umem_destroy(umem));
	link_delete(XA);
}

TEST(frames_of_any_size_at_any_distance_move_packets_both_ways)
{
	static const struct layout layouts[] = {
		{ 0, 2500, 0 }, { 0, 3000, 3000 }, { 0, 4095, 0 }, { 0, 4096, 0 }, { 0, 2048, 2049 },
		{ 0, 2048, 9999 }, { 0, 2176, 65536 },
	};

	for (uint32_t i = 0; i < COUNT(layouts); i++) {
		struct layout l = layouts[i];
		struct xsk_umem *umem = create((struct xsk_umem_params){
			.flags = XSK_UMEM_UNALIGNED, .frame_count = 256 + i, .frame_size = l.size,
			.frame_stride = l.stride, .headroom = i * 10 });
		struct xsk_umem_info info = umem_info_of(umem);

		l.stride = l.stride ? l.stride : l.size;
		CHECK_EQ(info.frame_size, l.size);
		CHECK_EQ(info.frame_count, 256 + i);
		CHECK_EQ(info.free_frames, 256 + i);
		CHECK_WITHIN(info.memory_size, (255 + i) * l.stride + l.size,
			     (255 + i) * l.stride + l.size + 4095);
		works(umem, l);
	}
}

/* What a packet library has: a head of its own in front of each buffer, and all of them
 * somewhere in the heap. */
TEST(an_array_of_the_programs_own_buffers_is_used_and_what_is_between_them_left_alone)
{
	struct element { uint8_t head[200]; uint8_t room[2304]; uint8_t tail[8]; };
	enum { COUNT_OF = 300 };
	struct element *heap = malloc(sizeof(*heap) * COUNT_OF + 8192);
	/* On no page's start, nor on an even address. */
	struct element *pool = (void *)(((uintptr_t)heap | 4095) + 1 + 333);
	struct xsk_umem *umem;
	struct xsk_umem_info info;

	memset((void *)heap, 0x5a, sizeof(*heap) * COUNT_OF + 8192);
	umem = create((struct xsk_umem_params){
		.flags = XSK_UMEM_UNALIGNED, .memory = pool[0].room,
		.memory_size = sizeof(*pool) * COUNT_OF - sizeof(pool->head), .frame_size = 2304,
		.frame_stride = sizeof(*pool), .headroom = 100 });
	info = umem_info_of(umem);
	CHECK_EQ(info.frame_count, COUNT_OF);
	CHECK_EQ((uintptr_t)info.memory % 4096, 0);
	CHECK((uint8_t *)info.memory <= pool[0].room && (uint8_t *)info.memory + 4096 > pool[0].room);
	works(umem, (struct layout){ (uint64_t)(pool[0].room - (uint8_t *)info.memory), 2304,
				     sizeof(*pool) });
	for (uint32_t i = 0; i < COUNT_OF; i++) {
		for (uint32_t j = 0; j < sizeof(pool->head); j++)
			CHECK_EQ(pool[i].head[j], 0x5a);
		for (uint32_t j = 0; j < sizeof(pool->tail); j++)
			CHECK_EQ(pool[i].tail[j], 0x5a);
		/* The headroom is the program's too. */
		for (uint32_t j = 0; j < 100; j++)
			CHECK_EQ(pool[i].room[j], 0x5a);
	}
	free(heap);
}

TEST(ring_calls_take_and_give_addresses_with_their_offset)
{
	struct xsk_umem *umem = create((struct xsk_umem_params){
		.flags = XSK_UMEM_UNALIGNED, .frame_count = 64, .frame_size = 3000, .headroom = 50 });
	struct layout l = { 0, 3000, 3000 };
	struct xsk_umem_info info = umem_info_of(umem);
	struct xsk_socket *sock = NULL;
	uint64_t addrs[32], done;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, NULL, NULL));
	CHECK_EQ(xsk_umem_alloc(umem, addrs, 32), 32);
	for (uint32_t i = 0; i < 32; i++)
		check_word(&info, l, addrs[i], xsk_umem_data(umem, addrs[i]), 50);
	CHECK_EQ(xsk_fill_put(sock, addrs, 32), 32);
	for (uint32_t i = 0; i < 500; i++) {
		struct xdp_desc desc;

		stack_send_len(stack, i, 1400);
		CHECK_EQ(xsk_socket_wait(sock, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
		if (i % 2) {
			const struct xdp_desc *run;

			CHECK_EQ(xsk_rx_recycle_run(sock, 32, &run), 1);
			desc = *run;
		} else {
			CHECK_EQ(xsk_rx_get(sock, &desc, 1), 1);
		}
		check_word(&info, l, desc.addr, xsk_umem_data(umem, desc.addr), 306);
		CHECK_EQ(read_frame(xsk_umem_data(umem, desc.addr), desc.len), i);
		if (i % 2) {
			const struct xdp_desc *run;

			/* Its frame goes back to the fill ring. */
			CHECK_EQ(xsk_rx_recycle_run(sock, 32, &run), 0);
			continue;
		}
		CHECK_EQ(xsk_tx_put(sock, &desc, 1), 1);
		CHECK(xsk_tx_kick(sock, 0) >= 0);
		CHECK_EQ(stack_receive(stack, 1000), i);
		WAIT_FOR(xsk_comp_get(sock, &done, 1) == 1, 1000);
		CHECK_EQ(done, desc.addr);
		/* Any address in a frame names it, and so it is free and had again. */
		CHECK_EQ(xsk_umem_free(umem, &done, 1), 1);
		CHECK_EQ(xsk_umem_alloc(umem, &addrs[0], 1), 1);
		CHECK_EQ(ADDR(addrs[0]), ADDR(done));
		CHECK_EQ(xsk_fill_put(sock, &addrs[0], 1), 1);
	}
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(addresses_that_name_no_frame_are_refused)
{
	struct xsk_umem *umem = create((struct xsk_umem_params){
		.flags = XSK_UMEM_UNALIGNED, .frame_count = 8, .frame_size = 2500,
		.frame_stride = 3000 });
	struct xsk_umem_info info = umem_info_of(umem);
	uint64_t addrs[8], wrong;

	CHECK_EQ(xsk_umem_alloc(umem, addrs, 8), 8);
	wrong = addrs[3] + 2500;			/* in the gap behind it */
	CHECK_EQ(xsk_umem_free(umem, &wrong, 1), 0);
	wrong = 8 * 3000;				/* behind the last */
	CHECK_EQ(xsk_umem_free(umem, &wrong, 1), 0);
	wrong = UINT64_MAX;
	CHECK_EQ(xsk_umem_free(umem, &wrong, 1), 0);
	CHECK(xsk_umem_data(umem, UINT64_MAX) == NULL);
	CHECK(xsk_umem_data(umem, info.memory_size) == NULL);
	CHECK(xsk_umem_data(umem, (info.memory_size - 5) | UINT64_C(5) << 48) == NULL);
	CHECK(xsk_umem_data(umem, (info.memory_size - 5) | UINT64_C(4) << 48) ==
	      (uint8_t *)info.memory + info.memory_size - 1);
	CHECK_EQ(xsk_umem_free(umem, addrs, 8), 8);
	CHECK_EQ(xsk_umem_free(umem, addrs, 1), 0);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* --- headroom */

/* A header of `len` bytes is put in front of each packet that comes, where it lies. */
static void prepends(struct xsk_umem *umem, uint32_t len)
{
	struct xsk_umem_info info = umem_info_of(umem);
	struct xsk_socket *sock = NULL;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_create(&sock, umem, NULL));
	CHECK_EQ(xsk_rx_burst(sock, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(sock, XA, 0, NULL));
	for (uint32_t i = 0; i < 200; i++) {
		struct xsk_buf buf, moved;

		stack_send_len(stack, i, 600);
		CHECK_EQ(xsk_socket_wait(sock, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
		CHECK_EQ(xsk_rx_burst(sock, &buf, 1), 1);
		CHECK_EQ(read_frame(buf.data, buf.len), i);
		/* One byte more than there is room for. */
		moved = buf;
		moved.data = (uint8_t *)buf.data - (info.headroom + 256 + 1);
		moved.len += info.headroom + 256 + 1;
		CHECK_FAILS(xsk_tx_burst(sock, &moved, 1), -EINVAL, "in its frame");
		moved.data = (uint8_t *)buf.data - len;
		moved.len = buf.len + len;
		/* Numbered anew throughout: any byte out of place would show. */
		write_frame(moved.data, 7000 + i, moved.len);
		CHECK_EQ(xsk_tx_burst(sock, &moved, 1), 1);
		CHECK_EQ(stack_receive(stack, 1000), 7000 + i);
		/* And one at the very end of a frame. */
		CHECK_EQ(xsk_buf_alloc(sock, &buf, 1), 1);
		buf.data = (uint8_t *)buf.data + buf.len - 300;
		buf.len = 301;
		CHECK_FAILS(xsk_tx_burst(sock, &buf, 1), -EINVAL, "in its frame");
		buf.len = write_frame(buf.data, i, 300);
		CHECK_EQ(xsk_tx_burst(sock, &buf, 1), 1);
		CHECK_EQ(stack_receive(stack, 1000), i);
	}
	CHECK_EQ(stats_of(sock).tx_invalid_descs, 0);
	xsk_socket_destroy(sock);
	CHECK_EQ(umem_info_of(umem).free_frames, info.frame_count);
	CHECK_OK(xsk_umem_destroy(umem));
	link_delete(XA);
}

TEST(a_header_is_put_in_front_of_a_packet_without_a_copy_up_to_the_frames_start)
{
	static const struct xsk_umem_params frames[] = {
		{ .frame_size = 2048 },
		{ .frame_size = 4096, .headroom = 128 },
		{ .frame_size = 2304, .headroom = 64, .flags = XSK_UMEM_UNALIGNED },
		{ .frame_size = 3000, .frame_stride = 3333, .headroom = 1,
		  .flags = XSK_UMEM_UNALIGNED },
	};

	for (uint32_t i = 0; i < COUNT(frames); i++) {
		struct xsk_umem_params params = frames[i];

		params.frame_count = 128;
		prepends(create(params), 20);
		if (params.headroom)
			prepends(create(params), params.headroom);
		prepends(create(params), params.headroom + 256);
	}
}

/* --- what is refused */

#define REFUSED(word, ...) \
	CHECK_FAILS(xsk_umem_create(&out, &XSK_UMEM_PARAMS(__VA_ARGS__)), -EINVAL, word)

TEST(layouts_that_the_kernel_would_refuse_are_refused_with_the_reason)
{
	const uint32_t unaligned = XSK_UMEM_UNALIGNED;
	static uint8_t memory[8192];
	struct xsk_umem *out = NULL;

	REFUSED("XSK_UMEM_UNALIGNED", .frame_size = 3000);
	REFUSED("XSK_UMEM_UNALIGNED", .frame_size = 2048, .frame_stride = 4096);
	REFUSED("XSK_UMEM_UNALIGNED", .memory = memory + 1, .memory_size = 4096);
	REFUSED("frame_size 2047", .flags = unaligned, .frame_size = 2047);
	REFUSED("frame_size 4097", .flags = unaligned, .frame_size = 4097);
	REFUSED("frame_stride 2999", .flags = unaligned, .frame_size = 3000, .frame_stride = 2999);
	REFUSED("65536", .flags = unaligned, .frame_size = 3000, .frame_stride = 65537);
	REFUSED("at most 2743", .flags = unaligned, .frame_size = 3000, .headroom = 2744);
	REFUSED("memory_size 2999", .flags = unaligned, .frame_size = 3000, .memory = memory,
		.memory_size = 2999);
	REFUSED("memory_size", .flags = unaligned, .memory = memory, .memory_size = UINT64_MAX);
	REFUSED("room for 2", .flags = unaligned, .frame_size = 3000, .memory = memory,
		.memory_size = 6000, .frame_count = 3);
	REFUSED("numa_node", .numa_node = 1, .memory = memory, .memory_size = 4096);
	CHECK(out == NULL);
}

static char said[512];

static void keep_line(uint32_t level, const char *line, void *context)
{
	(void)level;
	(void)context;
	if (strstr(line, "two pages"))
		snprintf(said, sizeof(said), "%s", line);
}

TEST(frames_in_two_pages_are_for_copy_mode_which_is_said)
{
	struct xsk_umem *umem = create((struct xsk_umem_params){
		.flags = XSK_UMEM_UNALIGNED, .frame_count = 64, .frame_size = 3000 });
	struct xsk_socket *sock = NULL;

	make_pair(1);
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, NULL,
				    &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)),
		    -EINVAL, XA, "zero-copy", "two pages", "XSK_UMEM_HUGE_PAGES");
	CHECK(sock == NULL);
	CHECK_OK(xsk_log_set(keep_line, NULL, XSK_LOG_INFO));
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, NULL, NULL));
	CHECK(strstr(said, XA) && strstr(said, "copy mode"));
	CHECK_EQ(info_of(sock).zero_copy, 0);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
	/* Of these none is: the kernel is asked, and veth has no zero-copy. */
	umem = create((struct xsk_umem_params){
		.flags = XSK_UMEM_UNALIGNED, .frame_count = 64, .frame_size = 2000 + 48,
		.frame_stride = 4096 });
	said[0] = 0;
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, NULL,
				    &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)), -EOPNOTSUPP, XA);
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, NULL, NULL));
	CHECK(said[0] == 0);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}
