//! bpf(2): one function per command, with the part of `union bpf_attr` it reads.

use core::ffi::{c_int, c_long};
use core::fmt;
use core::ptr;

use super::errno::check;
use super::text::Escaped;
use super::{Errno, OwnedFd, RawFd};

const OBJ_GET_INFO_BY_FD: c_int = 15; // enum bpf_cmd

mod link;
mod map;
mod pin;
mod program;

pub use link::*;
pub use map::*;
pub use pin::*;
pub use program::*;

/// Calls bpf(2) with an attr struct of ours.
///
/// # Safety
/// Pointers in `attr` must be valid for what the command does with them.
unsafe fn bpf<T>(command: c_int, attr: &mut T) -> Result<c_int, Errno> {
    #[inline(never)]
    fn call(command: c_int, attr: *mut u8, len: usize) -> Result<c_int, Errno> {
        // SAFETY: the kernel reads (and for some commands writes) `len` bytes of
        // `attr`; what they point to is the caller's promise.
        check(|| unsafe { libc::syscall(libc::SYS_bpf, command as c_long, attr, len) as c_int })
    }
    call(command, ptr::from_mut(attr).cast(), size_of::<T>())
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
        ObjectName::of(text.as_bytes())
    }

    /// The same of bytes.
    pub const fn of(text: &[u8]) -> ObjectName {
        let (mut name, mut i) = ([0; 16], 0);
        while i < text.len() && i < 15 {
            name[i] = text[i];
            i += 1;
        }
        ObjectName(name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(self.text()), f)
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

#[inline(never)]
fn fd_by_id(command: c_int, id: u32) -> Result<OwnedFd, Errno> {
    let mut attr = [id, 0, 0];
    // SAFETY: no pointers in it.
    unsafe { bpf(command, &mut attr) }.map(OwnedFd::adopt)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_15_bytes() {
        assert_eq!(ObjectName::new("xsks_map").to_string(), "xsks_map");
        assert_eq!(ObjectName::new("a_name_of_18_bytes").to_string(), "a_name_of_18_by");
    }
}
