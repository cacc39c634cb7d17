/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ports: several queues of an interface at once, over one UMEM or more. */
#include "bpf.h"

#include <pthread.h>

#define FRAMES 64	/* for each queue */
#define FILL 16

static const struct xsk_umem_params umem_params = {
	.size = sizeof(umem_params), .frame_count = FRAMES, .frame_size = 2048,
	.fill_size = FILL, .comp_size = 64,
};
static const struct xsk_socket_params socket_params = {
	.size = sizeof(socket_params), .rx_size = 64, .tx_size = 64,
};
static const struct xsk_bind_params one_try = {
	.size = sizeof(one_try), .retry_ms = XSK_RETRY_NEVER,
};

/* With small rings and, unless a UMEM is given, few frames. */
static int try_port(struct xsk_port **port, const char *ifname, struct xsk_port_params params)
{
	params.size = sizeof(params);
	if (!params.umem && !params.umem_params)
		params.umem_params = &umem_params;
	if (!params.socket_params)
		params.socket_params = &socket_params;
	return xsk_port_open(port, ifname, &params);
}

static struct xsk_port *open_port(const char *ifname, struct xsk_port_params params)
{
	struct xsk_port *port = NULL;

	CHECK_OK(try_port(&port, ifname, params));
	return port;
}

static struct xsk_umem *make_umem(uint32_t frames)
{
	struct xsk_umem_params params = umem_params;
	struct xsk_umem *umem = NULL;

	params.frame_count = frames;
	CHECK_OK(xsk_umem_create(&umem, &params));
	return umem;
}

/* One socket of a port, for end_send() and end_receive(). */
static struct end at(const struct xsk_port *port, uint32_t i)
{
	return (struct end){ xsk_port_umem(port, i), xsk_port_socket(port, i) };
}

/* What is sent at one place arrives at the other, once, and nowhere else. */
static void one_way(const struct xsk_port *from, uint32_t i, const struct xsk_port *to, uint32_t j)
{
	struct end sender = at(from, i), receiver = at(to, j);
	uint32_t base = i * 1000 + j * 100;

	for (uint32_t number = base; number < base + 40; number++) {
		end_send(&sender, number);
		CHECK_EQ(end_receive(&receiver, 1000), number);
	}
	for (j = 0; j < xsk_port_queue_count(to); j++) {
		struct end other = at(to, j);

		CHECK_EQ(end_receive(&other, 0), -1);
	}
}

static void is_on(const struct xsk_port *port, const char *ifname, uint32_t first, uint32_t count)
{
	CHECK_EQ(xsk_port_queue_count(port), count);
	for (uint32_t i = 0; i < count; i++) {
		struct xsk_socket_info info = info_of(xsk_port_socket(port, i));

		CHECK(strcmp(info.ifname, ifname) == 0);
		CHECK_EQ(info.bound, 1);
		CHECK_EQ(info.queue_id, first + i);
		CHECK_EQ(info.program_id, attached_id(ifname));
	}
	CHECK(xsk_port_socket(port, count) == NULL && xsk_port_umem(port, count) == NULL);
	CHECK(xsk_port_socket(port, UINT32_MAX) == NULL && xsk_port_umem(port, UINT32_MAX) == NULL);
}

static struct xsk_socket_stats port_stats(const struct xsk_port *port)
{
	struct xsk_socket_stats stats = { .size = sizeof(stats) };

	CHECK_OK(xsk_port_stats(port, &stats));
	return stats;
}

/* --- which queues, which frames */

