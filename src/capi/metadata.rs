//! What C programs ask for single packets.

use core::ffi::c_int;
use core::ptr;

use super::socket::{socket_ref, xsk_socket};
use super::umem::{umem_ref, xsk_umem};
use super::{answer, array_out, null, tx_side};
use crate::xsk::metadata::Request;
use crate::xsk::packet::{Buf, Stamp};
use crate::xsk::program::hints::Hint;

/// What stands in front of a packet to be sent; <linux/if_xdp.h> defines it, since Linux
/// 6.8.
pub struct xsk_tx_metadata {
    _opaque: [u8; 0],
}

/// # Safety
/// As the functions below document.
unsafe fn ask(socket: *mut xsk_socket, buf: *mut Buf, request: Request) -> c_int {
    // SAFETY: NULL or alive, and this is the side's thread, as the caller promises.
    let Some(side) = (unsafe { tx_side(socket) }) else { return answer(null("socket")) };
    // SAFETY: NULL or a buffer, as the caller promises.
    answer(match unsafe { buf.as_mut() } {
        Some(buf) => side.request(buf, request).map(|()| 0),
        None => null("buf"),
    })
}

/// Has a checksum put into a packet that is to be sent.
///
/// The bytes from `start` to the packet's end are summed up as the Internet protocols do
/// it (RFC 1071), and the result is written to the two bytes at `start + offset`. What
/// stands there before is part of the sum: for TCP and UDP the sum of the pseudo-header,
/// neither complemented nor 0. For UDP in IPv4, say: start 34, offset 6.
///
/// In zero-copy mode the device does it. In copy mode it is up to the driver as for any
/// packet of the kernel's: on real interfaces the sum is right on the wire; a virtual
/// one like veth passes packets on within the machine with the sum still to be made, which
/// the kernel's own protocols take for right, and a capture shows. There
/// XSK_UMEM_TX_SW_CSUM makes it right at once.
///
/// Do this and the other requests last, when the packet is complete: they stand in front
/// of `data`, which must not be moved any more, and are checked against `len`. A request
/// holds for one packet: whoever sends the buffer again asks again, with `options` 0.
///
/// @param[in]     socket  the socket that will send it, bound, with a UMEM that has
///                        XSK_UMEM_TX_METADATA
/// @param[in,out] buf     the packet; its `options` say then that something is asked
/// @param[in]     start   where the sum starts, in bytes from `data`
/// @param[in]     offset  where it goes, in bytes from start
/// @retval 0           asked
/// @retval -EINVAL     a pointer is NULL, the packet is not within its frame with room
///                     for the metadata, or the sum is not within the packet
/// @retval -EOPNOTSUPP the driver cannot in zero-copy mode; or the UMEM has no metadata,
///                     or the socket only receives
/// @retval -ENOTCONN   the socket is not bound, so that nobody knows its driver
/// @note Threads: the transmit side's. Linux 6.8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_request_checksum(
    socket: *mut xsk_socket,
    buf: *mut Buf,
    start: u16,
    offset: u16,
) -> c_int {
    // SAFETY: as documented.
    unsafe { ask(socket, buf, Request::Checksum { start, offset }) }
}

/// Has the time told at which a packet was out. xsk_tx_timestamps() hands it over, with
/// the cookie.
///
/// In zero-copy mode it is the device's time (its PTP clock). In copy mode it is the
/// kernel's, CLOCK_TAI, when it was done with the packet.
///
/// @param[in]     socket  as for xsk_buf_request_checksum(), as is all else
/// @param[in,out] buf     the packet
/// @param[in]     cookie  any number, to know the packet by
/// @retval 0   asked
/// @retval <0  as for xsk_buf_request_checksum()
/// @note Threads: the transmit side's. Linux 6.8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_request_timestamp(
    socket: *mut xsk_socket,
    buf: *mut Buf,
    cookie: u64,
) -> c_int {
    // SAFETY: as documented.
    unsafe { ask(socket, buf, Request::Timestamp { cookie }) }
}

/// Has a packet wait in the device until a time.
///
/// Devices that can want to be set up for it: a queue with an offloaded "etf" qdisc, or
/// "taprio". What comes too late, or lies too far ahead, is up to the device.
///
/// @param[in]     socket   as for xsk_buf_request_checksum(), as is all else
/// @param[in,out] buf      the packet
/// @param[in]     time_ns  nanoseconds of the device's PTP clock
/// @retval 0   asked
/// @retval <0  as for xsk_buf_request_checksum(); -EOPNOTSUPP where the device does not
///             tell that it can (`xsk_features` of xsk_probe())
/// @note Threads: the transmit side's. Linux 6.14.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_request_launch_time(
    socket: *mut xsk_socket,
    buf: *mut Buf,
    time_ns: u64,
) -> c_int {
    // SAFETY: as documented.
    unsafe { ask(socket, buf, Request::LaunchTime(time_ns)) }
}

/// Hands over when packets were out, oldest first, and reclaims the frames of those that
/// are while one is awaited.
///
/// Kept are as many as the TX ring has entries: more overwrite the oldest. They are of
/// packets that xsk_tx_burst() sent. In copy mode most are there when it returns.
///
/// @param[in]  socket  the socket
/// @param[out] stamps  room for n
/// @param[in]  n       wanted
/// @return how many there were, 0 to n; 0 if a pointer is NULL
/// @note Threads: the transmit side's. Linux 6.8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_timestamps(
    socket: *mut xsk_socket,
    stamps: *mut Stamp,
    n: u32,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    let Some(side) = (unsafe { tx_side(socket) }) else { return 0 };
    // SAFETY: NULL or room for n, as documented.
    side.timestamps(unsafe { array_out(stamps, n) })
}

