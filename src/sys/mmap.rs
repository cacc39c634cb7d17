//! Memory mappings that unmap themselves: packet memory and rings.

use core::ffi::{c_int, c_ulong, c_void};
use core::mem;
use core::ptr::{self, NonNull};

use super::errno::preserve_errno;
use super::{Errno, RawFd};

/// A mapping of ours; dropped, it is unmapped.
#[derive(Debug)]
pub struct Mmap {
    addr: NonNull<c_void>,
    len: usize,
}

// SAFETY: an address range belongs to the process, not to a thread; who reads and
// writes in it is up to those who hold pointers into it.
unsafe impl Send for Mmap {}
// SAFETY: as above; a shared reference only tells where the mapping is.
unsafe impl Sync for Mmap {}

// <linux/mempolicy.h>; the libc crate has no names for them.
const MPOL_F_NODE: c_ulong = 1 << 0;
const MPOL_F_ADDR: c_ulong = 1 << 1;

/// Size of a 2 MiB page, the only huge page asked for.
pub const HUGE_PAGE: usize = 2 << 20;

impl Mmap {
    /// Zeroed, populated memory that stays one with a forked child's, so that a
    /// write after `fork` cannot move the parent off the pages the kernel pinned. With
    /// a NUMA node to prefer, it is populated from there, when it is first touched.
    pub fn anonymous(len: usize, huge: bool, node: Option<u32>) -> Result<Mmap, Errno> {
        let huge = if huge { libc::MAP_HUGETLB | libc::MAP_HUGE_2MB } else { 0 };
        let populate = if node.is_none() { libc::MAP_POPULATE } else { 0 };
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | populate | huge;
        let mapping = Mmap::map(len, flags, -1, 0)?;
        if let Some(node) = node {
            mapping.prefer(node);
        }
        Ok(mapping)
    }

    /// Asks for pages of a NUMA node; `node_of` tells what came of it.
    fn prefer(&self, node: u32) {
        let Some(nodes) = 1u64.checked_shl(node) else { return };
        let (addr, mode, nodes) = (self.addr.as_ptr(), libc::MPOL_PREFERRED, &raw const nodes);
        // SAFETY: the mapping is ours. `nodes` has 64 bits; the kernel looks at one less
        // than it is told.
        preserve_errno(|| unsafe {
            libc::syscall(libc::SYS_mbind, addr, self.len, mode, nodes, 65, 0)
        });
    }

    /// The NUMA node that a page is on.
    pub fn node_of(&self, offset: usize) -> Result<u32, Errno> {
        let (addr, mut node) = (self.addr.as_ptr().wrapping_byte_add(offset), 0u32);
        let flags = MPOL_F_NODE | MPOL_F_ADDR;
        let (to, none) = (&raw mut node, ptr::null_mut::<c_void>());
        // SAFETY: one number is written; the address is only looked up.
        super::errno::check(|| unsafe {
            libc::syscall(libc::SYS_get_mempolicy, to, none, 0, addr, flags) as c_int
        })?;
        Ok(node)
    }

    /// The part of `fd` at `offset`, shared with the kernel and populated.
    pub fn of_fd(fd: RawFd, len: usize, offset: u64) -> Result<Mmap, Errno> {
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
        Mmap::map(len, libc::MAP_SHARED | libc::MAP_POPULATE, fd, offset)
    }

    fn map(len: usize, flags: c_int, fd: RawFd, offset: libc::off_t) -> Result<Mmap, Errno> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let mut addr = libc::MAP_FAILED;
        super::errno::check(|| {
            // SAFETY: no address is asked for, so no mapping that exists is replaced.
            addr = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, fd, offset) };
            if addr == libc::MAP_FAILED { -1 } else { 0 }
        })?;
        let addr = NonNull::new(addr).ok_or(Errno::ENOMEM)?;
        Ok(Mmap { addr, len })
    }

    /// Maps the same part of another `fd` to the same place.
    pub fn renew(&self, fd: RawFd, offset: u64) -> Result<(), Errno> {
        let fresh = Mmap::of_fd(fd, self.len, offset)?;
        let (flags, from, to) =
            (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, fresh.addr.as_ptr(), self.addr.as_ptr());
        super::errno::check(|| {
            // SAFETY: two mappings of ours, and of the same pages: in one step the one
            // takes the other's place.
            let addr = unsafe { libc::mremap(from, self.len, self.len, flags, to) };
            if addr == libc::MAP_FAILED { -1 } else { 0 }
        })?;
        mem::forget(fresh);
        Ok(())
    }

    /// Where it starts; page-aligned.
    pub fn addr(&self) -> NonNull<c_void> {
        self.addr
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mmap {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` made, and whoever owns the Mmap keeps every
        // pointer into it no longer than it.
        preserve_errno(|| unsafe { libc::munmap(self.addr.as_ptr(), self.len) });
    }
}

/// Bytes in a page of this machine.
pub(super) fn page_size() -> usize {
    // SAFETY: takes a constant and touches no memory of ours.
    let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(answer).unwrap_or(4096)
}