TEST(a_port_has_all_queues_one_umem_and_one_program_by_default)
{
	struct xsk_port *a = NULL, *b;
	struct installed is;
	int fds = count_fds(), maps = count_maps();

	make_pair(2);
	CHECK_OK(xsk_port_open(&a, XA, NULL));
	b = open_port(XB, (struct xsk_port_params){ 0 });
	is_on(a, XA, 0, 2);
	is_on(b, XB, 0, 2);
	CHECK(xsk_port_umem(a, 0) != NULL && xsk_port_umem(a, 0) == xsk_port_umem(a, 1));
	CHECK_EQ(umem_info_of(xsk_port_umem(a, 0)).frame_count, 2 * 4096);
	CHECK_EQ(umem_info_of(xsk_port_umem(b, 0)).frame_count, 2 * FRAMES);
	CHECK_EQ(info_of(xsk_port_socket(a, 1)).rx_size, 2048);
	CHECK_EQ(info_of(xsk_port_socket(b, 1)).rx_size, 64);
	for (uint32_t q = 0; q < 2; q++) {
		one_way(a, q, b, q);
		one_way(b, q, a, q);
	}
	is = installed_by(attached_id(XA));
	xsk_port_destroy(a);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 2000);
	xsk_port_destroy(b);
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_maps(), maps);
}

TEST(a_port_has_the_queues_asked_for_and_the_others_stay_the_kernel_s)
{
	struct xsk_port *all, *middle, *last;
	struct end others;
	int stack;

	make_pair(4);
	stack = stack_open(XA);
	all = open_port(XB, (struct xsk_port_params){ 0 });
	middle = open_port(XA, (struct xsk_port_params){ .first_queue = 1, .queue_count = 2 });
	is_on(middle, XA, 1, 2);
	one_way(all, 1, middle, 0);
	one_way(all, 2, middle, 1);
	for (uint32_t q = 0; q < 4; q += 3) {
		others = at(all, q);
		end_send(&others, q);
		CHECK_EQ(stack_receive(stack, 1000), q);
	}
	/* The rest of the queues, behind the same program. */
	CHECK_FAILS(try_port(&last, XA, (struct xsk_port_params){
			.first_queue = 2, .bind_params = &one_try }), -EBUSY, "queue 2 of " XA);
	last = open_port(XA, (struct xsk_port_params){ .first_queue = 3 });
	is_on(last, XA, 3, 1);
	one_way(all, 3, last, 0);
	xsk_port_destroy(middle);
	one_way(all, 3, last, 0);
	xsk_port_destroy(last);
	xsk_port_destroy(all);
}

TEST(all_queues_are_those_that_are_switched_on)
{
	struct xsk_port *port = NULL;

	make_pair(4);
	if (system("command -v ethtool >/dev/null") != 0)
		SKIP("no ethtool");
	if (system("ethtool -L " XA " rx 2 tx 2 >/dev/null 2>&1") != 0)
		SKIP("this kernel has no way to switch queues of a veth off (Linux 5.16)");
	port = open_port(XA, (struct xsk_port_params){ 0 });
	is_on(port, XA, 0, 2);
	xsk_port_destroy(port);
	CHECK_FAILS(try_port(&port, XA, (struct xsk_port_params){ .queue_count = 3 }), -EINVAL,
		    "queue 2 of " XA, "it has 2");
}

/* In generic mode a packet of the peer's queue q + 1 is on queue q here. */
TEST(a_port_receives_on_each_queue_in_generic_mode)
{
	const struct xsk_socket_params tx_only = {
		.size = sizeof(tx_only), .flags = XSK_SOCKET_TX_ONLY };
	const struct xsk_socket_params rx_only = {
		.size = sizeof(rx_only), .flags = XSK_SOCKET_RX_ONLY };
	struct xsk_port *from, *to;

	shell("ip link add " XA " numrxqueues 3 numtxqueues 3 type veth "
	      "peer name " XB " numrxqueues 4 numtxqueues 4");
	link_up(XA);
	link_up(XB);
	from = open_port(XB, (struct xsk_port_params){ .socket_params = &tx_only });
	to = open_port(XA, (struct xsk_port_params){ .socket_params = &rx_only,
			.bind_params = &XSK_BIND_PARAMS(.flags = XSK_BIND_SKB_MODE) });
	is_on(from, XB, 0, 4);
	CHECK_EQ(attached_id(XB), 0);
	is_on(to, XA, 0, 3);
	CHECK_EQ(attached_to(XA).mode, XDP_ATTACHED_SKB);
	for (uint32_t q = 0; q < 3; q++)
		one_way(from, q + 1, to, q);
	xsk_port_destroy(from);
	xsk_port_destroy(to);
}

