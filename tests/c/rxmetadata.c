/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the driver knows of received packets: asked by the library's program, stored in
 * front of the packet, and read there. */
#include "bpf.h"

#include <linux/filter.h>

static struct end open_asking_in(struct xsk_umem *umem, const char *ifname, uint32_t queue)
{
	struct end end = { umem, NULL };
	int answer;

	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	answer = xsk_socket_bind(end.socket, ifname, queue,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_RX_METADATA));
	if (answer == -EOPNOTSUPP) {
		CHECK_SAYS("XSK_BIND_RX_METADATA", "6.3");
		SKIP("this kernel has no metadata of received packets (Linux 6.3)");
	}
	CHECK_OK(answer);
	return end;
}

static struct end open_asking(const char *ifname, uint32_t queue)
{
	return open_asking_in(small_umem(), ifname, queue);
}

/* The next packet; the case fails without. */
static struct xsk_buf receive_buf(struct end *end)
{
	struct xsk_buf buf;
	uint64_t until = now_ms() + 1000;

	while (xsk_rx_burst(end->socket, &buf, 1) != 1)
		CHECK(now_ms() < until && xsk_socket_wait(end->socket, XSK_WAIT_RX, 100) >= 0);
	CHECK_EQ(buf.options, 0);
	return buf;
}

static void tells_hashes(struct xsk_umem *umem)
{
	uint32_t hash, of, first = 0;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_asking_in(umem, XA, 0);
	/* Often enough for each frame to be used again. */
	for (uint32_t i = 0; i < 1500; i++) {
		struct xsk_buf buf;

		stack_send(stack, i);
		buf = receive_buf(&end);
		CHECK_EQ(read_frame(buf.data, buf.len), i);
		hash = 0;
		CHECK_OK(xsk_buf_rx_hash(end.socket, &buf, &hash, &of));
		CHECK_OK(xsk_buf_rx_hash(end.socket, &buf, NULL, NULL));
		CHECK(hash != 0 && (first == 0 || hash == first));
		first = hash;
		CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 1);
	}
	close_end(&end);
	/* Nothing is left of the program. */
	CHECK_EQ(attached_id(XA), 0);
}

TEST(the_hash_is_told_and_equal_for_packets_of_a_flow)
{
	tells_hashes(small_umem());
}

TEST(the_hash_is_told_of_packets_in_unaligned_frames)
{
	struct xsk_umem *umem = NULL;

	CHECK_OK(xsk_umem_create(&umem, &XSK_UMEM_PARAMS(
		.flags = XSK_UMEM_UNALIGNED, .frame_count = 300, .frame_size = 2222,
		.headroom = 9)));
	tells_hashes(umem);
}

TEST(what_veth_has_not_is_no_data)
{
	uint64_t time = 1;
	uint16_t proto = 1, tag = 1;
	struct xsk_buf buf;
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_asking(XA, 0);
	stack_send(stack, 1);
	buf = receive_buf(&end);
	CHECK_FAILS(xsk_buf_rx_timestamp(end.socket, &buf, &time), -ENODATA, "driver");
	CHECK_FAILS(xsk_buf_rx_vlan(end.socket, &buf, &proto, &tag), -ENODATA, "driver");
	CHECK(time == 1 && proto == 1 && tag == 1);
	/* It was asked, and said 0: the bit for it stands in the header. */
	CHECK_EQ(((uint64_t *)buf.data)[-4] & 7, 1 | 2);
	close_end(&end);
}

#define TCX_EGRESS 47	/* BPF_TCX_EGRESS, Linux 6.6 */

/* Has what the stack sends from an interface tagged, beside the packet: as drivers do
 * that take tags out. -1 where the kernel has no such hook. */
static int attach_tagger(const char *ifname, uint16_t tag)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = htons(0x8100) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = tag },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uint64_t)(uintptr_t)insns,
		.insn_cnt = COUNT(insns),
		.license = (uint64_t)(uintptr_t)"GPL",
		.expected_attach_type = TCX_EGRESS,
	};
	int program = bpf(BPF_PROG_LOAD, &load);
	union bpf_attr attr = { .link_create = {
		.prog_fd = (uint32_t)program,
		.target_ifindex = if_nametoindex(ifname),
		.attach_type = TCX_EGRESS,
	} };

	return program < 0 ? -1 : bpf(BPF_LINK_CREATE, &attr);
}

