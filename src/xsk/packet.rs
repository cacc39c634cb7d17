//! A packet in a frame, as the packet calls hand it over.

use core::ffi::c_void;

use crate::xsk::geometry::Geometry;

/// A packet in a frame of the UMEM, or a part of one, for the packet calls.
///
/// Whoever has the buffer owns the frame: it is the program's from
/// xsk_rx_burst() or xsk_buf_alloc() until xsk_tx_burst() or xsk_buf_free()
/// takes it. `data` may be moved within the frame, to strip a header or to
/// prepend one in the headroom.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Buf {
    /// The first byte.
    pub data: *mut c_void,
    /// Bytes, of this part; from xsk_buf_alloc() the room from `data` on.
    pub len: u32,
    /// XSK_BUF_MORE if the packet goes on in the next element of the array, and what
    /// xsk_buf_request_checksum() and the like have added to send it; else 0.
    pub options: u32,
    /// An address in the frame, which names it; not to be changed.
    pub addr: u64,
}

impl Buf {
    /// The packet of `len` bytes at an address.
    #[inline]
    pub(super) fn new(geometry: &Geometry, addr: u64, len: u32, options: u32) -> Buf {
        Buf { data: geometry.pointer(addr), len, options, addr }
    }
}

/// When a packet was out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds: of the device's clock in zero-copy mode; in copy mode CLOCK_TAI, when
    /// the kernel was done with the packet.
    pub time_ns: u64,
    /// What xsk_buf_request_timestamp() was given.
    pub cookie: u64,
}
