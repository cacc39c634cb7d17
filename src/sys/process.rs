//! Facts about this process and machine.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::Errno;
use super::errno::check;

/// Bytes in a page.
pub fn page_size() -> usize {
    super::mmap::page_size()
}

/// The soft RLIMIT_MEMLOCK in bytes; None when unlimited or unknown.
pub fn memlock_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit, and `limit` is one.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (got == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The network namespace that this thread is in, as the inode of its file; 0 where
/// /proc is not mounted.
pub fn thread_netns() -> u64 {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    let path = c"/proc/thread-self/ns/net";
    // SAFETY: the path ends in NUL, and the kernel writes one `stat`.
    match check(|| unsafe { libc::stat(path.as_ptr(), stat.as_mut_ptr()) }) {
        // SAFETY: the call has filled it in.
        Ok(_) => unsafe { stat.assume_init() }.st_ino,
        Err(_) => 0,
    }
}

/// The user for whom this process acts.
pub fn effective_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// The name of this machine, or of the container or pod, ending in NUL.
pub fn host_name(name: &mut [u8; 65]) -> Result<(), Errno> {
    let (to, len) = (name.as_mut_ptr().cast(), name.len());
    // SAFETY: libc writes at most `len` bytes.
    check(|| unsafe { libc::gethostname(to, len) }).map(drop)
}

/// The bytes of an environment variable, handed to `read`; None if it is not set.
pub fn environment<R>(name: &CStr, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    // SAFETY: `name` ends in NUL; the answer is NULL or a string.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv's strings end in NUL and live until the variable is changed,
    // which a program must not do beside other threads.
    Some(read(unsafe { CStr::from_ptr(value) }.to_bytes()))
}

/// Writes a line to standard error in one go; what cannot be written is lost.
pub fn write_stderr(line: &[u8]) {
    super::preserve_errno(|| {
        // SAFETY: `line` is readable for its length.
        unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) }
    });
}
