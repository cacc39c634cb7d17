/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program that sets up one socket with one library, and the driver that runs it. The
 * library's part is in setup_libxdp.c or setup_libxsk.c; setup_none.c is for the program
 * that links neither.
 */
#ifndef SETUP_SIDE_H
#define SETUP_SIDE_H

#include <stdint.h>

#define FRAME_SIZE 4096	/* both libraries' default */
#define FILLED 64	/* frames in the fill ring */

/* What a run took, in ns, written to standard output. */
struct setup_result {
	uint64_t umem_cpu, umem_wall;
	uint64_t socket_cpu, socket_wall;
	uint64_t close_cpu, close_wall;
	uint64_t received_at;	/* CLOCK_MONOTONIC, the first packet */
	uint64_t peak_rss;	/* bytes, the UMEM's memory among them */
};

/* Of the program's memory; a socket with the default program. Each 0, or a negative errno. */
int side_umem(void *memory, uint64_t size);
int side_socket(const char *ifname);

/* Gives frames to the kernel; the socket's descriptor; how many packets came. */
void side_fill(void);
int side_fd(void);
unsigned int side_receive(void);

void side_close(void);

#endif