/// Gives the metadata of a packet that the ring calls send: `struct xsk_tx_metadata` of
/// <linux/if_xdp.h>, in front of the packet.
///
/// To ask for something, write all of it and set XDP_TX_METADATA in the descriptor's
/// `options`. When the address is back in the completion ring, completion.tx_timestamp
/// there is the time, if it was asked for. What the kernel does not like it does not
/// skip: it sends nothing more, with -EINVAL from xsk_tx_kick(). So see to it that the
/// flags are ones that it knows, and that the checksum is within the packet.
///
/// @param[in] umem  a UMEM with XSK_UMEM_TX_METADATA
/// @param[in] addr  the packet's, a descriptor's or one of xsk_umem_alloc()
/// @return the place; NULL if umem is, if it has no metadata, or if there is no room
///         for it in front of the address
/// @note Threads: any. Linux 6.8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem_tx_metadata(
    umem: *const xsk_umem,
    addr: u64,
) -> *mut xsk_tx_metadata {
    // SAFETY: NULL or alive, as documented.
    match unsafe { umem_ref(umem) } {
        Ok(umem) => umem.tx_metadata(addr).map_or(ptr::null_mut(), |at| at.as_ptr().cast()),
        Err(_) => ptr::null_mut(),
    }
}

/// Writes the halves of a hint, of `len` bytes each, to where the program wants them.
///
/// # Safety
/// `socket` is NULL or alive, `buf` NULL or a buffer, and each half NULL or writable.
#[inline(never)]
unsafe fn tell(
    socket: *const xsk_socket,
    buf: *const Buf,
    hint: Hint,
    len: usize,
    halves: [*mut u8; 2],
) -> c_int {
    // SAFETY: NULL or alive, as the caller promises.
    let socket = match unsafe { socket_ref(socket) } {
        Ok(socket) => socket,
        Err(error) => return answer(Err(error)),
    };
    // SAFETY: NULL or a buffer, as the caller promises.
    let Some(buf) = (unsafe { buf.as_ref() }) else { return answer(null("buf")) };
    let told = match socket.hint(buf.data.cast_const(), hint) {
        Ok(told) => told,
        Err(error) => return answer(Err(error)),
    };
    let mut from = (&raw const told).cast::<u8>();
    for to in halves {
        if !to.is_null() {
            // SAFETY: `told` has one half of 8 bytes or two of at most 4, and the caller
            // promises room for each that he wants.
            unsafe { ptr::copy_nonoverlapping(from, to, len) };
        }
        from = from.wrapping_add(len);
    }
    0
}

/// Tells when a packet arrived, by the device's clock.
///
/// Ask before `data` is moved. With the ring calls, hand over a struct xsk_buf of which
/// `data` alone is set, to what xsk_umem_data() makes of the descriptor's address. Of a
/// packet in several buffers the first one has it.
///
/// @param[in]  socket   the socket that received it, bound with XSK_BIND_RX_METADATA
/// @param[in]  buf      the packet as it was received
/// @param[out] time_ns  nanoseconds. NULL: not wanted.
/// @retval 0           told
/// @retval -ENODATA    the driver does not know it, of this packet or at all. veth knows
///                     it only of packets that come with one from a device.
/// @retval -EOPNOTSUPP the socket is not bound with XSK_BIND_RX_METADATA
/// @retval -EINVAL     socket or buf is NULL, or there is nothing in front of `data`,
///                     which was moved
/// @note Threads: any, but not beside xsk_socket_bind(). Linux 6.3.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_rx_timestamp(
    socket: *const xsk_socket,
    buf: *const Buf,
    time_ns: *mut u64,
) -> c_int {
    // SAFETY: as documented.
    unsafe { tell(socket, buf, Hint::Timestamp, 8, [time_ns.cast(), ptr::null_mut()]) }
}

/// Tells the hash that the device has spread packets over its queues by.
///
/// @param[in]  socket  as for xsk_buf_rx_timestamp(), as is all else
/// @param[in]  buf     the packet
/// @param[out] hash    the hash. NULL: not wanted.
/// @param[out] of      what it is of, `enum xdp_rss_hash_type` of the kernel: bit 0 IPv4,
///                     1 IPv6, 3 with ports, 4 TCP, 5 UDP ...; 0 where the driver does not
///                     say. NULL: not wanted.
/// @retval 0   told
/// @retval <0  as for xsk_buf_rx_timestamp()
/// @note Threads: any, but not beside xsk_socket_bind(). Linux 6.3.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_rx_hash(
    socket: *const xsk_socket,
    buf: *const Buf,
    hash: *mut u32,
    of: *mut u32,
) -> c_int {
    // SAFETY: as documented.
    unsafe { tell(socket, buf, Hint::Hash, 4, [hash.cast(), of.cast()]) }
}

/// Tells the VLAN tag that the device has taken out of a packet.
///
/// @param[in]  socket    as for xsk_buf_rx_timestamp(), as is all else
/// @param[in]  buf       the packet
/// @param[out] protocol  0x8100 or 0x88a8, in network order. NULL: not wanted.
/// @param[out] tag       the tag, in the machine's order: the id in the lower 12 bits, the
///                       priority in the upper 3. NULL: not wanted.
/// @retval 0         told
/// @retval -ENODATA  the packet had no tag, or has it still (ethtool -K DEV rxvlan on)
/// @retval <0        as for xsk_buf_rx_timestamp()
/// @note Threads: any, but not beside xsk_socket_bind(). Linux 6.8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_buf_rx_vlan(
    socket: *const xsk_socket,
    buf: *const Buf,
    protocol: *mut u16,
    tag: *mut u16,
) -> c_int {
    // SAFETY: as documented.
    unsafe { tell(socket, buf, Hint::Vlan, 2, [protocol.cast(), tag.cast()]) }
}
