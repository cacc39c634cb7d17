/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A socket on a queue, made and used with one library as its programs do it: end_libxdp.c
 * and end_libxsk.c, for the loops of veth.c and scale.c. All have the same frames and
 * rings, kernel wake-ups on demand, and copy mode, which is all that veth has.
 */
#ifndef END_H
#define END_H

#include <stdint.h>
#include <stdlib.h>

#define END_FRAMES 1024
#define END_FRAME_SIZE 2048
#define END_RING (END_FRAMES / 2)	/* entries of each ring; half of the frames to send */
#define END_BATCH 256			/* at most */

/* SOL_XDP, from Linux 6.17 on; older headers have none. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#define KERNEL_TX_BUDGET 32	/* what a socket has at first */

struct end_params {
	const char *ifname;
	uint32_t queue;
	int drv;		/* the XDP program in the driver, else generic */
	int tx_only;		/* no program at all */
	uint32_t tx_budget;	/* XDP_MAX_TX_SKB_BUDGET; 0: as the library has it */
};

struct end;

struct library {
	const char *name;
	struct end *(*open)(const struct end_params *params);
	void (*close)(struct end *end);
	/* Sends n frames, until the kernel has given all of them back. */
	void (*send)(struct end *end, uint32_t n);
	/* Receives n at most and gives their frames back; says how many. */
	uint32_t (*receive)(struct end *end, uint32_t n);
	/* Receives n at most, swaps their addresses and sends them where they came from. */
	uint32_t (*forward)(struct end *end, uint32_t n);
	/* How many system calls the library says that it made for these. */
	uint64_t (*kicks)(const struct end *end);
};

extern const struct library libxdp;	/* its inline helpers */
extern const struct library libxsk_batch;	/* xsk_tx_put_addrs(), xsk_rx_recycle_run() */
extern const struct library libxsk_burst;	/* xsk_tx_burst(), xsk_rx_burst() */

/* What both have to do themselves. */

/* Memory for the frames, prefaulted, with a packet in each; ends the program else. */
void *end_memory(void);

/* Sets the socket's TX budget; ends the program if the kernel refuses. */
void end_set_budget(int fd, uint32_t budget);

static inline void end_swap(void *frame)
{
	uint8_t *bytes = frame;

	for (int i = 0; i < 6; i++) {
		uint8_t byte = bytes[i];

		bytes[i] = bytes[i + 6];
		bytes[i + 6] = byte;
	}
}

#endif
