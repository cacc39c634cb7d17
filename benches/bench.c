/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

void bench_die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

unsigned int bench_slices(void)
{
	const char *text = getenv("BENCH_SLICES");
	unsigned long n = text ? strtoul(text, NULL, 10) : 101;

	if (n == 0 || n > 100000)
		bench_die("BENCH_SLICES=%s is no number from 1 to 100000", text);
	return (unsigned int)n;
}

uint64_t bench_wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

void bench_pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		bench_die("no CPU %u: %s", cpu, strerror(errno));
}

double *bench_numbers(unsigned int n)
{
	double *values = calloc(n, sizeof(*values));

	if (!values)
		bench_die("no memory");
	return values;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), ascending);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void bench_compare(struct bench_row *row, const double *libxdp, const double *libxsk,
		   unsigned int n)
{
	double *values = bench_numbers(n);

	for (unsigned int i = 0; i < n; i++)
		values[i] = libxsk[i] > 0 ? libxdp[i] / libxsk[i] : 0;
	row->ratio = bench_median(values, n);
	memcpy(values, libxdp, n * sizeof(*values));
	row->libxdp = bench_median(values, n);
	memcpy(values, libxsk, n * sizeof(*values));
	row->libxsk = bench_median(values, n);
	free(values);
}

static double ratio_of(const struct bench_row *row)
{
	if (row->ratio != 0)
		return row->ratio;
	return row->libxsk > 0 ? row->libxdp / row->libxsk : 0;
}

/* The goal as a reader wants it, and whether it is met; empty without one. */
static const char *verdict(const struct bench_row *row, char *to, size_t room)
{
	/* What is printed is what is judged: two digits of a ratio. */
	double ratio = ratio_of(row);
	int ratio_met = row->min_ratio == 0 || ratio >= row->min_ratio - 0.005;
	int value_met = row->max_libxsk == 0 || row->libxsk <= row->max_libxsk + 0.0005;
	const char *met = ratio_met && value_met ? "met" : "MISSED";

	if (row->min_ratio != 0 && row->max_libxsk != 0)
		snprintf(to, room, ">= %.2fx, <= %g: %s", row->min_ratio, row->max_libxsk, met);
	else if (row->min_ratio != 0)
		snprintf(to, room, ">= %.2fx: %s", row->min_ratio, met);
	else if (row->max_libxsk != 0)
		snprintf(to, room, "<= %g: %s", row->max_libxsk, met);
	else
		to[0] = '\0';
	return to;
}

static void append_json(const char *path, const struct bench_row *row, const char *goal)
{
	FILE *file = fopen(path, "a");

	if (!file)
		bench_die("%s: %s", path, strerror(errno));
	fprintf(file,
		"{\"part\":\"%s\",\"what\":\"%s\",\"variant\":\"%s\",\"batch\":%u,\"unit\":\"%s\","
		"\"libxdp\":%.4g,\"libxsk\":%.4g,\"ratio\":%.4g,\"goal\":\"%s\"}\n",
		row->part, row->what, row->variant, row->batch, row->unit, row->libxdp,
		row->libxsk, ratio_of(row), goal);
	if (fclose(file) != 0)
		bench_die("%s: %s", path, strerror(errno));
}

void bench_row(const struct bench_row *row)
{
	static const char *part = "";
	const char *json = getenv("BENCH_JSON");
	char goal[64], batch[16] = "", libxdp[16] = "-", ratio[16] = "-";

	if (strcmp(part, row->part) != 0) {
		part = row->part;
		printf("\n%-8s %-26s %-12s %5s %10s %10s %8s  %-10s %s\n", "part", "what",
		       "variant", "batch", "libxdp", "libxsk", "ratio", "unit", "goal");
	}
	if (row->batch)
		snprintf(batch, sizeof(batch), "%u", row->batch);
	if (row->libxdp > 0) {
		snprintf(libxdp, sizeof(libxdp), "%.4g", row->libxdp);
		if (row->libxsk > 0)
			snprintf(ratio, sizeof(ratio), "%.2fx", ratio_of(row));
	}
	verdict(row, goal, sizeof(goal));
	printf("%-8s %-26s %-12s %5s %10s %10.4g %8s  %-10s %s\n", row->part, row->what,
	       row->variant, batch, libxdp, row->libxsk, ratio, row->unit, goal);
	fflush(stdout);
	if (json)
		append_json(json, row, goal);
}
