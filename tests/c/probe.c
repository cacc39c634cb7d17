/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* xsk_probe(): what it tells of interfaces and kernels is so, what it cannot know is
 * marked, and nothing is changed. */
#include "bpf.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

static struct xsk_caps caps_of(const char *ifname)
{
	struct xsk_caps caps = { .size = sizeof(caps) };

	CHECK_OK(xsk_probe(ifname, &caps));
	CHECK_EQ(caps.size, sizeof(caps));
	CHECK_EQ(strcmp(caps.ifname, ifname), 0);
	CHECK_EQ(caps.ifindex, if_nametoindex(ifname));
	/* What is yes is known. */
	CHECK_EQ(caps.kernel & ~caps.kernel_known, 0);
	CHECK_EQ(caps.can & ~caps.can_known, 0);
	return caps;
}

/* Distributions may carry features back, but here Debian's and Linux's own are run. */
static int linux_is(int major, int minor)
{
	struct utsname name;
	int a = 0, b = 0;

	CHECK_OK(uname(&name));
	CHECK_EQ(sscanf(name.release, "%d.%d", &a, &b), 2);
	return a > major || (a == major && b >= minor);
}

static void be_nobody(void)
{
	CHECK_OK(setresgid(65534, 65534, 65534));
	CHECK_OK(setresuid(65534, 65534, 65534));
	/* Changing identity has cleared this, and the case would outlive its parent. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

TEST_WITHOUT_ROOT(what_is_no_interface_or_no_struct_is_refused_and_nothing_is_written)
{
	struct xsk_caps caps, untouched;

	memset(&caps, 0xa5, sizeof(caps));
	caps.size = sizeof(caps);
	untouched = caps;
	CHECK_FAILS(xsk_probe(NULL, &caps), -EINVAL, "ifname is NULL");
	CHECK_FAILS(xsk_probe("lo", NULL), -EINVAL, "xsk_caps is NULL");
	CHECK_FAILS(xsk_probe("nosuch", &caps), -ENODEV, "probe", "nosuch", "ip link");
	CHECK_FAILS(xsk_probe("", &caps), -EINVAL, "no interface name");
	CHECK_FAILS(xsk_probe("a/b", &caps), -EINVAL, "no interface name", "a/b");
	CHECK_FAILS(xsk_probe("a-name-that-is-too-long", &caps), -EINVAL, "no interface name");
	CHECK_EQ(memcmp(&caps, &untouched, sizeof(caps)), 0);
	caps.size = 0;
	CHECK_FAILS(xsk_probe("lo", &caps), -EINVAL, "xsk_caps.size is 0");
	caps.size = 3;
	CHECK_FAILS(xsk_probe("lo", &caps), -EINVAL, "xsk_caps.size is 3");
	CHECK_EQ(caps.ifindex, 0xa5a5a5a5);
}

TEST_WITHOUT_ROOT(a_caller_with_a_shorter_or_longer_struct_gets_what_it_has_room_for)
{
	struct { struct xsk_caps caps; char more[64]; } longer = { .more = "newer" };
	struct xsk_caps shorter;

	memset(&shorter, 0xa5, sizeof(shorter));
	shorter.size = offsetof(struct xsk_caps, mtu);
	CHECK_OK(xsk_probe("lo", &shorter));
	CHECK_EQ(shorter.ifindex, if_nametoindex("lo"));
	CHECK_EQ(shorter.numa_node, -1);
	CHECK_EQ(shorter.mtu, 0xa5a5a5a5);
	longer.caps.size = sizeof(longer);
	CHECK_OK(xsk_probe("lo", &longer.caps));
	CHECK_EQ(longer.caps.size, sizeof(longer));
	CHECK_EQ(longer.more[0], 0);
}

static void same_as_ethtool(const char *ifname, const struct xsk_caps *caps)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ethtool_ringparam rings = { .cmd = ETHTOOL_GRINGPARAM };
	void *const asks[] = { &driver, &channels, &rings };
	const uint32_t bits[] = { XSK_CAPS_DRIVER, XSK_CAPS_QUEUES, XSK_CAPS_RINGS };
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(request.ifr_name, ifname, sizeof(request.ifr_name) - 1);
	for (uint32_t i = 0; i < COUNT(asks); i++) {
		request.ifr_data = asks[i];
		CHECK_EQ(ioctl(fd, SIOCETHTOOL, &request) == 0, (caps->known & bits[i]) != 0);
	}
	CHECK_EQ(strcmp(caps->driver, driver.driver), 0);
	CHECK_EQ(strcmp(caps->bus, driver.bus_info), 0);
	CHECK_EQ(caps->rx_ring, rings.rx_pending);
	CHECK_EQ(caps->rx_ring_max, rings.rx_max_pending);
	CHECK_EQ(caps->tx_ring, rings.tx_pending);
	CHECK_EQ(caps->tx_ring_max, rings.tx_max_pending);
	if (caps->known & XSK_CAPS_QUEUES) {
		CHECK_EQ(caps->queues, channels.rx_count > channels.tx_count ?
			 channels.rx_count : channels.tx_count);
		CHECK_EQ(caps->queues_max, channels.max_rx > channels.max_tx ?
			 channels.max_rx : channels.max_tx);
	}
	close(fd);
}

static void is_a_veth(uint32_t queues)
{
	struct xsk_caps caps;

	make_pair(queues);
	caps = caps_of(XA);
	same_as_ethtool(XA, &caps);
	CHECK_EQ(strcmp(caps.driver, "veth"), 0);
	CHECK(caps.known & XSK_CAPS_DRIVER);
	CHECK_EQ(caps.bus[0], 0);
	CHECK_EQ(caps.numa_node, -1);
	CHECK_EQ(caps.mtu, 1500);
	CHECK_EQ(caps.mtu_max, 65535);
	CHECK_EQ(caps.queues, queues);
	CHECK_EQ(caps.queues_max, queues);
	CHECK_EQ(caps.program_count, 0);
	CHECK(caps.up && caps.carrier);
	CHECK_EQ(caps.can & (XSK_CAN_OPEN | XSK_CAN_LOAD), XSK_CAN_OPEN | XSK_CAN_LOAD);
}

TEST(a_veth_of_one_queue_is_told_as_ethtool_has_it)
{
	is_a_veth(1);
}

TEST(a_veth_of_three_queues_is_told_as_ethtool_has_it)
{
	is_a_veth(3);
}

TEST(the_last_queue_that_is_told_can_be_bound_and_the_next_not)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	struct xsk_caps caps;
	struct end end;

	make_pair(4);
	/* Two are switched off, where the kernel can do that to a veth (Linux 5.16). */
	if (system("ethtool -L " XA " rx 2 tx 2 >/dev/null 2>&1") == 0)
		CHECK_EQ(caps_of(XA).queues, 2);
	caps = caps_of(XA);
	same_as_ethtool(XA, &caps);
	CHECK_EQ(caps.queues_max, 4);
	end = open_end(XA, caps.queues - 1, 0, 0);
	CHECK_FAILS(xsk_socket_open(&sock, umem, XA, caps.queues, NULL, NULL), -EINVAL,
		    "no such queue");
	close_end(&end);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(an_interface_without_a_driver_that_tells_is_marked_so)
{
	struct xsk_caps caps = caps_of("lo");

	same_as_ethtool("lo", &caps);
	CHECK_EQ(caps.known & (XSK_CAPS_QUEUES | XSK_CAPS_RINGS), 0);
	CHECK_EQ(caps.queues, 1);
	CHECK(!caps.up);
	link_up("lo");
	CHECK(caps_of("lo").up);
}

TEST(down_and_the_other_end_down_are_told)
{
	make_pair(1);
	link_down(XB);
	CHECK_EQ(caps_of(XA).up, 1);
	WAIT_FOR(caps_of(XA).carrier == 0, 1000);
	link_down(XA);
	CHECK_EQ(caps_of(XA).up, 0);
	link_up(XB);
	link_up(XA);
	WAIT_FOR(caps_of(XA).up && caps_of(XA).carrier, 1000);
}

TEST(the_features_of_a_veth_are_those_that_it_has)
{
	const uint64_t all = XSK_CAPS_RX_TIMESTAMP | XSK_CAPS_RX_HASH | XSK_CAPS_RX_VLAN_TAG;
	struct xsk_caps caps;

	make_pair(2);
	caps = caps_of(XA);
	CHECK_EQ((caps.known & XSK_CAPS_XDP_FEATURES) != 0, linux_is(6, 3));
	CHECK_EQ((caps.known & XSK_CAPS_RX_METADATA) != 0, linux_is(6, 7));
	CHECK_EQ((caps.known & XSK_CAPS_TX_METADATA) != 0, linux_is(6, 8));
	CHECK_EQ(caps.known & XSK_CAPS_ZC_MAX_SEGS, 0);
	CHECK_EQ(caps.rx_metadata, linux_is(6, 8) ? all : caps.rx_metadata & all);
	CHECK_EQ(caps.tx_metadata, 0);
	CHECK_EQ((caps.can_known & XSK_CAN_ZEROCOPY) != 0, linux_is(6, 3));
	CHECK_EQ(caps.can & XSK_CAN_ZEROCOPY, 0);
	CHECK_EQ((caps.can & XSK_CAN_DRV) != 0, linux_is(6, 3));
	if (linux_is(6, 3))
		CHECK_EQ(caps.xdp_features, XSK_CAPS_XDP_BASIC | XSK_CAPS_XDP_REDIRECT |
			 XSK_CAPS_XDP_RX_SG);
}

TEST(no_native_mode_is_told_where_the_other_end_has_more_queues)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	struct xsk_caps caps;

	if (!linux_is(6, 3))
		SKIP("this kernel has no netdev netlink (Linux 6.3)");
	shell("ip link add " XA " numrxqueues 1 numtxqueues 1 type veth "
	      "peer name " XB " numrxqueues 4 numtxqueues 4");
	shell("ip link set dev " XA " up && ip link set dev " XB " up");
	caps = caps_of(XA);
	CHECK_EQ(caps.xdp_features, 0);
	CHECK_EQ(caps.can & XSK_CAN_DRV, 0);
	CHECK(caps.can_known & XSK_CAN_DRV);
	CHECK(xsk_socket_open(&sock, umem, XA, 0, NULL,
			      &XSK_BIND_PARAMS(.flags = XSK_BIND_DRV_MODE)) < 0);
	CHECK(caps_of(XB).can & XSK_CAN_DRV);
	CHECK_OK(xsk_umem_destroy(umem));
}

