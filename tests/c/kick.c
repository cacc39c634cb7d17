/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wake-ups, and what becomes of a socket when its interface goes down or away. */
#include "net.h"

static uint32_t warnings, lines;
static char last_line[512];

static void count_lines(uint32_t level, const char *line, void *context)
{
	CHECK(context == &lines);
	CHECK(strchr(line, '\n') == NULL);
	lines++;
	warnings += level == XSK_LOG_WARN;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void put_packet(struct end *end, uint32_t number)
{
	struct xdp_desc desc = { .len = FRAME_LEN };

	CHECK_EQ(xsk_umem_alloc(end->umem, (uint64_t *)&desc.addr, 1), 1);
	write_frame(xsk_umem_data(end->umem, desc.addr), number, FRAME_LEN);
	CHECK_EQ(xsk_tx_put(end->socket, &desc, 1), 1);
}

TEST(a_kick_with_nothing_to_do_is_done)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(xsk_rx_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(xsk_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(xsk_tx_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	CHECK_EQ(xsk_rx_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	CHECK_EQ(xsk_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	close_end(&end);
}

TEST(a_tx_kick_moves_what_is_in_the_ring_and_nothing_moves_without)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	put_packet(&end, 1);
	CHECK_EQ(stack_receive(stack, 30), -1);
	CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(stack_receive(stack, 1000), 1);
	put_packet(&end, 2);
	CHECK_EQ(xsk_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(stack_receive(stack, 1000), 2);
	CHECK_EQ(stats_of(end.socket).tx_kicks, 2);
	close_end(&end);
}

TEST(force_kicks_where_the_flag_does_not_ask)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	/* On veth the fill ring's flag never asks. */
	for (int i = 0; i < 5; i++)
		CHECK_EQ(xsk_rx_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(stats_of(end.socket).rx_kicks, 0);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(xsk_rx_kick(end.socket, XSK_KICK_FORCE), XSK_KICK_DONE);
	CHECK_EQ(stats_of(end.socket).rx_kicks, 5);
	CHECK_EQ(stats_of(end.socket).tx_kicks, 0);
	close_end(&end);
}

TEST(kicks_repeated_while_they_say_again_drain_the_ring)
{
	struct xdp_desc descs[2048];
	struct xsk_umem *umem = NULL;
	struct xsk_socket *sock = NULL;
	uint64_t addrs[2048];
	uint32_t budget, done = 0, kicks = 0;
	int answer;

	make_pair(1);
	CHECK_OK(xsk_umem_create(&umem, NULL));
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY), NULL));
	budget = info_of(sock).tx_budget;
	CHECK(budget == 32 || budget == 2048);
	for (uint32_t i = 0; i < COUNT(descs); i++) {
		descs[i] = (struct xdp_desc){ .addr = i * 4096, .len = FRAME_LEN };
		write_frame(xsk_umem_data(umem, descs[i].addr), i, FRAME_LEN);
	}
	CHECK_EQ(xsk_tx_put(sock, descs, COUNT(descs)), COUNT(descs));
	do {
		answer = xsk_tx_kick(sock, 0);
		CHECK(answer == XSK_KICK_DONE || answer == XSK_KICK_AGAIN);
		CHECK(++kicks < 1000);
	} while (answer == XSK_KICK_AGAIN);
	WAIT_FOR((done += xsk_comp_get(sock, addrs, COUNT(addrs))) == COUNT(descs), 1000);
	/* With a raised budget one is enough; else each moves 32, or 16 on Linux 5.10. */
	if (kicks > COUNT(descs) / budget + 1 && budget == 32)
		budget = 16;
	CHECK_WITHIN(kicks, COUNT(descs) / budget, COUNT(descs) / budget + 1);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* How many of 128 packets one kick sends. */
static void check_budget(const struct xsk_socket_params *params, uint32_t wanted)
{
	struct xdp_desc descs[128];
	struct xsk_umem *umem = NULL;
	struct xsk_socket *sock = NULL;
	uint64_t addrs[128];

	CHECK_OK(xsk_umem_create(&umem, NULL));
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, params, NULL));
	CHECK_EQ(info_of(sock).tx_budget, wanted);
	for (uint32_t i = 0; i < COUNT(descs); i++) {
		descs[i] = (struct xdp_desc){ .addr = i * 4096, .len = FRAME_LEN };
		write_frame(xsk_umem_data(umem, descs[i].addr), i, FRAME_LEN);
	}
	CHECK_EQ(xsk_tx_put(sock, descs, COUNT(descs)), COUNT(descs));
	CHECK_EQ(xsk_tx_kick(sock, 0), wanted < 128 ? XSK_KICK_AGAIN : XSK_KICK_DONE);
	CHECK_EQ(xsk_comp_get(sock, addrs, COUNT(addrs)), wanted);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(one_kick_sends_as_many_as_the_tx_budget_says)
{
	struct xsk_umem *umem = NULL;
	struct xsk_socket *sock = NULL;
	int answer;

	make_pair(1);
	CHECK_OK(xsk_umem_create(&umem, NULL));
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.tx_budget = 31)), -EINVAL,
		    "tx_budget 31", "32 to", "2048");
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.tx_size = 64,
								      .tx_budget = 65)),
		    -EINVAL, "tx_budget 65", "64");
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(
					      .flags = XSK_SOCKET_RX_ONLY, .tx_budget = 32)),
		    -EINVAL, "tx_budget 32");
	answer = xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.tx_budget = 33));
	if (answer != 0) {
		CHECK_EQ(answer, -ENOPROTOOPT);
		CHECK_SAYS("tx_budget", "6.17");
		SKIP("this kernel has no TX budget (Linux 6.17)");
	}
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
	check_budget(&XSK_SOCKET_PARAMS(.tx_budget = 32, .tx_size = 128), 32);
	check_budget(&XSK_SOCKET_PARAMS(.tx_budget = 77, .tx_size = 128), 77);
	check_budget(&XSK_SOCKET_PARAMS(.tx_size = 128), 128);
}

