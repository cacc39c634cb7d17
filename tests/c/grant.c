/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sockets for processes without privileges: what they can do with them and what not,
 * and clients that mean no good. */
#include "bpf.h"
#include "users.h"

#include <sys/ioctl.h>

#define PATH "/run/grant"
#define FRIEND 65533
#define STRANGER 65532

/* What goes over the socket: see src/xsk/grant/message.rs. */
struct message {
	char magic[4];
	uint32_t version, status, first, count, ifindex, queues, flags;
	char ifname[16];
};

static const struct message wish = { .magic = "XSKG", .version = 1, .count = 1 };

/* --- the privileged side */

struct broker {
	pid_t pid;
	int stop;
};

static void serve(struct xsk_grant *grant, int stop)
{
	struct pollfd entries[] = { { xsk_grant_fd(grant), POLLIN, 0 }, { stop, POLLIN, 0 } };

	while (entries[1].revents == 0) {
		CHECK(poll(entries, 2, -1) > 0);
		CHECK_OK(xsk_grant_step(grant));
	}
}

/* Gives `count` queues of XA, and of XB too if it shall, until it is stopped. */
static struct broker start_broker_for(const struct xsk_grant_params *params, uint32_t count,
				      const struct xsk_bind_params *bind, int both)
{
	int ready[2], stop[2];
	struct broker broker;
	char byte = 0;

	CHECK_OK(pipe2(ready, O_CLOEXEC));
	CHECK_OK(pipe2(stop, O_CLOEXEC));
	broker.pid = fork_child();
	if (broker.pid == 0) {
		struct xsk_grant *grant = NULL;

		close(stop[1]);
		CHECK_OK(xsk_grant_create(&grant, PATH, params));
		CHECK_OK(xsk_grant_add(grant, XA, 0, count, bind));
		if (both)
			CHECK_OK(xsk_grant_add(grant, XB, 0, count, NULL));
		CHECK_EQ(write(ready[1], "", 1), 1);
		serve(grant, stop[0]);
		xsk_grant_destroy(grant);
		_exit(0);
	}
	close(ready[1]);
	close(stop[0]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	broker.stop = stop[1];
	return broker;
}

static const uint32_t users[] = { NOBODY, FRIEND };
#define FOR_USERS .uids = users, .uid_count = COUNT(users)

static struct broker start_broker(uint32_t count)
{
	return start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS, .timeout_ms = 200), count, NULL, 0);
}

static void stop_broker(struct broker *broker)
{
	close(broker->stop);
	join_child(broker->pid);
	CHECK(access(PATH, F_OK) != 0 && errno == ENOENT);
}

