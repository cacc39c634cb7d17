//! An assembler for XDP programs: labels, and how much of the packet is known to be
//! there, so that each way through the program asks once and the verifier agrees.

use alloc::boxed::Box;

use crate::sys::bpf::Insn;
use crate::sys::heap::try_slice;
use crate::sys::{Errno, RawFd};
use crate::xsk::error::{Error, fail};
use crate::xsk::program::rules::out_of_memory;

/// Answers of an XDP program: `enum xdp_action`.
pub const XDP_DROP: i32 = 1;
pub const XDP_PASS: i32 = 2;
pub const XDP_REDIRECT: i32 = 4;

// Helpers: `enum bpf_func_id`.
pub const MAP_LOOKUP: i32 = 1;
pub const GET_RANDOM: i32 = 7;
pub const GET_CPU: i32 = 8;
const REDIRECT_MAP: i32 = 51;
const XDP_GET_BUFF_LEN: i32 = 188; // Linux 5.18

// Offsets in `struct xdp_md`.
pub const CTX_DATA: i16 = 0;
pub const CTX_DATA_END: i16 = 4;
pub const CTX_IFINDEX: i16 = 12;
pub const CTX_RX_QUEUE: i16 = 16;

// What every program here has in its registers; 0 to 5 do not outlive a call.
pub const CTX: u8 = 6;
/// The byte of the packet from which `reach` counts.
pub const PACKET: u8 = 7;
pub const END: u8 = 8;
pub const STACK: u8 = 10; // its end; grows down

// Instruction codes: class, then operation or size, then whether the second operand
// is a register (0x08).
pub const REG: u8 = 0x08;
pub const ADD: u8 = 0x04; // BPF_ALU, 32 bits
pub const SUB: u8 = 0x14;
pub const OR: u8 = 0x44;
pub const AND: u8 = 0x54;
pub const SHIFT_LEFT: u8 = 0x64;
pub const XOR: u8 = 0xa4;
pub const MOVE: u8 = 0xb4;
pub const SWAP: u8 = 0xdc; // BPF_END | BPF_TO_BE; the immediate is the bits
/// BPF_ALU to BPF_ALU64: for pointers and counters.
pub const WIDE: u8 = 0x03;
pub const EQUAL: u8 = 0x16; // BPF_JMP32
pub const NOT_EQUAL: u8 = 0x56;
pub const ABOVE: u8 = 0x26;
pub const BELOW: u8 = 0xa6;
/// BPF_JMP32 minus BPF_JMP, which is for pointers.
const NARROW: u8 = 0x01;
pub const IS_NULL: u8 = EQUAL - NARROW;
pub const IS_BEHIND: u8 = ABOVE - NARROW;
pub const LOAD_32: u8 = 0x61; // BPF_LDX | BPF_MEM
pub const LOAD_16: u8 = 0x69;
pub const LOAD_8: u8 = 0x71;
pub const LOAD_64: u8 = 0x79;
pub const STORE_32: u8 = 0x63; // BPF_STX | BPF_MEM
pub const STORE_64: u8 = 0x7b;
pub const STORE_IMM: u8 = 0x62; // BPF_ST | BPF_MEM | BPF_W
const LOAD_MAP: u8 = 0x18; // BPF_LD | BPF_IMM | BPF_DW, two slots
const PSEUDO_MAP_FD: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;
pub const JUMP: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

// What is not the kernel's: told to the assembler in the place of an instruction.
const PLACE: u8 = 0xe0;
const REACH: u8 = 0xe8;
const ADVANCE: u8 = 0xf0;
const LENGTH: u8 = 0xf8;
const FITS: u8 = 0xd8;

/// Where the length of a packet in several buffers is kept.
const TOTAL: i16 = -80;

const fn insn(code: u8, to: u8, from: u8, offset: i16, imm: i32) -> Insn {
    Insn { code, registers: to | from << 4, offset, imm }
}

/// An operation on a register with another, or with a value; so for compares too.
pub const fn reg(code: u8, to: u8, from: u8) -> Insn {
    insn(code | REG, to, from, 0, 0)
}

pub const fn value(code: u8, to: u8, value: i32) -> Insn {
    insn(code, to, 0, 0, value)
}

pub const fn load(size: u8, to: u8, from: u8, offset: i16) -> Insn {
    insn(size, to, from, offset, 0)
}

pub const fn store(size: u8, to: u8, offset: i16, from: u8) -> Insn {
    insn(size, to, from, offset, 0)
}

/// Stores 32 bits into a slot of the stack.
pub const fn set(slot: i16, value: i32) -> Insn {
    insn(STORE_IMM, STACK, 0, slot, value)
}

pub const fn call(helper: i32) -> Insn {
    value(CALL, 0, helper)
}

pub const EXITS: Insn = value(EXIT, 0, 0);
const JUMPS: Insn = value(JUMP, 0, 0);

// Labels have numbers in a piece of program.

/// A compare that jumps.
pub const fn to(compare: Insn, label: i16) -> Insn {
    Insn { offset: label, ..compare }
}

