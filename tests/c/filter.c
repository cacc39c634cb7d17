/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Classic BPF, translated: the same packets go to our XDP program and to the kernel's
 * own filter on a socket, which must agree; and what is refused, and why. */
#include "packets.h"

#include <dlfcn.h>
#include <linux/filter.h>

#include "filters.h"

#define PACKETS 1000

static struct packet packets[PACKETS];

/* --- the kernel's own */

struct oracle {
	int in, out;
};

static struct oracle oracle_open(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) != 0)
		FAIL("socketpair: %s", strerror(errno));
	return (struct oracle){ fds[0], fds[1] };
}

static int oracle_takes(const struct oracle *oracle, const struct sock_filter *insns, uint32_t n)
{
	struct sock_fprog program = { .len = (unsigned short)n, .filter = (struct sock_filter *)insns };

	return setsockopt(oracle->out, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

static int oracle_matches(const struct oracle *oracle, const struct packet *packet)
{
	uint8_t byte;

	if (send(oracle->in, packet->bytes, packet->len, 0) != (ssize_t)packet->len)
		FAIL("send: %s", strerror(errno));
	return recv(oracle->out, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0;
}

/* --- ours */

static struct xsk_program *translate(const struct sock_filter *insns, uint32_t n)
{
	struct xsk_program *program = NULL;
	int err = xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.filter = insns, .filter_len = n));

	return err ? NULL : program;
}

static int put_in_place(struct xsk_socket *socket, const struct sock_filter *insns, uint32_t n)
{
	struct xsk_program *program = translate(insns, n);

	if (!program)
		return -1;
	CHECK_OK(xsk_program_replace(socket, program));
	xsk_program_destroy(program);
	return program_of(socket);
}

/* How many packets the filter matched. */
static uint32_t compare(const struct oracle *oracle, int program, const char *what)
{
	uint32_t matches = 0;

	for (uint32_t i = 0; i < PACKETS; i++) {
		int wanted = oracle_matches(oracle, &packets[i]);
		uint32_t got = run_xdp(program, &packets[i]);

		matches += wanted;
		if (got != (wanted ? XDP_REDIRECT : XDP_PASS))
			FAIL("%s: packet %u of %u bytes: XDP answers %u, the kernel's filter %d", what, i,
			     packets[i].len, got, wanted);
	}
	return matches;
}

/* --- libpcap, without its headers */

struct pcap_program {
	unsigned int len;
	struct sock_filter *insns;
};

static struct {
	void *(*open_dead)(int, int);
	int (*compile)(void *, struct pcap_program *, const char *, int, uint32_t);
	void (*freecode)(struct pcap_program *);
} pcap;

static void load_pcap(void)
{
	void *library = dlopen("libpcap.so.0.8", RTLD_NOW);

	if (!library)
		library = dlopen("libpcap.so.1", RTLD_NOW);
	if (!library)
		SKIP("needs libpcap");
	*(void **)&pcap.open_dead = dlsym(library, "pcap_open_dead");
	*(void **)&pcap.compile = dlsym(library, "pcap_compile");
	*(void **)&pcap.freecode = dlsym(library, "pcap_freecode");
	CHECK(pcap.open_dead && pcap.compile && pcap.freecode);
}

static void filters_agree(int optimize)
{
	uint32_t known = 0, pairs = 0, used = 0;
	struct oracle oracle = oracle_open();
	struct end end;
	void *handle;

	load_pcap();
	handle = pcap.open_dead(1, 65535);
	CHECK(handle != NULL);
	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	for (uint32_t i = 0; i < PACKETS; i++)
		random_packet(&packets[i]);
	for (uint32_t i = 0; i < COUNT(filters); i++) {
		struct pcap_program code;
		uint32_t matches;
		int program;

		if (pcap.compile(handle, &code, filters[i], optimize, 0) != 0)
			continue;
		/* "protochain" jumps back, which libpcap itself can alone; and the memory
		 * that a socket may take for a filter is small (net.core.optmem_max). */
		if (!oracle_takes(&oracle, code.insns, code.len)) {
			CHECK(errno == ENOMEM || !translate(code.insns, code.len));
			pcap.freecode(&code);
			continue;
		}
		program = put_in_place(end.socket, code.insns, code.len);
		if (program < 0)
			FAIL("%s: %s", filters[i], xsk_errmsg());
		matches = compare(&oracle, program, filters[i]);
		used += matches != 0 && matches != PACKETS;
		close(program);
		pcap.freecode(&code);
		known++;
		pairs += PACKETS;
	}
	printf("# %u filters, %u pairs of packet and filter, %u filters matched some\n", known, pairs,
	       used);
	CHECK(known >= 300 && pairs >= 100000);
	/* Else the packets would prove nothing. */
	CHECK(used >= known * 3 / 4);
	close_end(&end);
}

TEST(optimized_filters_of_libpcap_match_what_the_kernel_matches)
{
	filters_agree(1);
}

TEST(filters_of_libpcap_as_they_come_match_what_the_kernel_matches)
{
	filters_agree(0);
}

/* --- any program */

static const uint16_t codes[] = {
	0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1, 0x80, 0x81, 0x00, 0x01, 0x60, 0x61, 0x02, 0x03,
	0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x94, 0xa4, 0x84,
	0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0x9c, 0xac,
	0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x06, 0x16, 0x07, 0x87,
	0x20, 0x28, 0x30, 0x15, 0x45, 0x25, 0x40, 0x48, 0x50, 0x07,
};

static uint32_t random_k(uint16_t code)
{
	static const uint32_t values[] = { 0, 1, 2, 14, 0x0800, 0x86dd, 0xffff, 0x7fffffff, 0x80000000,
					   0xfffffffe, UINT32_MAX, 6, 17, 0x8100, 64, 31 };

	switch (code) {
	case 0x60: case 0x61: case 0x02: case 0x03:
		return below(16);
	case 0x64: case 0x74:
		return below(32);
	case 0x20: case 0x28: case 0x30: case 0xb1:
		return below(30) ? below(80) : below(2) ? below(2000) : 32760 + below(40);
	case 0x40: case 0x48: case 0x50:
		return below(4) ? below(40) : below(2) ? -below(40) : random_number();
	}
	return below(2) ? ONE_OF(values) : below(2) ? below(256) : random_number();
}

/* All of M[] is written first, since the kernel wants that of what is read. */
static uint32_t random_filter(struct sock_filter *insns)
{
	uint32_t n = 0, body = 4 + below(60), last;

	insns[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0);
	for (uint32_t k = 0; k < 16; k++)
		insns[n++] = (struct sock_filter)BPF_STMT(BPF_ST, k);
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, below(60));
	last = n + body;
	while (n < last) {
		struct sock_filter *insn = &insns[n++];
		uint32_t over = last - n;

		insn->code = ONE_OF(codes);
		if ((insn->code == 0x06 || insn->code == 0x16 || insn->code == 0x05) && below(4))
			insn->code = 0x15;
		insn->k = random_k(insn->code);
		insn->jt = insn->jf = 0;
		if (insn->code == 0x05)
			insn->k = below(over < 8 ? over + 1 : 8);
		else if ((insn->code & 7) == 5) {
			insn->jt = (uint8_t)below(over < 8 ? over + 1 : 8);
			insn->jf = (uint8_t)below(over < 8 ? over + 1 : 8);
		}
		if ((insn->code == 0x34 || insn->code == 0x94) && insn->k == 0)
			insn->k = 1;
	}
	insns[n] = (struct sock_filter)BPF_STMT(below(2) ? BPF_RET | BPF_A : BPF_RET | BPF_K, below(2));
	return n + 1;
}

