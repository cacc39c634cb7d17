/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Scenarios that only use what libxdp 1.3's header has. Built against the real
 * library and against ours, it must print the same: a line `SCENARIO: what = result`
 * for each call and for the facts after it. Each scenario runs in a child process
 * and a network namespace of its own; how it ended is its last line.
 *
 * Arguments are beginnings of names: scenarios with one of them run.
 */

#include "common.h"

#include <dlfcn.h>
#include <xdp/xsk.h>

#define SECONDS 20
#define PAGE 4096u
#define AREA (1u << 20)

/* --- what is printed */

static char scenario[80];

static void __attribute__((format(printf, 2, 3))) say(const char *what, const char *format, ...)
{
	va_list args;

	printf("%s: %s = ", scenario, what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static const char *result_name(long result)
{
	static char number[32];
	const char *name = result < 0 ? strerrorname_np((int)-result) : NULL;

	if (name && result != 0)
		snprintf(number, sizeof(number), "-%s", name);
	else
		snprintf(number, sizeof(number), "%ld", result);
	return number;
}

/* Makes a call and says how it ended; its value is that of the call. */
#define DO(call) said(#call, call)

static int said(const char *what, int result)
{
	say(what, "%s", result_name(result));
	return result;
}

static void say_attached(const char *ifname)
{
	char what[64];

	snprintf(what, sizeof(what), "program of %s", ifname);
	say(what, "%s", attached_how(ifname));
}

/* What a ring struct of either kind says of itself. */
#define SAY_RING(r) \
	say("ring " #r, "cached_prod %u cached_cons %u mask %#x size %u pointers %d%d%d%d", \
	    (r).cached_prod, (r).cached_cons, (r).mask, (r).size, (r).producer != NULL, \
	    (r).consumer != NULL, (r).ring != NULL, (r).flags != NULL)
#define SAY_COUNTERS(r) say("counters of " #r, "%u %u", *(r).producer, *(r).consumer)

/* --- what the scenarios work with: fresh in each, all zero */

static long P[6];	/* the scenario's parameters */
static uint8_t *area;
static struct xsk_ring_prod fill, fill2, fill3, tx, tx2, tx3;
static struct xsk_ring_cons comp, comp2, comp3, rx, rx2, rx3;
static struct xsk_umem *umem;
static struct xsk_socket *a, *b, *c;
static struct xsk_umem_config ucfg = { 2048, 2048, 4096, 0, 0 };
static struct xsk_socket_config scfg, pcfg;	/* without and with the default program */

static void init(void)
{
	area = mmap(NULL, 16 * AREA, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		DIE("mmap");
	scfg.rx_size = scfg.tx_size = pcfg.rx_size = pcfg.tx_size = 64;
	scfg.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD;
}

static int new_umem(void)
{
	return said("umem", xsk_umem__create(&umem, area, AREA, &fill, &comp, &ucfg));
}

static int new_socket(const struct xsk_socket_config *config)
{
	return said("a", xsk_socket__create(&a, "xa", 0, umem, &rx, &tx, config));
}

static void delete(struct xsk_socket **socket, const char *name)
{
	xsk_socket__delete(*socket);
	*socket = NULL;
	say("deleted", "%s", name);
}

#define DELETE(socket) delete(&(socket), #socket)

/* Sockets, then the UMEM. */
static void end_all(void)
{
	if (a)
		DELETE(a);
	if (b)
		DELETE(b);
	if (c)
		DELETE(c);
	if (umem && DO(xsk_umem__delete(umem)) == 0)
		umem = NULL;
}

/* Gives `count` chunks of a size to the kernel, from an address on. */
static void feed(struct xsk_ring_prod *ring, uint64_t from, uint32_t count, uint32_t chunk)
{
	uint32_t idx = 0, i;

	if (xsk_ring_prod__reserve(ring, count, &idx) != count) {
		say("feed", "no room");
		return;
	}
	for (i = 0; i < count; i++)
		*xsk_ring_prod__fill_addr(ring, idx + i) = from + (uint64_t)i * chunk;
	xsk_ring_prod__submit(ring, count);
}

/* Sends frames to an interface from its peer's network stack and counts what comes. */
static void receive(const char *what, const char *peer, struct xsk_ring_cons *ring,
		    struct xsk_socket *socket, uint32_t count, int wanted)
{
	int stack = stack_open(peer);
	uint32_t got = 0, bad = 0, i, idx = 0, n, chunk = ucfg.frame_size;
	uint64_t until, offset = 0;
	struct pollfd entry = { xsk_socket__fd(socket), POLLIN, 0 };

	for (i = 0; i < count; i++)
		stack_send(stack, i, 60 + i * 13 % 1000);
	until = now_ms() + (wanted ? 1000 : 50);
	while (got < count && now_ms() < until) {
		poll(&entry, 1, 5);
		n = xsk_ring_cons__peek(ring, 64, &idx);
		for (i = 0; i < n; i++) {
			const struct xdp_desc *desc = xsk_ring_cons__rx_desc(ring, idx + i);
			uint64_t at = xsk_umem__add_offset_to_addr(desc->addr);

			bad += read_frame(xsk_umem__get_data(area, at), desc->len) !=
			       (long)(got + i);
			if (ucfg.flags & XDP_UMEM_UNALIGNED_CHUNK_FLAG)
				offset = xsk_umem__extract_offset(desc->addr);
			else
				offset = desc->addr % chunk;
		}
		if (n)
			xsk_ring_cons__release(ring, n);
		got += n;
	}
	close(stack);
	say(what, "%u of %u, %u bad, offset %u", got, count, bad, (unsigned int)offset);
}

/* Sends frames on a socket and counts what the peer's network stack gets. */
static void transmit(const char *what, const char *peer, struct xsk_ring_prod *ring,
		     struct xsk_ring_cons *done, struct xsk_socket *socket, uint32_t count)
{
	int stack = stack_open(peer);
	uint32_t idx = 0, got = 0, completed = 0, i;
	uint64_t until = now_ms() + 1000, base = AREA / 2;

	if (xsk_ring_prod__reserve(ring, count, &idx) != count) {
		say(what, "no room");
		close(stack);
		return;
	}
	for (i = 0; i < count; i++) {
		struct xdp_desc *desc = xsk_ring_prod__tx_desc(ring, idx + i);

		desc->addr = base + (uint64_t)i * ucfg.frame_size;
		desc->len = write_frame(area + desc->addr, i, 60 + i * 7);
		desc->options = 0;
	}
	xsk_ring_prod__submit(ring, count);
	while ((got < count || completed < count) && now_ms() < until) {
		uint32_t n;

		sendto(xsk_socket__fd(socket), NULL, 0, MSG_DONTWAIT, NULL, 0);
		while (stack_receive(stack, 0) == (long)got)
			got++;
		n = xsk_ring_cons__peek(done, 64, &idx);
		for (i = 0; i < n; i++)
			if (*xsk_ring_cons__comp_addr(done, idx + i) < base)
				say(what, "completion of a wrong address");
		if (n)
			xsk_ring_cons__release(done, n);
		completed += n;
		nap_ms(1);
	}
	close(stack);
	say(what, "%u of %u, %u completed", got, count, completed);
}

static void both_ways(void)
{
	feed(&fill, 0, 32, ucfg.frame_size);
	receive("rx", "xb", &rx, a, 20, 1);
	transmit("tx", "xb", &tx, &comp, a, 20);
}

/* --- the runner */

static char **wanted;
static int broken;

static void __attribute__((format(printf, 2, 3))) run(void (*work)(void), const char *format, ...)
{
	pid_t parent = getpid(), pid;
	int status = 0, i;
	va_list args;

	va_start(args, format);
	vsnprintf(scenario, sizeof(scenario), format, args);
	va_end(args);
	for (i = 0; wanted[i] && strncmp(scenario, wanted[i], strlen(wanted[i])) != 0; i++)
		;
	if (i > 0 && !wanted[i])
		return;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		DIE("fork");
	if (pid == 0) {
		int fds, maps;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		alarm(SECONDS);
		enter_namespace();
		make_pair("xa", "xb", 2);
		init();
		fds = count_fds();
		maps = count_ring_maps();
		work();
		say("end", "fds %+d maps %+d program %s", count_fds() - fds,
		    count_ring_maps() - maps, attached_how("xa"));
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		say("end", "died of SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		broken = 1;
}

/* --- UMEMs */

static void umem_and_delete(void)
{
	if (new_umem() == 0) {
		SAY_RING(fill);
		SAY_RING(comp);
		SAY_COUNTERS(fill);
		SAY_COUNTERS(comp);
		say("fd", "%d", xsk_umem__fd(umem) > 2);
	}
	end_all();
}

static void umem_of_sizes(void)
{
	ucfg.fill_size = (uint32_t)P[0];
	ucfg.comp_size = (uint32_t)P[1];
	umem_and_delete();
}

static void umem_of_frames(void)
{
	ucfg.frame_size = (uint32_t)P[0];
	ucfg.frame_headroom = (uint32_t)P[1];
	ucfg.flags = (uint32_t)P[2];
	umem_and_delete();
}

static void umem_of_memory(void)
{
	int made = DO(xsk_umem__create(&umem, area + P[0], (uint64_t)P[1], &fill, &comp, &ucfg));

	if (made == 0)
		SAY_RING(fill);
	end_all();
}

static void umem_null(void)
{
	int made = said("umem", xsk_umem__create(P[0] == 1 ? NULL : &umem, P[0] == 2 ? NULL : area, AREA,
						 P[0] == 3 ? NULL : &fill, P[0] == 4 ? NULL : &comp,
						 P[0] == 5 ? NULL : &ucfg));

	if (made == 0) {
		SAY_RING(fill);
		SAY_RING(comp);
	}
	end_all();
}

static void umem_delete_null(void)
{
	DO(xsk_umem__delete(NULL));
	DO(xsk_umem__fd(NULL));
	DO(xsk_socket__fd(NULL));
	xsk_socket__delete(NULL);
}

static void umem_unmapped(void)
{
	munmap(area, 16 * AREA);
	new_umem();
}

static void umem_again(void)
{
	ucfg.frame_size = 1;
	new_umem();
	ucfg.frame_size = 4096;
	ucfg.fill_size = 3;
	new_umem();
	ucfg.fill_size = 64;
	umem_and_delete();
	umem = NULL;
	umem_and_delete();
}

/* Two over the same memory. */
static void umem_twice(void)
{
	struct xsk_umem *other = NULL;

	new_umem();
	DO(xsk_umem__create(&other, area, AREA, &fill2, &comp2, &ucfg));
	SAY_RING(fill2);
	DO(xsk_umem__delete(other));
	end_all();
}

static void umem_unprivileged(void)
{
	if (P[0] == 0 && setuid(65534) != 0)
		DIE("setuid");
	if (new_umem() != 0)
		return;
	if (setuid(65534) != 0)
		DIE("setuid");
	new_socket(P[0] == 1 ? &scfg : &pcfg);
	end_all();
}

static void umem_memlock(void)
{
	struct rlimit none = { (rlim_t)P[0], (rlim_t)P[0] };

	setrlimit(RLIMIT_MEMLOCK, &none);
	prctl(PR_CAPBSET_DROP, 14, 0, 0, 0);
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (P[1]) {
		/* CAP_NET_RAW (13), CAP_NET_ADMIN (12) and CAP_SYS_ADMIN (21), no CAP_IPC_LOCK. */
		struct { uint32_t version; int pid; } head = { 0x20080522, 0 };
		struct { uint32_t effective, permitted, inheritable; } data[2] = { { 0, 0, 0 } };

		data[0].effective = data[0].permitted = 1u << 12 | 1u << 13 | 1u << 21;
		if (setresuid(65534, 65534, 65534) != 0 || syscall(SYS_capset, &head, data) != 0)
			DIE("capset");
	}
	new_umem();
	if (umem)
		new_socket(&scfg);
	end_all();
}

static void umem_scenarios(void)
{
	static const long sizes[] = { 0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 100, 1024, 2048, 4095, 4096,
				      65536, 1 << 20, 0x7fffffffl, 0x80000001l, 0xffffffffl };
	static const long frames[] = { 0, 1, 512, 1024, 2047, 2048, 2049, 2368, 3000, 4095, 4096, 4097,
				       8192, 65536, 0x80000000l, 0xffffffffl };
	static const long headrooms[] = { 0, 1, 7, 128, 256, 320, 1536, 1791, 1792, 1793, 2048, 3840,
					  4096, 0xffffffffl };
	static const long flags[] = { 0, 1, 2, 3, 4, 5, 8, 16, 0x80000000l };
	static const long lengths[] = { 0, 1, 4095, 4096, 4097, 8192, 12345, AREA - 1, AREA + 1 };
	static const long shifts[] = { 0, 1, 8, 64, 256, 2048, 4095 };
	size_t i, j;

	for (i = 0; i < COUNT(sizes); i++) {
		P[0] = sizes[i];
		P[1] = 64;
		run(umem_of_sizes, "umem_fill_%ld", sizes[i]);
		P[0] = 64;
		P[1] = sizes[i];
		run(umem_of_sizes, "umem_comp_%ld", sizes[i]);
	}
	for (i = 0; i < COUNT(frames); i++)
		for (j = 0; j < 2; j++) {
			P[0] = frames[i];
			P[1] = 0;
			P[2] = (long)j;
			run(umem_of_frames, "umem_frame_%ld_flags_%ld", P[0], P[2]);
		}
	for (i = 0; i < COUNT(headrooms); i++)
		for (j = 0; j < 2; j++) {
			P[0] = j ? 2368 : 2048;
			P[1] = headrooms[i];
			P[2] = (long)j;
			run(umem_of_frames, "umem_headroom_%ld_of_%ld", P[1], P[0]);
		}
	for (i = 0; i < COUNT(flags); i++) {
		P[0] = 4096;
		P[1] = 0;
		P[2] = flags[i];
		run(umem_of_frames, "umem_flags_%ld", P[2]);
	}
	for (i = 0; i < COUNT(lengths); i++)
		for (j = 0; j < 2; j++) {
			ucfg.flags = j;
			ucfg.frame_size = j ? 2368 : 4096;
			P[0] = 0;
			P[1] = lengths[i];
			run(umem_of_memory, "umem_length_%ld_unaligned_%zu", P[1], j);
		}
	ucfg.flags = 0;
	ucfg.frame_size = 4096;
	for (i = 0; i < COUNT(shifts); i++)
		for (j = 0; j < 2; j++) {
			P[0] = shifts[i];
			P[1] = j ? AREA : 0;
			run(umem_of_memory, "umem_address_%ld_length_%ld", P[0], P[1]);
		}
	for (i = 1; i <= 5; i++) {
		P[0] = (long)i;
		run(umem_null, "umem_null_%ld", P[0]);
	}
	run(umem_delete_null, "umem_delete_null");
	run(umem_unmapped, "umem_unmapped");
	run(umem_again, "umem_again");
	run(umem_twice, "umem_twice");
	for (i = 0; i < 3; i++) {
		P[0] = (long)i;
		run(umem_unprivileged, "umem_unprivileged_%ld", P[0]);
	}
	for (i = 0; i < 4; i++) {
		P[0] = i & 1 ? 65536 : 0;
		P[1] = i & 2;
		run(umem_memlock, "umem_memlock_%ld_caps_%ld", P[0], P[1]);
	}
}

/* --- sockets without a program */

static void after_socket(void)
{
	say("a is NULL", "%d", a == NULL);
	if (!a)
		return;
	say("a has the umem's fd", "%d", xsk_socket__fd(a) == xsk_umem__fd(umem));
	SAY_RING(rx);
	SAY_RING(tx);
	SAY_RING(fill);
	SAY_RING(comp);
}

static void socket_null(void)
{
	new_umem();
	said("a", xsk_socket__create(P[0] == 1 ? NULL : &a, "xa", 0, P[0] == 2 ? NULL : umem,
				     P[0] == 3 || P[0] == 5 ? NULL : &rx,
				     P[0] == 4 || P[0] == 5 ? NULL : &tx, P[0] == 6 ? NULL : &scfg));
	after_socket();
	end_all();
}

static const char *names[] = {
	"", "nosuch", "xa ", "lo", "xb", "xa@xb", "fifteen-letters", "sixteen--letters", "xa/../xa",
	"a name that is much longer than an interface's name can be, by a lot",
};

static void socket_name(void)
{
	new_umem();
	DO(xsk_socket__create(&a, names[P[0]], 0, umem, &rx, &tx, &scfg));
	after_socket();
	end_all();
}

static void socket_queue(void)
{
	new_umem();
	said("a", xsk_socket__create(&a, "xa", (uint32_t)P[0], umem, &rx, &tx, P[1] ? &pcfg : &scfg));
	after_socket();
	end_all();
}

static void socket_sizes(void)
{
	new_umem();
	scfg.rx_size = (uint32_t)P[0];
	scfg.tx_size = (uint32_t)P[1];
	said("a", xsk_socket__create(&a, "xa", 0, umem, P[2] & 1 ? &rx : NULL,
				     P[2] & 2 ? &tx : NULL, &scfg));
	after_socket();
	end_all();
}

static void socket_flags(void)
{
	new_umem();
	scfg.bind_flags = (uint16_t)P[0];
	scfg.libbpf_flags = (uint32_t)P[1];
	new_socket(&scfg);
	after_socket();
	say_attached("xa");
	end_all();
}

/* What failed can be tried again at once. */
static void socket_retry(void)
{
	new_umem();
	switch (P[0]) {
	case 0: DO(xsk_socket__create(&a, "nosuch", 0, umem, &rx, &tx, &scfg)); break;
	case 1: DO(xsk_socket__create(&a, "xa", 77, umem, &rx, &tx, &scfg)); break;
	case 2: scfg.bind_flags = XDP_ZEROCOPY; new_socket(&scfg); break;
	case 3: scfg.rx_size = 3; new_socket(&scfg); break;
	case 4: scfg.tx_size = 3; new_socket(&scfg); break;
	case 5: scfg.libbpf_flags = 2; new_socket(&scfg); break;
	case 6: DO(xsk_socket__create(&a, "xa", 0, umem, NULL, NULL, &scfg)); break;
	case 7: scfg.bind_flags = 0x4000; new_socket(&scfg); break;
	case 8: pcfg.bind_flags = XDP_ZEROCOPY; new_socket(&pcfg); break;
	}
	say("a is NULL", "%d", a == NULL);
	say_attached("xa");
	a = NULL;	/* libxdp does not write it */
	scfg.bind_flags = 0;
	scfg.rx_size = scfg.tx_size = 64;
	scfg.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD;
	if (P[1] && new_socket(&scfg) == 0) {
		after_socket();
		transmit("tx", "xb", &tx, &comp, a, 20);
	}
	end_all();
}

static void socket_after_use_of_rings(void)
{
	uint32_t idx = 0;

	new_umem();
	feed(&fill, 0, 16, 4096);
	say("reserve", "%u", xsk_ring_prod__reserve(&fill, 5, &idx));
	say("idx", "%u", idx);
	SAY_RING(fill);
	SAY_COUNTERS(fill);
	say("peek", "%u", xsk_ring_cons__peek(&comp, 5, &idx));
	switch (P[0]) {
	case 0:
		new_socket(&scfg);
		break;
	case 1:
		said("a", xsk_socket__create_shared(&a, "xa", 0, umem, &rx, &tx, &fill2, &comp2,
						    &scfg));
		SAY_RING(fill2);
		SAY_RING(comp2);
		if (a)
			SAY_COUNTERS(fill2);
		break;
	case 2:
		said("a", xsk_socket__create_shared(&a, "xa", 0, umem, &rx, &tx, &fill, &comp,
						    &scfg));
		break;
	}
	after_socket();
	end_all();
}

static void socket_delete_orders(void)
{
	new_umem();
	new_socket(&scfg);
	DO(xsk_umem__delete(umem));
	DO(xsk_umem__delete(umem));
	DELETE(a);
	end_all();
}

/* What a failure does to the caller's handle. */
static void socket_written(void)
{
	struct xsk_socket *was = (struct xsk_socket *)(uintptr_t)16;

	a = was;
	new_umem();
	if (P[0] == 0)
		DO(xsk_socket__create(&a, "nosuch", 0, umem, &rx, &tx, &scfg));
	else
		DO(xsk_socket__create(&a, "xa", 9, umem, &rx, &tx, &scfg));
	say("a after failure", "%s", a == was ? "as before" : a ? "another" : "NULL");
	a = NULL;
	end_all();
}

static void socket_twice(void)
{
	new_umem();
	new_socket(&scfg);
	DELETE(a);
	memset(&fill2, 0, sizeof(fill2));
	said("again", xsk_socket__create_shared(&a, "xa", (uint32_t)P[0], umem, &rx, &tx, &fill2,
						&comp2, &scfg));
	after_socket();
	end_all();
}

static void socket_taken(void)
{
	struct xsk_umem *other = NULL;

	new_umem();
	new_socket(&scfg);
	DO(xsk_umem__create(&other, area + AREA, AREA, &fill2, &comp2, &ucfg));
	DO(xsk_socket__create(&b, "xa", 0, other, &rx2, &tx2, &scfg));
	b = NULL;
	DELETE(a);
	nap_ms(50);
	DO(xsk_socket__create(&b, "xa", 0, other, &rx2, &tx2, &scfg));
	if (b)
		DELETE(b);
	DO(xsk_umem__delete(other));
	end_all();
}

static void socket_down(void)
{
	shell("ip link set dev xa down");
	new_umem();
	new_socket(P[0] ? &pcfg : &scfg);
	after_socket();
	end_all();
}

static void socket_gone(void)
{
	new_umem();
	new_socket(P[0] ? &pcfg : &scfg);
	shell("ip link delete dev xa");
	DO(xsk_umem__delete(umem));
	end_all();
}

static void socket_scenarios(void)
{
	static const long sizes[] = { 0, 1, 2, 3, 4, 63, 64, 100, 2048, 65536, 1 << 20, 0x80000001l,
				      0xffffffffl };
	static const long queues[] = { 0, 1, 2, 3, 64, 65535, 0x7fffffff, 0xffffffffl };
	static const long bind_flags[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 24, 26,
					   32, 64, 0x8000, 0xffff };
	static const long flags[] = { 0, 2, 3, 4, 0x80000000l };
	size_t i, j;

	for (i = 1; i <= 6; i++) {
		P[0] = (long)i;
		run(socket_null, "socket_null_%zu", i);
	}
	for (i = 0; i < COUNT(names); i++) {
		P[0] = (long)i;
		run(socket_name, "socket_name_%zu", i);
	}
	for (i = 0; i < COUNT(queues); i++)
		for (j = 0; j < 2; j++) {
			P[0] = queues[i];
			P[1] = (long)j;
			run(socket_queue, "socket_queue_%ld_program_%zu", P[0], j);
		}
	for (i = 0; i < COUNT(sizes); i++) {
		for (P[2] = 1; P[2] <= 3; P[2]++) {
			P[0] = sizes[i];
			P[1] = 64;
			run(socket_sizes, "socket_rx_%ld_rings_%ld", P[0], P[2]);
			P[0] = 64;
			P[1] = sizes[i];
			run(socket_sizes, "socket_tx_%ld_rings_%ld", P[1], P[2]);
		}
	}
	for (i = 0; i < COUNT(bind_flags); i++) {
		P[0] = bind_flags[i];
		P[1] = 1;
		run(socket_flags, "socket_bind_%ld", P[0]);
	}
	for (i = 0; i < COUNT(flags); i++) {
		P[0] = 0;
		P[1] = flags[i];
		run(socket_flags, "socket_flags_%ld", P[1]);
	}
	for (P[0] = 0; P[0] <= 8; P[0]++)
		for (P[1] = 0; P[1] < 2; P[1]++)
			run(socket_retry, "socket_retry_%ld_%ld", P[0], P[1]);
	for (P[0] = 0; P[0] < 3; P[0]++)
		run(socket_after_use_of_rings, "socket_after_use_of_rings_%ld", P[0]);
	run(socket_delete_orders, "socket_delete_orders");
	for (P[0] = 0; P[0] < 2; P[0]++) {
		run(socket_twice, "socket_twice_%ld", P[0]);
		run(socket_written, "socket_written_%ld", P[0]);
		run(socket_down, "socket_down_%ld", P[0]);
		run(socket_gone, "socket_gone_%ld", P[0]);
	}
	run(socket_taken, "socket_taken");
}

/* --- shared UMEMs */

static const char *where(long at)
{
	return at < 2 ? "xa" : "xb";
}

/* P: place of the second socket (queue, +2: the other interface), its fill and comp
 * (0 none, 1 its own, 2 only fill, 3 only comp, 4 the first's), order of deletes.
 */
static void shared_pair(void)
{
	struct xsk_ring_prod *f = P[1] == 1 || P[1] == 2 ? &fill2 : P[1] == 4 ? &fill : NULL;
	struct xsk_ring_cons *m = P[1] == 1 || P[1] == 3 ? &comp2 : P[1] == 4 ? &comp : NULL;

	new_umem();
	new_socket(&scfg);
	feed(&fill, 0, 8, 4096);
	said("b", xsk_socket__create_shared(&b, where(P[0]), P[0] & 1, umem, &rx2, &tx2, f, m,
					    &scfg));
	say("b is NULL", "%d", b == NULL);
	if (b) {
		say("b has the umem's fd", "%d", xsk_socket__fd(b) == xsk_umem__fd(umem));
		SAY_RING(rx2);
		SAY_RING(tx2);
	}
	SAY_RING(fill2);
	SAY_RING(comp2);
	SAY_RING(fill);
	if (b && P[0] == 0)
		transmit("tx of b", "xb", &tx2, &comp, b, 8);
	else if (b && m && P[0] != 3)	/* xb has one queue for that */
		transmit("tx of b", P[0] < 2 ? "xb" : "xa", &tx2, m, b, 8);
	if (P[2] == 1 && b)
		DELETE(b);
	if (P[2] == 2)
		DELETE(a);
	if (DO(xsk_umem__delete(umem)) == 0)
		umem = NULL;
	/* A third in the place of the one that went. */
	if (P[2] == 1 && P[1] == 1 && umem) {
		said("c", xsk_socket__create_shared(&c, where(P[0]), P[0] & 1, umem, &rx3, &tx3,
						    &fill3, &comp3, &scfg));
		if (c)
			DELETE(c);
	}
	end_all();
}

static void shared_first(void)
{
	struct xsk_ring_prod *f = P[0] == 1 || P[0] == 2 ? &fill2 : P[0] == 4 ? &fill : NULL;
	struct xsk_ring_cons *m = P[0] == 1 || P[0] == 3 ? &comp2 : P[0] == 4 ? &comp : NULL;

	new_umem();
	said("a", xsk_socket__create_shared(&a, "xa", 0, umem, &rx, &tx, f, m, &scfg));
	after_socket();
	SAY_RING(fill2);
	SAY_RING(comp2);
	if (a)
		transmit("tx", "xb", &tx, m ? m : &comp, a, 8);
	end_all();
}

/* The saved rings and the other ones were used by the first; where are they next? */
static void shared_saved(void)
{
	new_umem();
	said("a", xsk_socket__create_shared(&a, "xa", 0, umem, &rx, &tx, &fill2, &comp2, &scfg));
	said("b", xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, &tx2, P[0] ? &fill : &fill3,
					    P[0] ? &comp : &comp3, &scfg));
	if (b)
		SAY_RING(rx2);
	if (b)
		transmit("tx of b", "xb", &tx2, P[0] ? &comp : &comp3, b, 8);
	end_all();
}

/* Shared-memory flags of the second socket's own. */
static void shared_flags(void)
{
	new_umem();
	scfg.bind_flags = XDP_COPY;
	new_socket(&scfg);
	scfg.bind_flags = (uint16_t)P[0];
	said("b", xsk_socket__create_shared(&b, "xa", P[1], umem, &rx2, &tx2, &fill2, &comp2, &scfg));
	b = b && xsk_socket__fd(b) > 0 ? b : NULL;
	end_all();
}

static void shared_errors(void)
{
	new_umem();
	new_socket(&scfg);
	switch (P[0]) {
	case 0: DO(xsk_socket__create_shared(&b, "nosuch", 0, umem, &rx2, &tx2, &fill2, &comp2, &scfg)); break;
	case 1: DO(xsk_socket__create_shared(&b, "xa", 7, umem, &rx2, &tx2, &fill2, &comp2, &scfg)); break;
	case 2: DO(xsk_socket__create_shared(&b, "xa", 1, umem, NULL, NULL, &fill2, &comp2, &scfg)); break;
	case 3: scfg.rx_size = 3; DO(xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, &tx2, &fill2, &comp2, &scfg)); break;
	case 4: scfg.libbpf_flags = 8; DO(xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, &tx2, &fill2, &comp2, &scfg)); break;
	case 5: DO(xsk_socket__create(&b, "xa", 1, umem, &rx2, &tx2, &scfg)); break;
	case 6: DO(xsk_socket__create(&b, "xb", 0, umem, &rx2, &tx2, &scfg)); break;
	case 7: DO(xsk_socket__create_shared(NULL, "xa", 1, umem, &rx2, &tx2, &fill2, &comp2, &scfg)); break;
	case 8: DO(xsk_socket__create_shared(&b, "xa", 1, NULL, &rx2, &tx2, &fill2, &comp2, &scfg)); break;
	}
	say("b is NULL", "%d", b == NULL);
	scfg.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD;
	scfg.rx_size = 64;
	b = NULL;
	said("b again", xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, &tx2, &fill2, &comp2, &scfg));
	if (b)
		transmit("tx of b", "xb", &tx2, &comp2, b, 8);
	transmit("tx of a", "xb", &tx, &comp, a, 8);
	end_all();
}

/* Many on one queue, deleted in one order or the other. */
static void shared_many(void)
{
	static struct xsk_ring_cons rxs[8];
	static struct xsk_ring_prod txs[8];
	struct xsk_socket *sockets[8] = { NULL };
	int i;

	new_umem();
	for (i = 0; i < 8; i++)
		DO(xsk_socket__create(&sockets[i], "xa", 0, umem, &rxs[i], &txs[i], &scfg));
	for (i = 0; i < 8; i++) {
		DO(xsk_umem__delete(umem));
		transmit("tx", "xb", &txs[P[0] ? 7 - i : i], &comp, sockets[P[0] ? 7 - i : i], 4);
		xsk_socket__delete(sockets[P[0] ? 7 - i : i]);
	}
	end_all();
}

/* An interface of the same name, index and queue in another network namespace. */
static void shared_namespaces(void)
{
	unsigned int index = if_nametoindex("xa");
	int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	new_umem();
	new_socket(P[0] & 2 ? &pcfg : &scfg);
	enter_namespace();
	make_pair("xa", "xb", 2);
	say("same index", "%d", if_nametoindex("xa") == index);
	said("b", xsk_socket__create_shared(&b, "xa", 0, umem, &rx2, &tx2, P[0] & 1 ? &fill2 : NULL,
					    P[0] & 1 ? &comp2 : NULL, P[0] & 2 ? &pcfg : &scfg));
	say_attached("xa");
	if (b) {
		feed(&fill2, 0, 32, ucfg.frame_size);
		if (P[0] & 2)
			receive("rx of b", "xb", &rx2, b, 8, 1);
		transmit("tx of b", "xb", &tx2, &comp2, b, 8);
		DELETE(b);
	}
	say_attached("xa");
	end_all();
	/* Deleted from elsewhere: its program goes all the same. */
	if (setns(before, CLONE_NEWNET) != 0)
		DIE("setns");
	close(before);
	say_attached("xa");
}

/* The descriptor of the UMEM in two sockets' lives, and rings of other sizes. */
static void shared_sizes(void)
{
	new_umem();
	new_socket(&scfg);
	scfg.rx_size = (uint32_t)P[0];
	scfg.tx_size = (uint32_t)P[1];
	said("b", xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, P[1] ? &tx2 : NULL, &fill2,
					    &comp2, &scfg));
	SAY_RING(rx2);
	SAY_RING(tx2);
	SAY_RING(fill2);
	SAY_RING(comp2);
	if (b && P[1])
		transmit("tx of b", "xb", &tx2, &comp2, b, 4);
	end_all();
}

