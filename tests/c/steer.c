/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rules: what each matches, what cannot be parsed, what they count, how they are
 * replaced under traffic and joined by other processes. */
#include "packets.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- rules in place */

static struct xsk_program *make_program(const struct xsk_rule *rules, uint32_t n,
					uint32_t default_action)
{
	struct xsk_program *program = NULL;

	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(
			.rules = rules, .rule_count = n, .default_action = default_action)));
	return program;
}

/* Gives the program's descriptor, to run it. */
static int put_in_place(struct xsk_socket *socket, struct xsk_program *program)
{
	CHECK_OK(xsk_program_replace(socket, program));
	xsk_program_destroy(program);
	return program_of(socket);
}

static int rules_in_place(struct xsk_socket *socket, const struct xsk_rule *rules, uint32_t n,
			  uint32_t default_action)
{
	return put_in_place(socket, make_program(rules, n, default_action));
}

static struct xsk_counter counter_of(const struct xsk_socket *socket, uint32_t at)
{
	struct xsk_counter counters[64];

	CHECK(xsk_program_counters(socket, counters, 64) > (int)at && at < 64);
	return counters[at];
}

/* --- packets, by hand */

#define PORT_0 0x10000

struct shape {
	uint32_t tags, ids[3];
	int version;			/* 0: an ethertype of nobody's */
	uint32_t options;		/* IPv4, in words */
	uint32_t fragment;		/* as in the header */
	uint8_t extensions[12];		/* IPv6, by number plus 1 */
	uint32_t proto, src_port, dst_port;	/* ports: 1000 and 53 for 0, 0 for PORT_0 */
	uint32_t payload;		/* bytes, 8 for 0 */
};

static struct packet build(struct shape shape)
{
	struct packet packet;
	uint32_t start, next = 0;

	put_macs(&packet);
	for (uint32_t i = 0; i < shape.tags; i++) {
		put16(&packet, i + 1 < shape.tags ? 0x88a8 : 0x8100);
		put16(&packet, 0xe000 | shape.ids[i]);
	}
	put16(&packet, shape.version == 4 ? 0x0800 : shape.version == 6 ? 0x86dd : ETHERTYPE);
	start = packet.len;
	if (shape.version == 4) {
		put8(&packet, 0x45 + shape.options);
		put8(&packet, 0);
		put32(&packet, 0);
		put16(&packet, shape.fragment);
		put8(&packet, 64);
		put8(&packet, shape.proto);
		put16(&packet, 0);
		put32(&packet, 0x0a000001);
		put32(&packet, 0xc0a80102);
		for (uint32_t i = 0; i < shape.options; i++)
			put32(&packet, 0x01010101);
	} else if (shape.version == 6) {
		uint8_t *number = &packet.bytes[start + 6];

		put32(&packet, 0x60000000);
		put32(&packet, 64);
		put32(&packet, 0x20010db8);
		put32(&packet, 0);
		put32(&packet, 0);
		put32(&packet, 1);
		put32(&packet, 0xfe800000);
		put32(&packet, 0);
		put32(&packet, 0);
		put32(&packet, 2);
		for (; next < sizeof(shape.extensions) && shape.extensions[next]; next++) {
			uint32_t kind = shape.extensions[next] - 1u;

			*number = (uint8_t)kind;
			number = &packet.bytes[packet.len];
			put8(&packet, 0);
			put8(&packet, kind == 44 ? 0 : 1);
			put16(&packet, kind == 44 ? shape.fragment : 0);
			put32(&packet, 0);
			if (kind == 51)
				put32(&packet, 0);	/* 12 bytes */
			else if (kind != 44)
				put32(&packet, 0), put32(&packet, 0);	/* 16 */
		}
		*number = (uint8_t)shape.proto;
	}
	put16(&packet, shape.src_port ? shape.src_port : 1000);
	put16(&packet, shape.dst_port ? shape.dst_port : 53);
	for (uint32_t i = 0; i < (shape.payload ? shape.payload : 8); i++)
		put8(&packet, i);
	if (shape.version == 4)
		set16(&packet, start + 2, packet.len - start);
	if (shape.version == 6)
		set16(&packet, start + 4, packet.len - start - 40);
	return packet;
}

#define BUILD(...) build((struct shape){ __VA_ARGS__ })

static uint32_t run_on(int program, struct packet packet)
{
	return run_xdp(program, &packet);
}

/* The answer of one rule, the default being to drop. */
static uint32_t one_rule(struct xsk_socket *socket, struct xsk_rule rule, struct packet packet)
{
	int program = rules_in_place(socket, &rule, 1, XSK_ACTION_DROP);
	uint32_t answer = run_xdp(program, &packet);

	close(program);
	return answer;
}

#define RULE(...) ((struct xsk_rule){ __VA_ARGS__ })
#define MATCHES(rule, ...) CHECK_EQ(one_rule(end.socket, rule, BUILD(__VA_ARGS__)), XDP_REDIRECT)
#define MATCHES_NOT(rule, ...) CHECK_EQ(one_rule(end.socket, rule, BUILD(__VA_ARGS__)), XDP_DROP)
#define PASSES(rule, ...) CHECK_EQ(one_rule(end.socket, rule, BUILD(__VA_ARGS__)), XDP_PASS)

static struct end socket_on_pair(void)
{
	make_pair(1);
	return open_end(XA, 0, 0, 0);
}

TEST(a_rule_matches_by_link_layer)
{
	struct end end = socket_on_pair();

	MATCHES(RULE(0), .version = 4);
	MATCHES(RULE(.ether_type = ETHERTYPE), .version = 0);
	MATCHES_NOT(RULE(.ether_type = ETHERTYPE), .version = 4);
	MATCHES(RULE(.ether_type = ETHERTYPE), .tags = 1, .ids = { 5 });
	MATCHES(RULE(.ether_type = ETHERTYPE), .tags = 2, .ids = { 5, 6 });
	MATCHES(RULE(.vlan = 5), .tags = 1, .ids = { 5 });
	MATCHES_NOT(RULE(.vlan = 5), .tags = 0);
	MATCHES_NOT(RULE(.vlan = 5), .tags = 1, .ids = { 6 });
	MATCHES(RULE(.vlan = 5), .tags = 2, .ids = { 5, 6 });
	MATCHES_NOT(RULE(.vlan = 5), .tags = 2, .ids = { 6, 5 });
	MATCHES(RULE(.vlan = 5, .inner_vlan = 6), .tags = 2, .ids = { 5, 6 });
	MATCHES(RULE(.inner_vlan = 6), .tags = 2, .ids = { 5, 6 });
	MATCHES_NOT(RULE(.inner_vlan = 5), .tags = 1, .ids = { 5 });
	MATCHES(RULE(.vlan = 4094), .tags = 1, .ids = { 4094 });
	MATCHES(RULE(.vlan = XSK_VLAN_NONE), .tags = 0);
	MATCHES_NOT(RULE(.vlan = XSK_VLAN_NONE), .tags = 1, .ids = { 0 });
	MATCHES(RULE(.vlan = 5, .inner_vlan = XSK_VLAN_NONE), .tags = 1, .ids = { 5 });
	MATCHES(RULE(.vlan = XSK_VLAN_ANY), .tags = 1, .ids = { 9 });
	MATCHES_NOT(RULE(.vlan = XSK_VLAN_ANY), .tags = 0);
	MATCHES(RULE(.vlan = XSK_VLAN_PRIORITY), .tags = 1, .ids = { 0 });
	MATCHES_NOT(RULE(.vlan = XSK_VLAN_PRIORITY), .tags = 1, .ids = { 1 });
	MATCHES_NOT(RULE(.vlan = XSK_VLAN_PRIORITY), .tags = 0);
	/* A third tag is not parsed; who does not look, does not mind. */
	PASSES(RULE(.vlan = 5), .tags = 3, .ids = { 5, 6, 7 });
	MATCHES(RULE(0), .tags = 3, .ids = { 5, 6, 7 });
	close_end(&end);
}

