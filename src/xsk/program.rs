//! The default XDP program, assembled.

use crate::sys::RawFd;
use crate::sys::bpf::{Insn, ObjectName};

/// By this name, and that of its map, other processes know the program.
pub const PROGRAM_NAME: ObjectName = ObjectName::new("xsk_default");
/// What libxdp calls it too.
pub const MAP_NAME: ObjectName = ObjectName::new("xsks_map");

const XDP_PASS: i32 = 2;
const HELPER_REDIRECT_MAP: i32 = 51;
const PSEUDO_MAP_FD: u8 = 1;
const CTX_RX_QUEUE: i16 = 16; // offset of rx_queue_index in struct xdp_md

/// `return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS)`: the helper
/// gives its last argument where the map has no socket (Linux 5.3).
pub fn instructions(map: RawFd) -> [Insn; 6] {
    const fn insn(code: u8, to: u8, from: u8, offset: i16, imm: i32) -> Insn {
        Insn { code, registers: to | from << 4, offset, imm }
    }
    const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
    const LOAD_64: u8 = 0x18; // BPF_LD | BPF_IMM | BPF_DW, two slots
    const MOVE: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    [
        insn(LOAD_WORD, 2, 1, CTX_RX_QUEUE, 0),
        insn(LOAD_64, 1, PSEUDO_MAP_FD, 0, map),
        insn(0, 0, 0, 0, 0),
        insn(MOVE, 3, 0, 0, XDP_PASS),
        insn(CALL, 0, 0, 0, HELPER_REDIRECT_MAP),
        insn(EXIT, 0, 0, 0, 0),
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
