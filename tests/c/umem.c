/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packet memory: whose it is, how it is cut, and its frames. */
#include "net.h"

#include <sys/syscall.h>

static char log_line[512];
static uint32_t log_lines;

static void keep_line(uint32_t level, const char *line, void *context)
{
	(void)context;
	CHECK_EQ(level, XSK_LOG_WARN);
	log_lines++;
	snprintf(log_line, sizeof(log_line), "%s", line);
}

static struct xsk_umem *create(struct xsk_umem_params params)
{
	struct xsk_umem *umem = NULL;

	params.size = sizeof(params);
	CHECK_OK(xsk_umem_create(&umem, &params));
	return umem;
}

TEST(the_defaults_are_4096_frames_of_4096_bytes_of_the_librarys_memory)
{
	struct xsk_umem *umem = NULL;
	struct xsk_umem_info info;

	CHECK_OK(xsk_umem_create(&umem, NULL));
	info = umem_info_of(umem);
	CHECK_EQ(info.frame_count, 4096);
	CHECK_EQ(info.frame_size, 4096);
	CHECK_EQ(info.memory_size, 16 << 20);
	CHECK_EQ(info.free_frames, 4096);
	CHECK_EQ(info.headroom, 0);
	CHECK_EQ(info.huge_pages, 0);
	CHECK_EQ((uintptr_t)info.memory % 4096, 0);
	/* All of it can be written to. */
	memset(info.memory, 0xa5, info.memory_size);
	CHECK_OK(xsk_umem_destroy(umem));
}

