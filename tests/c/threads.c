/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two threads on one socket, many on one UMEM, readers of counters, and fork(). */
#include "bpf.h"

#include <pthread.h>

#define PACKETS (slow() ? 20000u : 300000u)
#define BURST 32
#define IN_FLIGHT 128

/* The sides of one socket, each driven by a thread of its own. */
static struct end here, there;
static uint32_t sent, echoed, received;	/* each written by one thread */
static volatile int stop;

static uint32_t load(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void add(uint32_t *counter, uint32_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELEASE);
}

static void *transmit_side(void *arg)
{
	while (sent < PACKETS) {
		struct xsk_buf bufs[BURST];
		uint32_t n, done = 0;

		if (sent - load(&received) > IN_FLIGHT - BURST) {
			sched_yield();
			continue;
		}
		n = xsk_buf_alloc(here.socket, bufs, BURST);
		for (uint32_t i = 0; i < n; i++)
			bufs[i].len = write_frame(bufs[i].data, sent + i, FRAME_LEN);
		while (done < n) {
			int taken = xsk_tx_burst(here.socket, bufs + done, n - done);

			CHECK(taken >= 0);
			done += (uint32_t)taken;
		}
		add(&sent, n);
	}
	return arg;
}

static void *receive_side(void *arg)
{
	while (received < PACKETS) {
		struct xsk_buf bufs[BURST];
		int n = xsk_rx_burst(here.socket, bufs, BURST);

		CHECK(n >= 0);
		for (int i = 0; i < n; i++)
			CHECK_EQ(read_frame(bufs[i].data, bufs[i].len), received + (uint32_t)i);
		CHECK_EQ(xsk_buf_free(here.socket, bufs, (uint32_t)n), n);
		add(&received, (uint32_t)n);
		if (n == 0)
			sched_yield();
	}
	return arg;
}

static void echo(void)
{
	while (echoed < PACKETS) {
		struct xsk_buf bufs[BURST];
		int n = xsk_rx_burst(there.socket, bufs, BURST), done = 0;

		CHECK(n >= 0);
		while (done < n) {
			int taken = xsk_tx_burst(there.socket, bufs + done, (uint32_t)(n - done));

			CHECK(taken >= 0);
			done += taken;
		}
		echoed += (uint32_t)n;
		if (n == 0)
			sched_yield();
	}
}

/* Reads counters as long as the others run: they only grow. */
static void *read_counters(void *arg)
{
	struct xsk_socket_stats before = { 0 };

	while (!stop) {
		struct xsk_socket_stats now = stats_of(here.socket);

		CHECK(now.rx_packets >= before.rx_packets && now.rx_packets <= PACKETS);
		CHECK(now.tx_packets >= before.tx_packets && now.tx_packets <= PACKETS);
		CHECK(now.rx_bytes >= before.rx_bytes && now.rx_bytes % FRAME_LEN == 0);
		CHECK(now.tx_bytes >= before.tx_bytes && now.tx_bytes % FRAME_LEN == 0);
		CHECK(umem_info_of(here.umem).free_frames <= 512);
		before = now;
		nap_ms(1);
	}
	return arg;
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	CHECK_OK(pthread_create(thread, NULL, run, arg));
}

TEST(two_threads_drive_the_two_sides_of_a_socket_while_a_third_reads_its_counters)
{
	pthread_t threads[3];

	make_pair(1);
	here = open_end(XA, 0, 0, 0);
	there = open_end(XB, 0, 0, 0);
	start(&threads[0], transmit_side, NULL);
	start(&threads[1], receive_side, NULL);
	start(&threads[2], read_counters, NULL);
	echo();
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	stop = 1;
	pthread_join(threads[2], NULL);
	CHECK_EQ(stats_of(here.socket).rx_packets, PACKETS);
	CHECK_EQ(stats_of(here.socket).tx_packets, PACKETS);
	xsk_socket_destroy(here.socket);
	xsk_socket_destroy(there.socket);
	CHECK_EQ(umem_info_of(here.umem).free_frames, 512);
	CHECK_EQ(umem_info_of(there.umem).free_frames, 512);
	CHECK_OK(xsk_umem_destroy(here.umem));
	CHECK_OK(xsk_umem_destroy(there.umem));
}

