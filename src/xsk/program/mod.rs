//! XDP programs, assembled here: the default one, rules, and classic BPF.

mod assembler;
mod classic;
pub mod hints;
mod loaded;
pub mod rules;
mod steer;

use alloc::boxed::Box;

use crate::sys::RawFd;
use crate::sys::abi::SockFilter;
use crate::sys::bpf::{Insn, ObjectName};
use crate::sys::heap::try_slice;
use crate::xsk::config::XdpMode;
use crate::xsk::error::Error;
pub use classic::MOST_INSTRUCTIONS;
pub use hints::Functions;
pub use loaded::{Found, Loaded, Sought, load_program, make_map, not_loaded};

pub use assembler::Code;
use assembler::{
    ADD, Assembler, CTX, CTX_RX_QUEUE, EQUAL, EXITS, IS_NULL, LOAD_32, LOAD_64, Label, MOVE,
    PACKET, STACK, STORE_32, STORE_64, WIDE, XDP_DROP, XDP_PASS, length, load, place, reg, store,
    to, value,
};
use rules::{Action, Rules, out_of_memory};

/// How a program is loaded. The kernel tells nothing of that but the name.
#[derive(Clone, Copy, Default)]
pub struct Kind {
    /// For packets in several buffers.
    pub frags: bool,
    /// It stores what the driver knows of a packet in front of it; native only.
    pub hints: bool,
}

/// By these names, and that of its map, other processes know a program: the default one,
/// and one that steers, which has further maps. Each for the four kinds.
const NAMES: [ObjectName; 8] = [
    ObjectName::new("xsk_default"),
    ObjectName::new("xsk_default_sg"),
    ObjectName::new("xsk_default_md"),
    ObjectName::new("xsk_default_smd"),
    ObjectName::new("xsk_steer"),
    ObjectName::new("xsk_steer_sg"),
    ObjectName::new("xsk_steer_md"),
    ObjectName::new("xsk_steer_smd"),
];

impl Kind {
    /// In generic mode the kernel puts packets in several buffers together, so that any
    /// program will do for them.
    pub fn in_mode(self, mode: XdpMode) -> Kind {
        Kind { frags: self.frags && mode == XdpMode::Native, ..self }
    }

    /// The name of such a program.
    fn name(self, steers: bool) -> ObjectName {
        let at = 4 * usize::from(steers) + 2 * usize::from(self.hints) + usize::from(self.frags);
        NAMES.get(at).copied().unwrap_or_default()
    }

    /// What a name says: whether it steers, and its kind; None for other names.
    fn of(name: ObjectName) -> Option<(bool, Kind)> {
        // Compared as a whole: a pattern would be compared byte by byte.
        let at = NAMES.iter().position(|known| *known == name)?;
        Some((at > 3, Kind { frags: at & 1 != 0, hints: at & 2 != 0 }))
    }
}

/// What libxdp calls it too.
pub const MAP_NAME: ObjectName = ObjectName::new("xsks_map");
/// What the program was made of, for those who want to join it.
pub const RULES_NAME: ObjectName = ObjectName::new("xsk_rules");
/// Packets and bytes of each rule.
pub const COUNTERS_NAME: ObjectName = ObjectName::new("xsk_counters");
/// The port sets.
pub const PORTS_NAME: ObjectName = ObjectName::new("xsk_ports");

/// The same program where it is attached the libxdp way; its name there.
pub const LEGACY_NAME: ObjectName = ObjectName::new("xsk_def_prog");

/// The map with its count of users, as libbpf names a program's data.
pub const COUNT_NAME: ObjectName = ObjectName::new("xsk_def_.data");
/// Of the program that looks into a map; it is never attached.
pub const PROBE_NAME: ObjectName = ObjectName::new("xsk_probe");

/// What the helper answers where the map has a socket.
pub const XDP_REDIRECT: u32 = assembler::XDP_REDIRECT as u32;

/// More than the programs have that are not for steering.
const SHORT: usize = 32;

/// Redirects a packet to the socket of the queue that it arrived on.
pub fn default(map: RawFd) -> Result<Code, Error> {
    let mut asm = Assembler::new(SHORT)?;
    asm.emit(load(LOAD_32, 2, 1, CTX_RX_QUEUE));
    asm.redirect(map);
    asm.finish()
}

/// The same, for a program with a count of users in a map: without any it passes all.
pub fn counted(map: RawFd, count: RawFd) -> Result<Code, Error> {
    let mut asm = Assembler::new(SHORT)?;
    let unused = asm.label();
    asm.emit(load(LOAD_32, 2, 1, CTX_RX_QUEUE));
    asm.load_map_value(1, count);
    asm.emit(value(MOVE | WIDE, 0, XDP_PASS));
    asm.branch(value(EQUAL, 1, 0), unused);
    asm.redirect(map);
    asm.place(unused);
    asm.emit(EXITS);
    asm.finish()
}

