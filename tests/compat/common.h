/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the programs of this directory share: a network namespace with veth pairs,
 * what is attached to an interface, BPF maps and programs of the test's own. Nothing
 * of libxsk or libxdp: the same source is built against either.
 */

#ifndef COMPAT_COMMON_H
#define COMPAT_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ETHERTYPE 0x88b5	/* IEEE 802: for local experiments */

/* What the test itself cannot do: no verdict on any library. */
#define DIE(...) \
	do { \
		fflush(stdout); \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__); \
		fprintf(stderr, ": %s\n", strerror(errno)); \
		_exit(99); \
	} while (0)

/* --- time, files */

static UNUSED uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static UNUSED void nap_ms(unsigned int ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

static UNUSED void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		DIE("%s", path);
	close(fd);
}

static UNUSED int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		DIE("/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3;	/* ".", ".." and the directory itself */
}

/* Mappings of sockets, which is what rings are. */
static UNUSED int count_ring_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	if (!file)
		DIE("/proc/self/maps");
	while (fgets(line, sizeof(line), file))
		n += strstr(line, "socket:[") != NULL;
	fclose(file);
	return n;
}

/* --- interfaces */

static UNUSED void __attribute__((format(printf, 1, 2))) shell(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		DIE("`%s`", command);
}

static UNUSED void enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		DIE("unshare");
	/* No router solicitations among the packets counted. */
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

/* What the network stack sends on b arrives at queue 0 of a. */
static UNUSED void make_pair(const char *a, const char *b, unsigned int queues)
{
	shell("printf 'link add %s numrxqueues %u numtxqueues %u type veth peer name %s "
	      "numrxqueues %u numtxqueues 1\\nlink set %s up\\nlink set %s up\\n' | ip -batch -",
	      a, queues, queues, b, queues, a, b);
}

/* --- BPF */

static UNUSED int bpf_call(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static UNUSED int make_map(uint32_t type, uint32_t entries, const char *name)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = entries;
	strncpy(attr.map_name, name, sizeof(attr.map_name) - 1);
	fd = bpf_call(BPF_MAP_CREATE, &attr);
	if (fd < 0)
		DIE("BPF_MAP_CREATE");
	return fd;
}

static UNUSED int load_program(const struct bpf_insn *insns, size_t count, const char *name)
{
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = (uint32_t)count;
	attr.license = (uint64_t)(uintptr_t)"GPL";
	strncpy(attr.prog_name, name, sizeof(attr.prog_name) - 1);
	fd = bpf_call(BPF_PROG_LOAD, &attr);
	if (fd < 0)
		DIE("BPF_PROG_LOAD");
	return fd;
}

static UNUSED int load_pass(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load_program(insns, COUNT(insns), "test_pass");
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

/* --- route netlink */

static UNUSED void talk_netlink(struct nlmsghdr *request, void *answer, size_t room)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, request, request->nlmsg_len, 0) < 0 ||
	    recv(fd, answer, room, 0) < (ssize_t)sizeof(struct nlmsghdr))
		DIE("netlink");
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

/* Attaches a program as bpf_xdp_attach() does; -1 detaches. 0 or a negative errno. */
static UNUSED int attach(int program, const char *ifname, uint32_t flags)
{
	struct { struct nlmsghdr head; struct ifinfomsg link; char room[64]; } request;
	struct { struct nlmsghdr head; struct nlmsgerr error; char room[512]; } answer;
	struct rtattr *nest;

	memset(&request, 0, sizeof(request));
	request.head.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg));
	request.head.nlmsg_type = RTM_SETLINK;
	request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request.link.ifi_index = (int)if_nametoindex(ifname);
	nest = add_attr(&request.head, IFLA_XDP | NLA_F_NESTED, NULL, 0);
	add_attr(&request.head, IFLA_XDP_FD, &program, sizeof(program));
	add_attr(&request.head, IFLA_XDP_FLAGS, &flags, sizeof(flags));
	nest->rta_len = (unsigned short)((char *)&request + request.head.nlmsg_len - (char *)nest);
	talk_netlink(&request.head, &answer, sizeof(answer));
	return answer.head.nlmsg_type == NLMSG_ERROR ? answer.error.error : -EPROTO;
}

