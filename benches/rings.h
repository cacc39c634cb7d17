/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Ring loops: the same work in several ways, on the rings of a socket whose other side
 * is played by the loop itself. No packet moves; what is measured is the library.
 *
 * Included behind a header that defines struct xsk_ring_prod and xsk_ring_cons.
 */
#ifndef RINGS_H
#define RINGS_H

#include <stdint.h>

#define MAX_BATCH 256
#define RING_SIZE 2048
#define PACKET_LEN 60

struct xsk_socket;

struct rings {
	struct xsk_ring_cons *rx, *comp;
	struct xsk_ring_prod *tx, *fill;
	struct xsk_socket *socket;
	uint64_t addrs[MAX_BATCH];	/* what is sent, filled, or was completed */
	uint64_t bytes;			/* what was received, so that it is looked at */
};

/* Does the work `rounds` times with `batch` descriptors; 0, or -1 if a ring failed. */
typedef int (*loop)(struct rings *r, uint32_t batch, uint32_t rounds);

enum work {
	TX,		/* send from an array of addresses */
	RX,		/* look at each packet's address and length */
	FILL,		/* fill from an array of addresses */
	COMP,		/* completed addresses to an array */
	RX_FILL,	/* look at packets, their frames go to the fill ring */
	TX_COMP,	/* send again what is completed */
	FORWARD,	/* send what is received, fill with what is completed */
	WORKS
};

/*
 * The same with the entries moved by the other side, from fill to RX ring and from TX
 * to completion ring: for calls that know their frames.
 */
enum moved { MOVED_RX, MOVED_TX, MOVED_FORWARD, MOVEDS };

struct loops {
	loop works[WORKS];
	loop moved[MOVEDS];
};

extern const struct loops loops_libxdp, loops_inline;	/* inline helpers of the two */
extern const struct loops loops_ffi;	/* libxdp's helpers called per descriptor */
extern const struct loops loops_arrays, loops_runs, loops_packets; /* libxsk's calls */

#endif
