//! libxdp's interface over the same objects: its names, types and errors. What the
//! functions promise stands in include/xdp/xsk.h.

use core::ffi::c_int;
use core::mem::{MaybeUninit, size_of};
use core::ptr;

use crate::xsk::error::fail;
use crate::xsk::{Errno, Error, error, logger, preserve_errno, set_errno};

mod helpers;
mod program;
mod socket;
mod umem;

/// Runs a call that answers 0 or a negative errno. With LIBXSK_LOG=info its failure
/// is told on standard error.
fn guard(name: &str, call: impl FnOnce() -> Result<(), Error>) -> c_int {
    preserve_errno(|| match logged(name, call) {
        Ok(()) => 0,
        Err(error) => -error.errno().raw(),
    })
}

/// Runs a call that answers a pointer, or NULL with errno set.
fn guard_pointer<T>(name: &str, call: impl FnOnce() -> Result<*mut T, Error>) -> *mut T {
    logged(name, call).unwrap_or_else(|error| {
        set_errno(error.errno());
        ptr::null_mut()
    })
}

fn logged<R>(name: &str, call: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    logger::start();
    call().inspect_err(|_| error::log_last(name))
}

/// The error for a NULL, which is libxdp's.
fn null<T>(name: &str) -> Result<T, Error> {
    fail!(Errno::EFAULT, "{name} is NULL")
}

/// A struct whose first member is its own size, as `size_t`.
///
/// # Safety
/// It must be `repr(C)`, begin with its size, and be valid when zeroed.
unsafe trait Opts: Copy {
    const NAME: &'static str;
}

/// Copies what the caller has of an opts struct; what it lacks is zero. NULL is all
/// zero.
///
/// # Safety
/// `from` must be NULL or readable for as many bytes as its first member says.
unsafe fn copy_opts<T: Opts>(from: *const T) -> Result<T, Error> {
    let mut opts = MaybeUninit::<T>::zeroed();
    if !from.is_null() {
        // SAFETY: a size_t comes first, whatever the struct's version.
        let size = unsafe { from.cast::<usize>().read_unaligned() };
        // 4096: no version of libxdp has a larger one; more is garbage.
        if !(size_of::<usize>()..=4096).contains(&size) {
            return fail!(Errno::EINVAL, "{}.sz is {size}: set it to its sizeof", T::NAME);
        }
        let (bytes, ours) = (from.cast::<u8>(), size_of::<T>());
        // SAFETY: the caller has `size` bytes, `opts` has `ours`.
        unsafe { ptr::copy_nonoverlapping(bytes, opts.as_mut_ptr().cast(), size.min(ours)) };
        for at in ours..size {
            // SAFETY: below `size`, up to which the caller's struct is readable.
            if unsafe { bytes.wrapping_add(at).read() } != 0 {
                return fail!(Errno::EINVAL, "{}: byte {at} is set and not known", T::NAME);
            }
        }
    }
    // SAFETY: integers and pointers, zeroed and partly copied.
    Ok(unsafe { opts.assume_init() })
}