static void shared_scenarios(void)
{
	static const long sizes[][2] = { { 8, 8 }, { 4096, 16 }, { 16, 4096 }, { 64, 0 }, { 1, 4 } };
	size_t i;

	for (P[0] = 0; P[0] < 4; P[0]++)
		run(shared_namespaces, "shared_namespaces_%ld", P[0]);
	for (i = 0; i < COUNT(sizes); i++) {
		P[0] = sizes[i][0];
		P[1] = sizes[i][1];
		run(shared_sizes, "shared_sizes_%ld_%ld", P[0], P[1]);
	}
	for (P[0] = 0; P[0] < 4; P[0]++)
		for (P[1] = 0; P[1] < 4; P[1]++)
			for (P[2] = 0; P[2] < 3; P[2]++)
				run(shared_pair, "shared_pair_at_%ld_rings_%ld_order_%ld", P[0], P[1], P[2]);
	for (P[0] = 0; P[0] < 5; P[0]++)
		run(shared_first, "shared_first_%ld", P[0]);
	for (P[0] = 0; P[0] < 2; P[0]++) {
		run(shared_saved, "shared_saved_%ld", P[0]);
		run(shared_many, "shared_many_%ld", P[0]);
	}
	for (P[0] = 0; P[0] <= 8; P[0]++)
		run(shared_errors, "shared_errors_%ld", P[0]);
	for (P[1] = 0; P[1] < 2; P[1]++)
		for (P[0] = 0; P[0] <= 9; P[0]++)
			run(shared_flags, "shared_flags_%ld_queue_%ld", P[0], P[1]);
}

