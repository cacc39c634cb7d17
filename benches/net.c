/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define _GNU_SOURCE
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "bench.h"

#define ETHERTYPE 0x88b5	/* IEEE 802: for local experiments */

static void write_to(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (file) {
		fputs(text, file);
		fclose(file);
	}
}

void net_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		bench_die("namespaces: %s (are you root?)", strerror(errno));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0)
		bench_die("mounting a BPF file system: %s", strerror(errno));
	/* Nothing but our packets: no neighbour discovery. */
	write_to("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_to("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

void net_pair(unsigned int number, unsigned int queues)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "ip link add a%u up numrxqueues %u numtxqueues %u type veth "
		 "peer name b%u numrxqueues %u numtxqueues %u && ip link set b%u up",
		 number, queues, queues, number, queues, queues, number);
	if (system(command) != 0)
		bench_die("failed: %s", command);
}

void net_frame(void *to)
{
	static const uint8_t head[14] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, ETHERTYPE >> 8,
		ETHERTYPE & 0xff
	};

	memset(to, 0, FRAME_LEN);
	memcpy(to, head, sizeof(head));
}

int net_sender(const char *ifname)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);	/* receives nothing */

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		bench_die("packet socket on %s: %s", ifname, strerror(errno));
	return fd;
}
