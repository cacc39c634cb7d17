/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The XSKMAP of a program of the user's own: by path, by the program's id. */
#include "bpffs.h"

static int make_named(uint32_t type, const char *name)
{
	union bpf_attr attr = {
		.map_type = type, .key_size = 4, .value_size = 4, .max_entries = 4,
	};
	int fd;

	strncpy(attr.map_name, name, sizeof(attr.map_name) - 1);
	fd = bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0)
		FAIL("BPF_MAP_CREATE: %s", strerror(errno));
	return fd;
}

#define LOAD_MAP(reg, fd) \
	{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = reg, .src_reg = BPF_PSEUDO_MAP_FD, \
	  .imm = fd }, \
	{ .code = 0 }

/* A program that has two maps, and uses the first. */
static int load_two(int first, int second)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		LOAD_MAP(1, second),
		LOAD_MAP(1, first),
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load_program(insns, COUNT(insns), "two_maps");
}

/* A socket in that map gets the interface's packets. */
static void serves(int map)
{
	int stack = stack_open(XB);
	struct end end;

	CHECK(map >= 0);
	CHECK(fcntl(map, F_GETFD) & FD_CLOEXEC);
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_XSKMAP,
						      .xskmap_fd = map)));
	/* The socket has its place; the descriptor is not needed any more. */
	close(map);
	stack_send(stack, 5);
	CHECK_EQ(end_receive(&end, 1000), 5);
	close_end(&end);
	close(stack);
}

TEST(an_xskmap_is_opened_by_its_path)
{
	int map = make_map(BPF_MAP_TYPE_XSKMAP, 4), link;

	make_bpffs();
	make_pair(1);
	link = attach_link(load_redirect(map), XA);
	pin_object(map, BPFFS "/map");
	serves(xsk_xskmap_open(BPFFS "/map"));
	close(link);
}

TEST(an_xskmap_is_opened_by_the_id_of_its_program)
{
	int map = make_map(BPF_MAP_TYPE_XSKMAP, 4), link;

	make_pair(1);
	link = attach_link(load_redirect(map), XA);
	close(map);
	serves(xsk_xskmap_of_program(attached_id(XA), NULL));
	serves(xsk_xskmap_of_program(query_of(XA).xskmaps[0].program_id, "test_map"));
	CHECK_FAILS(xsk_xskmap_of_program(attached_id(XA), "test"), -ENOENT, "that name");
	close(link);
}

TEST(of_several_xskmaps_one_is_to_be_named)
{
	int first = make_named(BPF_MAP_TYPE_XSKMAP, "first"), link;
	int second = make_named(BPF_MAP_TYPE_XSKMAP, "second_of_two_maps");
	uint32_t id;

	make_pair(1);
	link = attach_link(load_two(first, second), XA);
	id = attached_id(XA);
	CHECK_EQ(query_of(XA).xskmap_count, 2);
	CHECK_FAILS(xsk_xskmap_of_program(id, NULL), -EINVAL, "two_maps", "2 XSKMAPs");
	serves(xsk_xskmap_of_program(id, "first"));
	/* Cut as the kernel has cut it. */
	CHECK(close(xsk_xskmap_of_program(id, "second_of_two_maps")) == 0);
	close(link);
}

TEST(an_xskmap_beside_other_maps_is_the_only_one)
{
	int map = make_named(BPF_MAP_TYPE_XSKMAP, "mine"), link;

	make_pair(1);
	link = attach_link(load_two(map, make_named(BPF_MAP_TYPE_ARRAY, "other")), XA);
	serves(xsk_xskmap_of_program(attached_id(XA), NULL));
	close(link);
}

TEST(a_program_without_one_and_one_that_is_not_there_are_told)
{
	int program = load_pass("no_map");
	uint32_t id = program_info(program).id;

	CHECK_FAILS(xsk_xskmap_of_program(id, NULL), -ENOENT, "no_map", "no XSKMAP");
	close(program);
	WAIT_FOR(!object_exists(BPF_PROG_GET_FD_BY_ID, id), 1000);
	CHECK_FAILS(xsk_xskmap_of_program(id, NULL), -ENOENT, "no program has the id");
	CHECK_FAILS(xsk_xskmap_of_program(0, NULL), -ENOENT, "0");
}

TEST(what_is_no_pinned_xskmap_is_told)
{
	int fd = open("/proc/self/exe", O_RDONLY), n;

	make_bpffs();
	pin_object(make_map(BPF_MAP_TYPE_ARRAY, 1), BPFFS "/array");
	pin_object(load_pass("pass"), BPFFS "/program");
	n = count_fds();
	CHECK_FAILS(xsk_xskmap_open(BPFFS "/array"), -EINVAL, BPFFS "/array", "not an XSKMAP");
	CHECK_FAILS(xsk_xskmap_open(BPFFS "/program"), -EINVAL, "not an XSKMAP");
	CHECK_FAILS(xsk_xskmap_open(BPFFS "/none"), -ENOENT, BPFFS "/none");
	CHECK_FAILS(xsk_xskmap_open("/proc/self/exe"), -EACCES, "not pinned");
	CHECK_FAILS(xsk_xskmap_open(BPFFS), -EACCES, "not pinned");
	CHECK_FAILS(xsk_xskmap_open(""), -ENOENT, "there is no");
	CHECK_EQ(count_fds(), n);
	close(fd);
}

TEST(without_cap_sys_admin_the_path_serves_and_the_id_does_not)
{
	int map = make_map(BPF_MAP_TYPE_XSKMAP, 4), link;
	uint32_t id;

	make_bpffs();
	make_pair(1);
	link = attach_link(load_redirect(map), XA);
	id = attached_id(XA);
	pin_object(map, BPFFS "/map");
	close(map);
	if (maps_are_for_some())
		SKIP("this kernel has no maps for those without CAP_BPF");
	keep_capabilities(1 << CAP_NET_RAW | 1 << CAP_IPC_LOCK);
	CHECK_FAILS(xsk_xskmap_of_program(id, NULL), -EPERM, "CAP_SYS_ADMIN");
	map = xsk_xskmap_open(BPFFS "/map");
	CHECK(map >= 0);
	{
		struct end end;

		CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_XSKMAP,
							      .xskmap_fd = map)));
		close_end(&end);
	}
	close(link);
}
