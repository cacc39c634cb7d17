//! A program in the kernel with its maps: loaded by us, or found on an interface.

use alloc::boxed::Box;

use crate::sys::bpf::{self, Insn, MapKind, ObjectName, ProgramInfo};
use crate::sys::heap::try_slice;
use crate::sys::netdev::IfName;
use crate::sys::{Errno, OwnedFd, RawFd};
use crate::xsk::error::{Error, error, fail};
use crate::xsk::program::rules::out_of_memory;
use crate::xsk::program::{
    COUNTERS_NAME, FILTER, Functions, Kind, MAP_NAME, Maps, PORTS_NAME, Program, RULES_NAME,
    difference,
};

/// Larger ones are not this library's.
const MOST_BYTES: usize = 1 << 18;

/// A program in the kernel.
pub struct Loaded {
    pub fd: OwnedFd,
    pub id: u32,
    pub kind: Kind,
    /// What it was made of; empty for the default program.
    words: Box<[u32]>,
    /// The map with that.
    rules: Option<OwnedFd>,
    /// Its map of counters, and how many there are.
    counters: Option<(OwnedFd, u32)>,
}

/// A program found, with its map of sockets and the places in that.
pub struct Found {
    pub loaded: Loaded,
    pub map: OwnedFd,
    pub map_entries: u32,
}

/// What an id stands for.
pub enum Sought {
    Ours(Found),
    /// Of that name.
    Foreign(ObjectName),
    Gone,
}

/// The maps of a program.
#[derive(Default)]
struct Parts {
    sockets: Option<(OwnedFd, u32)>,
    counters: Option<(OwnedFd, u32)>,
    rules: Option<OwnedFd>,
    words: Option<Box<[u32]>>,
}

impl Loaded {
    /// Loads a program for a map of sockets and an interface.
    pub fn load(
        program: &Program,
        sockets: RawFd,
        kind: Kind,
        ifindex: u32,
    ) -> Result<Loaded, Error> {
        let words = program.words()?;
        let functions = if kind.hints { Some(Functions::of_kernel()?) } else { None };
        let maps = Maps { sockets, functions, frags: kind.frags, ..Maps::default() };
        let loaded = Loaded::install(program, maps, words, kind, ifindex);
        loaded.map_err(|e| not_loaded(e, "the XDP program"))
    }

    #[inline(never)]
    fn install(
        program: &Program,
        mut maps: Maps,
        words: Box<[u32]>,
        kind: Kind,
        ifindex: u32,
    ) -> Result<Loaded, Errno> {
        let (mut counters, mut rules, mut ports) = (None, None, None);
        if !program.is_default() {
            let entries = program.counters();
            let counted = bpf::create_map(MapKind::PerCpuArray, 16, entries, COUNTERS_NAME)?;
            maps.counters = counted.raw();
            counters = Some((counted, entries));
            let made_of = bpf::create_map(MapKind::Array, words.len() as u32 * 4, 1, RULES_NAME)?;
            maps.rules = made_of.raw();
            bpf::write_once(maps.rules, &words)?;
            rules = Some(made_of);
            // Without a port it goes again at once: the program has no use for it.
            let keys = program.ports();
            let sets = bpf::create_map(MapKind::Hash, 4, keys.len().max(1) as u32, PORTS_NAME)?;
            maps.ports = sets.raw();
            keys.iter().try_for_each(|key| bpf::insert(maps.ports, *key, 1))?;
            ports = Some(sets);
        }
        let code = program.instructions(&maps).map_err(Error::errno)?;
        let name = kind.name(!program.is_default());
        let (bound, ifindex) = if kind.hints { (bpf::XDP_DEV_BOUND_ONLY, ifindex) } else { (0, 0) };
        let flags = bound | if kind.frags { bpf::XDP_HAS_FRAGS } else { 0 };
        let fd = bpf::load_xdp(code.insns(), name, None, flags, ifindex)?;
        // From now on the program itself keeps its maps.
        drop(ports);
        Ok(Loaded { id: bpf::program_info(fd.raw())?.id, fd, kind, words, rules, counters })
    }

    /// Finds the program of an id, whose ever it is.
    #[inline(never)]
    pub fn find(ifname: &IfName, id: u32) -> Result<Sought, Error> {
        let sought = bpf::program_by_id(id).and_then(|fd| {
            let info = bpf::program_info(fd.raw())?;
            let mut parts = Parts::default();
            if Kind::of(info.name).is_some() {
                info.maps().iter().try_for_each(|id| parts.take(bpf::map_by_id(*id)?))?;
            }
            Ok(parts.join(fd, &info))
        });
        match sought {
            Ok(sought) => Ok(sought),
            Err(Errno::ENOENT) => Ok(Sought::Gone),
            Err(e) => fail!(
                e,
                "{ifname} has an XDP program (id {id}), and it cannot be seen whose that is: {e} \
                 (CAP_SYS_ADMIN is needed)"
            ),
        }
    }

