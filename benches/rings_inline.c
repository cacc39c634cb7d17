/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ring loops with the inline helpers of <xdp/xsk.h>. Compiled twice, with libxdp's
 * header and with ours: LOOPS names the table.
 */
#include <xdp/xsk.h>

#include "kernel.h"

static int tx(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		uint32_t idx = 0, i;

		takes_tx(r);
		if (xsk_ring_prod__reserve(r->tx, batch, &idx) != batch)
			return -1;
		for (i = 0; i < batch; i++) {
			struct xdp_desc *desc = xsk_ring_prod__tx_desc(r->tx, idx++);

			desc->addr = r->addrs[i];
			desc->len = PACKET_LEN;
			desc->options = 0;
		}
		xsk_ring_prod__submit(r->tx, batch);
	}
	return 0;
}

static int rx(struct rings *r, uint32_t batch, uint32_t rounds)
{
	uint64_t bytes = 0;

	while (rounds--) {
		uint32_t idx = 0, i;

		gives_rx(r, batch);
		if (xsk_ring_cons__peek(r->rx, batch, &idx) != batch)
			return -1;
		for (i = 0; i < batch; i++) {
			const struct xdp_desc *desc = xsk_ring_cons__rx_desc(r->rx, idx++);

			r->addrs[i] = desc->addr;
			bytes += desc->len;
		}
		xsk_ring_cons__release(r->rx, batch);
	}
	r->bytes += bytes;
	return 0;
}

static int fill(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		uint32_t idx = 0, i;

		takes_fill(r);
		if (xsk_ring_prod__reserve(r->fill, batch, &idx) != batch)
			return -1;
		for (i = 0; i < batch; i++)
			*xsk_ring_prod__fill_addr(r->fill, idx++) = r->addrs[i];
		xsk_ring_prod__submit(r->fill, batch);
	}
	return 0;
}

static int comp(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		uint32_t idx = 0, i;

		gives_comp(r, batch);
		if (xsk_ring_cons__peek(r->comp, batch, &idx) != batch)
			return -1;
		for (i = 0; i < batch; i++)
			r->addrs[i] = *xsk_ring_cons__comp_addr(r->comp, idx++);
		xsk_ring_cons__release(r->comp, batch);
	}
	return 0;
}

/* What the next two do between their players. */
static inline int receive_and_fill(struct rings *r, uint32_t batch, uint64_t *bytes)
{
	uint32_t from = 0, to = 0, i;

	if (xsk_ring_cons__peek(r->rx, batch, &from) != batch ||
	    xsk_ring_prod__reserve(r->fill, batch, &to) != batch)
		return -1;
	for (i = 0; i < batch; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(r->rx, from++);

		*bytes += desc->len;
		*xsk_ring_prod__fill_addr(r->fill, to++) = desc->addr;
	}
	xsk_ring_prod__submit(r->fill, batch);
	xsk_ring_cons__release(r->rx, batch);
	return 0;
}

static int rx_fill(struct rings *r, uint32_t batch, uint32_t rounds)
{
	uint64_t bytes = 0;

	while (rounds--) {
		gives_rx(r, batch);
		takes_fill(r);
		if (receive_and_fill(r, batch, &bytes) < 0)
			return -1;
	}
	r->bytes += bytes;
	return 0;
}

static int moved_rx(struct rings *r, uint32_t batch, uint32_t rounds)
{
	uint64_t bytes = 0;

	while (rounds--) {
		moves_fill_to_rx(r, batch);
		if (receive_and_fill(r, batch, &bytes) < 0)
			return -1;
	}
	r->bytes += bytes;
	return 0;
}

static inline int complete_and_send(struct rings *r, uint32_t batch)
{
	uint32_t from = 0, to = 0, i;

	if (xsk_ring_cons__peek(r->comp, batch, &from) != batch ||
	    xsk_ring_prod__reserve(r->tx, batch, &to) != batch)
		return -1;
	for (i = 0; i < batch; i++) {
		struct xdp_desc *desc = xsk_ring_prod__tx_desc(r->tx, to++);

		desc->addr = *xsk_ring_cons__comp_addr(r->comp, from++);
		desc->len = PACKET_LEN;
		desc->options = 0;
	}
	xsk_ring_cons__release(r->comp, batch);
	xsk_ring_prod__submit(r->tx, batch);
	return 0;
}

static int tx_comp(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		takes_tx(r);
		gives_comp(r, batch);
		if (complete_and_send(r, batch) < 0)
			return -1;
	}
	return 0;
}

static int moved_tx(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		moves_tx_to_comp(r);
		if (complete_and_send(r, batch) < 0)
			return -1;
	}
	return 0;
}

static inline int receive_and_send(struct rings *r, uint32_t batch)
{
	uint32_t from = 0, to = 0, i;

	if (xsk_ring_cons__peek(r->rx, batch, &from) != batch ||
	    xsk_ring_prod__reserve(r->tx, batch, &to) != batch)
		return -1;
	for (i = 0; i < batch; i++) {
		const struct xdp_desc *in = xsk_ring_cons__rx_desc(r->rx, from++);
		struct xdp_desc *out = xsk_ring_prod__tx_desc(r->tx, to++);

		out->addr = in->addr;
		out->len = in->len;
		out->options = 0;
	}
	xsk_ring_cons__release(r->rx, batch);
	xsk_ring_prod__submit(r->tx, batch);
	return 0;
}

static inline int complete_and_fill(struct rings *r, uint32_t batch)
{
	uint32_t from = 0, to = 0, i;

	if (xsk_ring_cons__peek(r->comp, batch, &from) != batch ||
	    xsk_ring_prod__reserve(r->fill, batch, &to) != batch)
		return -1;
	for (i = 0; i < batch; i++)
		*xsk_ring_prod__fill_addr(r->fill, to++) =
			*xsk_ring_cons__comp_addr(r->comp, from++);
	xsk_ring_cons__release(r->comp, batch);
	xsk_ring_prod__submit(r->fill, batch);
	return 0;
}

static int forward(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		gives_rx(r, batch);
		takes_tx(r);
		if (receive_and_send(r, batch) < 0)
			return -1;
		gives_comp(r, batch);
		takes_fill(r);
		if (complete_and_fill(r, batch) < 0)
			return -1;
	}
	return 0;
}

static int moved_forward(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		moves_fill_to_rx(r, batch);
		if (receive_and_send(r, batch) < 0)
			return -1;
		moves_tx_to_comp(r);
		if (complete_and_fill(r, batch) < 0)
			return -1;
	}
	return 0;
}

const struct loops LOOPS = {
	.works = { tx, rx, fill, comp, rx_fill, tx_comp, forward },
	.moved = { moved_rx, moved_tx, moved_forward },
};