/* A socket over the UMEM moves packets both ways, and to the memory it shall. */
static void works(struct xsk_umem *umem)
{
	struct xsk_umem_info info = umem_info_of(umem);
	struct end end = { umem, NULL };
	uint8_t *first = info.memory;
	int stack;

	make_pair(1);
	stack = stack_open(XB);
	CHECK_OK(xsk_socket_create(&end.socket, umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	CHECK_OK(xsk_socket_bind(end.socket, XA, 0, NULL));
	for (uint32_t i = 0; i < 200; i++) {
		struct xsk_buf buf;

		stack_send_len(stack, i, 1400);
		CHECK_EQ(xsk_socket_wait(end.socket, XSK_WAIT_RX, 1000), XSK_WAIT_RX);
		CHECK_EQ(xsk_rx_burst(end.socket, &buf, 1), 1);
		CHECK_EQ(read_frame(buf.data, buf.len), i);
		CHECK(buf.data == first + buf.addr && buf.addr < info.memory_size);
		CHECK(xsk_umem_data(umem, buf.addr) == buf.data);
		CHECK_EQ(buf.addr % info.frame_size, info.headroom + 256);
		CHECK_EQ(xsk_tx_burst(end.socket, &buf, 1), 1);
		CHECK_EQ(stack_receive(stack, 1000), i);
	}
	xsk_socket_destroy(end.socket);
	CHECK_EQ(umem_info_of(umem).free_frames, info.frame_count);
	CHECK_OK(xsk_umem_destroy(umem));
	link_delete(XA);
}

TEST(frames_of_2048_and_4096_bytes_work_with_and_without_headroom)
{
	works(create((struct xsk_umem_params){ .frame_count = 64, .frame_size = 2048 }));
	works(create((struct xsk_umem_params){ .frame_count = 64, .frame_size = 4096 }));
	works(create((struct xsk_umem_params){
		.frame_count = 64, .frame_size = 2048, .headroom = 128 }));
	works(create((struct xsk_umem_params){
		.frame_count = 64, .frame_size = 4096, .headroom = 2000 }));
	works(create((struct xsk_umem_params){
		.frame_count = 63, .frame_size = 2048, .headroom = 1 }));
}

TEST(memory_of_the_programs_own_is_used_and_stays_its_own)
{
	const size_t len = 1 << 20;
	uint8_t *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct xsk_umem_info info;
	struct xsk_umem *umem;

	CHECK(memory != MAP_FAILED);
	memset(memory, 0x5a, len);
	umem = create((struct xsk_umem_params){
		.memory = memory, .memory_size = len, .frame_size = 2048 });
	info = umem_info_of(umem);
	CHECK(info.memory == memory);
	CHECK_EQ(info.frame_count, 512);
	CHECK_EQ(info.memory_size, len);
	works(umem);
	/* Still mapped, and untouched where no packet was: the last frame's last byte. */
	CHECK_EQ(memory[len - 1], 0x5a);
	memory[0] = 1;
	CHECK_OK(munmap(memory, len));
}

TEST(a_part_of_a_mapping_is_used_and_its_neighbours_are_left_alone)
{
	const size_t page = 4096, len = 16 * 4096;
	uint8_t *memory = mmap(NULL, len + 2 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	memset(memory, 0x5a, len + 2 * page);
	works(create((struct xsk_umem_params){ .memory = memory + page, .memory_size = len }));
	for (size_t i = 0; i < page; i++) {
		CHECK_EQ(memory[i], 0x5a);
		CHECK_EQ(memory[page + len + i], 0x5a);
	}
}

TEST(two_umems_over_the_same_memory_are_the_programs_business)
{
	const size_t len = 16 * 4096;
	uint8_t *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct xsk_umem *one, *two;

	one = create((struct xsk_umem_params){ .memory = memory, .memory_size = len });
	two = create((struct xsk_umem_params){ .memory = memory, .memory_size = len });
	CHECK_OK(xsk_umem_destroy(one));
	works(two);
}

TEST(where_there_are_no_huge_pages_that_is_logged_and_normal_ones_are_used)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r");
	int pages = -1;
	struct xsk_umem *umem;

	if (!file || fscanf(file, "%d", &pages) != 1)
		SKIP("no /proc/sys/vm/nr_hugepages");
	CHECK_OK(xsk_log_set(keep_line, NULL, XSK_LOG_WARN));
	umem = create((struct xsk_umem_params){ .flags = XSK_UMEM_HUGE_PAGES, .frame_count = 512 });
	if (pages == 0) {
		CHECK_EQ(log_lines, 1);
		CHECK(strstr(log_line, "huge pages") && strstr(log_line, "vm.nr_hugepages"));
		CHECK_EQ(umem_info_of(umem).huge_pages, 0);
	} else {
		/* Either they are used, or the log says that they were not. */
		CHECK_EQ(umem_info_of(umem).huge_pages, !log_lines);
	}
	CHECK_EQ(umem_info_of(umem).frame_count, 512);
	CHECK_EQ(umem_info_of(umem).memory_size, 512 * 4096);
	works(umem);
}

#define HUGE_PAGES "/proc/sys/vm/nr_hugepages"

/* A process that puts the number of huge pages back when the write end of a pipe is
 * closed, by whatever death of this one. Gives that end. */
static int lend_huge_pages(int more, pid_t *guard)
{
	FILE *file = fopen(HUGE_PAGES, "r");
	char text[16], rest;
	int before, ends[2];

	if (!file || fscanf(file, "%d", &before) != 1)
		SKIP("no " HUGE_PAGES);
	fclose(file);
	CHECK_OK(pipe2(ends, O_CLOEXEC));
	*guard = fork();
	CHECK(*guard >= 0);
	snprintf(text, sizeof(text), "%d\n", *guard ? before + more : before);
	if (*guard) {
		close(ends[0]);
		write_file(HUGE_PAGES, text);
		return ends[1];
	}
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	close(ends[1]);
	while (read(ends[0], &rest, 1) < 0 && errno == EINTR)
		;
	write_file(HUGE_PAGES, text);
	_exit(0);
}

static int huge_pages_free(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	int free = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "HugePages_Free: %d", &free);
	fclose(file);
	return free;
}

static void uses_huge_pages(void)
{
	struct xsk_umem *umem;
	struct xsk_umem_info info;
	int free = huge_pages_free();
	uint8_t *own;

	CHECK_OK(xsk_log_set(keep_line, NULL, XSK_LOG_WARN));
	umem = create((struct xsk_umem_params){ .flags = XSK_UMEM_HUGE_PAGES, .frame_count = 512 });
	info = umem_info_of(umem);
	CHECK_EQ(info.huge_pages, 1);
	CHECK_EQ((uintptr_t)info.memory % (2 << 20), 0);
	CHECK_EQ(huge_pages_free(), free - 1);
	CHECK_EQ(info.free_frames, 512);
	works(umem);
	WAIT_FOR(huge_pages_free() == free, 1000);
	/* Unaligned: the frame that would lie in two of them is not used. */
	umem = create((struct xsk_umem_params){
		.flags = XSK_UMEM_HUGE_PAGES | XSK_UMEM_UNALIGNED, .frame_count = 1000,
		.frame_size = 3000 });
	info = umem_info_of(umem);
	CHECK_EQ(info.huge_pages, 1);
	CHECK_EQ(info.frame_count, 1000);
	CHECK_EQ(info.free_frames, 999);
	for (uint32_t i = 0; i < 999; i++) {
		uint64_t addr, first = (uintptr_t)info.memory, last;

		CHECK_EQ(xsk_umem_alloc(umem, &addr, 1), 1);
		first += addr;
		last = first + 2999;
		CHECK_EQ(first >> 21, last >> 21);
	}
	CHECK_OK(xsk_umem_destroy(umem));
	/* The kernel lets go of a UMEM a little later. */
	WAIT_FOR(huge_pages_free() == free, 1000);
	/* The same of the program's own pages, which it says are such. */
	own = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT, -1, 0);
	CHECK(own != MAP_FAILED);
	umem = create((struct xsk_umem_params){
		.flags = XSK_UMEM_HUGE_PAGES | XSK_UMEM_UNALIGNED, .memory = own + 1000,
		.memory_size = 1000 * 3000, .frame_size = 3000 });
	info = umem_info_of(umem);
	CHECK_EQ(info.huge_pages, 1);
	CHECK_EQ(info.free_frames, 999);
	CHECK_OK(xsk_umem_destroy(umem));
	CHECK_OK(munmap(own, 4 << 20));
	WAIT_FOR(huge_pages_free() == free, 1000);
	CHECK_EQ(log_lines, 0);
}

