//! The ring structs of a socket, for programs that want no call at all.

use core::ptr;

use super::socket::xsk_socket;
use super::{rx_side, tx_side};

/// A TX or fill ring, for the inline helpers of <xdp/xsk.h>, which defines it.
pub struct xsk_ring_prod {
    _opaque: [u8; 0],
}

/// An RX or completion ring, for the inline helpers of <xdp/xsk.h>, which defines it.
pub struct xsk_ring_cons {
    _opaque: [u8; 0],
}

/// Gives a socket's RX ring, for a program that works on single descriptors: the inline
/// helpers of <xdp/xsk.h> cost no call.
///
/// The calls here and the helpers use one struct, so a program may mix them, on the
/// same thread. What goes through the helpers is not in the packets and bytes of
/// xsk_socket_stats(), and its frames are not the packet calls'.
///
/// @return the ring, which stays the socket's and is good until it is destroyed; NULL
///         if socket is, or has no such ring
/// @note Threads: the ring is the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_rx_ring(socket: *mut xsk_socket) -> *mut xsk_ring_cons {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => side.rx().address().cast(),
        None => ptr::null_mut(),
    }
}

/// Gives a socket's fill ring, as xsk_socket_rx_ring() does the RX ring.
///
/// @return the ring; NULL if socket is
/// @note Threads: the ring is the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_fill_ring(socket: *mut xsk_socket) -> *mut xsk_ring_prod {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => side.fill().address().cast(),
        None => ptr::null_mut(),
    }
}

/// Gives a socket's TX ring, as xsk_socket_rx_ring() does the RX ring.
///
/// @return the ring; NULL if socket is, or has no such ring
/// @note Threads: the ring is the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_tx_ring(socket: *mut xsk_socket) -> *mut xsk_ring_prod {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => side.tx().address().cast(),
        None => ptr::null_mut(),
    }
}

/// Gives a socket's completion ring, as xsk_socket_rx_ring() does the RX ring.
///
/// @return the ring; NULL if socket is
/// @note Threads: the ring is the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_comp_ring(socket: *mut xsk_socket) -> *mut xsk_ring_cons {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) => side.comp().address().cast(),
        None => ptr::null_mut(),
    }
}
