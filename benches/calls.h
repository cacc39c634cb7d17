/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * System calls on the data path, counted and timed. calls.c defines sendto() and
 * recvfrom() in the program itself, where both libraries' calls find them before libc's.
 *
 * User and system time are told apart by that: getrusage() splits by ticks on kernels
 * without CONFIG_VIRT_CPU_ACCOUNTING_GEN, which is no measure for slices of milliseconds.
 * The time in a call is all the kernel's: on veth the packets are delivered before it
 * returns, in softirqs on this CPU.
 */
#ifndef CALLS_H
#define CALLS_H

#include "bench.h"

/* This thread's: how many, and the ticks in them. */
struct calls {
	uint64_t count, ticks;
};

extern __thread struct calls calls;

/* A cheap clock of some unit: compare it with bench_wall_ns() over a while. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#else
	return bench_wall_ns();
#endif
}

#endif