TEST(each_socket_of_a_port_has_a_umem_of_its_own_if_that_is_asked_for)
{
	struct xsk_port *a, *b;

	make_pair(3);
	a = open_port(XA, (struct xsk_port_params){ .flags = XSK_PORT_UMEM_PER_QUEUE });
	b = open_port(XB, (struct xsk_port_params){ .flags = XSK_PORT_UMEM_PER_QUEUE,
						    .queue_count = 3 });
	for (uint32_t q = 0; q < 3; q++) {
		struct xsk_umem_info info = umem_info_of(xsk_port_umem(a, q));

		CHECK_EQ(info.frame_count, FRAMES);
		for (uint32_t other = 0; other < q; other++) {
			CHECK(xsk_port_umem(a, q) != xsk_port_umem(a, other));
			CHECK(umem_info_of(xsk_port_umem(a, other)).memory != info.memory);
		}
		one_way(a, q, b, q);
		one_way(b, q, a, q);
	}
	xsk_port_destroy(a);
	xsk_port_destroy(b);
}

TEST(a_port_uses_memory_of_the_program_s_for_all_its_queues)
{
	size_t bytes = 2 * FRAMES * 2048;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct xsk_umem_params params = umem_params;
	struct xsk_port *a, *b;

	CHECK(memory != MAP_FAILED);
	params.memory = memory;
	params.memory_size = bytes;
	params.frame_count = 0;
	make_pair(2);
	a = open_port(XA, (struct xsk_port_params){ .umem_params = &params });
	b = open_port(XB, (struct xsk_port_params){ 0 });
	CHECK(umem_info_of(xsk_port_umem(a, 1)).memory == memory);
	CHECK_EQ(umem_info_of(xsk_port_umem(a, 1)).frame_count, 2 * FRAMES);
	one_way(a, 1, b, 1);
	one_way(b, 1, a, 1);
	xsk_port_destroy(a);
	xsk_port_destroy(b);
	CHECK_OK(munmap(memory, bytes));
}

