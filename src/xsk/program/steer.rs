//! Rules, translated. A layer of headers is parsed where the first rule looks at it;
//! a packet that cannot be parsed there goes to the kernel.

use crate::sys::RawFd;
use crate::sys::bpf::Insn;
use crate::xsk::program::assembler::*;
use crate::xsk::program::decide;
use crate::xsk::program::rules::{
    ANY_TAG, IPV4, IPV6, NO_TAG, PRIORITY_TAG, Rule, Rules, WITH_PORTS, mask,
};

/// The IP version, 0 for neither. PACKET is at the IP header then.
const VERSION: u8 = 9;
// Stack slots, of 32 bits. The verifier does not follow what stands in the upper half
// of a 64-bit slot, so that it takes ways which differ there for one.
const ETHER_TYPE: i16 = -4; // in network order
const VLANS: [i16; 2] = [-12, -20];
const PROTO: i16 = -28;
const PORTS: [i16; 2] = [-36, -44];
const KEY: i16 = -52;
const LIMIT: i16 = -60; // where the packet ends, from PACKET on
const OFFSET: i16 = -68; // where the next header begins

/// Instead of an id: there is no tag.
const UNTAGGED: i32 = 0x1000;
/// Instead of a protocol: the packet is not IP.
const NO_PROTO: i32 = 0x100;
/// Instead of a port: nobody can know it, since the packet is a fragment or too short.
const UNKNOWN: i32 = 0x10000;
/// Instead of a port: the protocol has none.
const NO_PORT: i32 = 0x20000;

const IPV6_LEN: u32 = 40;

/// Extension headers of IPv6 that are followed; what has more goes to the kernel.
const MOST_HEADERS: usize = 8;
const HOP_BY_HOP: i32 = 0;
const ROUTING: i32 = 43;
const FRAGMENT: i32 = 44;
const AUTHENTICATION: i32 = 51;
const DESTINATION: i32 = 60;

/// As it stands in a packet.
const fn network(value: u16) -> i32 {
    value.to_be() as i32
}

/// Translates rules: jumps to `end` with what a rule decides, to `unparsed`, or goes on
/// where none matches. The program has called
/// `enter`.
#[inline(never)]
pub fn translate(asm: &mut Assembler, rules: &Rules, ports: RawFd, unparsed: Label, end: Label) {
    let mut ports = PortSets { map: ports, used: 0 };
    let mut parsed = 0;
    for (at, rule) in rules.list.iter().enumerate() {
        while parsed < rule.depth() {
            parsed += 1;
            let first = asm.labels(5);
            match parsed {
                1 => asm.piece(LINK, [unparsed; 2], first),
                2 => asm.piece(NETWORK, [unparsed; 2], first),
                _ => parse_transport(asm, unparsed, first),
            }
        }
        let next = asm.label();
        translate_rule(asm, rule, &mut ports, unparsed, next);
        decide(asm, at, rule.action, end);
        asm.place(next);
    }
}

/// Where every piece goes with a packet that it cannot parse.
const UNPARSED: i16 = 0;

/// The type and up to two tags.
const LINK: &[Insn] = {
    const DONE: i16 = 2;
    const OUTER: i16 = 3;
    const INNER: i16 = 4;
    const C_TAG: Insn = value(EQUAL, 1, network(0x8100));
    const S_TAG: Insn = value(EQUAL, 1, network(0x88a8));
    const NO_S_TAG: Insn = value(NOT_EQUAL, 1, network(0x88a8));
    &[
        reach(14, UNPARSED),
        load(LOAD_16, 1, PACKET, 12),
        advance(14),
        set(VLANS[0], UNTAGGED),
        set(VLANS[1], UNTAGGED),
        to(C_TAG, OUTER),
        to(NO_S_TAG, DONE),
        place(OUTER),
        reach(4, UNPARSED),
        load(LOAD_16, 1, PACKET, 0),
        value(SWAP, 1, 16),
        value(AND, 1, 0xfff),
        store(STORE_32, STACK, VLANS[0], 1),
        load(LOAD_16, 1, PACKET, 2),
        advance(4),
        to(C_TAG, INNER),
        to(NO_S_TAG, DONE),
        place(INNER),
        reach(4, UNPARSED),
        load(LOAD_16, 1, PACKET, 0),
        value(SWAP, 1, 16),
        value(AND, 1, 0xfff),
        store(STORE_32, STACK, VLANS[1], 1),
        load(LOAD_16, 1, PACKET, 2),
        advance(4),
        to(C_TAG, UNPARSED),
        to(S_TAG, UNPARSED),
        place(DONE),
        store(STORE_32, STACK, ETHER_TYPE, 1),
    ]
};