pub const fn jump(label: i16) -> Insn {
    to(JUMPS, label)
}

/// The label's place.
pub const fn place(label: i16) -> Insn {
    insn(PLACE, 0, 0, label, 0)
}

/// Goes on only if the packet has so many bytes from PACKET on.
pub const fn reach(bytes: u32, otherwise: i16) -> Insn {
    insn(REACH, 0, 0, otherwise, bytes as i32)
}

/// Moves PACKET on, inside what `reach` has found.
pub const fn advance(bytes: u32) -> Insn {
    value(ADVANCE, PACKET, bytes as i32)
}

/// Loads the packet's length, in bytes.
pub const fn length(to: u8) -> Insn {
    insn(LENGTH, to, 0, 0, 0)
}

/// Goes on only if the packet has as many bytes from PACKET on as register 2 says, which
/// is lost.
pub const fn fits(otherwise: i16) -> Insn {
    insn(FITS, 0, 0, otherwise, 0)
}

/// A place in the program, to be jumped to from above.
#[derive(Clone, Copy)]
pub struct Label(usize);

impl Label {
    pub fn behind(self, n: usize) -> Label {
        Label(self.0 + n)
    }
}

#[derive(Clone, Copy)]
struct Target {
    /// The last jump to it, counted from 1; 0 for none.
    jump: u32,
    /// The bytes that all jumps to it know of.
    known: u32,
}

/// A program in the making.
pub struct Assembler {
    insns: Box<[Insn]>,
    /// For each instruction that jumps, the one before that jumps to the same label.
    jumps: Box<[u32]>,
    len: usize,
    targets: Box<[Target]>,
    labels: usize,
    /// Bytes from PACKET on that are there, whichever way led here. None: no way
    /// does, and what is emitted is left out, since the verifier refuses dead code.
    known: Option<u32>,
    /// Packets may have several buffers, of which END is the first one's.
    frags: bool,
    too_long: bool,
}

/// A program that was made.
pub struct Code {
    insns: Box<[Insn]>,
    len: usize,
}

impl Code {
    pub fn insns(&self) -> &[Insn] {
        self.insns.get(..self.len).unwrap_or(&[])
    }
}

const ENTER: &[Insn] = &[
    reg(MOVE | WIDE, CTX, 1),
    load(LOAD_32, PACKET, CTX, CTX_DATA),
    load(LOAD_32, END, CTX, CTX_DATA_END),
];

impl Assembler {
    /// Room for so many instructions, and as many labels.
    pub fn new(most: usize) -> Result<Assembler, Error> {
        Assembler::of(most, false)
    }

    /// The same for packets that may have several buffers.
    pub fn of(most: usize, frags: bool) -> Result<Assembler, Error> {
        let insns = try_slice(insn(0, 0, 0, 0, 0), most);
        let (jumps, targets) = (try_slice(0, most), try_slice(Target { jump: 0, known: 0 }, most));
        match (insns, jumps, targets) {
            (Ok(insns), Ok(jumps), Ok(targets)) => Ok(Assembler {
                insns,
                jumps,
                len: 0,
                targets,
                labels: 0,
                known: Some(0),
                frags,
                too_long: false,
            }),
            _ => Err(out_of_memory()),
        }
    }

    /// Appends an instruction that does not jump.
    #[inline(never)]
    pub fn emit(&mut self, insn: Insn) {
        if self.known.is_none() {
            return;
        }
        match self.insns.get_mut(self.len) {
            Some(to) => *to = insn,
            None => self.too_long = true,
        }
        self.len += 1;
        if matches!(insn.code, JUMP | EXIT) {
            self.known = None;
        }
    }

    /// Appends a piece of program. Its labels 0 and 1 are those of `outer`, the next
    /// is `first` and so on.
    #[inline(never)]
    pub fn piece(&mut self, insns: &[Insn], outer: [Label; 2], first: Label) {
        for insn in insns {
            let label = || match insn.offset {
                0 => outer[0],
                1 => outer[1],
                n => first.behind(n as usize - 2),
            };
            match insn.code {
                PLACE => self.place(label()),
                REACH => self.reach(insn.imm as u32, label()),
                ADVANCE => {
                    self.emit(Insn { code: ADD | WIDE, ..*insn });
                    self.known = self.known.map(|known| known.saturating_sub(insn.imm as u32));
                }
                LENGTH => self.length(insn.registers),
                FITS => self.fits(label()),
                CALL | EXIT => self.emit(*insn),
                // BPF_JMP, BPF_JMP32
                code if matches!(code & 0x07, 0x05 | 0x06) => self.branch(*insn, label()),
                _ => self.emit(*insn),
            }
        }
    }

    /// Fills CTX, PACKET and END: what a program does first.
    pub fn enter(&mut self) {
        let nowhere = Label(usize::MAX);
        self.piece(ENTER, [nowhere; 2], nowhere);
        if self.frags {
            self.emit(call(XDP_GET_BUFF_LEN)); // register 1 has CTX still
            self.emit(store(STORE_32, STACK, TOTAL, 0));
        }
    }

