/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The ring loops with the calls of libxsk.so: over arrays, in runs, and with whole
 * packets. <xdp/xsk.h> is there for the other side of the rings only.
 */
#include <xdp/xsk.h>
#include <xsk.h>

#include "kernel.h"

/* --- arrays */

static int tx_arrays(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xdp_desc descs[MAX_BATCH];

	while (rounds--) {
		uint32_t i;

		takes_tx(r);
		for (i = 0; i < batch; i++) {
			descs[i].addr = r->addrs[i];
			descs[i].len = PACKET_LEN;
			descs[i].options = 0;
		}
		if (xsk_tx_put(r->socket, descs, batch) != batch)
			return -1;
	}
	return 0;
}

static int rx_arrays(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xdp_desc descs[MAX_BATCH];
	uint64_t bytes = 0;

	while (rounds--) {
		uint32_t i;

		gives_rx(r, batch);
		if (xsk_rx_get(r->socket, descs, batch) != batch)
			return -1;
		for (i = 0; i < batch; i++) {
			r->addrs[i] = descs[i].addr;
			bytes += descs[i].len;
		}
	}
	r->bytes += bytes;
	return 0;
}

static int fill_arrays(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		takes_fill(r);
		if (xsk_fill_put(r->socket, r->addrs, batch) != batch)
			return -1;
	}
	return 0;
}

static int comp_arrays(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		gives_comp(r, batch);
		if (xsk_comp_get(r->socket, r->addrs, batch) != batch)
			return -1;
	}
	return 0;
}

static int rx_fill_arrays(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xdp_desc descs[MAX_BATCH];
	uint64_t bytes = 0;

	while (rounds--) {
		uint32_t i;

		gives_rx(r, batch);
		takes_fill(r);
		if (xsk_rx_get(r->socket, descs, batch) != batch)
			return -1;
		for (i = 0; i < batch; i++) {
			r->addrs[i] = descs[i].addr;
			bytes += descs[i].len;
		}
		if (xsk_fill_put(r->socket, r->addrs, batch) != batch)
			return -1;
	}
	r->bytes += bytes;
	return 0;
}

static int tx_comp_arrays(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xdp_desc descs[MAX_BATCH];

	while (rounds--) {
		uint32_t i;

		takes_tx(r);
		gives_comp(r, batch);
		if (xsk_comp_get(r->socket, r->addrs, batch) != batch)
			return -1;
		for (i = 0; i < batch; i++) {
			descs[i].addr = r->addrs[i];
			descs[i].len = PACKET_LEN;
			descs[i].options = 0;
		}
		if (xsk_tx_put(r->socket, descs, batch) != batch)
			return -1;
	}
	return 0;
}

static int forward_arrays(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xdp_desc descs[MAX_BATCH];

	while (rounds--) {
		gives_rx(r, batch);
		takes_tx(r);
		if (xsk_rx_get(r->socket, descs, batch) != batch ||
		    xsk_tx_put(r->socket, descs, batch) != batch)
			return -1;
		gives_comp(r, batch);
		takes_fill(r);
		if (xsk_comp_get(r->socket, r->addrs, batch) != batch ||
		    xsk_fill_put(r->socket, r->addrs, batch) != batch)
			return -1;
	}
	return 0;
}

/* --- runs; at the ring's end there are two */

static int tx_runs(struct rings *r, uint32_t batch, uint32_t rounds)
{
	while (rounds--) {
		takes_tx(r);
		if (xsk_tx_put_addrs(r->socket, r->addrs, batch, PACKET_LEN) != batch)
			return -1;
	}
	return 0;
}

static int rx_runs(struct rings *r, uint32_t batch, uint32_t rounds)
{
	const struct xdp_desc *run;
	uint64_t bytes = 0;

	while (rounds--) {
		uint32_t got, n, i;

		gives_rx(r, batch);
		for (got = 0; got < batch; got += n) {
			n = xsk_rx_next_run(r->socket, batch - got, &run);
			if (n == 0)
				return -1;
			for (i = 0; i < n; i++) {
				r->addrs[got + i] = run[i].addr;
				bytes += run[i].len;
			}
		}
	}
	r->bytes += bytes;
	return xsk_rx_next_run(r->socket, 0, &run) == 0 ? 0 : -1;
}

