/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The other side of the rings, played by the thread that works on them. */
#ifndef KERNEL_H
#define KERNEL_H

#include <linux/if_xdp.h>
#include <stdint.h>

#include "rings.h"

static inline void takes_tx(struct rings *r)
{
	__atomic_store_n(r->tx->consumer, *r->tx->producer, __ATOMIC_RELEASE);
}

static inline void takes_fill(struct rings *r)
{
	__atomic_store_n(r->fill->consumer, *r->fill->producer, __ATOMIC_RELEASE);
}

static inline void gives_rx(struct rings *r, uint32_t n)
{
	__atomic_store_n(r->rx->producer, *r->rx->producer + n, __ATOMIC_RELEASE);
}

static inline void gives_comp(struct rings *r, uint32_t n)
{
	__atomic_store_n(r->comp->producer, *r->comp->producer + n, __ATOMIC_RELEASE);
}

/* Packets arrive in the frames that the fill ring has. */
static inline void moves_fill_to_rx(struct rings *r, uint32_t n)
{
	const uint64_t *from = r->fill->ring;
	struct xdp_desc *to = r->rx->ring;
	uint32_t first = *r->fill->consumer, last = *r->rx->producer, i;

	if (n > *r->fill->producer - first)
		n = *r->fill->producer - first;
	for (i = 0; i < n; i++) {
		struct xdp_desc *desc = &to[(last + i) & r->rx->mask];

		desc->addr = from[(first + i) & r->fill->mask];
		desc->len = PACKET_LEN;
		desc->options = 0;
	}
	__atomic_store_n(r->fill->consumer, first + n, __ATOMIC_RELEASE);
	__atomic_store_n(r->rx->producer, last + n, __ATOMIC_RELEASE);
}

/* All that is in the TX ring is sent. */
static inline void moves_tx_to_comp(struct rings *r)
{
	const struct xdp_desc *from = r->tx->ring;
	uint64_t *to = r->comp->ring;
	uint32_t first = *r->tx->consumer, last = *r->comp->producer;
	uint32_t n = *r->tx->producer - first, i;

	for (i = 0; i < n; i++)
		to[(last + i) & r->comp->mask] = from[(first + i) & r->tx->mask].addr;
	__atomic_store_n(r->tx->consumer, first + n, __ATOMIC_RELEASE);
	__atomic_store_n(r->comp->producer, last + n, __ATOMIC_RELEASE);
}

#endif