/// Bytes of packet that `probe` wants, the queue id in the first four.
pub const PROBE_PACKET: usize = 64;

/// Answers XDP_REDIRECT for a packet that begins with the id of a queue that has a
/// socket. An XSKMAP cannot be read otherwise.
pub fn probe(map: RawFd) -> Result<Code, Error> {
    let mut asm = Assembler::new(SHORT)?;
    let short = asm.label();
    asm.enter();
    asm.emit(value(MOVE, 0, 0)); // XDP_ABORTED, never answered
    asm.reach(4, short);
    asm.emit(load(LOAD_32, 2, PACKET, 0));
    asm.redirect(map);
    asm.place(short);
    asm.emit(EXITS);
    asm.finish()
}

/// How packets are told apart.
pub enum Matcher {
    /// Not at all: the default program.
    None,
    Rules(Rules),
    /// Classic BPF, and what becomes of the packets that it matches.
    Filter(Box<[SockFilter]>, Action),
}

/// A program to be attached, with what becomes of packets that nothing matches.
pub struct Program {
    matcher: Matcher,
    otherwise: Action,
}

/// What arrives on a queue that has a socket goes there.
pub static DEFAULT: Program = Program { matcher: Matcher::None, otherwise: Action::Pass };

/// What of the kernel a program uses: maps, and functions.
#[derive(Clone, Copy, Default)]
pub struct Maps {
    pub sockets: RawFd,
    pub rules: RawFd,
    pub counters: RawFd,
    pub ports: RawFd,
    /// What to ask the driver with; None: nothing.
    pub functions: Option<Functions>,
    /// Packets may have several buffers.
    pub frags: bool,
}

/// What a program was made of, in numbers: equal ones are equal programs. Rules and
/// instructions begin at this place.
const HEAD: usize = 4;
const VERSION: u32 = 1;
/// The second word: what the program decides by.
const RULES: u32 = 1;
const FILTER: u32 = 2;

impl Program {
    /// Checks that the program can be made.
    pub fn new(matcher: Matcher, otherwise: Action) -> Result<Program, Error> {
        let program = Program { matcher, otherwise };
        program.instructions(&Maps::default())?;
        Ok(program)
    }

    /// Whether it is the default program, which has one map and counts nothing.
    pub fn is_default(&self) -> bool {
        matches!(self.matcher, Matcher::None)
    }

    /// How many rules it has; a filter is one.
    fn rule_count(&self) -> usize {
        match &self.matcher {
            Matcher::None => 0,
            Matcher::Rules(rules) => rules.list.len(),
            Matcher::Filter(..) => 1,
        }
    }

    /// Numbers in the map of counters: one for each rule, for packets that none
    /// matched, and for those that could not be parsed.
    pub fn counters(&self) -> u32 {
        self.rule_count() as u32 + 2
    }

    /// The numbers in the map of ports.
    fn ports(&self) -> &[u32] {
        match &self.matcher {
            Matcher::Rules(rules) => &rules.ports,
            _ => &[],
        }
    }

    /// What tells it from others; empty for the default program.
    pub fn words(&self) -> Result<Box<[u32]>, Error> {
        let (kind, action, len) = match &self.matcher {
            Matcher::None => return Ok(Box::default()),
            Matcher::Rules(rules) => (RULES, Action::Socket, rules.list.len() * Rules::WORDS),
            Matcher::Filter(filter, action) => (FILTER, *action, filter.len() * 2),
        };
        let mut words = try_slice(0, HEAD + len).map_err(|_| out_of_memory())?;
        let mut to = words.iter_mut();
        let put = &mut |word| {
            if let Some(to) = to.next() {
                *to = word;
            }
        };
        [VERSION, kind, action as u32, self.otherwise as u32].into_iter().for_each(&mut *put);
        match &self.matcher {
            Matcher::None => {}
            Matcher::Rules(rules) => rules.words(put),
            Matcher::Filter(filter, _) => filter.iter().for_each(|insn| {
                put(u32::from(insn.code) | u32::from(insn.jt) << 16 | u32::from(insn.jf) << 24);
                put(insn.k);
            }),
        }
        Ok(words)
    }

    /// More than the program has.
    fn most_instructions(&self) -> usize {
        match &self.matcher {
            Matcher::None => SHORT,
            Matcher::Rules(rules) => 1024 + rules.list.len() * 64,
            Matcher::Filter(filter, _) => 128 + filter.len() * 12,
        }
    }

