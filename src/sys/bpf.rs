//! bpf(2): one function per command, with the part of `union bpf_attr` it reads.

use core::ffi::{CStr, c_int, c_long};
use core::fmt;
use core::ptr;

use super::errno::check;
use super::{Errno, OwnedFd, RawFd};

// enum bpf_cmd and other numbers of <linux/bpf.h>
const MAP_CREATE: c_int = 0;
const MAP_LOOKUP_ELEM: c_int = 1;
const MAP_UPDATE_ELEM: c_int = 2;
const MAP_DELETE_ELEM: c_int = 3;
const PROG_LOAD: c_int = 5;
const PROG_TEST_RUN: c_int = 10;
const PROG_GET_FD_BY_ID: c_int = 13;
const MAP_GET_FD_BY_ID: c_int = 14;
const OBJ_GET_INFO_BY_FD: c_int = 15;
const BTF_LOAD: c_int = 18;
const LINK_CREATE: c_int = 28;
const LINK_GET_FD_BY_ID: c_int = 30;
const LINK_GET_NEXT_ID: c_int = 31;
const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
const LINK_TYPE_XDP: u32 = 6;

/// `BPF_F_XDP_HAS_FRAGS`, since Linux 5.18: the program takes packets in several buffers.
pub const XDP_HAS_FRAGS: u32 = 1 << 5;

/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` of <linux/if_link.h>.
pub const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
pub const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
/// The same for hardware, for "only if there is none", and "only instead of that".
pub const XDP_FLAGS_HW_MODE: u32 = 1 << 3;
pub const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1 << 0;
pub const XDP_FLAGS_REPLACE: u32 = 1 << 4;

/// Calls bpf(2) with an attr struct of ours.
///
/// # Safety
/// Pointers in `attr` must be valid for what the command does with them.
unsafe fn bpf<T>(command: c_int, attr: &mut T) -> Result<c_int, Errno> {
    let (at, len) = (ptr::from_mut(attr), size_of::<T>());
    // SAFETY: the kernel reads (and for some commands writes) `len` bytes of `attr`;
    // what they point to is the caller's promise.
    check(|| unsafe { libc::syscall(libc::SYS_bpf, command as c_long, at, len) as c_int })
}

/// A program's or map's name: 15 bytes and a NUL.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectName(pub [u8; 16]);

impl ObjectName {
    /// The name without what is behind it.
    pub fn text(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        self.0.get(..end).unwrap_or(&[])
    }

    /// The name that `text` gives, cut at 15 bytes.
    pub const fn new(text: &str) -> ObjectName {
        let (text, mut name, mut i) = (text.as_bytes(), [0; 16], 0);
        while i < text.len() && i < 15 {
            name[i] = text[i];
            i += 1;
        }
        ObjectName(name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text().escape_ascii(), f)
    }
}

/// An instruction: `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    pub code: u8,
    /// Destination in the low four bits, source in the high four.
    pub registers: u8,
    pub offset: i16,
    pub imm: i32,
}

/// Makes an XSKMAP of `entries`.
pub fn create_xskmap(entries: u32, name: ObjectName) -> Result<OwnedFd, Errno> {
    create_map(MAP_TYPE_XSKMAP, 4, entries, name)
}

/// Makes a map of one value that is two numbers, 0 at first.
pub fn create_numbers(name: ObjectName) -> Result<OwnedFd, Errno> {
    create_map(MAP_TYPE_ARRAY, 8, 1, name)
}

fn create_map(
    map_type: u32,
    value_size: u32,
    entries: u32,
    name: ObjectName,
) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Attr {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; 16],
    }
    let mut attr = Attr {
        map_type,
        key_size: 4,
        value_size,
        max_entries: entries,
        map_flags: 0,
        inner_map_fd: 0,
        numa_node: 0,
        map_name: name.0,
    };
    // SAFETY: no pointers in it.
    unsafe { bpf(MAP_CREATE, &mut attr) }.map(OwnedFd::adopt)
}

#[repr(C)]
struct ElemAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn elem(map: RawFd, key: &u32, value: *const u32) -> ElemAttr {
    ElemAttr {
        map_fd: map as u32,
        pad: 0,
        key: ptr::from_ref(key) as u64,
        value: value as u64,
        flags: 0,
    }
}

/// Puts a socket into an XSKMAP.
pub fn xskmap_insert(map: RawFd, key: u32, socket: RawFd) -> Result<(), Errno> {
    let value = socket as u32;
    // SAFETY: key and value have the four bytes each that an XSKMAP's have.
    unsafe { bpf(MAP_UPDATE_ELEM, &mut elem(map, &key, &raw const value)) }.map(drop)
}

/// Takes a socket out of an XSKMAP; no error if there is none.
pub fn xskmap_remove(map: RawFd, key: u32) -> Result<(), Errno> {
    // SAFETY: the key has an XSKMAP's four bytes; no value is read.
    unsafe { bpf(MAP_DELETE_ELEM, &mut elem(map, &key, ptr::null())) }.map(drop)
}

