/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Queues and UMEMs used again, and UMEMs shared by sockets. */
#include "bpf.h"

TEST(a_queue_is_bound_again_at_once_thirty_times)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	for (uint32_t i = 0; i < 30; i++) {
		end = open_end(XA, 0, 0, 0);
		stack_send(stack, i);
		CHECK_EQ(end_receive(&end, 1000), i);
		close_end(&end);
	}
}

TEST(a_single_try_right_after_a_socket_was_destroyed_works_or_says_why_not)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	uint32_t refused = 0;

	make_pair(1);
	for (uint32_t i = 0; i < 20; i++) {
		int answer = xsk_socket_open(&sock, umem, XA, 0,
					     &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY),
					     &XSK_BIND_PARAMS(.retry_ms = XSK_RETRY_NEVER));

		if (answer != 0) {
			CHECK_EQ(answer, -EBUSY);
			CHECK_SAYS("queue 0", XA, "retry_ms");
			CHECK(sock == NULL);
			refused++;
			nap_ms(5);
		}
		xsk_socket_destroy(sock);
		sock = NULL;
	}
	CHECK(refused < 20);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_umem_serves_one_socket_after_another)
{
	struct xsk_umem *umem = small_umem();
	struct end end = { umem, NULL };
	int stack;

	make_pair(2);
	stack = stack_open(XB);
	for (uint32_t i = 0; i < 10; i++) {
		CHECK_OK(xsk_socket_create(&end.socket, umem, NULL));
		CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
		CHECK_OK(xsk_socket_bind(end.socket, XA, i % 2, NULL));
		end_send(&end, i);
		CHECK_EQ(stack_receive(stack, 1000), i);
		xsk_socket_destroy(end.socket);
		CHECK_EQ(umem_info_of(umem).free_frames, 512);
	}
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(two_sockets_on_two_queues_share_a_umem)
{
	struct end ends[2] = { { small_umem(), NULL }, { NULL, NULL } }, peers[2];

	make_pair(2);
	ends[1].umem = ends[0].umem;
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_OK(xsk_socket_create(&ends[i].socket, ends[i].umem,
					   &XSK_SOCKET_PARAMS(.fill_size = 64)));
		CHECK_EQ(xsk_rx_burst(ends[i].socket, NULL, 0), 0);
		CHECK_OK(xsk_socket_bind(ends[i].socket, XA, i, NULL));
		peers[i] = open_end(XB, i, 0, 0);
	}
	for (uint32_t number = 0; number < 300; number++) {
		for (uint32_t i = 0; i < 2; i++) {
			end_send(&peers[i], number * 2 + i);
			CHECK_EQ(end_receive(&ends[i], 1000), number * 2 + i);
			end_send(&ends[i], number * 2 + i);
			CHECK_EQ(end_receive(&peers[i], 1000), number * 2 + i);
		}
	}
	xsk_socket_destroy(ends[0].socket);
	end_send(&ends[1], 7);
	CHECK_EQ(end_receive(&peers[1], 1000), 7);
	xsk_socket_destroy(ends[1].socket);
	CHECK_EQ(umem_info_of(ends[0].umem).free_frames, 512);
	CHECK_OK(xsk_umem_destroy(ends[0].umem));
	close_end(&peers[0]);
	close_end(&peers[1]);
}

