/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The default program: attached, joined, shared, gone with its last user, and out of
 * the way of programs of others. */
#include "bpf.h"

/* Another process that has a socket, does what one byte says, and answers by one. */
struct other {
	pid_t pid;
	int to, from;
};

static void tell(const struct other *other, char command)
{
	char answer = 0;

	CHECK_EQ(write(other->to, &command, 1), 1);
	CHECK_EQ(read(other->from, &answer, 1), 1);
	CHECK_EQ(answer, command);
}

/* 'o' opens a socket on queue of XA, 'r' receives one frame, 'c' closes. */
static struct other start_other(uint32_t queue)
{
	int to[2], from[2];
	struct other other;

	CHECK_OK(pipe(to));
	CHECK_OK(pipe(from));
	other.pid = fork_child();
	if (other.pid == 0) {
		struct end end = { NULL, NULL };
		char command;

		close(to[1]);
		while (read(to[0], &command, 1) == 1) {
			if (command == 'o')
				end = open_end(XA, queue, XSK_SOCKET_RX_ONLY, 0);
			else if (command == 'r')
				CHECK_EQ(end_receive(&end, 2000), 99);
			else
				close_end(&end);
			CHECK_EQ(write(from[1], &command, 1), 1);
		}
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	other.to = to[1];
	other.from = from[0];
	return other;
}

static void attaches(uint32_t flags, uint32_t mode)
{
	struct installed is;
	struct end end;

	make_pair(1);
	CHECK_EQ(attached_id(XA), 0);
	end = open_end(XA, 0, 0, flags);
	CHECK_EQ(info_of(end.socket).xdp_mode, mode);
	CHECK(info_of(end.socket).program_id != 0);
	CHECK_EQ(attached_id(XA), info_of(end.socket).program_id);
	CHECK_EQ(attached_to(XA).mode, mode == XSK_MODE_DRV ? XDP_ATTACHED_DRV : XDP_ATTACHED_SKB);
	is = installed_by(attached_id(XA));
	close_end(&end);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 2000);
}

TEST(the_default_program_is_attached_natively_by_a_link_and_leaves_with_the_socket)
{
	attaches(0, XSK_MODE_DRV);
}

TEST(the_default_program_is_attached_natively_where_that_is_asked_for)
{
	attaches(XSK_BIND_DRV_MODE, XSK_MODE_DRV);
}

TEST(the_default_program_is_attached_generically_where_that_is_asked_for)
{
	attaches(XSK_BIND_SKB_MODE, XSK_MODE_SKB);
}

/* What is sent from a queue of the peer arrives on the queue of that number; in
 * generic mode on that below, since veth does not record it as received. */
static void splits_queues(uint32_t flags)
{
	uint32_t second = flags & XSK_BIND_SKB_MODE ? 2 : 1;
	struct end end, from[2];
	int stack;

	make_pair(3);
	stack = stack_open(XA);
	from[0] = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	from[1] = open_end(XB, second, XSK_SOCKET_TX_ONLY, 0);
	end = open_end(XA, 0, 0, flags);
	for (uint32_t i = 0; i < 20; i++) {
		end_send(&from[0], i);
		CHECK_EQ(end_receive(&end, 1000), i);
		end_send(&from[1], 1000 + i);
		CHECK_EQ(stack_receive(stack, 1000), 1000 + i);
	}
	CHECK_EQ(stack_receive(stack, 10), -1);
	CHECK_EQ(end_receive(&end, 10), -1);
	close_end(&end);
	for (uint32_t i = 0; i < 2; i++)
		close_end(&from[i]);
}

TEST(packets_of_a_queue_without_a_socket_pass_to_the_kernel_in_native_mode)
{
	splits_queues(XSK_BIND_DRV_MODE);
}

TEST(packets_of_a_queue_without_a_socket_pass_to_the_kernel_in_generic_mode)
{
	splits_queues(XSK_BIND_SKB_MODE);
}