TEST(random_programs_match_what_the_kernel_matches)
{
	struct oracle oracle = oracle_open();
	uint32_t some = 0;
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	for (uint32_t i = 0; i < PACKETS; i++)
		random_packet(&packets[i]);
	for (uint32_t i = 0; i < 400; i++) {
		struct sock_filter insns[128];
		uint32_t n = random_filter(insns), matches;
		char what[32];
		int program;

		CHECK(oracle_takes(&oracle, insns, n));
		program = put_in_place(end.socket, insns, n);
		if (program < 0)
			FAIL("program %u: %s", i, xsk_errmsg());
		snprintf(what, sizeof(what), "random program %u", i);
		matches = compare(&oracle, program, what);
		some += matches != 0 && matches != PACKETS;
		close(program);
	}
	CHECK(some >= 100);
	close_end(&end);
}

TEST(what_the_kernel_refuses_is_refused_and_what_it_takes_is_taken)
{
	struct oracle oracle = oracle_open();
	uint32_t taken = 0, refused = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		struct sock_filter insns[128], *insn;
		uint32_t n = random_filter(insns);
		struct xsk_program *program;
		int kernels;

		insn = &insns[17 + below(n - 17)];
		switch (below(4)) {
		case 0:
			insn->code = (uint16_t)below(0x110);
			break;
		case 1:
			insn->k = below(2) ? random_number() & 0x7fffffff : below(40);
			break;
		case 2:
			insn->jt = (uint8_t)random_number();
			break;
		default:
			insn->jf = (uint8_t)random_number();
		}
		kernels = oracle_takes(&oracle, insns, n);
		program = translate(insns, n);
		if (!kernels != !program)
			FAIL("program %u: the kernel %s it, we: %s", i, kernels ? "takes" : "refuses",
			     program ? "taken" : xsk_errmsg());
		if (kernels)
			taken++;
		else
			refused++;
		xsk_program_destroy(program);
	}
	CHECK(taken > 2000 && refused > 2000);
}

