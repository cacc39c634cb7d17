/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Two ends of a veth pair in one thread: a near one, of the library that is measured, and
 * a far one of libxdp in all cases, so that the near one makes the difference.
 */
#ifndef LANE_H
#define LANE_H

#include "end.h"

enum kind {
	TX,	/* the near end sends, the far one counts and drops */
	RXDROP,	/* the far end sends, the near one counts and drops */
	L2FWD,	/* the far end sends, the near one sends back, the far one drops */
	KINDS
};

struct lane {
	const struct library *library;
	uint32_t tx_budget;	/* of the near end; 0: as the library has it */
	enum kind kind;
	int drv;
	uint32_t batch;
	struct end *near, *far;
	/* Of the near end, in all rounds: ticks outside of system calls, and these. */
	uint64_t user, calls;
};

/* Makes the sockets, on a queue of "a<pair>" and "b<pair>". */
void lane_open(struct lane *lane, unsigned int pair, uint32_t queue);
void lane_close(struct lane *lane);

/* Moves a batch. */
void lane_round(struct lane *lane);

#endif