/// The first number in a map of one value, which may be longer.
pub fn read_number(map: RawFd, value: &mut [u8]) -> Result<u32, Errno> {
    let mut attr = elem(map, &0, value.as_ptr().cast());
    // SAFETY: `value` has the bytes that the map's value has, as `number_size` told.
    unsafe { bpf(MAP_LOOKUP_ELEM, &mut attr) }?;
    let number = value.get(..4).and_then(|bytes| bytes.try_into().ok());
    number.map(u32::from_ne_bytes).ok_or(Errno::EINVAL)
}

/// Writes the number back, and what is behind it.
pub fn write_number(map: RawFd, value: &mut [u8], number: u32) -> Result<(), Errno> {
    value.get_mut(..4).ok_or(Errno::EINVAL)?.copy_from_slice(&number.to_ne_bytes());
    let mut attr = elem(map, &0, value.as_ptr().cast());
    // SAFETY: as in `read_number`.
    unsafe { bpf(MAP_UPDATE_ELEM, &mut attr) }.map(drop)
}

/// Loads type information, for `load_xdp`.
pub fn load_btf(btf: &[u8]) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Attr {
        btf: u64,
        log_buf: u64,
        btf_size: u32,
        log_size: u32,
        log_level: u32,
    }
    let mut attr = Attr {
        btf: btf.as_ptr() as u64,
        log_buf: 0,
        btf_size: btf.len() as u32,
        log_size: 0,
        log_level: 0,
    };
    // SAFETY: the kernel reads `btf_size` bytes.
    unsafe { bpf(BTF_LOAD, &mut attr) }.map(OwnedFd::adopt)
}

/// Runs an XDP program on a packet that goes nowhere; gives its answer.
pub fn run_xdp(prog: RawFd, packet: &[u8]) -> Result<u32, Errno> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        retval: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
    }
    let mut attr = Attr {
        prog_fd: prog as u32,
        retval: 0,
        data_size_in: packet.len() as u32,
        data_size_out: 0,
        data_in: packet.as_ptr() as u64,
        data_out: 0,
        repeat: 1,
        duration: 0,
    };
    // SAFETY: the kernel reads `data_size_in` bytes and writes none.
    unsafe { bpf(PROG_TEST_RUN, &mut attr) }?;
    Ok(attr.retval)
}

/// Loads an XDP program. What the verifier says is not asked for: the programs
/// are this library's own. `btf` has the types, and the id of the function's; `flags`
/// are BPF_F_ of PROG_LOAD.
pub fn load_xdp(
    insns: &[Insn],
    name: ObjectName,
    btf: Option<(RawFd, u32)>,
    flags: u32,
) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Attr {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
        btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
    }
    const LICENSE: &CStr = c"Dual MIT/GPL";
    let mut attr = Attr {
        prog_type: PROG_TYPE_XDP,
        insn_cnt: insns.len() as u32,
        insns: insns.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: flags,
        prog_name: name.0,
        prog_ifindex: 0,
        expected_attach_type: 0,
        btf_fd: 0,
        func_info_rec_size: 0,
        func_info: 0,
        func_info_cnt: 0,
    };
    // Type `function` for instruction 0 and those behind it.
    let mut func_info = [0, 0];
    if let Some((fd, function)) = btf {
        func_info[1] = function;
        attr.btf_fd = fd as u32;
        attr.func_info_rec_size = size_of_val(&func_info) as u32;
        attr.func_info = func_info.as_ptr() as u64;
        attr.func_info_cnt = 1;
    }
    // SAFETY: the kernel reads `insn_cnt` instructions, a string that ends in NUL and
    // `func_info_cnt` records.
    unsafe { bpf(PROG_LOAD, &mut attr) }.map(OwnedFd::adopt)
}

/// Attaches a program; it goes when the last descriptor of the link goes.
/// Linux 5.9; EINVAL before.
pub fn link_xdp(prog: RawFd, ifindex: u32, flags: u32) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_ifindex: u32,
        attach_type: u32,
        flags: u32,
    }
    let mut attr =
        Attr { prog_fd: prog as u32, target_ifindex: ifindex, attach_type: ATTACH_TYPE_XDP, flags };
    // SAFETY: no pointers in it.
    unsafe { bpf(LINK_CREATE, &mut attr) }.map(OwnedFd::adopt)
}

fn fd_by_id(command: c_int, id: u32) -> Result<OwnedFd, Errno> {
    let mut attr = [id, 0, 0];
    // SAFETY: no pointers in it.
    unsafe { bpf(command, &mut attr) }.map(OwnedFd::adopt)
}

/// Opens a program by its id; needs CAP_SYS_ADMIN.
pub fn program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    fd_by_id(PROG_GET_FD_BY_ID, id)
}