/* --- one by one */

#define REFUSED(word, ...) \
	do { \
		const struct sock_filter refused_[] = { __VA_ARGS__ }; \
		struct xsk_program *none_ = NULL; \
		CHECK_FAILS(xsk_program_create(&none_, &XSK_PROGRAM_PARAMS( \
				.filter = refused_, .filter_len = COUNT(refused_))), -EINVAL, word); \
		CHECK(none_ == NULL); \
	} while (0)

#define RET0 BPF_STMT(BPF_RET | BPF_K, 0)

TEST_WITHOUT_ROOT(a_wrong_instruction_is_named_with_its_reason)
{
	static struct sock_filter many[4097];
	struct xsk_program *none = NULL;

	REFUSED("instruction 0 (0xff, 1, 2, 0x3): no such instruction", { 0xff, 1, 2, 3 }, RET0);
	REFUSED("instruction 1 (0x34, 0, 0, 0x0): a division by 0",
		BPF_STMT(BPF_LD | BPF_IMM, 1), BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET0);
	REFUSED("instruction 0 (0x94, 0, 0, 0x0): a division by 0",
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 0), RET0);
	REFUSED("M[k]", BPF_STMT(BPF_ST, 16), RET0);
	REFUSED("M[k]", BPF_STMT(BPF_LDX | BPF_MEM, 16), RET0);
	REFUSED("a shift by more", BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET0);
	REFUSED("instruction 0 (0x5, 0, 0, 0x1): a jump behind the end",
		BPF_STMT(BPF_JMP | BPF_JA, 1), RET0);
	REFUSED("a jump behind the end", BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), RET0);
	REFUSED("a jump behind the end", BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RET0);
	REFUSED("a jump behind the end", BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 255), RET0);
	REFUSED("last instruction is no return", BPF_STMT(BPF_LD | BPF_IMM, 1));
	REFUSED("SKF_AD_OFF", BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		RET0);
	REFUSED("SKF_AD_OFF", BPF_STMT(BPF_LD | BPF_H | BPF_ABS, UINT32_MAX), RET0);
	CHECK_FAILS(xsk_program_create(&none, &XSK_PROGRAM_PARAMS(.filter = many, .filter_len = 4097)),
		    -EINVAL, "4097 instructions");
	CHECK_FAILS(xsk_program_create(&none, &XSK_PROGRAM_PARAMS(.filter_len = 1)), -EINVAL,
		    "filter is NULL");
}

static uint32_t answer(struct xsk_socket *socket, const struct sock_filter *insns, uint32_t n,
		       const struct packet *packet)
{
	int program = put_in_place(socket, insns, n);
	uint32_t got;

	if (program < 0)
		FAIL("%s", xsk_errmsg());
	got = run_xdp(program, packet);
	close(program);
	return got;
}

#define MATCHES(...) \
	do { \
		const struct sock_filter insns_[] = { __VA_ARGS__, BPF_STMT(BPF_RET | BPF_A, 0) }; \
		CHECK_EQ(answer(end.socket, insns_, COUNT(insns_), &packet), XDP_REDIRECT); \
	} while (0)

