/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is on an interface, who could join it, and taking it off by its id. */
#include "bpffs.h"

#define DISPATCHER "xdp_dispatcher"

static struct xsk_program *drop_all(void)
{
	const struct xsk_rule drops = { .action = XSK_ACTION_DROP };
	struct xsk_program *program = NULL;

	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.rules = &drops,
								  .rule_count = 1)));
	return program;
}

static void is_ours_on_a_link(uint32_t bind_flags, uint32_t mode, uint32_t flags)
{
	struct xsk_attach_info info;
	struct installed is;
	struct end end = open_end(XA, 0, XSK_SOCKET_RX_ONLY, bind_flags);

	info = query_of(XA);
	is = installed_by(attached_id(XA));
	CHECK_EQ(info.size, sizeof(info));
	CHECK_EQ(info.ifindex, if_nametoindex(XA));
	CHECK_EQ(info.program_id, is.program);
	CHECK_EQ(info.mode, mode);
	CHECK(is_ours(info.name));
	CHECK_EQ(info.kind, XSK_KIND_DEFAULT);
	CHECK_EQ(info.bind_flags, flags);
	CHECK_EQ(info.held, XSK_HELD_LINK);
	CHECK_EQ(info.link_id, is.link);
	CHECK_EQ(info.join, XSK_JOIN_EQUAL | XSK_JOIN_XSKMAP);
	CHECK_EQ(info.component_count, 0);
	CHECK_EQ(info.xskmap_count, 1);
	CHECK_EQ(info.xskmaps[0].id, is.map);
	CHECK_EQ(info.xskmaps[0].max_entries, 64);
	CHECK_EQ(info.xskmaps[0].program_id, is.program);
	CHECK(strcmp(info.xskmaps[0].name, "xsks_map") == 0);
	close_end(&end);
}

TEST(the_default_program_is_told_with_its_mode_link_and_map_and_nothing_after_it)
{
	struct xsk_attach_info info, none = { .size = sizeof(none) };

	make_pair(1);
	is_ours_on_a_link(0, XSK_MODE_DRV, 0);
	is_ours_on_a_link(XSK_BIND_SKB_MODE, XSK_MODE_SKB, 0);
	none.ifindex = if_nametoindex(XA);
	info = query_of(XA);
	CHECK_OK(memcmp(&info, &none, sizeof(info)));
}

TEST(programs_for_several_buffers_and_metadata_are_told_as_such)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *socket = NULL;
	int answer;

	make_pair(1);
	answer = xsk_socket_open(&socket, umem, XA, 0, NULL,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_SG | XSK_BIND_RX_METADATA));
	if (answer == -EOPNOTSUPP)
		SKIP("this kernel has no packets in several buffers, or no metadata");
	CHECK_OK(answer);
	CHECK_EQ(query_of(XA).bind_flags, XSK_BIND_SG | XSK_BIND_RX_METADATA);
	CHECK_EQ(query_of(XA).kind, XSK_KIND_DEFAULT);
	xsk_socket_destroy(socket);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(rules_and_filters_are_told_apart)
{
	struct sock_filter { uint16_t code; uint8_t jt, jf; uint32_t k; } all = { 6, 0, 0, 1 };
	struct xsk_program *program = drop_all();
	struct end end;

	make_pair(1);
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.program = program)));
	CHECK_EQ(query_of(XA).kind, XSK_KIND_RULES);
	CHECK_EQ(query_of(XA).join, XSK_JOIN_EQUAL | XSK_JOIN_XSKMAP);
	xsk_program_destroy(program);
	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.filter = (void *)&all,
								  .filter_len = 1)));
	CHECK_OK(xsk_program_replace(end.socket, program));
	CHECK_EQ(query_of(XA).kind, XSK_KIND_FILTER);
	xsk_program_destroy(program);
	close_end(&end);
}

