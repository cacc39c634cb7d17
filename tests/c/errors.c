/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What can go wrong when memory is registered and sockets are bound: the number, and
 * the key words of the sentence. */
#include "bpf.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/resource.h>

static struct xsk_umem *umem;	/* made by the parent, where a child uses it */
static struct xsk_socket *none;

static void has_no_capability(void)
{
	struct xsk_umem *out = NULL;

	CHECK_OK(setresgid(65534, 65534, 65534));
	CHECK_OK(setresuid(65534, 65534, 65534));
	CHECK_FAILS(xsk_umem_create(&out, NULL), -EPERM, "CAP_NET_RAW", "root");
	CHECK_FAILS(xsk_socket_create(&none, umem, NULL), -EPERM, "CAP_NET_RAW");
	CHECK_FAILS(xsk_socket_open(&none, umem, "lo", 0, NULL, NULL), -EPERM, "CAP_NET_RAW");
	CHECK(out == NULL && none == NULL);
}

TEST(without_cap_net_raw_that_is_said)
{
	umem = small_umem();
	run_in_child(has_no_capability);
}

static void has_cap_net_raw(void)
{
	umem = small_umem();
	keep_capabilities(1 << CAP_NET_RAW);
	CHECK_FAILS(xsk_socket_open(&none, umem, XA, 0, NULL, NULL), -EPERM, "CAP_BPF",
		    "XSK_BIND_NO_PROGRAM");
	CHECK_OK(xsk_socket_open(&none, umem, XA, 0,
				 &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY), NULL));
	xsk_socket_destroy(none);
}

TEST(with_cap_net_raw_alone_one_that_only_sends_binds_and_others_are_told_what_is_missing)
{
	make_pair(1);
	run_in_child(has_cap_net_raw);
	CHECK_EQ(attached_id(XA), 0);
}

static void may_not_look(void)
{
	umem = small_umem();
	keep_capabilities(1 << CAP_NET_RAW | 1 << CAP_NET_ADMIN);
	CHECK_FAILS(xsk_socket_open(&none, umem, XA, 0, NULL, NULL), -EPERM, XA, "CAP_SYS_ADMIN");
}

TEST(without_cap_sys_admin_a_program_that_is_there_cannot_be_joined)
{
	int program;

	make_pair(1);
	program = load_pass("foreign");
	attach_netlink(program, XA, XDP_FLAGS_SKB_MODE);
	run_in_child(may_not_look);
}

TEST(an_interface_that_does_not_exist_and_names_that_cannot_be)
{
	umem = small_umem();
	CHECK_FAILS(xsk_socket_open(&none, umem, "nosuch0", 0, NULL, NULL), -ENODEV, "nosuch0",
		    "no interface");
	CHECK_FAILS(xsk_socket_open(&none, umem, "", 0, NULL, NULL), -EINVAL, "\"\"", "name");
	CHECK_FAILS(xsk_socket_open(&none, umem, "sixteen-bytes-16", 0, NULL, NULL), -EINVAL,
		    "sixteen-bytes-16", "15 bytes");
	CHECK_FAILS(xsk_socket_open(&none, umem, "a/b", 0, NULL, NULL), -EINVAL, "a/b", "slash");
	CHECK_EQ(xsk_socket_open(&none, umem, "xa\n", 0, NULL, NULL), -ENODEV);
	CHECK(strchr(xsk_errmsg(), '\n') == NULL);
	CHECK(none == NULL);
}

TEST(a_queue_that_does_not_exist_and_how_many_there_are)
{
	umem = small_umem();
	make_pair(3);
	CHECK_FAILS(xsk_socket_open(&none, umem, XA, 3, NULL, NULL), -EINVAL, "queue 3", XA,
		    "no such queue", "it has 3");
	CHECK_FAILS(xsk_socket_open(&none, umem, XA, UINT32_MAX, NULL, NULL), -EINVAL,
		    "no such queue", "it has 3");
	CHECK_EQ(attached_id(XA), 0);
	CHECK_OK(xsk_socket_open(&none, umem, XA, 2, NULL, NULL));
	xsk_socket_destroy(none);
}

static void is_refused(int32_t retry_ms)
{
	struct xsk_bind_params params = { .size = sizeof(params), .retry_ms = retry_ms };
	uint64_t start = now_ms(), took;

	CHECK_FAILS(xsk_socket_open(&none, umem, XA, 0, NULL, &params), -EBUSY, "queue 0", XA);
	took = now_ms() - start;
	CHECK(none == NULL);
	if (retry_ms == XSK_RETRY_NEVER) {
		CHECK_WITHIN(took, 0, 50);
	} else {
		char text[32];

		CHECK_WITHIN(took, retry_ms - 2, retry_ms + 150);
		snprintf(text, sizeof(text), "%d ms", retry_ms);
		CHECK_SAYS("in use", text);
	}
}

static void is_refused_in_a_child(void)
{
	umem = small_umem();
	is_refused(XSK_RETRY_NEVER);
	is_refused(200);
}