static void set_mtu(uint32_t mtu)
{
	shell("ip link set dev " XA " mtu %u && ip link set dev " XB " mtu %u", mtu, mtu);
}

TEST(a_native_program_is_taken_up_to_the_mtu_that_is_told_and_not_above)
{
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *sock = NULL;
	struct xsk_caps caps;
	struct end end;

	make_pair(1);
	set_mtu(caps_of(XA).mtu_native);
	caps = caps_of(XA);
	CHECK_EQ(caps.mtu, caps.mtu_native);
	CHECK_EQ((caps.can & XSK_CAN_DRV) != 0, linux_is(6, 3));
	end = open_end(XA, 0, 0, XSK_BIND_DRV_MODE);
	CHECK(caps_of(XA).can & XSK_CAN_DRV);	/* it runs there, on any kernel */
	close_end(&end);
	WAIT_FOR(attached_id(XA) == 0, 2000);

	set_mtu(caps.mtu_native + 1);
	caps = caps_of(XA);
	CHECK_EQ(caps.mtu, caps.mtu_native + 1);
	CHECK_EQ(caps.can & XSK_CAN_DRV, 0);
	CHECK(caps.can_known & XSK_CAN_DRV);
	CHECK(xsk_socket_open(&sock, umem, XA, 0, NULL,
			      &XSK_BIND_PARAMS(.flags = XSK_BIND_DRV_MODE)) < 0);
	/* In the words of the driver. */
	CHECK_SAYS(XA, "Peer MTU is too large", "XSK_BIND_SKB_MODE");
	CHECK_OK(xsk_umem_destroy(umem));
	CHECK_EQ(attached_id(XA), 0);
}