TEST(the_tag_that_is_not_in_the_packet_is_told)
{
	uint16_t proto = 0, tag = 0;
	struct xsk_buf buf;
	struct end end;
	int stack, link, answer;

	make_pair(1);
	end = open_asking(XA, 0);
	stack = stack_open(XB);
	link = attach_tagger(XB, 5 << 13 | 77);
	if (link < 0)
		SKIP("this kernel has no tcx (Linux 6.6)");
	stack_send(stack, 9);
	buf = receive_buf(&end);
	CHECK_EQ(read_frame(buf.data, buf.len), 9);
	answer = xsk_buf_rx_vlan(end.socket, &buf, &proto, &tag);
	if (answer == -ENODATA && !(((uint64_t *)buf.data)[-4] & 4))
		SKIP("this kernel has no VLAN tags for programs (Linux 6.8)");
	CHECK_OK(answer);
	CHECK_EQ(ntohs(proto), 0x8100);
	CHECK_EQ(tag, 5 << 13 | 77);
	/* The next packet has none, and is not told this one's. */
	CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 1);
	close(link);
	for (uint32_t i = 0; i < 600; i++) {
		stack_send(stack, i);
		buf = receive_buf(&end);
		CHECK_EQ(xsk_buf_rx_vlan(end.socket, &buf, &proto, &tag), -ENODATA);
		CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 1);
	}
	close_end(&end);
}

/* Such packets come from another XDP program, and veth knows nothing of them. */
TEST(packets_that_never_were_the_stacks_have_no_data)
{
	const struct bpf_insn back[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_TX },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct xsk_buf buf;
	struct end end;
	uint32_t hash;
	int link;

	make_pair(1);
	link = attach_link(load_program(back, 2, "test_back"), XB);
	end = open_asking(XA, 0);
	end_send(&end, 4);
	buf = receive_buf(&end);
	CHECK_EQ(read_frame(buf.data, buf.len), 4);
	CHECK_FAILS(xsk_buf_rx_hash(end.socket, &buf, &hash, NULL), -ENODATA, "driver");
	CHECK_EQ(xsk_buf_rx_timestamp(end.socket, &buf, NULL), -ENODATA);
	close_end(&end);
	close(link);
}

TEST(what_was_not_asked_for_or_not_received_is_refused)
{
	struct xsk_buf buf, moved;
	struct end end, plain;
	uint32_t hash = 1;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_asking(XA, 0);
	stack_send(stack, 1);
	buf = receive_buf(&end);
	for (int by = -40; by <= 40; by++) {
		moved = buf;
		moved.data = (char *)buf.data + by;
		CHECK_EQ(xsk_buf_rx_hash(end.socket, &moved, &hash, NULL), by ? -EINVAL : 0);
	}
	moved.data = NULL;
	CHECK_FAILS(xsk_buf_rx_hash(end.socket, &moved, &hash, NULL), -EINVAL, "moved");
	moved.data = umem_info_of(end.umem).memory;
	CHECK_FAILS(xsk_buf_rx_hash(end.socket, &moved, &hash, NULL), -EINVAL, "moved");
	CHECK_EQ(xsk_buf_alloc(end.socket, &moved, 1), 1);
	CHECK_FAILS(xsk_buf_rx_hash(end.socket, &moved, &hash, NULL), -EINVAL, "moved");
	close_end(&end);
	plain = open_end(XA, 0, 0, 0);
	stack_send(stack, 2);
	buf = receive_buf(&plain);
	CHECK_FAILS(xsk_buf_rx_hash(plain.socket, &buf, &hash, NULL), -EOPNOTSUPP,
		    "XSK_BIND_RX_METADATA");
	close_end(&plain);
}

TEST(what_cannot_be_had_with_it_is_refused_with_its_reason)
{
	static const uint32_t flags[] = { XSK_BIND_SKB_MODE, XSK_BIND_NO_PROGRAM, XSK_BIND_XSKMAP };
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;

	make_pair(1);
	for (uint32_t i = 0; i < COUNT(flags); i++)
		CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, NULL, &XSK_BIND_PARAMS(
						    .flags = XSK_BIND_RX_METADATA | flags[i])),
			    -EINVAL, "XSK_BIND_RX_METADATA", "native");
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0,
				    &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY),
				    &XSK_BIND_PARAMS(.flags = XSK_BIND_RX_METADATA)),
		    -EINVAL, "only sends");
	CHECK(sock == NULL);
	CHECK_OK(xsk_umem_destroy(umem));
}

static void join_with(uint32_t flags, int answer)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;

	CHECK_EQ(xsk_socket_open(&sock, umem, XA, 1, NULL, &XSK_BIND_PARAMS(.flags = flags)),
		 answer);
	if (answer)
		CHECK_SAYS(XA, "shared", "XSK_BIND_RX_METADATA");
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

