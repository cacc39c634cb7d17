/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What libxdp 1.3 does not have to compare with: descriptors of the program's own, opts,
 * native calls on the drop-in's handles, and a UMEM after a socket that failed late.
 */
#include "../c/bpf.h"

#include <fcntl.h>
#include <xdp/xsk.h>

#define FRAMES 256
#define FRAME 2048

static struct xsk_ring_prod fill, tx;
static struct xsk_ring_cons comp, rx;

static void *new_area(void)
{
	void *area = mmap(NULL, FRAMES * FRAME, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(area != MAP_FAILED);
	return area;
}

static void fill_frames(uint32_t n)
{
	uint32_t idx;

	CHECK_EQ(xsk_ring_prod__reserve(&fill, n, &idx), n);
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&fill, idx + i) = (uint64_t)i * FRAME;
	xsk_ring_prod__submit(&fill, n);
}

static const struct xsk_umem_config small = { 64, 64, FRAME, 0, 0 };

TEST(a_descriptor_of_the_programs_is_used_and_stays_open_after_a_failure)
{
	struct xsk_umem_config wrong = small;
	struct xsk_umem *umem = NULL;
	void *area = new_area();
	int fd = socket(44, SOCK_RAW, 0);

	CHECK(fd > 0);
	wrong.frame_size = 1000;
	CHECK_EQ(xsk_umem__create_with_fd(&umem, fd, area, FRAMES * FRAME, &fill, &comp, &wrong),
		 -EINVAL);
	CHECK(umem == NULL && fcntl(fd, F_GETFD) >= 0);
	CHECK_OK(xsk_umem__create_with_fd(&umem, fd, area, FRAMES * FRAME, &fill, &comp, &small));
	CHECK_EQ(xsk_umem__fd(umem), fd);
	CHECK_OK(xsk_umem__delete(umem));
	CHECK_EQ(fcntl(fd, F_GETFD), -1);
}

TEST(opts_of_other_sizes_are_taken_or_refused)
{
	struct {
		struct xsk_umem_opts known;
		uint64_t newer;
	} opts;
	void *area = new_area();
	struct xsk_umem *umem;

	memset(&opts, 0, sizeof(opts));
	opts.known.sz = sizeof(opts.known);
	opts.known.size = FRAMES * FRAME;
	opts.known.fill_size = 64;
	opts.known.frame_size = FRAME;
	umem = xsk_umem__create_opts(area, &fill, &comp, &opts.known);
	CHECK(umem != NULL);
	CHECK(fill.size == 64 && comp.size == XSK_RING_CONS__DEFAULT_NUM_DESCS);
	CHECK_OK(xsk_umem__delete(umem));

	opts.known.sz = sizeof(opts);
	umem = xsk_umem__create_opts(area, &fill, &comp, &opts.known);
	CHECK(umem != NULL);
	CHECK_OK(xsk_umem__delete(umem));

	opts.newer = 1;
	errno = 0;
	CHECK(xsk_umem__create_opts(area, &fill, &comp, &opts.known) == NULL && errno == EINVAL);
	opts.known.sz = 4;
	errno = 0;
	CHECK(xsk_umem__create_opts(area, &fill, &comp, &opts.known) == NULL && errno == EINVAL);
}

TEST(native_calls_work_on_a_socket_of_the_drop_in)
{
	struct xdp_desc descs[8];
	struct xsk_umem_opts umem_opts = { .sz = sizeof(umem_opts), .size = FRAMES * FRAME,
					   .fill_size = 64, .frame_size = FRAME };
	struct xsk_socket_opts opts = { .sz = sizeof(opts), .rx = &rx, .tx = &tx, .tx_size = 64 };
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	struct xsk_buf buf;
	uint64_t addrs[8];
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	umem = xsk_umem__create_opts(new_area(), &fill, &comp, &umem_opts);
	CHECK(umem != NULL);
	xsk = xsk_socket__create_opts(XA, 0, umem, &opts);
	CHECK(xsk != NULL);
	CHECK_EQ(info_of(xsk).program_id, attached_id(XA));
	CHECK_EQ(info_of(xsk).rx_size, XSK_RING_CONS__DEFAULT_NUM_DESCS);
	CHECK_EQ(xsk_socket_fd(xsk), xsk_socket__fd(xsk));
	for (uint32_t i = 0; i < 8; i++) {
		descs[i] = (struct xdp_desc){ .addr = (128 + i) * FRAME };
		descs[i].len = write_frame(xsk_umem_data(umem, descs[i].addr), i, 64);
	}
	CHECK_EQ(xsk_tx_put(xsk, descs, 8), 8);
	CHECK_EQ(xsk_tx_kick(xsk, 0), XSK_KICK_DONE);
	for (uint32_t i = 0; i < 8; i++)
		CHECK_EQ(stack_receive(stack, 1000), i);
	CHECK_EQ(stats_of(xsk).tx_packets, 8);
	/* One ring, two views: half by the native call, half by the inline helper. */
	CHECK_EQ(xsk_comp_get(xsk, addrs, 4), 4);
	CHECK_EQ(xsk_ring_cons__peek(&comp, 64, &(uint32_t){ 0 }), 4);
	/* The frames are the program's, so the packet calls are not for it. */
	CHECK_FAILS(xsk_rx_burst(xsk, &buf, 1), -EOPNOTSUPP, "xsk_umem_create");
	CHECK_EQ(xsk_buf_alloc(xsk, &buf, 1), 0);
	CHECK_EQ(xsk_umem_destroy(umem), -EBUSY);
	xsk_socket_destroy(xsk);
	CHECK_OK(xsk_umem_destroy(umem));
	CHECK_EQ(attached_id(XA), 0);
}