#define V4(...) { __VA_ARGS__ }

TEST(a_rule_matches_by_address)
{
	struct end end = socket_on_pair();
	struct xsk_rule v6 = { .ip_version = 6, .src_addr = { 0x20, 1, 0x0d, 0xb8 }, .src_bits = 32 };
	struct xsk_rule host = { .ip_version = 6, .dst_addr = { 0xfe, 0x80, [15] = 2 }, .dst_bits = 128 };

	MATCHES(RULE(.ip_version = 4), .version = 4);
	MATCHES_NOT(RULE(.ip_version = 4), .version = 6);
	MATCHES_NOT(RULE(.ip_version = 4), .version = 0);
	MATCHES(RULE(.ip_version = 6), .version = 6, .tags = 2);
	MATCHES(RULE(.ip_version = 4, .src_addr = V4(10), .src_bits = 8), .version = 4);
	MATCHES_NOT(RULE(.ip_version = 4, .dst_addr = V4(10), .dst_bits = 8), .version = 4);
	MATCHES(RULE(.ip_version = 4, .src_addr = V4(10, 0, 0, 1), .src_bits = 32), .version = 4);
	MATCHES_NOT(RULE(.ip_version = 4, .src_addr = V4(10, 0, 0, 2), .src_bits = 32), .version = 4);
	MATCHES(RULE(.ip_version = 4, .dst_addr = V4(192, 168, 1, 2), .dst_bits = 31), .version = 4,
		.options = 10, .tags = 1);
	MATCHES_NOT(RULE(.ip_version = 4, .dst_addr = V4(192, 168, 1, 0), .dst_bits = 31), .version = 4);
	MATCHES(RULE(.ip_version = 4, .dst_addr = V4(128), .dst_bits = 1), .version = 4);
	MATCHES_NOT(RULE(.ip_version = 4, .dst_addr = V4(0), .dst_bits = 1), .version = 4);
	MATCHES(v6, .version = 6);
	MATCHES_NOT(v6, .version = 4);
	v6.src_addr[3] = 0xb9;
	MATCHES_NOT(v6, .version = 6);
	v6.src_bits = 31;
	v6.src_addr[3] = 0xb8;
	MATCHES(v6, .version = 6);
	MATCHES(host, .version = 6);
	host.dst_addr[15] = 3;
	MATCHES_NOT(host, .version = 6);
	host.dst_addr[15] = 2;
	host.dst_bits = 127;
	MATCHES(host, .version = 6);
	close_end(&end);
}

TEST(a_rule_matches_by_protocol_and_ports)
{
	static const uint16_t some[] = { 7000, 53, 0, 65535, 53 };
	static const uint32_t protos[] = { 6, 17, 132 };
	struct end end = socket_on_pair();

	for (uint32_t i = 0; i < COUNT(protos); i++) {
		uint8_t proto = (uint8_t)protos[i];

		MATCHES(RULE(.ip_proto = proto), .version = 4, .proto = proto);
		MATCHES_NOT(RULE(.ip_proto = proto), .version = 6, .proto = 1);
		MATCHES(RULE(.ip_proto = proto, .dst_port = 53), .version = 4, .proto = proto);
		MATCHES(RULE(.dst_port = 53), .version = 6, .proto = proto, .tags = 1);
		MATCHES_NOT(RULE(.src_port = 53), .version = 6, .proto = proto);
	}
	MATCHES_NOT(RULE(.ip_proto = 17), .version = 0);
	MATCHES_NOT(RULE(.dst_port = 53), .version = 4, .proto = 47);
	MATCHES_NOT(RULE(.dst_port = 53), .version = 0);
	MATCHES(RULE(.dst_port = 53, .src_port = 1000), .version = 4, .proto = 17, .options = 3);
	MATCHES_NOT(RULE(.dst_port = 53, .src_port = 1001), .version = 4, .proto = 17);
	MATCHES(RULE(.dst_port = 50, .dst_port_last = 53), .version = 4, .proto = 17);
	MATCHES(RULE(.dst_port = 53, .dst_port_last = 60), .version = 4, .proto = 17);
	MATCHES(RULE(.dst_port_last = 60), .version = 4, .proto = 17, .dst_port = PORT_0);
	MATCHES(RULE(.dst_port = 1, .dst_port_last = 65535), .version = 4, .proto = 17, .dst_port = 65535);
	MATCHES_NOT(RULE(.dst_port = 54, .dst_port_last = 60), .version = 4, .proto = 17);
	MATCHES_NOT(RULE(.dst_port = 50, .dst_port_last = 52), .version = 4, .proto = 17);
	MATCHES_NOT(RULE(.dst_port = 1, .dst_port_last = 65535), .version = 4, .proto = 50);
	for (uint32_t i = 0; i < 4; i++) {
		MATCHES(RULE(.dst_ports = some, .dst_port_count = COUNT(some)), .version = 4, .proto = 6,
			.dst_port = some[i] ? some[i] : PORT_0);
		MATCHES(RULE(.src_ports = some, .src_port_count = COUNT(some)), .version = 6, .proto = 6,
			.src_port = some[i] ? some[i] : PORT_0);
	}
	MATCHES_NOT(RULE(.dst_ports = some, .dst_port_count = COUNT(some)), .version = 4, .proto = 6,
		    .dst_port = 54);
	MATCHES_NOT(RULE(.dst_ports = some, .dst_port_count = COUNT(some)), .version = 4, .proto = 1);
	close_end(&end);
}

TEST(a_fragment_has_no_ports_but_all_else)
{
	const struct xsk_rule dns = { .ip_proto = 17, .dst_port = 53 }, udp = { .ip_proto = 17 };
	const struct xsk_rule far = { .ip_version = 4, .dst_addr = { 9 }, .dst_bits = 8, .dst_port = 53 };
	struct end end = socket_on_pair();

	MATCHES(dns, .version = 4, .proto = 17, .fragment = 0x4000);	/* don't fragment */
	PASSES(dns, .version = 4, .proto = 17, .fragment = 0x2000);	/* the first */
	PASSES(dns, .version = 4, .proto = 17, .fragment = 0x2001);
	PASSES(dns, .version = 4, .proto = 17, .fragment = 1);		/* the last */
	PASSES(RULE(.dst_port = 1, .dst_port_last = 65535), .version = 4, .proto = 17, .fragment = 1);
	MATCHES(udp, .version = 4, .proto = 17, .fragment = 1);
	/* What does not match otherwise is no matter of ports. */
	MATCHES_NOT(dns, .version = 4, .proto = 6, .fragment = 1);
	MATCHES_NOT(far, .version = 4, .proto = 17, .fragment = 1);

	MATCHES(dns, .version = 6, .proto = 17, .extensions = { 45 });	/* atomic */
	PASSES(dns, .version = 6, .proto = 17, .extensions = { 45 }, .fragment = 1);
	PASSES(dns, .version = 6, .proto = 17, .extensions = { 45 }, .fragment = 8);
	PASSES(dns, .version = 6, .proto = 17, .extensions = { 45 }, .fragment = 9);
	MATCHES(udp, .version = 6, .proto = 17, .extensions = { 45 }, .fragment = 9);
	MATCHES(udp, .version = 6, .proto = 17, .extensions = { 1, 45, 61 }, .fragment = 1);
	/* Behind a later fragment's header an extension header hides the protocol. */
	PASSES(udp, .version = 6, .proto = 17, .extensions = { 45, 61 }, .fragment = 8);
	close_end(&end);
}

