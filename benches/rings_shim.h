/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef RINGS_SHIM_H
#define RINGS_SHIM_H

#include <xdp/xsk.h>

uint32_t shim_reserve(struct xsk_ring_prod *ring, uint32_t n, uint32_t *idx);
void shim_submit(struct xsk_ring_prod *ring, uint32_t n);
uint32_t shim_peek(struct xsk_ring_cons *ring, uint32_t n, uint32_t *idx);
void shim_release(struct xsk_ring_cons *ring, uint32_t n);
struct xdp_desc *shim_tx_desc(struct xsk_ring_prod *ring, uint32_t idx);
const struct xdp_desc *shim_rx_desc(const struct xsk_ring_cons *ring, uint32_t idx);
__u64 *shim_fill_addr(struct xsk_ring_prod *ring, uint32_t idx);
const __u64 *shim_comp_addr(const struct xsk_ring_cons *ring, uint32_t idx);

#endif