static int fds_of(pid_t pid)
{
	char path[64];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	CHECK(dir != NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* --- the side without */

static const struct xsk_umem_params little = {
	.size = sizeof(little), .frame_count = 64, .frame_size = 2048, .fill_size = 64, .comp_size = 64,
};
static const struct xsk_socket_params small_rings = {
	.size = sizeof(small_rings), .rx_size = 64, .tx_size = 64,
};
#define SMALL .umem_params = &little, .socket_params = &small_rings

static struct xsk_port *open_granted(uint32_t count)
{
	struct xsk_port *port = NULL;

	CHECK_OK(xsk_from_grant(&port, PATH, NULL, &XSK_PORT_PARAMS(SMALL, .queue_count = count)));
	return port;
}

static struct end end_of(struct xsk_port *port, uint32_t i)
{
	struct end end = { xsk_port_umem(port, i), xsk_port_socket(port, i) };

	CHECK(end.umem != NULL && end.socket != NULL);
	return end;
}

/* Packets pass both ways between a granted socket and the stack of XB. */
static void talks(struct end *end, int stack, uint32_t from)
{
	for (uint32_t i = from; i < from + 50; i++) {
		stack_send(stack, i);
		CHECK_EQ(end_receive(end, 1000), i);
		end_send(end, i + 1000);
		CHECK_EQ(stack_receive(stack, 1000), i + 1000);
	}
}

/* A child of that user. */
#define AS(uid, ...) \
	do { \
		pid_t child_ = fork_child(); \
		if (child_ == 0) { \
			become(uid, uid, 0); \
			__VA_ARGS__; \
			_exit(0); \
		} \
		join_child(child_); \
	} while (0)

static void is_served(uid_t uid)
{
	AS(uid, xsk_port_destroy(open_granted(1)));
}

static void setup(uint32_t queues)
{
	if (maps_are_for_some())
		SKIP("this kernel has no BPF maps for who has no CAP_BPF (Linux 5.19)");
	make_private_dir();
	make_pair(queues);
}

TEST(a_kernel_that_lets_nobody_use_maps_is_named)
{
	struct xsk_port *port = NULL;
	struct broker broker;

	make_private_dir();
	make_pair(1);
	broker = start_broker(1);
	AS(NOBODY,
	   if (maps_are_for_some())
		CHECK_FAILS(xsk_from_grant(&port, PATH, NULL, &XSK_PORT_PARAMS(SMALL)), -EPERM,
			    PATH, "CAP_BPF", "5.19");
	   else
		xsk_port_destroy(open_granted(1)));
	stop_broker(&broker);
}

TEST(a_process_without_any_capability_receives_and_sends)
{
	struct broker broker;
	struct installed is;
	int stack;

	setup(1);
	stack = stack_open(XB);
	broker = start_broker(1);
	is = installed_by(attached_id(XA));
	for (int i = 0; i < 3; i++)
		AS(NOBODY,
		   struct xsk_port *port = open_granted(i == 0 ? 0 : 1);
		   struct end end = end_of(port, 0);
		   struct xsk_umem *umem = NULL;
		   CHECK_EQ(xsk_port_queue_count(port), 1);
		   CHECK_EQ(strcmp(info_of(end.socket).ifname, XA), 0);
		   CHECK_EQ(info_of(end.socket).program_id, 0);
		   talks(&end, stack, 0);
		   CHECK_FAILS(xsk_umem_create(&umem, NULL), -EPERM, "CAP_NET_RAW");
		   xsk_port_destroy(port));
	stop_broker(&broker);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 2000);
}

TEST(several_queues_share_a_umem_or_have_one_each)
{
	struct broker broker;
	struct end from[3];

	setup(3);
	broker = start_broker(3);
	for (uint32_t flags = 0; flags <= XSK_PORT_UMEM_PER_QUEUE; flags += XSK_PORT_UMEM_PER_QUEUE) {
		for (uint32_t i = 0; i < 3; i++)
			from[i] = open_end(XB, i, XSK_SOCKET_TX_ONLY, 0);
		AS(NOBODY,
		   struct xsk_port *port = NULL;
		   CHECK_OK(xsk_from_grant(&port, PATH, XA, &XSK_PORT_PARAMS(SMALL, .flags = flags)));
		   CHECK_EQ(xsk_port_queue_count(port), 3);
		   CHECK_EQ(xsk_port_umem(port, 0) == xsk_port_umem(port, 2), flags == 0);
		   for (uint32_t i = 0; i < 90; i++) {
			struct end end = end_of(port, i % 3);

			end_send(&from[i % 3], i);
			CHECK_EQ(end_receive(&end, 1000), i);
		   }
		   xsk_port_destroy(port));
		for (uint32_t i = 0; i < 3; i++)
			close_end(&from[i]);
	}
	/* Some of them, and a socket that only sends and needs no map. */
	AS(NOBODY,
	   const struct xsk_socket_params sends = {
		.size = sizeof(sends), .flags = XSK_SOCKET_TX_ONLY, .tx_size = 64, .comp_size = 64 };
	   struct xsk_port *port = NULL; struct xsk_port *other = NULL;
	   CHECK_OK(xsk_from_grant(&port, PATH, NULL, &XSK_PORT_PARAMS(SMALL, .first_queue = 1)));
	   CHECK_EQ(xsk_port_queue_count(port), 2);
	   CHECK_EQ(info_of(xsk_port_socket(port, 0)).queue_id, 1);
	   CHECK_OK(xsk_from_grant(&other, PATH, NULL, &XSK_PORT_PARAMS(
			.umem = xsk_port_umem(port, 0), .socket_params = &sends, .queue_count = 1)));
	   struct end end = end_of(other, 0);
	   end_send(&end, 7);
	   xsk_port_destroy(other);
	   xsk_port_destroy(port));
	stop_broker(&broker);
}

static int stores_no_metadata(const char *ifname)
{
	struct end end = { small_umem(), NULL };
	int answer;

	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	answer = xsk_socket_bind(end.socket, ifname, 0,
				 &XSK_BIND_PARAMS(.flags = XSK_BIND_RX_METADATA));
	close_end(&end);
	return answer == -EOPNOTSUPP;
}

TEST(what_the_driver_knows_of_packets_is_told_to_clients_too)
{
	const struct xsk_bind_params metadata = {
		.size = sizeof(metadata), .flags = XSK_BIND_RX_METADATA };
	struct xsk_port *port = NULL;
	struct broker broker;
	int stack;

	setup(1);
	if (stores_no_metadata(XA))
		SKIP("this kernel has no metadata of received packets (Linux 6.3)");
	WAIT_FOR(attached_id(XA) == 0, 2000);
	broker = start_broker(1);
	AS(NOBODY, CHECK_FAILS(xsk_from_grant(&port, PATH, NULL,
					      &XSK_PORT_PARAMS(SMALL, .bind_params = &metadata)),
			       -EOPNOTSUPP, "XSK_BIND_RX_METADATA"));
	is_served(NOBODY);
	stop_broker(&broker);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	stack = stack_open(XB);
	broker = start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS), 1, &metadata, 0);
	AS(NOBODY,
	   CHECK_OK(xsk_from_grant(&port, PATH, NULL,
				   &XSK_PORT_PARAMS(SMALL, .bind_params = &metadata)));
	   struct end end = end_of(port, 0);
	   talks(&end, stack, 0);
	   struct xsk_buf buf;
	   uint32_t hash = 0;
	   stack_send(stack, 1);
	   WAIT_FOR(xsk_rx_burst(end.socket, &buf, 1) == 1, 1000);
	   CHECK_OK(xsk_buf_rx_hash(end.socket, &buf, &hash, NULL));
	   CHECK(hash != 0);
	   xsk_port_destroy(port));
	/* Who does not ask is not disturbed. */
	AS(NOBODY, struct xsk_port *plain = open_granted(1); struct end end = end_of(plain, 0);
	   talks(&end, stack, 100); xsk_port_destroy(plain));
	stop_broker(&broker);
}

