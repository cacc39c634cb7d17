//! Memory mappings that unmap themselves: packet memory and rings.

use core::ffi::{c_int, c_void};
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

/// Size of a 2 MiB page, the only huge page asked for.
pub const HUGE_PAGE: usize = 2 << 20;

impl Mmap {
    /// Zeroed, populated memory that stays one with a forked child's, so that a
    /// write after `fork` cannot move the parent off the pages the kernel pinned.
    pub fn anonymous(len: usize, huge: bool) -> Result<Mmap, Errno> {
        let huge = if huge { libc::MAP_HUGETLB | libc::MAP_HUGE_2MB } else { 0 };
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE | huge;
        Mmap::map(len, flags, -1, 0)
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
