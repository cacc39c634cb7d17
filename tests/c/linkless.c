/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where the kernel has no XDP links, as before Linux 5.9: the program is attached over
 * netlink, shared, and taken off by the last who has a socket. */
#include "bpffs.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/* From here on the kernel answers as one that does not know BPF links: Linux 5.6. */
static void forget_links(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, BPF_LINK_CREATE, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, BPF_LINK_GET_NEXT_ID, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { COUNT(code), code };

	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}

static int has_our_program(const char *ifname)
{
	union bpf_attr get = { .prog_id = attached_id(ifname) };
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &get), ours;

	if (fd < 0)
		return 0;
	ours = is_ours(program_info(fd).name);
	close(fd);
	return ours;
}

static void talks(struct end *end, int stack)
{
	stack_send(stack, 1);
	CHECK_EQ(end_receive(end, 1000), 1);
	end_send(end, 2);
	CHECK_EQ(stack_receive(stack, 1000), 2);
}

TEST(the_program_comes_with_the_first_socket_and_goes_with_the_last)
{
	const uint32_t modes[] = { 0, XSK_BIND_DRV_MODE, XSK_BIND_SKB_MODE };
	struct end first, second, from;
	uint32_t id;

	make_pair(2);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	forget_links();
	for (int i = 0; i < 3; i++) {
		first = open_end(XA, 0, 0, modes[i]);
		id = attached_id(XA);
		CHECK(has_our_program(XA));
		CHECK_EQ(attached_to(XA).mode, i == 2 ? XDP_ATTACHED_SKB : XDP_ATTACHED_DRV);
		CHECK_EQ(info_of(first.socket).program_id, id);
		end_send(&from, 1);
		CHECK_EQ(end_receive(&first, 1000), 1);
		second = open_end(XA, 1, 0, modes[i]);
		CHECK_EQ(attached_id(XA), id);
		close_end(&second);
		CHECK_EQ(attached_id(XA), id);
		end_send(&from, 2);
		CHECK_EQ(end_receive(&first, 1000), 2);
		close_end(&first);
		CHECK_EQ(attached_id(XA), 0);
	}
	close_end(&from);
}

/* A process with a socket on that queue; it ends when told to. */
static pid_t another(uint32_t queue, int links, int *stop)
{
	int ready[2], go[2];
	char byte;
	pid_t pid;

	CHECK_OK(pipe(ready));
	CHECK_OK(pipe(go));
	pid = fork_child();
	if (pid == 0) {
		struct end end;

		if (!links)
			forget_links();
		end = open_end(XA, queue, 0, 0);
		CHECK_EQ(write(ready[1], "", 1), 1);
		CHECK_EQ(read(go[0], &byte, 1), 1);
		close_end(&end);
		_exit(0);
	}
	close(go[0]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	*stop = go[1];
	return pid;
}

static void end_of(pid_t pid, int stop)
{
	CHECK_EQ(write(stop, "", 1), 1);
	close(stop);
	join_child(pid);
}

TEST(processes_share_it_and_the_last_takes_it_off_whichever_that_is)
{
	int stop[2];
	pid_t pid[2];
	uint32_t id;

	make_pair(2);
	for (int last = 0; last < 2; last++) {
		/* The second joins with links too: there are some, but not for this program. */
		for (int links = 0; links < 2; links++) {
			pid[0] = another(0, 0, &stop[0]);
			id = attached_id(XA);
			CHECK(has_our_program(XA));
			pid[1] = another(1, links, &stop[1]);
			CHECK_EQ(attached_id(XA), id);
			end_of(pid[!last], stop[!last]);
			CHECK_EQ(attached_id(XA), id);
			end_of(pid[last], stop[last]);
			CHECK_EQ(attached_id(XA), 0);
		}
	}
}

TEST(what_a_killed_process_left_is_used_by_the_next_and_taken_off)
{
	struct end end;
	int stack, stop;
	uint32_t id;
	pid_t pid;

	make_pair(1);
	stack = stack_open(XB);
	pid = another(0, 0, &stop);
	id = attached_id(XA);
	kill_child(pid);
	close(stop);
	CHECK_EQ(attached_id(XA), id);
	forget_links();
	end = open_end(XA, 0, 0, 0);
	CHECK_EQ(attached_id(XA), id);
	talks(&end, stack);
	close_end(&end);
	CHECK_EQ(attached_id(XA), 0);
}

TEST(it_is_replaced_under_the_sockets_and_then_taken_off_all_the_same)
{
	const struct xsk_rule drops = { .action = XSK_ACTION_DROP };
	struct xsk_program *program = NULL;
	struct end end;
	uint32_t id;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	forget_links();
	end = open_end(XA, 0, 0, 0);
	id = attached_id(XA);
	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.rules = &drops,
								  .rule_count = 1)));
	CHECK_OK(xsk_program_replace(end.socket, program));
	CHECK(attached_id(XA) != id && has_our_program(XA));
	stack_send(stack, 1);
	CHECK_EQ(end_receive(&end, 50), -1);
	CHECK_OK(xsk_program_replace(end.socket, NULL));
	talks(&end, stack);
	close_end(&end);
	xsk_program_destroy(program);
	CHECK_EQ(attached_id(XA), 0);
}

TEST(a_foreign_program_stays)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *socket = NULL;
	uint32_t id;

	make_pair(1);
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_DRV_MODE);
	id = attached_id(XA);
	forget_links();
	CHECK_FAILS(xsk_socket_open(&socket, umem, XA, 0, NULL, &XSK_BIND_PARAMS(.retry_ms = 20)),
		    -EBUSY, "foreign", XA);
	CHECK_EQ(attached_id(XA), id);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(it_cannot_be_pinned_and_leaves_nothing_behind)
{
	struct xsk_bind_params params = { .size = sizeof(params), .pin_path = BPFFS "/pin" };
	struct end end;

	make_bpffs();
	make_pair(1);
	forget_links();
	CHECK_FAILS(try_end(&end, XA, 0, &params), -EOPNOTSUPP, XA, "Linux 5.9");
	CHECK_EQ(attached_id(XA), 0);
	CHECK_EQ(count_names(BPFFS), 0);
	end = open_end(XA, 0, 0, 0);
	CHECK_FAILS(xsk_program_pin(end.socket, params.pin_path), -EOPNOTSUPP, "netlink");
	CHECK_EQ(query_of(XA).held, XSK_HELD_NETLINK);
	CHECK_EQ(query_of(XA).kind, XSK_KIND_DEFAULT);
	CHECK_EQ(count_names(BPFFS), 0);
	close_end(&end);
}

TEST(a_foreign_program_is_replaced_by_its_id)
{
	struct end end;
	uint32_t id;

	make_pair(1);
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_DRV_MODE);
	id = attached_id(XA);
	forget_links();
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id + 1)), -EBUSY, "foreign");
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id)));
	CHECK(has_our_program(XA));
	talks(&end, stack_open(XB));
	close_end(&end);
	CHECK_EQ(attached_id(XA), 0);
}
