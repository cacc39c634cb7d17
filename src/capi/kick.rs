//! Wake-ups for C programs.

use core::ffi::c_int;

use super::socket::xsk_socket;
use super::{answer, check_flags, null, rx_side, tx_side};
use crate::xsk::Error;
use crate::xsk::wake::Kick;

/// Makes a kick even where the ring's flag does not ask for one.
pub const XSK_KICK_FORCE: u32 = 1 << 0;

/// Answer of a kick: the kernel needed none, or had one and did all there was.
pub const XSK_KICK_DONE: c_int = 0;
/// Answer of a kick: the kernel had one and has more to do: kick again, after a
/// look at the completion ring.
pub const XSK_KICK_AGAIN: c_int = 1;

fn force(flags: u32) -> Result<bool, Error> {
    check_flags(flags, XSK_KICK_FORCE, "kick: flags").map(|()| flags & XSK_KICK_FORCE != 0)
}

fn kicked(result: Result<Kick, Error>) -> c_int {
    answer(result.map(|kick| match kick {
        Kick::Done => XSK_KICK_DONE as u32,
        Kick::Again => XSK_KICK_AGAIN as u32,
    }))
}

/// Has the kernel send what is in the TX ring, if the ring's flag asks for it.
///
/// In copy mode that is always so, the kernel sends during the call, and one call
/// moves at most the tx_budget of xsk_socket_info(), and nothing behind an invalid
/// descriptor, which the next call skips: both are XSK_KICK_AGAIN. With busy polling
/// the flag does not matter: the kernel sends and completes during the call.
///
/// @param[in] socket  a bound socket
/// @param[in] flags   XSK_KICK_FORCE or 0
/// @retval XSK_KICK_DONE   nothing was needed, or the kernel was woken
/// @retval XSK_KICK_AGAIN  the kernel could not do all (its budget, a full
///                         completion ring, a busy driver): kick again
/// @retval -ENETDOWN  the interface is down; what is in the ring stays there and
///                    is sent by a kick when it is up again
/// @retval -ENXIO     the interface is gone: destroy the socket
/// @retval -ENOTCONN  the socket is not bound
/// @retval -EOPNOTSUPP  the socket only receives
/// @retval -EINVAL    socket is NULL, or unknown flags
/// @note Threads: the transmit side's. One system call at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_kick(socket: *mut xsk_socket, flags: u32) -> c_int {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    kicked(match unsafe { tx_side(socket) } {
        Some(side) => force(flags).and_then(|force| side.kick(force)),
        None => null("socket"),
    })
}

/// Has the kernel receive into what is in the fill ring, if the ring's flag asks
/// for it. The flag is the fill ring's: the kernel sets none on the RX ring. With busy
/// polling it does not matter: the kernel fetches packets during the call.
///
/// @param[in] socket  a bound socket
/// @param[in] flags   XSK_KICK_FORCE or 0
/// @retval XSK_KICK_DONE   nothing was needed, or the kernel was woken
/// @retval XSK_KICK_AGAIN  the driver was busy: kick again
/// @retval -ENETDOWN  the interface is down; the socket works again when it is up
/// @retval -ENXIO     the interface is gone: destroy the socket
/// @retval -ENOTCONN  the socket is not bound
/// @retval -EOPNOTSUPP  the socket only sends
/// @retval -EINVAL    socket is NULL, or unknown flags
/// @note Threads: the receive side's. One system call at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_kick(socket: *mut xsk_socket, flags: u32) -> c_int {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    kicked(match unsafe { rx_side(socket) } {
        Some(side) => force(flags).and_then(|force| side.kick(force)),
        None => null("socket"),
    })
}

/// Kicks both ways, as far as the socket goes them.
///
/// @retval XSK_KICK_DONE   as for the two
/// @retval XSK_KICK_AGAIN  one of them wants another
/// @retval <0              one of them failed, as xsk_tx_kick() and xsk_rx_kick();
///                         the other was made nevertheless
/// @note Threads: one that drives both sides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_kick(socket: *mut xsk_socket, flags: u32) -> c_int {
    // SAFETY: NULL or alive, and this thread drives both sides, as documented.
    let rx = unsafe { rx_side(socket) };
    // SAFETY: as above.
    let tx = unsafe { tx_side(socket) };
    kicked(match (rx, tx) {
        (Some(rx), Some(tx)) => force(flags).and_then(|force| {
            let sent = if tx.sends() { tx.kick(force) } else { Ok(Kick::Done) };
            let received = if rx.receives() { rx.kick(force) } else { Ok(Kick::Done) };
            Ok(sent?.and(received?))
        }),
        _ => null("socket"),
    })
}