TEST(two_sockets_share_a_program_and_packets_pass_again_when_one_is_destroyed)
{
	struct end from, first, second;
	struct installed is;
	int stack;

	make_pair(2);
	stack = stack_open(XA);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	first = open_end(XA, 0, 0, 0);
	second = open_end(XA, 1, 0, 0);
	is = installed_by(attached_id(XA));
	CHECK_EQ(info_of(first.socket).program_id, info_of(second.socket).program_id);
	end_send(&from, 1);
	CHECK_EQ(end_receive(&first, 1000), 1);
	close_end(&first);
	CHECK_EQ(attached_id(XA), is.program);
	end_send(&from, 2);
	CHECK_EQ(stack_receive(stack, 1000), 2);
	close_end(&from);
	from = open_end(XB, 1, XSK_SOCKET_TX_ONLY, 0);
	end_send(&from, 3);
	CHECK_EQ(end_receive(&second, 1000), 3);
	close_end(&second);
	close_end(&from);
	WAIT_FOR(is_gone(&is), 2000);
}

TEST(a_program_is_gone_after_its_process_was_killed)
{
	struct other other;
	struct installed is;

	make_pair(1);
	other = start_other(0);
	tell(&other, 'o');
	is = installed_by(attached_id(XA));
	kill_child(other.pid);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 3000);
}

TEST(a_second_process_joins_and_goes_on_when_the_first_is_killed)
{
	struct other first;
	struct end from, end;
	struct installed is;

	make_pair(2);
	first = start_other(0);
	tell(&first, 'o');
	is = installed_by(attached_id(XA));
	from = open_end(XB, 1, XSK_SOCKET_TX_ONLY, 0);
	end = open_end(XA, 1, 0, 0);
	CHECK_EQ(info_of(end.socket).program_id, is.program);
	CHECK_EQ(info_of(end.socket).xdp_mode, XSK_MODE_DRV);
	end_send(&from, 1);
	CHECK_EQ(end_receive(&end, 1000), 1);
	kill_child(first.pid);
	for (uint32_t i = 2; i < 50; i++) {
		end_send(&from, i);
		CHECK_EQ(end_receive(&end, 1000), i);
		nap_ms(1);
	}
	CHECK_EQ(attached_id(XA), is.program);
	close_end(&end);
	close_end(&from);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 3000);
}

TEST(a_second_process_that_is_killed_leaves_the_first_alone)
{
	struct other second;
	struct end from, end;
	struct installed is;

	make_pair(2);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	end = open_end(XA, 0, 0, 0);
	is = installed_by(attached_id(XA));
	second = start_other(1);
	tell(&second, 'o');
	CHECK_EQ(attached_id(XA), is.program);
	kill_child(second.pid);
	for (uint32_t i = 0; i < 50; i++) {
		end_send(&from, i);
		CHECK_EQ(end_receive(&end, 1000), i);
		nap_ms(1);
	}
	close_end(&end);
	close_end(&from);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 3000);
}

TEST(a_process_that_joined_receives_after_the_first_closed)
{
	/* Before there is a socket, which the child would inherit. */
	struct other second;
	struct end from, end;
	struct installed is;

	make_pair(2);
	second = start_other(1);
	end = open_end(XA, 0, 0, 0);
	is = installed_by(attached_id(XA));
	tell(&second, 'o');
	close_end(&end);
	from = open_end(XB, 1, XSK_SOCKET_TX_ONLY, 0);
	end_send(&from, 99);
	tell(&second, 'r');
	CHECK_EQ(attached_id(XA), is.program);
	tell(&second, 'c');
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 3000);
	close_end(&from);
	close(second.to);
	join_child(second.pid);
}

