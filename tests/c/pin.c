/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that is pinned stays without a process and is taken over by the next. */
#include "bpffs.h"

#include <pthread.h>

#define PIN BPFFS "/capture"

static const struct xsk_bind_params pinned = { .size = sizeof(pinned), .pin_path = PIN };

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

/* --- what is refused, with nothing left behind */

TEST(a_folder_that_cannot_be_one_is_refused_and_nothing_is_left)
{
	struct end end;
	int fd, n;

	make_bpffs();
	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	n = count_fds();
	CHECK_FAILS(xsk_program_pin(end.socket, "/run/capture"), -EINVAL, "/run/capture",
		    "BPF file system");
	CHECK(access("/run/capture", F_OK) != 0);
	CHECK_FAILS(xsk_program_pin(end.socket, BPFFS "/none/capture"), -ENOENT, "folder above");
	CHECK_FAILS(xsk_program_pin(end.socket, BPFFS "/eth0.5"), -EPERM, "no dots");
	CHECK_FAILS(xsk_program_pin(end.socket, ""), -ENOENT, "pin");
	fd = make_map(BPF_MAP_TYPE_ARRAY, 1);
	pin_object(fd, PIN);
	CHECK_FAILS(xsk_program_pin(end.socket, PIN), -ENOTDIR, PIN);
	CHECK_OK(unlink(PIN));
	/* Half of it is there: that stays, and the other half is not made. */
	CHECK_OK(mkdir(PIN, 0700));
	pin_object(fd, PIN "/xskmap");
	close(fd);
	CHECK_FAILS(xsk_program_pin(end.socket, PIN), -EEXIST, PIN "/xskmap");
	CHECK_EQ(count_names(PIN), 1);
	CHECK_EQ(count_fds(), n);
	CHECK_OK(xsk_program_unpin(PIN));
	close_end(&end);
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.pin_path = "/run/capture")), -EINVAL,
		    "BPF file system");
	CHECK_EQ(attached_id(XA), 0);
	CHECK_EQ(count_names(BPFFS), 0);
}

TEST(the_link_of_another_interface_is_refused)
{
	struct end a, b;
	uint32_t index;
	int here;	/* keeps the namespace */

	make_bpffs();
	make_pair(1);
	CHECK_OK(try_end(&a, XA, 0, &pinned));
	CHECK_FAILS(try_end(&b, XB, 0, &pinned), -EINVAL, PIN, "not on " XB);
	b = open_end(XB, 0, 0, 0);
	CHECK_FAILS(xsk_program_pin(b.socket, PIN), -EEXIST, PIN "/link", "not that on " XB);
	close_end(&b);
	close_end(&a);
	CHECK_EQ(count_names(PIN), 3);
	/* An interface of the same index in another namespace is another one. */
	index = if_nametoindex(XA);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CHECK(here >= 0);
	CHECK_OK(unshare(CLONE_NEWNET));
	shell("ip link add " XA " index %u type veth peer name " XB, index);
	CHECK_EQ(if_nametoindex(XA), index);
	CHECK_FAILS(try_end(&a, XA, 0, &pinned), -EINVAL, PIN, "not on " XA);
	CHECK_OK(xsk_program_unpin(PIN));
	close(here);
}

TEST(what_an_interface_that_is_gone_has_left_is_told)
{
	struct end end;

	make_bpffs();
	make_pair(1);
	CHECK_OK(try_end(&end, XA, 0, &pinned));
	close_end(&end);
	link_delete(XA);
	make_pair(1);
	CHECK_FAILS(try_end(&end, XA, 0, &pinned), -ENXIO, PIN, "xsk_program_unpin()");
	CHECK_OK(xsk_program_unpin(PIN));
	CHECK_OK(try_end(&end, XA, 0, &pinned));
	close_end(&end);
	CHECK_OK(xsk_program_unpin(PIN));
}

TEST(a_program_of_others_and_none_cannot_be_pinned)
{
	struct end end;

	make_bpffs();
	make_pair(1);
	end = open_end(XA, 0, 0, XSK_BIND_NO_PROGRAM);
	CHECK_FAILS(xsk_program_pin(end.socket, PIN), -ENOTCONN, "no program of the library's");
	close_end(&end);
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_NO_PROGRAM,
							 .pin_path = PIN)), -EINVAL, "pin_path");
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_DRV_MODE);
	CHECK_FAILS(try_end(&end, XA, 0, &pinned), -EBUSY, "foreign");
	CHECK_EQ(count_names(BPFFS), 0);
}

TEST(unpin_takes_its_own_names_in_a_bpf_file_system_only)
{
	struct end end;

	make_bpffs();
	make_pair(1);
	CHECK_FAILS(xsk_program_unpin(PIN), -ENOENT, PIN);
	CHECK_OK(mkdir("/run/other", 0700));
	CHECK(close(open("/run/other/link", O_CREAT | O_WRONLY, 0600)) == 0);
	CHECK_FAILS(xsk_program_unpin("/run/other"), -EINVAL, "BPF file system");
	CHECK_OK(access("/run/other/link", F_OK));
	CHECK_OK(try_end(&end, XA, 0, &pinned));
	pin_object(make_map(BPF_MAP_TYPE_ARRAY, 1), PIN "/mine");
	CHECK_FAILS(xsk_program_unpin(PIN), -ENOTEMPTY, PIN);
	CHECK_EQ(count_names(PIN), 1);
	close_end(&end);
	CHECK_EQ(attached_id(XA), 0);
}