    /// The same of a program and maps that somebody has opened; None if it is not this
    /// library's, or not with these maps.
    pub fn of(fd: OwnedFd, maps: impl Iterator<Item = OwnedFd>) -> Result<Option<Found>, Errno> {
        let info = bpf::program_info(fd.raw())?;
        let mut parts = Parts::default();
        for map in maps {
            if info.maps().contains(&bpf::map_info(map.raw())?.id) {
                parts.take(map)?;
            }
        }
        match parts.join(fd, &info) {
            Sought::Ours(found) => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// The maps that another process needs beside that of sockets to know it.
    pub fn maps(&self) -> [Option<RawFd>; 2] {
        [self.rules.as_ref().map(OwnedFd::raw), self.counters.as_ref().map(|(fd, _)| fd.raw())]
    }

    /// Whether it decides by a filter, not by rules; None for the default program.
    pub fn is_filter(&self) -> Option<bool> {
        self.words.get(1).map(|kind| *kind == FILTER)
    }

    /// Whether who wants that program may join this one.
    pub fn check(&self, wanted: &Program, kind: Kind, ifname: &IfName) -> Result<(), Error> {
        if kind.frags && !self.kind.frags {
            return fail!(
                Errno::EBUSY,
                "bind: the program on {ifname} is shared and was attached without XSK_BIND_SG, for \
                 packets in one buffer: bind a socket with the flag first, then the others"
            );
        }
        if kind.hints != self.kind.hints {
            let with = if self.kind.hints { "with" } else { "without" };
            return fail!(
                Errno::EBUSY,
                "bind: the program on {ifname} is shared and was attached {with} \
                 XSK_BIND_RX_METADATA, which is for all sockets that share it or for none"
            );
        }
        let head = "is shared and cannot be joined, as it differs from the wanted one:";
        match (difference(&self.words, &wanted.words()?), self.id) {
            (None, _) => Ok(()),
            (Some((what, None)), id) => {
                fail!(Errno::EBUSY, "bind: the program on {ifname} (id {id}) {head} {what}")
            }
            (Some((what, Some(at))), id) => {
                fail!(Errno::EBUSY, "bind: the program on {ifname} (id {id}) {head} {what} {at}")
            }
        }
    }

    /// How many counters there are, of which the first are handed to `each`.
    pub fn count(&self, most: u32, mut each: impl FnMut([u64; 2])) -> Result<u32, Error> {
        let Some((map, entries)) = &self.counters else { return Ok(0) };
        // What the kernel does not write stays as no count can be.
        let Ok(mut cpus) = try_slice([u64::MAX; 2], bpf::MOST_CPUS) else {
            return Err(out_of_memory());
        };
        for at in 0..most.min(*entries) {
            if let Err(e) = bpf::read_pairs(map.raw(), at, &mut cpus) {
                return fail!(e, "program: its counters cannot be read: {e}");
            }
            let there = cpus.iter().take_while(|pair| pair[0] != u64::MAX);
            each(there.fold([0, 0], |[a, b], [c, d]| [a.wrapping_add(*c), b.wrapping_add(*d)]));
        }
        Ok(*entries)
    }
}

impl Parts {
    /// Takes a map of a program of this library's.
    #[inline(never)]
    fn take(&mut self, fd: OwnedFd) -> Result<(), Errno> {
        let map = bpf::map_info(fd.raw())?;
        if map.is_xskmap() {
            self.sockets = Some((fd, map.max_entries));
        } else if map.name == COUNTERS_NAME && map.holds_pairs() {
            self.counters = Some((fd, map.max_entries));
        } else if map.name == RULES_NAME {
            let size = map.number_size().filter(|size| *size < MOST_BYTES);
            let size = size.ok_or(Errno::EINVAL)?;
            let mut words = try_slice(0, size.div_ceil(4))?;
            bpf::read_words(fd.raw(), &mut words)?;
            (self.rules, self.words) = (Some(fd), Some(words));
        }
        Ok(())
    }

    /// The program with these maps.
    fn join(self, fd: OwnedFd, info: &ProgramInfo) -> Sought {
        let (id, counters, rules) = (info.id, self.counters, self.rules);
        let (words, kind) = match Kind::of(info.name) {
            Some((true, kind)) => (self.words, kind),
            Some((false, kind)) if info.maps().len() == 1 => (Some(Box::default()), kind),
            _ => (None, Kind::default()),
        };
        match (words, self.sockets) {
            (Some(words), Some((map, map_entries))) => {
                let loaded = Loaded { fd, id, kind, words, rules, counters };
                Sought::Ours(Found { loaded, map, map_entries })
            }
            _ => Sought::Foreign(info.name),
        }
    }
}

/// Makes an XSKMAP; gives how many places it has too.
pub fn make_map(entries: u32) -> Result<(OwnedFd, u32), Error> {
    let map = bpf::create_xskmap(entries, MAP_NAME);
    map.map(|map| (map, entries)).map_err(|e| not_loaded(e, "an XSKMAP"))
}

/// Loads a program, for packets in several buffers if `frags`; gives its id too.
pub fn load_program(
    insns: &[Insn],
    name: ObjectName,
    btf: Option<(RawFd, u32)>,
    frags: bool,
) -> Result<(OwnedFd, u32), Error> {
    let flags = if frags { bpf::XDP_HAS_FRAGS } else { 0 };
    let loaded = bpf::load_xdp(insns, name, btf, flags, 0)
        .and_then(|fd| bpf::program_info(fd.raw()).map(|info| (fd, info.id)));
    loaded.map_err(|e| not_loaded(e, "the XDP program"))
}

pub fn not_loaded(e: Errno, what: &str) -> Error {
    let (e, why) = match e {
        Errno::EPERM => (
            e,
            "CAP_BPF and CAP_NET_ADMIN are missing (before Linux 5.8 CAP_SYS_ADMIN; before 5.11 \
             also a too small RLIMIT_MEMLOCK). Or bind with XSK_BIND_NO_PROGRAM or XSK_BIND_XSKMAP",
        ),
        Errno::EACCES => (e, "rules and filters need CAP_PERFMON too, or the verifier refuses it"),
        // Limits of the verifier: instructions, and (EFAULT) jumps that wait for it.
        Errno::E2BIG | Errno::EFAULT => (Errno::E2BIG, "too complex for it, take fewer rules"),
        _ => (e, "the kernel refuses"),
    };
    error!(e, "bind: {what} cannot be loaded: {why}: {e}")
}