static void foreign_is_named(uint32_t id)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	char number[32];

	snprintf(number, sizeof(number), "id %u", id);
	CHECK_EQ(attached_id(XA), id);
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, NULL, NULL), -EBUSY, XA, "foreign", number);
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, NULL,
				    &XSK_BIND_PARAMS(.flags = XSK_BIND_SKB_MODE)),
		    -EBUSY, XA, "foreign", number);
	CHECK(sock == NULL);
	CHECK_EQ(attached_id(XA), id);
	/* One that does without is not refused, nor is one that only sends. */
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0, NULL,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_NO_PROGRAM)));
	xsk_socket_destroy(sock);
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY), NULL));
	xsk_socket_destroy(sock);
	CHECK_EQ(attached_id(XA), id);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_foreign_program_on_a_link_is_left_alone_and_named)
{
	struct end end;
	int program, link;

	make_pair(1);
	program = load_pass("foreign");
	link = attach_link(program, XA);
	foreign_is_named(program_info(program).id);
	close(link);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	end = open_end(XA, 0, 0, 0);
	close_end(&end);
}

TEST(a_foreign_program_attached_over_netlink_is_left_alone_and_named)
{
	int program;

	make_pair(1);
	program = load_pass("foreign");
	attach_netlink(program, XA, XDP_FLAGS_SKB_MODE);
	foreign_is_named(program_info(program).id);
	attach_netlink(-1, XA, XDP_FLAGS_SKB_MODE);
	attach_netlink(program, XA, XDP_FLAGS_DRV_MODE);
	foreign_is_named(program_info(program).id);
}

TEST(a_foreign_program_that_only_has_our_name_is_not_joined)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	int program;

	make_pair(1);
	program = load_pass("xsk_default");
	attach_netlink(program, XA, XDP_FLAGS_DRV_MODE);
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 0, NULL, &XSK_BIND_PARAMS(.retry_ms = 50)),
		    -EBUSY, XA);
	CHECK_EQ(attached_id(XA), program_info(program).id);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_program_of_the_users_own_is_served_by_its_xskmap)
{
	int map, link, stack;
	struct end end;

	make_pair(1);
	stack = stack_open(XB);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 4);
	link = attach_link(load_redirect(map), XA);
	end.umem = small_umem();
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, &XSK_BIND_PARAMS(
			.flags = XSK_BIND_XSKMAP, .xskmap_fd = map)));
	CHECK_EQ(info_of(end.socket).xdp_mode, XSK_MODE_NONE);
	CHECK_EQ(info_of(end.socket).program_id, 0);
	for (uint32_t i = 0; i < 50; i++) {
		stack_send(stack, i);
		CHECK_EQ(end_receive(&end, 1000), i);
	}
	close_end(&end);
	CHECK(attached_id(XA) != 0);
	close(link);
}

TEST(what_is_no_xskmap_with_room_is_refused_and_the_socket_can_be_bound_again)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int array, map, good, stack;
	struct end end;

	make_pair(2);
	stack = stack_open(XB);
	array = make_map(BPF_MAP_TYPE_ARRAY, 4);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 1);
	good = make_map(BPF_MAP_TYPE_XSKMAP, 2);
	end.umem = small_umem();
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
#define BIND_TO(fd) \
	xsk_socket_bind(end.socket, XA, 1, \
			&XSK_BIND_PARAMS(.flags = XSK_BIND_XSKMAP, .xskmap_fd = fd))
	CHECK_FAILS(BIND_TO(-1), -EBADF, "xskmap_fd -1", "not a BPF map");
	CHECK_FAILS(BIND_TO(9999), -EBADF, "xskmap_fd 9999", "not a BPF map");
	CHECK_FAILS(BIND_TO(null), -EINVAL, "is not an XSKMAP");
	CHECK_FAILS(BIND_TO(array), -EINVAL, "is not an XSKMAP");
	CHECK_FAILS(BIND_TO(map), -E2BIG, "queue 1", "1 entries");
	CHECK_FAILS(xsk_socket_bind(end.socket, XA, 1, &XSK_BIND_PARAMS(.xskmap_fd = good)), -EINVAL,
		    "without XSK_BIND_XSKMAP");
	CHECK_EQ(info_of(end.socket).bound, 0);
	CHECK_OK(BIND_TO(good));
	CHECK_EQ(info_of(end.socket).bound, 1);
	CHECK_EQ(attached_id(XA), 0);
	close_end(&end);
	close(stack);
}

