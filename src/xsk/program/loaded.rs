//! A program in the kernel with its maps: loaded by us, or found on an interface.

use alloc::boxed::Box;

use crate::sys::bpf::{self, Insn, MapKind, ObjectName};
use crate::sys::heap::try_slice;
use crate::sys::netdev::IfName;
use crate::sys::{Errno, OwnedFd, RawFd};
use crate::xsk::error::{Error, error, fail};
use crate::xsk::program::rules::out_of_memory;
use crate::xsk::program::{
    COUNTERS_NAME, Functions, Kind, MAP_NAME, Maps, PORTS_NAME, Program, RULES_NAME, difference,
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
    /// Its map of counters, and how many there are.
    counters: Option<(OwnedFd, u32)>,
}

/// A program found, with its map of sockets and the places in that.
pub struct Found {
    pub loaded: Loaded,
    pub map: OwnedFd,
    pub map_entries: u32,
}

/// The maps of a program.
#[derive(Default)]
struct Parts {
    sockets: Option<(OwnedFd, u32)>,
    counters: Option<(OwnedFd, u32)>,
    words: Option<Box<[u32]>>,
    kind: Kind,
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
        let (mut counters, mut others) = (None, [None, None]);
        if !program.is_default() {
            let entries = program.counters();
            let counted = bpf::create_map(MapKind::PerCpuArray, 16, entries, COUNTERS_NAME)?;
            maps.counters = counted.raw();
            counters = Some((counted, entries));
            let rules = bpf::create_map(MapKind::Array, words.len() as u32 * 4, 1, RULES_NAME)?;
            maps.rules = rules.raw();
            bpf::write_once(maps.rules, &words)?;
            // Without a port it goes again at once: the program has no use for it.
            let keys = program.ports();
            let ports = bpf::create_map(MapKind::Hash, 4, keys.len().max(1) as u32, PORTS_NAME)?;
            maps.ports = ports.raw();
            keys.iter().try_for_each(|key| bpf::insert(maps.ports, *key, 1))?;
            others = [Some(rules), Some(ports)];
        }
        let code = program.instructions(&maps).map_err(Error::errno)?;
        let name = kind.name(!program.is_default());
        let (bound, ifindex) = if kind.hints { (bpf::XDP_DEV_BOUND_ONLY, ifindex) } else { (0, 0) };
        let flags = bound | if kind.frags { bpf::XDP_HAS_FRAGS } else { 0 };
        let fd = bpf::load_xdp(code.insns(), name, None, flags, ifindex)?;
        // From now on the program itself keeps its maps.
        drop(others);
        Ok(Loaded { id: bpf::program_info(fd.raw())?.id, fd, kind, words, counters })
    }

    /// Finds a program of this library's by its id; None if it went.
    #[inline(never)]
    pub fn find(ifname: &IfName, id: u32) -> Result<Option<Found>, Error> {
        let mut parts = Parts::default();
        let found = bpf::program_by_id(id).and_then(|fd| Ok((parts.collect(fd.raw())?, fd)));
        match (found, parts) {
            (
                Ok((_, fd)),
                Parts { sockets: Some((map, map_entries)), counters, words: Some(words), kind },
            ) => {
                let loaded = Loaded { fd, id, kind, words, counters };
                Ok(Some(Found { loaded, map, map_entries }))
            }
            (Ok((name, _)), _) => fail!(
                Errno::EBUSY,
                "bind: {ifname} has an XDP program already: {name} (id {id}). Give its XSKMAP with \
                 XSK_BIND_XSKMAP, or detach it (ip link set dev {ifname} xdp off)"
            ),
            (Err(Errno::ENOENT), _) => Ok(None),
            (Err(e), _) => fail!(
                e,
                "bind: {ifname} has an XDP program (id {id}), and it cannot be seen whether that \
                 can be joined: {e} (CAP_SYS_ADMIN is needed)"
            ),
        }
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
    /// Takes those of a program of this library's, and gives its name; ENOENT if one
    /// went.
    #[inline(never)]
    fn collect(&mut self, program: RawFd) -> Result<ObjectName, Errno> {
        let info = bpf::program_info(program)?;
        let Some((steers, kind)) = Kind::of(info.name) else { return Ok(info.name) };
        self.kind = kind;
        if !steers {
            if info.map_count != 1 {
                return Ok(info.name);
            }
            self.words = Some(Box::default());
        }
        for id in info.maps.iter().take(info.map_count as usize) {
            let fd = bpf::map_by_id(*id)?;
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
                self.words = Some(words);
            }
        }
        Ok(info.name)
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