/* The program's UMEM is as large as it was and all its frames come back. */
TEST(packets_go_from_port_to_port_within_a_umem_that_is_given)
{
	struct xsk_umem *umem = make_umem(256);
	struct xsk_port_params params = { .umem = umem };
	struct xsk_port *a, *b;
	uint32_t idle;

	make_pair(2);
	a = open_port(XA, params);
	b = open_port(XB, params);
	CHECK(umem_info_of(xsk_port_umem(a, 1)).memory == umem_info_of(umem).memory);
	CHECK(umem_info_of(xsk_port_umem(b, 0)).memory == umem_info_of(umem).memory);
	CHECK_EQ(umem_info_of(xsk_port_umem(b, 0)).frame_count, 256);
	idle = umem_info_of(umem).free_frames;
	CHECK_EQ(idle, 256 - 4 * FILL);
	for (uint32_t i = 0; i < 1000; i++) {
		struct end first = at(a, i % 2), last = at(a, 1 - i % 2);
		struct xsk_socket *there = xsk_port_socket(b, i % 2);
		struct xsk_buf buf;

		/* There on one queue, as it is to the other, and back. */
		end_send(&first, i);
		CHECK(xsk_socket_wait(there, XSK_WAIT_RX, 1000) == XSK_WAIT_RX);
		CHECK_EQ(xsk_rx_burst(there, &buf, 1), 1);
		CHECK_EQ(read_frame(buf.data, buf.len), i);
		CHECK_EQ(xsk_tx_burst(xsk_port_socket(b, 1 - i % 2), &buf, 1), 1);
		CHECK_EQ(end_receive(&last, 1000), i);
	}
	CHECK_FAILS(xsk_umem_destroy(umem), -EBUSY, "still use");
	xsk_port_destroy(a);
	CHECK_FAILS(xsk_umem_destroy(umem), -EBUSY, "still use");
	xsk_port_destroy(b);
	CHECK_EQ(umem_info_of(umem).free_frames, 256);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* --- what belongs to a port */

TEST(sockets_and_umems_of_a_port_are_destroyed_by_it_alone)
{
	struct xsk_port *a, *b;

	make_pair(2);
	b = open_port(XB, (struct xsk_port_params){ 0 });
	for (uint32_t flags = 0; flags <= XSK_PORT_UMEM_PER_QUEUE; flags++) {
		a = open_port(XA, (struct xsk_port_params){ .flags = flags });
		for (uint32_t q = 0; q < 2; q++) {
			int fds = count_fds();

			xsk_socket_destroy(xsk_port_socket(a, q));
			CHECK_SAYS("xsk_port_destroy()");
			CHECK_FAILS(xsk_umem_destroy(xsk_port_umem(a, q)), -EBUSY, "still use");
			CHECK_FAILS(xsk_socket_bind(xsk_port_socket(a, q), XA, q, NULL), -EBUSY,
				    "bound already");
			CHECK_EQ(count_fds(), fds);
			one_way(b, q, a, q);
			one_way(a, q, b, q);
		}
		xsk_port_destroy(a);
	}
	xsk_port_destroy(b);
}

TEST(the_counters_of_a_port_are_the_sums_of_its_sockets)
{
	struct xsk_port *a, *b;
	uint64_t sums[sizeof(struct xsk_socket_stats) / 8] = { 0 };
	struct xsk_socket_stats stats;

	make_pair(3);
	a = open_port(XA, (struct xsk_port_params){ 0 });
	b = open_port(XB, (struct xsk_port_params){ 0 });
	for (uint32_t q = 0; q < 3; q++) {
		struct end from = at(b, q), to = at(a, q);

		one_way(a, q, b, q);
		/* More than the fill ring has frames for. */
		for (uint32_t i = 0; i < FILL + 1 + q; i++)
			end_send(&from, i);
		for (uint32_t i = 0; i < FILL; i++)
			CHECK_EQ(end_receive(&to, 1000), i);
		CHECK_EQ(end_receive(&to, 0), -1);
	}
	for (uint32_t q = 0; q < 3; q++) {
		stats = stats_of(xsk_port_socket(a, q));
		CHECK_EQ(stats.rx_packets, FILL);
		CHECK_EQ(stats.rx_fill_ring_empty_descs, 1 + q);
		for (uint32_t i = 1; i < COUNT(sums); i++)
			sums[i] += ((uint64_t *)&stats)[i];
	}
	stats = port_stats(a);
	CHECK_EQ(stats.kernel_counters, 6);
	CHECK_EQ(stats.rx_packets, 3 * FILL);
	CHECK_EQ(stats.rx_bytes, 3 * FILL * FRAME_LEN);
	CHECK_EQ(stats.tx_packets, 120);
	CHECK_EQ(stats.rx_fill_ring_empty_descs, 6);
	CHECK(memcmp(&sums[1], (uint64_t *)&stats + 1, sizeof(sums) - 8) == 0);
	stats.size = 0;
	CHECK_FAILS(xsk_port_stats(a, &stats), -EINVAL, "xsk_socket_stats.size");
	xsk_port_destroy(a);
	xsk_port_destroy(b);
}

/* --- what is refused, and what is left then */

TEST(a_port_that_cannot_be_is_refused_with_a_sentence_and_leaves_nothing)
{
	struct xsk_port *port = (void *)&umem_params;
	struct xsk_umem *umem = make_umem(FRAMES);
	struct xsk_umem_params bad_umem = umem_params, memory = umem_params;
	struct xsk_socket_params bad_socket = socket_params;
	struct xsk_bind_params bad_bind = one_try;
	const struct {
		int error;
		const char *ifname, *says[2];
		struct xsk_port_params params;
	} refused[] = {
		{ -ENODEV, "nosuch", { "nosuch", "no interface" }, { 0 } },
		{ -EINVAL, "", { "no interface name" }, { 0 } },
		{ -EINVAL, XA, { XA " has 2 queues", "none from 2" }, { .first_queue = 2 } },
		{ -EINVAL, XA, { "none from 4294967295" }, { .first_queue = UINT32_MAX } },
		{ -EINVAL, XA, { "queue 2 of " XA, "it has 2" }, { .queue_count = 3 } },
		{ -EINVAL, XA, { "queue 2 of " XA, "it has 2" },
		  { .first_queue = 1, .queue_count = 2 } },
		{ -EINVAL, XA, { "queue 7 of " XA, "it has 2" },
		  { .first_queue = 7, .queue_count = 1 } },
		{ -EINVAL, XA, { "queue 2 of " XA, "it has 2" }, { .queue_count = 1000000 } },
		{ -EINVAL, XA, { "queue 2 of " XA, "it has 2" }, { .queue_count = UINT32_MAX } },
		{ -EINVAL, XA, { "queue 4294967295 of " XA, "it has 2" },
		  { .first_queue = UINT32_MAX, .queue_count = UINT32_MAX } },
		{ -EINVAL, XA, { "xsk_port_params.flags", "0x2" }, { .flags = 2 } },
		{ -EINVAL, XA, { "umem is given", "XSK_PORT_UMEM_PER_QUEUE" },
		  { .umem = umem, .flags = XSK_PORT_UMEM_PER_QUEUE } },
		{ -EINVAL, XA, { "umem is given", "umem_params" },
		  { .umem = umem, .umem_params = &umem_params } },
		{ -EINVAL, XA, { "memory", "XSK_PORT_UMEM_PER_QUEUE" },
		  { .umem_params = &memory, .flags = XSK_PORT_UMEM_PER_QUEUE } },
		{ -EINVAL, XA, { "headroom" }, { .umem_params = &bad_umem } },
		{ -EINVAL, XA, { "rx_size", "3" }, { .umem = umem, .socket_params = &bad_socket } },
		{ -EINVAL, XA, { "xsk_bind_params.size" },
		  { .umem = umem, .bind_params = &bad_bind } },
		{ -EOPNOTSUPP, XA, { "zero-copy", "queue 0 of " XA },
		  { .umem = umem, .bind_params = &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY) } },
	};
	int fds, maps;

	make_pair(2);
	memory.memory = mmap(NULL, 4096 * 64, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory.memory_size = 4096 * 64;
	bad_umem.headroom = 2000;
	bad_socket.rx_size = 3;
	bad_bind.size = 0;
	/* The first socket of a UMEM takes one that it has. */
	xsk_port_destroy(open_port(XA, (struct xsk_port_params){ .umem = umem }));
	fds = count_fds();
	maps = count_maps();
	for (uint32_t i = 0; i < COUNT(refused); i++) {
		CHECK_EQ(try_port(&port, refused[i].ifname, refused[i].params), refused[i].error);
		for (uint32_t j = 0; j < 2 && refused[i].says[j]; j++)
			CHECK_SAYS(refused[i].says[j]);
		CHECK(port == (void *)&umem_params);
		CHECK_EQ(count_fds(), fds);
		CHECK_EQ(count_maps(), maps);
		CHECK_EQ(umem_info_of(umem).free_frames, FRAMES);
		WAIT_FOR(attached_id(XA) == 0, 2000);
	}
	/* And the sizes that tell versions of the struct apart. */
	CHECK_FAILS(xsk_port_open(&port, XA, &(struct xsk_port_params){ .size = 0 }), -EINVAL,
		    "xsk_port_params.size");
	CHECK_OK(xsk_umem_destroy(umem));
}

/* A process that has a queue, until it is killed. */
static pid_t take_queue(uint32_t queue, uint32_t bind_flags)
{
	int there[2];
	char byte;
	pid_t pid;

	CHECK_OK(pipe(there));
	pid = fork_child();
	if (pid == 0) {
		open_end(XA, queue, 0, bind_flags);
		CHECK_EQ(write(there[1], "", 1), 1);
		for (;;)
			pause();
	}
	CHECK_EQ(read(there[0], &byte, 1), 1);
	close(there[0]);
	close(there[1]);
	return pid;
}

TEST(a_port_that_fails_at_a_later_queue_leaves_nothing_of_the_earlier_ones)
{
	static const uint32_t modes[] = { 0, XSK_BIND_NO_PROGRAM };
	struct xsk_umem *umem = make_umem(256);
	struct xsk_port *port = NULL, *peer;
	int stack;

	make_pair(3);
	stack = stack_open(XA);
	peer = open_port(XB, (struct xsk_port_params){ 0 });
	xsk_port_destroy(open_port(XA, (struct xsk_port_params){ .umem = umem }));
	for (uint32_t i = 0; i < 6; i++) {
		struct xsk_port_params params = {
			.flags = i % 3 == 1 ? XSK_PORT_UMEM_PER_QUEUE : 0,
			.umem = i % 3 == 2 ? umem : NULL, .bind_params = &one_try,
		};
		int fds, maps;
		pid_t pid = take_queue(2, modes[i / 3]);
		struct end from = at(peer, 0);
		uint32_t id = attached_id(XA);

		CHECK_EQ(id != 0, i < 3);
		fds = count_fds();
		maps = count_maps();
		/* The queues may be on their way out still, but for the one that stays. */
		do {
			CHECK_EQ(try_port(&port, XA, params), -EBUSY);
		} while (!strstr(xsk_errmsg(), "queue 2 of " XA));
		CHECK(port == NULL);
		CHECK_EQ(count_fds(), fds);
		CHECK_EQ(count_maps(), maps);
		CHECK_EQ(umem_info_of(umem).free_frames, 256);
		WAIT_FOR(attached_id(XA) == id, 2000);
		/* Queue 0 is the stack's again. */
		end_send(&from, i);
		CHECK_EQ(stack_receive(stack, 1000), i);

		kill_child(pid);
		WAIT_FOR(attached_id(XA) == 0, 2000);
		params.bind_params = NULL;
		port = open_port(XA, params);
		for (uint32_t q = 0; q < 3; q++)
			one_way(peer, q, port, q);
		xsk_port_destroy(port);
		port = NULL;
	}
	xsk_port_destroy(peer);
	CHECK_EQ(umem_info_of(umem).free_frames, 256);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* --- threads, and a pool that is small */

#define QUEUES 4
#define PACKETS 100000
#define WINDOW 16

static struct xsk_port *near, *far;
static uint32_t finished;

/* Sends all of a burst; frames are in few hands, so that some may have to wait. */
static void send_all(struct xsk_socket *socket, const struct xsk_buf *bufs, uint32_t n)
{
	for (uint32_t done = 0; done < n;) {
		int taken = xsk_tx_burst(socket, bufs + done, n - done);

		CHECK(taken >= 0);
		done += (uint32_t)taken;
	}
}

/*
 * There and back on one queue: each packet is sent, forwarded as it is, and received.
 * The fill rings have FILL frames each, and a window may wait at each of the three
 * stations; what four caches a queue keep comes on top.
 */
static void *drive_queue(void *arg)
{
	uint32_t queue = (uint32_t)(uintptr_t)arg, sent = 0, back = 0;
	struct xsk_socket *here = xsk_port_socket(near, queue), *there = xsk_port_socket(far, queue);
	uint64_t until = now_ms() + 50000;
	struct xsk_buf bufs[WINDOW];

	while (back < PACKETS) {
		uint32_t room = WINDOW - (sent - back);
		int n;

		room = room < PACKETS - sent ? room : PACKETS - sent;
		room = xsk_buf_alloc(here, bufs, room);
		for (uint32_t i = 0; i < room; i++)
			bufs[i].len = write_frame(bufs[i].data, queue << 24 | (sent + i), FRAME_LEN);
		send_all(here, bufs, room);
		sent += room;

		n = xsk_rx_burst(there, bufs, WINDOW);
		CHECK(n >= 0);
		send_all(there, bufs, (uint32_t)n);

		n = xsk_rx_burst(here, bufs, WINDOW);
		CHECK(n >= 0);
		for (int i = 0; i < n; i++)
			CHECK_EQ(read_frame(bufs[i].data, bufs[i].len), queue << 24 | back++);
		CHECK_EQ(xsk_buf_free(here, bufs, (uint32_t)n), n);
		if (now_ms() >= until)
			FAIL("queue %u: %u of %u packets sent, %u came back", queue, sent, PACKETS, back);
	}
	__atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
	return arg;
}

TEST(a_thread_a_queue_with_one_small_pool_loses_no_packet_and_no_frame)
{
	struct xsk_umem *umem = make_umem(QUEUES * (2 * FILL + 3 * WINDOW + 24));
	uint32_t frames = umem_info_of(umem).frame_count;
	struct xsk_port_params params = { .umem = umem };
	struct xsk_socket_stats stats;
	pthread_t threads[QUEUES];

	make_pair(QUEUES);
	near = open_port(XA, params);
	far = open_port(XB, params);
	for (uintptr_t q = 0; q < QUEUES; q++)
		CHECK_OK(pthread_create(&threads[q], NULL, drive_queue, (void *)q));
	/* Counters are read meanwhile. */
	do {
		stats = port_stats(near);
		CHECK(stats.rx_packets <= stats.tx_packets);
		nap_ms(1);
	} while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < QUEUES);
	for (uint32_t q = 0; q < QUEUES; q++) {
		CHECK_OK(pthread_join(threads[q], NULL));
		CHECK_EQ(stats_of(xsk_port_socket(near, q)).rx_packets, PACKETS);
		CHECK_EQ(stats_of(xsk_port_socket(far, q)).rx_packets, PACKETS);
	}
	CHECK_EQ(port_stats(near).rx_bytes, (uint64_t)QUEUES * PACKETS * FRAME_LEN);
	CHECK_EQ(port_stats(near).rx_dropped + port_stats(far).rx_dropped, 0);
	xsk_port_destroy(far);
	xsk_port_destroy(near);
	CHECK_EQ(umem_info_of(umem).free_frames, frames);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* Each queue leaves the others frames to send, however many there are. */
TEST(sixteen_queues_that_were_busy_once_leave_the_pool_its_frames)
{
	struct xsk_umem *umem = make_umem(256);
	struct xsk_port *port;
	struct xsk_buf bufs[16];

	make_pair(16);
	port = open_port(XA, (struct xsk_port_params){ .umem = umem });
	for (uint32_t i = 0; i < 32; i++) {
		struct xsk_socket *socket = xsk_port_socket(port, i % 16);

		CHECK_EQ(xsk_buf_alloc(socket, bufs, 16), 16);
		for (uint32_t j = 0; j < 16; j++)
			bufs[j].len = write_frame(bufs[j].data, j, FRAME_LEN);
		CHECK_EQ(xsk_tx_burst(socket, bufs, 16), 16);
		CHECK_EQ(xsk_tx_pending(socket), 0);
	}
	xsk_port_destroy(port);
	CHECK_EQ(umem_info_of(umem).free_frames, 256);
	CHECK_OK(xsk_umem_destroy(umem));
}