/* Whether a packet as long as the MTU allows reaches a socket with default frames. */
static int full_packet_arrives(uint32_t mtu)
{
	static uint8_t frame[65536];
	struct end end = { NULL, NULL };
	struct xsk_socket_stats stats;
	int stack = stack_open(XB);
	struct xsk_buf buf;

	CHECK_OK(xsk_umem_create(&end.umem, NULL));
	CHECK_OK(xsk_socket_open(&end.socket, end.umem, XA, 0, NULL,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_SKB_MODE)));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_EQ(send(stack, frame, write_frame(frame, 5, mtu + 14), 0), mtu + 14);
	close(stack);
	/* veth delivers within the call of the sender, or soon after. */
	WAIT_FOR((stats = stats_of(end.socket)).rx_dropped > 0 ||
		 xsk_rx_burst(end.socket, &buf, 1) == 1, 2000);
	if (stats.rx_dropped == 0) {
		CHECK_EQ(buf.len, mtu + 14);
		CHECK_EQ(read_frame(buf.data, buf.len), 5);
		CHECK_EQ(xsk_buf_free(end.socket, &buf, 1), 1);
	}
	close_end(&end);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	return stats.rx_dropped == 0;
}

TEST(packets_fit_into_a_frame_up_to_the_mtu_that_is_told_and_not_above)
{
	uint32_t limit;

	make_pair(1);
	limit = caps_of(XA).mtu_frame;
	set_mtu(limit);
	CHECK(full_packet_arrives(limit));
	set_mtu(limit + 1);
	CHECK(!full_packet_arrives(limit + 1));
}

