/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Busy polling: which options reach the kernel, what is refused, and that the calls
 * enter the kernel whatever the rings' flags say. */
#include "net.h"

#define POLLS .busy_poll_us = 20, .busy_poll_budget = 16, .flags = XSK_SOCKET_PREFER_BUSY_POLL

static int option(const struct xsk_socket *sock, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK_OK(getsockopt(xsk_socket_fd(sock), SOL_SOCKET, name, &value, &len));
	return value;
}

/* Skips the case on a kernel without; gives a UMEM. */
static struct xsk_umem *umem_if_there(void)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	int answer = xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(POLLS));

	if (answer != 0) {
		CHECK_EQ(answer, -ENOPROTOOPT);
		CHECK_SAYS("SO_PREFER_BUSY_POLL", "5.11");
		SKIP("this kernel has no preferred busy polling (Linux 5.11)");
	}
	xsk_socket_destroy(sock);
	return umem;
}

static struct end open_polling(const char *ifname)
{
	struct end end = { umem_if_there(), NULL };

	CHECK_OK(xsk_socket_create(&end.socket, end.umem, &XSK_SOCKET_PARAMS(POLLS)));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(end.socket, ifname, 0, NULL));
	return end;
}

TEST(what_is_asked_for_is_what_the_kernel_has)
{
	struct xsk_umem *umem = umem_if_there();
	struct xsk_socket *sock = NULL;
	struct xsk_socket_info info;

	CHECK_OK(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(POLLS)));
	CHECK_EQ(option(sock, SO_BUSY_POLL), 20);
	CHECK_EQ(option(sock, SO_PREFER_BUSY_POLL), 1);
	info = info_of(sock);
	CHECK_EQ(info.busy_poll_us, 20);
	CHECK_EQ(info.busy_poll_budget, 16);
	CHECK_EQ(info.prefer_busy_poll, 1);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.busy_poll_us = 50)));
	CHECK_EQ(option(sock, SO_BUSY_POLL), 50);
	CHECK_EQ(option(sock, SO_PREFER_BUSY_POLL), 0);
	CHECK_EQ(info_of(sock).busy_poll_us, 50);
	CHECK_EQ(info_of(sock).prefer_busy_poll, 0);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_socket_create(&sock, umem, NULL));
	CHECK_EQ(option(sock, SO_PREFER_BUSY_POLL), 0);
	CHECK_EQ(info_of(sock).busy_poll_us, 0);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(what_makes_no_sense_is_refused_with_its_reason)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;

	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.busy_poll_budget = 8)),
		    -EINVAL, "busy_poll_us");
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(
					      .flags = XSK_SOCKET_PREFER_BUSY_POLL)),
		    -EINVAL, "busy_poll_us");
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.busy_poll_us = 1u << 31)),
		    -EINVAL, "busy_poll_us 2147483648");
	CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(.busy_poll_us = 1,
								      .busy_poll_budget = 65536)),
		    -EINVAL, "busy_poll_budget 65536");
	CHECK(sock == NULL);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(one_that_is_refused_leaves_nothing_behind_and_the_umem_usable)
{
	struct xsk_umem *umem = umem_if_there();
	struct xsk_socket *sock = NULL;
	int fds;

	make_pair(1);
	keep_capabilities(1 << CAP_NET_RAW);
	/* The UMEM keeps no descriptor once its first socket was made. */
	fds = count_fds();
	for (int i = 0; i < 3; i++) {
		CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(POLLS)), -EPERM,
			    "SO_PREFER_BUSY_POLL", "CAP_NET_ADMIN");
		CHECK_FAILS(xsk_socket_create(&sock, umem, &XSK_SOCKET_PARAMS(
						      .busy_poll_us = 20, .busy_poll_budget = 64)),
			    -EPERM, "SO_BUSY_POLL_BUDGET", "CAP_NET_ADMIN");
		CHECK(sock == NULL);
		CHECK_EQ(count_fds(), fds);
	}
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, NULL,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_NO_PROGRAM)));
	CHECK_EQ(info_of(sock).prefer_busy_poll, 0);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_burst_that_finds_nothing_has_the_kernel_poll_and_one_with_packets_has_not)
{
	struct end end, other;
	struct xsk_buf bufs[8];
	uint64_t kicks;

	make_pair(1);
	end = open_polling(XA);
	other = open_end(XB, 0, 0, 0);
	for (uint32_t i = 0; i < 10; i++) {
		CHECK_EQ(stats_of(end.socket).rx_kicks, i);
		CHECK_EQ(xsk_rx_burst(end.socket, bufs, 8), 0);
	}
	/* Without room for a packet there is nothing to poll for. */
	CHECK_EQ(xsk_rx_burst(end.socket, bufs, 0), 0);
	CHECK_EQ(stats_of(end.socket).rx_kicks, 10);
	for (uint32_t i = 0; i < 8; i++)
		end_send(&other, i);
	WAIT_FOR(*xsk_socket_rx_monitor(end.socket) == 8, 1000);
	kicks = stats_of(end.socket).rx_kicks;
	CHECK_EQ(xsk_rx_burst(end.socket, bufs, 8), 8);
	for (uint32_t i = 0; i < 8; i++)
		CHECK_EQ(read_frame(bufs[i].data, bufs[i].len), i);
	CHECK_EQ(stats_of(end.socket).rx_kicks, kicks);
	CHECK_EQ(xsk_buf_free(end.socket, bufs, 8), 8);
	/* On veth the flag never asks, and who does not poll makes no call. */
	CHECK_EQ(xsk_rx_burst(other.socket, bufs, 8), 0);
	CHECK_EQ(stats_of(other.socket).rx_kicks, 0);
	close_end(&end);
	close_end(&other);
}

