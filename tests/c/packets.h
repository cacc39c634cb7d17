/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Packets for the tests of programs: random ones of the usual protocols, with fields
 * from small pools so that filters meet them, and mutated; and ways to run an XDP
 * program on a packet that goes nowhere.
 */

#ifndef PACKETS_H
#define PACKETS_H

#include "bpf.h"

#define PACKET_MAX 1600

struct packet {
	uint32_t len;
	uint8_t bytes[PACKET_MAX];
};

/* --- numbers: xorshift, the same in each run */

static uint64_t random_state = 88172645463325252ull;

static UNUSED uint32_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static UNUSED uint32_t below(uint32_t n)
{
	return random_number() % n;
}

#define ONE_OF(array) ((array)[below(COUNT(array))])

/* --- building */

static UNUSED void put(struct packet *packet, const void *bytes, uint32_t len)
{
	if (packet->len + len > PACKET_MAX)
		len = PACKET_MAX - packet->len;
	memcpy(packet->bytes + packet->len, bytes, len);
	packet->len += len;
}

static UNUSED void put8(struct packet *packet, uint32_t value)
{
	uint8_t byte = (uint8_t)value;

	put(packet, &byte, 1);
}

static UNUSED void put16(struct packet *packet, uint32_t value)
{
	put8(packet, value >> 8);
	put8(packet, value);
}

static UNUSED void put32(struct packet *packet, uint32_t value)
{
	put16(packet, value >> 16);
	put16(packet, value);
}

static UNUSED void set16(struct packet *packet, uint32_t at, uint32_t value)
{
	packet->bytes[at] = (uint8_t)(value >> 8);
	packet->bytes[at + 1] = (uint8_t)value;
}

/* Ethernet, with the type still to come. */
static UNUSED void put_macs(struct packet *packet)
{
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };

	packet->len = 0;
	put(packet, macs, sizeof(macs));
}

/* --- random packets */

static UNUSED void put_port(struct packet *packet)
{
	static const uint16_t ports[] = { 22, 53, 80, 443, 5353, 0, 65535, 50, 60, 1024, 1000, 17 };

	put16(packet, below(4) ? ONE_OF(ports) : random_number());
}

static UNUSED void put_payload(struct packet *packet)
{
	uint32_t n = below(8) ? below(64) : below(1200);

	while (n--)
		put8(packet, below(4) ? random_number() : 0);
}

static UNUSED void put_transport(struct packet *packet, uint32_t proto)
{
	if (proto == 6 || proto == 17 || proto == 132) {
		put_port(packet);
		put_port(packet);
	}
	switch (proto) {
	case 6:
		put32(packet, random_number());
		put32(packet, random_number());
		put8(packet, (5 + below(4)) << 4);
		put8(packet, below(64));
		put16(packet, random_number());
		put32(packet, random_number());
		break;
	case 17:
		put16(packet, below(64));
		put16(packet, random_number());
		break;
	case 1:
		put8(packet, below(2) * 8);
		put8(packet, below(3));
		break;
	case 58:
		put8(packet, 128 + below(10));
		put8(packet, below(3));
		break;
	}
	put_payload(packet);
}

static UNUSED void put_ipv4_addr(struct packet *packet)
{
	static const uint32_t nets[] = { 0x0a000000, 0xc0a80100, 0x7f000000, 0x0a000100, 0xe0000000 };

	put32(packet, below(8) ? ONE_OF(nets) + below(4) : random_number());
}

static UNUSED void put_ipv6_addr(struct packet *packet)
{
	put32(packet, below(2) ? 0xfe800000 : below(4) ? 0x20010db8 : 0xff020000);
	put32(packet, 0);
	put32(packet, 0);
	put32(packet, below(4));
}

static UNUSED void put_ipv4(struct packet *packet)
{
	static const uint8_t protos[] = { 6, 17, 132, 1, 2, 50, 51, 47, 6, 17 };
	uint32_t start = packet->len, options = below(4) ? 0 : below(11), proto = ONE_OF(protos);

	put8(packet, 0x45 + options);
	put8(packet, below(3) ? 0 : below(8));
	put16(packet, 0);
	put16(packet, random_number());
	put16(packet, below(4) ? below(2) << 14 : below(4) ? below(64) : 0x2000 | below(3));
	put8(packet, 60 + below(8));
	put8(packet, proto);
	put16(packet, random_number());
	put_ipv4_addr(packet);
	put_ipv4_addr(packet);
	while (options--)
		put32(packet, random_number());
	put_transport(packet, proto);
	set16(packet, start + 2, packet->len - start);
}

