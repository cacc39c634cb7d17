/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What steering costs: programs of rules, of port sets and of classic BPF beside the
 * default program, by BPF_PROG_TEST_RUN, which runs a program on one packet over and
 * over. The packet is UDP to port 53 and matches the last rule, so that all are tried.
 * What the loop around the program takes is in every row. libxdp has no such thing.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xsk.h>

#include "bench.h"
#include "net.h"

#define RUNS 100000	/* in a slice */
#define SLICES_MOST 21
#define MOST 16		/* variants */

static const uint8_t packet[64] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
	0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	0x10, 0, 0, 53, 0, 30, 0, 0,
};

static struct xsk_socket *sock;

static struct variant {
	char what[32];
	int program;
	double *ns;
} variants[MOST];
static unsigned int count;

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/*
 * Nanoseconds a packet, by the kernel's clock. Not by ours: the call itself takes some
 * 30 ms, in which the kernel makes the program one that it calls directly.
 */
static double run(int program)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)program;
	attr.test.data_in = (uint64_t)(uintptr_t)packet;
	attr.test.data_size_in = sizeof(packet);
	attr.test.repeat = RUNS;
	if (bpf(BPF_PROG_TEST_RUN, &attr) != 0)
		bench_die("BPF_PROG_TEST_RUN: %s", strerror(errno));
	if (attr.test.retval != XDP_REDIRECT)
		bench_die("the program answers %u", attr.test.retval);
	return attr.test.duration;
}

/* Keeps the program that the socket uses now. */
static void add(const char *what, const struct xsk_program_params *params)
{
	struct xsk_socket_info info = { .size = sizeof(info) };
	struct xsk_program *program = NULL;
	struct variant *variant = &variants[count++];
	union bpf_attr attr;

	if (xsk_program_create(&program, params) || xsk_program_replace(sock, program) ||
	    xsk_socket_info(sock, &info))
		bench_die("%s: %s", what, xsk_errmsg());
	xsk_program_destroy(program);
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = info.program_id;
	variant->program = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (variant->program < 0)
		bench_die("BPF_PROG_GET_FD_BY_ID: %s", strerror(errno));
	variant->ns = bench_numbers(bench_slices());
	snprintf(variant->what, sizeof(variant->what), "%s", what);
}

static void add_all(void)
{
	static struct xsk_rule rules[64];
	static uint16_t ports[1000];
	static const struct sock_filter udp_53[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0800, 0, 8),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 53, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 65535),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	static const unsigned int numbers[] = { 1, 4, 16, 64 };
	char what[32];

	add("default program", NULL);
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		for (unsigned int at = 0; at < numbers[i]; at++)
			rules[at] = (struct xsk_rule){
				.ip_proto = 17, .dst_port = (uint16_t)(54 + at),
			};
		rules[numbers[i] - 1].dst_port = 53;
		snprintf(what, sizeof(what), "%u rule%s", numbers[i], numbers[i] > 1 ? "s" : "");
		add(what, &XSK_PROGRAM_PARAMS(.rules = rules, .rule_count = numbers[i]));
	}
	for (unsigned int at = 0; at < 1000; at++)
		ports[at] = (uint16_t)(53 + at);
	rules[0] = (struct xsk_rule){ .ip_proto = 17, .dst_ports = ports, .dst_port_count = 1 };
	add("1 rule, 1 port in a set", &XSK_PROGRAM_PARAMS(.rules = rules, .rule_count = 1));
	rules[0].dst_port_count = 1000;
	add("1 rule, 1000 ports in a set", &XSK_PROGRAM_PARAMS(.rules = rules, .rule_count = 1));
	add("all but control", &XSK_PROGRAM_PARAMS(.preset = XSK_PRESET_ALL_BUT_CONTROL));
	add("filter 'ip and udp dst port 53'", &XSK_PROGRAM_PARAMS(
			.filter = udp_53, .filter_len = sizeof(udp_53) / sizeof(*udp_53)));
}

int main(void)
{
	unsigned int slices = bench_slices() < SLICES_MOST ? bench_slices() : SLICES_MOST;
	struct xsk_umem *umem = NULL;

	net_enter();
	net_pair(0, 1);
	bench_pin(0);
	if (xsk_umem_create(&umem, NULL) || xsk_socket_open(&sock, umem, "a0", 0, NULL, NULL))
		bench_die("%s", xsk_errmsg());
	add_all();
	for (unsigned int slice = 0; slice < slices; slice++)
		for (unsigned int i = 0; i < count; i++)
			variants[i].ns[slice] = run(variants[i].program);
	for (unsigned int i = 0; i < count; i++)
		bench_row(&(struct bench_row){
			.part = "steer", .what = variants[i].what, .variant = "", .unit = "ns/packet",
			.libxsk = bench_median(variants[i].ns, slices),
		});
	xsk_socket_destroy(sock);
	xsk_umem_destroy(umem);
	return 0;
}