TEST(extension_headers_lead_to_the_protocol)
{
	const struct xsk_rule dns = { .ip_proto = 17, .dst_port = 53 };
	struct end end = socket_on_pair();

	MATCHES(dns, .version = 6, .proto = 17, .extensions = { 1 });
	MATCHES(dns, .version = 6, .proto = 17, .extensions = { 44 });
	MATCHES(dns, .version = 6, .proto = 17, .extensions = { 52 });
	MATCHES(dns, .version = 6, .proto = 17, .extensions = { 61 });
	MATCHES(dns, .version = 6, .proto = 17, .extensions = { 1, 61, 44, 45, 52, 61 }, .tags = 2);
	MATCHES(dns, .version = 6, .proto = 17, .extensions = { 1, 61, 44, 45, 52, 61, 61, 61 });
	PASSES(dns, .version = 6, .proto = 17, .extensions = { 1, 61, 44, 45, 52, 61, 61, 61, 61 });
	MATCHES(RULE(.ip_proto = 50), .version = 6, .proto = 50, .extensions = { 52 });
	MATCHES(RULE(.ip_proto = 59), .version = 6, .proto = 59);
	MATCHES_NOT(dns, .version = 6, .proto = 58, .extensions = { 1 });
	/* One that no rule asks for is not parsed. */
	MATCHES(RULE(.ip_version = 6), .version = 6, .proto = 17,
		.extensions = { 1, 61, 44, 45, 52, 61, 61, 61, 61 });
	close_end(&end);
}

/* Cut anywhere behind the Ethernet header. */
static void cut(struct xsk_socket *socket, struct packet whole, uint32_t ip, uint32_t ports)
{
	const struct xsk_rule rules[] = {
		{ .ether_type = 0x88cc },
		{ .ip_version = 4, .src_addr = { 9 }, .src_bits = 8 },
		{ .ip_proto = 17, .dst_port = 53 },
	};
	int link = rules_in_place(socket, rules, 1, XSK_ACTION_DROP);
	int network = rules_in_place(socket, rules, 2, XSK_ACTION_DROP);
	int transport = rules_in_place(socket, rules, 3, XSK_ACTION_DROP);

	for (uint32_t len = 14; len <= whole.len; len++) {
		struct packet packet = whole;

		packet.len = len;
		CHECK_EQ(run_xdp(link, &packet), len < ip ? XDP_PASS : XDP_DROP);
		/* Shorter than it says it is. */
		CHECK_EQ(run_xdp(network, &packet), len < whole.len ? XDP_PASS : XDP_DROP);
		CHECK_EQ(run_xdp(transport, &packet), len < whole.len ? XDP_PASS : XDP_REDIRECT);
		/* As short as it says it is; what follows is padding. */
		if (len < (whole.bytes[ip - 2] == 0x08 ? ports : ip + 40))
			continue;
		if (whole.bytes[ip - 2] == 0x08)
			set16(&packet, ip + 2, len - ip);
		else
			set16(&packet, ip + 4, len - ip - 40);
		for (uint32_t padded = 0; padded < 2; padded++, packet.len = whole.len) {
			CHECK_EQ(run_xdp(network, &packet), XDP_DROP);
			CHECK_EQ(run_xdp(transport, &packet), len < ports + 4 ? XDP_PASS : XDP_REDIRECT);
		}
	}
	close(link);
	close(network);
	close(transport);
}

TEST(a_packet_that_is_too_short_goes_to_the_kernel)
{
	struct end end = socket_on_pair();
	struct packet packet;

	cut(end.socket, BUILD(.version = 4, .proto = 17, .options = 6), 14, 14 + 44);
	cut(end.socket, BUILD(.version = 4, .proto = 17, .options = 10, .tags = 2), 22, 22 + 60);
	cut(end.socket, BUILD(.version = 6, .proto = 17), 14, 14 + 40);
	cut(end.socket, BUILD(.version = 6, .proto = 17, .extensions = { 1, 52 }, .tags = 1), 18,
	    18 + 40 + 16 + 12);
	/* IP headers that are none. */
	packet = BUILD(.version = 4, .proto = 17);
	packet.bytes[14] = 0x44;
	CHECK_EQ(one_rule(end.socket, RULE(.ip_version = 4), packet), XDP_PASS);
	packet.bytes[14] = 0x65;
	CHECK_EQ(one_rule(end.socket, RULE(.ip_version = 4), packet), XDP_PASS);
	packet.bytes[14] = 0x45;
	set16(&packet, 16, 19);
	CHECK_EQ(one_rule(end.socket, RULE(.ip_version = 4), packet), XDP_PASS);
	CHECK_EQ(one_rule(end.socket, RULE(.ether_type = 0x0800), packet), XDP_REDIRECT);
	packet = BUILD(.version = 6, .proto = 17);
	packet.bytes[14] = 0x45;
	CHECK_EQ(one_rule(end.socket, RULE(.ip_version = 4), packet), XDP_PASS);
	close_end(&end);
}

TEST(the_first_rule_that_matches_wins_and_a_layer_is_parsed_when_it_is_asked_for)
{
	const struct xsk_rule rules[] = {
		{ .ip_version = 4, .src_addr = { 10 }, .src_bits = 8, .ip_proto = 6,
		  .action = XSK_ACTION_DROP },
		{ .ip_version = 4, .src_addr = { 10 }, .src_bits = 8 },
		{ .ip_proto = 6, .action = XSK_ACTION_PASS },
		{ .ip_proto = 17, .action = XSK_ACTION_DROP },
		{ .ip_proto = 1 },
		{ .action = XSK_ACTION_PASS },
		{ .ip_proto = 2 },	/* never reached */
	};
	const struct xsk_rule layers[] = {
		{ .vlan = 5, .action = XSK_ACTION_DROP },
		{ .ip_version = 6 },
		{ .ip_version = 4, .ip_proto = 17, .dst_port = 53, .action = XSK_ACTION_DROP },
	};
	struct end end = socket_on_pair();
	struct packet packet;
	int program;

#define ANSWER(...) run_on(program, BUILD(__VA_ARGS__))
	program = rules_in_place(end.socket, rules, COUNT(rules), XSK_ACTION_DROP);
	CHECK_EQ(ANSWER(.version = 4, .proto = 6), XDP_DROP);
	CHECK_EQ(ANSWER(.version = 4, .proto = 17), XDP_REDIRECT);
	CHECK_EQ(ANSWER(.version = 6, .proto = 6), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 6, .proto = 17), XDP_DROP);
	CHECK_EQ(ANSWER(.version = 6, .proto = 1), XDP_REDIRECT);
	CHECK_EQ(ANSWER(.version = 6, .proto = 2), XDP_PASS);
	close(program);

	program = rules_in_place(end.socket, layers, COUNT(layers), XSK_ACTION_PASS);
	packet = BUILD(.version = 4, .tags = 1, .ids = { 5 });
	packet.len = 20;
	CHECK_EQ(run_xdp(program, &packet), XDP_DROP);	/* before IP is looked at */
	CHECK_EQ(ANSWER(.version = 6, .proto = 17, .extensions = { 45 }, .fragment = 1), XDP_REDIRECT);
	CHECK_EQ(ANSWER(.version = 4, .proto = 17), XDP_DROP);
	CHECK_EQ(ANSWER(.version = 4, .proto = 17, .fragment = 1), XDP_PASS);
	close(program);

	program = rules_in_place(end.socket, NULL, 0, XSK_ACTION_SOCKET);
	CHECK_EQ(ANSWER(.version = 4), XDP_REDIRECT);
	close(program);
	close_end(&end);
}

