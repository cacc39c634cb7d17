/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the examples share: options, an orderly end, statistics, addresses. */
#ifndef COMMON_H
#define COMMON_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include <xsk.h>

#define MAC_LEN 6
#define ETH_HEADER 14
#define IP_HEADER 20
#define UDP_HEADER 8

/* Exit codes: 0 all is well, 1 it failed, 2 it was called wrongly. */
#define EXIT_USAGE 2

/* The options that several examples have, read by begin(). */
struct options {
	const char *ifname;	/* -i */
	uint32_t queue;		/* -q, the first one */
	uint32_t queue_count;	/* 1, or begin_queues()'s; 0: all */
	const char *broker;	/* -b, --broker */
	uint64_t count;		/* -c, UINT64_MAX: no end */
	uint64_t seconds;	/* -t, 0: no end */
	uint32_t bind_flags;	/* -S -N -C -Z */
};

/*
 * Reads the options that are in `letters` (as for getopt), the program's own with
 * own(); catches Ctrl-C; shows the library's log. Ends the program if it is called
 * wrongly, or for -h.
 */
void begin(struct options *options, int argc, char **argv, const char *usage,
	   const char *letters, void (*own)(int letter, const char *value));

/* The same for a program that takes several queues: -q FIRST-LAST, or all. */
void begin_queues(struct options *options, int argc, char **argv, const char *usage,
		  const char *letters, void (*own)(int letter, const char *value));

/* The part of begin() behind the options: catches Ctrl-C, shows the library's log. */
void catch_signals(void);

/* Says what is wrong with the command line, and ends the program. */
void bad_usage(const char *what, const char *value);

/* Option values; what cannot be read is bad usage. */
uint64_t read_number(const char *text, uint64_t min, uint64_t max);
void read_mac(const char *text, uint8_t mac[MAC_LEN]);
void read_ipv4(const char *text, uint8_t ip[4]);

/* Set by SIGINT and SIGTERM. */
extern volatile sig_atomic_t stopped;

/* Says why the last call of the library failed; gives EXIT_FAILURE. */
int failed(void);

/* CLOCK_MONOTONIC in nanoseconds, and a sleep that a signal may end early. */
#define SECOND UINT64_C(1000000000)
uint64_t now_ns(void);
void sleep_until(uint64_t ns);

/* A rate to keep, in packets per second; 0 for none. */
struct pace {
	uint64_t rate, start, done;	/* `done` packets since `start` (ns) */
};

/* How many packets, of n, may go now; if none it sleeps 0.1 s at most. */
uint64_t pace_allows(struct pace *pace, uint64_t n);

/* The hardware address of an interface; 0, or -1 with errno. */
int mac_of(const char *ifname, uint8_t mac[MAC_LEN]);

/* Numbers in network byte order, at any address. */
uint16_t get16(const uint8_t *at);
void put16(uint8_t *at, uint16_t value);
void put64(uint8_t *at, uint64_t value);

/* The Internet checksum; 0 over data that holds its own. */
uint16_t checksum(const uint8_t *data, uint32_t len);

/*
 * Statistics of one or two sockets, or of ports: a line a second, redrawn in place
 * on a terminal, and the totals at the end.
 */
struct meter {
	FILE *out;
	struct xsk_socket *sockets[2];	/* of a port the first one */
	struct xsk_port *ports[2];	/* NULL for a single socket */
	struct xsk_socket_stats last[2];
	uint64_t start, last_line, end;	/* ns */
};

/* Begins; `second` is NULL where there is one socket. */
void meter_start(struct meter *meter, FILE *out, const struct options *options,
		 struct xsk_socket *first, struct xsk_socket *second);

/* The same for two ports, each with all its queues. */
void meter_start_ports(struct meter *meter, FILE *out, const struct options *options,
		       struct xsk_port *first, struct xsk_port *second);

/* Whether to go on: nobody said stop and the time (-t) is not over. */
int meter_running(const struct meter *meter);

/* Milliseconds until the next line or the end: how long to wait. */
int meter_wait_ms(const struct meter *meter);

/* Whether the next line is due, once a second. */
int meter_due(const struct meter *meter);

/* Writes the line, with the program's own words behind it if it has any. */
void meter_line(struct meter *meter, const char *words);

/* Writes the totals, likewise. */
void meter_totals(struct meter *meter, const char *words);

#endif
