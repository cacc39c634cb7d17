//! RX and fill ring for C programs: cursor calls, and batch calls over arrays.

use core::ptr;

use super::socket::xsk_socket;
use super::{array, array_out, pointer, rx_side, span_out};
use crate::xsk::Desc;

/// Claims entries of the RX ring to read.
///
/// @param[in]  socket  the socket
/// @param[in]  n       entries wanted
/// @param[out] idx     the first one's index; the others follow it, wrapping at
///                     2^32. Give each to xsk_rx_desc().
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_peek(socket: *mut xsk_socket, n: u32, idx: *mut u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !idx.is_null() => unsafe { span_out(side.rx().peek(n), idx) },
        _ => 0,
    }
}

/// Gives the entry behind an index that xsk_rx_peek() claimed, to be read.
///
/// @return the descriptor of a received packet;
///         NULL if socket is, or has no such ring. Any index is taken modulo the
///         ring's size.
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_desc(socket: *mut xsk_socket, idx: u32) -> *const Desc {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => pointer(side.rx().slot(idx)),
        None => ptr::null(),
    }
}

/// Gives the oldest claimed entries back to the kernel, which will reuse them.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_release(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => side.release(n),
        None => 0,
    }
}

/// Puts the newest claimed entries back, to be claimed again.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_cancel(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => side.rx().cancel(n),
        None => 0,
    }
}

/// Receives descriptors: copies them out of the RX ring and gives their entries
/// back to the kernel. The frames are the program's.
///
/// @param[in]  socket  the socket
/// @param[out] descs   room for n descriptors
/// @param[in]  n       how many at most
/// @return how many there were, 0 to n; 0 if a pointer is NULL, or while entries
///         claimed by xsk_rx_peek() are open
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_get(socket: *mut xsk_socket, descs: *mut Desc, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        // SAFETY: NULL or room for n, as documented.
        Some(side) => side.get(unsafe { array_out(descs, n) }),
        None => 0,
    }
}

/// Claims entries of the fill ring to write to.
///
/// @param[in]  socket  the socket
/// @param[in]  n       entries wanted
/// @param[out] idx     the first one's index; the others follow it, wrapping at
///                     2^32. Give each to xsk_fill_addr().
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_fill_reserve(socket: *mut xsk_socket, n: u32, idx: *mut u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !idx.is_null() => unsafe { span_out(side.fill().reserve(n), idx) },
        _ => 0,
    }
}

/// Gives the entry behind an index that xsk_fill_reserve() claimed, to be written.
///
/// @return the address, to be replaced by that of a frame;
///         NULL if socket is, or has no such ring. Any index is taken modulo the
///         ring's size.
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_fill_addr(socket: *mut xsk_socket, idx: u32) -> *mut u64 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => pointer(side.fill().slot(idx)),
        None => ptr::null_mut(),
    }
}

/// Gives the oldest claimed entries to the kernel.
///
/// xsk_rx_kick() comes next.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_fill_submit(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => side.fill().submit(n),
        None => 0,
    }
}

/// Gives up the newest claimed entries, which the kernel has not been given.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_fill_cancel(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => side.fill().cancel(n),
        None => 0,
    }
}

/// Gives frames to the kernel to receive into: copies addresses into the fill ring.
///
/// @param[in] socket  the socket
/// @param[in] addrs   n addresses, each anywhere in its frame
/// @param[in] n       how many
/// @return how many had room, 0 to n; 0 if a pointer is NULL, or while entries
///         claimed by xsk_fill_reserve() are open. xsk_rx_kick() comes next.
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_fill_put(socket: *mut xsk_socket, addrs: *const u64, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        // SAFETY: NULL or n addresses, as documented.
        Some(side) => side.fill().put(unsafe { array(addrs, n) }).0,
        None => 0,
    }
}
