/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <xsk.h>

#include "bench.h"
#include "end.h"
#include "net.h"

struct end {
	uint64_t free[END_FRAMES];	/* a stack of frames to send, for the batch calls */
	uint32_t nfree;
	uint8_t *memory;
	struct xsk_socket *socket;
	struct xsk_umem *umem;
};

static void must(int err, const char *what)
{
	if (err < 0)
		bench_die("libxsk: %s: %s", what, xsk_errmsg());
}

static struct end *open_any(const struct end_params *params)
{
	uint32_t mode = params->tx_only ? 0 : params->drv ? XSK_BIND_DRV_MODE : XSK_BIND_SKB_MODE;
	struct end *end = calloc(1, sizeof(*end));

	if (!end)
		bench_die("no memory");
	end->memory = end_memory();
	must(xsk_umem_create(&end->umem, &XSK_UMEM_PARAMS(
		.memory = end->memory, .memory_size = (uint64_t)END_FRAMES * END_FRAME_SIZE,
		.frame_size = END_FRAME_SIZE, .fill_size = END_RING, .comp_size = END_RING)), "umem");
	must(xsk_socket_open(&end->socket, end->umem, params->ifname, params->queue,
			     &XSK_SOCKET_PARAMS(.flags = params->tx_only ? XSK_SOCKET_TX_ONLY : 0,
						.rx_size = params->tx_only ? 0 : END_RING,
						.tx_size = END_RING),
			     &XSK_BIND_PARAMS(.flags = XSK_BIND_COPY | mode)), "socket");
	if (params->tx_budget)
		end_set_budget(xsk_socket_fd(end->socket), params->tx_budget);
	return end;
}

static void end_close(struct end *end)
{
	xsk_socket_destroy(end->socket);
	must(xsk_umem_destroy(end->umem), "umem");
	munmap(end->memory, (size_t)END_FRAMES * END_FRAME_SIZE);
	free(end);
}

static uint64_t end_kicks(const struct end *end)
{
	struct xsk_socket_stats stats = { .size = sizeof(stats) };

	must(xsk_socket_stats(end->socket, &stats), "stats");
	return stats.rx_kicks + stats.tx_kicks;
}

/* --- batches: the frames are the program's */

static struct end *batch_open(const struct end_params *params)
{
	struct end *end = open_any(params);
	uint64_t addrs[END_RING];

	for (uint32_t i = 0; i < END_RING; i++) {
		addrs[i] = (uint64_t)i * END_FRAME_SIZE;
		end->free[end->nfree++] = (uint64_t)(END_RING + i) * END_FRAME_SIZE;
	}
	if (!params->tx_only && xsk_fill_put(end->socket, addrs, END_RING) != END_RING)
		bench_die("libxsk: the fill ring is not empty");
	return end;
}

static void batch_send(struct end *end, uint32_t n)
{
	uint32_t left = n;

	end->nfree -= n;
	if (xsk_tx_put_addrs(end->socket, end->free + end->nfree, n, FRAME_LEN) != n)
		bench_die("libxsk: the TX ring is full");
	while (left > 0) {
		uint32_t done;

		must(xsk_tx_kick(end->socket, 0), "kick");
		done = xsk_comp_get(end->socket, end->free + end->nfree, left);
		end->nfree += done;
		left -= done;
	}
}

static uint32_t batch_receive(struct end *end, uint32_t n)
{
	const struct xdp_desc *run;

	/* The last batch's frames go back with it. */
	n = xsk_rx_recycle_run(end->socket, n, &run);
	must(xsk_rx_kick(end->socket, 0), "kick");
	return n;
}

static uint32_t batch_forward(struct end *end, uint32_t n)
{
	const struct xdp_desc *run;
	uint64_t addrs[END_BATCH];
	uint32_t left;

	n = xsk_rx_peek_run(end->socket, n, &run);
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		end_swap(end->memory + run[i].addr);
	if (xsk_tx_put(end->socket, run, n) != n)
		bench_die("libxsk: the TX ring is full");
	xsk_rx_release(end->socket, n);
	for (left = n; left > 0;) {
		uint32_t done;

		must(xsk_tx_kick(end->socket, 0), "kick");
		done = xsk_comp_get(end->socket, addrs, left);
		if (xsk_fill_put(end->socket, addrs, done) != done)
			bench_die("libxsk: the fill ring is full");
		left -= done;
	}
	must(xsk_rx_kick(end->socket, 0), "kick");
	return n;
}

const struct library libxsk_batch = {
	.name = "batch",
	.open = batch_open,
	.close = end_close,
	.send = batch_send,
	.receive = batch_receive,
	.forward = batch_forward,
	.kicks = end_kicks,
};

/* --- packets: the frames are the library's */

static struct end *burst_open(const struct end_params *params)
{
	struct end *end = open_any(params);

	if (!params->tx_only)
		must(xsk_rx_burst(end->socket, NULL, 0), "rx burst");
	return end;
}

static void burst_send(struct end *end, uint32_t n)
{
	struct xsk_buf bufs[END_BATCH];

	if (xsk_buf_alloc(end->socket, bufs, n) != n)
		bench_die("libxsk: no frames");
	for (uint32_t i = 0; i < n; i++)
		bufs[i].len = FRAME_LEN;
	if (xsk_tx_burst(end->socket, bufs, n) != (int)n)
		bench_die("libxsk: tx burst: %s", xsk_errmsg());
}

static uint32_t burst_receive(struct end *end, uint32_t n)
{
	struct xsk_buf bufs[END_BATCH];
	int got = xsk_rx_burst(end->socket, bufs, n);

	must(got, "rx burst");
	if (got > 0 && xsk_buf_free(end->socket, bufs, (uint32_t)got) != (uint32_t)got)
		bench_die("libxsk: a frame is not taken back");
	return (uint32_t)got;
}

static uint32_t burst_forward(struct end *end, uint32_t n)
{
	struct xsk_buf bufs[END_BATCH];
	int got = xsk_rx_burst(end->socket, bufs, n);

	must(got, "rx burst");
	for (int i = 0; i < got; i++)
		end_swap(bufs[i].data);
	if (got > 0 && xsk_tx_burst(end->socket, bufs, (uint32_t)got) != got)
		bench_die("libxsk: tx burst: %s", xsk_errmsg());
	return (uint32_t)got;
}

const struct library libxsk_burst = {
	.name = "burst",
	.open = burst_open,
	.close = end_close,
	.send = burst_send,
	.receive = burst_receive,
	.forward = burst_forward,
	.kicks = end_kicks,
};