#define MATCHES_NOT(...) \
	do { \
		const struct sock_filter insns_[] = { __VA_ARGS__, \
			BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 1), BPF_STMT(BPF_RET | BPF_A, 0) }; \
		CHECK_EQ(answer(end.socket, insns_, COUNT(insns_), &packet), XDP_PASS); \
	} while (0)

#define LOAD(size, k) BPF_STMT(BPF_LD | (size) | BPF_ABS, (uint32_t)(k))
#define IS(value) BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, (value) - 1)	/* then A is 1 */
#define ONE BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0), BPF_STMT(BPF_RET | BPF_K, 0)

TEST(loads_that_are_not_of_the_packet_mean_what_they_do_in_the_kernel)
{
	struct packet packet;
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	put_macs(&packet);
	put16(&packet, 0x0800);
	for (uint32_t i = 14; i < 64; i++)
		put8(&packet, i);
	MATCHES(LOAD(BPF_B, SKF_LL_OFF + 6), IS(2), ONE);
	MATCHES(LOAD(BPF_H, SKF_LL_OFF + 12), IS(0x0800), ONE);
	MATCHES(LOAD(BPF_W, SKF_NET_OFF + 1), IS(0x0f101112), ONE);
	MATCHES(BPF_STMT(BPF_LDX | BPF_MSH | BPF_B, (uint32_t)SKF_NET_OFF + 1),
		BPF_STMT(BPF_MISC | BPF_TXA, 0), IS(60), ONE);
	MATCHES_NOT(LOAD(BPF_W, SKF_NET_OFF + 47));
	MATCHES_NOT(LOAD(BPF_B, SKF_LL_OFF - 1));
	MATCHES_NOT(LOAD(BPF_B, 0x7fffffff));
	MATCHES_NOT(LOAD(BPF_W, 61));
	MATCHES_NOT(LOAD(BPF_W, 65533));
	MATCHES(LOAD(BPF_W, 60), IS(0x3c3d3e3f), ONE);
	/* In a test run the interface is the first, lo. */
	MATCHES(LOAD(BPF_W, SKF_AD_OFF + SKF_AD_IFINDEX), IS(1), ONE);
	MATCHES(LOAD(BPF_W, SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT), IS(0), ONE);
	MATCHES(LOAD(BPF_W, SKF_AD_OFF + SKF_AD_VLAN_TAG), IS(0), ONE);
	MATCHES(BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_STMT(BPF_LDX | BPF_IMM, 7),
		LOAD(BPF_W, SKF_AD_OFF + SKF_AD_ALU_XOR_X), IS(1), ONE);
	MATCHES(LOAD(BPF_W, SKF_AD_OFF + SKF_AD_CPU), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16), IS(0), ONE);
	/* What was never written is 0. */
	MATCHES(BPF_STMT(BPF_LD | BPF_MEM, 7), IS(0), ONE);
	close_end(&end);
}

TEST(a_random_number_samples_packets)
{
	static const struct sock_filter quarter[] = {
		LOAD(BPF_W, SKF_AD_OFF + SKF_AD_RANDOM),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0x3fffffff, 0, 1),
		RET0,
		BPF_STMT(BPF_RET | BPF_K, 1),
	};
	uint32_t matches = 0;
	struct end end;
	int program;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	random_packet(&packets[0]);
	program = put_in_place(end.socket, quarter, COUNT(quarter));
	for (uint32_t i = 0; i < 4000; i++)
		matches += run_xdp(program, &packets[0]) == XDP_REDIRECT;
	CHECK_WITHIN(matches, 800, 1200);
	close(program);
	close_end(&end);
}

TEST(a_filter_of_4096_instructions_runs)
{
	static struct sock_filter many[4096];
	struct packet packet;
	struct end end;

	make_pair(1);
	end = open_end(XA, 0, 0, 0);
	random_packet(&packet);
	for (uint32_t i = 0; i < 4095; i += 3) {
		many[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, i % 14);
		many[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i + 256, 0, 1);
		many[i + 2] = (struct sock_filter)RET0;
	}
	many[4095] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 1);
	CHECK_EQ(answer(end.socket, many, 4096, &packet), XDP_REDIRECT);
	close_end(&end);
}
