//! Facts that the kernel tells in files only.

use alloc::boxed::Box;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use super::errno::check;
use super::heap::try_slice;
use super::{Errno, OwnedFd};

/// The NUMA node of a PCI device, by its address on the bus ("0000:00:03.0", zeros
/// behind it); None where it has none, or is no such device. An interface's own folder
/// would depend on the network namespace that /sys was mounted in.
#[cold]
pub fn pci_numa_node(bus: &[u8; 32]) -> Option<u32> {
    // What has no address, or one that would lead elsewhere.
    if bus.starts_with(b"\0") || bus.contains(&b'/') {
        return None;
    }
    let mut path = [0 as c_char; 80];
    let (to, size) = (path.as_mut_ptr(), path.len());
    let format = c"/sys/bus/pci/devices/%.32s/numa_node".as_ptr();
    // SAFETY: at most `size` bytes are written, a NUL among them, and at most 32 of
    // `bus` are read.
    unsafe { libc::snprintf(to, size, format, bus.as_ptr()) };
    // SAFETY: a string now; -1 stands for no node.
    read_number(unsafe { CStr::from_ptr(path.as_ptr()) })
}

/// The largest number of pages in a packet of the network stack, `MAX_SKB_FRAGS` unless
/// the administrator lowered it; None outside of the first network namespace.
pub fn max_skb_frags() -> Option<u32> {
    read_number(c"/proc/sys/net/core/max_skb_frags")
}

/// The number in a file; None without one, or below 0.
#[cold]
fn read_number(path: &CStr) -> Option<u32> {
    let file = open(path).ok()?;
    let mut text = [0 as c_char; 16];
    let (to, len) = (text.as_mut_ptr().cast(), text.len() - 1);
    // SAFETY: the kernel writes at most as many bytes as `text` has before its NUL.
    check(|| unsafe { libc::read(file.raw(), to, len) as c_int }).ok()?;
    // SAFETY: a NUL stands behind what was read.
    let number = unsafe { libc::strtol(text.as_ptr(), ptr::null_mut(), 10) };
    u32::try_from(number).ok()
}

/// Whether the kernel's type information can be read, from which the ids of its
/// functions come.
pub fn has_kernel_btf() -> bool {
    open(KERNEL_BTF).is_ok()
}

const KERNEL_BTF: &CStr = c"/sys/kernel/btf/vmlinux";
/// Some 6 MB are usual.
const MOST_BTF: usize = 64 << 20;

/// That type information, all of it.
#[cold]
pub fn kernel_btf() -> Result<Box<[u8]>, Errno> {
    let file = open(KERNEL_BTF)?;
    // SAFETY: integers only.
    let size = unsafe { libc::lseek(file.raw(), 0, libc::SEEK_END) };
    let size = usize::try_from(size).ok().filter(|size| *size <= MOST_BTF).ok_or(Errno::EINVAL)?;
    let mut bytes = try_slice(0u8, size)?;
    let mut left = &mut *bytes;
    while !left.is_empty() {
        let (to, at) = (left.as_mut_ptr().cast(), (size - left.len()) as libc::off_t);
        // A page at a time, whatever is asked for.
        // SAFETY: the kernel writes at most as many bytes as are left.
        let n = check(|| unsafe { libc::pread(file.raw(), to, left.len(), at) as c_int })?;
        left = match left.get_mut(n as usize..) {
            Some(rest) if n > 0 => rest,
            _ => return Err(Errno::EINVAL),
        };
    }
    Ok(bytes)
}

fn open(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path ends in NUL.
    check(|| unsafe { libc::open(path.as_ptr(), flags) }).map(OwnedFd::adopt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_device_on_the_bus_has_no_node() {
        for bus in [&b""[..], b"ffff:ff:1f.7", b"..", b"../../../../proc/self/fd"] {
            let mut address = [0; 32];
            address[..bus.len()].copy_from_slice(bus);
            assert_eq!(pci_numa_node(&address), None);
        }
        assert_eq!(pci_numa_node(&[b'0'; 32]), None);
    }
}
