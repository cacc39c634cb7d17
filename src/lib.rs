//! AF_XDP sockets for C and C++ programs.
//!
//! ```text
//! C program -> include/xsk.h, generated from src/capi
//!   capi   the C interface: checks pointers, turns errors into numbers
//!   xsk    the core: rings, packet memory, sockets, wake-ups, programs
//!   sys    the kernel's interfaces: every system call, every struct
//! ```
//!
//! A layer uses only the one below it.
#![cfg_attr(not(test), no_std)]

#[cfg(not(target_os = "linux"))]
compile_error!("AF_XDP is Linux's");

extern crate alloc;

pub mod capi;
#[cfg(all(feature = "clib", not(test)))]
mod rt;
mod sys;
pub mod xsk;
