/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tells what an interface and the kernel offer to AF_XDP, and what follows: the first
 * thing to run where something does not work.
 *
 *	sudo build/examples/xskprobe -i eth0
 *	sudo build/examples/xskprobe -i eth0 --json | jq .verdicts
 *
 * Nothing is changed. Without root less is found out; it says what.
 */
#define _GNU_SOURCE

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

static const char usage[] =
	"usage: xskprobe -i IF [--json]\n"
	"Tells what an interface and the kernel offer to AF_XDP.\n"
	"  -i IF       the interface\n"
	"  -j, --json  for programs; null is what nobody knows\n";

struct flag {
	uint64_t bit;
	const char *name;
};

static const struct flag xdp_flags[] = {
	{ XSK_CAPS_XDP_BASIC, "basic" }, { XSK_CAPS_XDP_REDIRECT, "redirect" },
	{ XSK_CAPS_XDP_NDO_XMIT, "ndo-xmit" }, { XSK_CAPS_XDP_ZEROCOPY, "xsk-zerocopy" },
	{ XSK_CAPS_XDP_HW_OFFLOAD, "hw-offload" }, { XSK_CAPS_XDP_RX_SG, "rx-sg" },
	{ XSK_CAPS_XDP_NDO_XMIT_SG, "ndo-xmit-sg" }, { 0, NULL }
};
static const struct flag rx_flags[] = {
	{ XSK_CAPS_RX_TIMESTAMP, "timestamp" }, { XSK_CAPS_RX_HASH, "hash" },
	{ XSK_CAPS_RX_VLAN_TAG, "vlan-tag" }, { 0, NULL }
};
static const struct flag tx_flags[] = {
	{ XSK_CAPS_TX_TIMESTAMP, "timestamp" }, { XSK_CAPS_TX_CHECKSUM, "checksum" },
	{ XSK_CAPS_TX_LAUNCH_TIME, "launch-time" }, { 0, NULL }
};
static const struct flag kernel_flags[] = {
	{ XSK_KERNEL_AF_XDP, "af-xdp" }, { XSK_KERNEL_NEED_WAKEUP, "need-wakeup" },
	{ XSK_KERNEL_UNALIGNED, "unaligned-chunks" }, { XSK_KERNEL_SHARED_UMEM, "shared-umem" },
	{ XSK_KERNEL_XDP_LINK, "xdp-link" }, { XSK_KERNEL_BUSY_POLL, "busy-poll" },
	{ XSK_KERNEL_NETNS_COOKIE, "netns-cookie" }, { XSK_KERNEL_SG, "multi-buffer" },
	{ XSK_KERNEL_TX_METADATA, "tx-metadata" }, { XSK_KERNEL_SW_CSUM, "software-checksum" },
	{ XSK_KERNEL_TX_BUDGET, "tx-budget" }, { XSK_KERNEL_BTF, "btf" }, { 0, NULL }
};
static const struct flag verdict_flags[] = {
	{ XSK_CAN_OPEN, "sockets" }, { XSK_CAN_LOAD, "programs" }, { XSK_CAN_DRV, "native" },
	{ XSK_CAN_ZEROCOPY, "zero-copy" }, { XSK_CAN_JUMBO_SKB, "jumbo-generic" },
	{ XSK_CAN_JUMBO_DRV, "jumbo-native" }, { XSK_CAN_JUMBO_ZEROCOPY, "jumbo-zero-copy" },
	{ 0, NULL }
};
static const char *const modes[] = { "none", "generic", "native", "hardware" };

static const char *const kinds[] = {
	[XSK_KIND_NONE] = "none", [XSK_KIND_UNKNOWN] = "unknown",
	[XSK_KIND_DEFAULT] = "default", [XSK_KIND_RULES] = "rules",
	[XSK_KIND_FILTER] = "filter", [XSK_KIND_LIBXDP] = "libxdp",
	[XSK_KIND_DISPATCHER] = "dispatcher", [XSK_KIND_FOREIGN] = "foreign",
};

static const struct flag join_flags[] = {
	{ XSK_JOIN_EQUAL, "equal" }, { XSK_JOIN_LIBXDP, "libxdp" },
	{ XSK_JOIN_XSKMAP, "xskmap" }, { 0, NULL }
};

/* --- for programs */

/* A name in quotes; it may have any byte. */
static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < ' ' || byte == '"' || byte == '\\' || byte > '~')
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}

/* A number, or null if it is not known. */
static void json_number(const char *name, long long number, int is_known)
{
	if (is_known)
		printf(",\"%s\":%lld", name, number);
	else
		printf(",\"%s\":null", name);
}