TEST(jumbo_packets_depend_on_kernel_and_driver)
{
	const uint32_t all = XSK_CAN_JUMBO_SKB | XSK_CAN_JUMBO_DRV | XSK_CAN_JUMBO_ZEROCOPY;
	struct xsk_caps caps;

	make_pair(1);
	caps = caps_of(XA);
	CHECK_EQ(caps.can_known & all, all);
	CHECK_EQ(caps.can & all, linux_is(6, 6) ? XSK_CAN_JUMBO_SKB | XSK_CAN_JUMBO_DRV : 0);
	/* No native XDP: generic mode only. */
	caps = caps_of("lo");
	CHECK_EQ(caps.can & all, linux_is(6, 6) ? XSK_CAN_JUMBO_SKB : 0);
}

static struct xsk_caps_program one_program(const char *ifname, const char *name, uint32_t mode)
{
	struct xsk_caps caps = caps_of(ifname);

	CHECK_EQ(caps.program_count, 1);
	CHECK_EQ(caps.programs[0].id, attached_id(ifname));
	CHECK_EQ(caps.programs[0].mode, mode);
	CHECK_EQ(strcmp(caps.programs[0].name, name), 0);
	CHECK_EQ(caps.programs[1].id, 0);
	return caps.programs[0];
}

TEST(the_default_program_is_told_with_its_mode)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, XSK_BIND_DRV_MODE);
	CHECK_EQ(one_program(XA, "xsk_default", XSK_MODE_DRV).id, info_of(end.socket).program_id);
	close_end(&end);
	WAIT_FOR(caps_of(XA).program_count == 0, 2000);
	end = open_end(XA, 0, 0, XSK_BIND_SKB_MODE);
	CHECK_EQ(one_program(XA, "xsk_default", XSK_MODE_SKB).id, info_of(end.socket).program_id);
	close_end(&end);
}

TEST(programs_of_others_are_told_with_their_names)
{
	int pass = load_pass("test_pass");

	make_pair(1);
	attach_netlink(pass, XA, XDP_FLAGS_DRV_MODE);
	one_program(XA, "test_pass", XSK_MODE_DRV);
	attach_netlink(-1, XA, XDP_FLAGS_DRV_MODE);
	CHECK_EQ(caps_of(XA).program_count, 0);
	attach_netlink(pass, XA, XDP_FLAGS_SKB_MODE);
	one_program(XA, "test_pass", XSK_MODE_SKB);
	attach_netlink(-1, XA, XDP_FLAGS_SKB_MODE);
	close(pass);
}