/* --- rings */

static void ring_helpers(void)
{
	uint32_t idx = 99, i;

	ucfg.fill_size = ucfg.comp_size = 8;
	new_umem();
	for (i = 0; i < 5; i++) {
		say("reserve 3", "%u", xsk_ring_prod__reserve(&fill, 3, &idx));
		say("idx", "%u", idx);
	}
	say("free", "%u", xsk_prod_nb_free(&fill, 1));
	say("free", "%u", xsk_prod_nb_free(&fill, 8));
	say("reserve 2", "%u", xsk_ring_prod__reserve(&fill, 2, &idx));
	say("reserve 0", "%u", xsk_ring_prod__reserve(&fill, 0, &idx));
	say("reserve 9", "%u", xsk_ring_prod__reserve(&fill, 9, &idx));
	say("address", "%td", (char *)xsk_ring_prod__fill_addr(&fill, 11) - (char *)fill.ring);
	xsk_ring_prod__submit(&fill, 3);
	SAY_COUNTERS(fill);
	say("wakeup", "%d", xsk_ring_prod__needs_wakeup(&fill));
	/* A completion ring that the kernel has written five entries to. */
	*comp.producer = 5;
	say("avail", "%u", xsk_cons_nb_avail(&comp, 3));
	say("peek 3", "%u", xsk_ring_cons__peek(&comp, 3, &idx));
	say("idx", "%u", idx);
	say("peek 9", "%u", xsk_ring_cons__peek(&comp, 9, &idx));
	say("idx", "%u", idx);
	say("peek 1", "%u", xsk_ring_cons__peek(&comp, 1, &idx));
	xsk_ring_cons__cancel(&comp, 2);
	SAY_RING(comp);
	say("peek 9", "%u", xsk_ring_cons__peek(&comp, 9, &idx));
	xsk_ring_cons__release(&comp, 5);
	SAY_COUNTERS(comp);
	say("address", "%td", (char *)xsk_ring_cons__comp_addr(&comp, 9) - (char *)comp.ring);
	say("extract", "%llx %llx %llx", (unsigned long long)xsk_umem__extract_addr(0x12345678abcdef01),
	    (unsigned long long)xsk_umem__extract_offset(0x12345678abcdef01),
	    (unsigned long long)xsk_umem__add_offset_to_addr(0x12345678abcdef01));
	end_all();
}

