/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * BPF for the test programs: programs of others, what is attached to an interface,
 * and whether the library's programs, maps and links are gone.
 */

#ifndef BPF_H
#define BPF_H

#include "net.h"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/syscall.h>

static UNUSED int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static UNUSED int make_map(uint32_t type, uint32_t entries)
{
	union bpf_attr attr = {
		.map_type = type, .key_size = 4, .value_size = 4, .max_entries = entries,
		.map_name = "test_map",
	};
	int fd = bpf(BPF_MAP_CREATE, &attr);

	if (fd < 0)
		FAIL("BPF_MAP_CREATE: %s", strerror(errno));
	return fd;
}

static UNUSED int load_program(const struct bpf_insn *insns, uint32_t count, const char *name)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uint64_t)(uintptr_t)insns,
		.insn_cnt = count,
		.license = (uint64_t)(uintptr_t)"GPL",
	};
	int fd;

	strncpy(attr.prog_name, name, sizeof(attr.prog_name) - 1);
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0)
		FAIL("BPF_PROG_LOAD: %s", strerror(errno));
	return fd;
}

/* `return XDP_PASS` */
static UNUSED int load_pass(const char *name)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load_program(insns, COUNT(insns), name);
}

/* `return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS)` */
static UNUSED int load_redirect(int map)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ .code = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load_program(insns, COUNT(insns), "test_redirect");
}

static UNUSED int attach_link(int program, const char *ifname)
{
	union bpf_attr attr = { .link_create = {
		.prog_fd = (uint32_t)program,
		.target_ifindex = if_nametoindex(ifname),
		.attach_type = BPF_XDP,
	} };
	int fd = bpf(BPF_LINK_CREATE, &attr);

	if (fd < 0)
		FAIL("BPF_LINK_CREATE: %s", strerror(errno));
	return fd;
}

/* --- route netlink */

static UNUSED void talk_netlink(struct nlmsghdr *request, void *answer, size_t room)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, request, request->nlmsg_len, 0) < 0 ||
	    recv(fd, answer, room, 0) < (ssize_t)sizeof(struct nlmsghdr))
		FAIL("netlink: %s", strerror(errno));
	close(fd);
}

static UNUSED struct rtattr *add_attr(struct nlmsghdr *to, unsigned short type, const void *data,
				      uint32_t len)
{
	struct rtattr *attr = (struct rtattr *)((char *)to + NLMSG_ALIGN(to->nlmsg_len));

	attr->rta_type = type;
	attr->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(attr), data, len);
	to->nlmsg_len = NLMSG_ALIGN(to->nlmsg_len) + RTA_ALIGN(attr->rta_len);
	return attr;
}

/* Attaches as tools before BPF links do; program -1 detaches. */
static UNUSED void attach_netlink(int program, const char *ifname, uint32_t flags)
{
	struct { struct nlmsghdr head; struct ifinfomsg link; char room[64]; } request = {
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
			  .nlmsg_type = RTM_SETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.link = { .ifi_index = (int)if_nametoindex(ifname) },
	};
	struct { struct nlmsghdr head; struct nlmsgerr error; char room[512]; } answer;
	struct rtattr *nest = add_attr(&request.head, IFLA_XDP | NLA_F_NESTED, NULL, 0);

	add_attr(&request.head, IFLA_XDP_FD, &program, sizeof(program));
	add_attr(&request.head, IFLA_XDP_FLAGS, &flags, sizeof(flags));
	nest->rta_len = (unsigned short)((char *)&request + request.head.nlmsg_len - (char *)nest);
	talk_netlink(&request.head, &answer, sizeof(answer));
	if (answer.head.nlmsg_type != NLMSG_ERROR || answer.error.error != 0)
		FAIL("netlink: attaching to %s: %s", ifname, strerror(-answer.error.error));
}

/* What the kernel says of the XDP program on an interface. */
struct attached {
	uint32_t id;	/* 0 without one */
	uint8_t mode;	/* XDP_ATTACHED_DRV, XDP_ATTACHED_SKB ... */
};

static UNUSED struct attached attached_to(const char *ifname)
{
	struct attached is = { 0, XDP_ATTACHED_NONE };
	struct { struct nlmsghdr head; struct ifinfomsg link; } request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_index = (int)if_nametoindex(ifname) },
	};
	static union { struct nlmsghdr head; char room[32768]; } answer;
	struct rtattr *attr, *inner;
	int left, rest;

	talk_netlink(&request.head, &answer, sizeof(answer));
	if (answer.head.nlmsg_type != RTM_NEWLINK)
		FAIL("netlink: no answer for %s", ifname);
	attr = IFLA_RTA(NLMSG_DATA(&answer.head));
	left = (int)IFLA_PAYLOAD(&answer.head);
	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		if ((attr->rta_type & NLA_TYPE_MASK) != IFLA_XDP)
			continue;
		inner = RTA_DATA(attr);
		rest = (int)RTA_PAYLOAD(attr);
		for (; RTA_OK(inner, rest); inner = RTA_NEXT(inner, rest)) {
			if (inner->rta_type == IFLA_XDP_PROG_ID)
				is.id = *(uint32_t *)RTA_DATA(inner);
			if (inner->rta_type == IFLA_XDP_ATTACHED)
				is.mode = *(uint8_t *)RTA_DATA(inner);
		}
	}
	return is;
}

