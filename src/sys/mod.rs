//! The kernel's interfaces and libc's: every system call, every struct the
//! kernel reads or writes, and the few primitives that `std` would have given.
//! Nothing here decides anything; the core does.
#![allow(unsafe_code)]

pub mod abi;
pub mod area;
pub mod bpf;
pub mod btf;
pub mod clock;
pub mod epoll;
mod errno;
mod fd;
pub mod genetlink;
pub mod heap;
mod mmap;
pub mod netdev;
pub mod netlink;
pub mod process;
pub mod socket;
pub mod sysfs;
pub mod text;
pub mod thread;
pub mod unix;

pub use errno::{Errno, preserve_errno, set_errno};
pub use fd::{OwnedFd, RawFd};
pub use mmap::{HUGE_PAGE, Mmap};
