/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sockets that share a queue, with its fill and completion ring; and UMEMs that are
 * shared in one mode across namespaces. Queues and interfaces: rebind.c. */
#include "bpf.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define SHARE XSK_SOCKET_SHARE_QUEUE
#define BURST 16

static struct xsk_socket *open_on(struct xsk_umem *umem, uint32_t flags, uint32_t bind_flags)
{
	struct xsk_socket *sock = NULL;

	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, &XSK_SOCKET_PARAMS(.flags = flags),
				 &XSK_BIND_PARAMS(.flags = bind_flags)));
	return sock;
}

static void send_burst(struct xsk_socket *sock, int stack, uint32_t number, uint32_t n)
{
	struct xsk_buf bufs[BURST];

	CHECK_EQ(xsk_buf_alloc(sock, bufs, n), n);
	for (uint32_t i = 0; i < n; i++)
		bufs[i].len = write_frame(bufs[i].data, number + i, FRAME_LEN);
	CHECK_EQ(xsk_tx_burst(sock, bufs, n), n);
	for (uint32_t i = 0; i < n; i++)
		CHECK_EQ(stack_receive(stack, 1000), number + i);
}

static long receive_one(struct xsk_socket *sock, int timeout_ms)
{
	struct end end = { NULL, sock };

	return end_receive(&end, timeout_ms);
}

static void all_is_back(struct xsk_umem *umem)
{
	struct xsk_umem_info info = umem_info_of(umem);

	CHECK_EQ(info.free_frames, info.frame_count);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* Which of them sends last must not matter: one reaps what another has sent. */
TEST(two_sockets_of_a_queue_send_and_each_reaps_for_both)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *first, *second;
	uint64_t addr;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	first = open_on(umem, 0, 0);
	second = open_on(umem, SHARE | XSK_SOCKET_TX_ONLY, 0);
	CHECK_EQ(xsk_rx_burst(first, NULL, 0), 0);
	for (uint32_t i = 0; i < 3000; i++) {
		/* 512 frames would be gone after 32 bursts that nobody reaps. */
		send_burst(i % 3 ? second : first, stack, i * BURST, 1 + i % BURST);
		if (i % 5 == 0) {
			stack_send(stack, i);
			CHECK_EQ(receive_one(first, 1000), i);
		}
	}
	CHECK_EQ(xsk_tx_pending(first), 0);
	CHECK_EQ(xsk_tx_pending(second), 0);
	CHECK_EQ(xsk_comp_get(second, &addr, 1), 0);
	CHECK(stats_of(first).tx_packets != 0 && stats_of(second).tx_packets != 0);
	CHECK_EQ(stats_of(second).tx_invalid_descs, 0);
	CHECK_EQ(info_of(second).comp_size, 256);
	CHECK_EQ(info_of(second).fill_size, 256);
	CHECK(xsk_socket_comp_ring(first) == xsk_socket_comp_ring(second));
	xsk_socket_destroy(second);
	send_burst(first, stack, 7, BURST);
	xsk_socket_destroy(first);
	all_is_back(umem);
}

/* Packets of even numbers to key 0 of the map, odd ones to key 1. */
static int load_odd_and_even(int map)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1,
		  .off = offsetof(struct xdp_md, data) },
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 3, .src_reg = 1,
		  .off = offsetof(struct xdp_md, data_end) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 4, .src_reg = 2 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 4, .imm = 18 },
		{ .code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 6 },
		{ .code = BPF_LDX | BPF_MEM | BPF_B, .dst_reg = 2, .src_reg = 2, .off = 17 },
		{ .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 2, .imm = 1 },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ .code = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load_program(insns, COUNT(insns), "odd_and_even");
}

static void map_set(int map, uint32_t key, const struct xsk_socket *sock)
{
	uint32_t fd = (uint32_t)xsk_socket_fd(sock);
	union bpf_attr attr = {
		.map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&fd,
	};

	if (bpf(BPF_MAP_UPDATE_ELEM, &attr) != 0)
		FAIL("BPF_MAP_UPDATE_ELEM: %s", strerror(errno));
}