/* What arrives on one interface leaves on another without a copy of ours. */
TEST(two_sockets_on_two_interfaces_share_a_umem_and_forward)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *in = NULL, *out = NULL;
	int from, to;

	make_pair(1);
	shell("ip link add ya type veth peer name yb && ip link set ya up && ip link set yb up");
	from = stack_open(XB);
	to = stack_open("yb");
	CHECK_OK(xsk_socket_open(&in, umem, XA, 0, NULL, NULL));
	CHECK_OK(xsk_socket_open(&out, umem, "ya", 0, NULL, NULL));
	CHECK_EQ(xsk_rx_burst(in, NULL, 0), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		struct xsk_buf buf;

		stack_send(from, i);
		CHECK_EQ(xsk_socket_wait(in, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
		CHECK_EQ(xsk_rx_burst(in, &buf, 1), 1);
		CHECK_EQ(xsk_tx_burst(out, &buf, 1), 1);
		CHECK_EQ(stack_receive(to, 1000), i);
	}
	xsk_socket_destroy(in);
	xsk_socket_destroy(out);
	CHECK_EQ(umem_info_of(umem).free_frames, 512);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_umem_with_a_socket_is_not_destroyed_and_both_go_on)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	for (uint32_t i = 0; i < 5; i++) {
		CHECK_FAILS(xsk_umem_destroy(end.umem), -EBUSY, "1 socket");
		stack_send(stack, i);
		CHECK_EQ(end_receive(&end, 1000), i);
		end_send(&end, i);
		CHECK_EQ(stack_receive(stack, 1000), i);
	}
	xsk_socket_destroy(end.socket);
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_FAILS(xsk_umem_destroy(end.umem), -EBUSY, "1 socket");
	close_end(&end);
}

TEST(a_socket_is_bound_in_the_namespace_that_it_was_created_in_only)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	make_pair(1);
	CHECK_OK(xsk_socket_create(&sock, umem, NULL));
	CHECK_OK(unshare(CLONE_NEWNET));
	make_pair(1);
	CHECK_FAILS(xsk_socket_bind(sock, XA, 0, NULL), -EINVAL, "namespace");
	CHECK_OK(setns(home, CLONE_NEWNET));
	CHECK_OK(xsk_socket_bind(sock, XA, 0, NULL));
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_umem_serves_sockets_in_two_namespaces)
{
	struct end ends[2] = { { small_umem(), NULL }, { NULL, NULL } };
	int stacks[2];

	ends[1].umem = ends[0].umem;
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_OK(unshare(CLONE_NEWNET));
		make_pair(1);
		stacks[i] = stack_open(XB);
		CHECK_OK(xsk_socket_open(&ends[i].socket, ends[i].umem, XA, 0,
					 &XSK_SOCKET_PARAMS(.fill_size = 64), NULL));
		CHECK_EQ(xsk_rx_burst(ends[i].socket, NULL, 0), 0);
	}
	for (uint32_t i = 0; i < 2; i++) {
		stack_send(stacks[i], i);
		CHECK_EQ(end_receive(&ends[i], 1000), i);
		end_send(&ends[i], i);
		CHECK_EQ(stack_receive(stacks[i], 1000), i);
	}
	xsk_socket_destroy(ends[0].socket);
	xsk_socket_destroy(ends[1].socket);
	CHECK_OK(xsk_umem_destroy(ends[0].umem));
}

TEST(a_socket_whose_bind_failed_is_bound_to_another_queue)
{
	struct end first, second;

	make_pair(2);
	first = open_end(XA, 0, 0, 0);
	second.umem = small_umem();
	CHECK_OK(xsk_socket_create(&second.socket, second.umem, NULL));
	CHECK_FAILS(xsk_socket_bind(second.socket, XA, 0, &XSK_BIND_PARAMS(.retry_ms = 20)), -EBUSY,
		    "queue 0");
	CHECK_FAILS(xsk_socket_bind(second.socket, XA, 5, NULL), -EINVAL, "queue 5");
	CHECK_FAILS(xsk_socket_bind(second.socket, "nosuch", 0, NULL), -ENODEV, "nosuch");
	CHECK_EQ(info_of(second.socket).bound, 0);
	CHECK_OK(xsk_socket_bind(second.socket, XA, 1, NULL));
	CHECK_EQ(info_of(second.socket).queue_id, 1);
	CHECK_EQ(strcmp(info_of(second.socket).ifname, XA), 0);
	close_end(&first);
	close_end(&second);
}