TEST(who_is_on_neither_list_gets_nothing)
{
	const uint32_t groups[] = { 7777, STRANGER };
	struct broker broker;

	setup(1);
	broker = start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS, .gids = groups, .gid_count = 2), 1,
				  NULL, 0);
	is_served(NOBODY);
	is_served(FRIEND);
	is_served(STRANGER);	/* by its group */
	for (int in_group = 0; in_group < 2; in_group++) {
		pid_t pid = fork_child();

		if (pid == 0) {
			struct xsk_port *port = NULL;

			become(1234, 1234, in_group ? 7777 : 7776);
			if (in_group)
				xsk_port_destroy(open_granted(1));
			else
				CHECK_FAILS(xsk_from_grant(&port, PATH, NULL, NULL), -EACCES, PATH,
					    "this user");
			CHECK(port == NULL);
			_exit(0);
		}
		join_child(pid);
	}
	/* Root neither, if it is not listed. */
	struct xsk_port *port = NULL;

	CHECK_FAILS(xsk_from_grant(&port, PATH, NULL, NULL), -EACCES, "this user");
	stop_broker(&broker);
	/* Without a list, who the granter acts for. */
	broker = start_broker_for(NULL, 1, NULL, 0);
	AS(NOBODY, CHECK_FAILS(xsk_from_grant(&port, PATH, NULL, NULL), -EACCES, "this user"));
	port = open_granted(1);
	xsk_port_destroy(port);
	stop_broker(&broker);
}

TEST(a_queue_is_one_clients_at_a_time_and_free_when_that_is_killed)
{
	struct xsk_port *port = NULL;
	struct broker broker;
	int ready[2];
	char byte;

	setup(2);
	broker = start_broker(2);
	for (int i = 0; i < 5; i++) {
		CHECK_OK(pipe(ready));
		pid_t first = fork_child();

		if (first == 0) {
			become(NOBODY, NOBODY, 0);
			open_granted(1);
			CHECK_EQ(write(ready[1], "", 1), 1);
			pause();
		}
		CHECK_EQ(read(ready[0], &byte, 1), 1);
		AS(FRIEND,
		   CHECK_FAILS(xsk_from_grant(&port, PATH, NULL, NULL), -EBUSY, "another process");
		   CHECK_FAILS(xsk_from_grant(&port, PATH, XA, &XSK_PORT_PARAMS(.queue_count = 1)),
			       -EBUSY, "another process");
		   CHECK_OK(xsk_from_grant(&port, PATH, XA, &XSK_PORT_PARAMS(
				SMALL, .first_queue = 1, .queue_count = 1)));
		   xsk_port_destroy(port));
		kill_child(first);
		AS(FRIEND, xsk_port_destroy(open_granted(0)));
		close(ready[0]);
		close(ready[1]);
	}
	stop_broker(&broker);
}

TEST(packets_arrive_after_the_granter_was_killed_and_the_program_leaves_with_the_client)
{
	int stack, ready[2], go[2];
	struct broker broker;
	struct installed is;
	char byte;
	pid_t pid;

	setup(1);
	stack = stack_open(XB);
	broker = start_broker(1);
	is = installed_by(attached_id(XA));
	CHECK_OK(pipe(ready));
	CHECK_OK(pipe(go));
	pid = fork_child();
	if (pid == 0) {
		struct end end;

		become(NOBODY, NOBODY, 0);
		end = end_of(open_granted(1), 0);
		CHECK_EQ(write(ready[1], "", 1), 1);
		CHECK_EQ(read(go[0], &byte, 1), 1);
		talks(&end, stack, 0);
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	kill_child(broker.pid);
	CHECK_EQ(attached_id(XA), is.program);
	CHECK_EQ(write(go[1], "", 1), 1);
	join_child(pid);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 2000);
	/* A new one takes the place of the file that is left. */
	broker = start_broker(1);
	is_served(NOBODY);
	stop_broker(&broker);
}

TEST(what_is_not_offered_is_refused)
{
	struct xsk_port *port = NULL;
	struct broker broker;

	setup(2);
	broker = start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS), 1, NULL, 1);
	AS(NOBODY,
	   CHECK_FAILS(xsk_from_grant(&port, PATH, "lo", NULL), -ENODEV, PATH, "no such interface");
	   CHECK_FAILS(xsk_from_grant(&port, PATH, "a/b", NULL), -EINVAL, "interface name");
	   for (uint32_t first = 0; first < 4; first++)
		CHECK_FAILS(xsk_from_grant(&port, PATH, XA, &XSK_PORT_PARAMS(
				.first_queue = first == 3 ? UINT32_MAX : first,
				.queue_count = first == 0 ? 2 : first == 1 ? 1 : UINT32_MAX)),
			    -ENXIO, "no such queues");
	   CHECK_FAILS(xsk_from_grant(&port, PATH, XA, &XSK_PORT_PARAMS(.first_queue = 1)), -ENXIO,
		       "no such queues");
	   CHECK_FAILS(xsk_from_grant(&port, PATH, XA, &XSK_PORT_PARAMS(
			.bind_params = &XSK_BIND_PARAMS(.flags = XSK_BIND_SKB_MODE))), -EINVAL,
		       "the granter's");
	   CHECK_FAILS(xsk_from_grant(&port, "/run/nothing", XA, NULL), -ENOENT, "/run/nothing");
	   CHECK_FAILS(xsk_from_grant(&port, "", XA, NULL), -ENAMETOOLONG, "107");
	   CHECK(port == NULL);
	   CHECK_OK(xsk_from_grant(&port, PATH, XB, &XSK_PORT_PARAMS(SMALL)));
	   CHECK_EQ(strcmp(info_of(xsk_port_socket(port, 0)).ifname, XB), 0);
	   xsk_port_destroy(port));
	stop_broker(&broker);
}

