/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program of C89 against the header, compiled in many ways:
 * -DNATIVE=1 or 2: with <xsk.h> before or after, -DLIBBPF=1 or 2: with libbpf's headers
 * before or after, -DOLD: by libbpf's former path, -DLIBXDP: with <xdp/libxdp.h>.
 * Prints `ok` when what it uses works.
 */

#if NATIVE == 1
#include <xsk.h>
#endif
#if LIBBPF == 1
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#endif
#ifdef LIBXDP
#include <xdp/libxdp.h>
#endif
#ifdef OLD
#include <bpf/xsk.h>
#else
#include <xdp/xsk.h>
#endif
#include <xdp/xsk.h>
#if NATIVE == 2
#include <xsk.h>
#endif
#if LIBBPF == 2
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#endif

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifndef NATIVE
#define NATIVE 0
#endif

#define HOLDS(name, condition) typedef char name[(condition) ? 1 : -1]

HOLDS(prod_is_48, sizeof(struct xsk_ring_prod) == 48);
HOLDS(cons_is_48, sizeof(struct xsk_ring_cons) == 48);
HOLDS(prod_ring_at_32, offsetof(struct xsk_ring_prod, ring) == 32);
HOLDS(cons_flags_at_40, offsetof(struct xsk_ring_cons, flags) == 40);
HOLDS(umem_config_is_20, sizeof(struct xsk_umem_config) == 20);
HOLDS(socket_config_is_20, sizeof(struct xsk_socket_config) == 20);
HOLDS(bind_flags_at_16, offsetof(struct xsk_socket_config, bind_flags) == 16);
HOLDS(flags_have_two_names, offsetof(struct xsk_socket_config, libbpf_flags) == 8 &&
      offsetof(struct xsk_socket_config, libxdp_flags) == 8);
HOLDS(umem_opts_is_48, sizeof(struct xsk_umem_opts) == 48);
HOLDS(umem_opts_are_libxdps, offsetof(struct xsk_umem_opts, sz) == 0 &&
      offsetof(struct xsk_umem_opts, fd) == 8 && offsetof(struct xsk_umem_opts, size) == 16 &&
      offsetof(struct xsk_umem_opts, fill_size) == 24 &&
      offsetof(struct xsk_umem_opts, comp_size) == 28 &&
      offsetof(struct xsk_umem_opts, frame_size) == 32 &&
      offsetof(struct xsk_umem_opts, frame_headroom) == 36 &&
      offsetof(struct xsk_umem_opts, flags) == 40 &&
      offsetof(struct xsk_umem_opts, xsk_umem_opts__last_field) == 44);
HOLDS(socket_opts_is_64, sizeof(struct xsk_socket_opts) == 64);
HOLDS(socket_opts_are_libxdps, offsetof(struct xsk_socket_opts, sz) == 0 &&
      offsetof(struct xsk_socket_opts, rx) == 8 && offsetof(struct xsk_socket_opts, tx) == 16 &&
      offsetof(struct xsk_socket_opts, fill) == 24 &&
      offsetof(struct xsk_socket_opts, comp) == 32 &&
      offsetof(struct xsk_socket_opts, rx_size) == 40 &&
      offsetof(struct xsk_socket_opts, tx_size) == 44 &&
      offsetof(struct xsk_socket_opts, libxdp_flags) == 48 &&
      offsetof(struct xsk_socket_opts, xdp_flags) == 52 &&
      offsetof(struct xsk_socket_opts, xsk_socket_opts__last_field) == 56);
HOLDS(defaults, XSK_RING_CONS__DEFAULT_NUM_DESCS == 2048 &&
      XSK_RING_PROD__DEFAULT_NUM_DESCS == 2048 && XSK_UMEM__DEFAULT_FRAME_SHIFT == 12 &&
      XSK_UMEM__DEFAULT_FRAME_SIZE == 4096 && XSK_UMEM__DEFAULT_FRAME_HEADROOM == 0 &&
      XSK_UMEM__DEFAULT_FLAGS == 0 && XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD == 1 &&
      XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD == 1);

/* A ring of the program's own kind. */
DEFINE_XSK_RING(my_ring);
HOLDS(my_ring_is_48, sizeof(struct my_ring) == 48);

/* The kernel's side of a ring. */
static __u32 counters[3];
static __u64 addresses[8];
static struct xdp_desc descs[8];

static int failures;

static void check(int holds, const char *what)
{
	if (!holds) {
		printf("%s does not hold\n", what);
		failures++;
	}
}

#define CHECK(condition) check(condition, #condition)

static void set(void *to, void *entries)
{
	struct xsk_ring_prod ring;

	memset(&ring, 0, sizeof(ring));
	memset(counters, 0, sizeof(counters));
	ring.mask = 7;
	ring.size = 8;
	ring.producer = &counters[0];
	ring.consumer = &counters[1];
	ring.flags = &counters[2];
	ring.ring = entries;
	memcpy(to, &ring, sizeof(ring));
}