/// The IP header: whole, of the version that the type says, and no more packet
/// promised than there is.
const NETWORK: &[Insn] = {
    const V4: i16 = 2;
    const DONE: i16 = 3;
    &[
        load(LOAD_32, 1, STACK, ETHER_TYPE),
        value(MOVE, VERSION, 0),
        to(value(EQUAL, 1, network(IPV4)), V4),
        to(value(NOT_EQUAL, 1, network(IPV6)), DONE),
        reach(IPV6_LEN, UNPARSED),
        load(LOAD_8, 1, PACKET, 0),
        value(AND, 1, 0xf0),
        to(value(NOT_EQUAL, 1, 0x60), UNPARSED),
        load(LOAD_16, 2, PACKET, 4),
        value(SWAP, 2, 16),
        value(AND, 2, 0xffff), // older verifiers do not know of what a swap leaves
        value(ADD, 2, IPV6_LEN as i32),
        fits(UNPARSED),
        value(MOVE, VERSION, 6),
        jump(DONE),
        place(V4),
        reach(20, UNPARSED),
        load(LOAD_8, 1, PACKET, 0),
        to(value(BELOW, 1, 0x45), UNPARSED),
        to(value(ABOVE, 1, 0x4f), UNPARSED),
        value(AND, 1, 0x0f),
        value(SHIFT_LEFT, 1, 2),
        load(LOAD_16, 2, PACKET, 2),
        value(SWAP, 2, 16),
        value(AND, 2, 0xffff),
        to(reg(ABOVE, 1, 2), UNPARSED),
        fits(UNPARSED),
        value(MOVE, VERSION, 4),
        place(DONE),
    ]
};

// Protocol and ports. Not 0 in register 0: a fragment. 1: where the next header is,
// from PACKET on; 5: the protocol.
const HAVE_PROTO: i16 = 2;
const V6: i16 = 3;
const HAVE_PORTS: i16 = 4;
const NO_PORTS: i16 = 5;
const TRANSPORT_DONE: i16 = 6;

#[inline(never)]
fn parse_transport(asm: &mut Assembler, unparsed: Label, first: Label) {
    asm.piece(BEFORE_EXTENSIONS, [unparsed; 2], first);
    for _ in 0..MOST_HEADERS {
        let inside = asm.labels(4);
        asm.piece(EXTENSION, [unparsed, first], inside);
    }
    asm.piece(BEHIND_EXTENSIONS, [unparsed; 2], first);
}

/// What NETWORK has found to be there needs no second look: the verifier follows each
/// version by itself.
const BEFORE_EXTENSIONS: &[Insn] = &[
    set(PROTO, NO_PROTO),
    set(PORTS[0], NO_PORT),
    set(PORTS[1], NO_PORT),
    to(value(EQUAL, VERSION, 6), V6),
    to(value(NOT_EQUAL, VERSION, 4), TRANSPORT_DONE),
    load(LOAD_8, 5, PACKET, 9),
    load(LOAD_8, 1, PACKET, 0),
    value(AND, 1, 0x0f),
    value(SHIFT_LEFT, 1, 2),
    load(LOAD_16, 2, PACKET, 2),
    value(SWAP, 2, 16),
    store(STORE_32, STACK, LIMIT, 2),
    load(LOAD_16, 0, PACKET, 6),
    value(AND, 0, network(0x3fff)), // more fragments, offset
    jump(HAVE_PROTO),
    place(V6),
    load(LOAD_8, 5, PACKET, 6),
    value(MOVE, 1, IPV6_LEN as i32),
    load(LOAD_16, 2, PACKET, 4),
    value(SWAP, 2, 16),
    value(ADD, 2, IPV6_LEN as i32),
    store(STORE_32, STACK, LIMIT, 2),
    value(MOVE, 0, 0),
];