/* --- what a grant is good for, and for what not */

/* Asks by hand; gives how many descriptors came, and the answer. */
static size_t ask(int fd, const struct message *with, struct message *answer, int *fds)
{
	size_t count;

	CHECK_EQ(unix_send(fd, with, sizeof(*with), NULL, 0), sizeof(*with));
	CHECK_EQ(unix_receive(fd, answer, sizeof(*answer), fds, &count), sizeof(*answer));
	return count;
}

/* What the kernel says to binding a socket, with memory and rings, to an interface. */
static int bind_by_hand(int fd, unsigned int ifindex, uint32_t queue)
{
	struct xdp_umem_reg reg = { .len = 64 * 2048, .chunk_size = 2048 };
	struct sockaddr_xdp addr = {
		.sxdp_family = AF_XDP, .sxdp_ifindex = ifindex, .sxdp_queue_id = queue,
	};
	uint32_t size = 64;
	void *memory = mmap(NULL, reg.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	reg.addr = (uint64_t)(uintptr_t)memory;
	CHECK(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) == 0 || errno == EBUSY);
	setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof(size));
	setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof(size));
	setsockopt(fd, SOL_XDP, XDP_RX_RING, &size, sizeof(size));
	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : -errno;
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &value, &len));
	return value;
}

TEST(a_granted_socket_can_be_bound_to_its_interface_and_to_no_other)
{
	struct broker broker;

	setup(1);
	broker = start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS, .busy_poll_us = 21,
						    .busy_poll_budget = 32,
						    .flags = XSK_SOCKET_PREFER_BUSY_POLL), 1, NULL, 0);
	AS(NOBODY,
	   struct message answer; int fds[MOST_FDS]; int budget = 33;
	   int fd = unix_connect(PATH, 0);
	   CHECK(fd >= 0);
	   CHECK_EQ(ask(fd, &wish, &answer, fds), 3);
	   CHECK_EQ(answer.status, 0);
	   CHECK_EQ(answer.ifindex, if_nametoindex(XA));
	   CHECK_EQ(strcmp(answer.ifname, XA), 0);
	   CHECK_EQ(option_of(fds[2], SO_PREFER_BUSY_POLL), 1);
	   CHECK_EQ(option_of(fds[2], SO_BUSY_POLL), 21);
	   /* It can be lowered only. */
	   CHECK(setsockopt(fds[2], SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)) < 0);
	   CHECK_EQ(errno, EPERM);
	   budget = 32;
	   CHECK_OK(setsockopt(fds[2], SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)));
	   CHECK(setsockopt(fds[2], SOL_SOCKET, SO_BINDTODEVICE, XB, sizeof(XB)) < 0);
	   CHECK_EQ(errno, EPERM);
	   CHECK(setsockopt(fds[2], SOL_SOCKET, SO_BINDTODEVICE, "", 0) < 0);
	   CHECK_EQ(bind_by_hand(fds[2], if_nametoindex(XB), 0), -EINVAL);
	   CHECK_EQ(bind_by_hand(fds[2], if_nametoindex("lo"), 0), -EINVAL);
	   CHECK_OK(bind_by_hand(fds[2], if_nametoindex(XA), 0)));
	/* The library knows that it polls. */
	AS(NOBODY,
	   struct xsk_port *port = open_granted(1);
	   CHECK_EQ(info_of(xsk_port_socket(port, 0)).busy_poll_us, 21);
	   xsk_port_destroy(port));
	stop_broker(&broker);
}

TEST(a_process_in_another_network_namespace_uses_the_granters)
{
	struct broker broker;
	int stack;
	pid_t pid;

	setup(1);
	stack = stack_open(XB);
	broker = start_broker(1);
	pid = fork_child();
	if (pid == 0) {
		struct xsk_port *port;
		struct end end;

		CHECK_OK(unshare(CLONE_NEWNET));
		become(NOBODY, NOBODY, 0);
		CHECK_EQ(if_nametoindex(XA), 0);
		port = open_granted(1);
		end = end_of(port, 0);
		talks(&end, stack, 0);
		CHECK_OK(xsk_socket_check(end.socket));
		xsk_port_destroy(port);
		_exit(0);
	}
	join_child(pid);
	stop_broker(&broker);
}

TEST(memory_counts_against_the_limit_of_the_client)
{
	struct xsk_port *port = NULL;
	struct broker broker;

	setup(1);
	broker = start_broker(1);
	/* A user of its own: the limit is for all that a user has pinned. */
	AS(FRIEND,
	   limit_memlock(64 << 10);
	   CHECK_FAILS(xsk_from_grant(&port, PATH, NULL, &XSK_PORT_PARAMS(SMALL)), -ENOBUFS,
		       "RLIMIT_MEMLOCK is 65536", "131072 bytes");
	   CHECK(port == NULL);
	   CHECK_OK(xsk_from_grant(&port, PATH, NULL, &XSK_PORT_PARAMS(
			.socket_params = &small_rings, .umem_params = &XSK_UMEM_PARAMS(
				.frame_count = 16, .frame_size = 2048, .fill_size = 16, .comp_size = 16))));
	   xsk_port_destroy(port));
	stop_broker(&broker);
}