static void join_without(void)
{
	join_with(0, -EBUSY);
}

static void join_asking(void)
{
	join_with(XSK_BIND_RX_METADATA, 0);
}

static void join_asking_in_vain(void)
{
	join_with(XSK_BIND_RX_METADATA, -EBUSY);
}

TEST(who_joins_gets_the_same_kind_of_program_or_is_told)
{
	struct end end;

	make_pair(2);
	end = open_asking(XA, 0);
	join_without();
	join_asking();
	run_in_child(join_without);
	run_in_child(join_asking);
	close_end(&end);
	end = open_end(XA, 0, 0, 0);
	join_asking_in_vain();
	run_in_child(join_asking_in_vain);
	close_end(&end);
}

TEST(packets_of_other_queues_pass_to_the_kernel)
{
	struct end end, from;
	int to;

	make_pair(2);
	to = stack_open(XA);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	end = open_asking(XA, 1);
	end_send(&from, 3);
	CHECK_EQ(stack_receive(to, 1000), 3);
	CHECK_EQ(end_receive(&end, 0), -1);
	close_end(&from);
	close_end(&end);
}

TEST(a_program_that_steers_tells_too_also_when_it_was_replaced)
{
	struct xsk_rule rules[] = { { .ether_type = ETHERTYPE, .action = XSK_ACTION_SOCKET } };
	struct xsk_program *program = NULL, *other = NULL;
	struct end end = { small_umem(), NULL };
	struct xsk_buf buf;
	uint32_t hash;
	int stack, answer;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.rules = rules, .rule_count = 1)));
	CHECK_OK(xsk_program_create(&other, &XSK_PROGRAM_PARAMS(.rules = rules, .rule_count = 1,
								.default_action = XSK_ACTION_DROP)));
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	answer = xsk_socket_bind(end.socket, XA, 0, &XSK_BIND_PARAMS(
					 .flags = XSK_BIND_RX_METADATA, .program = program));
	if (answer == -EOPNOTSUPP)
		SKIP("this kernel has no metadata of received packets (Linux 6.3)");
	CHECK_OK(answer);
	for (uint32_t i = 0; i < 2; i++) {
		stack_send(stack, i);
		buf = receive_buf(&end);
		CHECK_EQ(read_frame(buf.data, buf.len), i);
		CHECK_OK(xsk_buf_rx_hash(end.socket, &buf, &hash, NULL));
		CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 1);
		CHECK_OK(xsk_program_replace(end.socket, other));
	}
	xsk_program_destroy(program);
	xsk_program_destroy(other);
	close_end(&end);
}

TEST(the_first_buffer_of_a_packet_in_several_has_it)
{
	struct end end = { small_umem(), NULL };
	uint32_t hash = 0, n = 0;
	struct xsk_buf bufs[4];
	int stack, answer;

	make_pair(1);
	shell("ip link set dev " XA " mtu 9000 && ip link set dev " XB " mtu 9000");
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	answer = xsk_socket_bind(end.socket, XA, 0, &XSK_BIND_PARAMS(
					 .flags = XSK_BIND_RX_METADATA | XSK_BIND_SG));
	if (answer == -EOPNOTSUPP)
		SKIP("this kernel has no packets in several buffers (Linux 6.6)");
	CHECK_OK(answer);
	stack_send_len(stack, 2, 2048);
	WAIT_FOR((n = (uint32_t)xsk_rx_burst(end.socket, bufs, 4)) != 0, 1000);
	CHECK_EQ(n, 2);
	CHECK_EQ(bufs[0].options, XSK_BUF_MORE);
	CHECK_EQ(bufs[0].len + bufs[1].len, 2048);
	CHECK_OK(xsk_buf_rx_hash(end.socket, &bufs[0], &hash, NULL));
	CHECK(hash != 0);
	CHECK_FAILS(xsk_buf_rx_hash(end.socket, &bufs[1], &hash, NULL), -EINVAL, "received here");
	close_end(&end);
}

TEST(users_of_the_ring_calls_are_told_too)
{
	struct xsk_buf buf = { .data = NULL };
	struct xdp_desc desc;
	struct end end;
	uint32_t hash = 0;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_asking(XA, 0);
	stack_send(stack, 8);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
	CHECK_EQ(xsk_rx_get(end.socket, &desc, 1), 1);
	buf.data = xsk_umem_data(end.umem, desc.addr);
	CHECK_EQ(read_frame(buf.data, desc.len), 8);
	CHECK_OK(xsk_buf_rx_hash(end.socket, &buf, &hash, NULL));
	CHECK(hash != 0);
	close_end(&end);
}