/* Structs that were not zero: what is written and what is not. */
static void ring_poisoned(void)
{
	memset(&fill, 0x5a, sizeof(fill));
	memset(&comp, 0x5a, sizeof(comp));
	memset(&rx, 0x5a, sizeof(rx));
	memset(&tx, 0x5a, sizeof(tx));
	memset(&fill2, 0x5a, sizeof(fill2));
	memset(&comp2, 0x5a, sizeof(comp2));
	new_umem();
	say("fill", "cached_cons %u mask %#x size %u", fill.cached_cons, fill.mask, fill.size);
	say("comp", "mask %#x size %u", comp.mask, comp.size);
	new_socket(&scfg);
	SAY_RING(rx);
	SAY_RING(tx);
	said("b", xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, &tx2, &fill2, &comp2, &scfg));
	say("fill2", "cached_cons %u mask %#x size %u", fill2.cached_cons, fill2.mask, fill2.size);
	say("comp2", "mask %#x size %u", comp2.mask, comp2.size);
	end_all();
}

/* The copies of the helpers that the library itself has. */
static void ring_exports(void)
{
	static const char *const exports[] = {
		"xsk_cons_nb_avail", "xsk_prod_nb_free", "xsk_ring_cons__cancel",
		"xsk_ring_cons__comp_addr", "xsk_ring_cons__peek", "xsk_ring_cons__release",
		"xsk_ring_cons__rx_desc", "xsk_ring_prod__fill_addr", "xsk_ring_prod__needs_wakeup",
		"xsk_ring_prod__reserve", "xsk_ring_prod__submit", "xsk_ring_prod__tx_desc",
		"xsk_setup_xdp_prog", "xsk_socket__create", "xsk_socket__create_shared",
		"xsk_socket__delete", "xsk_socket__fd", "xsk_socket__update_xskmap",
		"xsk_umem__add_offset_to_addr", "xsk_umem__create", "xsk_umem__delete",
		"xsk_umem__extract_addr", "xsk_umem__extract_offset", "xsk_umem__fd",
		"xsk_umem__get_data",
	};
	size_t i;

	for (i = 0; i < COUNT(exports); i++)
		say(exports[i], "%d", dlvsym(RTLD_DEFAULT, exports[i], "LIBXDP_1.2.0") != NULL);
}