TEST(an_interface_made_anew_gets_its_program_with_the_next_client)
{
	struct broker broker;
	int stack;

	setup(1);
	broker = start_broker(1);
	is_served(NOBODY);
	link_delete(XA);
	AS(NOBODY,
	   struct xsk_port *port = NULL;
	   CHECK_FAILS(xsk_from_grant(&port, PATH, NULL, NULL), -ENODEV, "the interface is gone"));
	make_pair(1);
	stack = stack_open(XB);
	CHECK_EQ(attached_id(XA), 0);
	AS(NOBODY,
	   struct xsk_port *port = open_granted(1);
	   struct end end = end_of(port, 0);
	   talks(&end, stack, 0);
	   xsk_port_destroy(port));
	CHECK(attached_id(XA) != 0);
	stop_broker(&broker);
}

TEST(a_program_of_the_users_own_is_granted_by_its_xskmap)
{
	struct broker broker;
	int stack, map, link;

	setup(1);
	stack = stack_open(XB);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 4);
	link = attach_link(load_redirect(map), XA);
	broker = start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS), 1,
				  &XSK_BIND_PARAMS(.flags = XSK_BIND_XSKMAP, .xskmap_fd = map), 0);
	AS(NOBODY,
	   struct xsk_port *port = open_granted(1);
	   struct end end = end_of(port, 0);
	   talks(&end, stack, 0);
	   xsk_port_destroy(port));
	stop_broker(&broker);
	close(link);
}

/* --- the privileged side's own mistakes */

TEST(a_granter_says_what_is_wrong_with_what_it_is_told)
{
	struct xsk_grant *grant = NULL, *other = NULL;
	int fds, array, map, file;
	struct stat stat_;

	make_private_dir();
	make_pair(2);
	array = make_map(BPF_MAP_TYPE_ARRAY, 4);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 1);
	fds = count_fds();
	CHECK_FAILS(xsk_grant_create(&grant, "", NULL), -ENAMETOOLONG, "107");
	CHECK_FAILS(xsk_grant_create(&grant, "/run/no/such", NULL), -ENOENT, "/run/no/such");
	CHECK_FAILS(xsk_grant_create(&grant, PATH, &XSK_GRANT_PARAMS(.flags = 1)), -EINVAL, "flags");
	CHECK_FAILS(xsk_grant_create(&grant, PATH, &XSK_GRANT_PARAMS(.uid_count = 1)), -EINVAL, "uids");
	CHECK_FAILS(xsk_grant_create(&grant, PATH, &XSK_GRANT_PARAMS(.gid_count = 1)), -EINVAL, "gids");
	CHECK_FAILS(xsk_grant_create(&grant, PATH, &XSK_GRANT_PARAMS(.mode = 01666)), -EINVAL, "mode");
	CHECK_FAILS(xsk_grant_create(&grant, PATH, &XSK_GRANT_PARAMS(.busy_poll_budget = 20)), -EINVAL,
		    "busy_poll_us");
	CHECK_FAILS(xsk_grant_create(&grant, PATH, &XSK_GRANT_PARAMS(
			.busy_poll_us = 20, .busy_poll_budget = 70000)), -EINVAL, "70000");
	/* A file that is no socket stays. */
	file = open(PATH, O_CREAT | O_CLOEXEC | O_WRONLY, 0600);
	CHECK_EQ(write(file, "x", 1), 1);
	close(file);
	CHECK_FAILS(xsk_grant_create(&grant, PATH, NULL), -EADDRINUSE, PATH, "no socket");
	CHECK(stat(PATH, &stat_) == 0 && stat_.st_size == 1);
	CHECK_OK(unlink(PATH));
	CHECK(grant == NULL);
	CHECK_EQ(count_fds(), fds);

	CHECK_OK(xsk_grant_create(&grant, PATH, &XSK_GRANT_PARAMS(.mode = 0640)));
	CHECK(stat(PATH, &stat_) == 0 && (stat_.st_mode & 07777) == 0640);
	CHECK_FAILS(xsk_grant_create(&other, PATH, NULL), -EADDRINUSE, PATH, "another process");
	CHECK_FAILS(xsk_grant_add(grant, "none", 0, 1, NULL), -ENODEV, "none");
	CHECK_FAILS(xsk_grant_add(grant, XA, 0, 3, NULL), -EINVAL, "it has 2");
	CHECK_FAILS(xsk_grant_add(grant, XA, 2, 0, NULL), -EINVAL, "it has 2");
	CHECK_FAILS(xsk_grant_add(grant, XA, UINT32_MAX, UINT32_MAX, NULL), -EINVAL, "it has 2");
	CHECK_FAILS(xsk_grant_add(grant, XA, 0, 1, &XSK_BIND_PARAMS(.flags = XSK_BIND_NO_PROGRAM)),
		    -EINVAL, "XSK_BIND_NO_PROGRAM");
	CHECK_FAILS(xsk_grant_add(grant, XA, 0, 1, &XSK_BIND_PARAMS(.flags = XSK_BIND_COPY)),
		    -EINVAL, "clients");
	CHECK_FAILS(xsk_grant_add(grant, XA, 0, 2, &XSK_BIND_PARAMS(
			.flags = XSK_BIND_XSKMAP, .xskmap_fd = map)), -E2BIG, "1 entries");
	CHECK_FAILS(xsk_grant_add(grant, XA, 0, 2, &XSK_BIND_PARAMS(
			.flags = XSK_BIND_XSKMAP, .xskmap_fd = array)), -EINVAL, "XSKMAP");
	CHECK_EQ(attached_id(XA), 0);
	CHECK_OK(xsk_grant_add(grant, XA, 1, 0, NULL));
	CHECK_FAILS(xsk_grant_add(grant, XA, 0, 1, NULL), -EEXIST, XA, "already");
	CHECK(attached_id(XA) != 0);
	CHECK_OK(xsk_grant_step(grant));
	xsk_grant_destroy(grant);
	CHECK(access(PATH, F_OK) != 0);
	WAIT_FOR(attached_id(XA) == 0, 2000);
	CHECK_EQ(count_fds(), fds);
	/* A path that is another's by now is left alone. */
	CHECK_OK(xsk_grant_create(&grant, PATH, NULL));
	CHECK_OK(unlink(PATH));
	CHECK_OK(xsk_grant_create(&other, PATH, NULL));
	xsk_grant_destroy(grant);
	CHECK_OK(access(PATH, F_OK));
	xsk_grant_destroy(other);
}

