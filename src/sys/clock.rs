//! Time for bounded waits on the control path.

use core::ptr;

/// Milliseconds of a clock that never goes back.
pub fn monotonic_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, and `now` is one.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Gives up the processor for `ms` milliseconds, or less if a signal comes.
pub fn nap_ms(ms: i32) {
    // SAFETY: no descriptors are passed, so no memory is touched.
    super::preserve_errno(|| unsafe { libc::poll(ptr::null_mut(), 0, ms) });
}
