//! Log lines for C programs.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem;

use super::guard;
use crate::xsk::Errno;
use crate::xsk::error::fail;
use crate::xsk::logger::{self, Callback};

/// No log lines.
pub const XSK_LOG_OFF: u32 = 0;
/// What the operator should know: a link down, a fallback taken.
pub const XSK_LOG_WARN: u32 = 1;
/// What the library does: sockets bound, programs attached.
pub const XSK_LOG_INFO: u32 = 2;
/// All there is.
pub const XSK_LOG_DEBUG: u32 = 3;

/// Receives a log line: its level (XSK_LOG_WARN ...), the line without a newline,
/// valid during the call only, and the context given to xsk_log_set().
pub type xsk_log_fn =
    Option<unsafe extern "C" fn(level: u32, line: *const c_char, context: *mut c_void)>;

/// Sends the library's log lines to a function.
///
/// Without it, lines go to standard error if the environment variable LIBXSK_LOG
/// is "warn", "info" or "debug" when the library is first used, and nowhere
/// otherwise. Nothing is logged per packet.
///
/// @param[in] function  called in the thread that met the event; may call the
///                      library, must not unwind or longjmp. NULL goes back to
///                      LIBXSK_LOG.
/// @param[in] context   handed to it
/// @param[in] level     the most detailed level wanted, XSK_LOG_OFF to XSK_LOG_DEBUG
/// @retval 0        set, for the whole process
/// @retval -EINVAL  no such level
/// @note Threads: any. A line under way in another thread may still come after.
#[unsafe(no_mangle)]
pub extern "C" fn xsk_log_set(function: xsk_log_fn, context: *mut c_void, level: u32) -> c_int {
    guard(|| {
        let Some(filter) = logger::level(level) else {
            return fail!(Errno::EINVAL, "log: no level {level}: XSK_LOG_OFF 0 to XSK_LOG_DEBUG 3");
        };
        let callback = function.map(|function| Callback {
            deliver,
            function: function as usize,
            context: context.expose_provenance(),
        });
        logger::set(callback.map(|callback| (callback, filter)));
        Ok(())
    })
}

fn deliver(callback: &Callback, level: u32, line: &CStr) {
    // SAFETY: it was made of an xsk_log_fn in xsk_log_set, the only place that names
    // this function.
    let function = unsafe { mem::transmute::<usize, xsk_log_fn>(callback.function) };
    let context = core::ptr::with_exposed_provenance_mut(callback.context);
    if let Some(function) = function {
        // SAFETY: the program gave it to be called so; the line ends in NUL.
        unsafe { function(level, line.as_ptr(), context) };
    }
}