/// Opens a map by its id; needs CAP_SYS_ADMIN.
pub fn map_by_id(id: u32) -> Result<OwnedFd, Errno> {
    fd_by_id(MAP_GET_FD_BY_ID, id)
}

/// Opens a link by its id; needs CAP_SYS_ADMIN. ENOENT while it is being released.
pub fn link_by_id(id: u32) -> Result<OwnedFd, Errno> {
    fd_by_id(LINK_GET_FD_BY_ID, id)
}

/// The smallest link id above `id`; ENOENT after the last.
pub fn next_link_id(id: u32) -> Result<u32, Errno> {
    let mut attr = [id, 0, 0];
    // SAFETY: no pointers in it; the kernel writes the second word.
    unsafe { bpf(LINK_GET_NEXT_ID, &mut attr) }?;
    Ok(attr[1])
}

/// # Safety
/// Pointers in `info` must be valid for what the kernel writes to them.
unsafe fn info_by_fd<T>(fd: RawFd, info: &mut T) -> Result<(), Errno> {
    #[repr(C)]
    struct Attr {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    let mut attr = Attr {
        bpf_fd: fd as u32,
        info_len: size_of::<T>() as u32,
        info: ptr::from_mut(info) as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes of `info`, all integers;
    // what `info` points to is the caller's promise.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attr) }.map(drop)
}

/// What a program is: the head of `struct bpf_prog_info`.
#[derive(Clone, Copy)]
pub struct ProgramInfo {
    pub id: u32,
    pub name: ObjectName,
    /// Ids of its first maps.
    pub maps: [u32; 8],
    pub map_count: u32,
}

/// Asks what a program is.
pub fn program_info(fd: RawFd) -> Result<ProgramInfo, Errno> {
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        tag: [u8; 8],
        jited_len: u32,
        xlated_len: u32,
        jited: u64,
        xlated: u64,
        load_time: u64,
        uid: u32,
        map_count: u32,
        maps: u64,
        name: ObjectName,
    }
    let mut maps = [0u32; 8];
    let mut info =
        Info { map_count: maps.len() as u32, maps: maps.as_mut_ptr() as u64, ..Info::default() };
    // SAFETY: at most `map_count` ids are written to `maps`; the other pointers go
    // with lengths of 0.
    unsafe { info_by_fd(fd, &mut info) }?;
    Ok(ProgramInfo { id: info.id, name: info.name, maps, map_count: info.map_count })
}

/// What a map is: the head of `struct bpf_map_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct MapInfo {
    kind: u32,
    pub id: u32,
    key_size: u32,
    value_size: u32,
    pub max_entries: u32,
    flags: u32,
    pub name: ObjectName,
}

impl MapInfo {
    /// Bytes of a value, if it holds one value under a number, as data maps do.
    pub fn number_size(&self) -> Option<usize> {
        let fits = self.kind == MAP_TYPE_ARRAY && self.max_entries == 1 && self.value_size >= 4;
        fits.then_some(self.value_size as usize)
    }

    /// Whether sockets go into it. The sizes tell it from other BPF objects, whose
    /// answers start with another kind of number.
    pub fn is_xskmap(&self) -> bool {
        self.kind == MAP_TYPE_XSKMAP && self.key_size == 4 && self.value_size == 4
    }
}

/// Asks what a map is; EINVAL if `fd` is no BPF object, EBADF if it is nothing.
pub fn map_info(fd: RawFd) -> Result<MapInfo, Errno> {
    let mut info = MapInfo::default();
    // SAFETY: no pointers in it.
    match unsafe { info_by_fd(fd, &mut info) } {
        Ok(()) => Ok(info),
        // This command alone has a number of its own for what is not open (6.18).
        Err(Errno::EBADFD) => Err(Errno::EBADF),
        Err(e) => Err(e),
    }
}

/// What an XDP link holds: the head of `struct bpf_link_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    pub program: u32,
    /// 0 once the interface is gone.
    pub ifindex: u32,
}

/// Asks what a link holds; None if it is not one for XDP.
pub fn link_info(fd: RawFd) -> Result<Option<LinkInfo>, Errno> {
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        program: u32,
        pad: u32,
        ifindex: u32,
        rest: [u32; 7],
    }
    let mut info = Info::default();
    // SAFETY: no pointers that an XDP link's answer follows; what is zero is ignored.
    unsafe { info_by_fd(fd, &mut info) }?;
    Ok((info.kind == LINK_TYPE_XDP)
        .then_some(LinkInfo { program: info.program, ifindex: info.ifindex }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_15_bytes() {
        assert_eq!(ObjectName::new("xsks_map").to_string(), "xsks_map");
        assert_eq!(ObjectName::new("a_name_of_18_bytes").to_string(), "a_name_of_18_by");
    }

    #[test]
    fn a_descriptor_that_is_no_map_is_refused() {
        assert_eq!(map_info(-1).err(), Some(Errno::EBADF));
        assert_eq!(map_info(2).err(), Some(Errno::EINVAL));
    }
}