static void *export(const char *name)
{
	void *function = dlsym(RTLD_DEFAULT, name);

	if (!function)
		DIE("%s", name);
	return function;
}

static void ring_exports_work(void)
{
	uint32_t (*reserve)(struct xsk_ring_prod *, uint32_t, uint32_t *);
	void (*submit)(struct xsk_ring_prod *, uint32_t);
	uint32_t (*peek)(struct xsk_ring_cons *, uint32_t, uint32_t *);
	void (*release)(struct xsk_ring_cons *, uint32_t), (*cancel)(struct xsk_ring_cons *, uint32_t);
	uint64_t *(*fill_addr)(struct xsk_ring_prod *, uint32_t);
	const uint64_t *(*comp_addr)(const struct xsk_ring_cons *, uint32_t);
	const struct xdp_desc *(*rx_desc)(const struct xsk_ring_cons *, uint32_t);
	struct xdp_desc *(*tx_desc)(struct xsk_ring_prod *, uint32_t);
	uint32_t (*nb_free)(struct xsk_ring_prod *, uint32_t);
	uint32_t (*nb_avail)(struct xsk_ring_cons *, uint32_t);
	int (*needs_wakeup)(const struct xsk_ring_prod *);
	void *(*get_data)(void *, uint64_t);
	uint64_t (*one)(uint64_t);
	uint32_t idx = 99;
	int i;

	*(void **)&reserve = export("xsk_ring_prod__reserve");
	*(void **)&submit = export("xsk_ring_prod__submit");
	*(void **)&peek = export("xsk_ring_cons__peek");
	*(void **)&release = export("xsk_ring_cons__release");
	*(void **)&cancel = export("xsk_ring_cons__cancel");
	*(void **)&fill_addr = export("xsk_ring_prod__fill_addr");
	*(void **)&comp_addr = export("xsk_ring_cons__comp_addr");
	*(void **)&rx_desc = export("xsk_ring_cons__rx_desc");
	*(void **)&tx_desc = export("xsk_ring_prod__tx_desc");
	*(void **)&nb_free = export("xsk_prod_nb_free");
	*(void **)&nb_avail = export("xsk_cons_nb_avail");
	*(void **)&needs_wakeup = export("xsk_ring_prod__needs_wakeup");
	*(void **)&get_data = export("xsk_umem__get_data");
	ucfg.fill_size = ucfg.comp_size = 8;
	scfg.bind_flags = XDP_USE_NEED_WAKEUP;
	new_umem();
	new_socket(&scfg);
	for (i = 0; i < 4; i++)
		say("reserve", "%u idx %u", reserve(&fill, 3, &idx), idx);
	say("free", "%u", nb_free(&fill, 1));
	submit(&fill, 4);
	SAY_COUNTERS(fill);
	*comp.producer = 6;
	say("avail", "%u", nb_avail(&comp, 4));
	say("peek", "%u idx %u", peek(&comp, 4, &idx), idx);
	say("peek", "%u idx %u", peek(&comp, 4, &idx), idx);
	cancel(&comp, 1);
	say("peek", "%u idx %u", peek(&comp, 4, &idx), idx);
	release(&comp, 6);
	SAY_COUNTERS(comp);
	say("fill_addr", "%td", (char *)fill_addr(&fill, 10) - (char *)fill.ring);
	say("comp_addr", "%td", (const char *)comp_addr(&comp, 10) - (char *)comp.ring);
	say("rx_desc", "%td", (const char *)rx_desc(&rx, 67) - (char *)rx.ring);
	say("tx_desc", "%td", (char *)tx_desc(&tx, 67) - (char *)tx.ring);
	say("needs_wakeup", "%d %d", needs_wakeup(&fill), needs_wakeup(&tx));
	say("get_data", "%td", (char *)get_data(area, 77) - (char *)area);
	*(void **)&one = export("xsk_umem__extract_addr");
	say("extract_addr", "%llx", (unsigned long long)one(0x12345678abcdef01));
	*(void **)&one = export("xsk_umem__extract_offset");
	say("extract_offset", "%llx", (unsigned long long)one(0x12345678abcdef01));
	*(void **)&one = export("xsk_umem__add_offset_to_addr");
	say("add_offset", "%llx", (unsigned long long)one(0x12345678abcdef01));
	end_all();
}

