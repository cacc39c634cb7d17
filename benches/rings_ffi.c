/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ring loops as languages run them that cannot inline C: libxdp's helpers behind a
 * function each, as their bindings wrap them.
 */
#include <xdp/xsk.h>

#define CALL __attribute__((noinline, noclone, noipa)) static

CALL uint32_t reserve(struct xsk_ring_prod *ring, uint32_t n, uint32_t *idx)
{
	return xsk_ring_prod__reserve(ring, n, idx);
}

CALL void submit(struct xsk_ring_prod *ring, uint32_t n)
{
	xsk_ring_prod__submit(ring, n);
}

CALL uint32_t peek(struct xsk_ring_cons *ring, uint32_t n, uint32_t *idx)
{
	return xsk_ring_cons__peek(ring, n, idx);
}

CALL void release(struct xsk_ring_cons *ring, uint32_t n)
{
	xsk_ring_cons__release(ring, n);
}

CALL struct xdp_desc *tx_desc(struct xsk_ring_prod *ring, uint32_t idx)
{
	return xsk_ring_prod__tx_desc(ring, idx);
}

CALL const struct xdp_desc *rx_desc(const struct xsk_ring_cons *ring, uint32_t idx)
{
	return xsk_ring_cons__rx_desc(ring, idx);
}

CALL __u64 *fill_addr(struct xsk_ring_prod *ring, uint32_t idx)
{
	return xsk_ring_prod__fill_addr(ring, idx);
}

CALL const __u64 *comp_addr(const struct xsk_ring_cons *ring, uint32_t idx)
{
	return xsk_ring_cons__comp_addr(ring, idx);
}

#define xsk_ring_prod__reserve reserve
#define xsk_ring_prod__submit submit
#define xsk_ring_cons__peek peek
#define xsk_ring_cons__release release
#define xsk_ring_prod__tx_desc tx_desc
#define xsk_ring_cons__rx_desc rx_desc
#define xsk_ring_prod__fill_addr fill_addr
#define xsk_ring_cons__comp_addr comp_addr
#define LOOPS loops_ffi
#include "rings_inline.c"