/* Both receive from one fill ring, which either fills, and both send. */
TEST(a_program_deals_the_packets_of_a_queue_out_to_two_sockets)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *socks[2];
	int map, stack;

	make_pair(1);
	stack = stack_open(XB);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 2);
	attach_link(load_odd_and_even(map), XA);
	socks[0] = open_on(umem, 0, XSK_BIND_NO_PROGRAM);
	socks[1] = open_on(umem, SHARE, XSK_BIND_NO_PROGRAM);
	for (uint32_t i = 0; i < 2; i++)
		map_set(map, i, socks[i]);
	CHECK_EQ(xsk_rx_burst(socks[1], NULL, 0), 0);
	for (uint32_t i = 0; i < 4000; i++) {
		/* For long stretches all go to one of them. */
		uint32_t number = i & 1024 ? i : i & ~1u, odd = number & 1;

		stack_send(stack, number);
		CHECK_EQ(xsk_socket_wait(socks[odd], XSK_WAIT_RX, 1000), XSK_WAIT_RX);
		CHECK_EQ(receive_one(socks[odd], 0), number);
		CHECK_EQ(receive_one(socks[!odd], 0), -1);
		if (i % 7 == 0)
			send_burst(socks[i & 1], stack, i, BURST);
	}
	CHECK_EQ(stats_of(socks[0]).rx_dropped + stats_of(socks[1]).rx_dropped, 0);
	CHECK_EQ(stats_of(socks[0]).rx_fill_ring_empty_descs, 0);
	for (uint32_t i = 0; i < 2; i++)
		xsk_socket_destroy(socks[i]);
	all_is_back(umem);
}

static int has_linux(unsigned int major, unsigned int minor)
{
	struct utsname name;
	unsigned int is[2] = { 0, 0 };

	CHECK_OK(uname(&name));
	CHECK_EQ(sscanf(name.release, "%u.%u", &is[0], &is[1]), 2);
	return is[0] > major || (is[0] == major && is[1] >= minor);
}

/* What is unread or unsent in one that goes is the others' again. */
static void goes_first(uint32_t which)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *socks[3];
	struct xsk_buf bufs[BURST];
	struct end later;
	int map, stack, inside, fds, maps;

	make_pair(1);
	stack = stack_open(XB);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 2);
	attach_link(load_odd_and_even(map), XA);
	socks[0] = open_on(umem, 0, XSK_BIND_NO_PROGRAM);
	fds = count_fds();
	maps = count_maps();
	socks[1] = open_on(umem, SHARE, XSK_BIND_NO_PROGRAM);
	for (uint32_t i = 0; i < 2; i++)
		map_set(map, i, socks[i]);
	CHECK_EQ(xsk_rx_burst(socks[0], NULL, 0), 0);
	for (uint32_t i = 0; i < 40; i++)
		stack_send(stack, i);
	WAIT_FOR(receive_one(socks[!which], 0) == (which ? 38 : 39), 1000);
	/* Sent while the link is down: in the ring, and there it stays. */
	link_down(XA);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_EQ(xsk_buf_alloc(socks[i], bufs, BURST), BURST);
		for (uint32_t j = 0; j < BURST; j++)
			bufs[j].len = write_frame(bufs[j].data, i * BURST + j, FRAME_LEN);
		CHECK_EQ(xsk_tx_burst(socks[i], bufs, BURST), BURST);
	}
	CHECK_EQ(xsk_tx_pending(socks[!which]), 2 * BURST);
	xsk_socket_destroy(socks[which]);
	CHECK_EQ(xsk_tx_pending(socks[!which]), BURST);
	link_up(XA);
	CHECK_EQ(count_fds(), fds);
	CHECK_WITHIN(count_maps(), maps - 2, maps);
	WAIT_FOR(xsk_kick(socks[!which], 0) >= 0 && xsk_tx_pending(socks[!which]) == 0, 1000);
	for (uint32_t i = 0; i < BURST; i++)
		CHECK_EQ(stack_receive(stack, 1000), !which * BURST + i);
	/* It is gone: from the program's map too, which passes its packets on. For a while
	 * the peer's queue drops all, after the link was down. */
	inside = stack_open(XA);
	if (which == 1 || has_linux(6, 4))
		WAIT_FOR((stack_send(stack, 100 + which),
			  stack_receive(inside, 20) == 100 + which), 2000);
	else
		WAIT_FOR((stack_send(stack, 101), receive_one(socks[1], 20) == 101), 2000);
	while (receive_one(socks[!which], 20) != -1)
		;
	/* The one that stays goes on, and another one joins it. */
	for (uint32_t i = 0; i < 600; i++) {
		stack_send(stack, i * 2 + !which);
		CHECK_EQ(receive_one(socks[!which], 1000), i * 2 + !which);
		send_burst(socks[!which], stack, i, 1);
	}
	socks[2] = open_on(umem, SHARE, XSK_BIND_NO_PROGRAM);
	map_set(map, which, socks[2]);
	for (uint32_t i = 0; i < 600; i++) {
		stack_send(stack, i);
		CHECK_EQ(receive_one(socks[i % 2 == which ? 2 : !which], 1000), i);
		send_burst(socks[2], stack, i, BURST);
	}
	xsk_socket_destroy(socks[!which]);
	send_burst(socks[2], stack, 5, BURST);
	stack_send(stack, which);
	CHECK_EQ(receive_one(socks[2], 1000), which);
	xsk_socket_destroy(socks[2]);
	all_is_back(umem);
	/* And the queue is free. */
	later = open_end(XA, 0, 0, XSK_BIND_NO_PROGRAM);
	close_end(&later);
	link_delete(XA);
}