TEST(presets_keep_a_machine_reachable_or_take_one_port)
{
	struct xsk_program *preset = NULL;
	struct end end = socket_on_pair();
	int program;

	CHECK_OK(xsk_program_create(&preset, &XSK_PROGRAM_PARAMS(
			.preset = XSK_PRESET_ALL_BUT_CONTROL)));
	program = put_in_place(end.socket, preset);
	CHECK_EQ(ANSWER(.version = 4, .proto = 1), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 6, .proto = 58), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 6, .proto = 58, .extensions = { 1 }), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 4, .proto = 6, .dst_port = 22), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 6, .proto = 6, .src_port = 22), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 4, .proto = 6, .fragment = 1), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 4, .proto = 6), XDP_REDIRECT);
	CHECK_EQ(ANSWER(.version = 4, .proto = 17, .dst_port = 22), XDP_REDIRECT);
	CHECK_EQ(ANSWER(.version = 0), XDP_REDIRECT);
	{
		struct packet arp = BUILD(.version = 0);

		set16(&arp, 12, 0x0806);
		CHECK_EQ(run_xdp(program, &arp), XDP_PASS);
	}
	close(program);
	CHECK_OK(xsk_program_create(&preset, &XSK_PROGRAM_PARAMS(
			.preset = XSK_PRESET_UDP_PORT, .preset_port = 53)));
	program = put_in_place(end.socket, preset);
	CHECK_EQ(ANSWER(.version = 4, .proto = 17), XDP_REDIRECT);
	CHECK_EQ(ANSWER(.version = 6, .proto = 17), XDP_REDIRECT);
	CHECK_EQ(ANSWER(.version = 4, .proto = 17, .dst_port = 54), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 4, .proto = 6), XDP_PASS);
	CHECK_EQ(ANSWER(.version = 0), XDP_PASS);
	close(program);
	close_end(&end);
}

TEST_WITHOUT_ROOT(a_program_that_makes_no_sense_is_refused_with_its_reason)
{
	static struct xsk_rule many[1025];
	const struct xsk_rule any = { 0 };
	const uint16_t port = 1;
	struct xsk_program *program = NULL;

#define REFUSED(word, ...) \
	CHECK_FAILS(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(__VA_ARGS__)), -EINVAL, word)
#define REFUSED_RULE(word, ...) \
	REFUSED(word, .rule_count = 2, .rules = ((const struct xsk_rule[]){ any, { __VA_ARGS__ } }))
	REFUSED_RULE("rule 1: ether_type", .ether_type = 0x5ff);
	REFUSED_RULE("rule 1: a VLAN id", .vlan = 4095);
	REFUSED_RULE("rule 1: a VLAN id", .inner_vlan = XSK_VLAN_ANY | 1);
	REFUSED_RULE("rule 1: ip_version", .ip_version = 5);
	REFUSED_RULE("needs an ip_version", .src_bits = 8);
	REFUSED_RULE("longer than an address", .ip_version = 4, .src_bits = 33);
	REFUSED_RULE("longer than an address", .ip_version = 6, .dst_bits = 129);
	REFUSED_RULE("behind its prefix", .ip_version = 4, .src_bits = 8, .src_addr = { 10, 1 });
	REFUSED_RULE("behind its prefix", .src_addr = { 10 });
	REFUSED_RULE("ends before it begins", .dst_port = 5, .dst_port_last = 4);
	REFUSED_RULE("ip_proto is another", .ip_proto = 1, .dst_port = 4);
	REFUSED_RULE("a range, or as an array", .dst_port = 5, .dst_ports = &port, .dst_port_count = 1);
	REFUSED_RULE("a range, or as an array", .src_port_count = 1);
	REFUSED_RULE("a range, or as an array", .src_ports = &port);
	REFUSED_RULE("no action", .action = 4);
	REFUSED_RULE("xsk_rule.reserved", .reserved = 1);
	REFUSED("no action", .default_action = 4);
	REFUSED("filter_action", .filter_action = 1);
	REFUSED("preset 3", .preset = 3);
	REFUSED("preset_port 5", .preset = XSK_PRESET_ALL_BUT_CONTROL, .preset_port = 5);
	REFUSED("preset_port 0", .preset = XSK_PRESET_UDP_PORT);
	REFUSED("preset_port 65536", .preset = XSK_PRESET_UDP_PORT, .preset_port = 65536);
	REFUSED("rules is NULL", .rule_count = 1);
	CHECK_FAILS(xsk_program_create(&program, &(struct xsk_program_params){
			sizeof(struct xsk_program_params), .rules = &any, .rule_count = 1 }),
		    -EINVAL, "xsk_rule.size is 0");
	CHECK_FAILS(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.rules = many, .rule_count = 1025)),
		    -E2BIG, "1025 rules", "1024");
	CHECK(program == NULL);
	CHECK_OK(xsk_program_create(&program, &XSK_PROGRAM_PARAMS(.rules = many, .rule_count = 1024)));
	xsk_program_destroy(program);
	/* A later library's rule, as long as what this one does not know is 0. */
	CHECK_OK(xsk_program_create(&program, &(struct xsk_program_params){
			sizeof(struct xsk_program_params), .rules = many, .rule_count = 2,
			.rule_size = 2 * sizeof(struct xsk_rule) }));
	xsk_program_destroy(program);
}

/* --- a model of the rules, to be held against the program */

struct parsed {
	int link, network, transport;	/* could it be parsed */
	uint32_t type, vlans[2], version, proto, src, dst;
	const uint8_t *ip;
};

enum { MODEL_NONE = 0x1000, MODEL_UNKNOWN = 0x10000, MODEL_NO_PORT = 0x20000 };

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static void model_transport(struct parsed *is, uint32_t room)
{
	uint32_t at, left, fragment = 0;

	is->transport = 1;
	is->proto = 256;
	is->src = is->dst = MODEL_NO_PORT;
	if (is->version == 4) {
		is->proto = is->ip[9];
		at = (is->ip[0] & 15u) * 4;
		left = get16(is->ip + 2);
		fragment = get16(is->ip + 6) & 0x3fff;
	} else if (is->version == 6) {
		uint32_t headers = 0;

		is->proto = is->ip[6];
		at = 40;
		left = get16(is->ip + 4) + 40;
		for (;; headers++) {
			uint32_t kind = is->proto, offset;

			if (kind != 0 && kind != 43 && kind != 44 && kind != 51 && kind != 60)
				break;
			if (headers == 8 || at + 8 > left) {
				is->transport = 0;
				return;
			}
			is->proto = is->ip[at];
			if (kind == 44) {
				offset = get16(is->ip + at + 2);
				fragment |= offset & 0xfff9;
				at += 8;
				if (offset & 0xfff8) {
					if (is->proto == 0 || is->proto == 43 || is->proto == 44 ||
					    is->proto == 51 || is->proto == 60)
						is->transport = 0;
					break;
				}
			} else {
				at += kind == 51 ? is->ip[at + 1] * 4u + 8 : is->ip[at + 1] * 8u + 8;
			}
		}
	} else {
		return;
	}
	if (is->proto != 6 && is->proto != 17 && is->proto != 132)
		return;
	is->src = is->dst = MODEL_UNKNOWN;
	if (fragment || at + 4 > left || at + 4 > room)
		return;
	is->src = get16(is->ip + at);
	is->dst = get16(is->ip + at + 2);
}

