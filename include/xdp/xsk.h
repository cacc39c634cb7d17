/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drop-in for libxdp's <xdp/xsk.h> (and libbpf's former <bpf/xsk.h>): the same names,
 * types, constants and meanings, without libxdp, libbpf or their headers. Link with
 * -lxsk-compat. Handles are those of <xsk.h>, whose calls work on them too.
 *
 * - Calls that make or change something answer 0 or a negative errno; those that
 *   give a pointer answer NULL with errno set. With LIBXSK_LOG=info in the environment
 *   the reason is told on standard error, and <xsk.h>'s xsk_errmsg() gives it.
 * - Ring structs are the program's: they must stay where they are until the sockets
 *   that use them are deleted. The inline helpers work on them, one thread a ring.
 * - The default program is attached over netlink, where bpf_xdp_query_id() sees it
 *   and bpf_xdp_detach() removes it. It leaves with the last socket, and a program that
 *   a killed process left behind leaves with the next last one.
 */

/* The guards are libbpf's and libxdp's: the first of these headers wins. */
#ifndef __LIBBPF_XSK_H
#define __LIBBPF_XSK_H

#include <linux/if_xdp.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Not needed here, but libxdp's header brings it along, and programs have come to rely
 * on that: taken where it is installed.
 */
#if defined(__has_include) && \
	((defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L) || defined(__cplusplus))
#if __has_include(<bpf/libbpf.h>)
#include <bpf/libbpf.h>
#endif
#endif

#ifndef XDP_RING_NEED_WAKEUP	/* Linux 5.4's headers and newer have it */
#define XDP_RING_NEED_WAKEUP (1 << 0)
#endif
#ifndef XSK_UNALIGNED_BUF_OFFSET_SHIFT
#define XSK_UNALIGNED_BUF_OFFSET_SHIFT 48
#define XSK_UNALIGNED_BUF_ADDR_MASK ((1ULL << XSK_UNALIGNED_BUF_OFFSET_SHIFT) - 1)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Always static: what the compiler does not inline stays in the program. */
#ifndef XDP_ALWAYS_INLINE
#define XDP_ALWAYS_INLINE static __inline__ __attribute__((__always_inline__, __unused__))
#endif

/*
 * A ring as the helpers below see it. Counters run on and wrap at 2^32; `mask` makes
 * them slots. In a producer cached_cons runs `size` ahead of the kernel's counter, so
 * that cached_cons - cached_prod is what is free.
 */
#define DEFINE_XSK_RING(name)	\
	struct name {		\
		__u32 cached_prod;	\
		__u32 cached_cons;	\
		__u32 mask;		\
		__u32 size;		\
		__u32 *producer;	\
		__u32 *consumer;	\
		void *ring;		\
		__u32 *flags;		\
	}

DEFINE_XSK_RING(xsk_ring_prod);
DEFINE_XSK_RING(xsk_ring_cons);

struct xsk_umem;
struct xsk_socket;

/* The entry behind an index that reserve or peek gave, one for each ring. */
XDP_ALWAYS_INLINE __u64 *xsk_ring_prod__fill_addr(struct xsk_ring_prod *fill, __u32 idx)
{
	return (__u64 *)fill->ring + (idx & fill->mask);
}

XDP_ALWAYS_INLINE const __u64 *xsk_ring_cons__comp_addr(const struct xsk_ring_cons *comp,
							__u32 idx)
{
	return (const __u64 *)comp->ring + (idx & comp->mask);
}

XDP_ALWAYS_INLINE struct xdp_desc *xsk_ring_prod__tx_desc(struct xsk_ring_prod *tx, __u32 idx)
{
	return (struct xdp_desc *)tx->ring + (idx & tx->mask);
}

XDP_ALWAYS_INLINE const struct xdp_desc *xsk_ring_cons__rx_desc(const struct xsk_ring_cons *rx,
								__u32 idx)
{
	return (const struct xdp_desc *)rx->ring + (idx & rx->mask);
}

/* Whether the kernel asks for a system call: look after each submit. */
XDP_ALWAYS_INLINE int xsk_ring_prod__needs_wakeup(const struct xsk_ring_prod *r)
{
	return *(const volatile __u32 *)r->flags & XDP_RING_NEED_WAKEUP;
}

/* Free entries; the kernel's counter is looked at when fewer than nb are known. */
XDP_ALWAYS_INLINE __u32 xsk_prod_nb_free(struct xsk_ring_prod *r, __u32 nb)
{
	if (r->cached_cons - r->cached_prod < nb)
		/* The kernel is done reading what its counter gives back. */
		r->cached_cons = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE) + r->size;
	return r->cached_cons - r->cached_prod;
}

