//! Errno as a type, and the one place that reads libc's.

use core::ffi::c_int;
use core::fmt;

/// An error number of the kernel, always positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(c_int);

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`")]
              pub const $name: Errno = Errno(libc::$name);)*

            /// The symbol, as C programs know it, or "errno" for a rare one.
            pub fn name(self) -> &'static str {
                match self { $(Errno::$name => stringify!($name),)* _ => "errno" }
            }
        }
    };
}

errnos! {
    E2BIG EACCES EADDRINUSE EAFNOSUPPORT EAGAIN EBADF EBADFD EBUSY ECONNABORTED ECONNREFUSED
    ECONNRESET EEXIST EFAULT EINTR EINVAL EIO EMFILE EMSGSIZE ENAMETOOLONG ENETDOWN ENETUNREACH
    ENFILE ENOBUFS ENODATA ENODEV ENOENT ENOMEM ENOPROTOOPT ENOSPC ENOSYS ENOTCONN ENOTDIR ENOTEMPTY ENOTSOCK ENXIO EOPNOTSUPP
    EOVERFLOW EPERM EPIPE EPROTO EPROTONOSUPPORT ERANGE ESRCH ETIMEDOUT
}

impl Errno {
    /// The number itself, as in `errno.h`.
    pub fn raw(self) -> c_int {
        self.0
    }

    /// The error in a kernel answer of `-errno`; None for 0 and above.
    pub fn from_answer(answer: c_int) -> Option<Errno> {
        (answer < 0).then(|| Errno(answer.saturating_neg()))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn location() -> *mut c_int {
    // SAFETY: takes nothing and gives this thread's errno, valid while it lives.
    unsafe { libc::__errno_location() }
}

fn read() -> c_int {
    // SAFETY: `location` is this thread's own errno.
    unsafe { *location() }
}

/// Sets libc's errno, for interfaces that answer so.
pub fn set_errno(errno: Errno) {
    // SAFETY: as in `read`.
    unsafe { *location() = errno.raw() };
}

/// Makes a call that answers -1 and sets errno on failure; libc's errno is
/// the caller's and stays as it was.
pub(super) fn check(call: impl FnOnce() -> c_int) -> Result<c_int, Errno> {
    preserve_errno(|| match call() {
        -1 => Err(Errno(read())),
        answer => Ok(answer),
    })
}

/// Runs `work` and puts libc's errno back: it belongs to the calling program.
pub fn preserve_errno<R>(work: impl FnOnce() -> R) -> R {
    let before = read();
    let result = work();
    // SAFETY: as in `read`.
    unsafe { *location() = before };
    result
}