    /// Loads the packet's length.
    pub fn length(&mut self, to: u8) {
        if self.frags {
            self.emit(load(LOAD_32, to, STACK, TOTAL));
            return;
        }
        self.emit(load(LOAD_32, to, CTX, CTX_DATA_END));
        self.emit(load(LOAD_32, 3, CTX, CTX_DATA));
        self.emit(reg(SUB | WIDE, to, 3));
    }

    /// Goes on only if the packet has as many bytes from PACKET on as register 2 says.
    fn fits(&mut self, otherwise: Label) {
        if !self.frags {
            self.emit(reg(ADD | WIDE, 2, PACKET));
            self.branch(reg(IS_BEHIND, 2, END), otherwise);
            return;
        }
        self.emit(load(LOAD_32, 3, CTX, CTX_DATA));
        self.emit(reg(MOVE | WIDE, 4, PACKET));
        self.emit(reg(SUB | WIDE, 4, 3));
        self.emit(reg(ADD, 2, 4));
        self.length(3);
        self.branch(reg(ABOVE, 2, 3), otherwise);
    }

    /// Loads the address of a map.
    #[inline(never)]
    pub fn load_map(&mut self, to: u8, map: RawFd) {
        self.emit(insn(LOAD_MAP, to, PSEUDO_MAP_FD, 0, map));
        self.emit(insn(0, 0, 0, 0, 0));
    }

    /// Loads the first 32 bits of an array map's value.
    pub fn load_map_value(&mut self, to: u8, map: RawFd) {
        self.emit(insn(LOAD_MAP, to, PSEUDO_MAP_VALUE, 0, map));
        self.emit(insn(0, 0, 0, 0, 0));
        self.emit(load(LOAD_32, to, to, 0));
    }

    /// A label to jump to, placed later.
    pub fn label(&mut self) -> Label {
        self.labels(1)
    }

    /// The first of `n` labels, which `Label::behind` tells apart.
    pub fn labels(&mut self, n: usize) -> Label {
        self.labels += n;
        Label(self.labels - n)
    }

    /// The label's place is here.
    #[inline(never)]
    pub fn place(&mut self, label: Label) {
        let Some(target) = self.targets.get(label.0) else {
            self.too_long = true;
            return;
        };
        let mut jump = target.jump as usize;
        if jump != 0 {
            self.known = Some(self.known.unwrap_or(u32::MAX).min(target.known));
        }
        while let (Some(insn), Some(before)) =
            (self.insns.get_mut(jump.wrapping_sub(1)), self.jumps.get(jump.wrapping_sub(1)))
        {
            match i16::try_from(self.len - jump) {
                Ok(offset) => insn.offset = offset,
                Err(_) => self.too_long = true,
            }
            jump = *before as usize;
        }
    }

    /// Appends an instruction that jumps.
    #[inline(never)]
    pub fn branch(&mut self, insn: Insn, label: Label) {
        let Some(known) = self.known else { return };
        match (self.targets.get_mut(label.0), self.jumps.get_mut(self.len)) {
            (Some(target), Some(before)) => {
                *before = target.jump;
                target.known = if target.jump == 0 { known } else { known.min(target.known) };
                target.jump = self.len as u32 + 1;
            }
            _ => self.too_long = true,
        }
        self.emit(insn);
    }

    pub fn jump(&mut self, label: Label) {
        self.branch(JUMPS, label);
    }

    /// Goes on only if the packet has so many bytes from PACKET on.
    #[inline(never)]
    pub fn reach(&mut self, bytes: u32, otherwise: Label) {
        if self.known.is_some_and(|known| known < bytes) {
            self.emit(reg(MOVE | WIDE, 3, PACKET));
            self.emit(value(ADD | WIDE, 3, bytes as i32));
            self.branch(reg(IS_BEHIND, 3, END), otherwise);
            self.known = Some(bytes);
        }
    }

    /// `return bpf_redirect_map(map, r2, XDP_PASS)`: the helper gives its last
    /// argument where the map has no socket (Linux 5.3).
    #[inline(never)]
    pub fn redirect(&mut self, map: RawFd) {
        self.ask_map(map);
        self.emit(EXITS);
    }

    /// The same without the return.
    #[inline(never)]
    pub fn ask_map(&mut self, map: RawFd) {
        self.load_map(1, map);
        self.emit(value(MOVE | WIDE, 3, XDP_PASS));
        self.emit(call(REDIRECT_MAP));
    }

    /// Register 0 gets the value in `map` under the number in `key`, a stack slot;
    /// NULL without one.
    #[inline(never)]
    pub fn look_up(&mut self, map: RawFd, key: i16) {
        self.emit(reg(MOVE | WIDE, 2, STACK));
        self.emit(value(ADD | WIDE, 2, key as i32));
        self.load_map(1, map);
        self.emit(call(MAP_LOOKUP));
    }

    /// The program.
    pub fn finish(self) -> Result<Code, Error> {
        if self.too_long {
            return fail!(
                Errno::E2BIG,
                "program: too long: an instruction would jump further than 32767"
            );
        }
        Ok(Code { insns: self.insns, len: self.len })
    }
}