TEST(huge_pages_are_used_where_there_are_some)
{
	pid_t guard;
	int lent = lend_huge_pages(4, &guard);

	if (huge_pages_free() < 4)
		SKIP("the kernel finds no memory for four huge pages");
	uses_huge_pages();
	close(lent);
	join_child(guard);
}

/* The node that a byte is on. */
static int node_of(const void *at)
{
	int node = -1;

	if (syscall(SYS_get_mempolicy, &node, NULL, 0, at, 1 | 2 /* MPOL_F_NODE, _ADDR */) != 0)
		SKIP("no get_mempolicy: the kernel has no NUMA");
	return node;
}

/* How mbind sets a mapping up shows in /proc/self/numa_maps. */
static void policy_of(const void *at, char *line, size_t size)
{
	FILE *file = fopen("/proc/self/numa_maps", "r");

	while (file && fgets(line, (int)size, file))
		if (strtoull(line, NULL, 16) == (uintptr_t)at)
			break;
	fclose(file);
}

TEST(memory_of_a_numa_node_is_preferred_and_where_there_is_none_that_is_logged)
{
	struct xsk_caps caps = { .size = sizeof(caps) };
	struct xsk_umem *umem;
	char line[512] = "";
	int node = node_of(&caps);

	CHECK_OK(xsk_log_set(keep_line, NULL, XSK_LOG_WARN));
	umem = create((struct xsk_umem_params){
		.frame_count = 1024, .numa_node = (uint32_t)node + 1 });
	CHECK_EQ(log_lines, 0);
	CHECK_EQ(node_of(umem_info_of(umem).memory), node);
	policy_of(umem_info_of(umem).memory, line, sizeof(line));
	CHECK(strstr(line, "prefer:"));
	works(umem);
	/* veth has no node, and no preference comes of it. */
	make_pair(1);
	CHECK_OK(xsk_probe(XA, &caps));
	CHECK_EQ(caps.numa_node, -1);
	umem = create((struct xsk_umem_params){
		.frame_count = 64, .numa_node = (uint32_t)(caps.numa_node + 1) });
	CHECK_EQ(log_lines, 0);
	policy_of(umem_info_of(umem).memory, line, sizeof(line));
	CHECK(strstr(line, "default"));
	CHECK_OK(xsk_umem_destroy(umem));
	link_delete(XA);
	for (uint32_t wrong = 63; wrong <= 1000; wrong += 937) {
		log_lines = 0;
		umem = create((struct xsk_umem_params){ .frame_count = 64, .numa_node = wrong + 1 });
		CHECK_EQ(log_lines, 1);
		CHECK(strstr(log_line, "NUMA node") && strstr(log_line, wrong == 63 ? "63" : "1000"));
		works(umem);
	}
}