TEST(the_kernel_is_found_to_have_what_its_version_has)
{
	static const struct { uint32_t bit; int major, minor; } since[] = {
		{ XSK_KERNEL_AF_XDP, 4, 18 }, { XSK_KERNEL_NEED_WAKEUP, 5, 4 },
		{ XSK_KERNEL_UNALIGNED, 5, 4 }, { XSK_KERNEL_XDP_LINK, 5, 9 },
		{ XSK_KERNEL_SHARED_UMEM, 5, 10 }, { XSK_KERNEL_BUSY_POLL, 5, 11 },
		{ XSK_KERNEL_NETNS_COOKIE, 5, 14 }, { XSK_KERNEL_SG, 6, 6 },
		{ XSK_KERNEL_TX_METADATA, 6, 8 }, { XSK_KERNEL_SW_CSUM, 6, 8 },
		{ XSK_KERNEL_TX_BUDGET, 6, 17 },
	};
	struct xsk_caps caps = caps_of("lo");

	for (uint32_t i = 0; i < COUNT(since); i++) {
		if (!(caps.kernel_known & since[i].bit))
			FAIL("the kernel's bit %#x is not known", since[i].bit);
		if (!(caps.kernel & since[i].bit) != !linux_is(since[i].major, since[i].minor))
			FAIL("the kernel's bit %#x is %s", since[i].bit,
			     caps.kernel & since[i].bit ? "set" : "not set");
	}
	CHECK_EQ((caps.kernel & XSK_KERNEL_BTF) != 0,
		 access("/sys/kernel/btf/vmlinux", R_OK) == 0);
}

TEST(without_privileges_the_interface_is_told_and_of_the_kernel_what_needs_no_socket)
{
	struct xsk_caps root, nobody;
	struct end end;

	make_pair(2);
	end = open_end(XA, 0, 0, 0);
	root = caps_of(XA);
	be_nobody();
	nobody = caps_of(XA);
	CHECK_EQ(nobody.can & (XSK_CAN_OPEN | XSK_CAN_LOAD), 0);
	CHECK_EQ(nobody.can_known & (XSK_CAN_OPEN | XSK_CAN_LOAD), XSK_CAN_OPEN | XSK_CAN_LOAD);
	CHECK(nobody.kernel & XSK_KERNEL_AF_XDP);
	CHECK_EQ(nobody.kernel_known & (XSK_KERNEL_SG | XSK_KERNEL_UNALIGNED), 0);
	CHECK(nobody.kernel_known & XSK_KERNEL_BUSY_POLL);
	CHECK_EQ(nobody.can_known & XSK_CAN_JUMBO_SKB, 0);
	CHECK_EQ(nobody.programs[0].id, root.programs[0].id);
	CHECK_EQ(nobody.programs[0].mode, root.programs[0].mode);
	CHECK_EQ(nobody.programs[0].name[0], 0);
	/* Up to the programs, and the driver's features behind them, all is the same. */
	CHECK_EQ(memcmp(&nobody, &root, offsetof(struct xsk_caps, programs)), 0);
	CHECK_EQ(nobody.xdp_features, root.xdp_features);
	CHECK_EQ(nobody.rx_metadata, root.rx_metadata);
	CHECK_EQ(nobody.can & XSK_CAN_DRV, root.can & XSK_CAN_DRV);
	close_end(&end);
}

TEST(an_interface_of_another_namespace_is_not_found)
{
	struct xsk_caps caps = { .size = sizeof(caps) };

	make_pair(1);
	CHECK_OK(unshare(CLONE_NEWNET));
	CHECK_FAILS(xsk_probe(XA, &caps), -ENODEV, XA);
	CHECK_EQ(caps_of("lo").ifindex, 1);
}

static void describe(char *to, size_t room)
{
	FILE *ip = popen("ip -d -s link show dev " XA, "r");
	size_t len;

	CHECK(ip != NULL);
	len = fread(to, 1, room - 1, ip);
	to[len] = 0;
	CHECK_OK(pclose(ip));
	CHECK(len > 100);
}

TEST(probing_changes_nothing_and_leaves_nothing_beside_a_socket_that_works)
{
	char before[8192], after[8192];
	struct end end, from;
	int fds, maps, objects;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	caps_of(XA);
	fds = count_fds();
	maps = count_maps();
	objects = count_objects();
	describe(before, sizeof(before));
	for (uint32_t i = 0; i < 20; i++)
		caps_of(XA);
	describe(after, sizeof(after));
	CHECK_EQ(strcmp(before, after), 0);
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_maps(), maps);
	WAIT_FOR(count_objects() <= objects, 3000);
	end_send(&from, 7);
	CHECK_EQ(end_receive(&end, 1000), 7);
	close_end(&from);
	close_end(&end);
}