/* The names of the bits that are set, or null. */
static void json_list(const char *name, uint64_t bits, int is_known, const struct flag *flag)
{
	const char *comma = "";

	printf(",\"%s\":%s", name, is_known ? "[" : "null");
	for (; is_known && flag->name; flag++) {
		if (bits & flag->bit) {
			printf("%s\"%s\"", comma, flag->name);
			comma = ",";
		}
	}
	fputs(is_known ? "]" : "", stdout);
}

/* Yes, no or null for each. */
static void json_answers(const char *name, uint32_t yes, uint32_t known, const struct flag *flag)
{
	const char *comma = "";

	printf(",\"%s\":{", name);
	for (; flag->name; flag++, comma = ",")
		printf("%s\"%s\":%s", comma, flag->name, !(known & flag->bit) ? "null" :
		       yes & flag->bit ? "true" : "false");
	putchar('}');
}

/* What xsk_attach_query() says, or null if nothing is there. */
static void json_attached(const struct xsk_attach_info *info)
{
	uint32_t i;

	fputs(",\"attached\":", stdout);
	if (info->program_id == 0) {
		fputs("null", stdout);
		return;
	}
	printf("{\"id\":%u,\"mode\":\"%s\",\"kind\":\"%s\",\"name\":", info->program_id,
	       modes[info->mode], kinds[info->kind]);
	json_string(info->name);
	printf(",\"held\":%s", info->held == XSK_HELD_LINK ? "\"link\"" :
	       info->held == XSK_HELD_NETLINK ? "\"netlink\"" : "null");
	json_number("link_id", info->link_id, info->held == XSK_HELD_LINK);
	json_list("join", info->join, info->kind != XSK_KIND_UNKNOWN, join_flags);
	json_number("components", info->component_count, info->kind == XSK_KIND_DISPATCHER);
	fputs(",\"xskmaps\":[", stdout);
	for (i = 0; i < info->xskmap_count && i < 8; i++) {
		const struct xsk_attach_map *map = &info->xskmaps[i];

		printf("%s{\"id\":%u,\"entries\":%u,\"program\":%u,\"name\":", i ? "," : "",
		       map->id, map->max_entries, map->program_id);
		json_string(map->name);
		putchar('}');
	}
	fputs("]}", stdout);
}

static void print_json(const struct xsk_caps *caps, const struct xsk_attach_info *info)
{
	int rings = (caps->known & XSK_CAPS_RINGS) != 0;
	uint32_t i;

	fputs("{\"interface\":", stdout);
	json_string(caps->ifname);
	fputs(",\"driver\":", stdout);
	json_string(caps->driver);
	fputs(",\"bus\":", stdout);
	json_string(caps->bus);
	json_number("ifindex", caps->ifindex, 1);
	printf(",\"up\":%s,\"carrier\":%s", caps->up ? "true" : "false",
	       caps->carrier ? "true" : "false");
	json_number("numa_node", caps->numa_node, caps->numa_node >= 0);
	json_number("mtu", caps->mtu, 1);
	json_number("mtu_max", caps->mtu_max, caps->mtu_max != 0);
	json_number("mtu_frame", caps->mtu_frame, 1);
	json_number("mtu_native", caps->mtu_native, 1);
	json_number("queues", caps->queues, 1);
	json_number("queues_max", caps->queues_max, 1);
	json_number("rx_ring", caps->rx_ring, rings);
	json_number("rx_ring_max", caps->rx_ring_max, rings);
	json_number("tx_ring", caps->tx_ring, rings);
	json_number("tx_ring_max", caps->tx_ring_max, rings);
	json_list("xdp_features", caps->xdp_features, caps->known & XSK_CAPS_XDP_FEATURES,
		  xdp_flags);
	json_number("zc_max_segs", caps->zc_max_segs, caps->known & XSK_CAPS_ZC_MAX_SEGS);
	json_list("rx_metadata", caps->rx_metadata, caps->known & XSK_CAPS_RX_METADATA, rx_flags);
	json_list("tx_metadata", caps->tx_metadata, caps->known & XSK_CAPS_TX_METADATA, tx_flags);
	fputs(",\"programs\":[", stdout);
	for (i = 0; i < caps->program_count; i++) {
		printf("%s{\"id\":%u,\"mode\":\"%s\",\"name\":", i ? "," : "",
		       caps->programs[i].id, modes[caps->programs[i].mode]);
		json_string(caps->programs[i].name);
		putchar('}');
	}
	putchar(']');
	json_attached(info);
	json_answers("kernel", caps->kernel, caps->kernel_known, kernel_flags);
	json_answers("verdicts", caps->can, caps->can_known, verdict_flags);
	puts("}");
}