static struct parsed model(const struct packet *packet)
{
	struct parsed is = { .vlans = { MODEL_NONE, MODEL_NONE } };
	uint32_t at = 12, room;

	is.type = get16(packet->bytes + at);
	for (uint32_t i = 0; is.type == 0x8100 || is.type == 0x88a8; i++) {
		if (i == 2 || at + 6 > packet->len)
			return is;
		is.vlans[i] = get16(packet->bytes + at + 2) & 0xfff;
		at += 4;
		is.type = get16(packet->bytes + at);
	}
	is.link = 1;
	is.ip = packet->bytes + at + 2;
	room = packet->len - at - 2;
	if (is.type == 0x0800) {
		if (room < 20 || is.ip[0] >> 4 != 4 || (is.ip[0] & 15) < 5 ||
		    get16(is.ip + 2) < (is.ip[0] & 15u) * 4 || get16(is.ip + 2) > room)
			return is;
		is.version = 4;
	} else if (is.type == 0x86dd) {
		if (room < 40 || is.ip[0] >> 4 != 6 || get16(is.ip + 4) + 40 > room)
			return is;
		is.version = 6;
	}
	is.network = 1;
	model_transport(&is, room);
	return is;
}

static int vlan_is(uint32_t got, uint32_t want)
{
	return want == 0 || (want == XSK_VLAN_NONE && got == MODEL_NONE) ||
	       (want == XSK_VLAN_ANY && got != MODEL_NONE) ||
	       (want == XSK_VLAN_PRIORITY && got == 0) || got == want;
}

static int prefix_is(const uint8_t *got, const uint8_t *want, uint32_t bits)
{
	for (uint32_t bit = 0; bit < bits; bit++)
		if ((got[bit / 8] ^ want[bit / 8]) & 0x80 >> bit % 8)
			return 0;
	return 1;
}

/* 1: it is, 0: it is not, -1: nobody can know. */
static int port_is(uint32_t got, uint32_t from, uint32_t to, const uint16_t *set, uint32_t n)
{
	if (to == 0)
		to = from;
	if (to == 0 && n == 0)
		return 1;
	if (got == MODEL_UNKNOWN)
		return -1;
	if (n == 0)
		return got >= from && got <= to;
	while (n--)
		if (set[n] == got)
			return 1;
	return 0;
}

static uint32_t model_answer(const struct packet *packet, const struct xsk_rule *rules, uint32_t n)
{
	static const uint32_t answers[] = { XDP_REDIRECT, XDP_REDIRECT, XDP_PASS, XDP_DROP };
	struct parsed is = model(packet);

	for (; n--; rules++) {
		int src, dst;
		int asks_ports = rules->src_port || rules->src_port_last || rules->dst_port ||
				 rules->dst_port_last || rules->src_port_count || rules->dst_port_count;
		int asks_transport = rules->ip_proto || asks_ports;
		int asks_network = rules->ip_version || asks_transport;
		int asks_link = rules->ether_type || rules->vlan || rules->inner_vlan || asks_network;

		if ((asks_link && !is.link) || (asks_network && !is.network) ||
		    (asks_transport && !is.transport))
			return XDP_PASS;
		if (!vlan_is(is.vlans[0], rules->vlan) || !vlan_is(is.vlans[1], rules->inner_vlan) ||
		    (rules->ether_type && is.type != rules->ether_type) ||
		    (rules->ip_version && is.version != rules->ip_version))
			continue;
		if (rules->ip_version &&
		    (!prefix_is(is.ip + (is.version == 4 ? 12 : 8), rules->src_addr, rules->src_bits) ||
		     !prefix_is(is.ip + (is.version == 4 ? 16 : 24), rules->dst_addr, rules->dst_bits)))
			continue;
		if (rules->ip_proto && is.proto != rules->ip_proto)
			continue;
		src = port_is(is.src, rules->src_port, rules->src_port_last, rules->src_ports,
			      rules->src_port_count);
		if (src > 0)
			dst = port_is(is.dst, rules->dst_port, rules->dst_port_last, rules->dst_ports,
				      rules->dst_port_count);
		else
			dst = 1;
		if (src < 0 || dst < 0)
			return XDP_PASS;
		if (src && dst)
			return answers[rules->action];
	}
	return XDP_DROP;
}

static struct xsk_rule random_rule(void)
{
	static const uint16_t types[] = { 0x0800, 0x86dd, 0x0806, 0x8847, 0x88b5 };
	static const uint16_t vlans[] = { 5, 100, XSK_VLAN_NONE, XSK_VLAN_ANY, XSK_VLAN_PRIORITY };
	static const uint8_t protos[] = { 6, 17, 132, 1, 58, 51, 50 };
	static const uint16_t ports[] = { 22, 53, 80, 443, 1024 };
	static const uint16_t set[] = { 22, 53, 443, 5353, 0, 65535, 17, 1000 };
	struct xsk_rule rule = { .action = below(4) };
	struct packet addrs = { 0 };

	if (below(5) == 0)
		rule.ether_type = ONE_OF(types);
	if (below(5) == 0)
		rule.vlan = ONE_OF(vlans);
	if (below(8) == 0)
		rule.inner_vlan = ONE_OF(vlans);
	if (below(2)) {
		rule.ip_version = below(2) ? 4 : 6;
		for (int i = 0; i < 2; i++)
			rule.ip_version == 4 ? put_ipv4_addr(&addrs) : put_ipv6_addr(&addrs);
		if (below(2))
			rule.src_bits = (uint8_t)below(rule.ip_version == 4 ? 33 : 129);
		if (below(2))
			rule.dst_bits = (uint8_t)below(rule.ip_version == 4 ? 33 : 129);
		for (uint32_t bit = 0; bit < 128; bit++) {
			uint32_t len = rule.ip_version == 4 ? 4 : 16;

			if (bit < rule.src_bits)
				rule.src_addr[bit / 8] |= addrs.bytes[bit / 8] & 0x80 >> bit % 8;
			if (bit < rule.dst_bits)
				rule.dst_addr[bit / 8] |= addrs.bytes[len + bit / 8] & 0x80 >> bit % 8;
		}
	}
	if (below(2))
		rule.ip_proto = ONE_OF(protos);
	if (rule.ip_proto == 0 || rule.ip_proto == 6 || rule.ip_proto == 17) {
		uint32_t which = below(6);

		if (which == 0)
			rule.dst_port = ONE_OF(ports);
		else if (which == 1)
			rule.src_port = (uint16_t)below(60), rule.src_port_last = ONE_OF(ports) + 60;
		else if (which == 2)
			rule.dst_ports = set, rule.dst_port_count = 1 + below(COUNT(set));
		else if (which == 3)
			rule.src_ports = set, rule.src_port_count = 1 + below(COUNT(set)),
			rule.dst_port = ONE_OF(ports), rule.dst_port_last = 65535;
	}
	return rule;
}

