/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that is pinned stays without a process and is taken over by the next. */
#include "bpffs.h"

#include <pthread.h>

static struct xsk_program *drop_ethertype(uint16_t type)
{
	const struct xsk_rule rule = { .ether_type = type, .action = XSK_ACTION_DROP };
	struct xsk_program *program = NULL;

	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(
		.rules = &rule, .rule_count = 1, .default_action = XSK_ACTION_SOCKET)));
	return program;
}

/* What several processes count and say to each other. */
struct shared {
	volatile uint32_t received;	/* frames, in order from 0 */
	volatile int bound, stop;
};

static struct shared *share(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(shared != MAP_FAILED);
	return shared;
}

/* Another process that has the socket, counts, and ends by SIGKILL or when it is told. */
static pid_t start_receiver(struct shared *shared, const struct xsk_bind_params *params)
{
	pid_t pid;

	shared->received = 0;
	shared->bound = shared->stop = 0;
	pid = fork_child();
	if (pid == 0) {
		struct end end;

		CHECK_OK(try_end(&end, XA, 0, params));
		shared->bound = 1;
		while (!shared->stop)
			if (end_receive(&end, 1) >= 0)
				shared->received++;
		close_end(&end);
		_exit(0);
	}
	WAIT_FOR(shared->bound || verdict->reason[0], 5000);
	return pid;
}

TEST(a_pinned_program_outlives_a_killed_process_and_is_taken_over)
{
	struct shared *shared = share();
	struct installed is;
	struct end end;
	int stack, kernel;
	pid_t pid;

	make_bpffs();
	make_pair(1);
	stack = stack_open(XB);
	kernel = stack_open(XA);
	pid = start_receiver(shared, &pinned);
	is = installed_by(attached_id(XA));
	CHECK_EQ(count_names(PIN), 3);
	stack_send(stack, 0);
	WAIT_FOR(shared->received == 1, 1000);
	kill_child(pid);
	CHECK_EQ(attached_id(XA), is.program);
	CHECK_EQ(link_of(is.program), is.link);
	stack_send(stack, 1);
	CHECK_EQ(stack_receive(kernel, 1000), 1);
	CHECK_OK(try_end(&end, XA, 0, &pinned));
	CHECK_EQ(attached_id(XA), is.program);
	CHECK_EQ(info_of(end.socket).program_id, is.program);
	stack_send(stack, 2);
	CHECK_EQ(end_receive(&end, 1000), 2);
	CHECK_EQ(stack_receive(kernel, 0), -1);
	CHECK_OK(xsk_program_unpin(PIN));
	CHECK_EQ(count_names(BPFFS), 0);
	stack_send(stack, 3);
	CHECK_EQ(end_receive(&end, 1000), 3);
	close_end(&end);
	WAIT_FOR(is_gone(&is), 1000);
	CHECK_EQ(attached_id(XA), 0);
}

TEST(a_pinned_program_without_a_socket_goes_when_it_is_unpinned)
{
	struct installed is;
	struct end end;

	make_bpffs();
	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	CHECK_OK(xsk_program_pin(end.socket, PIN));
	is = installed_by(attached_id(XA));
	close_end(&end);
	CHECK_EQ(attached_id(XA), is.program);
	CHECK_OK(xsk_program_unpin(PIN));
	WAIT_FOR(is_gone(&is), 1000);
	CHECK_EQ(attached_id(XA), 0);
}

/* --- every packet is somewhere */

struct stream {
	pthread_t thread;
	int stack;
	volatile uint32_t sent;
	volatile int stop;
};

static void *send_stream(void *arg)
{
	struct stream *stream = arg;

	while (!stream->stop) {
		stack_send(stream->stack, stream->sent);
		stream->sent++;
		/* As fast as the slowest end counts. */
		nap_ms(stream->sent % 16 == 0);
	}
	return NULL;
}

static uint32_t drain_stack(int fd)
{
	uint32_t n = 0;

	while (stack_receive(fd, 0) >= 0)
		n++;
	return n;
}