/* Entries to read, nb at most; the kernel's counter is looked at when none is known. */
XDP_ALWAYS_INLINE __u32 xsk_cons_nb_avail(struct xsk_ring_cons *r, __u32 nb)
{
	__u32 entries = r->cached_prod - r->cached_cons;

	if (entries == 0) {
		/* The entries below the counter are written. */
		r->cached_prod = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
		entries = r->cached_prod - r->cached_cons;
	}
	return entries < nb ? entries : nb;
}

/* Claims nb entries to write, from *idx on, or none. */
XDP_ALWAYS_INLINE __u32 xsk_ring_prod__reserve(struct xsk_ring_prod *prod, __u32 nb, __u32 *idx)
{
	if (xsk_prod_nb_free(prod, nb) < nb)
		return 0;
	*idx = prod->cached_prod;
	prod->cached_prod += nb;
	return nb;
}

/* Gives the nb oldest claimed entries to the kernel. */
XDP_ALWAYS_INLINE void xsk_ring_prod__submit(struct xsk_ring_prod *prod, __u32 nb)
{
	/* Who sees the counter sees the entries. */
	__atomic_store_n(prod->producer, *prod->producer + nb, __ATOMIC_RELEASE);
}

/* Claims up to nb entries to read, from *idx on. */
XDP_ALWAYS_INLINE __u32 xsk_ring_cons__peek(struct xsk_ring_cons *cons, __u32 nb, __u32 *idx)
{
	__u32 entries = xsk_cons_nb_avail(cons, nb);

	if (entries > 0) {
		*idx = cons->cached_cons;
		cons->cached_cons += entries;
	}
	return entries;
}

/* Puts the nb newest claimed entries back. */
XDP_ALWAYS_INLINE void xsk_ring_cons__cancel(struct xsk_ring_cons *cons, __u32 nb)
{
	cons->cached_cons -= nb;
}

/* Gives the nb oldest claimed entries back to the kernel. */
XDP_ALWAYS_INLINE void xsk_ring_cons__release(struct xsk_ring_cons *cons, __u32 nb)
{
	/* Our reads come before the kernel writes the entries anew. */
	__atomic_store_n(cons->consumer, *cons->consumer + nb, __ATOMIC_RELEASE);
}

XDP_ALWAYS_INLINE void *xsk_umem__get_data(void *umem_area, __u64 addr)
{
	return (char *)umem_area + addr;
}

/* With unaligned chunks an address is that of the chunk and, above bit 48, an offset. */
XDP_ALWAYS_INLINE __u64 xsk_umem__extract_addr(__u64 addr)
{
	return addr & (((__u64)1 << XSK_UNALIGNED_BUF_OFFSET_SHIFT) - 1);
}

XDP_ALWAYS_INLINE __u64 xsk_umem__extract_offset(__u64 addr)
{
	return addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT;
}

XDP_ALWAYS_INLINE __u64 xsk_umem__add_offset_to_addr(__u64 addr)
{
	return xsk_umem__extract_addr(addr) + xsk_umem__extract_offset(addr);
}

/* The descriptor, which stays the handle's; -EINVAL for NULL. */
int xsk_umem__fd(const struct xsk_umem *umem);
int xsk_socket__fd(const struct xsk_socket *xsk);

#define XSK_RING_CONS__DEFAULT_NUM_DESCS 2048
#define XSK_RING_PROD__DEFAULT_NUM_DESCS 2048
#define XSK_UMEM__DEFAULT_FRAME_SHIFT 12
#define XSK_UMEM__DEFAULT_FRAME_SIZE (1 << XSK_UMEM__DEFAULT_FRAME_SHIFT)
#define XSK_UMEM__DEFAULT_FRAME_HEADROOM 0
#define XSK_UMEM__DEFAULT_FLAGS 0
#define XSK_UMEM__DEFAULT_TX_METADATA_LEN 0

/* Sizes of rings in entries, of frames in bytes; 0 means default. */
struct xsk_umem_config {
	__u32 fill_size;
	__u32 comp_size;
	__u32 frame_size;
	__u32 frame_headroom;
	__u32 flags;		/* XDP_UMEM_UNALIGNED_CHUNK_FLAG, ... */
};

/* The same in a struct that can grow; `sz` is its size. */
struct xsk_umem_opts {
	size_t sz;
	int fd;			/* an AF_XDP socket to use; 0: a new one */
	__u64 size;		/* bytes of the memory */
	__u32 fill_size;
	__u32 comp_size;
	__u32 frame_size;
	__u32 frame_headroom;
	__u32 flags;
	__u32 tx_metadata_len;
};
#define xsk_umem_opts__last_field tx_metadata_len