TEST(random_rules_do_with_random_packets_what_a_model_says)
{
	static struct packet packets[1000];
	uint32_t answers[5] = { 0 };
	struct end end = socket_on_pair();

	for (uint32_t i = 0; i < COUNT(packets); i++)
		random_packet(&packets[i]);
	for (uint32_t round = 0; round < 300; round++) {
		struct xsk_rule rules[12];
		uint32_t n = 1 + below(COUNT(rules));
		int program;

		for (uint32_t i = 0; i < n; i++)
			rules[i] = random_rule();
		program = rules_in_place(end.socket, rules, n, XSK_ACTION_DROP);
		for (uint32_t i = 0; i < COUNT(packets); i++) {
			uint32_t got = run_xdp(program, &packets[i]);
			uint32_t want = model_answer(&packets[i], rules, n);

			answers[got]++;
			if (got != want)
				FAIL("round %u, packet %u: %u and not %u", round, i, got, want);
		}
		close(program);
	}
	CHECK(answers[XDP_REDIRECT] > 20000 && answers[XDP_PASS] > 20000 && answers[XDP_DROP] > 20000);
	close_end(&end);
}

TEST(the_largest_programs_load)
{
	static struct xsk_rule rules[1024];
	static uint16_t ports[65536];
	struct end end = socket_on_pair();
	struct packet packet = BUILD(.version = 6, .proto = 17, .dst_port = 1024);
	struct xsk_program *none = NULL;
	int program;

	for (uint32_t i = 0; i < COUNT(rules); i++)
		rules[i] = RULE(.ip_proto = 17, .dst_port = (uint16_t)(1 + i));
	program = rules_in_place(end.socket, rules, COUNT(rules), XSK_ACTION_DROP);
	CHECK_EQ(run_xdp(program, &packet), XDP_REDIRECT);
	CHECK_EQ(xsk_program_counters(end.socket, NULL, 0), COUNT(rules) + 2);
	close(program);
	for (uint32_t i = 0; i < COUNT(rules); i++)
		rules[i] = RULE(.vlan = 5, .ip_version = 6, .ip_proto = 17, .src_bits = 128, .dst_bits = 128,
				.src_addr = { 1 }, .dst_addr = { 1 }, .src_port = 1, .dst_port = 2);
	CHECK_FAILS(xsk_program_create(&none, &XSK_PROGRAM_PARAMS(.rules = rules, .rule_count = 1024)),
		    -E2BIG, "too long", "32767");
	program = rules_in_place(end.socket, rules, 600, XSK_ACTION_DROP);
	CHECK_EQ(run_xdp(program, &packet), XDP_DROP);
	close(program);
	for (uint32_t i = 0; i < COUNT(ports); i++)
		ports[i] = (uint16_t)i;
	rules[0] = RULE(.dst_ports = ports, .dst_port_count = COUNT(ports), .action = XSK_ACTION_PASS);
	program = rules_in_place(end.socket, rules, 1, XSK_ACTION_DROP);
	CHECK_EQ(run_xdp(program, &packet), XDP_PASS);
	close(program);
	close_end(&end);
}

/* --- on the wire */

static int raw_open(const char *ifname)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(ifname),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		FAIL("packet socket on %s: %s", ifname, strerror(errno));
	return fd;
}

static void raw_send(int fd, const struct packet *packet)
{
	CHECK_EQ(send(fd, packet->bytes, packet->len, 0), packet->len);
}

/* Whether the next packet on the stack's side is this one. */
static int raw_gets(int fd, const struct packet *packet, int timeout_ms)
{
	struct pollfd entry = { fd, POLLIN, 0 };
	uint8_t bytes[PACKET_MAX];

	return poll(&entry, 1, timeout_ms) == 1 &&
	       recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) == (ssize_t)packet->len &&
	       memcmp(bytes, packet->bytes, packet->len) == 0;
}

static int socket_gets(struct xsk_socket *socket, const struct packet *packet, int timeout_ms)
{
	struct xsk_buf buf;
	int got;

	if (xsk_rx_burst(socket, &buf, 1) != 1) {
		CHECK(xsk_socket_wait(socket, XSK_WAIT_RX, timeout_ms) >= 0);
		if (xsk_rx_burst(socket, &buf, 1) != 1)
			return 0;
	}
	got = buf.len == packet->len && memcmp(buf.data, packet->bytes, buf.len) == 0;
	CHECK_EQ(xsk_buf_free(socket, &buf, 1), 1);
	return got;
}

static struct end open_with(const char *ifname, uint32_t queue, const struct xsk_program *program,
			    uint32_t flags)
{
	struct end end = { small_umem(), NULL };

	CHECK_OK(xsk_socket_create(&end.socket, end.umem, NULL));
	CHECK_OK(xsk_rx_burst(end.socket, NULL, 0));
	CHECK_OK(xsk_socket_bind(end.socket, ifname, queue, &XSK_BIND_PARAMS(
			.program = program, .flags = flags)));
	return end;
}

static void steers_on_the_wire(uint32_t flags)
{
	static const struct xsk_rule rules[] = {
		{ .ip_proto = 17, .dst_port = 53 },
		{ .ip_proto = 17, .dst_port = 54, .action = XSK_ACTION_DROP },
		{ .ip_version = 6 },
	};
	struct xsk_program *program = make_program(rules, COUNT(rules), 0);
	struct packet dns = BUILD(.version = 4, .proto = 17, .payload = 30);
	struct packet dropped = BUILD(.version = 4, .proto = 17, .dst_port = 54, .payload = 30);
	struct packet other = BUILD(.version = 4, .proto = 17, .dst_port = 55, .payload = 30);
	struct packet fragment = BUILD(.version = 4, .proto = 17, .fragment = 1, .payload = 30);
	struct packet six = BUILD(.version = 6, .proto = 6, .payload = 30);
	struct xsk_counter counters[6];
	struct installed is;
	struct end end;
	int from, stack;

	make_pair(1);
	from = raw_open(XB);
	stack = raw_open(XA);
	end = open_with(XA, 0, program, flags);
	xsk_program_destroy(program);
	is = installed_by(attached_id(XA));
	CHECK_EQ(xsk_program_counters(end.socket, NULL, 0), 5);
	for (uint32_t i = 1; i <= 20; i++) {
		raw_send(from, &dns);
		CHECK(socket_gets(end.socket, &dns, 1000));
		raw_send(from, &dropped);
		raw_send(from, &other);
		CHECK(raw_gets(stack, &other, 1000));
		raw_send(from, &fragment);
		CHECK(raw_gets(stack, &fragment, 1000));
		raw_send(from, &six);
		CHECK(socket_gets(end.socket, &six, 1000));
		/* Read while running; 5 are asked for, 5 written. */
		memset(counters, 0x55, sizeof(counters));
		CHECK_EQ(xsk_program_counters(end.socket, counters, 6), 5);
		CHECK_EQ(counters[0].packets, i);
		CHECK_EQ(counters[0].bytes, i * dns.len);
		CHECK_EQ(counters[1].packets, i);
		CHECK_EQ(counters[1].bytes, i * dropped.len);
		CHECK_EQ(counters[2].packets, i);
		CHECK_EQ(counters[2].bytes, i * six.len);
		CHECK_EQ(counters[3].packets, i);
		CHECK_EQ(counters[3].bytes, i * other.len);
		CHECK_EQ(counters[4].packets, i);
		CHECK_EQ(counters[4].bytes, i * fragment.len);
		CHECK_EQ(counters[5].packets, 0x5555555555555555);
	}
	CHECK_EQ(xsk_program_counters(end.socket, counters, 1), 5);
	CHECK(!raw_gets(stack, &other, 10));
	CHECK(!socket_gets(end.socket, &dns, 10));
	close_end(&end);
	WAIT_FOR(attached_id(XA) == 0 && is_gone(&is), 2000);
}