TEST(a_queue_that_another_process_has)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, XSK_SOCKET_RX_ONLY, 0);
	run_in_child(is_refused_in_a_child);
	close_end(&end);
}

TEST(a_queue_that_a_socket_with_another_umem_has)
{
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	umem = small_umem();
	is_refused(XSK_RETRY_NEVER);
	is_refused(200);
	close_end(&end);
}

TEST(a_queue_that_a_socket_with_the_same_umem_has_is_refused_at_once)
{
	struct end end;
	uint64_t start;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	start = now_ms();
	CHECK_FAILS(xsk_socket_open(&none, end.umem, XA, 0, NULL, NULL), -EBUSY, "queue 0", XA,
		    "this UMEM", "XSK_SOCKET_SHARE_QUEUE");
	CHECK_FAILS(xsk_socket_open(&none, end.umem, XA, 0, NULL,
				    &XSK_BIND_PARAMS(.retry_ms = XSK_RETRY_NEVER)),
		    -EBUSY, "this UMEM");
	CHECK_WITHIN(now_ms() - start, 0, 100);
	CHECK_FAILS(xsk_socket_bind(end.socket, XA, 0, NULL), -EBUSY, "bound already", XA);
	close_end(&end);
}

#define REFUSED_UMEM(word, ...) \
	CHECK_FAILS(xsk_umem_create(&out, &XSK_UMEM_PARAMS(__VA_ARGS__)), -EINVAL, word)
#define REFUSED_SOCKET(word, ...) \
	CHECK_FAILS(xsk_socket_create(&none, umem, &XSK_SOCKET_PARAMS(__VA_ARGS__)), -EINVAL, word)
#define REFUSED_BIND(word, ...) \
	CHECK_FAILS(xsk_socket_open(&none, umem, "lo", 0, NULL, &XSK_BIND_PARAMS(__VA_ARGS__)), \
		    -EINVAL, word)

TEST(sizes_that_are_out_of_range_are_named_with_the_range)
{
	struct xsk_umem *out = NULL;

	REFUSED_UMEM("frame_size 1024", .frame_size = 1024);
	REFUSED_UMEM("2048", .frame_size = 1024);
	REFUSED_UMEM("frame_size 8192", .frame_size = 8192);
	REFUSED_UMEM("power of two", .frame_size = 3000);
	REFUSED_UMEM("headroom 3840", .headroom = 3840);
	REFUSED_UMEM("3839", .headroom = 3840);
	REFUSED_UMEM("headroom 4294967295", .headroom = UINT32_MAX);
	REFUSED_UMEM("fill_size 3", .fill_size = 3);
	REFUSED_UMEM("comp_size 8388608", .comp_size = 1 << 23);
	REFUSED_UMEM("unknown flags", .flags = 16);
	REFUSED_UMEM("reserved", .reserved = 1);
	REFUSED_UMEM("memory is NULL", .memory_size = 4096);
	CHECK(out == NULL);
	umem = small_umem();
	REFUSED_SOCKET("rx_size 3", .rx_size = 3);
	REFUSED_SOCKET("4194304", .rx_size = 3);
	REFUSED_SOCKET("tx_size 8388608", .tx_size = 1 << 23);
	REFUSED_SOCKET("fill_size 100", .fill_size = 100);
	REFUSED_SOCKET("comp_size 4294967295", .comp_size = UINT32_MAX);
	REFUSED_SOCKET("unknown flags", .flags = 16);
	REFUSED_BIND("unknown flags", .flags = 1u << 31);
	REFUSED_BIND("exclude", .flags = XSK_BIND_COPY | XSK_BIND_ZEROCOPY);
	REFUSED_BIND("exclude", .flags = XSK_BIND_SKB_MODE | XSK_BIND_DRV_MODE);
	REFUSED_BIND("exclude", .flags = XSK_BIND_NO_PROGRAM | XSK_BIND_XSKMAP);
	REFUSED_BIND("do without", .flags = XSK_BIND_NO_PROGRAM | XSK_BIND_SKB_MODE);
	REFUSED_BIND("retry_ms -2", .retry_ms = -2);
	CHECK(none == NULL);
}

TEST(sizes_of_0_are_the_defaults)
{
	struct xsk_socket_info info;

	CHECK_OK(xsk_umem_create(&umem, NULL));
	CHECK_OK(xsk_socket_create(&none, umem, NULL));
	info = info_of(none);
	CHECK_EQ(info.rx_size, 2048);
	CHECK_EQ(info.tx_size, 2048);
	CHECK_EQ(info.fill_size, 2048);
	CHECK_EQ(info.comp_size, 2048);
}

static void has_a_limit(void)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	struct xsk_umem *out = NULL;

	CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	keep_capabilities(1 << CAP_NET_RAW);
	CHECK_FAILS(xsk_umem_create(&out, NULL), -ENOBUFS, "RLIMIT_MEMLOCK", "1048576", "16777216",
		    "ulimit -l");
	CHECK(out == NULL);
	CHECK_OK(xsk_umem_create(&out, &XSK_UMEM_PARAMS(.frame_count = 64)));
}

