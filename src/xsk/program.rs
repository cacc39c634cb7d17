//! The default XDP program, assembled.

use crate::sys::RawFd;
use crate::sys::bpf::{Insn, ObjectName};

/// By this name, and that of its map, other processes know the program.
pub const PROGRAM_NAME: ObjectName = ObjectName::new("xsk_default");
/// The same program loaded for packets in several buffers; the kernel tells nothing of
/// that but the name.
pub const FRAGS_NAME: ObjectName = ObjectName::new("xsk_default_sg");
/// What libxdp calls it too.
pub const MAP_NAME: ObjectName = ObjectName::new("xsks_map");

/// The same program where it is attached the libxdp way; its name there.
pub const LEGACY_NAME: ObjectName = ObjectName::new("xsk_def_prog");

/// The map with its count of users, as libbpf names a program's data.
pub const COUNT_NAME: ObjectName = ObjectName::new("xsk_def_.data");
/// Of the program that looks into a map; it is never attached.
pub const PROBE_NAME: ObjectName = ObjectName::new("xsk_probe");

const XDP_PASS: i32 = 2;
/// What the helper answers where the map has a socket.
pub const XDP_REDIRECT: u32 = 4;
const HELPER_REDIRECT_MAP: i32 = 51;
const PSEUDO_MAP_FD: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;
const CTX_RX_QUEUE: i16 = 16; // offset of rx_queue_index in struct xdp_md

const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const LOAD_64: u8 = 0x18; // BPF_LD | BPF_IMM | BPF_DW, two slots
const MOVE: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const COPY: u8 = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X
const ADD: u8 = 0x07; // BPF_ALU64 | BPF_ADD | BPF_K
const JUMP_ABOVE: u8 = 0x2d; // BPF_JMP | BPF_JGT | BPF_X
const JUMP_EQUAL: u8 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

const fn insn(code: u8, to: u8, from: u8, offset: i16, imm: i32) -> Insn {
    Insn { code, registers: to | from << 4, offset, imm }
}

/// `return bpf_redirect_map(map, r2, XDP_PASS)`: the helper gives its last argument
/// where the map has no socket (Linux 5.3).
const fn redirect(map: RawFd) -> [Insn; 5] {
    [
        insn(LOAD_64, 1, PSEUDO_MAP_FD, 0, map),
        insn(0, 0, 0, 0, 0),
        insn(MOVE, 3, 0, 0, XDP_PASS),
        insn(CALL, 0, 0, 0, HELPER_REDIRECT_MAP),
        insn(EXIT, 0, 0, 0, 0),
    ]
}

/// Redirects a packet to the socket of the queue that it arrived on.
pub fn instructions(map: RawFd) -> [Insn; 6] {
    let [a, b, c, d, e] = redirect(map);
    [insn(LOAD_WORD, 2, 1, CTX_RX_QUEUE, 0), a, b, c, d, e]
}

/// The same, for a program with a count of users in a map: without any it passes all.
pub fn counted_instructions(map: RawFd, count: RawFd) -> [Insn; 11] {
    let [a, b, c, d, e] = redirect(map);
    [
        insn(LOAD_WORD, 2, 1, CTX_RX_QUEUE, 0),
        insn(LOAD_64, 1, PSEUDO_MAP_VALUE, 0, count),
        insn(0, 0, 0, 0, 0),
        insn(LOAD_WORD, 1, 1, 0, 0),
        insn(MOVE, 0, 0, 0, XDP_PASS),
        insn(JUMP_EQUAL, 1, 0, 4, 0), // no users: exit
        a,
        b,
        c,
        d,
        e,
    ]
}

/// Bytes of packet that `probe` wants, the queue id in the first four.
pub const PROBE_PACKET: usize = 64;

/// Answers XDP_REDIRECT for a packet that begins with the id of a queue that has a
/// socket. An XSKMAP cannot be read otherwise.
pub fn probe(map: RawFd) -> [Insn; 12] {
    let [a, b, c, d, e] = redirect(map);
    [
        insn(LOAD_WORD, 2, 1, 0, 0), // r2 = ctx->data
        insn(LOAD_WORD, 3, 1, 4, 0), // r3 = ctx->data_end
        insn(MOVE, 0, 0, 0, 0),      // XDP_ABORTED, never answered
        insn(COPY, 4, 2, 0, 0),
        insn(ADD, 4, 0, 0, 4),
        insn(JUMP_ABOVE, 4, 3, 5, 0), // too short: exit
        insn(LOAD_WORD, 2, 2, 0, 0),
        a,
        b,
        c,
        d,
        e,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_six_instructions_with_the_map_in_them() {
        let insns = instructions(77);
        assert_eq!(insns[1].imm, 77);
        assert_eq!(insns[1].registers, 1 | PSEUDO_MAP_FD << 4);
        assert_eq!(insns[0], Insn { code: 0x61, registers: 0x12, offset: 16, imm: 0 });
    }
}