TEST(during_the_takeover_every_packet_is_at_a_socket_or_in_the_kernel)
{
	struct stream stream = { .stop = 0 };
	struct shared *shared = share();
	int kernel, room = 64 << 20;
	uint32_t old, by_kernel;
	struct installed is;
	pid_t pid;

	make_bpffs();
	make_pair(1);
	stream.stack = stack_open(XB);
	kernel = stack_open(XA);
	CHECK_OK(setsockopt(kernel, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)));
	pid = start_receiver(shared, &pinned);
	is = installed_by(attached_id(XA));
	/* What is in the rings of a process that is killed goes with it, so the old one
	 * gets its share first. */
	for (old = 0; old < 100; old++)
		stack_send(stream.stack, old);
	WAIT_FOR(shared->received == old, 2000);
	CHECK_EQ(drain_stack(kernel), 0);
	kill_child(pid);
	CHECK_OK(pthread_create(&stream.thread, NULL, send_stream, &stream));
	WAIT_FOR(stream.sent > 200, 5000);
	pid = start_receiver(shared, &pinned);
	WAIT_FOR(shared->received > 200, 5000);
	CHECK_EQ(attached_id(XA), is.program);
	stream.stop = 1;
	CHECK_OK(pthread_join(stream.thread, NULL));
	by_kernel = drain_stack(kernel);
	CHECK(by_kernel >= 200);
	WAIT_FOR(shared->received + by_kernel >= stream.sent, 2000);
	CHECK_EQ(shared->received + by_kernel, stream.sent);
	shared->stop = 1;
	join_child(pid);
	CHECK_EQ(attached_id(XA), is.program);
	CHECK_OK(xsk_program_unpin(PIN));
}

/* --- who may take it over */

TEST(it_takes_cap_net_raw_alone_to_take_it_over_rules_and_counters_too)
{
	struct xsk_program *program = drop_ethertype(0x1234);
	const struct xsk_bind_params params = {
		.size = sizeof(params), .pin_path = PIN, .program = program
	};
	struct xsk_counter counters[3];
	struct end end;
	int stack;

	make_bpffs();
	make_pair(1);
	if (maps_are_for_some())
		SKIP("this kernel has no maps for those without CAP_BPF");
	stack = stack_open(XB);
	CHECK_OK(try_end(&end, XA, 0, &params));
	CHECK_EQ(count_names(PIN), 5);
	close_end(&end);
	keep_capabilities(1 << CAP_NET_RAW | 1 << CAP_IPC_LOCK);
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.program = program)), -EPERM, "CAP_");
	CHECK_OK(try_end(&end, XA, 0, &params));
	stack_send(stack, 1);
	CHECK_EQ(end_receive(&end, 1000), 1);
	CHECK_EQ(xsk_program_counters(end.socket, counters, 3), 3);
	CHECK_EQ(counters[1].packets, 1);
	close_end(&end);
	xsk_program_destroy(program);
	CHECK_OK(xsk_program_unpin(PIN));
}

TEST(only_an_equal_program_in_an_equal_mode_is_taken_over)
{
	struct xsk_program *program = drop_ethertype(0x1234), *other = drop_ethertype(0x1235);
	struct xsk_bind_params params = { .size = sizeof(params), .pin_path = PIN,
					  .program = program };
	struct end end;
	uint32_t id;

	make_bpffs();
	make_pair(1);
	CHECK_OK(try_end(&end, XA, 0, &params));
	id = attached_id(XA);
	close_end(&end);
	params.program = other;
	CHECK_FAILS(try_end(&end, XA, 0, &params), -EBUSY, XA, "differs", "rule 0");
	CHECK_FAILS(try_end(&end, XA, 0, &pinned), -EBUSY, "it has rules");
	params.program = program;
	params.flags = XSK_BIND_SKB_MODE;
	CHECK_FAILS(try_end(&end, XA, 0, &params), -EBUSY, "native (DRV)");
	params.flags = XSK_BIND_DRV_MODE;
	CHECK_OK(try_end(&end, XA, 0, &params));
	CHECK_EQ(attached_id(XA), id);
	close_end(&end);
	CHECK_OK(xsk_program_unpin(PIN));
	xsk_program_destroy(program);
	xsk_program_destroy(other);
}