static UNUSED uint32_t attached_id(const char *ifname)
{
	return attached_to(ifname).id;
}

/* --- what the library leaves behind */

static UNUSED int object_exists(int get_fd_by_id, uint32_t id)
{
	union bpf_attr attr = { .prog_id = id };
	int fd = bpf(get_fd_by_id, &attr);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static UNUSED struct bpf_prog_info program_info(int fd)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr = { .info = {
		.bpf_fd = (uint32_t)fd, .info_len = sizeof(info), .info = (uint64_t)(uintptr_t)&info,
	} };

	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) != 0)
		FAIL("BPF_OBJ_GET_INFO_BY_FD: %s", strerror(errno));
	return info;
}

static UNUSED int is_ours(const char *name)
{
	return strncmp(name, "xsk_default", 11) == 0 || strncmp(name, "xsk_steer", 9) == 0;
}

/* One installed program: ids, so that others' programs do not disturb. */
struct installed {
	uint32_t program, map, link;
};

static UNUSED uint32_t link_of(uint32_t program)
{
	union bpf_attr next = { .start_id = 0 };

	for (; bpf(BPF_LINK_GET_NEXT_ID, &next) == 0; next.start_id = next.next_id) {
		union bpf_attr get = { .link_id = next.next_id };
		struct bpf_link_info info = { 0 };
		union bpf_attr ask;
		int fd = bpf(BPF_LINK_GET_FD_BY_ID, &get);

		if (fd < 0)
			continue;
		memset(&ask, 0, sizeof(ask));
		ask.info.bpf_fd = (uint32_t)fd;
		ask.info.info_len = sizeof(info);
		ask.info.info = (uint64_t)(uintptr_t)&info;
		bpf(BPF_OBJ_GET_INFO_BY_FD, &ask);
		close(fd);
		if (info.prog_id == program)
			return next.next_id;
	}
	return 0;
}

static UNUSED struct installed installed_by(uint32_t program)
{
	struct installed is = { .program = program, .link = link_of(program) };
	union bpf_attr get = { .prog_id = program };
	uint32_t maps[8] = { 0 };
	struct bpf_prog_info info = { .nr_map_ids = 8, .map_ids = (uint64_t)(uintptr_t)maps };
	union bpf_attr ask;
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &get);

	CHECK(fd >= 0);
	memset(&ask, 0, sizeof(ask));
	ask.info.bpf_fd = (uint32_t)fd;
	ask.info.info_len = sizeof(info);
	ask.info.info = (uint64_t)(uintptr_t)&info;
	CHECK_OK(bpf(BPF_OBJ_GET_INFO_BY_FD, &ask));
	close(fd);
	CHECK(is_ours(info.name));
	is.map = maps[info.nr_map_ids - 1];
	CHECK(is.map != 0 && is.link != 0);
	return is;
}

static UNUSED int is_gone(const struct installed *is)
{
	return !object_exists(BPF_PROG_GET_FD_BY_ID, is->program) &&
	       !object_exists(BPF_MAP_GET_FD_BY_ID, is->map) &&
	       !object_exists(BPF_LINK_GET_FD_BY_ID, is->link);
}

/* Programs and maps of the library's in the whole system. */
static UNUSED int count_objects(void)
{
	union bpf_attr next = { .start_id = 0 };
	int n = 0;

	for (; bpf(BPF_PROG_GET_NEXT_ID, &next) == 0; next.start_id = next.next_id) {
		union bpf_attr get = { .prog_id = next.next_id };
		int fd = bpf(BPF_PROG_GET_FD_BY_ID, &get);

		if (fd < 0)
			continue;
		n += is_ours(program_info(fd).name);
		close(fd);
	}
	memset(&next, 0, sizeof(next));
	for (; bpf(BPF_MAP_GET_NEXT_ID, &next) == 0; next.start_id = next.next_id) {
		union bpf_attr get = { .map_id = next.next_id };
		struct bpf_map_info info = { 0 };
		union bpf_attr ask;
		int fd = bpf(BPF_MAP_GET_FD_BY_ID, &get);

		if (fd < 0)
			continue;
		memset(&ask, 0, sizeof(ask));
		ask.info.bpf_fd = (uint32_t)fd;
		ask.info.info_len = sizeof(info);
		ask.info.info = (uint64_t)(uintptr_t)&info;
		bpf(BPF_OBJ_GET_INFO_BY_FD, &ask);
		n += strcmp(info.name, "xsks_map") == 0 || strncmp(info.name, "xsk_", 4) == 0;
		close(fd);
	}
	return n;
}

#endif
