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

/// Gives the address of the RX ring's producer index, for a thread that waits for
/// packets by watching memory: umonitor and umwait on x86, as DPDK's power library uses
/// them, or wfe on Arm.
///
/// The kernel alone writes the index: it adds, modulo 2^32, the number of descriptors
/// that it has put into the ring. Another value than before means that packets came, and
/// nothing else changes it. To lose none: receive until nothing comes, read the index,
/// arm the monitor, read it once more and sleep only if it is the same. Let the sleep be
/// a short one and call xsk_rx_burst() or xsk_rx_kick() after it: a kernel that waits for
/// a kick, or that is busy-polled, puts nothing into the ring meanwhile, and an interface
/// that goes away does not change the index either.
///
/// @return the address, to be read only, with acquire order before entries are read, and
///         good until the socket is destroyed; NULL if socket is, or has no RX ring
/// @note Threads: the call is the receive side's; any may read the index. Linux 5.4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_rx_monitor(socket: *mut xsk_socket) -> *const u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) => side.rx().monitor(),
        None => ptr::null(),
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