/* XDP_USE_SG goes to the kernel and into the program. */
TEST(a_socket_of_the_drop_in_takes_packets_in_several_buffers)
{
	struct xsk_umem_opts umem_opts = { .sz = sizeof(umem_opts), .size = FRAMES * FRAME,
					   .fill_size = 64, .frame_size = FRAME };
	struct xsk_socket_opts opts = { .sz = sizeof(opts), .rx = &rx, .tx = &tx, .tx_size = 64,
					.bind_flags = 1 << 4 /* XDP_USE_SG */ };
	uint32_t room = FRAME - 256, idx, len = 0;
	struct xsk_caps caps = { .size = sizeof(caps) };
	struct xdp_desc descs[8];
	struct xsk_umem *umem;
	struct xsk_socket *xsk;
	uint8_t frame[4096];
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_probe("lo", &caps));
	umem = xsk_umem__create_opts(new_area(), &fill, &comp, &umem_opts);
	CHECK(umem != NULL);
	if (!(caps.kernel & XSK_KERNEL_SG)) {
		errno = 0;
		CHECK(xsk_socket__create_opts(XA, 0, umem, &opts) == NULL && errno == EINVAL);
		CHECK_SAYS("XDP_USE_SG", "Linux 6.6");
		SKIP("no packets in several buffers before Linux 6.6");
	}
	shell("ip link set dev " XA " mtu 9000 && ip link set dev " XB " mtu 9000");
	fill_frames(8);
	xsk = xsk_socket__create_opts(XA, 0, umem, &opts);
	CHECK(xsk != NULL);
	CHECK_EQ(info_of(xsk).xdp_mode, XSK_MODE_DRV);
	CHECK(info_of(xsk).max_frags >= 17);

	write_frame(frame, 1, 2 * room + 1);
	CHECK_EQ(send(stack, frame, 2 * room + 1, 0), 2 * room + 1);
	WAIT_FOR(xsk_socket_wait(xsk, XSK_WAIT_RX, 0) == XSK_WAIT_RX, 1000);
	CHECK_EQ(xsk_rx_get(xsk, descs, 2), 2);
	CHECK_EQ(stats_of(xsk).rx_packets, 0);
	/* One ring, two views: the last part by the inline helper, which is not counted. */
	CHECK_EQ(xsk_ring_cons__peek(&rx, 8, &idx), 1);
	descs[2] = *xsk_ring_cons__rx_desc(&rx, idx);
	xsk_ring_cons__release(&rx, 1);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK_EQ(descs[i].options, i < 2);
		memcpy(frame + len, xsk_umem_data(umem, descs[i].addr), descs[i].len);
		len += descs[i].len;
	}
	CHECK_EQ(len, 2 * room + 1);
	CHECK_EQ(read_frame(frame, len), 1);

	CHECK_EQ(xsk_tx_put(xsk, descs, 3), 3);
	CHECK_EQ(xsk_tx_kick(xsk, 0), XSK_KICK_DONE);
	CHECK_EQ(stats_of(xsk).tx_packets, 1);
	CHECK_EQ(recv(stack, frame, sizeof(frame), 0), len);
	CHECK_EQ(read_frame(frame, len), 1);
	xsk_socket__delete(xsk);
	CHECK_OK(xsk_umem__delete(umem));
	CHECK_EQ(attached_id(XA), 0);
}

