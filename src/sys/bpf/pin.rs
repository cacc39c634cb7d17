//! The BPF file system: objects under names, which keep them alive, and folders.

use core::ffi::{CStr, c_int};

use super::bpf;
use crate::sys::errno::check;
use crate::sys::{Errno, OwnedFd, RawFd};

// enum bpf_cmd of <linux/bpf.h>
const OBJ_PIN: c_int = 6;
const OBJ_GET: c_int = 7;
/// `BPF_FS_MAGIC` of <linux/magic.h>.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

#[inline(never)]
fn object(command: c_int, path: &CStr, fd: u32) -> Result<c_int, Errno> {
    #[repr(C)]
    struct Attr {
        pathname: u64,
        bpf_fd: u32,
        file_flags: u32,
    }
    let mut attr = Attr { pathname: path.as_ptr() as u64, bpf_fd: fd, file_flags: 0 };
    // SAFETY: the path ends in NUL.
    unsafe { bpf(command, &mut attr) }
}

/// Gives an object a name; EPERM where that is in no BPF file system.
pub fn pin(fd: RawFd, path: &CStr) -> Result<(), Errno> {
    object(OBJ_PIN, path, fd as u32).map(drop)
}

/// Opens the object of a name; EACCES too if it is no such object.
pub fn pinned(path: &CStr) -> Result<OwnedFd, Errno> {
    object(OBJ_GET, path, 0).map(OwnedFd::adopt)
}

/// Takes a name away.
pub fn unpin(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL.
    check(|| unsafe { libc::unlink(path.as_ptr()) }).map(drop)
}

/// Makes a folder for its owner alone.
pub fn make_folder(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL.
    check(|| unsafe { libc::mkdir(path.as_ptr(), 0o700) }).map(drop)
}

/// Removes a folder; ENOTEMPTY if something is in it.
pub fn remove_folder(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends in NUL.
    check(|| unsafe { libc::rmdir(path.as_ptr()) }).map(drop)
}

/// Whether an open folder is in a BPF file system.
pub fn is_in_bpffs(folder: &OwnedFd) -> bool {
    // SAFETY: integers only; zero is a value of each.
    let mut about: libc::statfs = unsafe { core::mem::zeroed() };
    let to = &raw mut about;
    // SAFETY: the kernel writes a struct of this type.
    let told = check(|| unsafe { libc::fstatfs(folder.raw(), to) });
    told.is_ok() && about.f_type as u64 == BPF_FS_MAGIC
}
