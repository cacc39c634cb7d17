/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where the benchmarks run: veth pairs in a network namespace that ends with the process. */
#ifndef NET_H
#define NET_H

#include <stdint.h>

#define FRAME_LEN 64	/* bytes, as on the wire without its checksum */

/*
 * Enters network and mount namespaces of this process's own, with a BPF file system in
 * its usual place, since libxdp pins its programs there. Call it before any thread is
 * made.
 */
void net_enter(void);

/* Makes "a<number>" and "b<number>", with so many queues each, up. */
void net_pair(unsigned int number, unsigned int queues);

/* Writes a frame of FRAME_LEN bytes, of an ethertype that nothing else uses. */
void net_frame(void *to);

/* A packet socket that sends on an interface. */
int net_sender(const char *ifname);

#endif