TEST(the_pool_gives_each_frame_once_and_takes_each_back)
{
	struct xsk_umem *umem = create((struct xsk_umem_params){
		.frame_count = 100, .frame_size = 2048, .headroom = 32 });
	uint64_t addrs[101];
	uint8_t seen[100] = { 0 };

	for (uint32_t round = 0; round < 3; round++) {
		memset(seen, 0, sizeof(seen));
		CHECK_EQ(xsk_umem_alloc(umem, addrs, 40), 40);
		CHECK_EQ(umem_info_of(umem).free_frames, 60);
		CHECK_EQ(xsk_umem_alloc(umem, addrs + 40, 61), 60);
		CHECK_EQ(xsk_umem_alloc(umem, addrs + 100, 1), 0);
		CHECK_EQ(umem_info_of(umem).free_frames, 0);
		for (uint32_t i = 0; i < 100; i++) {
			CHECK_EQ(addrs[i] % 2048, 32);
			CHECK(addrs[i] / 2048 < 100);
			CHECK_EQ(seen[addrs[i] / 2048]++, 0);
		}
		/* An address anywhere in the frame names it. */
		for (uint32_t i = 0; i < 100; i++)
			addrs[i] += i;
		CHECK_EQ(xsk_umem_free(umem, addrs, 100), 100);
		CHECK_EQ(umem_info_of(umem).free_frames, 100);
	}
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(frames_that_come_twice_or_from_elsewhere_are_refused)
{
	struct xsk_umem *umem = create((struct xsk_umem_params){ .frame_count = 8 });
	uint64_t addrs[8], wrong[3];

	addrs[0] = 0;
	CHECK_EQ(xsk_umem_free(umem, addrs, 1), 0);
	CHECK_EQ(xsk_umem_alloc(umem, addrs, 8), 8);
	wrong[0] = addrs[0];
	wrong[1] = 8 * 4096;	/* the first byte behind the last frame */
	wrong[2] = addrs[1];
	CHECK_EQ(xsk_umem_free(umem, wrong, 3), 1);
	CHECK_EQ(umem_info_of(umem).free_frames, 1);
	wrong[0] = UINT64_MAX;
	CHECK_EQ(xsk_umem_free(umem, wrong, 1), 0);
	CHECK_EQ(xsk_umem_free(umem, addrs + 1, 7), 7);
	CHECK_EQ(xsk_umem_free(umem, addrs, 1), 0);
	CHECK_EQ(umem_info_of(umem).free_frames, 8);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(an_address_outside_has_no_pointer)
{
	struct xsk_umem *umem = create((struct xsk_umem_params){ .frame_count = 8 });
	struct xsk_umem_info info = umem_info_of(umem);

	CHECK(xsk_umem_data(umem, 0) == info.memory);
	CHECK(xsk_umem_data(umem, 8 * 4096 - 1) == (uint8_t *)info.memory + 8 * 4096 - 1);
	CHECK(xsk_umem_data(umem, 8 * 4096) == NULL);
	CHECK(xsk_umem_data(umem, UINT64_MAX) == NULL);
	CHECK(xsk_umem_data(umem, UINT64_C(1) << 48) == NULL);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(a_umem_that_is_destroyed_leaves_no_mapping_and_no_descriptor)
{
	int fds = 0, maps = 0;

	for (uint32_t i = 0; i < 20; i++) {
		struct xsk_umem *umem = create((struct xsk_umem_params){
			.flags = i % 2 ? XSK_UMEM_HUGE_PAGES : 0 });

		CHECK_OK(xsk_umem_destroy(umem));
		if (i == 1) {
			fds = count_fds();
			maps = count_maps();
		}
	}
	CHECK_EQ(count_fds(), fds);
	CHECK_WITHIN(count_maps(), 0, maps);
}

TEST(a_umem_of_more_than_an_address_space_is_refused)
{
	struct xsk_umem *umem = NULL;

	CHECK_EQ(xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = UINT32_MAX)), -ENOMEM);
	CHECK_SAYS("umem", "memory");
	CHECK_EQ(xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.memory = (void *)4096,
							 .memory_size = UINT64_MAX - 4095)), -EINVAL);
	CHECK_SAYS("umem", "memory_size");
	CHECK(umem == NULL);
}