TEST(packets_go_where_rules_send_them_and_are_counted_in_native_mode)
{
	steers_on_the_wire(XSK_BIND_DRV_MODE);
}

TEST(packets_go_where_rules_send_them_and_are_counted_in_generic_mode)
{
	steers_on_the_wire(XSK_BIND_SKB_MODE);
}

TEST(the_default_program_counts_nothing_and_a_socket_without_one_has_no_counters)
{
	struct xsk_counter counter;
	struct end end = socket_on_pair(), none;

	CHECK_EQ(xsk_program_counters(end.socket, &counter, 1), 0);
	none = open_end(XB, 0, 0, XSK_BIND_NO_PROGRAM);
	CHECK_FAILS(xsk_program_counters(none.socket, &counter, 1), -ENOTCONN, "not bound, or uses no");
	CHECK_FAILS(xsk_program_replace(none.socket, NULL), -ENOTCONN, "not bound, or uses no");
	close_end(&none);
	close_end(&end);
}

/* --- replaced under traffic */

struct sender {
	struct end *end;
	_Atomic uint32_t sent, received;
	_Atomic int stop;
};

/* So many on their way that no ring overflows. */
static void *send_numbers(void *argument)
{
	struct sender *sender = argument;

	while (!atomic_load(&sender->stop))
		if (atomic_load(&sender->sent) - atomic_load(&sender->received) < 64) {
			end_send(sender->end, atomic_load(&sender->sent));
			atomic_fetch_add(&sender->sent, 1);
		} else {
			sched_yield();
		}
	return NULL;
}

struct replacer {
	struct xsk_socket *socket;
	struct xsk_program *programs[4];
	_Atomic int done;
};

static void *replace_often(void *argument)
{
	struct replacer *replacer = argument;

	for (uint32_t i = 0; i < 60; i++)
		CHECK_OK(xsk_program_replace(replacer->socket, replacer->programs[i % 4]));
	atomic_store(&replacer->done, 1);
	return NULL;
}

TEST(a_program_is_replaced_under_traffic_and_no_packet_is_lost)
{
	static const struct xsk_rule one[] = { { .ether_type = ETHERTYPE } };
	static const struct xsk_rule two[] = { { .vlan = XSK_VLAN_ANY }, { .ether_type = ETHERTYPE } };
	struct end end = socket_on_pair(), from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	struct sender sender = { .end = &from };
	struct replacer replacer = { .socket = end.socket, .programs = {
		make_program(one, 1, XSK_ACTION_DROP), make_program(two, 2, XSK_ACTION_DROP), NULL,
		make_program(NULL, 0, XSK_ACTION_SOCKET),
	} };
	pthread_t sending, replacing;
	uint32_t first = info_of(end.socket).program_id, next = 0;
	uint64_t end_by = now_ms() + 30000;

	CHECK_OK(pthread_create(&sending, NULL, send_numbers, &sender));
	CHECK_OK(pthread_create(&replacing, NULL, replace_often, &replacer));
	while (!atomic_load(&replacer.done) || next < 20000) {
		CHECK(now_ms() < end_by);
		if (next == atomic_load(&sender.sent)) {
			sched_yield();
			continue;
		}
		CHECK_EQ(end_receive(&end, 2000), next);
		atomic_store(&sender.received, ++next);
	}
	atomic_store(&sender.stop, 1);
	pthread_join(sending, NULL);
	pthread_join(replacing, NULL);
	for (; next < atomic_load(&sender.sent); next++)
		CHECK_EQ(end_receive(&end, 2000), next);
	CHECK(info_of(end.socket).program_id != first);
	CHECK_EQ(info_of(end.socket).program_id, attached_id(XA));
	CHECK_EQ(counter_of(end.socket, 1).packets, 0);
	for (uint32_t i = 0; i < 4; i++)
		xsk_program_destroy(replacer.programs[i]);
	close_end(&end);
	close_end(&from);
	WAIT_FOR(attached_id(XA) == 0 && attached_id(XB) == 0, 2000);
}

TEST(a_socket_on_another_queue_stays_when_the_program_is_replaced)
{
	static const struct xsk_rule rule = { .ether_type = ETHERTYPE };
	struct xsk_program *program = make_program(&rule, 1, 0);
	struct end first, second, from;

	make_pair(2);
	first = open_with(XA, 0, program, 0);
	second = open_with(XA, 1, program, 0);
	from = open_end(XB, 1, XSK_SOCKET_TX_ONLY, 0);
	end_send(&from, 1);
	CHECK_EQ(end_receive(&second, 1000), 1);
	CHECK_OK(xsk_program_replace(first.socket, NULL));
	end_send(&from, 2);
	CHECK_EQ(end_receive(&second, 1000), 2);
	CHECK_EQ(info_of(first.socket).program_id, info_of(second.socket).program_id);
	/* It lives by the second socket alone. */
	close_end(&first);
	CHECK_OK(xsk_program_replace(second.socket, program));
	end_send(&from, 3);
	CHECK_EQ(end_receive(&second, 1000), 3);
	CHECK_EQ(counter_of(second.socket, 0).packets, 1);
	xsk_program_destroy(program);
	close_end(&second);
	close_end(&from);
	WAIT_FOR(attached_id(XA) == 0, 2000);
}

/* --- joined */

static const uint16_t set_a[] = { 1, 2, 3 }, set_b[] = { 3, 2, 1 }, set_c[] = { 1, 2, 4 };

static const struct xsk_rule base[] = {
	{ .ip_proto = 17, .dst_port = 53 },
	{ .ip_proto = 17, .dst_ports = set_a, .dst_port_count = 3 },
};

/* What another process says to a socket with that program. */
static void in_another(const struct xsk_program *program, uint32_t queue, const char *word,
		       const char *word2)
{
	pid_t pid = fork_child();

	if (pid == 0) {
		struct xsk_umem *umem = small_umem();
		struct xsk_socket *socket = NULL;
		int err = xsk_socket_open(&socket, umem, XA, queue, NULL,
					  &XSK_BIND_PARAMS(.program = program));

		if (word) {
			CHECK_EQ(err, -EBUSY);
			CHECK_SAYS("cannot be joined", word, word2);
		} else {
			CHECK_OK(err);
			CHECK_EQ(info_of(socket).program_id, attached_id(XA));
		}
		_exit(0);
	}
	join_child(pid);
}

/* Before there is anything that a child would inherit, it opens the first socket. */
static pid_t hold_in_another(const struct xsk_program *program)
{
	pid_t pid = fork_child();

	if (pid == 0) {
		open_with(XA, 0, program, 0);
		pause();
		_exit(0);
	}
	WAIT_FOR(attached_id(XA) != 0, 3000);
	return pid;
}

