//! The core: what an AF_XDP socket is and does. Safe Rust but for the ring; no
//! system calls, which are `sys`'s, and no C types, which are `capi`'s.

pub mod attachment;
mod bind;
pub mod busy;
mod chain;
mod channel;
pub mod config;
pub mod counters;
pub mod dispatcher;
pub mod error;
mod fours;
mod frames;
pub mod geometry;
pub mod grant;
pub mod k8s;
pub mod legacy;
pub mod logger;
pub mod metadata;
mod netlinked;
pub mod packet;
pub mod port;
pub mod probe;
pub mod program;
mod quarantine;
mod registrations;
pub mod ring;
pub mod rx;
pub mod side;
pub mod socket;
pub mod tx;
pub mod umem;
pub mod wake;
pub mod xskmap;

pub use crate::sys::abi::{Desc, SockFilter};
pub use crate::sys::heap::{Shared, copy_slice, try_box, try_slice};
pub use crate::sys::socket::Ready;
pub use crate::sys::{Errno, RawFd, preserve_errno, set_errno};
pub use error::Error;