/* Two sockets on a queue, frames of 2200 bytes, and one of the native calls' own beside. */
TEST(native_calls_work_on_unaligned_frames_and_on_a_queue_that_is_shared)
{
	enum { SIZE = 2200, OFFSET = 200, AREA = FRAMES * FRAME / SIZE * SIZE };
	struct xsk_umem_opts umem_opts = { .sz = sizeof(umem_opts), .size = AREA, .fill_size = 64,
					   .frame_size = SIZE,
					   .flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG };
	struct xsk_socket_opts opts = { .sz = sizeof(opts), .rx = &rx, .tx = &tx, .tx_size = 64 };
	struct xsk_ring_prod tx2;
	struct xsk_socket_opts second = { .sz = sizeof(second), .tx = &tx2, .tx_size = 64 };
	uint8_t *area = new_area();
	struct xsk_umem *umem = xsk_umem__create_opts(area, &fill, &comp, &umem_opts);
	struct xsk_socket *socks[3] = { NULL };
	uint64_t addrs[8];
	int stack, other;

	make_pair(1);
	shell("ip link add ya type veth peer name yb && ip link set ya up && ip link set yb up");
	stack = stack_open(XB);
	other = stack_open("yb");
	CHECK(umem != NULL);
	socks[0] = xsk_socket__create_opts(XA, 0, umem, &opts);
	socks[1] = xsk_socket__create_opts(XA, 0, umem, &second);
	CHECK(socks[0] && socks[1]);
	CHECK_EQ(umem_info_of(umem).frame_size, SIZE);
	CHECK_FAILS(xsk_socket_open(&socks[2], umem, XA, 0,
				    &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_SHARE_QUEUE |
							XSK_SOCKET_TX_ONLY), NULL),
		    -EINVAL, "queue 0");
	CHECK_OK(xsk_socket_open(&socks[2], umem, "ya", 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY), NULL));
	for (uint32_t i = 0; i < 300; i++) {
		const struct xdp_desc *run;
		struct xdp_desc desc = { .addr = (i % 8 * SIZE) |
						 (uint64_t)OFFSET << XSK_UNALIGNED_BUF_OFFSET_SHIFT };
		uint8_t *data = xsk_umem_data(umem, desc.addr);

		CHECK(data == area + i % 8 * SIZE + OFFSET);
		CHECK(data == xsk_umem__get_data(area, xsk_umem__add_offset_to_addr(desc.addr)));
		desc.len = write_frame(data, i, 1000);
		CHECK_EQ(xsk_tx_put(socks[i % 3], &desc, 1), 1);
		CHECK_EQ(xsk_tx_kick(socks[i % 3], 0), XSK_KICK_DONE);
		CHECK_EQ(stack_receive(i % 3 == 2 ? other : stack, 1000), i);
		/* The first two have one completion ring. */
		CHECK_EQ(xsk_comp_get(socks[i % 3 == 2 ? 2 : !(i % 3)], addrs, 1), 1);
		CHECK_EQ(addrs[0], desc.addr);
		if (i < 8) {
			addrs[0] = (16 + i) * SIZE;
			CHECK_EQ(xsk_fill_put(socks[0], addrs, 1), 1);
		}
		stack_send(stack, i);
		CHECK_EQ(xsk_socket_wait(socks[0], XSK_WAIT_RX, 1000), XSK_WAIT_RX);
		CHECK_EQ(xsk_rx_recycle_run(socks[0], 8, &run), 1);
		CHECK_EQ(run->addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT, 256);
		CHECK_EQ(read_frame(xsk_umem_data(umem, run->addr), run->len), i);
		CHECK_EQ(xsk_rx_recycle_run(socks[0], 8, &run), 0);
	}
	CHECK(xsk_umem_data(umem, AREA) == NULL);
	CHECK(xsk_umem_data(umem, (AREA - OFFSET) |
				  (uint64_t)OFFSET << XSK_UNALIGNED_BUF_OFFSET_SHIFT) == NULL);
	CHECK_EQ(xsk_umem_alloc(umem, addrs, 1), 0);
	CHECK_EQ(xsk_umem_free(umem, &addrs[0], 1), 0);
	for (uint32_t i = 0; i < 3; i++)
		xsk_socket_destroy(socks[i]);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* The program is refused when the socket is bound already, and a binding is for good. */
TEST(a_umem_keeps_its_frames_when_a_socket_fails_after_binding)
{
	struct xsk_umem *umem = NULL;
	struct xsk_socket *xsk = NULL;
	int stack, foreign, link;
	uint32_t idx;

	make_pair(1);
	stack = stack_open(XB);
	foreign = load_pass("foreign");
	link = attach_link(foreign, XA);
	CHECK_OK(xsk_umem__create(&umem, new_area(), FRAMES * FRAME, &fill, &comp, &small));
	fill_frames(8);
	CHECK_EQ(xsk_socket__create(&xsk, XA, 0, umem, &rx, &tx, NULL), -EBUSY);
	CHECK(xsk == NULL);
	close(link);
	close(foreign);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	CHECK_OK(xsk_socket__create(&xsk, XA, 0, umem, &rx, &tx, NULL));
	for (uint32_t i = 0; i < 8; i++)
		stack_send(stack, i);
	CHECK_EQ(xsk_socket_wait(xsk, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
	WAIT_FOR(stats_of(xsk).rx_fill_ring_empty_descs + *rx.producer >= 8, 1000);
	CHECK_EQ(xsk_ring_cons__peek(&rx, 64, &idx), 8);
	xsk_socket__delete(xsk);
	CHECK_OK(xsk_umem__delete(umem));
}