/* The id and the mode (XDP_ATTACHED_) of the program on an interface; 0 without one. */
static UNUSED uint32_t attached(const char *ifname, uint8_t *mode)
{
	struct { struct nlmsghdr head; struct ifinfomsg link; } request;
	static union { struct nlmsghdr head; char room[32768]; } answer;
	struct rtattr *attr, *inner;
	uint32_t id = 0;
	int left, rest;

	memset(&request, 0, sizeof(request));
	request.head.nlmsg_len = sizeof(request);
	request.head.nlmsg_type = RTM_GETLINK;
	request.head.nlmsg_flags = NLM_F_REQUEST;
	request.link.ifi_index = (int)if_nametoindex(ifname);
	*mode = 0;
	if (request.link.ifi_index == 0)
		return 0;
	talk_netlink(&request.head, &answer, sizeof(answer));
	if (answer.head.nlmsg_type != RTM_NEWLINK)
		return 0;
	attr = IFLA_RTA(NLMSG_DATA(&answer.head));
	left = (int)IFLA_PAYLOAD(&answer.head);
	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		if ((attr->rta_type & NLA_TYPE_MASK) != IFLA_XDP)
			continue;
		inner = RTA_DATA(attr);
		rest = (int)RTA_PAYLOAD(attr);
		for (; RTA_OK(inner, rest); inner = RTA_NEXT(inner, rest)) {
			if (inner->rta_type == IFLA_XDP_ATTACHED)
				*mode = *(uint8_t *)RTA_DATA(inner);
			if (inner->rta_type == IFLA_XDP_PROG_ID)
				id = *(uint32_t *)RTA_DATA(inner);
		}
	}
	return id;
}

static UNUSED const char *attached_how(const char *ifname)
{
	static const char *const names[] = { "none", "drv", "skb", "hw", "multi" };
	uint8_t mode;
	uint32_t id = attached(ifname, &mode);

	return mode < COUNT(names) && (id != 0) == (mode != 0) ? names[mode] : "?";
}

/* --- frames: broadcast, numbered, every byte of the rest depends on the number */

static UNUSED uint32_t write_frame(void *to, uint32_t number, uint32_t len)
{
	static const uint8_t head[14] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, ETHERTYPE >> 8,
		ETHERTYPE & 0xff
	};
	uint8_t *bytes = to;
	uint32_t net = htonl(number), i;

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + 14, &net, 4);
	for (i = 18; i < len; i++)
		bytes[i] = (uint8_t)(number * 31 + i);
	return len;
}

/* The number; -1 if it is not one of ours, -2 if it is damaged. */
static UNUSED long read_frame(const void *from, uint32_t len)
{
	const uint8_t *bytes = from;
	uint32_t number, i;

	if (len < 60 || bytes[12] != ETHERTYPE >> 8 || bytes[13] != (ETHERTYPE & 0xff))
		return -1;
	memcpy(&number, bytes + 14, 4);
	number = ntohl(number);
	for (i = 18; i < len; i++)
		if (bytes[i] != (uint8_t)(number * 31 + i))
			return -2;
	return number;
}

/* --- the network stack's end */

static UNUSED int stack_open(const char *ifname)
{
	struct sockaddr_ll addr;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	memset(&addr, 0, sizeof(addr));
	addr.sll_family = AF_PACKET;
	addr.sll_protocol = htons(ETHERTYPE);
	addr.sll_ifindex = (int)if_nametoindex(ifname);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		DIE("packet socket on %s", ifname);
	return fd;
}

static UNUSED void stack_send(int fd, uint32_t number, uint32_t len)
{
	uint8_t frame[2048];

	write_frame(frame, number, len);
	if (send(fd, frame, len, 0) != (ssize_t)len)
		DIE("packet socket: send");
}

/* The next frame's number; -1 if none comes in that time. */
static UNUSED long stack_receive(int fd, int timeout_ms)
{
	uint8_t frame[2048];
	struct pollfd entry = { fd, POLLIN, 0 };
	ssize_t len;

	if (poll(&entry, 1, timeout_ms) != 1)
		return -1;
	len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
	return len < 0 ? -1 : read_frame(frame, (uint32_t)len);
}

#endif
