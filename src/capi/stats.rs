//! What a socket has counted, and what it is.

use core::ffi::c_int;

use super::socket::{socket_ref, xsk_socket};
use super::{Sized32, guard, write_info};
use crate::xsk::config::XdpMode;
use crate::xsk::counters::Totals;

/// Counters of a socket, from its creation on.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct xsk_socket_stats {
    /// sizeof(struct xsk_socket_stats), set by the caller.
    pub size: u32,
    /// How many of the kernel's counters below this kernel has: 6, or the first 3
    /// before Linux 5.9; the others are 0.
    pub kernel_counters: u32,
    /// Packets and bytes that went through calls of this library. What a program
    /// does in the rings without them is not seen. A packet in several buffers
    /// (XSK_BIND_SG) is one, counted with its last descriptor.
    pub rx_packets: u64,
    /// Bytes of those received.
    pub rx_bytes: u64,
    /// Packets given to the kernel to be sent.
    pub tx_packets: u64,
    /// Bytes of those.
    pub tx_bytes: u64,
    /// System calls made to wake the kernel's receive side.
    pub rx_kicks: u64,
    /// The same for its transmit side.
    pub tx_kicks: u64,
    /// Kernel: packets for the socket that were dropped, such as one too long for a
    /// frame without XSK_BIND_SG. In copy mode those that found no frame in the fill
    /// ring are counted here and there; those that found the RX ring full only there.
    pub rx_dropped: u64,
    /// Kernel: addresses in the fill ring that were outside the UMEM (0 all the
    /// same in copy mode on Linux 6.18).
    pub rx_invalid_descs: u64,
    /// Kernel: descriptors in the TX ring that were invalid, and not sent.
    pub tx_invalid_descs: u64,
    /// Kernel: packets dropped because the RX ring was full: the program is too
    /// slow.
    pub rx_ring_full: u64,
    /// Kernel: packets that found no frame in the fill ring.
    pub rx_fill_ring_empty_descs: u64,
    /// Kernel: looks at a TX ring that was empty; no loss.
    pub tx_ring_empty_descs: u64,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_socket_stats {
    const NAME: &'static str = "xsk_socket_stats";
}

/// `xdp_mode`: no default program is used by this socket.
pub const XSK_MODE_NONE: u32 = 0;
/// `xdp_mode`: the default program runs in the network stack (generic XDP).
pub const XSK_MODE_SKB: u32 = 1;
/// `xdp_mode`: the default program runs in the driver (native XDP).
pub const XSK_MODE_DRV: u32 = 2;

/// What a socket is.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct xsk_socket_info {
    /// sizeof(struct xsk_socket_info), set by the caller.
    pub size: u32,
    /// 1 if it is bound; until then what follows up to program_id is 0.
    pub bound: u32,
    /// The interface, as it was called when the socket was bound to it.
    pub ifname: [core::ffi::c_char; 16],
    /// Its index.
    pub ifindex: u32,
    /// The queue.
    pub queue_id: u32,
    /// 1 in zero-copy mode, 0 in copy mode.
    pub zero_copy: u32,
    /// 1 if the kernel asks for kicks by ring flags.
    pub need_wakeup: u32,
    /// XSK_MODE_NONE, XSK_MODE_SKB or XSK_MODE_DRV.
    pub xdp_mode: u32,
    /// The default program's id (bpftool prog), 0 without one.
    pub program_id: u32,
    /// Entries of the RX ring, 0 without one; so are the others.
    pub rx_size: u32,
    /// Entries of the TX ring.
    pub tx_size: u32,
    /// Entries of the fill ring.
    pub fill_size: u32,
    /// Entries of the completion ring.
    pub comp_size: u32,
    /// Descriptors that one kick sends in copy mode: 32, or from Linux 6.17 on the size of
    /// the TX ring or what xsk_socket_params asked for. 32 stands here also on Linux 5.10,
    /// which sends 16.
    pub tx_budget: u32,
    /// Buffers that a packet to be sent may have: 1 unless the socket is bound with
    /// XSK_BIND_SG, when it is what the kernel takes: 17 or more (its MAX_SKB_FRAGS)
    /// in copy mode, in zero-copy mode what the driver tells. A packet that is
    /// received may have more.
    pub max_frags: u32,
    /// What xsk_socket_params asked for, which the kernel has then: 0 without busy
    /// polling.
    pub busy_poll_us: u32,
    /// Packets that a poll fetches at most; 0 for the kernel's own number.
    pub busy_poll_budget: u32,
    /// 1 if polls are in the place of interrupts.
    pub prefer_busy_poll: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_socket_info {
    const NAME: &'static str = "xsk_socket_info";
}