/* --- hostile clients: each gets nothing and stops nobody */

/* Sends something else than a request: refused, without a descriptor. */
static void sends(const void *bytes, size_t len, uint32_t want)
{
	struct message answer;
	int fds[MOST_FDS];
	size_t count;
	int fd = unix_connect(PATH, 0);

	CHECK(fd >= 0);
	CHECK_EQ(unix_send(fd, bytes, len, NULL, 0), len);
	CHECK_EQ(unix_receive(fd, &answer, sizeof(answer), fds, &count), len ? sizeof(answer) : 0);
	CHECK_EQ(count, 0);
	if (len)
		CHECK_EQ(answer.status, want);
	/* And it is over. */
	if (len)
		CHECK_EQ(unix_receive(fd, &answer, sizeof(answer), fds, &count), 0);
	close(fd);
}

TEST(a_client_that_sends_nonsense_gets_nothing)
{
	struct broker broker;
	int fds;

	setup(1);
	broker = start_broker(1);
	fds = fds_of(broker.pid);
	is_served(NOBODY);
	AS(NOBODY,
	   static char big[65536]; struct message odd; unsigned int seed = 1;
	   memcpy(big, &wish, sizeof(wish));
	   for (size_t len = 0; len < 200; len++)
		if (len != sizeof(wish))
			sends(big, len, EINVAL);
	   sends(big, sizeof(big), EINVAL);
	   odd = wish; odd.magic[0] = 'Y'; sends(&odd, sizeof(odd), EINVAL);
	   odd = wish; odd.version = 2; sends(&odd, sizeof(odd), EPROTONOSUPPORT);
	   odd = wish; odd.version = UINT32_MAX; sends(&odd, sizeof(odd), EPROTONOSUPPORT);
	   odd = wish; memset(odd.ifname, 'x', 16); sends(&odd, sizeof(odd), EINVAL);
	   odd = wish; strcpy(odd.ifname, "../x"); sends(&odd, sizeof(odd), EINVAL);
	   odd = wish; odd.ifname[3] = 'x'; sends(&odd, sizeof(odd), EINVAL);
	   odd = wish; odd.count = UINT32_MAX; sends(&odd, sizeof(odd), ENXIO);
	   odd = wish; odd.first = UINT32_MAX; sends(&odd, sizeof(odd), ENXIO);
	   odd = wish; odd.first = UINT32_MAX; odd.count = 0; sends(&odd, sizeof(odd), ENXIO);
	   for (int i = 0; i < 2000; i++) {
		unsigned char noise[48];

		for (size_t at = 0; at < sizeof(noise); at++)
			noise[at] = (unsigned char)(rand_r(&seed) >> 8);
		sends(noise, sizeof(noise), EINVAL);
	   });
	is_served(FRIEND);
	WAIT_FOR(fds_of(broker.pid) == fds, 2000);
	stop_broker(&broker);
}

