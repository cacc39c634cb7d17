//! A file descriptor that closes itself.

use core::ffi::{CStr, c_int};

use super::Errno;
use super::errno::check;

/// A file descriptor owned by somebody else.
pub type RawFd = c_int;

/// A file descriptor of ours; dropped, it is closed.
#[derive(Debug)]
pub struct OwnedFd(RawFd);

impl OwnedFd {
    /// Takes over what a call that makes descriptors has answered.
    pub(super) fn adopt(fd: RawFd) -> OwnedFd {
        OwnedFd(fd)
    }

    /// Takes over a descriptor that the program has given away.
    pub fn from_program(fd: RawFd) -> OwnedFd {
        OwnedFd(fd)
    }

    /// Gives the descriptor back to the program, open.
    pub fn into_program(self) -> RawFd {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }

    /// Opens a directory and locks it against others who do so, until it is closed;
    /// None if somebody has it now. ENOENT if it is not there.
    pub fn lock_directory(path: &CStr) -> Result<Option<OwnedFd>, Errno> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: the path ends in NUL.
        let dir = check(|| unsafe { libc::open(path.as_ptr(), flags) }).map(OwnedFd)?;
        // SAFETY: integers only.
        match check(|| unsafe { libc::flock(dir.0, libc::LOCK_EX | libc::LOCK_NB) }) {
            Ok(_) => Ok(Some(dir)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Another descriptor for the same file.
    pub fn duplicate(&self) -> Result<OwnedFd, Errno> {
        OwnedFd::duplicate_of(self.0)
    }

    /// Another descriptor for the file of somebody else's.
    pub fn duplicate_of(fd: RawFd) -> Result<OwnedFd, Errno> {
        // SAFETY: integers only.
        check(|| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) }).map(OwnedFd)
    }

    /// Makes the number stand for what `other` is; what it stood for is closed.
    pub fn become_copy_of(&self, other: &OwnedFd) -> Result<(), Errno> {
        // SAFETY: integers only; both numbers are ours.
        check(|| unsafe { libc::dup3(other.0, self.0, libc::O_CLOEXEC) }).map(drop)
    }

    /// The number, to hand to the kernel while `self` lives.
    pub fn raw(&self) -> RawFd {
        self.0
    }
}

impl Drop for OwnedFd {
    // In every failure's way: not to be repeated there.
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours alone and is not used again. Linux frees
        // the number whatever close answers, so there is nothing to retry.
        let _ = check(|| unsafe { libc::close(self.0) });
    }
}