/* --- for people */

static void print_list(const char *name, uint64_t bits, uint32_t is_known, const struct flag *flag)
{
	printf("  %-14s", name);
	if (!is_known)
		fputs(" unknown: this kernel does not tell", stdout);
	else if (bits == 0)
		fputs(" none", stdout);
	for (; is_known && flag->name; flag++)
		if (bits & flag->bit)
			printf(" %s", flag->name);
	putchar('\n');
}

/* What holds the program that AF_XDP has to do with, and who can use it. */
static void print_attached(const struct xsk_attach_info *info)
{
	uint32_t i;

	if (info->program_id == 0 || info->kind == XSK_KIND_UNKNOWN)
		return;
	if (info->held == XSK_HELD_LINK)
		printf("  %-14s link %u\n", "held by", info->link_id);
	else if (info->held == XSK_HELD_NETLINK)
		printf("  %-14s nobody: it stays until it is taken off (netlink)\n", "held by");
	for (i = 0; i < info->xskmap_count && i < 8; i++)
		printf("  %-14s %s (id %u) of program %u, %u entries\n", i ? "" : "XSKMAP",
		       info->xskmaps[i].name, info->xskmaps[i].id, info->xskmaps[i].program_id,
		       info->xskmaps[i].max_entries);
	printf("  %-14s%s%s%s%s\n", "can be joined",
	       info->join & XSK_JOIN_EQUAL ? info->kind == XSK_KIND_RULES ? " by equal rules," :
	       info->kind == XSK_KIND_FILTER ? " by an equal filter," :
	       " by the default program," : "",
	       info->join & XSK_JOIN_LIBXDP ? " by libxdp," : "",
	       info->join & XSK_JOIN_XSKMAP ? " with its XSKMAP" : "",
	       info->join ? "" : " by nobody");
}

static void print_facts(const struct xsk_caps *caps, const struct xsk_attach_info *info)
{
	uint32_t unknown = ~caps->kernel_known, no = caps->kernel_known & ~caps->kernel, i;

	printf("%s: driver %s%s%s, %s\n", caps->ifname, caps->driver[0] ? caps->driver : "unknown",
	       caps->bus[0] ? " at " : "", caps->bus,
	       !caps->up ? "down" : caps->carrier ? "up" : "up, no carrier");
	if (caps->numa_node >= 0)
		printf("  %-14s %d\n", "NUMA node", caps->numa_node);
	printf("  %-14s %u (a frame of 4096 holds %u, a driver's page with a program %u)\n", "MTU",
	       caps->mtu, caps->mtu_frame, caps->mtu_native);
	printf("  %-14s %u of %u%s\n", "queues", caps->queues, caps->queues_max,
	       caps->known & XSK_CAPS_QUEUES ? "" : " at most");
	if (caps->known & XSK_CAPS_RINGS)
		printf("  %-14s RX %u of %u, TX %u of %u descriptors\n", "device rings",
		       caps->rx_ring, caps->rx_ring_max, caps->tx_ring, caps->tx_ring_max);
	print_list("XDP", caps->xdp_features, caps->known & XSK_CAPS_XDP_FEATURES, xdp_flags);
	print_list("RX metadata", caps->rx_metadata, caps->known & XSK_CAPS_RX_METADATA, rx_flags);
	print_list("TX metadata", caps->tx_metadata, caps->known & XSK_CAPS_TX_METADATA, tx_flags);
	for (i = 0; i < caps->program_count; i++)
		printf("  %-14s %s (id %u), %s mode\n", i ? "" : "XDP program",
		       caps->programs[i].name[0] ? caps->programs[i].name : "without a known name",
		       caps->programs[i].id, modes[caps->programs[i].mode]);
	print_attached(info);
	print_list("kernel has", caps->kernel, 1, kernel_flags);
	print_list("kernel lacks", no, 1, kernel_flags);
	print_list("kernel unknown", unknown & ((XSK_KERNEL_BTF << 1) - 1), 1, kernel_flags);
}

/* A verdict on the driver or the process, and why it is so where it is not yes. */
static void verdict(const struct xsk_caps *caps, const char *name, uint32_t bit,
		    const char *why_not)
{
	if (caps->can & bit)
		printf("%s: yes\n", name);
	else if (caps->can_known & bit)
		printf("%s: no (%s)\n", name, why_not);
	else
		printf("%s: unknown (%s)\n", name, caps->known & XSK_CAPS_XDP_FEATURES ?
		       "drivers differ at this MTU" : "the kernel tells since Linux 6.3");
}