/* Attaches the default program to an interface, or finds the xsks_map of the one that
 * is there; *xsks_map_fd is the program's to close. The program stays.
 */
int xsk_setup_xdp_prog(int ifindex, int *xsks_map_fd);

/* Puts a socket into a map of the program's own, at its queue. */
int xsk_socket__update_xskmap(struct xsk_socket *xsk, int xsks_map_fd);

/* Touch no program and no map. */
#define XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD (1 << 0)
#define XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD (1 << 0)

/* Sizes of rings in entries; 0 means default. */
struct xsk_socket_config {
	__u32 rx_size;
	__u32 tx_size;
	__extension__ union {
		__u32 libbpf_flags;
		__u32 libxdp_flags;
	};
	__u32 xdp_flags;	/* XDP_FLAGS_SKB_MODE or XDP_FLAGS_DRV_MODE */
	__u16 bind_flags;	/* XDP_COPY, XDP_ZEROCOPY, XDP_USE_NEED_WAKEUP, ... */
};

/* The same and the rings in a struct that can grow; `sz` is its size. */
struct xsk_socket_opts {
	size_t sz;
	struct xsk_ring_cons *rx;
	struct xsk_ring_prod *tx;
	struct xsk_ring_prod *fill;
	struct xsk_ring_cons *comp;
	__u32 rx_size;
	__u32 tx_size;
	__u32 libxdp_flags;
	__u32 xdp_flags;
	__u16 bind_flags;
};
#define xsk_socket_opts__last_field bind_flags

/*
 * Creates a UMEM over the program's memory, with its fill and completion ring, which
 * can be used at once. NULL configs mean defaults.
 *
 * 0, or -EFAULT: a pointer is NULL; -EINVAL: the kernel does not like a size or the
 * alignment; -EPERM: no CAP_NET_RAW; -ENOBUFS: RLIMIT_MEMLOCK; -ENOMEM.
 */
int xsk_umem__create(struct xsk_umem **umem, void *umem_area, __u64 size,
		     struct xsk_ring_prod *fill, struct xsk_ring_cons *comp,
		     const struct xsk_umem_config *config);

/* The same on an AF_XDP socket of the program's; after a failure that is still open. */
int xsk_umem__create_with_fd(struct xsk_umem **umem, int fd, void *umem_area, __u64 size,
			     struct xsk_ring_prod *fill, struct xsk_ring_cons *comp,
			     const struct xsk_umem_config *config);
struct xsk_umem *xsk_umem__create_opts(void *umem_area, struct xsk_ring_prod *fill,
				       struct xsk_ring_cons *comp, struct xsk_umem_opts *opts);

/*
 * Creates a socket with an RX ring, a TX ring or both, binds it, and directs the
 * queue's packets to it. The UMEM's first socket uses its fill and completion ring, and
 * so do others on the same queue; a socket on another queue or interface brings its own
 * (xsk_socket__create_shared()).
 *
 * 0, or -EFAULT: a pointer is NULL; -EINVAL: unknown flags, a size that is no power of
 * two, no such queue; -ENODEV: no such interface; -EBUSY: the queue is taken, or another
 * program is on the interface; -EOPNOTSUPP: no zero-copy; -EPERM. *xsk is NULL then,
 * nothing is attached, and the UMEM can be used again.
 */
int xsk_socket__create(struct xsk_socket **xsk, const char *ifname, __u32 queue_id,
		       struct xsk_umem *umem, struct xsk_ring_cons *rx,
		       struct xsk_ring_prod *tx, const struct xsk_socket_config *config);
int xsk_socket__create_shared(struct xsk_socket **xsk_ptr, const char *ifname, __u32 queue_id,
			      struct xsk_umem *umem, struct xsk_ring_cons *rx,
			      struct xsk_ring_prod *tx, struct xsk_ring_prod *fill,
			      struct xsk_ring_cons *comp,
			      const struct xsk_socket_config *config);
struct xsk_socket *xsk_socket__create_opts(const char *ifname, __u32 queue_id,
					   struct xsk_umem *umem, struct xsk_socket_opts *opts);

/* 0, or -EBUSY while sockets use the UMEM. NULL is nothing to do. */
int xsk_umem__delete(struct xsk_umem *umem);
void xsk_socket__delete(struct xsk_socket *xsk);

#ifdef __cplusplus
}
#endif

#endif /* __LIBBPF_XSK_H */

#ifndef __LIBXDP_XSK_H
#define __LIBXDP_XSK_H
#endif /* __LIBXDP_XSK_H */