/// Goes over one extension header; jumps to label 1 where the next is none.
const EXTENSION: &[Insn] = {
    const FOUND: i16 = 1;
    const HEADER: i16 = 2;
    const IN_FRAGMENT: i16 = 3;
    const IN_AUTHENTICATION: i16 = 4;
    const NEXT: i16 = 5;
    &[
        to(value(EQUAL, 5, HOP_BY_HOP), HEADER),
        to(value(EQUAL, 5, ROUTING), HEADER),
        to(value(EQUAL, 5, DESTINATION), HEADER),
        to(value(EQUAL, 5, AUTHENTICATION), HEADER),
        to(value(NOT_EQUAL, 5, FRAGMENT), FOUND),
        place(HEADER),
        reg(MOVE, 3, 1),
        value(ADD, 3, 8),
        load(LOAD_32, 2, STACK, LIMIT),
        to(reg(ABOVE, 3, 2), UNPARSED),
        reg(MOVE | WIDE, 4, 1),
        reg(ADD | WIDE, 4, PACKET),
        reg(MOVE | WIDE, 3, 4),
        value(ADD | WIDE, 3, 8),
        to(reg(IS_BEHIND, 3, END), UNPARSED),
        // 3: how long it is behind the first 8 bytes; 5: what comes next
        reg(MOVE, 3, 5),
        load(LOAD_8, 5, 4, 0),
        to(value(EQUAL, 3, FRAGMENT), IN_FRAGMENT),
        to(value(EQUAL, 3, AUTHENTICATION), IN_AUTHENTICATION),
        load(LOAD_8, 3, 4, 1),
        value(SHIFT_LEFT, 3, 3),
        jump(NEXT),
        place(IN_AUTHENTICATION),
        load(LOAD_8, 3, 4, 1),
        value(SHIFT_LEFT, 3, 2),
        jump(NEXT),
        place(IN_FRAGMENT),
        load(LOAD_16, 4, 4, 2),
        value(AND, 4, network(0xfff9)), // offset, more fragments
        reg(OR, 0, 4),
        value(MOVE, 3, 0),
        // Behind the header of a later fragment there is no other. What comes next is
        // the protocol, or an extension header that only the first fragment has.
        value(AND, 4, network(0xfff8)),
        to(value(EQUAL, 4, 0), NEXT),
        to(value(EQUAL, 5, HOP_BY_HOP), UNPARSED),
        to(value(EQUAL, 5, ROUTING), UNPARSED),
        to(value(EQUAL, 5, FRAGMENT), UNPARSED),
        to(value(EQUAL, 5, AUTHENTICATION), UNPARSED),
        to(value(EQUAL, 5, DESTINATION), UNPARSED),
        jump(FOUND),
        place(NEXT),
        reg(ADD, 1, 3),
        value(ADD, 1, 8),
        // By way of the stack the verifier forgets what led to it. Else it would follow
        // each combination of headers by itself.
        store(STORE_32, STACK, OFFSET, 1),
        load(LOAD_32, 1, STACK, OFFSET),
        to(value(ABOVE, 1, 0x7fff), UNPARSED),
    ]
};

const BEHIND_EXTENSIONS: &[Insn] = &[
    // One more is too many.
    to(value(EQUAL, 5, HOP_BY_HOP), UNPARSED),
    to(value(EQUAL, 5, ROUTING), UNPARSED),
    to(value(EQUAL, 5, FRAGMENT), UNPARSED),
    to(value(EQUAL, 5, AUTHENTICATION), UNPARSED),
    to(value(EQUAL, 5, DESTINATION), UNPARSED),
    place(HAVE_PROTO),
    store(STORE_32, STACK, PROTO, 5),
    to(value(EQUAL, 5, WITH_PORTS[0] as i32), HAVE_PORTS),
    to(value(EQUAL, 5, WITH_PORTS[1] as i32), HAVE_PORTS),
    to(value(NOT_EQUAL, 5, WITH_PORTS[2] as i32), TRANSPORT_DONE),
    place(HAVE_PORTS),
    to(value(NOT_EQUAL, 0, 0), NO_PORTS),
    reg(MOVE, 3, 1),
    value(ADD, 3, 4),
    load(LOAD_32, 2, STACK, LIMIT),
    to(reg(ABOVE, 3, 2), NO_PORTS),
    reg(ADD | WIDE, 1, PACKET),
    reg(MOVE | WIDE, 3, 1),
    value(ADD | WIDE, 3, 4),
    to(reg(IS_BEHIND, 3, END), NO_PORTS),
    load(LOAD_16, 2, 1, 0),
    value(SWAP, 2, 16),
    store(STORE_32, STACK, PORTS[0], 2),
    load(LOAD_16, 2, 1, 2),
    value(SWAP, 2, 16),
    store(STORE_32, STACK, PORTS[1], 2),
    jump(TRANSPORT_DONE),
    place(NO_PORTS),
    set(PORTS[0], UNKNOWN),
    set(PORTS[1], UNKNOWN),
    place(TRANSPORT_DONE),
];

