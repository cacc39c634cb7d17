//! What failed, and which library it was.

use core::ffi::c_char;

use crate::xsk::error;

/// Says why the last call of this thread failed that returned a negative errno.
///
/// A sentence in English without a newline, such as "bind: queue 4 of eth0: no
/// such queue, it has 1 (ethtool -l eth0)". Calls that succeed leave it alone.
///
/// @return never NULL; "" before the first failure. Valid until the thread's
///         next failing call or its end.
#[unsafe(no_mangle)]
pub extern "C" fn xsk_errmsg() -> *const c_char {
    error::last_sentence()
}

/// Gives the version of the library that runs, as "1.0.0".
///
/// XSK_VERSION is the one that was compiled against.
#[unsafe(no_mangle)]
pub extern "C" fn xsk_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