static struct xsk_umem *shared;

static void *open_and_close(void *arg)
{
	uint32_t queue = (uint32_t)(uintptr_t)arg;
	struct end end = { shared, NULL };

	for (uint32_t i = 0; i < 10; i++) {
		struct xsk_buf bufs[4];
		uint64_t addrs[4];

		CHECK_OK(xsk_socket_open(&end.socket, shared, XA, queue,
					 &XSK_SOCKET_PARAMS(.rx_size = 64, .tx_size = 64,
							    .fill_size = 64), NULL));
		CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
		CHECK_EQ(info_of(end.socket).queue_id, queue);
		CHECK_EQ(xsk_buf_alloc(end.socket, bufs, 4), 4);
		CHECK_EQ(xsk_buf_free(end.socket, bufs, 4), 4);
		CHECK_EQ(xsk_umem_alloc(shared, addrs, 4), 4);
		CHECK_EQ(xsk_umem_free(shared, addrs, 4), 4);
		xsk_socket_destroy(end.socket);
	}
	return arg;
}

TEST(four_threads_open_and_close_sockets_of_one_umem)
{
	pthread_t threads[4];
	struct installed is;
	struct end keep;
	int fds;

	make_pair(5);
	shared = small_umem();
	/* So that the program stays the same throughout. */
	keep = open_end(XA, 4, 0, 0);
	is = installed_by(info_of(keep.socket).program_id);
	fds = count_fds();
	for (uintptr_t i = 0; i < COUNT(threads); i++)
		start(&threads[i], open_and_close, (void *)i);
	for (uint32_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(count_fds(), fds - 1);	/* the UMEM's first socket is used up */
	CHECK_EQ(umem_info_of(shared).free_frames, 512);
	CHECK_OK(xsk_umem_destroy(shared));
	CHECK_EQ(attached_id(XA), is.program);
	close_end(&keep);
	WAIT_FOR(is_gone(&is), 2000);
}

/* Each is the first and the last to use the program, over and over. */
TEST(four_threads_attach_and_detach_the_program_together)
{
	pthread_t threads[4];

	make_pair(4);
	shared = small_umem();
	for (uintptr_t i = 0; i < COUNT(threads); i++)
		start(&threads[i], open_and_close, (void *)i);
	for (uint32_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(umem_info_of(shared).free_frames, 512);
	CHECK_OK(xsk_umem_destroy(shared));
	WAIT_FOR(attached_id(XA) == 0, 2000);
}

TEST(a_child_that_destroys_what_it_inherited_leaves_the_parents_socket_alone)
{
	struct installed is;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	here = open_end(XA, 0, 0, 0);
	is = installed_by(info_of(here.socket).program_id);
	for (uint32_t i = 0; i < 5; i++) {
		pid_t pid = fork_child();

		if (pid == 0) {
			close_end(&here);
			_exit(0);
		}
		join_child(pid);
		CHECK_EQ(attached_id(XA), is.program);
		stack_send(stack, i);
		CHECK_EQ(end_receive(&here, 1000), i);
		end_send(&here, i);
		CHECK_EQ(stack_receive(stack, 1000), i);
	}
	close_end(&here);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 2000);
}

static void uses_the_socket(void)
{
	end_send(&here, 7);
	CHECK_EQ(end_receive(&here, 2000), 8);
}

TEST(a_child_uses_the_socket_that_it_inherited)
{
	int stack;
	pid_t pid;

	make_pair(1);
	stack = stack_open(XB);
	here = open_end(XA, 0, 0, 0);
	pid = fork_child();
	if (pid == 0) {
		uses_the_socket();
		_exit(0);
	}
	CHECK_EQ(stack_receive(stack, 2000), 7);
	stack_send(stack, 8);
	join_child(pid);
	close_end(&here);
}
