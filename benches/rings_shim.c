/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libxdp's inline helpers as functions of a shared object, as bindings for languages that
 * cannot inline C bring them along.
 */
#include "rings_shim.h"

uint32_t shim_reserve(struct xsk_ring_prod *ring, uint32_t n, uint32_t *idx)
{
	return xsk_ring_prod__reserve(ring, n, idx);
}

void shim_submit(struct xsk_ring_prod *ring, uint32_t n)
{
	xsk_ring_prod__submit(ring, n);
}

uint32_t shim_peek(struct xsk_ring_cons *ring, uint32_t n, uint32_t *idx)
{
	return xsk_ring_cons__peek(ring, n, idx);
}

void shim_release(struct xsk_ring_cons *ring, uint32_t n)
{
	xsk_ring_cons__release(ring, n);
}

struct xdp_desc *shim_tx_desc(struct xsk_ring_prod *ring, uint32_t idx)
{
	return xsk_ring_prod__tx_desc(ring, idx);
}

const struct xdp_desc *shim_rx_desc(const struct xsk_ring_cons *ring, uint32_t idx)
{
	return xsk_ring_cons__rx_desc(ring, idx);
}

__u64 *shim_fill_addr(struct xsk_ring_prod *ring, uint32_t idx)
{
	return xsk_ring_prod__fill_addr(ring, idx);
}

const __u64 *shim_comp_addr(const struct xsk_ring_cons *ring, uint32_t idx)
{
	return xsk_ring_cons__comp_addr(ring, idx);
}
