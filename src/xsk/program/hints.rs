//! What the driver knows of a received packet: stored in front of it by a program that is
//! bound to the device, read here.

use crate::sys::area::Area;
use crate::sys::bpf::Insn;
use crate::sys::{Errno, RawFd, btf, sysfs};
use crate::xsk::error::{Error, fail};
use crate::xsk::program::assembler::*;

/// Instructions that storing them takes, and some more.
pub const MOST_INSTRUCTIONS: usize = 96;

const FUNCTIONS: &[u8] = b"bpf_xdp_metadata_rx_timestamp\0bpf_xdp_metadata_rx_hash\0\
    bpf_xdp_metadata_rx_vlan_tag\0";

/// The ids of the kernel's functions that tell, 0 for one that it does not have: time and
/// hash since Linux 6.3, VLAN since 6.8.
#[derive(Clone, Copy, Default)]
pub struct Functions([u32; 3]);

impl Functions {
    /// Those of the running kernel.
    #[cold]
    pub fn of_kernel() -> Result<Functions, Error> {
        let mut ids = [0; 3];
        let found = sysfs::kernel_btf().and_then(|btf| btf::functions(&btf, FUNCTIONS, &mut ids));
        match found {
            Ok(()) if ids != [0; 3] => Ok(Functions(ids)),
            _ => fail!(
                Errno::EOPNOTSUPP,
                "bind: this kernel has no metadata of received packets: XSK_BIND_RX_METADATA needs \
                 Linux 6.3 with CONFIG_DEBUG_INFO_BTF"
            ),
        }
    }
}

// What stands in front of a packet: four words of 64 bits.
const LEN: i32 = 32;
/// The first one, with a bit for each hint that there is in its lowest three.
const MAGIC: i32 = 0x6d6b_7378;

/// Something that the driver may know.
#[derive(Clone, Copy)]
pub enum Hint {
    Timestamp,
    /// The hash, and what it is of.
    Hash,
    /// The tag's type, in network order, and the tag.
    Vlan,
}

impl Hint {
    fn at(self) -> u64 {
        match self {
            Hint::Timestamp => 8,
            Hint::Hash => 16,
            Hint::Vlan => 24,
        }
    }
}

/// Reads from in front of the packet at an address: EINVAL where nothing stands there,
/// ENODATA where the driver did not know.
pub fn read(area: Area, addr: u64, hint: Hint) -> Result<u64, Errno> {
    let at = addr.wrapping_sub(LEN as u64);
    let word = |offset| area.load(at.wrapping_add(offset)).unwrap_or(0);
    let (head, told) = (word(0), word(hint.at()));
    if head & !7 != MAGIC as u64 {
        return Err(Errno::EINVAL);
    }
    // A driver that hands on other devices' packets says 0 where those had no clock.
    let unknown = matches!(hint, Hint::Timestamp) && told == 0;
    if unknown || head & 1 << (hint as u8) == 0 {
        return Err(Errno::ENODATA);
    }
    Ok(told)
}

const ADJUST_META: i32 = 54; // bpf_xdp_adjust_meta
const CTX_DATA_META: i16 = 8;
const KERNEL_CALL: u8 = 0x20; // BPF_PSEUDO_KFUNC_CALL, in the place of a register

/// Calls one of `Functions`.
const fn ask(function: i32) -> Insn {
    Insn { registers: KERNEL_CALL, ..call(function) }
}

/// The first word; the register is not needed as PACKET any more.
const HEAD: u8 = PACKET;

/// What follows the helper that redirects: a packet for a socket gets its header, or goes
/// to the kernel without. So nobody takes what an earlier packet has left for a header.
const STORE: [Insn; 55] = {
    const EXIT: i16 = 0;
    const NO_TIMESTAMP: i16 = 2;
    const NO_HASH: i16 = 3;
    const NO_VLAN: i16 = 4;
    const NO_ROOM: i16 = 5;
    [
        to(value(NOT_EQUAL, 0, XDP_REDIRECT), EXIT),
        value(MOVE | WIDE, 1, 0),
        store(STORE_64, STACK, -24, 1),
        store(STORE_64, STACK, -16, 1),
        store(STORE_64, STACK, -8, 1),
        value(MOVE, HEAD, MAGIC),
        reg(MOVE | WIDE, 1, CTX),
        reg(MOVE | WIDE, 2, STACK),
        value(ADD | WIDE, 2, -24),
        ask(0),
        to(value(NOT_EQUAL, 0, 0), NO_TIMESTAMP),
        value(OR, HEAD, 1),
        place(NO_TIMESTAMP),
        reg(MOVE | WIDE, 1, CTX),
        reg(MOVE | WIDE, 2, STACK),
        value(ADD | WIDE, 2, -16),
        reg(MOVE | WIDE, 3, STACK),
        value(ADD | WIDE, 3, -12),
        ask(1),
        to(value(NOT_EQUAL, 0, 0), NO_HASH),
        value(OR, HEAD, 2),
        place(NO_HASH),
        reg(MOVE | WIDE, 1, CTX),
        reg(MOVE | WIDE, 2, STACK),
        value(ADD | WIDE, 2, -8),
        reg(MOVE | WIDE, 3, STACK),
        value(ADD | WIDE, 3, -6),
        ask(2),
        to(value(NOT_EQUAL, 0, 0), NO_VLAN),
        value(OR, HEAD, 4),
        place(NO_VLAN),
        store(STORE_64, STACK, -32, HEAD),
        reg(MOVE | WIDE, 1, CTX),
        value(MOVE | WIDE, 2, -LEN),
        call(ADJUST_META),
        to(value(NOT_EQUAL, 0, 0), NO_ROOM),
        load(LOAD_32, 2, CTX, CTX_DATA_META),
        load(LOAD_32, 3, CTX, CTX_DATA),
        reg(MOVE | WIDE, 1, 2),
        value(ADD | WIDE, 1, LEN),
        to(reg(IS_BEHIND, 1, 3), NO_ROOM),
        load(LOAD_64, 1, STACK, -32),
        store(STORE_64, 2, 0, 1),
        load(LOAD_64, 1, STACK, -24),
        store(STORE_64, 2, 8, 1),
        load(LOAD_64, 1, STACK, -16),
        store(STORE_64, 2, 16, 1),
        load(LOAD_64, 1, STACK, -8),
        store(STORE_64, 2, 24, 1),
        value(MOVE, 0, XDP_REDIRECT),
        jump(EXIT),
        place(NO_ROOM),
        value(MOVE, 0, XDP_PASS),
        place(EXIT),
        EXITS,
    ]
};

/// Redirects a packet to the socket of queue r2, with its header in front.
#[inline(never)]
pub fn redirect(asm: &mut Assembler, sockets: RawFd, functions: &Functions) {
    let mut code = STORE;
    for insn in code.iter_mut().filter(|insn| insn.registers == KERNEL_CALL) {
        *insn = match functions.0.get(insn.imm as usize) {
            Some(id) if *id != 0 => Insn { imm: *id as i32, ..*insn },
            // As if it knew nothing.
            _ => value(MOVE, 0, 1),
        };
    }
    asm.ask_map(sockets);
    let labels = asm.labels(5);
    asm.piece(&code, [labels; 2], labels.behind(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_the_kernel_are_taken_for_such() {
        let calls = STORE.iter().filter(|insn| insn.registers == KERNEL_CALL);
        assert!(calls.clone().all(|insn| insn.code == ask(0).code));
        assert_eq!(calls.map(|insn| insn.imm).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