static UNUSED void put_ipv6(struct packet *packet)
{
	static const uint8_t protos[] = { 6, 17, 132, 58, 59, 6, 17 };
	static const uint8_t extensions[] = { 0, 43, 44, 51, 60 };
	uint32_t start = packet->len, count = below(3) ? 0 : below(10), proto = ONE_OF(protos);
	uint32_t next = count ? ONE_OF(extensions) : proto;

	put32(packet, 0x60000000 | below(16));
	put16(packet, 0);
	put8(packet, next);
	put8(packet, 60 + below(8));
	put_ipv6_addr(packet);
	put_ipv6_addr(packet);
	while (count--) {
		uint32_t kind = next, len = kind == 44 || below(2) ? 0 : below(4), bytes;

		next = count ? ONE_OF(extensions) : proto;
		put8(packet, next);
		put8(packet, len);
		if (kind == 44)
			put16(packet, below(4) == 0 ? random_number() : below(2));
		else
			put16(packet, random_number());
		bytes = kind == 51 ? (len + 2) * 4 : (len + 1) * 8;
		for (bytes -= 4; bytes; bytes -= 4)
			put32(packet, random_number());
	}
	put_transport(packet, proto);
	set16(packet, start + 4, packet->len - start - 40);
}

static UNUSED void random_packet(struct packet *packet)
{
	static const uint16_t others[] = { 0x88b5, 0x8847, 0x8863, 0x8864, 0x0806, 0x8035, 0x6003,
					   0x88cc, 0x0040, 0x8100, 0x9100 };
	uint32_t tags = below(3) ? 0 : below(4), kind = below(16);

	put_macs(packet);
	if (below(4) == 0)
		memset(packet->bytes, 0xff, 6);
	while (tags--) {
		put16(packet, below(2) ? 0x8100 : 0x88a8);
		put16(packet, below(2) ? below(8) << 13 | 5 : below(2) ? 100 : random_number());
	}
	if (kind < 7) {
		put16(packet, 0x0800);
		put_ipv4(packet);
	} else if (kind < 12) {
		put16(packet, 0x86dd);
		put_ipv6(packet);
	} else if (kind == 12) {
		put16(packet, 0x0806);
		put32(packet, 0x00010800);
		put32(packet, 0x06040001 + below(2));
		put32(packet, random_number());
		put16(packet, random_number());
		put_ipv4_addr(packet);
		put32(packet, 0);
		put16(packet, 0);
		put_ipv4_addr(packet);
	} else if (kind == 13) {
		put16(packet, 0x8847);
		put32(packet, 16 << 12 | below(2) << 8 | 64);
		if (below(2))
			put32(packet, 16 << 12 | 1 << 8 | 64);
		put_ipv4(packet);
	} else if (kind == 14) {
		put16(packet, 0x8864);
		put16(packet, 0x1100);
		put16(packet, below(8));
		put16(packet, packet->len);
		put16(packet, 0x0021);
		put_ipv4(packet);
	} else {
		put16(packet, ONE_OF(others));
		put_payload(packet);
	}
	/* Damage some, cut some. */
	if (below(3) == 0)
		for (uint32_t n = 1 + below(4); n; n--)
			packet->bytes[below(packet->len)] = (uint8_t)random_number();
	if (below(5) == 0 && packet->len > 14)
		packet->len = 14 + below(packet->len - 13);
	if (packet->len < 14)
		packet->len = 14;
}

/* --- running */

/* What an XDP program answers; the kernel takes no packets below 14 bytes here. */
static UNUSED uint32_t run_xdp_repeat(int program, const struct packet *packet, uint32_t repeat,
				      uint32_t *nanoseconds)
{
	union bpf_attr attr = { .test = {
		.prog_fd = (uint32_t)program,
		.data_in = (uint64_t)(uintptr_t)packet->bytes,
		.data_size_in = packet->len,
		.repeat = repeat,
	} };

	if (bpf(BPF_PROG_TEST_RUN, &attr) != 0)
		FAIL("BPF_PROG_TEST_RUN of %u bytes: %s", packet->len, strerror(errno));
	if (nanoseconds)
		*nanoseconds = attr.test.duration;
	return attr.test.retval;
}

static UNUSED uint32_t run_xdp(int program, const struct packet *packet)
{
	return run_xdp_repeat(program, packet, 1, NULL);
}

static UNUSED int program_fd(uint32_t id)
{
	union bpf_attr attr = { .prog_id = id };
	int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);

	if (fd < 0)
		FAIL("BPF_PROG_GET_FD_BY_ID: %s", strerror(errno));
	return fd;
}

/* The program that a socket uses now. */
static UNUSED int program_of(const struct xsk_socket *socket)
{
	return program_fd(info_of(socket).program_id);
}

#endif
