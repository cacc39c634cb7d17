//! TX and completion ring for C programs: cursor calls, and batch calls over arrays.

use core::ptr;

use super::socket::xsk_socket;
use super::{array, array_out, pointer, span_out, tx_side};
use crate::xsk::Desc;

/// Claims entries of the TX ring to write to.
///
/// @param[in]  socket  the socket
/// @param[in]  n       entries wanted
/// @param[out] idx     the first one's index; the others follow it, wrapping at
///                     2^32. Give each to xsk_tx_desc().
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_reserve(socket: *mut xsk_socket, n: u32, idx: *mut u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !idx.is_null() => unsafe { span_out(side.tx().reserve(n), idx) },
        _ => 0,
    }
}

/// Gives the entry behind an index that xsk_tx_reserve() claimed, to be written.
///
/// @return the descriptor, to be written in full;
///         NULL if socket is, or has no such ring. Any index is taken modulo the
///         ring's size.
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_desc(socket: *mut xsk_socket, idx: u32) -> *mut Desc {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => pointer(side.tx().slot(idx)),
        None => ptr::null_mut(),
    }
}

/// Gives the oldest claimed entries to the kernel.
///
/// A descriptor that is invalid (no length, outside the UMEM, crossing the end of a
/// frame) is not sent: see tx_invalid_descs in xsk_socket_stats(). Linux 6.18 gives
/// its frame back as if it were; a kernel that does not keeps it. xsk_tx_kick() comes
/// next.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_submit(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => side.submit(n),
        None => 0,
    }
}

/// Gives up the newest claimed entries, which the kernel has not been given.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_cancel(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => side.tx().cancel(n),
        None => 0,
    }
}

/// Sends descriptors: copies them into the TX ring and gives them to the kernel.
///
/// @param[in] socket  the socket
/// @param[in] descs   n descriptors
/// @param[in] n       how many
/// @return how many had room, 0 to n; 0 if a pointer is NULL, or while entries
///         claimed by xsk_tx_reserve() are open. xsk_tx_kick() comes next.
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_put(socket: *mut xsk_socket, descs: *const Desc, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        // SAFETY: NULL or n descriptors, as documented.
        Some(side) => side.put(unsafe { array(descs, n) }),
        None => 0,
    }
}

/// Claims entries of the completion ring to read.
///
/// @param[in]  socket  the socket
/// @param[in]  n       entries wanted
/// @param[out] idx     the first one's index; the others follow it, wrapping at
///                     2^32. Give each to xsk_comp_addr().
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_comp_peek(socket: *mut xsk_socket, n: u32, idx: *mut u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !idx.is_null() => unsafe { span_out(side.comp().peek(n), idx) },
        _ => 0,
    }
}

/// Gives the entry behind an index that xsk_comp_peek() claimed, to be read.
///
/// @return the address of a packet that is sent;
///         NULL if socket is, or has no such ring. Any index is taken modulo the
///         ring's size.
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_comp_addr(socket: *mut xsk_socket, idx: u32) -> *const u64 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => pointer(side.comp().slot(idx)),
        None => ptr::null(),
    }
}

/// Gives the oldest claimed entries back to the kernel, which will reuse them.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_comp_release(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => side.comp().release(n),
        None => 0,
    }
}

/// Puts the newest claimed entries back, to be claimed again.
///
/// @return how many: n, or all that are claimed if they are fewer; 0 if socket is
///         NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_comp_cancel(socket: *mut xsk_socket, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => side.comp().cancel(n),
        None => 0,
    }
}

/// Takes back frames that are sent: copies addresses out of the completion ring and
/// gives their entries back to the kernel.
///
/// @param[in]  socket  the socket
/// @param[out] addrs   room for n addresses, each as it stood in its descriptor
/// @param[in]  n       how many at most
/// @return how many there were, 0 to n; 0 if a pointer is NULL, or while entries
///         claimed by xsk_comp_peek() are open
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_comp_get(socket: *mut xsk_socket, addrs: *mut u64, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        // SAFETY: NULL or room for n, as documented.
        Some(side) => side.comp().get(unsafe { array_out(addrs, n) }).0,
        None => 0,
    }
}
