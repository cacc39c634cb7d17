//! Packet calls for C programs: whole packets, with the rings kept fed.

use core::ffi::c_int;

use super::socket::xsk_socket;
use super::{answer, array, array_out, null, rx_side, tx_side};
use crate::xsk::packet::Buf;

/// `options` of struct xsk_buf: the packet goes on in the next buffer of the array.
///
/// Buffers one behind the other, all but the last with this flag, are one packet: a
/// chain. It is received and sent as it is by sockets that are bound with XSK_BIND_SG;
/// others neither get nor take one. The calls count buffers, and hand over whole packets
/// only. Of what is received each buffer is full but the last: in copy mode frame_size
/// less headroom and 256. The value is that of XDP_PKT_CONTD.
pub const XSK_BUF_MORE: u32 = 1 << 0;

/// Receives packets: takes them from the RX ring, tops up the fill ring from the
/// pool, and wakes the kernel where its flag asks for it.
///
/// The first call gives frames to the kernel. Made before xsk_socket_bind(), with
/// n = 0, it keeps the very first packets from finding an empty fill ring.
///
/// @param[in]  socket  the socket
/// @param[out] bufs    room for n; each buffer's frame is the program's until it
///                     gives it to xsk_tx_burst() or xsk_buf_free()
/// @param[in]  n       buffers wanted; 32 to 64 make a good burst. 0 only feeds.
/// @retval >=0        buffers of packets received, at most n; it does not wait. A
///                    packet of which not all buffers are there, or have room, waits
///                    for the next call.
/// @retval -ENETDOWN  none, and the interface is down
/// @retval -ENXIO     none, and the interface is gone. Where the kernel asks for no
///                    kick these two are noticed after 65536 empty calls in a row;
///                    xsk_socket_wait() notices sooner.
/// @retval -EMSGSIZE  none: the first packet has more than n buffers, and waits for a
///                    call with more room: 64 buffers are enough for any packet in
///                    frames of 2048 bytes without headroom. Only with XSK_BIND_SG.
/// @retval -EBUSY     entries peeked or reserved by ring calls are still open
/// @retval -EOPNOTSUPP  the socket only sends
/// @retval -EINVAL    a pointer is NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_burst(socket: *mut xsk_socket, bufs: *mut Buf, n: u32) -> c_int {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    let Some(side) = (unsafe { rx_side(socket) }) else { return answer(null("socket")) };
    if bufs.is_null() && n != 0 {
        return answer(null("bufs"));
    }
    // SAFETY: NULL or room for n, as documented.
    answer(side.burst(unsafe { array_out(bufs, n) }))
}

/// Sends packets: reclaims the frames of those that are out, puts the new ones into
/// the TX ring, and wakes the kernel where its flag asks for it.
///
/// @param[in] socket  the socket
/// @param[in] bufs    n buffers, from xsk_buf_alloc() or xsk_rx_burst() of a socket
///                    with the same UMEM, each a packet or, with XSK_BUF_MORE, the
///                    part of one
/// @param[in] n       buffers; 0 only reclaims and wakes
/// @retval >=0        how many buffers were taken, from the first on, whole packets
///                    only. Their frames are the kernel's and return to the pool when
///                    they are sent; the others are still the program's. Fewer than
///                    n: the ring has not room for more, or the next packet cannot be
///                    sent (call again with it to be told why). What is taken while
///                    the interface is down waits in the ring: xsk_tx_kick() and
///                    xsk_socket_check() tell.
/// @retval -EINVAL    none: a pointer is NULL; or a buffer of the first packet is
///                    empty, is not within its frame, has options that no
///                    xsk_buf_request_checksum() or the like has set, or is on its way
///                    already; or that packet goes on behind the last buffer,
///                    or has several and the socket is not bound with XSK_BIND_SG
/// @retval -EMSGSIZE  none: the first packet has more buffers than the kernel sends as
///                    one (`max_frags` of xsk_socket_info()), or than the TX or the
///                    completion ring has entries. The kernel would drop it.
/// @retval -ENETDOWN  none was put into the ring and the interface is down
/// @retval -ENXIO     the interface is gone: destroy the socket
/// @retval -ENOTCONN  the socket is not bound
/// @retval -EBUSY     entries reserved or peeked by ring calls are still open
/// @note Threads: the transmit side's. Does not wait, but in copy mode the kernel
///       sends during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_burst(socket: *mut xsk_socket, bufs: *const Buf, n: u32) -> c_int {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    let Some(side) = (unsafe { tx_side(socket) }) else { return answer(null("socket")) };
    if bufs.is_null() && n != 0 {
        return answer(null("bufs"));
    }
    // SAFETY: NULL or n buffers, as documented.
    answer(side.burst(unsafe { array(bufs, n) }))
}

/// Tells how many buffers of xsk_tx_burst() are not sent yet, and reclaims the
/// frames of those that are.
///
/// A program that is to end when all is sent calls xsk_tx_kick() until this is 0.
///
/// @return buffers; 0 if socket is NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_pending(socket: *mut xsk_socket) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    unsafe { tx_side(socket) }.map_or(0, |side| side.pending())
}

/// Takes frames to write packets to.
///
/// @param[in]  socket  the socket that will send them, or any with the same UMEM
/// @param[out] bufs    room for n; `data` points behind the headroom (and, with
///                     XSK_UMEM_TX_METADATA, 32 bytes more) and `len` is
///                     the room from there to the frame's end, to be replaced by the
///                     packet's length. What is not sent goes to xsk_buf_free() or
///                     xsk_umem_free().
/// @param[in]  n       frames wanted
/// @return how many there are, 0 to n; 0 if a pointer is NULL. When frames run out,
///         those of packets that are sent are reclaimed first.
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_alloc(socket: *mut xsk_socket, bufs: *mut Buf, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    let Some(side) = (unsafe { tx_side(socket) }) else { return 0 };
    // SAFETY: NULL or room for n, as documented.
    side.alloc(unsafe { array_out(bufs, n) })
}

/// Gives back the frames of packets that are done with.
///
/// @param[in] socket  the socket that received them, or any with the same UMEM
/// @param[in] bufs    n buffers; only `addr` is looked at
/// @param[in] n       buffers
/// @return how many were taken back; fewer than n if an address is outside the UMEM,
///         its frame waits for a packet of this socket, or the pool has all frames
///         already: that buffer and those behind it are not looked at. 0 if a pointer
///         is NULL. A frame that is freed twice while others are out, or while it is
///         being sent, is not noticed, which would cost a shared line a packet.
/// @note Threads: the receive side's. A thread that only sends uses xsk_umem_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_free(socket: *mut xsk_socket, bufs: *const Buf, n: u32) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    let Some(side) = (unsafe { rx_side(socket) }) else { return 0 };
    // SAFETY: NULL or n buffers, as documented.
    side.free(unsafe { array(bufs, n) })
}