TEST(a_memlock_limit_that_is_too_small_is_named)
{
	run_in_child(has_a_limit);
}

TEST(zero_copy_that_the_driver_lacks_is_said_and_the_socket_can_be_bound_otherwise)
{
	struct end end;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	end.umem = small_umem();
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	for (int i = 0; i < 3; i++)
		CHECK_FAILS(xsk_socket_bind(end.socket, XA, 0,
					    &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY)),
			    -EOPNOTSUPP, "zero-copy", "XSK_BIND_COPY");
	CHECK_EQ(info_of(end.socket).bound, 0);
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_COPY)));
	CHECK_EQ(info_of(end.socket).zero_copy, 0);
	stack_send(stack, 3);
	CHECK_EQ(end_receive(&end, 1000), 3);
	end_send(&end, 4);
	CHECK_EQ(stack_receive(stack, 1000), 4);
	close_end(&end);
}

static void has_no_af_xdp(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_XDP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { COUNT(code), code };
	struct xsk_umem *out = NULL;

	CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
	CHECK_FAILS(xsk_umem_create(&out, NULL), -EAFNOSUPPORT, "AF_XDP", "CONFIG_XDP_SOCKETS");
	CHECK_FAILS(xsk_socket_create(&none, umem, NULL), -EAFNOSUPPORT, "CONFIG_XDP_SOCKETS");
}

TEST(a_kernel_without_af_xdp_is_said)
{
	umem = small_umem();
	run_in_child(has_no_af_xdp);
}

/* With one descriptor more each time, until there are enough. */
TEST(running_out_of_descriptors_at_any_point_is_said_and_leaks_none)
{
	struct rlimit limit = { 0, 4096 };
	uint32_t failures = 0;
	int answer, fds;

	make_pair(1);
	fds = count_fds();
	for (int room = 0;; room++) {
		struct end end = { NULL, NULL };

		limit.rlim_cur = (rlim_t)(fds + room);
		CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
		answer = xsk_umem_create(&end.umem, NULL);
		if (answer == 0)
			answer = xsk_socket_open(&end.socket, end.umem, XA, 0, NULL, NULL);
		if (answer != 0) {
			CHECK_EQ(answer, -EMFILE);
			CHECK(strlen(xsk_errmsg()) > 20);
			CHECK(end.socket == NULL);
			failures++;
		}
		limit.rlim_cur = 4096;
		CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
		xsk_socket_destroy(end.socket);
		CHECK_OK(xsk_umem_destroy(end.umem));
		CHECK_EQ(count_fds(), fds);
		if (answer == 0)
			break;
		CHECK(room < 20);
	}
	CHECK_WITHIN(failures, 3, 20);
	WAIT_FOR(attached_id(XA) == 0, 2000);
}

TEST(memory_that_is_not_mapped_is_refused)
{
	uint8_t *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
	struct xsk_umem *out = NULL;

	CHECK(memory != MAP_FAILED);
	CHECK_OK(munmap(memory + (1 << 19), 1 << 19));
	CHECK_FAILS(xsk_umem_create(&out, &XSK_UMEM_PARAMS(.memory = memory, .memory_size = 1 << 20)),
		    -ENOMEM, "umem", "mapped");
	CHECK_OK(munmap(memory, 1 << 19));
	CHECK_FAILS(xsk_umem_create(&out, &XSK_UMEM_PARAMS(.memory = memory, .memory_size = 1 << 20)),
		    -EFAULT, "umem", "mapped");
	CHECK_FAILS(xsk_umem_create(&out, &XSK_UMEM_PARAMS(.memory = memory + 1,
							   .memory_size = 1 << 20)),
		    -EINVAL, "aligned");
	CHECK_FAILS(xsk_umem_create(&out, &XSK_UMEM_PARAMS(.memory = memory, .memory_size = 4097)),
		    -EINVAL, "multiple");
	CHECK(out == NULL);
}

static void *fails_elsewhere(void *arg)
{
	CHECK_EQ(strcmp(xsk_errmsg(), ""), 0);
	CHECK_FAILS(xsk_umem_create(NULL, NULL), -EINVAL, "out is NULL");
	return arg;
}

TEST_WITHOUT_ROOT(the_sentence_is_the_threads_own_and_success_leaves_it_alone)
{
	struct xsk_umem_info info = { .size = sizeof(info) };
	char before[512];
	pthread_t thread;

	CHECK_EQ(strcmp(xsk_errmsg(), ""), 0);
	CHECK_FAILS(xsk_umem_info(NULL, &info), -EINVAL, "umem is NULL");
	snprintf(before, sizeof(before), "%s", xsk_errmsg());
	CHECK_OK(pthread_create(&thread, NULL, fails_elsewhere, NULL));
	pthread_join(thread, NULL);
	CHECK_EQ(strcmp(xsk_errmsg(), before), 0);
	CHECK_OK(xsk_umem_destroy(NULL));
	CHECK_OK(xsk_log_set(NULL, NULL, XSK_LOG_OFF));
	xsk_socket_destroy(NULL);
	CHECK_EQ(strcmp(xsk_errmsg(), before), 0);
}
