//! Errors that explain themselves: a number for the program and a sentence for
//! its user, kept per thread.

use core::ffi::c_char;
use core::fmt;

use crate::sys::Errno;
use crate::sys::thread::{PerThread, Text};
use crate::xsk::logger::tell;

/// Room for a sentence; a longer one is cut.
const SENTENCE: usize = 512;

static LAST: PerThread<Text<SENTENCE>> = PerThread::new();

/// Why something failed. The sentence was written to the thread's slot when the
/// error was made, so that an error costs no allocation and is two registers wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    errno: Errno,
}

impl Error {
    /// An error that is explained by `why`: what failed, on what, and what to do.
    #[cold]
    pub fn new(errno: Errno, why: fmt::Arguments<'_>) -> Error {
        LAST.with(|last| last.set(why));
        Error { errno }
    }

    /// The number.
    pub fn errno(self) -> Errno {
        self.errno
    }
}

/// `Error::new` with the sentence in place, as in `format!`.
macro_rules! error {
    ($errno:expr, $($why:tt)+) => { $crate::xsk::Error::new($errno, format_args!($($why)+)) };
}
pub(crate) use error;

/// The same as an `Err`.
macro_rules! fail {
    ($($why:tt)+) => { Err($crate::xsk::error::error!($($why)+)) };
}
pub(crate) use fail;

/// The sentence of this thread's last error, ending in NUL; empty before the
/// first. Valid until the thread's next error or its end.
pub fn last_sentence() -> *const c_char {
    LAST.with(|last| last.as_ptr()).unwrap_or(c"out of memory".as_ptr())
}

/// Logs an error of a call whose interface has no sentences.
pub fn log_last(call: &str) {
    LAST.with(|last| last.read(|text| tell!(Info, "{call}: {text}")));
}

#[cfg(test)]
pub(crate) fn sentence() -> String {
    let mut sentence = String::new();
    LAST.with(|last| last.read(|text| sentence.push_str(text)));
    sentence
}
