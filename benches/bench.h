/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the benchmarks share: clocks, medians, and rows of results, which go to the
 * terminal as a table and, where BENCH_JSON names a file, to its end as JSON objects,
 * a line each.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

/* How many slices of each variant are measured, in turns: BENCH_SLICES or 101. */
unsigned int bench_slices(void);

/* CLOCK_MONOTONIC, in ns. */
uint64_t bench_wall_ns(void);

/* Pins this thread to a CPU, so that slices are alike. */
void bench_pin(unsigned int cpu);

/* Room for n values; ends the program if there is none. */
double *bench_numbers(unsigned int n);

/* The median of n values, which get sorted. */
double bench_median(double *values, unsigned int n);

/* Ends the program with a sentence. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * One result: what libxdp takes and what libxsk takes, of which less is better. 0 for
 * libxdp where it has no such thing.
 */
struct bench_row {
	const char *part;	/* rings, veth, setup, ... */
	const char *what;	/* "rx+fill", "socket create", ... */
	const char *variant;	/* how libxsk is called; "" if there is one way */
	const char *unit;	/* "ns/desc", "KiB", ... */
	unsigned int batch;	/* 0 where there is none */
	double libxdp, libxsk;
	double ratio;		/* if it is not libxdp / libxsk */
	double min_ratio;	/* the goal for the ratio; 0 for none */
	double max_libxsk;	/* the goal for libxsk itself; 0 for none */
};

/*
 * Fills in libxdp, libxsk and ratio from n slices of each, measured in turns: medians,
 * and of the ratios that of each slice with its neighbour, which a machine that changes
 * its speed meanwhile leaves alone.
 */
void bench_compare(struct bench_row *row, const double *libxdp, const double *libxsk,
		   unsigned int n);

/* Writes a row; the first of a part also writes the table's head. */
void bench_row(const struct bench_row *row);

#endif