static void ring_scenarios(void)
{
	run(ring_helpers, "ring_helpers");
	run(ring_poisoned, "ring_poisoned");
	run(ring_exports, "ring_exports");
	run(ring_exports_work, "ring_exports_work");
}

/* --- traffic through the caller's own map and program */

static int own_program(uint32_t flags, uint32_t entries, const char *name)
{
	int map = make_map(BPF_MAP_TYPE_XSKMAP, entries, name), program = load_redirect(map);
	int error = attach(program, "xa", flags);

	if (error)
		DIE("attach %d", error);
	close(program);
	return map;
}

static void own_traffic(void)
{
	int map = own_program(P[0] ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, 2, "own_map");

	scfg.bind_flags = (uint16_t)P[1];
	new_umem();
	new_socket(&scfg);
	feed(&fill, 0, 32, ucfg.frame_size);
	receive("rx before the map", "xb", &rx, a, 4, 0);
	said("update", xsk_socket__update_xskmap(a, map));
	receive("rx", "xb", &rx, a, 20, 1);
	transmit("tx", "xb", &tx, &comp, a, 20);
	close(map);
	DELETE(a);
	say_attached("xa");
	attach(-1, "xa", 0);
	end_all();
}

static void own_frames(void)
{
	int map = own_program(XDP_FLAGS_DRV_MODE, 2, "own_map");

	ucfg.frame_size = (uint32_t)P[0];
	ucfg.frame_headroom = (uint32_t)P[1];
	ucfg.flags = (uint32_t)P[2];
	said("umem", xsk_umem__create(&umem, area, (uint64_t)P[3], &fill, &comp, &ucfg));
	if (umem && new_socket(&scfg) == 0) {
		said("update", xsk_socket__update_xskmap(a, map));
		feed(&fill, 0, 32, ucfg.frame_size);
		receive("rx", "xb", &rx, a, 20, 1);
		transmit("tx", "xb", &tx, &comp, a, 20);
	}
	close(map);
	attach(-1, "xa", 0);
	end_all();
}