/// Reads the counters of a socket.
///
/// @param[in]  socket  the socket
/// @param[out] stats   its `size` set by the caller; the rest is filled in
/// @retval 0        done
/// @retval -EINVAL  a pointer is NULL, or stats->size is not set
/// @note Threads: any, also while others send and receive; the counters are each
///       right but not of one instant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_stats(
    socket: *const xsk_socket,
    stats: *mut xsk_socket_stats,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, as documented.
        let totals = unsafe { socket_ref(socket) }?.totals()?;
        // SAFETY: NULL or writable for its size, as documented.
        unsafe { write_info(stats, told(&totals)) }
    })
}

/// What was counted, as C programs read it.
pub(super) fn told(totals: &Totals) -> xsk_socket_stats {
    let Totals { rx, tx, kernel, kernel_counters } = totals;
    xsk_socket_stats {
        size: 0,
        kernel_counters: *kernel_counters as u32,
        rx_packets: rx.packets,
        rx_bytes: rx.bytes,
        tx_packets: tx.packets,
        tx_bytes: tx.bytes,
        rx_kicks: rx.kicks,
        tx_kicks: tx.kicks,
        rx_dropped: kernel.rx_dropped,
        rx_invalid_descs: kernel.rx_invalid_descs,
        tx_invalid_descs: kernel.tx_invalid_descs,
        rx_ring_full: kernel.rx_ring_full,
        rx_fill_ring_empty_descs: kernel.rx_fill_ring_empty_descs,
        tx_ring_empty_descs: kernel.tx_ring_empty_descs,
    }
}

/// Says what a socket is and what it is bound to.
///
/// @param[in]  socket  the socket
/// @param[out] info    its `size` set by the caller; the rest is filled in
/// @retval 0        done
/// @retval -EINVAL  a pointer is NULL, or info->size is not set
/// @note Threads: any, but not beside xsk_socket_bind().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_info(
    socket: *const xsk_socket,
    info: *mut xsk_socket_info,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, as documented.
        let socket = unsafe { socket_ref(socket) }?;
        let config = socket.config();
        let mut told = xsk_socket_info {
            rx_size: config.rx_size,
            tx_size: config.tx_size,
            fill_size: config.fill_size,
            comp_size: config.comp_size,
            tx_budget: socket.tx_budget(),
            max_frags: 1,
            busy_poll_us: config.busy_poll.us,
            busy_poll_budget: config.busy_poll.budget,
            prefer_busy_poll: config.busy_poll.prefer.into(),
            ..xsk_socket_info::default()
        };
        if let Some(bond) = socket.bond() {
            told.bound = 1;
            for (to, from) in told.ifname.iter_mut().zip(bond.place.ifname.bytes()) {
                *to = *from as core::ffi::c_char;
            }
            told.ifindex = bond.place.ifindex;
            told.queue_id = bond.place.queue_id;
            told.zero_copy = bond.zero_copy.into();
            told.need_wakeup = bond.need_wakeup.into();
            told.max_frags = bond.max_frags;
            if let Some((id, mode)) = bond.program() {
                told.program_id = id;
                told.xdp_mode = match mode {
                    XdpMode::Generic => XSK_MODE_SKB,
                    XdpMode::Native => XSK_MODE_DRV,
                };
            }
        }
        // SAFETY: NULL or writable for its size, as documented.
        unsafe { write_info(info, told) }
    })
}
