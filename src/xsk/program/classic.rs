//! Classic BPF, translated: what `pcap_compile` and `tcpdump -dd` write. It does what
//! the kernel's own filters do: a load outside of the packet and a division by 0 end
//! it with "no match", offsets and shifts by X wrap as in 32 bits. Of a packet in several
//! buffers it loads from the first.

use crate::sys::Errno;
use crate::sys::abi::SockFilter;
use crate::xsk::error::{Error, fail};
use crate::xsk::program::assembler::*;

/// As many instructions as the kernel takes: BPF_MAXINSNS.
pub const MOST_INSTRUCTIONS: usize = 4096;

const A: u8 = 0;
const X: u8 = 9;
const SCRATCH: u32 = 16; // BPF_MEMWORDS
/// No packet of XDP has more bytes, and the verifier follows no pointer further.
const REACH: u32 = 0xffff;

// Loads from here on are not of the packet's own bytes: <linux/filter.h>.
const ANCILLARY: u32 = -0x1000i32 as u32; // SKF_AD_OFF
const NETWORK: u32 = -0x10_0000i32 as u32; // SKF_NET_OFF
const LINK: u32 = -0x20_0000i32 as u32; // SKF_LL_OFF
const ETHERNET: u32 = 14;

/// Translates a filter: jumps to `matched` or to `unmatched`. The program has called
/// `enter`.
#[inline(never)]
pub fn translate(
    asm: &mut Assembler,
    filter: &[SockFilter],
    matched: Label,
    unmatched: Label,
) -> Result<(), Error> {
    let len = filter.len();
    if filter.last().is_some_and(|last| last.code & 0x07 != RET) {
        return fail!(Errno::EINVAL, "filter: its last instruction is no return");
    }
    // One for each instruction, in order, so that one can be told from another.
    let first = asm.labels(len);
    asm.emit(value(MOVE, A, 0));
    asm.emit(value(MOVE, X, 0));
    let mut zeroed = 0u16;
    for insn in filter.iter().filter(|insn| matches!(insn.code, 0x60 | 0x61)) {
        if insn.k < SCRATCH && zeroed & 1 << insn.k == 0 {
            zeroed |= 1 << insn.k;
            asm.emit(set(slot(insn.k), 0));
        }
    }
    let mut one = Translation { asm, first, len, matched, unmatched };
    for (at, insn) in filter.iter().enumerate() {
        one.asm.place(first.behind(at));
        if let Err(why) = one.instruction(at, insn) {
            let [code, jt, jf] = [insn.code.into(), insn.jt.into(), insn.jf.into()].map(|n: u32| n);
            return fail!(
                Errno::EINVAL,
                "filter: instruction {at} ({code:#x}, {jt}, {jf}, {:#x}): {why}",
                insn.k
            );
        }
    }
    Ok(())
}

const RET: u16 = 0x06;

/// Where M[k] is.
fn slot(k: u32) -> i16 {
    -4 * (k as i16 + 1)
}

struct Translation<'a> {
    asm: &'a mut Assembler,
    first: Label,
    len: usize,
    matched: Label,
    unmatched: Label,
}