TEST(descriptors_that_a_client_sends_are_closed)
{
	struct broker broker;
	int before;

	setup(1);
	broker = start_broker(1);
	before = fds_of(broker.pid);
	is_served(NOBODY);
	AS(NOBODY,
	   struct message answer; int fds[MOST_FDS]; size_t count; int gift[8];
	   for (int i = 0; i < 8; i++)
		gift[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	   for (int i = 0; i < 50; i++) {
		int fd = unix_connect(PATH, 0);

		CHECK(fd >= 0);
		CHECK_EQ(unix_send(fd, &wish, sizeof(wish), gift, 8), sizeof(wish));
		CHECK_EQ(unix_receive(fd, &answer, sizeof(answer), fds, &count), sizeof(answer));
		CHECK_EQ(count, 0);
		CHECK_EQ(answer.status, EINVAL);
		close(fd);
	   });
	WAIT_FOR(fds_of(broker.pid) == before, 2000);
	is_served(FRIEND);
	stop_broker(&broker);
}

TEST(a_client_that_says_nothing_stops_nobody_and_is_sent_away_in_time)
{
	struct broker broker;
	int before;

	setup(1);
	broker = start_broker(1);
	before = fds_of(broker.pid);
	AS(NOBODY,
	   struct message answer; int fds[MOST_FDS]; size_t count;
	   uint64_t start = now_ms();
	   int fd = unix_connect(PATH, 0);
	   CHECK(fd >= 0);
	   struct xsk_port *port = open_granted(1);
	   CHECK_WITHIN(now_ms() - start, 0, 190);	/* before its time is over */
	   CHECK_EQ(unix_receive(fd, &answer, sizeof(answer), fds, &count), sizeof(answer));
	   CHECK_WITHIN(now_ms() - start, 150, 2000);
	   CHECK_EQ(answer.status, ETIMEDOUT);
	   CHECK_EQ(count, 0);
	   CHECK_EQ(unix_receive(fd, &answer, sizeof(answer), fds, &count), 0);
	   CHECK_EQ(end_receive(&(struct end){ xsk_port_umem(port, 0), xsk_port_socket(port, 0) }, 1),
		    -1);
	   xsk_port_destroy(port));
	WAIT_FOR(fds_of(broker.pid) == before, 2000);
	stop_broker(&broker);
}

TEST(a_client_that_goes_on_talking_loses_its_queue)
{
	struct broker broker;

	setup(1);
	broker = start_broker(1);
	AS(NOBODY,
	   struct message answer; int fds[MOST_FDS]; size_t count;
	   int fd = unix_connect(PATH, 0);
	   CHECK(fd >= 0);
	   CHECK_EQ(ask(fd, &wish, &answer, fds), 3);
	   sends(&wish, sizeof(wish), EBUSY);
	   CHECK_EQ(unix_send(fd, &wish, sizeof(wish), NULL, 0), sizeof(wish));
	   CHECK_EQ(unix_receive(fd, &answer, sizeof(answer), fds, &count), 0);
	   xsk_port_destroy(open_granted(1)));
	stop_broker(&broker);
}

TEST(a_client_that_never_listens_stops_nobody)
{
	struct broker broker;
	int before;

	setup(1);
	broker = start_broker(1);
	before = fds_of(broker.pid);
	AS(NOBODY,
	   for (int i = 0; i < 100; i++) {
		int fd = unix_connect(PATH, 0);

		CHECK(fd >= 0);
		/* It may be sent away before. Nor reads what comes, nor stays. */
		unix_send(fd, &wish, sizeof(wish), NULL, 0);
		close(fd);
	   });
	WAIT_FOR(fds_of(broker.pid) == before, 3000);
	is_served(FRIEND);
	stop_broker(&broker);
}

TEST(a_user_with_many_silent_connections_keeps_only_himself_waiting)
{
	struct broker broker;
	pid_t pid;
	int ready[2];
	char byte;

	setup(1);
	broker = start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS, .timeout_ms = 30000), 1, NULL, 0);
	CHECK_OK(pipe(ready));
	pid = fork_child();
	if (pid == 0) {
		struct message answer;
		int fds[MOST_FDS], silent[40];
		size_t count;

		become(NOBODY, NOBODY, 0);
		for (int i = 0; i < 40; i++) {
			silent[i] = unix_connect(PATH, 0);
			CHECK(silent[i] >= 0);
		}
		/* Those that were silent for longest have gone, four are left. */
		for (int i = 0; i < 36; i++) {
			CHECK_EQ(unix_receive(silent[i], &answer, sizeof(answer), fds, &count),
				 sizeof(answer));
			CHECK_EQ(answer.status, EAGAIN);
		}
		for (int i = 36; i < 40; i++)
			CHECK(recv(silent[i], &answer, sizeof(answer), MSG_DONTWAIT) < 0 &&
			      errno == EAGAIN);
		CHECK_EQ(write(ready[1], "", 1), 1);
		pause();
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	is_served(FRIEND);
	kill_child(pid);
	is_served(NOBODY);
	stop_broker(&broker);
}

/* Connects as fast as it can, says nothing, and keeps what it has, until it is killed. */
static pid_t start_flood(uid_t uid)
{
	struct rlimit files = { 512, 512 };
	pid_t pid = fork_child();

	if (pid != 0)
		return pid;
	setrlimit(RLIMIT_NOFILE, &files);
	become(uid, uid, 0);
	for (int held[200] = { 0 }, i = 0;; i = (i + 1) % 200) {
		if (held[i] > 0)
			close(held[i]);
		held[i] = unix_connect(PATH, SOCK_NONBLOCK);
		if (held[i] < 0)
			sched_yield();
	}
}

TEST(a_flood_of_connections_stops_nobody)
{
	static const uid_t attackers[] = { NOBODY, STRANGER };	/* one is listed, one is not */
	struct broker broker;
	int before, most = 0;
	pid_t flood[2];

	setup(1);
	broker = start_broker_for(&XSK_GRANT_PARAMS(FOR_USERS), 1, NULL, 0);
	before = fds_of(broker.pid);
	for (int i = 0; i < 2; i++)
		flood[i] = start_flood(attackers[i]);
	for (int i = 0; i < 20; i++) {
		uint64_t start = now_ms();

		is_served(FRIEND);
		CHECK_WITHIN(now_ms() - start, 0, 3000);
		most = fds_of(broker.pid) > most ? fds_of(broker.pid) : most;
	}
	CHECK_WITHIN(most, before, before + 24);
	for (int i = 0; i < 2; i++)
		kill_child(flood[i]);
	WAIT_FOR(fds_of(broker.pid) == before, 3000);
	is_served(NOBODY);
	stop_broker(&broker);
}

