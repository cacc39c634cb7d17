/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Beside libxdp's programs, as libxdp attaches them: in a dispatcher where the kernel
 * lets it. Not on the host, whose /sys/fs/bpf libxdp would use. */
#include "bpffs.h"

#include <dlfcn.h>

#define OBJECTS "/usr/lib/x86_64-linux-gnu/bpf"

/* libxdp puts its program for AF_XDP on XA. */
static void start_libxdp(void)
{
	void *library = dlopen("libxdp.so.1", RTLD_NOW);
	int (*setup)(int ifindex, int *map);
	int map = -1;

	if (!library || access(OBJECTS "/xdp-dispatcher.o", R_OK) != 0)
		SKIP("no libxdp on the machine that made this one");
	make_pair(2);
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) != 0)
		SKIP("no mount namespace can be made");
	*(void **)&setup = dlsym(library, "xsk_setup_xdp_prog");
	CHECK(setup != NULL);
	CHECK_OK(setup((int)if_nametoindex(XA), &map));
	close(map);
	if (query_of(XA).kind != XSK_KIND_DISPATCHER)
		SKIP("this kernel has no place for libxdp's dispatcher");
	if (query_of(XA).component_count == 0)
		SKIP("this kernel has no way to tell what hangs in a dispatcher");
}

static int info_of_object(int fd, void *info, uint32_t size)
{
	union bpf_attr ask = { .info = {
		.bpf_fd = (uint32_t)fd, .info_len = size, .info = (uint64_t)(uintptr_t)info,
	} };

	return bpf(BPF_OBJ_GET_INFO_BY_FD, &ask);
}

/* The map with the count of users of a program. */
static int count_map(uint32_t program)
{
	union bpf_attr get = { .prog_id = program };
	uint32_t maps[8] = { 0 };
	struct bpf_prog_info info = { .nr_map_ids = 8, .map_ids = (uint64_t)(uintptr_t)maps };
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &get);

	CHECK_OK(info_of_object(fd, &info, sizeof(info)));
	close(fd);
	for (uint32_t i = 0; i < info.nr_map_ids; i++) {
		union bpf_attr by_id = { .map_id = maps[i] };
		struct bpf_map_info map = { 0 };

		fd = bpf(BPF_MAP_GET_FD_BY_ID, &by_id);
		CHECK_OK(info_of_object(fd, &map, sizeof(map)));
		if (strcmp(map.name, "xsk_def_.data") == 0 && map.value_size <= 64)
			return fd;
		close(fd);
	}
	FAIL("program %u has no count", program);
}

/* How many users a program counts, or makes it count so many. */
static uint32_t users(uint32_t program, uint32_t set)
{
	uint32_t key = 0, value[16] = { 0 };
	union bpf_attr elem = { .map_fd = (uint32_t)count_map(program) };

	elem.key = (uint64_t)(uintptr_t)&key;
	elem.value = (uint64_t)(uintptr_t)value;
	CHECK_OK(bpf(BPF_MAP_LOOKUP_ELEM, &elem));
	if (set) {
		value[0] = set;
		CHECK_OK(bpf(BPF_MAP_UPDATE_ELEM, &elem));
	}
	close((int)elem.map_fd);
	return value[0];
}

TEST(libxdps_program_in_its_dispatcher_is_joined_and_counts_the_users)
{
	struct xsk_attach_info info;
	struct end first, second, from;
	int kernel;

	start_libxdp();
	info = query_of(XA);
	CHECK(strcmp(info.name, "xdp_dispatcher") == 0);
	CHECK_EQ(info.component_count, 1);
	CHECK_EQ(info.xskmap_count, 1);
	CHECK(strcmp(info.xskmaps[0].name, "xsks_map") == 0);
	CHECK(info.xskmaps[0].program_id != info.program_id);
	CHECK_EQ(info.join, XSK_JOIN_EQUAL | XSK_JOIN_LIBXDP | XSK_JOIN_XSKMAP);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	kernel = stack_open(XA);
	CHECK_EQ(users(info.xskmaps[0].program_id, 0), 1);
	/* Twice: the first time does not use it up. */
	for (int i = 0; i < 2; i++) {
		first = open_end(XA, 0, 0, 0);
		CHECK_EQ(users(info.xskmaps[0].program_id, 0), 2);
		CHECK_EQ(info_of(first.socket).program_id, info.xskmaps[0].program_id);
		second = open_end(XA, 1, 0, 0);
		CHECK_EQ(users(info.xskmaps[0].program_id, 0), 3);
		end_send(&from, 1);
		CHECK_EQ(end_receive(&first, 2000), 1);
		close_end(&second);
		close_end(&first);
		CHECK_EQ(users(info.xskmaps[0].program_id, 0), 1);
		end_send(&from, 2);
		CHECK_EQ(stack_receive(kernel, 2000), 2);
		CHECK_EQ(attached_id(XA), info.program_id);
	}
	close_end(&from);
}

TEST(the_last_user_leaves_the_program_in_the_dispatcher_to_the_next)
{
	uint32_t program, dispatcher;
	struct end end, from;

	start_libxdp();
	dispatcher = attached_id(XA);
	program = query_of(XA).xskmaps[0].program_id;
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	for (uint32_t i = 0; i < 2; i++) {
		end = open_end(XA, 0, 0, 0);
		CHECK_EQ(users(program, 1), 1);	/* libxdp's has gone */
		end_send(&from, i);
		CHECK_EQ(end_receive(&end, 2000), i);
		close_end(&end);
		CHECK_EQ(users(program, 0), 1);
		CHECK_EQ(attached_id(XA), dispatcher);
	}
	close_end(&from);
}

TEST(the_xskmap_in_a_dispatcher_is_opened_by_the_dispatchers_id)
{
	struct end end, from;
	int map;

	start_libxdp();
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	map = xsk_xskmap_of_program(attached_id(XA), NULL);
	CHECK(map >= 0);
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_XSKMAP,
						      .xskmap_fd = map)));
	close(map);
	end_send(&from, 1);
	CHECK_EQ(end_receive(&end, 2000), 1);
	close_end(&end);
	close_end(&from);
}

TEST(what_the_program_in_a_dispatcher_cannot_do_is_said)
{
	const struct xsk_rule drops = { .action = XSK_ACTION_DROP };
	struct xsk_program *program = NULL;
	struct end end;

	start_libxdp();
	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.rules = &drops,
								  .rule_count = 1)));
	CHECK_FAILS(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.program = program)), -EBUSY,
		    "xdp_dispatcher", "libxdp's", "default program");
	end = open_end(XA, 0, 0, 0);
	CHECK_FAILS(xsk_program_replace(end.socket, program), -ENOTCONN, "program");
	CHECK_FAILS(xsk_program_pin(end.socket, "/sys/fs/bpf/pin"), -ENOTCONN, "program");
	CHECK_EQ(xsk_program_counters(end.socket, NULL, 0), -ENOTCONN);
	xsk_program_destroy(program);
	close_end(&end);
}

TEST(a_dispatcher_is_replaced_by_its_id)
{
	struct end end, from;

	start_libxdp();
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK_OK(try_end(&end, XA, 0, &XSK_BIND_PARAMS(.replace_id = attached_id(XA))));
	CHECK_EQ(query_of(XA).kind, XSK_KIND_DEFAULT);
	end_send(&from, 1);
	CHECK_EQ(end_receive(&end, 2000), 1);
	close_end(&end);
	close_end(&from);
	CHECK_EQ(attached_id(XA), 0);
}
