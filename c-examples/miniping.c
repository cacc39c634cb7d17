/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A small ping for machines that have none; the demo uses it. It is an ordinary
 * program of the network stack and uses nothing of libxsk:
 *
 *	sudo build/examples/miniping -c 3 192.0.2.7
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

#define ICMP_LEN 64	/* header and data, as of other pings */

/* The reply to `number` in an IP packet: 1, or 0 if it is something else. */
static int is_reply(const uint8_t *ip, size_t len, const uint8_t *request)
{
	size_t header = len ? (ip[0] & 15) * 4U : 0;

	/* Type and checksum differ, the rest must come back as it was. */
	return header >= IP_HEADER && len == header + ICMP_LEN && ip[header] == 0 &&
	       ip[header + 1] == 0 && checksum(ip + header, ICMP_LEN) == 0 &&
	       memcmp(ip + header + 4, request + 4, ICMP_LEN - 4) == 0;
}

/* Sends one request; gives the nanoseconds to the reply, 0 if none came. */
static uint64_t ping(int fd, const struct sockaddr_in *to, uint16_t number)
{
	uint8_t request[ICMP_LEN] = { 8 }, packet[2048];
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	uint64_t sent, until, now;
	int i;

	put16(request + 4, (uint16_t)getpid());
	put16(request + 6, number);
	for (i = 8; i < ICMP_LEN; i++)
		request[i] = (uint8_t)i;
	put16(request + 2, checksum(request, ICMP_LEN));

	sent = now_ns();
	if (sendto(fd, request, ICMP_LEN, 0, (const struct sockaddr *)to, sizeof(*to)) < 0) {
		fprintf(stderr, "miniping: send: %s\n", strerror(errno));
		return 0;
	}
	until = sent + SECOND;
	for (now = sent; now < until; now = now_ns()) {
		ssize_t len;

		if (poll(&readable, 1, (int)((until - now) / 1000000 + 1)) <= 0)
			continue;
		len = recv(fd, packet, sizeof(packet), 0);
		if (len > 0 && is_reply(packet, (size_t)len, request))
			return now_ns() - sent;
	}
	return 0;
}

static double read_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0 && seconds <= 3600))
		bad_usage("not a number of seconds: ", text);
	return seconds;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint64_t i, count = 4, replies = 0, pause = SECOND;
	int fd, letter;

	while ((letter = getopt(argc, argv, "c:i:h")) != -1) {
		if (letter == 'c') {
			count = read_number(optarg, 1, 65535);
		} else if (letter == 'i') {
			pause = (uint64_t)(read_seconds(optarg) * SECOND);
		} else {
			fprintf(letter == 'h' ? stdout : stderr,
				"usage: miniping [-c COUNT] [-i SECONDS] IPV4\n");
			return letter == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
		}
	}
	if (argc - optind != 1)
		bad_usage("which address? ", "IPV4");
	read_ipv4(argv[optind], (uint8_t *)&to.sin_addr);

	fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	if (fd < 0) {
		fprintf(stderr, "miniping: socket: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	for (i = 0; i < count; i++) {
		uint64_t start = now_ns(), ns = ping(fd, &to, (uint16_t)(i + 1));

		if (ns) {
			printf("%d bytes from %s: icmp_seq=%d time=%.3f ms\n", ICMP_LEN,
			       argv[optind], (int)i + 1, (double)ns / 1e6);
			replies++;
		} else {
			printf("no reply from %s: icmp_seq=%d\n", argv[optind], (int)i + 1);
		}
		fflush(stdout);
		if (i + 1 < count)
			sleep_until(start + pause);
	}
	close(fd);
	printf("%d packets transmitted, %d received\n", (int)count, (int)replies);
	return replies == count ? EXIT_SUCCESS : EXIT_FAILURE;
}
