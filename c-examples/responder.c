/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Answers ARP and ping for an address of its own, by the packet calls. Each answer
 * is written over the question, in the frame it came in:
 *
 *	sudo build/examples/responder -i eth0 -a 192.0.2.7
 *
 * Everything else that arrives on the queue is dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

#define BATCH 64
#define ARP_LEN 28
#define ICMP_HEADER 8

static const char usage[] =
	"usage: responder -i IF -a IPV4 [options]\n"
	"Answers ARP and ping on a queue of an interface.\n"
	"  -i IF       the interface\n"
	"  -a IPV4     the address to answer for\n"
	"  -q QUEUE    the queue (0)\n"
	"  -t SECONDS  stop after so long\n"
	"  -S | -N     XDP in the network stack (skb mode) | in the driver (native)\n"
	"  -C | -Z     the kernel copies packets | the device moves them (zero-copy)\n";

static uint8_t our_ip[4], our_mac[MAC_LEN];
static int has_ip;
static uint64_t arps, echoes, ignored, unsent;

static void own_option(int letter, const char *value)
{
	(void)letter;
	read_ipv4(value, our_ip);
	has_ip = 1;
}

/* Makes an ARP request for our address the reply to it; 0 if it is none. */
static int answer_arp(uint8_t *arp, uint32_t len)
{
	/* Ethernet, IPv4, the lengths of their addresses, a request. */
	static const uint8_t request[] = { 0, 1, 8, 0, MAC_LEN, 4, 0, 1 };
	uint8_t *sender = arp + 8, *target = arp + 18;

	if (len < ARP_LEN || memcmp(arp, request, sizeof(request)) != 0 ||
	    memcmp(target + MAC_LEN, our_ip, 4) != 0)
		return 0;
	arp[7] = 2;	/* a reply */
	memcpy(target, sender, MAC_LEN + 4);
	memcpy(sender, our_mac, MAC_LEN);
	memcpy(sender + MAC_LEN, our_ip, 4);
	return 1;
}

/* Makes an echo request to our address the reply to it; 0 if it is none. */
static int answer_ping(uint8_t *ip, uint32_t len)
{
	uint32_t header, total;
	uint8_t *icmp;

	if (len < IP_HEADER || ip[0] >> 4 != 4)
		return 0;
	header = (ip[0] & 15) * 4U;
	total = get16(ip + 2);
	/* What is behind `total` is padding. Fragments are none of ours. */
	if (header < IP_HEADER || total < header + ICMP_HEADER || total > len ||
	    checksum(ip, header) != 0 || (get16(ip + 6) & 0x3fff) != 0 || ip[9] != 1 ||
	    memcmp(ip + 16, our_ip, 4) != 0)
		return 0;
	/* Nobody is called 0.x, 127.x, or 224.x and up. */
	if (ip[12] == 0 || ip[12] == 127 || ip[12] >= 224)
		return 0;
	icmp = ip + header;
	if (icmp[0] != 8 || icmp[1] != 0 || checksum(icmp, total - header) != 0)
		return 0;

	memcpy(ip + 16, ip + 12, 4);
	memcpy(ip + 12, our_ip, 4);
	ip[8] = 64;
	put16(ip + 10, 0);
	put16(ip + 10, checksum(ip, header));
	icmp[0] = 0;
	put16(icmp + 2, 0);
	put16(icmp + 2, checksum(icmp, total - header));
	return 1;
}

/* Makes a frame the answer to it; 0 if there is nothing to answer. */
static int answer(uint8_t *frame, uint32_t len)
{
	static const uint8_t broadcast[] = { 255, 255, 255, 255, 255, 255 };
	uint8_t *dst = frame, *src = frame + MAC_LEN, *rest = frame + ETH_HEADER;
	int to_us, done = 0;

	if (len < ETH_HEADER || src[0] & 1)
		return 0;
	to_us = memcmp(dst, our_mac, MAC_LEN) == 0;
	if (get16(frame + 2 * MAC_LEN) == 0x0806 &&
	    (to_us || memcmp(dst, broadcast, MAC_LEN) == 0))
		arps += (uint64_t)(done = answer_arp(rest, len - ETH_HEADER));
	else if (get16(frame + 2 * MAC_LEN) == 0x0800 && to_us)
		echoes += (uint64_t)(done = answer_ping(rest, len - ETH_HEADER));
	if (done) {
		memcpy(dst, src, MAC_LEN);
		memcpy(src, our_mac, MAC_LEN);
	}
	return done;
}

static const char *tally(void)
{
	static char words[128];

	snprintf(words, sizeof(words), "answered: %llu ARP, %llu ping; ignored: %llu; unsent: %llu",
		 (unsigned long long)arps, (unsigned long long)echoes,
		 (unsigned long long)ignored, (unsigned long long)unsent);
	return words;
}

static int respond(struct xsk_socket *socket, struct meter *meter)
{
	struct xsk_buf in[BATCH], out[BATCH];

	while (meter_running(meter)) {
		int i, sent, answers = 0, err = 0;
		int n = xsk_rx_burst(socket, in, BATCH);

		for (i = 0; i < n; i++) {
			if (answer(in[i].data, in[i].len))
				out[answers++] = in[i];
			else
				ignored += xsk_buf_free(socket, &in[i], 1);
		}
		/* What is not taken, as while the link is down, is ours still. */
		sent = xsk_tx_burst(socket, out, (uint32_t)answers);
		i = sent < 0 ? 0 : sent;
		unsent += xsk_buf_free(socket, out + i, (uint32_t)(answers - i));

		if (n <= 0)
			err = xsk_socket_wait(socket, XSK_WAIT_RX, meter_wait_ms(meter));
		/* A link that is down may come up again; the log has said it. */
		if (err < 0 && err != -EINTR && err != -ENETDOWN)
			return err;
		if (meter_due(meter))
			meter_line(meter, tally());
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct xsk_umem *umem = NULL;
	struct xsk_socket *socket = NULL;
	struct options options;
	struct meter meter;
	int err;

	begin(&options, argc, argv, usage, "i:q:t:SNCZha:", own_option);
	if (!has_ip)
		bad_usage("which address? ", "-a IPV4");

	err = xsk_umem_create(&umem, NULL);
	if (err == 0)
		err = xsk_socket_create(&socket, umem, NULL);
	if (err == 0)	/* frames for the first packets */
		err = xsk_rx_burst(socket, NULL, 0);
	if (err == 0)
		err = xsk_socket_bind(socket, options.ifname, options.queue,
				      &XSK_BIND_PARAMS(.flags = options.bind_flags));
	if (err == 0) {
		mac_of(options.ifname, our_mac);
		meter_start(&meter, stdout, &options, socket, NULL);
		err = respond(socket, &meter);
		meter_totals(&meter, tally());
	}
	if (err < 0)
		failed();

	xsk_socket_destroy(socket);
	xsk_umem_destroy(umem);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
