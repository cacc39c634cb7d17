//! A file descriptor that closes itself.

use core::ffi::c_int;

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

    /// The number, to hand to the kernel while `self` lives.
    pub fn raw(&self) -> RawFd {
        self.0
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours alone and is not used again. Linux frees
        // the number whatever close answers, so there is nothing to retry.
        let _ = check(|| unsafe { libc::close(self.0) });
    }
}
