//! Maps: making, reading, writing, asking.

use core::ffi::c_int;
use core::ptr;

use super::{ObjectName, bpf, fd_by_id, info_by_fd};
use crate::sys::{Errno, OwnedFd, RawFd};

// enum bpf_cmd and other numbers of <linux/bpf.h>
const MAP_CREATE: c_int = 0;
const MAP_LOOKUP_ELEM: c_int = 1;
const MAP_UPDATE_ELEM: c_int = 2;
const MAP_DELETE_ELEM: c_int = 3;
const MAP_GET_FD_BY_ID: c_int = 14;
const MAP_FREEZE: c_int = 22;

/// Kinds of maps: `enum bpf_map_type`.
#[derive(Clone, Copy)]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    /// An array for each CPU.
    PerCpuArray = 6,
    /// Sockets.
    Xskmap = 17,
}

/// Makes an XSKMAP of `entries`.
pub fn create_xskmap(entries: u32, name: ObjectName) -> Result<OwnedFd, Errno> {
    create_map(MapKind::Xskmap, 4, entries, name)
}

/// Makes a map of one value that is two numbers, 0 at first.
pub fn create_numbers(name: ObjectName) -> Result<OwnedFd, Errno> {
    create_map(MapKind::Array, 8, 1, name)
}

/// Makes a map whose keys are 32-bit numbers; `value_size` in bytes.
#[inline(never)]
pub fn create_map(
    kind: MapKind,
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
        map_type: kind as u32,
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
    insert(map, key, socket as u32)
}

/// Puts a number into a map of numbers.
#[inline(never)]
pub fn insert(map: RawFd, key: u32, value: u32) -> Result<(), Errno> {
    // SAFETY: key and value have the four bytes each that the map's have.
    unsafe { bpf(MAP_UPDATE_ELEM, &mut elem(map, &key, &raw const value)) }.map(drop)
}

/// Takes a socket out of an XSKMAP; no error if there is none.
pub fn xskmap_remove(map: RawFd, key: u32) -> Result<(), Errno> {
    // SAFETY: the key has an XSKMAP's four bytes; no value is read.
    unsafe { bpf(MAP_DELETE_ELEM, &mut elem(map, &key, ptr::null())) }.map(drop)
}

/// The first number in a map of one value, which may be longer.
pub fn read_number(map: RawFd, value: &mut [u8]) -> Result<u32, Errno> {
    let mut attr = elem(map, &0, value.as_mut_ptr().cast());
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

/// Fills a map of one value, and lets nobody change it any more.
pub fn write_once(map: RawFd, value: &[u32]) -> Result<(), Errno> {
    // SAFETY: the map was made for a value of this size.
    unsafe { bpf(MAP_UPDATE_ELEM, &mut elem(map, &0, value.as_ptr())) }?;
    // SAFETY: no pointers in it.
    unsafe { bpf(MAP_FREEZE, &mut [map as u32]) }.map(drop)
}

/// Reads a map of one value, of no more bytes than `value` has.
pub fn read_words(map: RawFd, value: &mut [u32]) -> Result<(), Errno> {
    // SAFETY: the kernel writes as many bytes as the map's value has.
    unsafe { bpf(MAP_LOOKUP_ELEM, &mut elem(map, &0, value.as_mut_ptr())) }.map(drop)
}

/// The kernel has no more CPUs, on whatever machine: NR_CPUS.
pub const MOST_CPUS: usize = 8192;

/// Reads two numbers of each possible CPU, and leaves the rest of `value` as it is.
pub fn read_pairs(map: RawFd, key: u32, value: &mut [[u64; 2]]) -> Result<(), Errno> {
    if value.len() < MOST_CPUS {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the kernel writes 16 bytes for each possible CPU.
    unsafe { bpf(MAP_LOOKUP_ELEM, &mut elem(map, &key, value.as_mut_ptr().cast())) }.map(drop)
}

/// Opens a map by its id; needs CAP_SYS_ADMIN.
pub fn map_by_id(id: u32) -> Result<OwnedFd, Errno> {
    fd_by_id(MAP_GET_FD_BY_ID, id)
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
        let fits =
            self.kind == MapKind::Array as u32 && self.max_entries == 1 && self.value_size >= 4;
        fits.then_some(self.value_size as usize)
    }

    /// Whether it has two 64-bit numbers of each CPU under a number.
    pub fn holds_pairs(&self) -> bool {
        self.kind == MapKind::PerCpuArray as u32 && self.value_size == 16
    }

    /// Whether sockets go into it. The sizes tell it from other BPF objects, whose
    /// answers start with another kind of number.
    pub fn is_xskmap(&self) -> bool {
        self.kind == MapKind::Xskmap as u32 && self.key_size == 4 && self.value_size == 4
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_is_no_map_is_refused() {
        assert_eq!(map_info(-1).err(), Some(Errno::EBADF));
        assert_eq!(map_info(2).err(), Some(Errno::EINVAL));
    }
}