    /// The program for these maps.
    pub fn instructions(&self, maps: &Maps) -> Result<Code, Error> {
        if self.is_default() && maps.functions.is_none() {
            return default(maps.sockets);
        }
        let most = self.most_instructions() + hints::MOST_INSTRUCTIONS;
        let mut asm = Assembler::of(most, maps.frags)?;
        if self.is_default() {
            asm.emit(reg(MOVE | WIDE, CTX, 1));
            answer_socket(&mut asm, maps);
            return asm.finish();
        }
        // So that who finds the program finds what it was made of.
        asm.load_map(0, maps.rules);
        let rules = self.rule_count();
        let unparsed = asm.label();
        asm.enter();
        let end = asm.label();
        match &self.matcher {
            Matcher::None => {}
            Matcher::Rules(rules) => steer::translate(&mut asm, rules, maps.ports, unparsed, end),
            Matcher::Filter(filter, action) => {
                let (matched, unmatched) = (asm.label(), asm.label());
                classic::translate(&mut asm, filter, matched, unmatched)?;
                asm.place(matched);
                decide(&mut asm, 0, *action, end);
                asm.place(unmatched);
            }
        }
        decide(&mut asm, rules, self.otherwise, end);
        asm.place(unparsed);
        decide(&mut asm, rules + 1, Action::Pass, end);
        asm.place(end);
        finish(&mut asm, maps);
        asm.finish()
    }
}

/// At the end of a steering program: which rule it was, and what that answers.
const INDEX: u8 = 9;
const ANSWER: u8 = 8;
const KEY: i16 = -4;

fn answer(action: Action) -> i32 {
    match action {
        Action::Socket => assembler::XDP_REDIRECT,
        Action::Pass => XDP_PASS,
        Action::Drop => XDP_DROP,
    }
}

/// The packet is one for that rule, or the number behind the last.
#[inline(never)]
fn decide(asm: &mut Assembler, rule: usize, action: Action, end: Label) {
    asm.emit(value(MOVE, INDEX, rule as i32));
    asm.emit(value(MOVE, ANSWER, answer(action)));
    asm.jump(end);
}

/// Adds the packet to the two 64-bit numbers at register 0, packets and bytes, and
/// answers unless it is for a socket.
const COUNT: &[Insn] = &[
    to(value(IS_NULL, 0, 0), 1),
    length(2),
    load(LOAD_64, 1, 0, 0),
    value(ADD | WIDE, 1, 1),
    store(STORE_64, 0, 0, 1),
    load(LOAD_64, 1, 0, 8),
    reg(ADD | WIDE, 1, 2),
    store(STORE_64, 0, 8, 1),
    place(1),
    to(value(EQUAL, ANSWER, assembler::XDP_REDIRECT), 0),
    reg(MOVE, 0, ANSWER),
    EXITS,
    place(0),
];

/// Counts the packet, and answers.
#[inline(never)]
fn finish(asm: &mut Assembler, maps: &Maps) {
    let labels = asm.labels(2);
    asm.emit(store(STORE_32, STACK, KEY, INDEX));
    asm.look_up(maps.counters, KEY);
    asm.piece(COUNT, [labels, labels.behind(1)], labels);
    answer_socket(asm, maps);
}

/// Redirects a packet to the socket of the queue that it arrived on.
fn answer_socket(asm: &mut Assembler, maps: &Maps) {
    asm.emit(load(LOAD_32, 2, CTX, CTX_RX_QUEUE));
    match &maps.functions {
        Some(functions) => hints::redirect(asm, maps.sockets, functions),
        None => asm.redirect(maps.sockets),
    }
}

/// How one program differs from another, by what they were made of, and the number of
/// what it is, if it has one; None if they are equal.
fn difference(theirs: &[u32], ours: &[u32]) -> Option<(&'static str, Option<usize>)> {
    let both = theirs.len().min(ours.len());
    let at = theirs.iter().zip(ours).position(|(a, b)| a != b).unwrap_or(both);
    let kind = theirs.get(1).copied().unwrap_or(0);
    Some(match (at, kind) {
        _ if at == theirs.len() && at == ours.len() => return None,
        (0 | 1, 0) => ("it is the default program", None),
        (0 | 1, RULES) => ("it has rules", None),
        (0 | 1, _) => ("it is a filter", None),
        (2, _) => ("what becomes of a packet that the filter matches", None),
        (3, _) => ("what becomes of a packet that nothing matches", None),
        (_, RULES) => ("rule", Some((at - HEAD) / Rules::WORDS)),
        _ => ("instruction", Some((at - HEAD) / 2)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_program_is_six_instructions_with_the_map_in_them() {
        let code = default(77).unwrap();
        let insns = code.insns();
        assert_eq!(insns.len(), 6);
        assert_eq!(insns[0], Insn { code: 0x61, registers: 0x12, offset: 16, imm: 0 });
        assert_eq!(insns[1], Insn { code: 0x18, registers: 0x11, offset: 0, imm: 77 });
    }

    #[test]
    fn a_name_tells_the_kind_that_it_was_made_for() {
        for at in 0..8 {
            let (steers, frags, hints) = (at & 1 != 0, at & 2 != 0, at & 4 != 0);
            let name = Kind { frags, hints }.name(steers);
            let (told, kind) = Kind::of(name).unwrap();
            assert_eq!((told, kind.frags, kind.hints), (steers, frags, hints));
        }
        assert!(Kind::of(LEGACY_NAME).is_none());
    }
}
