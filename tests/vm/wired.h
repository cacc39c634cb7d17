/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Pairs of network cards wired back to back, which tests/vm/check.sh gives to its guests,
 * and packets for them.
 */

#ifndef WIRED_H
#define WIRED_H

#include "net.h"

/* The cards are where the machine's first process is; no namespace is made. */
#define WIRED(name) CASE(name, 1)

/* --- frames: IPv4 of 16 senders, for cards that choose a queue by the address */

#define IP_AT 14
#define NUMBER_AT 34
#define LEN 90

static UNUSED uint32_t write_packet(uint8_t *to, uint32_t from, uint32_t number)
{
	const uint8_t head[NUMBER_AT] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, (uint8_t)from, 8, 0,
		0x45, 0, 0, LEN - IP_AT, 0, 0, 0, 0, 64, 253 /* for experiments */, 0, 0,
		10, (uint8_t)from, 0, (uint8_t)(number % 16), 10, 9, 9, 9
	};
	uint32_t net = htonl(number), sum = 0;

	memcpy(to, head, sizeof(head));
	for (uint32_t i = IP_AT; i < NUMBER_AT; i += 2)
		sum += (uint32_t)to[i] << 8 | to[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	to[IP_AT + 10] = (uint8_t)(sum >> 8);
	to[IP_AT + 11] = (uint8_t)sum;
	memcpy(to + NUMBER_AT, &net, 4);
	for (uint32_t i = NUMBER_AT + 4; i < LEN; i++)
		to[i] = (uint8_t)(number * 31 + i * 7 + from);
	return LEN;
}

/* The number; the case fails if a byte is not as it was sent. */
static UNUSED uint32_t read_packet(const void *data, uint32_t len, uint32_t from)
{
	uint8_t wanted[LEN];
	uint32_t number;

	CHECK_EQ(len, LEN);
	memcpy(&number, (const uint8_t *)data + NUMBER_AT, 4);
	number = ntohl(number);
	write_packet(wanted, from, number);
	for (uint32_t i = 0; i < LEN; i++)
		if (((const uint8_t *)data)[i] != wanted[i])
			FAIL("packet %u is damaged at byte %u of %u", number, i, len);
	return number;
}

/* --- cards */

static UNUSED int has_carrier(const char *name)
{
	char path[64], state = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/net/%s/carrier", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, &state, 1) != 1)
			state = 0;
		close(fd);
	}
	return state == '1';
}

static UNUSED void need_cards(const char *name)
{
	if (if_nametoindex(name) == 0)
		SKIP("no such cards: tests/vm/check.sh gives them to a guest");
}

/* Whether the driver can do without copies here, by trial. */
static UNUSED int zero_copy_answer(const char *name)
{
	struct end end = { small_umem(), NULL };
	int answer;

	need_cards(name);
	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_EQ(xsk_rx_burst(end.socket, NULL, 0), 0);
	answer = xsk_socket_bind(end.socket, name, 0, &XSK_BIND_PARAMS(.flags = XSK_BIND_ZEROCOPY));
	close_end(&end);
	return answer;
}

static UNUSED void need_zero_copy(const char *name)
{
	if (zero_copy_answer(name) == -EOPNOTSUPP)
		SKIP("this kernel has no zero-copy in the driver of these cards");
}

/* All that comes goes to the first queue. With eight, a queue's directions share an
 * interrupt; where they do not, Linux 6.18 makes an RX kick that of the other one. */
static UNUSED void set_up_igb(void)
{
	need_cards("ig0");
	shell("for card in ig0 ig1; do ethtool -L $card combined 8 && ethtool -X $card equal 1; done");
}

#endif