TEST(a_granter_without_descriptors_left_pauses_and_goes_on)
{
	struct broker broker;
	struct rlimit limit;
	int before;

	setup(1);
	broker = start_broker(1);
	before = fds_of(broker.pid);
	CHECK_OK(prlimit(broker.pid, RLIMIT_NOFILE, NULL, &limit));
	/* "." and ".." are counted, so no number is free: what it has ends at before - 3. */
	CHECK_OK(prlimit(broker.pid, RLIMIT_NOFILE, &(struct rlimit){ 3, limit.rlim_max }, NULL));
	int fd = unix_connect(PATH, 0);

	CHECK(fd >= 0);
	/* It does not spin meanwhile. */
	struct timespec used[2];
	clockid_t clock;

	CHECK_OK(clock_getcpuclockid(broker.pid, &clock));
	CHECK_OK(clock_gettime(clock, &used[0]));
	nap_ms(500);
	CHECK_OK(clock_gettime(clock, &used[1]));
	CHECK_WITHIN((used[1].tv_sec - used[0].tv_sec) * 1000 +
		     (used[1].tv_nsec - used[0].tv_nsec) / 1000000, 0, 100);
	CHECK_EQ(fds_of(broker.pid), before);
	close(fd);
	CHECK_OK(prlimit(broker.pid, RLIMIT_NOFILE, &limit, NULL));
	is_served(NOBODY);
	stop_broker(&broker);
}

/* --- a granter that is none */

/* Answers one client so, and the client finds that out and leaks nothing. */
static void answers(const void *bytes, size_t len, const int *fds, size_t count, int error,
		    const char *word)
{
	struct xsk_port *port = NULL;
	int before, listener;
	pid_t pid;

	unlink(PATH);
	listener = unix_listen(PATH);
	before = count_fds();
	pid = fork_child();
	if (pid == 0) {
		struct message request;
		int none[MOST_FDS];
		size_t no;
		int fd = accept(listener, NULL, NULL);

		CHECK_EQ(unix_receive(fd, &request, sizeof(request), none, &no), sizeof(request));
		if (len)
			CHECK_EQ(unix_send(fd, bytes, len, fds, count), len);
		if (!bytes)
			pause();
		_exit(0);
	}
	close(listener);
	CHECK_FAILS(xsk_from_grant(&port, PATH, XA, &XSK_PORT_PARAMS(SMALL, .queue_count = 1)), error,
		    PATH, word);
	CHECK(port == NULL);
	CHECK_EQ(count_fds(), before - 1);
	if (!bytes)
		kill_child(pid);
	else
		join_child(pid);
}

TEST(an_answer_that_is_no_grant_is_refused)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int xdp, map, array, link, other_link, *fds;
	struct message good = wish;
	struct message odd;

	setup(1);
	xdp = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	map = make_map(BPF_MAP_TYPE_XSKMAP, 4);
	array = make_map(BPF_MAP_TYPE_ARRAY, 4);
	link = attach_link(load_redirect(map), XA);
	other_link = attach_link(load_redirect(map), XB);
	strcpy(good.ifname, XA);
	good.ifindex = if_nametoindex(XA);
	good.queues = 1;
	good.flags = 1;	/* a link */
#define ANSWERS(what, error, word, ...) \
	fds = (int[]){ __VA_ARGS__ }; \
	answers(&(what), sizeof(what), fds, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), error, word)
	answers("", 0, NULL, 0, -ECONNRESET, "without an answer");
	answers("no", 2, NULL, 0, -EPROTO, "no grant");
	answers(&good, sizeof(good), NULL, 0, -EPROTO, "no grant");
	ANSWERS(good, -EPROTO, "no grant", map, link);
	ANSWERS(good, -EPROTO, "no grant", map, link, xdp, xdp);
	ANSWERS(good, -EPROTO, "no grant", null, link, xdp);
	ANSWERS(good, -EPROTO, "no grant", array, link, xdp);
	ANSWERS(good, -EPROTO, "no grant", link, map, xdp);
	ANSWERS(good, -EPROTO, "no grant", map, null, xdp);
	ANSWERS(good, -EPROTO, "no grant", map, other_link, xdp);
	ANSWERS(good, -EPROTO, "no grant", map, link, null);
	ANSWERS(good, -EPROTO, "no grant", map, link, map);
	odd = good; odd.count = 2;
	ANSWERS(odd, -EPROTO, "no grant", map, link, xdp, xdp);
	odd = good; odd.count = 0;
	ANSWERS(odd, -EPROTO, "no grant", map, link);
	odd = good; odd.first = 1;
	ANSWERS(odd, -EPROTO, "no grant", map, link, xdp);
	odd = good; odd.flags = 4 | 1;
	ANSWERS(odd, -EPROTO, "no grant", map, link, link, xdp);
	odd = good; odd.flags = UINT32_MAX; odd.count = 3;
	ANSWERS(odd, -EPROTO, "no grant", map, link, xdp);
	odd = good; odd.ifname[0] = 0; odd.ifname[1] = 0;
	ANSWERS(odd, -EPROTO, "no grant", map, link, xdp);
	odd = good; strcpy(odd.ifname, XB);
	ANSWERS(odd, -EPROTO, "no grant", map, link, xdp);
	odd = good; odd.version = 3;
	ANSWERS(odd, -EPROTONOSUPPORT, "version", map, link, xdp);
	odd = good; odd.status = EXDEV;
	ANSWERS(odd, -EXDEV, "refused", map, link, xdp);
	odd = good; odd.status = UINT32_MAX;
	ANSWERS(odd, -EPROTO, "no grant", map, link, xdp);
	answers(NULL, 0, NULL, 0, -ETIMEDOUT, "5 s");
}