TEST(a_foreign_program_is_told_with_what_holds_it_and_whether_it_has_an_xskmap)
{
	int map = make_map(BPF_MAP_TYPE_XSKMAP, 7), redirect = load_redirect(map), link;
	struct xsk_attach_info info;

	make_pair(1);
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_SKB_MODE);
	info = query_of(XA);
	CHECK(strcmp(info.name, "foreign") == 0);
	CHECK_EQ(info.kind, XSK_KIND_FOREIGN);
	CHECK_EQ(info.mode, XSK_MODE_SKB);
	CHECK_EQ(info.held, XSK_HELD_NETLINK);
	CHECK_EQ(info.link_id, 0);
	CHECK_EQ(info.join, 0);
	CHECK_EQ(info.xskmap_count, 0);
	attach_netlink(-1, XA, XDP_FLAGS_SKB_MODE);
	link = attach_link(redirect, XA);
	info = query_of(XA);
	CHECK_EQ(info.kind, XSK_KIND_FOREIGN);
	CHECK_EQ(info.mode, XSK_MODE_DRV);
	CHECK_EQ(info.held, XSK_HELD_LINK);
	CHECK_EQ(info.link_id, link_of(info.program_id));
	CHECK_EQ(info.join, XSK_JOIN_XSKMAP);
	CHECK_EQ(info.xskmaps[0].max_entries, 7);
	CHECK(strcmp(info.xskmaps[0].name, "test_map") == 0);
	close(link);
}

TEST(without_cap_sys_admin_the_id_and_the_mode_are_told)
{
	struct xsk_attach_info info;
	uint32_t id;

	make_pair(1);
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_DRV_MODE);
	id = attached_id(XA);
	keep_capabilities(0);
	info = query_of(XA);
	CHECK_EQ(info.program_id, id);
	CHECK_EQ(info.mode, XSK_MODE_DRV);
	CHECK_EQ(info.kind, XSK_KIND_UNKNOWN);
	CHECK_EQ(info.held, XSK_HELD_UNKNOWN);
	CHECK_EQ(info.name[0], 0);
	CHECK_EQ(info.join, 0);
}

TEST(an_interface_that_is_not_there_and_a_struct_without_a_size_are_refused)
{
	struct xsk_attach_info info = { .size = sizeof(info) };

	CHECK_FAILS(xsk_attach_query("no-such-if", &info), -ENODEV, "query", "no-such-if");
	CHECK_FAILS(xsk_attach_query("a/b", &info), -EINVAL, "query", "a/b");
	info.size = 0;
	CHECK_FAILS(xsk_attach_query("lo", &info), -EINVAL, "xsk_attach_info.size");
}

TEST(a_caller_with_an_older_struct_gets_what_it_has_room_for)
{
	struct { uint32_t size, ifindex, id, canary; } old = { 12, 0, 0, 0xdead };

	make_pair(1);
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_DRV_MODE);
	CHECK_OK(xsk_attach_query(XA, (struct xsk_attach_info *)&old));
	CHECK_EQ(old.size, 12);
	CHECK_EQ(old.id, attached_id(XA));
	CHECK_EQ(old.canary, 0xdead);
}

TEST(a_dispatcher_without_a_program_for_af_xdp_is_explained_and_stays)
{
	struct xsk_attach_info info;
	struct end end;
	uint32_t id;

	make_pair(1);
	attach_netlink(load_pass(DISPATCHER), XA, XDP_FLAGS_DRV_MODE);
	id = attached_id(XA);
	info = query_of(XA);
	CHECK_EQ(info.kind, XSK_KIND_DISPATCHER);
	CHECK_EQ(info.join, XSK_JOIN_LIBXDP);
	CHECK_EQ(info.component_count, 0);
	CHECK_FAILS(try_end(&end, XA, 0, NULL), -EBUSY, XA, DISPATCHER, "libxdp's dispatcher",
		    "XSK_BIND_XSKMAP", "replace_id", "xdp-loader");
	CHECK_EQ(attached_id(XA), id);
}

/* --- replace_id */

static void receives(struct end *end, const char *peer, uint32_t number)
{
	int stack = stack_open(peer);

	stack_send(stack, number);
	CHECK_EQ(end_receive(end, 1000), number);
	close(stack);
}

