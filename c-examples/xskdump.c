/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Writes the packets that arrive on a queue to a file for Wireshark or tcpdump:
 *
 *	sudo build/examples/xskdump -i eth0 -w eth0.pcap
 *	sudo build/examples/xskdump -i eth0 -w - | tcpdump -n -r -
 *
 * With -f only what an expression of libpcap's matches (see pcap-filter(7)); the rest
 * goes where it always went:
 *
 *	sudo build/examples/xskdump -i eth0 -w dns.pcap -f 'udp port 53'
 *
 * Unlike with tcpdump the packets end here: the network stack does not see them.
 */
#define _POSIX_C_SOURCE 200809L

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#define BATCH 64

static const char usage[] =
	"usage: xskdump -i IF -w FILE [options]\n"
	"Writes the packets that arrive on a queue of an interface to a pcap file.\n"
	"  -i IF       the interface\n"
	"  -w FILE     the file; - is the standard output\n"
	"  -f FILTER   only packets that match an expression such as 'udp port 53' (libpcap)\n"
	"  -q QUEUE    the queue (0)\n"
	"  -c COUNT    stop after so many packets\n"
	"  -t SECONDS  stop after so long\n"
	"  -S | -N     XDP in the network stack (skb mode) | in the driver (native)\n"
	"  -C | -Z     the kernel copies packets | the device writes them (zero-copy)\n";

/* The headers of pcap, as libpcap's savefile(5) has them, with nanoseconds. */
static const struct {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snap_len, link_type;
} file_header = { 0xa1b23c4d, 2, 4, 0, 0, 65535, 1 /* Ethernet */ };

struct packet_header {
	uint32_t seconds, nanoseconds, captured, len;
};

static const char *filename, *expression;

static void own_option(int letter, const char *value)
{
	if (letter == 'f')
		expression = value;
	else
		filename = value;
}

/* What libpcap compiles: the struct bpf_program of <pcap/bpf.h>. */
struct filter {
	unsigned int len;
	struct sock_filter *insns;
};

/* What is used of libpcap, where the system has it. */
static struct {
	void *(*open_dead)(int link_type, int snap_len);
	int (*compile)(void *pcap, struct filter *filter, const char *text, int optimize,
		       uint32_t netmask);
	char *(*geterr)(void *pcap);
	void (*freecode)(struct filter *filter);
	void (*close)(void *pcap);
} libpcap;

static void *find(void *library, const char *name)
{
	void *function = library ? dlsym(library, name) : NULL;

	if (!function)
		bad_usage("-f needs libpcap: ", dlerror());
	return function;
}

/* Makes a program of the expression; gives an error of the library. */
static int make_program(struct xsk_program **program)
{
	void *library = dlopen("libpcap.so.0.8", RTLD_NOW), *pcap;	/* Debian's name */
	struct filter filter = { 0, NULL };
	int err;

	if (!library)
		library = dlopen("libpcap.so.1", RTLD_NOW);
	*(void **)&libpcap.open_dead = find(library, "pcap_open_dead");
	*(void **)&libpcap.compile = find(library, "pcap_compile");
	*(void **)&libpcap.geterr = find(library, "pcap_geterr");
	*(void **)&libpcap.freecode = find(library, "pcap_freecode");
	*(void **)&libpcap.close = find(library, "pcap_close");
	pcap = libpcap.open_dead(1 /* Ethernet */, 65535);
	if (!pcap)
		bad_usage("-f: no memory for ", expression);
	if (libpcap.compile(pcap, &filter, expression, 1, UINT32_MAX /* of no network */) != 0)
		bad_usage("-f: ", libpcap.geterr(pcap));
	err = xsk_program_create(program, &XSK_PROGRAM_PARAMS(.filter = filter.insns,
							      .filter_len = filter.len));
	libpcap.freecode(&filter);
	libpcap.close(pcap);
	dlclose(library);
	return err;
}

/* Writes a burst, whose time is that of its being read. */
static void write_packets(FILE *file, const struct xsk_buf *bufs, int n)
{
	struct packet_header header;
	struct timespec now;
	int i;

	clock_gettime(CLOCK_REALTIME, &now);
	header.seconds = (uint32_t)now.tv_sec;
	header.nanoseconds = (uint32_t)now.tv_nsec;
	for (i = 0; i < n; i++) {
		header.captured = header.len = bufs[i].len;
		fwrite(&header, sizeof(header), 1, file);
		fwrite(bufs[i].data, 1, bufs[i].len, file);
	}
}

/* Gives a negative errno of the library, or a positive one of the file. */
static int dump(struct xsk_socket *socket, FILE *file, uint64_t count, struct meter *meter)
{
	struct xsk_buf bufs[BATCH];
	uint64_t packets = 0;

	while (packets < count && meter_running(meter)) {
		uint64_t left = count - packets;
		int n = xsk_rx_burst(socket, bufs, left < BATCH ? (uint32_t)left : BATCH);

		if (n < 0 && n != -ENETDOWN)
			return n;
		if (n > 0) {
			write_packets(file, bufs, n);
			xsk_buf_free(socket, bufs, (uint32_t)n);
			packets += (uint64_t)n;
		} else {
			int err;

			/* So that who reads a pipe sees now what there is. */
			fflush(file);
			err = xsk_socket_wait(socket, XSK_WAIT_RX, meter_wait_ms(meter));
			if (err < 0 && err != -EINTR && err != -ENETDOWN)
				return err;
		}
		if (ferror(file))
			return errno;
		if (meter_due(meter))
			meter_line(meter, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct xsk_umem *umem = NULL;
	struct xsk_socket *socket = NULL;
	struct xsk_program *program = NULL;	/* the default one */
	struct options options;
	struct meter meter;
	int to_stdout, err;
	FILE *file;

	begin(&options, argc, argv, usage, "i:q:c:t:SNCZhw:f:", own_option);
	if (!filename)
		bad_usage("to which file? ", "-w FILE");
	to_stdout = strcmp(filename, "-") == 0;
	if (to_stdout && isatty(STDOUT_FILENO))
		bad_usage("the terminal is no place for packets: ", "-w FILE");
	signal(SIGPIPE, SIG_IGN);	/* a reader that left is an error like others */

	file = to_stdout ? stdout : fopen(filename, "wb");
	if (!file) {
		fprintf(stderr, "xskdump: %s: %s\n", filename, strerror(errno));
		return EXIT_FAILURE;
	}
	err = expression ? make_program(&program) : 0;
	if (err == 0)
		err = xsk_umem_create(&umem, NULL);
	if (err == 0)
		err = xsk_socket_create(&socket, umem,
					&XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_RX_ONLY));
	if (err == 0)	/* frames for the first packets */
		err = xsk_rx_burst(socket, NULL, 0);
	if (err == 0)
		err = xsk_socket_bind(socket, options.ifname, options.queue,
				      &XSK_BIND_PARAMS(.flags = options.bind_flags,
						       .program = program));
	if (err == 0) {
		meter_start(&meter, to_stdout ? stderr : stdout, &options, socket, NULL);
		fwrite(&file_header, sizeof(file_header), 1, file);
		err = dump(socket, file, options.count, &meter);
		meter_totals(&meter, NULL);
	}
	if (err < 0)
		failed();
	/* A full disk may show now only. */
	if (fclose(file) != 0 && err == 0)
		err = errno;
	if (err > 0)
		fprintf(stderr, "xskdump: %s: %s\n", filename, strerror(err));
	xsk_socket_destroy(socket);
	xsk_umem_destroy(umem);
	xsk_program_destroy(program);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