TEST(what_replaced_the_program_is_taken_over_and_pinned_again)
{
	struct xsk_program *program = drop_ethertype(0x1234);
	const struct xsk_bind_params params = { .size = sizeof(params), .pin_path = PIN,
						.program = program };
	struct end end;
	uint32_t id;

	make_bpffs();
	make_pair(1);
	CHECK_OK(try_end(&end, XA, 0, &pinned));
	CHECK_OK(xsk_program_replace(end.socket, program));
	id = attached_id(XA);
	close_end(&end);
	CHECK_EQ(count_names(PIN), 3);
	CHECK_FAILS(try_end(&end, XA, 0, &pinned), -EBUSY, "it has rules");
	CHECK_OK(try_end(&end, XA, 0, &params));
	CHECK_EQ(attached_id(XA), id);
	CHECK_EQ(count_names(PIN), 5);
	CHECK_OK(xsk_program_replace(end.socket, NULL));
	CHECK_OK(xsk_program_pin(end.socket, PIN));
	CHECK_EQ(count_names(PIN), 3);
	close_end(&end);
	CHECK_OK(try_end(&end, XA, 0, &pinned));
	close_end(&end);
	CHECK_OK(xsk_program_unpin(PIN));
	xsk_program_destroy(program);
}

TEST(sockets_and_processes_on_other_queues_share_what_is_pinned)
{
	struct shared *shared = share();
	struct end first, second;
	uint32_t id;
	pid_t pid;

	make_bpffs();
	make_pair(3);
	pid = start_receiver(shared, &pinned);
	id = attached_id(XA);
	CHECK_OK(try_end(&first, XA, 1, NULL));
	CHECK_OK(try_end(&second, XA, 2, &pinned));
	CHECK_EQ(attached_id(XA), id);
	close_end(&second);
	close_end(&first);
	shared->stop = 1;
	join_child(pid);
	CHECK_EQ(attached_id(XA), id);
	CHECK_OK(xsk_program_unpin(PIN));
	WAIT_FOR(attached_id(XA) == 0, 1000);
}

/* A granter for root, until it is killed; without capabilities but two if it may not. */
static pid_t start_granter(int may)
{
	const uint32_t root = 0;
	int ready[2];
	char byte;
	pid_t pid;

	CHECK_OK(pipe(ready));
	pid = fork_child();
	if (pid == 0) {
		struct xsk_grant *grant = NULL;

		if (!may)
			keep_capabilities(1 << CAP_NET_RAW | 1 << CAP_IPC_LOCK);
		CHECK_OK(xsk_grant_create(&grant, "/run/grant", &XSK_GRANT_PARAMS(
			.uids = &root, .uid_count = 1)));
		if (!may)
			CHECK_FAILS(xsk_grant_add(grant, XA, 0, 2, NULL), -EPERM, "CAP_");
		CHECK_OK(xsk_grant_add(grant, XA, 0, 2, &pinned));
		CHECK_EQ(write(ready[1], "", 1), 1);
		for (;;) {
			struct pollfd entry = { xsk_grant_fd(grant), POLLIN, 0 };

			CHECK(poll(&entry, 1, -1) > 0);
			CHECK_OK(xsk_grant_step(grant));
		}
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static struct xsk_port *take_grant(uint32_t queue)
{
	struct xsk_port *port = NULL;

	CHECK_OK(xsk_from_grant(&port, "/run/grant", XA, &XSK_PORT_PARAMS(
		.first_queue = queue, .queue_count = 1,
		.umem_params = &XSK_UMEM_PARAMS(.frame_count = 256, .frame_size = 2048))));
	return port;
}

static void port_receives(struct xsk_port *port, struct end *from, uint32_t number)
{
	struct end end = { NULL, xsk_port_socket(port, 0) };

	end_send(from, number);
	CHECK_EQ(end_receive(&end, 1000), number);
}

TEST(a_granter_that_is_started_again_takes_it_over_while_clients_go_on)
{
	struct xsk_port *first, *second;
	struct end from[2];
	uint32_t id;
	pid_t pid;

	make_bpffs();
	make_pair(2);
	if (maps_are_for_some())
		SKIP("this kernel has no maps for those without CAP_BPF");
	for (uint32_t i = 0; i < 2; i++)
		from[i] = open_end(XB, i, XSK_SOCKET_TX_ONLY, 0);
	pid = start_granter(1);
	id = attached_id(XA);
	first = take_grant(0);
	port_receives(first, &from[0], 1);
	kill_child(pid);
	port_receives(first, &from[0], 2);
	pid = start_granter(0);
	CHECK_EQ(attached_id(XA), id);
	second = take_grant(1);
	port_receives(second, &from[1], 3);
	port_receives(first, &from[0], 4);
	xsk_port_destroy(first);
	xsk_port_destroy(second);
	kill_child(pid);
	CHECK_EQ(attached_id(XA), id);
	CHECK_OK(xsk_program_unpin(PIN));
	for (int i = 0; i < 2; i++)
		close_end(&from[i]);
}