impl Translation<'_> {
    #[inline(never)]
    fn instruction(&mut self, at: usize, insn: &SockFilter) -> Result<(), &'static str> {
        let (asm, k) = (&mut *self.asm, insn.k);
        let register = if insn.code & 1 == 1 { X } else { A };
        match insn.code {
            // LD: W, H, B; ABS and IND
            0x20 | 0x28 | 0x30 if k >= ANCILLARY => return self.ancillary(k - ANCILLARY),
            0x20 | 0x28 | 0x30 => self.load(insn.code, A, k),
            0x40 | 0x48 | 0x50 => self.load_behind_x(insn.code, k),
            // LDX MSH: four times the low half of a byte
            0xb1 => {
                self.load(0x30, X, k);
                self.asm.emit(value(AND, X, 0x0f));
                self.asm.emit(value(SHIFT_LEFT, X, 2));
            }
            0x80 | 0x81 => asm.length(register),
            0x00 | 0x01 => asm.emit(value(MOVE, register, k as i32)),
            0x60 | 0x61 if k < SCRATCH => asm.emit(load(LOAD_32, register, STACK, slot(k))),
            0x02 if k < SCRATCH => asm.emit(store(STORE_32, STACK, slot(k), A)),
            0x03 if k < SCRATCH => asm.emit(store(STORE_32, STACK, slot(k), X)),
            0x60 | 0x61 | 0x02 | 0x03 => return Err("M[k] is for k from 0 to 15"),
            // The codes of the kernel's instructions are the same.
            0x34 | 0x94 if k == 0 => return Err("a division by 0"),
            0x64 | 0x74 if k > 31 => return Err("a shift by more than 31"),
            0x04 | 0x14 | 0x24 | 0x34 | 0x44 | 0x54 | 0x64 | 0x74 | 0x94 | 0xa4 => {
                asm.emit(value(insn.code as u8, A, k as i32));
            }
            0x84 => asm.emit(value(0x84, A, 0)),
            0x0c | 0x1c | 0x2c | 0x3c | 0x4c | 0x5c | 0x6c | 0x7c | 0x9c | 0xac => {
                if matches!(insn.code, 0x3c | 0x9c) {
                    asm.branch(value(EQUAL, X, 0), self.unmatched);
                }
                asm.emit(reg(insn.code as u8, A, X));
            }
            // JMP: JA; JEQ, JGT, JGE, JSET
            0x05 => {
                let target = self.target(at, k)?;
                self.asm.jump(target);
            }
            0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => return self.branch(at, insn),
            0x06 if k == 0 => asm.jump(self.unmatched),
            0x06 => asm.jump(self.matched),
            0x16 => {
                asm.branch(value(EQUAL, A, 0), self.unmatched);
                asm.jump(self.matched);
            }
            0x07 => asm.emit(reg(MOVE, X, A)),
            0x87 => asm.emit(reg(MOVE, A, X)),
            _ => return Err("no such instruction"),
        }
        Ok(())
    }

    #[inline(never)]
    fn target(&self, at: usize, over: u32) -> Result<Label, &'static str> {
        let target = at + 1 + over as usize;
        if target < self.len {
            return Ok(self.first.behind(target));
        }
        Err("a jump behind the end")
    }

    /// A compare that falls through where one of its ways is the next instruction.
    #[inline(never)]
    fn branch(&mut self, at: usize, insn: &SockFilter) -> Result<(), &'static str> {
        let (yes, no) = (self.target(at, insn.jt.into())?, self.target(at, insn.jf.into())?);
        // BPF_JMP to BPF_JMP32.
        let test = insn.code as u8 + 1;
        let opposite = match test & 0xf0 {
            0x10 => Some(0x50), // JEQ, JNE
            0x20 => Some(0xb0), // JGT, JLE
            0x30 => Some(0xa0), // JGE, JLT
            _ => None,
        };
        let compare = |test| match test & REG {
            0 => value(test, A, insn.k as i32),
            _ => reg(test, A, X),
        };
        match opposite {
            Some(opposite) if insn.jt == 0 => {
                self.asm.branch(compare(test & 0x0f | opposite), no);
            }
            _ => {
                self.asm.branch(compare(test), yes);
                if insn.jf != 0 {
                    self.asm.jump(no);
                }
            }
        }
        Ok(())
    }

    /// The size of a load: instruction, bytes.
    fn size(code: u16) -> (u8, u32) {
        match code & 0x18 {
            0x00 => (LOAD_32, 4),
            0x08 => (LOAD_16, 2),
            _ => (LOAD_8, 1),
        }
    }

    fn load(&mut self, code: u16, to: u8, k: u32) {
        let (size, bytes) = Self::size(code);
        let offset = match k {
            NETWORK.. => k - NETWORK + ETHERNET,
            LINK.. => k - LINK,
            _ => k,
        };
        if offset > REACH - bytes {
            return self.asm.jump(self.unmatched);
        }
        match i16::try_from(offset) {
            Ok(at) => {
                self.asm.reach(offset + bytes, self.unmatched);
                self.asm.emit(load(size, to, PACKET, at));
            }
            // Further than an instruction's own offset goes.
            Err(_) => {
                self.asm.emit(value(MOVE, 2, offset as i32));
                self.load_at_2(size, to, bytes);
            }
        }
        self.swap(bytes);
    }

    fn swap(&mut self, bytes: u32) {
        if bytes > 1 {
            self.asm.emit(value(SWAP, A, 8 * bytes as i32));
        }
    }

    #[inline(never)]
    fn load_behind_x(&mut self, code: u16, k: u32) {
        let (size, bytes) = Self::size(code);
        // In this order: with k added to a copy of X the verifier of Linux 6.18 takes k
        // for an offset of the pointer, and refuses a large one.
        self.asm.emit(value(MOVE, 2, k as i32));
        self.asm.emit(reg(ADD, 2, X));
        self.asm.branch(value(ABOVE, 2, (REACH - bytes) as i32), self.unmatched);
        // Nothing is lost. On a way that cannot be taken, the verifier of Linux 6.12 has a
        // least value above the greatest here, and then takes no offset from register 2.
        self.asm.emit(value(AND, 2, REACH as i32));
        self.load_at_2(size, A, bytes);
        self.swap(bytes);
    }

    /// Loads from the offset in register 2.
    #[inline(never)]
    fn load_at_2(&mut self, size: u8, to: u8, bytes: u32) {
        let asm = &mut *self.asm;
        asm.emit(reg(ADD | WIDE, 2, PACKET));
        asm.emit(reg(MOVE | WIDE, 3, 2));
        asm.emit(value(ADD | WIDE, 3, bytes as i32));
        asm.branch(reg(IS_BEHIND, 3, END), self.unmatched);
        asm.emit(load(size, to, 2, 0));
    }

    /// What the kernel knows of a packet beside its bytes, if XDP knows it too.
    #[inline(never)]
    fn ancillary(&mut self, what: u32) -> Result<(), &'static str> {
        self.asm.emit(match what {
            8 => load(LOAD_32, A, CTX, CTX_IFINDEX),
            36 => call(GET_CPU),
            56 => call(GET_RANDOM),
            40 => reg(XOR, A, X), // SKF_AD_ALU_XOR_X
            // VLAN tag, whether there is one, its type: XDP sees tags in the packet.
            44 | 48 | 60 => value(MOVE, A, 0),
            _ => {
                return Err("it loads what the network stack knows of a packet (SKF_AD_OFF), \
                            which XDP comes before");
            }
        });
        Ok(())
    }
}