TEST(the_first_socket_of_a_queue_goes_and_the_others_go_on)
{
	goes_first(0);
}

TEST(the_second_socket_of_a_queue_goes_and_the_first_goes_on)
{
	goes_first(1);
}

TEST(the_default_program_passes_packets_on_when_its_socket_goes_and_another_stays)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *first, *second;
	int stack, inside;

	make_pair(1);
	stack = stack_open(XB);
	inside = stack_open(XA);
	first = open_on(umem, 0, 0);
	second = open_on(umem, SHARE | XSK_SOCKET_TX_ONLY, 0);
	CHECK_EQ(xsk_rx_burst(first, NULL, 0), 0);
	stack_send(stack, 1);
	CHECK_EQ(receive_one(first, 1000), 1);
	xsk_socket_destroy(first);
	stack_send(stack, 2);
	CHECK_EQ(stack_receive(inside, 1000), 2);
	send_burst(second, stack, 3, BURST);
	/* Another one is given the packets, in the frames that are there. */
	first = open_on(umem, SHARE, 0);
	stack_send(stack, 4);
	CHECK_EQ(receive_one(first, 1000), 4);
	xsk_socket_destroy(second);
	xsk_socket_destroy(first);
	all_is_back(umem);
}

TEST(the_default_program_serves_one_socket_of_a_queue)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *one, *two = NULL;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	one = open_on(umem, XSK_SOCKET_TX_ONLY, 0);
	/* The first only sends, so that the second may have the packets. */
	two = open_on(umem, SHARE, 0);
	CHECK_EQ(xsk_rx_burst(two, NULL, 0), 0);
	stack_send(stack, 1);
	CHECK_EQ(receive_one(two, 1000), 1);
	send_burst(one, stack, 1, 1);
	xsk_socket_destroy(one);
	one = NULL;
	CHECK_FAILS(xsk_socket_open(&one, umem, XA, 0, &XSK_SOCKET_PARAMS(.flags = SHARE), NULL),
		    -EBUSY, "queue 0", XA, "XSK_SOCKET_TX_ONLY", "XSK_BIND_XSKMAP");
	CHECK(one == NULL);
	stack_send(stack, 2);
	CHECK_EQ(receive_one(two, 1000), 2);
	xsk_socket_destroy(two);
	CHECK_EQ(attached_id(XA), 0);
	all_is_back(umem);
}

