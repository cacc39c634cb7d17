//! The C interface: pointers become references or errors, one call goes into the
//! core, and what comes back becomes a number. Nothing is decided here.
//!
//! The comments on exported functions become include/xsk.h, for readers who know C:
//! what they promise about pointers is the safety contract, so it is not repeated
//! under a heading of rustdoc's.
#![warn(missing_docs)]
#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc)]

use core::ffi::{c_char, c_int};
use core::mem::{MaybeUninit, size_of};
use core::ptr::{self, NonNull};

use crate::xsk::error::fail;
use crate::xsk::ring::Span;
use crate::xsk::rx::RxSide;
use crate::xsk::socket::Socket;
use crate::xsk::tx::TxSide;
use crate::xsk::{Errno, Error, logger, preserve_errno};

mod attach;
mod bind;
mod errmsg;
mod grant;
mod k8s;
mod kick;
/// libxdp's names, declared in include/xdp/xsk.h.
mod libxdp;
mod log;
mod metadata;
mod packet;
mod port;
mod probe;
mod program;
mod ring;
mod run;
mod rx;
mod socket;
mod stats;
mod tx;
mod umem;

pub use attach::*;
pub use bind::*;
pub use errmsg::*;
pub use grant::*;
pub use k8s::*;
pub use kick::*;
pub use log::*;
pub use metadata::*;
pub use packet::*;
pub use port::*;
pub use probe::*;
pub use program::*;
pub use ring::*;
pub use run::*;
pub use rx::*;
pub use socket::*;
pub use stats::*;
pub use tx::*;
pub use umem::*;

/// Runs a control call: 0 for success, or a negative errno whose sentence was
/// written where it came from. errno itself stays as it was.
fn guard(call: impl FnOnce() -> Result<(), Error>) -> c_int {
    guard_count(|| call().map(|()| 0))
}

/// The same for a call that gives a number.
fn guard_count(call: impl FnOnce() -> Result<u32, Error>) -> c_int {
    preserve_errno(|| {
        logger::start();
        answer(call())
    })
}

/// A count, or a negative errno.
fn answer(result: Result<u32, Error>) -> c_int {
    match result {
        Ok(count) => c_int::try_from(count).unwrap_or(c_int::MAX),
        Err(error) => -error.errno().raw(),
    }
}

/// The error for a NULL that is not allowed.
fn null<T>(name: &str) -> Result<T, Error> {
    fail!(Errno::EINVAL, "{name} is NULL")
}

/// A struct that callers hand over with its own size in the first member.
///
/// # Safety
/// It must be `repr(C)`, begin with its size as `u32`, and be valid when zeroed.
unsafe trait Sized32: Copy {
    /// The name that C programs know.
    const NAME: &'static str;
}

/// No struct of this library will be larger; a size above is garbage.
const SIZE_MAX: u32 = 4096;

/// Copies what the caller has of a params struct; what it lacks is zero. NULL is
/// all zero.
///
/// # Safety
/// `from` must be NULL or readable for as many bytes as its first member says.
unsafe fn copy_params<T: Sized32>(from: *const T) -> Result<T, Error> {
    if from.is_null() {
        // SAFETY: zero is a value of T, as `Sized32` promises.
        return Ok(unsafe { MaybeUninit::<T>::zeroed().assume_init() });
    }
    // SAFETY: a u32 comes first, whatever the struct's version.
    let size = unsafe { from.cast::<u32>().read_unaligned() };
    // SAFETY: the caller's promise, and `Sized32`'s.
    unsafe { copy_struct(from, size, T::NAME) }
}

/// Copies what the caller has of a struct whose size stands elsewhere.
///
/// # Safety
/// `from` must be readable for `size` bytes, and T valid when zeroed.
unsafe fn copy_struct<T: Copy>(from: *const T, size: u32, name: &str) -> Result<T, Error> {
    let mut params = MaybeUninit::<T>::zeroed();
    // SAFETY: the caller's promise; and `params` has as many bytes as it is long.
    unsafe { copy_bytes(from.cast(), size, params.as_mut_ptr().cast(), size_of::<T>(), name) }?;
    // SAFETY: integers and pointers, zeroed and partly copied.
    Ok(unsafe { params.assume_init() })
}

/// # Safety
/// There must be `size` bytes to read, and `ours` to write.
unsafe fn copy_bytes(
    from: *const u8,
    size: u32,
    to: *mut u8,
    ours: usize,
    name: &str,
) -> Result<(), Error> {
    check_size(size, name)?;
    let size = size as usize;
    // SAFETY: the caller has `size` bytes, `to` has `ours`.
    unsafe { ptr::copy_nonoverlapping(from, to, size.min(ours)) };
    for at in ours..size {
        // SAFETY: below `size`, up to which the caller's struct is readable.
        if unsafe { from.wrapping_add(at).read() } != 0 {
            return fail!(
                Errno::EINVAL,
                "{name}: byte {at} is set, which this version ({}) does not know; its struct has \
                 {ours}",
                env!("CARGO_PKG_VERSION")
            );
        }
    }
    Ok(())
}