TEST(a_tx_ring_drains_through_a_completion_ring_of_8_entries)
{
	struct end end;
	uint64_t addr;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end.umem = small_umem();
	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.tx_size = 64, .comp_size = 8), NULL));
	for (uint32_t i = 0; i < 64; i++)
		put_packet(&end, i);
	/* The completion ring has 8 entries, so the first kick cannot do all. */
	CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_AGAIN);
	for (uint32_t kicks = 0; xsk_tx_kick(end.socket, 0) == XSK_KICK_AGAIN; kicks++) {
		CHECK(kicks < 100);
		while (xsk_comp_get(end.socket, &addr, 1))
			;
	}
	for (uint32_t i = 0; i < 64; i++)
		CHECK_EQ(stack_receive(stack, 1000), i);
	xsk_socket_destroy(end.socket);
	CHECK_OK(xsk_umem_destroy(end.umem));
}

TEST(a_link_that_is_down_is_said_by_every_call_and_logged_once)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	CHECK_OK(xsk_log_set(count_lines, &lines, XSK_LOG_INFO));
	link_down(XA);
	put_packet(&end, 1);
	for (int i = 0; i < 100; i++) {
		CHECK_FAILS(xsk_tx_kick(end.socket, 0), -ENETDOWN, XA, "down");
		CHECK_FAILS(xsk_kick(end.socket, 0), -ENETDOWN, XA, "down");
		CHECK_FAILS(xsk_rx_kick(end.socket, XSK_KICK_FORCE), -ENETDOWN, XA, "down");
		CHECK_FAILS(xsk_socket_check(end.socket), -ENETDOWN, XA, "down");
		CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0), -ENETDOWN, XA, "down");
		CHECK_FAILS(xsk_tx_burst(end.socket, NULL, 0), -ENETDOWN, XA, "down");
	}
	CHECK_EQ(warnings, 1);
	CHECK_EQ(lines, 1);
	CHECK(strstr(last_line, XA) && strstr(last_line, "down"));

	link_up(XA);
	CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(stack_receive(stack, 1000), 1);
	CHECK_OK(xsk_socket_check(end.socket));
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0), 0);
	CHECK_EQ(lines, 2);
	CHECK(strstr(last_line, XA) && strstr(last_line, "up again"));

	link_down(XA);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(xsk_socket_check(end.socket), -ENETDOWN);
	CHECK_EQ(warnings, 2);
	close_end(&end);
}

