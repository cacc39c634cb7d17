/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Folders of pins that are refused, with nothing left behind, and that are removed. */
#include "bpffs.h"

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
