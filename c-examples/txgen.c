/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sends numbered frames, by the ring calls, from a socket that only sends:
 *
 *	sudo build/examples/txgen -i eth0 -r 1000
 *	sudo build/examples/txgen -i eth0 -a 192.0.2.7 -d 02:aa:bb:cc:dd:ee
 *
 * The number is 64 bits in network byte order: behind the Ethernet header, or
 * with -a behind the UDP header.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

#define BATCH 64
#define FRAMES 2048

static const char usage[] =
	"usage: txgen -i IF [options]\n"
	"Sends numbered frames on a queue of an interface.\n"
	"  -i IF       the interface\n"
	"  -q QUEUE    the queue (0)\n"
	"  -r RATE     packets per second; 0, the default: as fast as it goes\n"
	"  -s SIZE     bytes of a frame, 60 to 1514 (60)\n"
	"  -d MAC      destination (02:00:00:00:00:01)\n"
	"  -a IPV4     UDP to that address, not just Ethernet frames of type 0x88b5\n"
	"  -p PORT     its UDP port (9, discard)\n"
	"  -c COUNT    stop after so many packets\n"
	"  -t SECONDS  stop after so long\n"
	"  -C | -Z     the kernel copies packets | the device reads them (zero-copy)\n";

static uint64_t rate;
static uint32_t size = 60, number_at = ETH_HEADER;
static uint16_t port = 9;
static uint8_t dst_mac[MAC_LEN] = { 2, 0, 0, 0, 0, 1 }, dst_ip[4];

static void own_option(int letter, const char *value)
{
	if (letter == 'r') {
		rate = read_number(value, 0, 1000000000);
	} else if (letter == 's') {
		size = (uint32_t)read_number(value, 60, 1514);
	} else if (letter == 'd') {
		read_mac(value, dst_mac);
	} else if (letter == 'p') {
		port = (uint16_t)read_number(value, 1, 65535);
	} else {
		read_ipv4(value, dst_ip);
		number_at = ETH_HEADER + IP_HEADER + UDP_HEADER;
	}
}

/* Writes all of a frame but its number. */
static void write_frame(uint8_t *frame, const uint8_t src_mac[MAC_LEN])
{
	/* TTL 64, UDP, from 198.18/15, which is for benchmarks. */
	static const uint8_t start[] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1 };
	uint8_t *ip = frame + ETH_HEADER, *udp = ip + IP_HEADER;

	memset(frame, 0, size);
	memcpy(frame, dst_mac, MAC_LEN);
	memcpy(frame + MAC_LEN, src_mac, MAC_LEN);
	put16(frame + 2 * MAC_LEN, 0x88b5);
	if (number_at == ETH_HEADER)
		return;
	put16(frame + 2 * MAC_LEN, 0x0800);
	memcpy(ip, start, sizeof(start));
	memcpy(ip + 16, dst_ip, sizeof(dst_ip));
	put16(ip + 2, (uint16_t)(size - ETH_HEADER));
	put16(ip + 10, checksum(ip, IP_HEADER));
	put16(udp, port);
	put16(udp + 2, port);
	put16(udp + 4, (uint16_t)(size - ETH_HEADER - IP_HEADER));
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* `free` is a stack of frames; `nfree` how many of the FRAMES are in it. */
static int send_all(struct xsk_socket *socket, uint8_t *memory, uint64_t *free,
		    uint64_t count, struct meter *meter)
{
	struct pace pace = { .rate = rate, .start = now_ns() };
	uint64_t number = 0, give_up = 0;
	uint32_t i, n, nfree = FRAMES;
	struct xdp_desc descs[BATCH];
	int err;

	/* At the end there is a second to get the last frames out. */
	while ((number < count && meter_running(meter)) || nfree < FRAMES) {
		nfree += xsk_comp_get(socket, free + nfree, FRAMES - nfree);
		n = 0;
		if (number < count && meter_running(meter))
			n = (uint32_t)min(pace_allows(&pace, BATCH), min(count - number, nfree));
		else if (give_up == 0)
			give_up = now_ns() + SECOND;
		else if (now_ns() >= give_up)
			break;
		for (i = 0; i < n; i++) {
			descs[i] = (struct xdp_desc){ .addr = free[--nfree], .len = size };
			put64(memory + descs[i].addr + number_at, number++);
		}
		/* The TX ring has room for all frames there are. */
		xsk_tx_put(socket, descs, n);
		pace.done += n;

		err = xsk_tx_kick(socket, 0);
		if (err == -ENETDOWN)
			sleep_until(now_ns() + SECOND / 10);
		else if (err < 0)
			return err;
		if (meter_due(meter))
			meter_line(meter, NULL);
	}
	if (nfree < FRAMES)
		fprintf(stderr, "txgen: %u of the packets did not leave\n", FRAMES - nfree);
	return 0;
}

int main(int argc, char **argv)
{
	static uint64_t frames[FRAMES];
	struct xsk_umem_info info = { .size = sizeof(info) };
	uint8_t src_mac[MAC_LEN] = { 0 };
	struct xsk_umem *umem = NULL;
	struct xsk_socket *socket = NULL;
	struct options options;
	struct meter meter;
	uint32_t i;
	int err;

	begin(&options, argc, argv, usage, "i:q:c:t:CZhr:s:d:a:p:", own_option);

	err = xsk_umem_create(&umem, &XSK_UMEM_PARAMS(.frame_count = FRAMES,
						      .frame_size = 2048));
	if (err == 0)
		err = xsk_umem_info(umem, &info);
	if (err == 0)
		err = xsk_socket_open(&socket, umem, options.ifname, options.queue,
				      &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY),
				      &XSK_BIND_PARAMS(.flags = options.bind_flags));
	if (err == 0) {
		mac_of(options.ifname, src_mac);
		xsk_umem_alloc(umem, frames, FRAMES);
		for (i = 0; i < FRAMES; i++)
			write_frame((uint8_t *)info.memory + frames[i], src_mac);
		meter_start(&meter, stdout, &options, socket, NULL);
		err = send_all(socket, info.memory, frames, options.count, &meter);
		meter_totals(&meter, NULL);
	}
	if (err < 0)
		failed();

	xsk_socket_destroy(socket);
	xsk_umem_destroy(umem);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