TEST(a_link_that_comes_up_again_works_without_rebinding_and_sends_what_waited)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	for (uint32_t round = 0; round < 3; round++) {
		uint32_t base = round * 100;

		link_down(XA);
		for (uint32_t i = 0; i < 10; i++)
			end_send(&end, base + i);
		CHECK_EQ(xsk_tx_kick(end.socket, 0), -ENETDOWN);
		link_up(XA);
		CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
		for (uint32_t i = 0; i < 10; i++)
			CHECK_EQ(stack_receive(stack, 1000), base + i);
		CHECK_EQ(stack_receive(stack, 10), -1);
		WAIT_FOR(stack_sends(XB), 5000);
		stack_send(stack, base);
		CHECK_EQ(end_receive(&end, 1000), base);
	}
	close_end(&end);
}

TEST(the_calls_of_a_socket_whose_interface_is_deleted_say_so)
{
	struct xsk_buf buf;
	struct end end;
	int answer;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	CHECK_OK(xsk_log_set(count_lines, &lines, XSK_LOG_WARN));
	link_delete(XA);
	CHECK_EQ(xsk_buf_alloc(end.socket, &buf, 1), 1);
	buf.len = write_frame(buf.data, 1, FRAME_LEN);
	/* It may be taken before the kernel is asked, then the next call knows. */
	answer = xsk_tx_burst(end.socket, &buf, 1);
	CHECK(answer == 1 || answer == -ENXIO);
	for (int i = 0; i < 20; i++) {
		CHECK_FAILS(xsk_tx_burst(end.socket, &buf, answer == 1 ? 0 : 1), -ENXIO, XA, "gone");
		CHECK_FAILS(xsk_tx_kick(end.socket, 0), -ENXIO, XA, "gone");
		CHECK_FAILS(xsk_kick(end.socket, 0), -ENXIO, XA, "gone");
		CHECK_FAILS(xsk_rx_kick(end.socket, XSK_KICK_FORCE), -ENXIO, XA, "gone");
		CHECK_FAILS(xsk_socket_check(end.socket), -ENXIO, XA, "gone");
		CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0), -ENXIO, XA, "gone");
	}
	CHECK_EQ(warnings, 1);
	CHECK(strstr(last_line, XA) && strstr(last_line, "gone"));
	CHECK_EQ(strcmp(info_of(end.socket).ifname, XA), 0);
	close_end(&end);
}

TEST(a_wait_without_end_ends_when_the_interface_is_deleted)
{
	struct end end;
	uint64_t start;
	pid_t child;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	start = now_ms();
	child = fork_child();
	if (child == 0) {
		nap_ms(100);
		link_delete(XA);
		_exit(0);
	}
	CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, -1), -ENXIO, XA, "gone");
	CHECK_WITHIN(now_ms() - start, 100, 1700);
	join_child(child);
	close_end(&end);
}

TEST(a_wait_without_end_ends_when_the_link_goes_down)
{
	struct end end;
	uint64_t start;
	pid_t child;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	start = now_ms();
	child = fork_child();
	if (child == 0) {
		nap_ms(100);
		link_down(XA);
		_exit(0);
	}
	CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, -1), -ENETDOWN, XA, "down");
	CHECK_WITHIN(now_ms() - start, 100, 1700);
	join_child(child);
	close_end(&end);
}

TEST(empty_rx_bursts_notice_within_65536_that_the_interface_is_gone)
{
	struct xsk_buf bufs[32];
	uint32_t calls;
	struct end end;
	int answer;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	link_down(XA);
	for (calls = 1; (answer = xsk_rx_burst(end.socket, bufs, 32)) == 0; calls++)
		CHECK(calls <= 65536);
	CHECK_FAILS(answer, -ENETDOWN, XA, "down");
	link_up(XA);
	for (calls = 1; calls <= 2 * 65536; calls++)
		CHECK_EQ(xsk_rx_burst(end.socket, bufs, 32), 0);
	link_delete(XA);
	for (calls = 1; (answer = xsk_rx_burst(end.socket, bufs, 32)) == 0; calls++)
		CHECK(calls <= 65536);
	CHECK_FAILS(answer, -ENXIO, XA, "gone");
	close_end(&end);
}