TEST(a_process_joins_equal_rules_and_is_told_what_differs)
{
	struct xsk_rule rules[3] = { base[0], base[1] };
	struct xsk_program *program = make_program(base, 2, 0), *same, *other, *filter = NULL;
	struct xsk_program *deny = make_program(base, 2, XSK_ACTION_DROP), *less, *more;
	static const struct { uint16_t code; uint8_t jt, jf; uint32_t k; } all[] = { { 6, 0, 0, 1 } };
	pid_t pid;

	rules[1].dst_ports = set_b;
	rules[1].dst_port_count = 3;
	same = make_program(rules, 2, XSK_ACTION_PASS);
	rules[1].dst_ports = set_c;
	rules[1].dst_port_count = 3;
	other = make_program(rules, 2, 0);
	less = make_program(rules, 1, 0);
	rules[1] = base[1];
	more = make_program(rules, 3, 0);
	CHECK_OK(xsk_program_create(&filter, &XSK_PROGRAM_PARAMS(
			.filter = (const struct sock_filter *)all, .filter_len = 1)));
	make_pair(2);
	pid = hold_in_another(program);
	in_another(program, 1, NULL, NULL);
	in_another(same, 1, NULL, NULL);
	in_another(other, 1, "rule 1", XA);
	in_another(less, 1, "rule 1", "id ");
	in_another(more, 1, "rule 2", XA);
	in_another(deny, 1, "nothing matches", XA);
	in_another(filter, 1, "it has rules", XA);
	in_another(NULL, 1, "it has rules", XA);
	kill_child(pid);
	WAIT_FOR(attached_id(XA) == 0, 3000);
	pid = hold_in_another(filter);
	in_another(filter, 1, NULL, NULL);
	in_another(program, 1, "it is a filter", XA);
	kill_child(pid);
	WAIT_FOR(attached_id(XA) == 0, 3000);
	pid = hold_in_another(NULL);
	in_another(NULL, 1, NULL, NULL);
	in_another(program, 1, "it is the default program", XA);
	kill_child(pid);
	WAIT_FOR(attached_id(XA) == 0, 3000);
}

TEST(a_process_joins_an_equal_filter_and_is_told_which_instruction_differs)
{
	struct { uint16_t code; uint8_t jt, jf; uint32_t k; } insns[] = {
		{ 0x28, 0, 0, 12 }, { 0x15, 0, 1, 0x88b5 }, { 6, 0, 0, 1 }, { 6, 0, 0, 0 },
	};
	struct xsk_program *programs[4];
	pid_t pid;

	for (uint32_t i = 0; i < 4; i++) {
		insns[1].k = i == 1 ? 0x88b6 : 0x88b5;
		CHECK_OK(xsk_program_create(&programs[i], &XSK_PROGRAM_PARAMS(
				.filter = (const struct sock_filter *)insns, .filter_len = 4,
				.filter_action = i == 2 ? XSK_ACTION_DROP : 0)));
	}
	make_pair(2);
	pid = hold_in_another(programs[0]);
	in_another(programs[1], 1, "instruction 1", XA);
	in_another(programs[2], 1, "the filter matches", XA);
	in_another(programs[3], 1, NULL, NULL);
	kill_child(pid);
	WAIT_FOR(attached_id(XA) == 0, 3000);
}

TEST(sockets_of_one_process_share_equal_programs_only)
{
	struct xsk_program *program = make_program(base, 2, 0), *same = make_program(base, 2, 0);
	struct xsk_program *other = make_program(base, 1, 0);
	struct end first, second;
	struct xsk_socket *none = NULL;

	make_pair(3);
	first = open_with(XA, 0, program, 0);
	second = open_with(XA, 1, same, 0);
	CHECK_EQ(info_of(first.socket).program_id, info_of(second.socket).program_id);
	CHECK_FAILS(xsk_socket_open(&none, first.umem, XA, 2, NULL, &XSK_BIND_PARAMS(.program = other)),
		    -EBUSY, "rule 1");
	CHECK_FAILS(xsk_socket_open(&none, first.umem, XA, 2, NULL, NULL), -EBUSY, "it has rules");
	/* Another interface may have another program. */
	CHECK_OK(xsk_socket_open(&none, first.umem, XB, 2, NULL, &XSK_BIND_PARAMS(.program = other)));
	xsk_socket_destroy(none);
	CHECK_OK(xsk_program_replace(second.socket, other));
	none = NULL;
	CHECK_FAILS(xsk_socket_open(&none, first.umem, XA, 2, NULL, &XSK_BIND_PARAMS(.program = same)),
		    -EBUSY, "rule 1");
	CHECK_OK(xsk_socket_open(&none, first.umem, XA, 2, NULL, &XSK_BIND_PARAMS(.program = other)));
	xsk_socket_destroy(none);
	xsk_program_destroy(program);
	xsk_program_destroy(same);
	xsk_program_destroy(other);
	close_end(&first);
	close_end(&second);
	WAIT_FOR(attached_id(XA) == 0 && attached_id(XB) == 0, 2000);
}

TEST(what_another_process_put_in_place_is_found_and_counted)
{
	static const struct xsk_rule rule = { .ether_type = ETHERTYPE };
	struct xsk_program *mine = make_program(base, 2, 0), *theirs = make_program(&rule, 1, 0);
	struct end end, from;
	pid_t pid;
	int go[2];
	char byte = 0;

	make_pair(2);
	CHECK_OK(pipe(go));
	pid = fork_child();
	if (pid == 0) {
		struct end other;

		CHECK_EQ(read(go[0], &byte, 1), 1);
		other = open_with(XA, 1, mine, 0);
		CHECK_OK(xsk_program_replace(other.socket, theirs));
		_exit(0);
	}
	end = open_with(XA, 0, mine, 0);
	from = open_end(XB, 0, XSK_SOCKET_TX_ONLY, 0);
	CHECK_EQ(xsk_program_counters(end.socket, NULL, 0), 4);
	CHECK_EQ(write(go[1], &byte, 1), 1);
	join_child(pid);
	CHECK_EQ(info_of(end.socket).program_id, attached_id(XA));
	end_send(&from, 1);
	CHECK_EQ(end_receive(&end, 1000), 1);
	CHECK_EQ(xsk_program_counters(end.socket, NULL, 0), 3);
	CHECK_EQ(counter_of(end.socket, 0).packets, 1);
	close_end(&end);
	close_end(&from);
	WAIT_FOR(attached_id(XA) == 0, 2000);
}

TEST(a_program_goes_with_a_socket_that_receives_by_it_only)
{
	struct xsk_program *program = make_program(base, 2, 0);
	struct xsk_umem *umem = small_umem();
	struct xsk_socket *socket = NULL;

	make_pair(1);
	CHECK_FAILS(xsk_socket_open(&socket, umem, XA, 0, NULL, &XSK_BIND_PARAMS(
			.program = program, .flags = XSK_BIND_NO_PROGRAM)), -EINVAL, "program");
	CHECK_FAILS(xsk_socket_open(&socket, umem, XA, 0, NULL, &XSK_BIND_PARAMS(
			.program = program, .flags = XSK_BIND_XSKMAP, .xskmap_fd = 1)), -EINVAL, "program");
	CHECK_FAILS(xsk_socket_open(&socket, umem, XA, 0,
				    &XSK_SOCKET_PARAMS(.flags = XSK_SOCKET_TX_ONLY),
				    &XSK_BIND_PARAMS(.program = program)), -EINVAL, "only sends");
	CHECK_EQ(attached_id(XA), 0);
	xsk_program_destroy(program);
	CHECK_OK(xsk_umem_destroy(umem));
}

TEST(fifty_replacements_leave_no_program_no_map_no_descriptor)
{
	static const struct xsk_rule rule = { .dst_ports = set_a, .dst_port_count = 3 };
	struct xsk_program *program = make_program(&rule, 1, 0);
	struct end end = socket_on_pair();
	int fds = 0, objects = count_objects();

	for (uint32_t i = 0; i < 50; i++) {
		CHECK_OK(xsk_program_replace(end.socket, i % 2 ? NULL : program));
		if (i == 1)
			fds = count_fds();
	}
	CHECK_EQ(count_fds(), fds);
	WAIT_FOR(count_objects() <= objects, 3000);
	xsk_program_destroy(program);
	close_end(&end);
}