TEST(what_cannot_share_a_queue_is_told_why)
{
	struct xsk_umem *umem = small_umem(), *other = small_umem();
	const struct xsk_socket_params share = { .size = sizeof(share),
						 .flags = SHARE | XSK_SOCKET_TX_ONLY };
	struct xsk_socket *first, *sock = NULL;
	int stack, fds;

	make_pair(2);
	stack = stack_open(XB);
	/* The first socket of a UMEM takes the descriptor that it was registered with. */
	xsk_socket_destroy(open_on(umem, 0, 0));
	fds = count_fds();
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.flags = SHARE,
								      .fill_size = 64)),
		    -EINVAL, "fill_size", "XSK_SOCKET_SHARE_QUEUE");
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.flags = SHARE,
								      .comp_size = 64)),
		    -EINVAL, "comp_size");
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, &share, NULL), -EINVAL, "queue 0", XA,
		    "no other socket");
	first = open_on(umem, 0, 0);
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 1, &share, NULL), -EINVAL, "queue 1",
		    "no other socket");
	CHECK_FAILS(xsk_socket_open(&sock, other, XA, 0, &share, NULL), -EINVAL, "no other socket");
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, &share,
				    &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)),
		    -EINVAL, "queue 0", "zero-copy");
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, &share,
				    &XSK_BIND_PARAMS(.flags = XSK_BIND_NO_NEED_WAKEUP)),
		    -EINVAL, "XSK_BIND_NO_NEED_WAKEUP");
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, NULL, NULL), -EBUSY, "this UMEM",
		    "XSK_SOCKET_SHARE_QUEUE");
	CHECK(sock == NULL);
	/* Refused once, bound then; before, it has no rings but its own. */
	CHECK_OK(xsk_socket_create(&sock, umem, &share));
	CHECK(xsk_socket_comp_ring(sock) == NULL && xsk_socket_fill_ring(sock) == NULL);
	CHECK_FAILS(xsk_socket_bind(sock, XA, 1, NULL), -EINVAL, "queue 1");
	CHECK_OK(xsk_socket_bind(sock, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_COPY)));
	CHECK(xsk_socket_comp_ring(sock) == xsk_socket_comp_ring(first));
	send_burst(sock, stack, 3, BURST);
	CHECK_FAILS(xsk_umem_destroy(umem), -EBUSY, "2 socket");
	xsk_socket_destroy(first);
	xsk_socket_destroy(sock);
	CHECK_EQ(count_fds(), fds);
	/* One that was never bound. */
	CHECK_OK(xsk_socket_create(&sock, umem, &share));
	CHECK_EQ(xsk_buf_alloc(sock, &(struct xsk_buf){ 0 }, 1), 1);
	xsk_socket_destroy(sock);
	CHECK_EQ(umem_info_of(umem).free_frames, 511);
	CHECK_OK(xsk_umem_destroy(umem));
	all_is_back(other);
}

/* What it locks counts, and may be no more than that. */
static void limit_locked_memory(rlim_t bytes)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ bytes, bytes }));
	CHECK_OK(syscall(SYS_capget, &head, data));
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	data[0].permitted &= ~(1u << CAP_IPC_LOCK);
	CHECK_OK(syscall(SYS_capset, &head, data));
}

/* The memory is registered once, which is all that the limit leaves room for. */
static void shares_across_namespaces(void)
{
	struct xsk_umem *umem, *too_many = NULL;
	struct xsk_socket *socks[2];
	int stacks[2];

	limit_locked_memory(1536 << 10);
	umem = small_umem();
	CHECK_FAILS(xsk_umem_create(&too_many, &XSK_UMEM_PARAMS(.frame_count = 256)), -ENOBUFS,
		    "RLIMIT_MEMLOCK");
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_OK(unshare(CLONE_NEWNET));
		make_pair(1);
		stacks[i] = stack_open(XB);
		CHECK_OK(xsk_socket_create(&socks[i], umem, &XSK_SOCKET_PARAMS(.fill_size = 64)));
		CHECK_EQ(xsk_rx_burst(socks[i], NULL, 0), 0);
		CHECK_OK(xsk_socket_bind(socks[i], XA, 0,
					 &XSK_BIND_PARAMS(.flags = XSK_BIND_COPY)));
	}
	for (uint32_t i = 0; i < 400; i++) {
		stack_send(stacks[i % 2], i);
		CHECK_EQ(receive_one(socks[i % 2], 1000), i);
		send_burst(socks[i % 2], stacks[i % 2], i, BURST);
	}
	xsk_socket_destroy(socks[0]);
	stack_send(stacks[1], 9);
	CHECK_EQ(receive_one(socks[1], 1000), 9);
	xsk_socket_destroy(socks[1]);
	all_is_back(umem);
}

TEST(sockets_in_two_namespaces_share_a_umem_in_copy_mode)
{
	run_in_child(shares_across_namespaces);
}