static int rx_fill_runs(struct rings *r, uint32_t batch, uint32_t rounds)
{
	const struct xdp_desc *run;
	uint64_t bytes = 0;

	while (rounds--) {
		uint32_t got, n, i;

		gives_rx(r, batch);
		takes_fill(r);
		for (got = 0; got < batch; got += n) {
			n = xsk_rx_recycle_run(r->socket, batch - got, &run);
			if (n == 0)
				return -1;
			for (i = 0; i < n; i++)
				bytes += run[i].len;
		}
	}
	r->bytes += bytes;
	return xsk_rx_recycle_run(r->socket, 0, &run) == 0 ? 0 : -1;
}

static int tx_comp_runs(struct rings *r, uint32_t batch, uint32_t rounds)
{
	const uint64_t *run;

	while (rounds--) {
		uint32_t got, n;

		takes_tx(r);
		gives_comp(r, batch);
		for (got = 0; got < batch; got += n) {
			n = xsk_comp_next_run(r->socket, batch - got, &run);
			if (n == 0 || xsk_tx_put_addrs(r->socket, run, n, PACKET_LEN) != n)
				return -1;
		}
	}
	return xsk_comp_next_run(r->socket, 0, &run) == 0 ? 0 : -1;
}

static int forward_runs(struct rings *r, uint32_t batch, uint32_t rounds)
{
	const struct xdp_desc *descs;
	const uint64_t *addrs;

	while (rounds--) {
		uint32_t got, n;

		gives_rx(r, batch);
		takes_tx(r);
		for (got = 0; got < batch; got += n) {
			n = xsk_rx_next_run(r->socket, batch - got, &descs);
			if (n == 0 || xsk_tx_put(r->socket, descs, n) != n)
				return -1;
		}
		gives_comp(r, batch);
		takes_fill(r);
		for (got = 0; got < batch; got += n) {
			n = xsk_comp_next_run(r->socket, batch - got, &addrs);
			if (n == 0 || xsk_fill_put(r->socket, addrs, n) != n)
				return -1;
		}
	}
	return xsk_rx_next_run(r->socket, 0, &descs) + xsk_comp_next_run(r->socket, 0, &addrs) == 0
		       ? 0 : -1;
}

/* --- whole packets */

static int rx_packets(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xsk_buf bufs[MAX_BATCH];
	uint64_t bytes = 0;

	while (rounds--) {
		uint32_t i;

		moves_fill_to_rx(r, batch);
		if (xsk_rx_burst(r->socket, bufs, batch) != (int)batch)
			return -1;
		for (i = 0; i < batch; i++)
			bytes += bufs[i].len;
		if (xsk_buf_free(r->socket, bufs, batch) != batch)
			return -1;
	}
	r->bytes += bytes;
	return 0;
}

static int tx_packets(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xsk_buf bufs[MAX_BATCH];

	while (rounds--) {
		uint32_t i;

		moves_tx_to_comp(r);
		if (xsk_buf_alloc(r->socket, bufs, batch) != batch)
			return -1;
		for (i = 0; i < batch; i++)
			bufs[i].len = PACKET_LEN;
		if (xsk_tx_burst(r->socket, bufs, batch) != (int)batch)
			return -1;
	}
	return 0;
}

static int forward_packets(struct rings *r, uint32_t batch, uint32_t rounds)
{
	struct xsk_buf bufs[MAX_BATCH];

	while (rounds--) {
		moves_fill_to_rx(r, batch);
		moves_tx_to_comp(r);
		if (xsk_rx_burst(r->socket, bufs, batch) != (int)batch ||
		    xsk_tx_burst(r->socket, bufs, batch) != (int)batch)
			return -1;
	}
	return 0;
}

const struct loops loops_arrays = {
	.works = { tx_arrays, rx_arrays, fill_arrays, comp_arrays, rx_fill_arrays,
		   tx_comp_arrays, forward_arrays },
};

const struct loops loops_runs = {
	.works = { tx_runs, rx_runs, NULL, NULL, rx_fill_runs, tx_comp_runs, forward_runs },
};

const struct loops loops_packets = {
	.moved = { rx_packets, tx_packets, forward_packets },
};