/* More than fits into the rings, in turns. */
static void own_wraps(void)
{
	int map = own_program(XDP_FLAGS_DRV_MODE, 2, "own_map"), i;

	ucfg.fill_size = ucfg.comp_size = 32;
	scfg.rx_size = scfg.tx_size = 32;
	new_umem();
	new_socket(&scfg);
	said("update", xsk_socket__update_xskmap(a, map));
	for (i = 0; i < 5; i++) {
		feed(&fill, 0, 20, ucfg.frame_size);
		receive("rx", "xb", &rx, a, 20, 1);
		transmit("tx", "xb", &tx, &comp, a, 20);
	}
	SAY_RING(fill);
	SAY_RING(comp);
	SAY_RING(rx);
	SAY_RING(tx);
	close(map);
	attach(-1, "xa", 0);
	end_all();
}

static void own_map_errors(void)
{
	int map = -1;

	new_umem();
	said("a", xsk_socket__create(&a, "xa", P[1], umem, P[2] & 1 ? &rx : NULL, P[2] & 2 ? &tx : NULL,
				     &scfg));
	switch (P[0]) {
	case 0: break;
	case 1: map = 999; break;
	case 2: map = open("/dev/null", O_RDONLY); break;
	case 3: map = make_map(BPF_MAP_TYPE_ARRAY, 2, "array"); break;
	case 4: map = make_map(BPF_MAP_TYPE_HASH, 2, "hash"); break;
	case 5: map = make_map(BPF_MAP_TYPE_XSKMAP, 1, "small"); break;
	case 6: map = make_map(BPF_MAP_TYPE_XSKMAP, 64, "good"); break;
	}
	said("update", xsk_socket__update_xskmap(a, map));
	said("update again", xsk_socket__update_xskmap(a, map));
	if (P[0] > 1)
		close(map);
	end_all();
}

/* Two sockets on one queue, the map names one after the other. */
static void own_change(void)
{
	int map = own_program(XDP_FLAGS_DRV_MODE, 2, "own_map");

	new_umem();
	new_socket(&scfg);
	said("b", xsk_socket__create(&b, "xa", 0, umem, &rx2, &tx2, &scfg));
	said("update", xsk_socket__update_xskmap(a, map));
	feed(&fill, 0, 64, ucfg.frame_size);
	receive("rx of a", "xb", &rx, a, 10, 1);
	said("update", xsk_socket__update_xskmap(b, map));
	receive("rx of b", "xb", &rx2, b, 10, 1);
	DELETE(b);
	said("update", xsk_socket__update_xskmap(a, map));
	receive("rx of a", "xb", &rx, a, 10, 1);
	close(map);
	attach(-1, "xa", 0);
	end_all();
}

static void own_scenarios(void)
{
	static const long frames[][4] = {
		{ 2048, 0, 0, AREA }, { 4096, 0, 0, AREA }, { 2048, 128, 0, AREA }, { 4096, 320, 0, AREA },
		{ 4096, 1, 0, AREA }, { 2048, 0, 1, AREA }, { 2368, 0, 1, AREA },
		{ 2368, 320, 1, AREA }, { 2368, 320, 1, AREA - 1111 }, { 3000, 100, 1, AREA - 7 },
		{ 2368, 320, 1, 2 * AREA + 4444 }, { 2048, 0, 0, AREA - 1 },
	};
	static const long flags[] = { 0, XDP_COPY, XDP_USE_NEED_WAKEUP, XDP_COPY | XDP_USE_NEED_WAKEUP };
	size_t i;

	for (P[0] = 0; P[0] < 2; P[0]++)
		for (i = 0; i < COUNT(flags); i++) {
			P[1] = flags[i];
			run(own_traffic, "own_traffic_skb_%ld_flags_%ld", P[0], P[1]);
		}
	for (i = 0; i < COUNT(frames); i++) {
		memcpy(P, frames[i], sizeof(frames[i]));
		run(own_frames, "own_frames_%ld_%ld_%ld_%ld", P[0], P[1], P[2], P[3]);
	}
	run(own_wraps, "own_wraps");
	for (P[0] = 0; P[0] <= 6; P[0]++)
		for (P[1] = 0; P[1] < 2; P[1]++) {
			P[2] = 3;
			run(own_map_errors, "own_map_errors_%ld_queue_%ld", P[0], P[1]);
		}
	for (P[2] = 1; P[2] < 3; P[2]++) {
		P[0] = 6;
		P[1] = 0;
		run(own_map_errors, "own_map_rings_%ld", P[2]);
	}
	run(own_change, "own_change");
}

/* --- the default program */

static void program_flags(void)
{
	pcfg.xdp_flags = (uint32_t)P[0];
	new_umem();
	new_socket(&pcfg);
	after_socket();
	say_attached("xa");
	say_attached("xb");
	if (a)
		both_ways();
	if (a)
		DELETE(a);
	say_attached("xa");
	end_all();
}

static void program_rings(void)
{
	new_umem();
	said("a", xsk_socket__create(&a, "xa", 0, umem, P[0] & 1 ? &rx : NULL, P[0] & 2 ? &tx : NULL,
				     P[1] ? NULL : &pcfg));
	say_attached("xa");
	feed(&fill, 0, 32, ucfg.frame_size);
	if (P[0] & 1)
		receive("rx", "xb", &rx, a, 20, 1);
	if (P[0] & 2)
		transmit("tx", "xb", &tx, &comp, a, 20);
	end_all();
}

/* An interface that has a program already. */
static void program_before(void)
{
	uint32_t mode = P[0] & 1 ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	int map = -1;

	if (P[0] & 2) {
		map = own_program(mode, 2, P[0] & 4 ? "own_map" : "xsks_map");
	} else {
		int program = load_pass();

		if (attach(program, "xa", mode) != 0)
			DIE("attach");
		close(program);
	}
	pcfg.xdp_flags = (uint32_t)P[1];
	new_umem();
	new_socket(&pcfg);
	say("a is NULL", "%d", a == NULL);
	say_attached("xa");
	if (a)
		both_ways();
	if (a)
		DELETE(a);
	say_attached("xa");
	attach(-1, "xa", 0);
	if (map >= 0)
		close(map);
	end_all();
}