/* Whether a bind with default parameters gets its program. */
static void default_program(const struct xsk_caps *caps, const struct xsk_attach_info *info)
{
	int steers = info->kind == XSK_KIND_RULES || info->kind == XSK_KIND_FILTER;

	fputs("default program: ", stdout);
	if (info->kind == XSK_KIND_UNKNOWN)
		puts("unknown (one is there, whose name takes CAP_SYS_ADMIN to see)");
	else if (info->kind != XSK_KIND_NONE && (steers || !(info->join & XSK_JOIN_EQUAL)))
		printf("no (%s is there; replace_id %u would take its place)\n", info->name,
		       info->program_id);
	else if (caps->can_known & ~caps->can & XSK_CAN_LOAD)
		puts("no (CAP_BPF or CAP_NET_ADMIN is missing)");
	else if (!(caps->can & XSK_CAN_LOAD))
		puts("unknown");
	else if (caps->kernel_known & ~caps->kernel & XSK_KERNEL_XDP_LINK)
		puts("yes, and stays if the process is killed (links need Linux 5.9)");
	else
		puts("yes");
}

/* How packets can be received that are longer than a frame. */
static void jumbo(const struct xsk_caps *caps)
{
	if (!(caps->can_known & XSK_CAN_JUMBO_SKB))
		puts("jumbo: unknown");
	else if (!(caps->can & XSK_CAN_JUMBO_SKB))
		puts("jumbo: no (multi-buffer sockets need Linux 6.6)");
	else if (caps->can & (XSK_CAN_JUMBO_DRV | XSK_CAN_JUMBO_ZEROCOPY))
		printf("jumbo: generic%s%s mode\n",
		       caps->can & XSK_CAN_JUMBO_DRV ? " and native" : "",
		       caps->can & XSK_CAN_JUMBO_ZEROCOPY ? " and zero-copy" : "");
	else
		puts("jumbo: generic mode only");
	if (caps->mtu > caps->mtu_frame)
		printf("packets above %u bytes: in several descriptors, or dropped\n",
		       caps->mtu_frame + ETH_HEADER);
}

static void print_verdicts(const struct xsk_caps *caps, const struct xsk_attach_info *info)
{
	char driver[48], mtu[48];

	snprintf(driver, sizeof(driver), "driver %s", caps->driver[0] ? caps->driver : "unknown");
	snprintf(mtu, sizeof(mtu), "MTU %u, above %u", caps->mtu, caps->mtu_native);
	if (caps->can_known & XSK_CAN_OPEN)
		verdict(caps, "sockets", XSK_CAN_OPEN, caps->kernel & XSK_KERNEL_AF_XDP ?
			"CAP_NET_RAW is missing" : "the kernel was built without AF_XDP");
	default_program(caps, info);
	verdict(caps, "native mode", XSK_CAN_DRV,
		caps->xdp_features & XSK_CAPS_XDP_REDIRECT ? mtu : driver);
	verdict(caps, "zero-copy", XSK_CAN_ZEROCOPY, driver);
	jumbo(caps);
	if (!caps->up)
		printf("link: down (ip link set dev %s up)\n", caps->ifname);
	if (caps->queues <= 1)
		puts("queue 0");
	else
		printf("queue 0..%u\n", caps->queues - 1);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", 0, NULL, 'j' }, { NULL, 0, NULL, 0 } };
	struct xsk_caps caps = { .size = sizeof(caps) };
	struct xsk_attach_info info = { .size = sizeof(info) };
	const char *ifname = NULL;
	int letter, json = 0;

	while ((letter = getopt_long(argc, argv, "i:jh", options, NULL)) != -1) {
		if (letter == 'i') {
			ifname = optarg;
		} else if (letter == 'j') {
			json = 1;
		} else {
			fputs(usage, letter == 'h' ? stdout : stderr);
			return letter == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
		}
	}
	if (optind < argc)
		bad_usage("not an option: ", argv[optind]);
	if (!ifname)
		bad_usage("which interface? ", "-i IF");
	if (xsk_probe(ifname, &caps) < 0 || xsk_attach_query(ifname, &info) < 0)
		return failed();
	if (json) {
		print_json(&caps, &info);
		return EXIT_SUCCESS;
	}
	print_facts(&caps, &info);
	putchar('\n');
	print_verdicts(&caps, &info);
	return EXIT_SUCCESS;
}
