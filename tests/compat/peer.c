/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A user of xdp/xsk.h that does what standard input says, a line each:
 *	peer IF QUEUE [inhibit]
 * It opens a socket and says `open RESULT`. Then: `rx` says how many of the test's
 * frames came so far, `tx N` sends N of them, `close` deletes both, `reason` says what
 * xsk_errmsg() has, `query` asks libbpf and libxdp what is attached (-DLIBXDP), `detach`
 * makes libbpf detach it. At the end of input it closes.
 */

#include "common.h"

#include <dlfcn.h>
#include <xdp/xsk.h>
#ifdef LIBXDP
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#endif

#define AREA (1u << 20)

static struct xsk_ring_prod fill, tx;
static struct xsk_ring_cons comp, rx;
static struct xsk_umem *umem;
static struct xsk_socket *xsk;
static uint8_t *area;
static unsigned int received;

static const char *name(int result)
{
	return result ? strerrorname_np(-result) : "0";
}

static int open_all(const char *ifname, uint32_t queue, int inhibit)
{
	struct xsk_socket_config config;
	uint32_t idx = 0, i;
	int error;

	memset(&config, 0, sizeof(config));
	config.rx_size = config.tx_size = 64;
	config.libbpf_flags = inhibit ? XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD : 0;
	area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		DIE("mmap");
	error = xsk_umem__create(&umem, area, AREA, &fill, &comp, NULL);
	if (error)
		return error;
	if (xsk_ring_prod__reserve(&fill, 64, &idx) != 64)
		DIE("fill ring");
	for (i = 0; i < 64; i++)
		*xsk_ring_prod__fill_addr(&fill, idx + i) = i * XSK_UMEM__DEFAULT_FRAME_SIZE;
	xsk_ring_prod__submit(&fill, 64);
	error = xsk_socket__create(&xsk, ifname, queue, umem, &rx, &tx, &config);
	if (error)
		xsk = NULL;
	return error;
}

static int close_all(void)
{
	int error = 0;

	xsk_socket__delete(xsk);
	xsk = NULL;
	if (umem)
		error = xsk_umem__delete(umem);
	umem = NULL;
	return error;
}

/* All that is there, given back to the fill ring. */
static void receive(void)
{
	uint32_t from = 0, to = 0, i, n = xsk_ring_cons__peek(&rx, 64, &from);

	if (n == 0 || xsk_ring_prod__reserve(&fill, n, &to) != n)
		return;
	for (i = 0; i < n; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&rx, from + i);
		uint64_t chunk = desc->addr & ~(uint64_t)(XSK_UMEM__DEFAULT_FRAME_SIZE - 1);

		received += read_frame(xsk_umem__get_data(area, desc->addr), desc->len) >= 0;
		*xsk_ring_prod__fill_addr(&fill, to + i) = chunk;
	}
	xsk_ring_cons__release(&rx, n);
	xsk_ring_prod__submit(&fill, n);
}

static unsigned int transmit(uint32_t count)
{
	uint32_t idx = 0, completed = 0, i, n;
	uint64_t until = now_ms() + 1000;

	if (count > 64 || xsk_ring_prod__reserve(&tx, count, &idx) != count)
		return 0;
	for (i = 0; i < count; i++) {
		struct xdp_desc *desc = xsk_ring_prod__tx_desc(&tx, idx + i);

		desc->addr = AREA / 2 + (uint64_t)i * XSK_UMEM__DEFAULT_FRAME_SIZE;
		desc->len = write_frame(area + desc->addr, i, 60 + i);
		desc->options = 0;
	}
	xsk_ring_prod__submit(&tx, count);
	while (completed < count && now_ms() < until) {
		sendto(xsk_socket__fd(xsk), NULL, 0, MSG_DONTWAIT, NULL, 0);
		n = xsk_ring_cons__peek(&comp, 64, &idx);
		if (n)
			xsk_ring_cons__release(&comp, n);
		completed += n;
	}
	return completed;
}

#ifdef LIBXDP
static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static void query(int ifindex)
{
	struct xdp_multiprog *programs = xdp_multiprog__get_from_ifindex(ifindex);
	__u32 id = 0;
	int error = bpf_xdp_query_id(ifindex, 0, &id);

	printf("query %s %d %d\n", name(error), id != 0, libxdp_get_error(programs) == 0);
	if (libxdp_get_error(programs) == 0)
		xdp_multiprog__close(programs);
}
#endif

int main(int argc, char **argv)
{
	struct pollfd entries[2] = { { 0, POLLIN, 0 }, { -1, POLLIN, 0 } };
	const char *(*errmsg)(void);
	unsigned int ifindex;
	char line[64];

	if (argc < 3)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ifindex = if_nametoindex(argv[1]);
#ifdef LIBXDP
	libbpf_set_print(quiet);
#endif
	printf("open %s\n", name(open_all(argv[1], (uint32_t)atoi(argv[2]),
					  argc > 3 && strcmp(argv[3], "inhibit") == 0)));
	for (;;) {
		entries[1].fd = xsk ? xsk_socket__fd(xsk) : -1;
		if (poll(entries, 2, -1) < 0)
			DIE("poll");
		if (xsk)
			receive();
		if (!entries[0].revents)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			break;
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "rx") == 0) {
			printf("rx %u\n", received);
		} else if (strncmp(line, "tx ", 3) == 0) {
			printf("tx %u\n", xsk ? transmit((uint32_t)atoi(line + 3)) : 0);
		} else if (strcmp(line, "close") == 0) {
			printf("close %s\n", name(close_all()));
		} else if (strcmp(line, "reason") == 0) {
			*(void **)&errmsg = dlsym(RTLD_DEFAULT, "xsk_errmsg");
			printf("reason %s\n", errmsg ? errmsg() : "is not told by libxdp");
#ifdef LIBXDP
		} else if (strcmp(line, "query") == 0) {
			query((int)ifindex);
		} else if (strcmp(line, "detach") == 0) {
			printf("detach %s\n", name(bpf_xdp_detach((int)ifindex, 0, NULL)));
#endif
		} else {
			printf("what? %s\n", line);
		}
	}
	(void)ifindex;
	return close_all() != 0;
}