static void produce(void)
{
	/* The helpers are functions: their addresses can be taken. */
	__u32 (*reserve)(struct xsk_ring_prod *, __u32, __u32 *) = xsk_ring_prod__reserve;
	void (*submit)(struct xsk_ring_prod *, __u32) = &xsk_ring_prod__submit;
	struct xsk_ring_prod fill;
	__u32 idx = 99, i;

	set(&fill, addresses);
	fill.cached_cons = fill.size;
	CHECK(reserve(&fill, 9, &idx) == 0 && idx == 99);
	CHECK(xsk_ring_prod__reserve(&fill, 6, &idx) == 6 && idx == 0);
	for (i = 0; i < 6; i++)
		*xsk_ring_prod__fill_addr(&fill, idx + i) = i * XSK_UMEM__DEFAULT_FRAME_SIZE;
	submit(&fill, 6);
	CHECK(counters[0] == 6 && addresses[5] == 20480);
	CHECK(xsk_prod_nb_free(&fill, 3) == 2);
	counters[1] = 4;
	CHECK(reserve(&fill, 5, &idx) == 5 && idx == 6);
	CHECK(xsk_ring_prod__fill_addr(&fill, 9) == &addresses[1]);
	CHECK(!xsk_ring_prod__needs_wakeup(&fill));
	counters[2] = XDP_RING_NEED_WAKEUP;
	CHECK(xsk_ring_prod__needs_wakeup(&fill));
	set(&fill, descs);
	CHECK(xsk_ring_prod__tx_desc(&fill, 9) == &descs[1]);
}

static void consume(void)
{
	struct xsk_ring_cons comp;
	__u32 idx = 99;

	set(&comp, addresses);
	CHECK(xsk_ring_cons__peek(&comp, 4, &idx) == 0 && idx == 99);
	counters[0] = 5;
	CHECK(xsk_cons_nb_avail(&comp, 3) == 3);
	CHECK(xsk_ring_cons__peek(&comp, 3, &idx) == 3 && idx == 0);
	CHECK(xsk_ring_cons__peek(&comp, 8, &idx) == 2 && idx == 3);
	CHECK(*xsk_ring_cons__comp_addr(&comp, 11) == addresses[3]);
	xsk_ring_cons__cancel(&comp, 1);
	CHECK(xsk_ring_cons__peek(&comp, 8, &idx) == 1 && idx == 4);
	xsk_ring_cons__release(&comp, 5);
	CHECK(counters[1] == 5);
	set(&comp, descs);
	CHECK(xsk_ring_cons__rx_desc(&comp, 15) == &descs[7]);
}

static void address(void)
{
	char area[16];
	__u64 offset = (__u64)3 << XSK_UNALIGNED_BUF_OFFSET_SHIFT;

	CHECK(xsk_umem__get_data(area, 5) == area + 5);
	CHECK(xsk_umem__extract_addr(offset | 7) == 7);
	CHECK(xsk_umem__extract_offset(offset | 7) == 3);
	CHECK(xsk_umem__add_offset_to_addr(offset | 7) == 10);
	CHECK((offset & XSK_UNALIGNED_BUF_ADDR_MASK) == 0);
}

static void call(void)
{
	struct xsk_umem_config umem_config = { XSK_RING_PROD__DEFAULT_NUM_DESCS,
		XSK_RING_CONS__DEFAULT_NUM_DESCS, XSK_UMEM__DEFAULT_FRAME_SIZE,
		XSK_UMEM__DEFAULT_FRAME_HEADROOM, XSK_UMEM__DEFAULT_FLAGS };
	struct xsk_socket_config config;
	struct xsk_umem *umem = NULL;
	struct xsk_socket *xsk = NULL;
	struct xsk_ring_prod prod;
	struct xsk_ring_cons cons;
	struct xsk_umem_opts umem_opts;
	struct xsk_socket_opts opts;

	memset(&config, 0, sizeof(config));
	config.libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD;
	CHECK(config.libxdp_flags == XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD);
	config.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP;
	CHECK(xsk_umem__create(&umem, NULL, 0, &prod, &cons, &umem_config) == -EFAULT);
	CHECK(xsk_umem__create_with_fd(&umem, 0, NULL, 0, &prod, &cons, NULL) == -EFAULT);
	CHECK(xsk_socket__create(&xsk, "lo", 0, NULL, &cons, &prod, &config) == -EFAULT);
	CHECK(xsk_socket__create_shared(&xsk, "lo", 0, NULL, &cons, &prod, &prod, &cons,
					&config) == -EFAULT);
	memset(&umem_opts, 0, sizeof(umem_opts));
	umem_opts.sz = sizeof(umem_opts);
	errno = 0;
	CHECK(xsk_umem__create_opts(NULL, &prod, &cons, &umem_opts) == NULL && errno == EFAULT);
	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	errno = 0;
	CHECK(xsk_socket__create_opts("lo", 0, NULL, &opts) == NULL && errno == EFAULT);
	CHECK(xsk_umem__fd(NULL) == -EINVAL && xsk_socket__fd(NULL) == -EINVAL);
	CHECK(xsk_setup_xdp_prog(-1, NULL) < 0);
	CHECK(xsk_socket__update_xskmap != NULL);
	xsk_socket__delete(NULL);
#if NATIVE
	CHECK(strcmp(xsk_errmsg(), "") != 0);
#endif
#if LIBBPF
	CHECK(bpf_map__fd(NULL) < 0 && BPF_F_ANY_ALIGNMENT != 0);
#endif
}

#ifdef LIBXDP
static void declare(void)
{
	DECLARE_LIBXDP_OPTS(xsk_umem_opts, umem_opts, .size = 4096, .frame_size = 2048);
	DECLARE_LIBXDP_OPTS(xsk_socket_opts, opts, .rx_size = 64, .bind_flags = XDP_COPY);

	CHECK(umem_opts.sz == sizeof(umem_opts) && umem_opts.frame_size == 2048);
	CHECK(opts.sz == sizeof(opts) && opts.rx_size == 64);
}
#endif

int main(void)
{
	produce();
	consume();
	address();
	call();
#ifdef LIBXDP
	declare();
#endif
	if (!failures)
		puts("ok");
	return failures != 0;
}