/// Fills in as much of an info struct as the caller has; the rest of his is zeroed.
///
/// # Safety
/// `to` must be NULL or writable for as many bytes as its first member says.
unsafe fn write_info<T: Sized32>(to: *mut T, info: T) -> Result<(), Error> {
    if to.is_null() {
        return null(T::NAME);
    }
    // SAFETY: a u32 comes first, whatever the struct's version.
    let size = unsafe { to.cast::<u32>().read_unaligned() };
    check_size(size, T::NAME)?;
    let (size, ours) = (size as usize, size_of::<T>());
    let from = (&raw const info).cast::<u8>();
    // SAFETY: the caller has `size` bytes.
    unsafe { ptr::write_bytes(to.cast::<u8>(), 0, size) };
    // SAFETY: `info` has `ours` bytes and the caller has `size`.
    unsafe { ptr::copy_nonoverlapping(from, to.cast::<u8>(), size.min(ours)) };
    // SAFETY: as for the read above.
    unsafe { to.cast::<u32>().write_unaligned(size as u32) };
    Ok(())
}

fn check_size(size: u32, name: &str) -> Result<(), Error> {
    if (size_of::<u32>() as u32..=SIZE_MAX).contains(&size) {
        return Ok(());
    }
    fail!(Errno::EINVAL, "{name}.size is {size}: set it to sizeof(struct {name})")
}

/// Copies a name; the last byte stays NUL.
#[inline(never)]
fn put(to: &mut [c_char], from: &[u8]) {
    let room = to.len() - 1;
    for (to, from) in to.iter_mut().take(room).zip(from) {
        *to = *from as c_char;
    }
}

/// Refuses flag bits that nobody has given a meaning.
fn check_flags(flags: u32, known: u32, name: &str) -> Result<(), Error> {
    match flags & !known {
        0 => Ok(()),
        unknown => fail!(Errno::EINVAL, "{name}: unknown flags {unknown:#x}"),
    }
}

/// The receive side of a socket; None for NULL.
///
/// # Safety
/// `socket` is NULL or alive, and this thread is the one that drives the side.
#[inline]
unsafe fn rx_side<'a>(socket: *mut xsk_socket) -> Option<&'a mut RxSide> {
    // SAFETY: the handle is a Socket; this shared reference is to what no data call
    // writes, and the sides lie elsewhere.
    let socket = unsafe { socket.cast::<Socket>().as_ref() }?;
    // SAFETY: alive with the socket, and only this thread has it.
    unsafe { socket.rx_side().as_mut() }
}

/// The transmit side of a socket; None for NULL.
///
/// # Safety
/// As for `rx_side`.
#[inline]
unsafe fn tx_side<'a>(socket: *mut xsk_socket) -> Option<&'a mut TxSide> {
    // SAFETY: as in `rx_side`.
    let socket = unsafe { socket.cast::<Socket>().as_ref() }?;
    // SAFETY: as in `rx_side`.
    unsafe { socket.tx_side().as_mut() }
}

/// An array that is only read; empty for NULL.
///
/// # Safety
/// `items` is NULL or has `n` of them.
#[inline]
unsafe fn array<'a, T>(items: *const T, n: u32) -> &'a [T] {
    if items.is_null() {
        return &[];
    }
    // SAFETY: not NULL, and the caller's promise.
    unsafe { core::slice::from_raw_parts(items, n as usize) }
}

/// An array that is only written; empty for NULL.
///
/// # Safety
/// `items` is NULL or has room for `n` of them.
#[inline]
unsafe fn array_out<'a, T>(items: *mut T, n: u32) -> &'a mut [MaybeUninit<T>] {
    if items.is_null() {
        return &mut [];
    }
    // SAFETY: not NULL, and the caller's promise; it need not be initialised.
    unsafe { core::slice::from_raw_parts_mut(items.cast(), n as usize) }
}

/// Writes where a span starts, and gives how long it is.
///
/// # Safety
/// `idx` must be writable.
#[inline]
unsafe fn span_out(span: Span, idx: *mut u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { idx.write(span.first) };
    span.count
}

/// The pointer to a slot; NULL without one.
fn pointer<T>(slot: Option<NonNull<T>>) -> *mut T {
    slot.map_or(ptr::null_mut(), NonNull::as_ptr)
}