/// The map of ports, and how many of its sets earlier rules have asked for.
struct PortSets {
    map: RawFd,
    used: i32,
}

/// Jumps to `next` if what stands in a slot compares so.
#[inline(never)]
fn compare(asm: &mut Assembler, slot: i16, test: u8, wanted: i32, next: Label) {
    asm.emit(load(LOAD_32, 1, STACK, slot));
    asm.branch(value(test, 1, wanted), next);
}

/// Jumps to `next` unless the packet is one for the rule. Ports come last: one that
/// nobody can know makes the packet unparsed only if all else is as the rule wants it.
#[inline(never)]
fn translate_rule(
    asm: &mut Assembler,
    rule: &Rule,
    sets: &mut PortSets,
    unparsed: Label,
    next: Label,
) {
    for (vlan, slot) in rule.vlans.iter().zip(&VLANS) {
        let (test, wanted) = match *vlan {
            0 => continue,
            NO_TAG => (NOT_EQUAL, UNTAGGED),
            ANY_TAG => (EQUAL, UNTAGGED),
            PRIORITY_TAG => (NOT_EQUAL, 0),
            id => (NOT_EQUAL, id.into()),
        };
        compare(asm, *slot, test, wanted, next);
    }
    if rule.ether_type != 0 {
        compare(asm, ETHER_TYPE, NOT_EQUAL, network(rule.ether_type), next);
    }
    if rule.ip_version != 0 {
        asm.branch(value(NOT_EQUAL, VERSION, rule.ip_version.into()), next);
    }
    let mut offset = if rule.ip_version == 4 { 12 } else { 8 };
    for (addr, bits) in rule.addrs.iter().zip(&rule.bits) {
        for (at, word) in addr.iter().enumerate().take(bits.div_ceil(32).into()) {
            asm.emit(load(LOAD_32, 1, PACKET, offset + 4 * at as i16));
            asm.emit(value(AND, 1, mask(*bits, at) as i32));
            asm.branch(value(NOT_EQUAL, 1, *word as i32), next);
        }
        offset = if rule.ip_version == 4 { 16 } else { 24 };
    }
    if rule.ip_proto != 0 {
        compare(asm, PROTO, NOT_EQUAL, rule.ip_proto.into(), next);
    }
    for (((from, last), set), slot) in rule.ports.iter().zip(&rule.sets).zip(&PORTS) {
        if *last == 0 && *set == 0 {
            continue;
        }
        let same = asm.label();
        if *set == 0 && from == last {
            compare(asm, *slot, EQUAL, (*from).into(), same);
            asm.branch(value(EQUAL, 1, UNKNOWN), unparsed);
            asm.jump(next);
        }
        compare(asm, *slot, EQUAL, UNKNOWN, unparsed);
        if *set == 0 {
            asm.branch(value(BELOW, 1, (*from).into()), next);
            asm.branch(value(ABOVE, 1, (*last).into()), next);
        } else {
            sets.used += 1;
            asm.branch(value(ABOVE, 1, 0xffff), next);
            asm.emit(value(OR, 1, sets.used << 16));
            asm.emit(store(STORE_32, STACK, KEY, 1));
            asm.look_up(sets.map, KEY);
            asm.branch(value(IS_NULL, 0, 0), next);
        }
        asm.place(same);
    }
}