TEST(the_calls_of_a_socket_that_is_not_bound_say_so)
{
	struct end end = { small_umem(), NULL };
	struct xsk_buf buf;

	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_FAILS(xsk_tx_kick(end.socket, XSK_KICK_FORCE), -ENOTCONN, "not bound");
	CHECK_FAILS(xsk_rx_kick(end.socket, XSK_KICK_FORCE), -ENOTCONN, "not bound");
	CHECK_FAILS(xsk_kick(end.socket, XSK_KICK_FORCE), -ENOTCONN, "not bound");
	CHECK_FAILS(xsk_socket_check(end.socket), -ENOTCONN, "not bound");
	CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0), -ENOTCONN, "not bound");
	CHECK_EQ(xsk_buf_alloc(end.socket, &buf, 1), 1);
	buf.len = write_frame(buf.data, 1, FRAME_LEN);
	CHECK_FAILS(xsk_tx_burst(end.socket, &buf, 1), -ENOTCONN, "not bound");
	close_end(&end);
}

TEST(a_kick_of_a_socket_that_is_not_bound_says_so_also_where_no_flag_asks_for_it)
{
	struct end end = { small_umem(), NULL };

	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_FAILS(xsk_tx_kick(end.socket, 0), -ENOTCONN, "not bound");
	CHECK_FAILS(xsk_kick(end.socket, 0), -ENOTCONN, "not bound");
	CHECK_FAILS(xsk_rx_kick(end.socket, 0), -ENOTCONN, "not bound");
	close_end(&end);
}

TEST(unknown_flags_are_refused)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	CHECK_FAILS(xsk_tx_kick(end.socket, 2), -EINVAL, "unknown flags", "0x2");
	CHECK_FAILS(xsk_rx_kick(end.socket, 0x80000001), -EINVAL, "unknown flags", "0x80000000");
	CHECK_FAILS(xsk_kick(end.socket, UINT32_MAX), -EINVAL, "unknown flags");
	CHECK_FAILS(xsk_socket_wait(end.socket, 4, 0), -EINVAL, "unknown flags");
	CHECK_FAILS(xsk_socket_wait(end.socket, 0, 0), -EINVAL, "events");
	close_end(&end);
}

TEST(the_variable_errno_is_left_alone_by_calls_that_fail_and_calls_that_do_not)
{
	struct xsk_socket *none = NULL;
	struct end end;

	make_pair(1);
	errno = 1234;
	end = open_end(XA, 0, 0, 0);
	CHECK_EQ(errno, 1234);
	link_down(XA);
	errno = 1234;
	CHECK_EQ(xsk_tx_kick(end.socket, 0), -ENETDOWN);
	CHECK_EQ(xsk_rx_kick(end.socket, XSK_KICK_FORCE), -ENETDOWN);
	CHECK_EQ(xsk_kick(end.socket, XSK_KICK_FORCE), -ENETDOWN);
	CHECK_EQ(xsk_socket_check(end.socket), -ENETDOWN);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1), -ENETDOWN);
	CHECK_EQ(xsk_kick(NULL, 0), -EINVAL);
	CHECK_EQ(xsk_socket_bind(end.socket, XA, 0, NULL), -EBUSY);
	CHECK_EQ(xsk_socket_open(&none, end.umem, "nosuch", 0, NULL, NULL), -ENODEV);
	CHECK_EQ(xsk_umem_destroy(end.umem), -EBUSY);
	CHECK_EQ(xsk_umem_create(&end.umem, &XSK_UMEM_PARAMS(.frame_size = 1)), -EINVAL);
	CHECK_EQ(errno, 1234);
	close_end(&end);
	CHECK_EQ(errno, 1234);
}

/* In copy mode the kernel does not poll the TX ring, whatever it was asked. */
TEST(a_socket_without_need_wakeup_sends_and_receives)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, XSK_BIND_NO_NEED_WAKEUP);
	CHECK_EQ(info_of(end.socket).need_wakeup, 0);
	for (uint32_t i = 0; i < 100; i++) {
		end_send(&end, i);
		CHECK_EQ(stack_receive(stack, 1000), i);
		stack_send(stack, i);
		CHECK_EQ(end_receive(&end, 1000), i);
	}
	put_packet(&end, 100);
	CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
	CHECK_EQ(stack_receive(stack, 1000), 100);
	close_end(&end);
	end = open_end(XA, 0, 0, 0);
	CHECK_EQ(info_of(end.socket).need_wakeup, 1);
	close_end(&end);
}