TEST(a_kick_enters_the_kernel_whatever_the_flag_says)
{
	struct end end;

	make_pair(1);
	end = open_polling(XA);
	for (uint32_t i = 0; i < 5; i++) {
		CHECK_EQ(stats_of(end.socket).rx_kicks, i);
		CHECK_EQ(xsk_rx_kick(end.socket, 0), XSK_KICK_DONE);
		CHECK_EQ(xsk_tx_kick(end.socket, 0), XSK_KICK_DONE);
	}
	CHECK_EQ(stats_of(end.socket).tx_kicks, 5);
	close_end(&end);
}

TEST(packets_pass_both_ways_and_waits_end_with_them)
{
	struct end end, other;

	make_pair(1);
	end = open_polling(XA);
	other = open_end(XB, 0, 0, 0);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 20), 0);
	for (uint32_t i = 0; i < 600; i++) {
		end_send(&other, i);
		CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
		CHECK_EQ(end_receive(&end, 1000), i);
		end_send(&end, i + 1000);
		CHECK_EQ(end_receive(&other, 1000), i + 1000);
	}
	CHECK_EQ(xsk_tx_pending(end.socket), 0);
	close_end(&end);
	close_end(&other);
}

TEST(one_that_only_sends_waits_for_room_and_sends)
{
	struct xsk_umem *umem = umem_if_there();
	struct xsk_socket *sock = NULL;
	struct xsk_buf buf;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, &XSK_SOCKET_PARAMS(
					 .flags = XSK_SOCKET_TX_ONLY | XSK_SOCKET_PREFER_BUSY_POLL,
					 .busy_poll_us = 20), NULL));
	CHECK_EQ(xsk_socket_wait(sock, XSK_WAIT_TX, 1000), XSK_WAIT_TX);
	CHECK_EQ(xsk_buf_alloc(sock, &buf, 1), 1);
	buf.len = write_frame(buf.data, 7, FRAME_LEN);
	CHECK_EQ(xsk_tx_burst(sock, &buf, 1), 1);
	CHECK_EQ(stack_receive(stack, 1000), 7);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* Who enters the kernel each time is told at once. */
TEST(a_polling_burst_notices_at_once_that_the_link_is_down)
{
	struct end end;
	struct xsk_buf buf;

	make_pair(1);
	end = open_polling(XA);
	link_down(XA);
	CHECK_FAILS(xsk_rx_burst(end.socket, &buf, 1), -ENETDOWN, XA, "down");
	link_up(XA);
	CHECK_EQ(xsk_rx_burst(end.socket, &buf, 1), 0);
	close_end(&end);
}
