/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Waiting: how long, for what, and what ends it. */
#include "net.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

TEST(a_wait_takes_as_long_as_asked_and_not_much_longer)
{
	static const int times[] = { 0, 1, 50, 1200 };
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	for (uint32_t i = 0; i < COUNT(times); i++) {
		uint64_t start = now_us(), took;

		CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, times[i]), 0);
		took = now_us() - start;
		/* The library counts whole milliseconds. */
		CHECK_WITHIN(took, times[i] ? times[i] * 1000 - 1000 : 0, times[i] * 1000 + 300000);
	}
	close_end(&end);
}

TEST(a_wait_of_0_takes_no_time)
{
	struct end end;
	uint64_t start;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	start = now_us();
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0), 0);
	CHECK_WITHIN(now_us() - start, 0, 300000);
	close_end(&end);
}

TEST(the_rx_monitor_counts_the_packets_that_came_and_nothing_else)
{
	struct end end, sender;
	const uint32_t *monitor;
	uint32_t before;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	sender = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK(xsk_socket_rx_monitor(sender.socket) == NULL);
	monitor = xsk_socket_rx_monitor(end.socket);
	CHECK(monitor != NULL);
	/* Across the end of the ring, which has 256 entries. */
	for (uint32_t i = 0; i < 300; i += 3) {
		before = __atomic_load_n(monitor, __ATOMIC_ACQUIRE);
		CHECK_EQ(before, i);
		for (uint32_t k = 0; k < 3; k++)
			end_send(&sender, i + k);
		WAIT_FOR(__atomic_load_n(monitor, __ATOMIC_ACQUIRE) == before + 3, 1000);
		for (uint32_t k = 0; k < 3; k++)
			CHECK_EQ(end_receive(&end, 1000), i + k);
		CHECK_EQ(end_receive(&end, 0), -1);
	}
	CHECK_EQ(*monitor, 300);
	close_end(&sender);
	close_end(&end);
}

TEST(a_packet_ends_the_wait_and_holds_until_it_is_received)
{
	struct end end;
	uint64_t start;
	pid_t child;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, XSK_SOCKET_RX_ONLY, 0);
	start = now_ms();
	child = fork_child();
	if (child == 0) {
		nap_ms(50);
		stack_send(stack, 7);
		_exit(0);
	}
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, -1), XSK_WAIT_RX);
	CHECK_WITHIN(now_ms() - start, 49, 900);
	join_child(child);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0), XSK_WAIT_RX);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, -1), XSK_WAIT_RX);
	CHECK_EQ(end_receive(&end, 0), 7);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 0), 0);
	close_end(&end);
}

/* Some kernels wake poll() with the packets that it drops itself, for ever. */
static int poll_ends(const struct xsk_socket *sock)
{
	struct pollfd entry = { xsk_socket_fd(sock), POLLOUT, 0 };
	uint64_t until = now_ms() + 2000;
	pid_t pid = fork_child(), ended;

	if (pid == 0) {
		poll(&entry, 1, 50);
		_exit(0);
	}
	while ((ended = waitpid(pid, NULL, WNOHANG)) == 0 && now_ms() < until)
		nap_ms(1);
	if (ended == 0)
		kill_child(pid);
	return ended != 0;
}

/* 64 entries, of which 8 can be completed before somebody looks. */
TEST(room_in_the_tx_ring_ends_the_wait)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	struct xdp_desc descs[64];
	uint64_t addrs[64], start;
	uint32_t done = 0;

	make_pair(1);
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.tx_size = 64, .comp_size = 8), NULL));
	CHECK_EQ(xsk_socket_wait(sock, XSK_WAIT_TX, 1000), XSK_WAIT_TX);
	CHECK_EQ(xsk_socket_wait(sock, XSK_WAIT_RX | XSK_WAIT_TX, 1000), XSK_WAIT_TX);
	for (uint32_t i = 0; i < 64; i++) {
		descs[i] = (struct xdp_desc){ .addr = i * 2048, .len = FRAME_LEN };
		write_frame(xsk_umem_data(umem, descs[i].addr), i, FRAME_LEN);
	}
	CHECK_EQ(xsk_tx_put(sock, descs, 64), 64);
	if (!poll_ends(sock))
		SKIP("this kernel has no poll() that ends while the completion ring is full");
	start = now_us();
	CHECK_EQ(xsk_socket_wait(sock, XSK_WAIT_TX, 50), 0);
	CHECK_WITHIN(now_us() - start, 49000, 400000);
	/* The wait sends, too: each round 8 more, until half of the ring is free. */
	while (xsk_socket_wait(sock, XSK_WAIT_TX, 0) == 0) {
		done += xsk_comp_get(sock, addrs, 64);
		CHECK(done <= 64);
	}
	/* Before Linux 6.17 the kernel tells only when it has sent all. */
	CHECK_WITHIN(done, 16, info_of(sock).tx_budget == 64 ? 40 : 64);
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(what_holds_of_both_events_is_said)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	stack_send(stack, 1);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX | XSK_WAIT_TX, 1000),
		 XSK_WAIT_RX | XSK_WAIT_TX);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_TX, 1000), XSK_WAIT_TX);
	close_end(&end);
}

TEST(the_wait_of_one_that_only_receives_for_room_to_send_runs_out)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, XSK_SOCKET_RX_ONLY, 0);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_TX, 20), 0);
	close_end(&end);
	end = open_end(XA, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 20), 0);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX | XSK_WAIT_TX, 20), XSK_WAIT_TX);
	close_end(&end);
}

static void nothing(int signal)
{
	(void)signal;
}

TEST(a_signal_ends_the_wait)
{
	struct sigaction action = { .sa_handler = nothing };
	/* Again and again, so that none that comes too early is the last. */
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, -1), -EINTR, "signal");
	CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, 5000), -EINTR, "signal");
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 10), 0);
	close_end(&end);
}

static pthread_t waiting;
static volatile int stop;

static void *poke(void *arg)
{
	while (!stop) {
		nap_ms(5);
		pthread_kill(waiting, SIGUSR1);
	}
	return arg;
}

TEST(a_signal_from_another_thread_ends_the_wait)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct end end;
	pthread_t thread;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	sigaction(SIGUSR1, &action, NULL);
	waiting = pthread_self();
	CHECK_OK(pthread_create(&thread, NULL, poke, NULL));
	CHECK_FAILS(xsk_socket_wait(end.socket, XSK_WAIT_RX, -1), -EINTR, "signal");
	stop = 1;
	pthread_join(thread, NULL);
	close_end(&end);
}

TEST(the_descriptor_works_in_an_epoll_set)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = 5 }, got;
	struct end end;
	int stack, set, fd;

	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, XSK_SOCKET_RX_ONLY, 0);
	fd = xsk_socket_fd(end.socket);
	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	set = epoll_create1(EPOLL_CLOEXEC);
	CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	CHECK_EQ(epoll_wait(set, &got, 1, 20), 0);
	for (uint32_t i = 0; i < 10; i++) {
		stack_send(stack, i);
		CHECK_EQ(epoll_wait(set, &got, 1, 1000), 1);
		CHECK_EQ(got.data.u32, 5);
		CHECK(got.events & EPOLLIN);
		CHECK_EQ(end_receive(&end, 0), i);
		CHECK_EQ(epoll_wait(set, &got, 1, 0), 0);
	}
	close(set);
	close_end(&end);
}