/* Somebody else detaches or replaces it while the socket is open. */
static void program_taken_away(void)
{
	new_umem();
	new_socket(&pcfg);
	say_attached("xa");
	said("detach", attach(-1, "xa", P[0] & 1 ? XDP_FLAGS_DRV_MODE : 0));
	say_attached("xa");
	if (P[0] & 2) {
		int program = load_pass();

		said("attach", attach(program, "xa", 0));
		close(program);
	}
	DELETE(a);
	say_attached("xa");
	attach(-1, "xa", 0);
	end_all();
}

static void program_two_queues(void)
{
	new_umem();
	new_socket(&pcfg);
	said("b", xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, &tx2, &fill2, &comp2, &pcfg));
	say_attached("xa");
	feed(&fill, 0, 32, ucfg.frame_size);
	if (b)
		feed(&fill2, AREA / 4, 32, ucfg.frame_size);
	if (P[0]) {
		DELETE(a);
		say_attached("xa");
		if (b)
			transmit("tx of b", "xb", &tx2, &comp2, b, 8);
	} else if (b) {
		DELETE(b);
		say_attached("xa");
		receive("rx of a", "xb", &rx, a, 4, 1);
	}
	end_all();
	say_attached("xa");
}

static void program_two_interfaces(void)
{
	new_umem();
	new_socket(&pcfg);
	said("b", xsk_socket__create_shared(&b, "xb", 0, umem, &rx2, &tx2, &fill2, &comp2, &pcfg));
	say_attached("xa");
	say_attached("xb");
	if (P[0])
		DELETE(a);
	else if (b)
		DELETE(b);
	say_attached("xa");
	say_attached("xb");
	end_all();
	say_attached("xa");
	say_attached("xb");
}

/* Two on one queue. */
static void program_one_queue(void)
{
	new_umem();
	new_socket(&pcfg);
	said("b", xsk_socket__create(&b, "xa", 0, umem, &rx2, &tx2, &pcfg));
	say_attached("xa");
	feed(&fill, 0, 32, ucfg.frame_size);
	if (b)
		receive("rx of b", "xb", &rx2, b, 8, 1);
	if (P[0] && b) {
		DELETE(b);
		say_attached("xa");
	} else if (!P[0]) {
		DELETE(a);
		say_attached("xa");
		receive("rx of b", "xb", &rx2, b, 8, 1);
	}
	end_all();
}

static void program_other_umem(void)
{
	struct xsk_umem *other = NULL;

	new_umem();
	new_socket(&pcfg);
	DO(xsk_umem__create(&other, area + AREA, AREA, &fill2, &comp2, &ucfg));
	said("b", xsk_socket__create(&b, "xa", 1, other, &rx2, &tx2, &pcfg));
	say_attached("xa");
	DELETE(a);
	say_attached("xa");
	if (b)
		DELETE(b);
	say_attached("xa");
	DO(xsk_umem__delete(other));
	end_all();
}

/* With and without the program on one interface. */
static void program_and_inhibit(void)
{
	new_umem();
	new_socket(P[0] ? &scfg : &pcfg);
	said("b", xsk_socket__create_shared(&b, "xa", 1, umem, &rx2, &tx2, &fill2, &comp2,
					    P[0] ? &pcfg : &scfg));
	say_attached("xa");
	DELETE(a);
	say_attached("xa");
	end_all();
}

static void program_again(void)
{
	int i;

	new_umem();
	for (i = 0; i < 3; i++) {
		new_socket(&pcfg);
		say_attached("xa");
		DELETE(a);
		say_attached("xa");
		DO(xsk_umem__delete(umem));
		umem = NULL;
		nap_ms((unsigned int)P[0]);
		new_umem();
	}
	end_all();
}

static void program_setup(void)
{
	int map = -7, again = -7, index = (int)if_nametoindex("xa");

	switch (P[0]) {
	case 0:
		DO(xsk_setup_xdp_prog(index, &map));
		say("map", "%d", map > 2);
		say_attached("xa");
		new_umem();
		new_socket(&scfg);
		said("update", xsk_socket__update_xskmap(a, map));
		both_ways();
		break;
	case 1:
		DO(xsk_setup_xdp_prog(0, &map));
		DO(xsk_setup_xdp_prog(-1, &map));
		DO(xsk_setup_xdp_prog(9999, &map));
		say("map", "%d", map);
		break;
	case 2:
		DO(xsk_setup_xdp_prog(index, &map));
		DO(xsk_setup_xdp_prog(index, &again));
		say("maps", "%d %d %d", map > 2, again > 2, map == again);
		say_attached("xa");
		break;
	case 3:
		DO(xsk_setup_xdp_prog(index, &map));
		new_umem();
		new_socket(&pcfg);
		say_attached("xa");
		both_ways();
		DELETE(a);
		say_attached("xa");
		break;
	case 4:
		map = own_program(0, 2, "xsks_map");
		DO(xsk_setup_xdp_prog(index, &again));
		say("map", "%d", again > 2);
		say_attached("xa");
		break;
	case 5:
		again = load_pass();
		if (attach(again, "xa", 0) != 0)
			DIE("attach");
		DO(xsk_setup_xdp_prog(index, &map));
		say("map", "%d", map);
		close(again);
		again = -1;
		break;
	case 6:
		DO(xsk_setup_xdp_prog(index, NULL));
		say_attached("xa");
		break;
	}
	if (map > 2)
		close(map);
	if (again > 2)
		close(again);
	attach(-1, "xa", 0);
	end_all();
}

static void program_scenarios(void)
{
	static const long flags[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 18, 20, 32, 0x80000000l };
	size_t i;

	for (i = 0; i < COUNT(flags); i++) {
		P[0] = flags[i];
		run(program_flags, "program_flags_%ld", P[0]);
	}
	for (P[0] = 1; P[0] <= 3; P[0]++)
		for (P[1] = 0; P[1] < 2; P[1]++)
			run(program_rings, "program_rings_%ld_default_%ld", P[0], P[1]);
	for (P[0] = 0; P[0] < 8; P[0]++)
		if (P[0] != 4 && P[0] != 5)
			for (P[1] = 0; P[1] < 4; P[1] += 2)
				run(program_before, "program_before_%ld_flags_%ld", P[0], P[1]);
	for (P[0] = 0; P[0] < 4; P[0]++)
		run(program_taken_away, "program_taken_away_%ld", P[0]);
	for (P[0] = 0; P[0] < 2; P[0]++) {
		run(program_two_queues, "program_two_queues_%ld", P[0]);
		run(program_two_interfaces, "program_two_interfaces_%ld", P[0]);
		run(program_one_queue, "program_one_queue_%ld", P[0]);
		run(program_and_inhibit, "program_and_inhibit_%ld", P[0]);
	}
	run(program_other_umem, "program_other_umem");
	P[0] = 0;
	run(program_again, "program_again_at_once");
	P[0] = 100;
	run(program_again, "program_again_later");
	for (P[0] = 0; P[0] < 7; P[0]++)
		run(program_setup, "program_setup_%ld", P[0]);
}

int main(int argc, char **argv)
{
	(void)argc;
	wanted = argv + 1;
	umem_scenarios();
	socket_scenarios();
	shared_scenarios();
	ring_scenarios();
	own_scenarios();
	program_scenarios();
	return broken;
}