static void replaces(uint32_t flags)
{
	struct end end;
	uint32_t id;

	attach_netlink(load_pass("foreign"), XA, flags);
	id = attached_id(XA);
	CHECK_FAILS(try_end(&end, XA, 0, NULL), -EBUSY, "foreign", "replace_id");
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id + 1)), -EBUSY,
		    XA, "foreign");
	CHECK_EQ(attached_id(XA), id);
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id)));
	CHECK_EQ(query_of(XA).kind, XSK_KIND_DEFAULT);
	CHECK_EQ(query_of(XA).held, XSK_HELD_LINK);
	receives(&end, XB, 7);
	close_end(&end);
	CHECK_EQ(attached_id(XA), 0);
}

TEST(a_program_over_netlink_is_replaced_by_its_id_and_no_other)
{
	make_pair(1);
	replaces(XDP_FLAGS_DRV_MODE);
	replaces(XDP_FLAGS_SKB_MODE);
}

TEST(a_program_on_a_link_is_replaced_by_its_id_and_the_link_stays_empty)
{
	struct end end;
	uint32_t id;
	int link;

	make_pair(1);
	link = attach_link(load_pass("foreign"), XA);
	id = attached_id(XA);
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id - 1)), -EBUSY, "foreign");
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id)));
	receives(&end, XB, 7);
	/* Its owner's end does nothing to what has its place now. */
	close(link);
	CHECK_EQ(query_of(XA).kind, XSK_KIND_DEFAULT);
	receives(&end, XB, 8);
	close_end(&end);
}

TEST(what_cannot_be_attached_then_puts_the_other_back)
{
	struct end end;
	uint32_t id;

	make_pair(1);
	/* Packets too long for a native program, which a generic one does not mind. */
	shell("ip link set dev " XB " mtu 9000 && ip link set dev " XA " mtu 9000");
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_SKB_MODE);
	id = attached_id(XA);
	CHECK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id,
						     .flags = XSK_BIND_DRV_MODE)) < 0);
	CHECK_EQ(attached_id(XA), id);
	CHECK_EQ(query_of(XA).mode, XSK_MODE_SKB);
}

TEST(rules_of_another_process_are_replaced_by_their_id)
{
	int ready[2];
	struct end end, from;
	char byte;
	pid_t pid;

	make_pair(2);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK_OK(pipe(ready));
	pid = fork_child();
	if (pid == 0) {
		CHECK_OK(try_end(&end, XA, 1, &XSK_BIND_PARAMS(.program = drop_all())));
		CHECK_EQ(write(ready[1], "", 1), 1);
		pause();
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	CHECK_FAILS(try_end(&end, XA, 0, NULL), -EBUSY, "differs");
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = attached_id(XA))));
	end_send(&from, 7);
	CHECK_EQ(end_receive(&end, 1000), 7);
	kill_child(pid);
	end_send(&from, 8);
	CHECK_EQ(end_receive(&end, 1000), 8);
	close_end(&from);
	close_end(&end);
	CHECK_EQ(attached_id(XA), 0);
}

TEST(an_id_that_is_not_needed_changes_nothing)
{
	struct end first, second;
	uint32_t id;

	make_pair(2);
	first = open_end(XA, 0, 0, 0);
	id = attached_id(XA);
	/* This process has it already. */
	CHECK_OK(try_end(&second, XA, 1, &XSK_BIND_PARAMS(.replace_id = id)));
	CHECK_EQ(attached_id(XA), id);
	close_end(&second);
	close_end(&first);
	CHECK_OK(try_end(&first, XA, 0, &XSK_BIND_PARAMS(.replace_id = id)));
	close_end(&first);
}

TEST(a_foreign_program_is_not_replaced_without_cap_sys_admin)
{
	struct end end;
	uint32_t id;

	make_pair(1);
	attach_netlink(load_pass("foreign"), XA, XDP_FLAGS_DRV_MODE);
	id = attached_id(XA);
	keep_capabilities(1 << CAP_NET_RAW | 1 << CAP_NET_ADMIN | 1 << CAP_IPC_LOCK);
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = id)), -EPERM,
		    "CAP_SYS_ADMIN");
	CHECK_EQ(attached_id(XA), id);
}