TEST(a_socket_bound_without_a_program_gets_nothing_and_touches_nothing)
{
	struct end end;
	int stack, here;

	make_pair(1);
	stack = stack_open(XB);
	here = stack_open(XA);
	end = open_end(XA, 0, 0, XSK_BIND_NO_PROGRAM);
	CHECK_EQ(attached_id(XA), 0);
	CHECK_EQ(info_of(end.socket).xdp_mode, XSK_MODE_NONE);
	stack_send(stack, 1);
	CHECK_EQ(stack_receive(here, 1000), 1);
	CHECK_EQ(end_receive(&end, 10), -1);
	end_send(&end, 2);
	CHECK_EQ(stack_receive(stack, 1000), 2);
	close_end(&end);
}

TEST(a_forced_mode_that_the_shared_program_does_not_have_is_refused)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	const struct xsk_bind_params generic = { .size = sizeof(generic), .flags = XSK_BIND_SKB_MODE };
	const struct xsk_bind_params native = { .size = sizeof(native), .flags = XSK_BIND_DRV_MODE };
	struct other other;
	struct end end;

	make_pair(2);
	end = open_end(XA, 0, 0, 0);
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 1, NULL, &generic), -EBUSY, XA, "DRV", "SKB");
	CHECK_OK(xsk_socket_open(&sock, umem, XA, 1, NULL, &native));
	xsk_socket_destroy(sock);
	close_end(&end);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	sock = NULL;
	other = start_other(0);
	tell(&other, 'o');
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, 1, NULL, &generic), -EBUSY, XA, "DRV", "SKB");
	CHECK(sock == NULL);
	kill_child(other.pid);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_bind_that_fails_leaves_no_program)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	int fds;

	make_pair(1);
	fds = count_fds();
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(xsk_socket_open(&sock, umem, XA, 0, NULL,
					 &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)), -EOPNOTSUPP);
		CHECK_EQ(xsk_socket_open(&sock, umem, XA, 9, NULL, NULL), -EINVAL);
		CHECK_EQ(count_fds(), fds - 1);	/* without the UMEM's first socket */
	}
	WAIT_FOR(attached_id(XA) == 0, 2000);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(fifty_sockets_leave_no_program_no_map_no_link_no_descriptor_no_mapping)
{
	struct installed is[50];
	int fds = 0, maps = 0;
	struct end end;

	make_pair(1);
	for (uint32_t i = 0; i < 50; i++) {
		end = open_end(XA, 0, 0, i % 2 ? XSK_BIND_SKB_MODE : 0);
		is[i] = installed_by(info_of(end.socket).program_id);
		close_end(&end);
		if (i == 0) {
			fds = count_fds();
			maps = count_maps();
		}
	}
	CHECK_EQ(count_fds(), fds);
	CHECK_WITHIN(count_maps(), 0, maps);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	for (uint32_t i = 0; i < 50; i++)
		WAIT_FOR(is_gone(&is[i]), 2000);
}

TEST(an_interface_made_anew_under_the_old_name_gets_a_program_of_its_own)
{
	struct end old, end;
	int stack;

	make_pair(1);
	old = open_end(XA, 0, 0, 0);
	link_delete(XA);
	make_pair(1);
	stack = stack_open(XB);
	end = open_end(XA, 0, 0, 0);
	CHECK(info_of(end.socket).program_id != info_of(old.socket).program_id);
	CHECK_EQ(attached_id(XA), info_of(end.socket).program_id);
	close_end(&old);
	stack_send(stack, 1);
	CHECK_EQ(end_receive(&end, 1000), 1);
	close_end(&end);
}
