//! Where frames lie in packet memory: all arithmetic on addresses.
//!
//! An address is an offset into the area. Where frames are unaligned it is a chunk's
//! plus, in its upper 16 bits, a distance in that chunk; either may be missing.

use core::ffi::c_void;
use core::ptr;

use crate::xsk::ring::{UNALIGNED_ADDR_MASK, UNALIGNED_OFFSET_SHIFT};

/// What a geometry is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Where the area starts, and its bytes.
    pub base: usize,
    pub bytes: u64,
    /// Where the first frame starts in it.
    pub start: u32,
    /// Bytes in a frame: a power of two unless `unaligned`.
    pub frame_size: u32,
    /// Bytes from one frame to the next.
    pub stride: u32,
    /// Frames of the pool: 0 if the program shares them out itself.
    pub frame_count: u32,
    pub headroom: u32,
    /// Bytes in front of a packet to be sent that its metadata has.
    pub tx_metadata_len: u32,
    pub unaligned: bool,
}

/// Where frames lie in an area.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    base: usize,
    bytes: u64,
    /// Divides by the stride: 2^64 by it, rounded up.
    inverse: u64,
    /// What is in front of a payload, as a part of an address.
    payload_addr: u64,
    start: u32,
    stride: u32,
    frame_size: u32,
    frame_shift: u32,
    frame_count: u32,
    headroom: u32,
    tx_metadata_len: u32,
    unaligned: bool,
}

impl Geometry {
    /// Frames where `layout` says.
    #[inline(never)]
    pub fn new(layout: Layout) -> Geometry {
        let Layout { base, bytes, start, frame_size, frame_count, headroom, .. } = layout;
        let Layout { tx_metadata_len, unaligned, .. } = layout;
        let stride = layout.stride.max(1);
        Geometry {
            base,
            bytes,
            // The quotient is exact for what is below 2^64 / stride, as areas are.
            inverse: (u64::MAX / u64::from(stride)).wrapping_add(1),
            payload_addr: u64::from(headroom.saturating_add(tx_metadata_len))
                << if unaligned { UNALIGNED_OFFSET_SHIFT } else { 0 },
            start,
            stride,
            frame_size,
            frame_shift: frame_size.checked_ilog2().unwrap_or(0),
            frame_count,
            headroom,
            tx_metadata_len,
            unaligned,
        }
    }

    /// Bytes in a frame.
    #[inline]
    pub fn frame_size(&self) -> u64 {
        u64::from(self.frame_size)
    }

    /// Bytes in the area.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many frames the pool shares out.
    #[inline]
    pub fn frame_count(&self) -> u32 {
        self.frame_count
    }

    /// Bytes at the start of each frame that are the program's.
    pub fn headroom(&self) -> u32 {
        self.headroom
    }

    /// Where an aligned frame starts.
    #[inline]
    pub fn aligned_frame_addr(&self, frame: u32) -> u64 {
        // One step, as a shift by a variable is not.
        u64::from(frame) * u64::from(self.stride)
    }

    /// Where a frame starts.
    #[inline]
    pub fn frame_addr(&self, frame: u32) -> u64 {
        u64::from(frame) * u64::from(self.stride) + u64::from(self.start)
    }

    /// Where a packet is written in a frame of our own, behind the headroom and room for
    /// its metadata: the address and the pointer.
    #[inline]
    pub fn payload(&self, frame: u32) -> (u64, *mut c_void) {
        let start = self.frame_addr(frame);
        let payload = u64::from(self.headroom) + u64::from(self.tx_metadata_len);
        (start + self.payload_addr, self.pointer(start + payload))
    }

    /// Bytes from there to the frame's end.
    #[inline]
    pub fn payload_room(&self) -> u32 {
        self.frame_size.saturating_sub(self.headroom).saturating_sub(self.tx_metadata_len)
    }

    /// Whether frames lie at multiples of their size, and addresses are plain.
    #[inline]
    pub fn is_aligned(&self) -> bool {
        !self.unaligned
    }

    /// The frame that an aligned address would lie in if the area had no end.
    #[inline]
    pub fn aligned_frame_at(&self, addr: u64) -> u64 {
        addr >> self.frame_shift
    }

    /// The same for an address of either kind: a large number in front of the area.
    #[inline]
    pub fn frame_at(&self, addr: u64) -> u64 {
        if self.unaligned { self.place(addr).0 } else { self.aligned_frame_at(addr) }
    }

    /// The frame that an unaligned address is next behind the start of, and how far.
    #[inline(never)]
    fn place(&self, addr: u64) -> (u64, u64) {
        let from_first = self.plain(addr).wrapping_sub(u64::from(self.start));
        let frame = ((u128::from(from_first) * u128::from(self.inverse)) >> 64) as u64;
        (frame, from_first.wrapping_sub(frame.wrapping_mul(u64::from(self.stride))))
    }

    /// The frame that an address lies in; None outside of all.
    pub fn frame_of(&self, addr: u64) -> Option<u32> {
        if !self.unaligned {
            return (addr < self.bytes).then_some((addr >> self.frame_shift) as u32);
        }
        let (frame, offset) = self.place(addr);
        let inside = frame < u64::from(self.frame_count) && offset < self.frame_size();
        inside.then_some(frame as u32)
    }

    /// An address as a distance from the area's start.
    #[inline]
    pub fn plain(&self, addr: u64) -> u64 {
        if !self.unaligned {
            return addr;
        }
        (addr & UNALIGNED_ADDR_MASK) + (addr >> UNALIGNED_OFFSET_SHIFT)
    }

    /// The pointer to a plain address; only good inside the area.
    #[inline]
    pub fn pointer(&self, addr: u64) -> *mut c_void {
        // For C programs; nothing here reads or writes through it.
        ptr::with_exposed_provenance_mut(self.base.wrapping_add(addr as usize))
    }

    /// The plain address of a pointer, whether or not it is inside.
    #[inline]
    pub fn addr(&self, pointer: *const c_void) -> u64 {
        pointer.addr().wrapping_sub(self.base) as u64
    }

    /// Whether `len` bytes from the plain `addr` on, and the metadata in front of them, lie
    /// in the frame in which `named` lies. The kernel drops a descriptor for which this
    /// does not hold, and never completes it.
    #[inline]
    pub fn aligned_fits(&self, named: u64, addr: u64, len: u32) -> bool {
        // Far away for a packet without a byte.
        let last = addr.wrapping_add(u64::from(len.wrapping_sub(1)));
        // In one frame where only the bits below its size differ.
        let first = addr.wrapping_sub(u64::from(self.tx_metadata_len));
        (named ^ first) | (named ^ last) < self.frame_size()
    }

    /// The same for frames of either kind.
    #[inline(never)]
    pub fn fits(&self, named: u64, addr: u64, len: u32) -> bool {
        if !self.unaligned {
            return self.aligned_fits(named, addr, len);
        }
        let frame = self.frame_at(named);
        let front = u64::from(self.tx_metadata_len);
        let offset = addr.wrapping_sub(self.frame_addr(frame as u32)).wrapping_sub(front);
        let end = offset.saturating_add(front + u64::from(len));
        // No frame has a number above.
        len != 0 && end <= self.frame_size() && frame <= u64::from(u32::MAX)
    }

    /// Whether a frame lies on both sides of a multiple of `size`, a power of two.
    pub fn crosses(&self, frame: u32, size: usize) -> bool {
        let first = self.base.wrapping_add(self.frame_addr(frame) as usize);
        let last = first.wrapping_add(self.frame_size as usize).wrapping_sub(1);
        first ^ last >= size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Geometry {
        Geometry::new(Layout {
            base: 0x10_0000,
            bytes: 8192,
            start: 0,
            frame_size: 2048,
            stride: 2048,
            frame_count: 4,
            headroom: 64,
            tx_metadata_len: 0,
            unaligned: false,
        })
    }

    /// Frames of 2500 bytes at distances of 3000, from byte 100 on.
    fn odd() -> Geometry {
        Geometry::new(Layout {
            base: 0x10_0000,
            bytes: 0x8000,
            start: 100,
            frame_size: 2500,
            stride: 3000,
            frame_count: 10,
            headroom: 64,
            tx_metadata_len: 0,
            unaligned: true,
        })
    }

    #[test]
    fn an_address_belongs_to_one_frame_or_to_none() {
        let four = four();
        assert_eq!(four.frame_of(0), Some(0));
        assert_eq!(four.frame_of(2047), Some(0));
        assert_eq!(four.frame_of(8191), Some(3));
        assert_eq!(four.frame_of(8192), None);
        assert_eq!(four.frame_of(u64::MAX), None);
        assert_eq!(four.payload(3), (3 * 2048 + 64, four.pointer(3 * 2048 + 64)));
    }

    #[test]
    fn an_unaligned_address_has_a_chunk_and_an_offset() {
        let odd = odd();
        let word = |chunk: u64, offset: u64| chunk | offset << 48;
        assert_eq!(odd.frame_of(99), None, "in front of the first");
        assert_eq!(odd.frame_of(100), Some(0));
        assert_eq!(odd.frame_of(2599), Some(0));
        assert_eq!(odd.frame_of(2600), None, "between two");
        assert_eq!(odd.frame_of(3100), Some(1));
        assert_eq!(odd.frame_of(word(3100, 2499)), Some(1));
        assert_eq!(odd.frame_of(word(100, 3000)), Some(1));
        assert_eq!(odd.frame_of(100 + 9 * 3000), Some(9));
        assert_eq!(odd.frame_of(100 + 10 * 3000), None);
        assert_eq!(odd.frame_of(u64::MAX), None);
        assert_eq!(odd.frame_at(word(3100, 320)), 1);
        assert_eq!(odd.plain(word(3100, 320)), 3420);
        assert_eq!(odd.payload(2), (word(6100, 64), odd.pointer(6164)));
        assert_eq!(odd.frame_of(odd.payload(9).0), Some(9));
    }

    #[test]
    fn frames_are_told_apart_to_the_end_of_the_largest_area() {
        for stride in [2048, 2049, 3000, 4095, 4097, 9999, 65521, 65536] {
            let layout = Layout { frame_size: 2048, stride, unaligned: true, ..Layout::default() };
            let geometry = Geometry::new(Layout { bytes: 1 << 48, ..layout });
            let last = (1 << 48) / u64::from(stride) - 1;
            for frame in [0, 1, 2, 1000, last - 1, last] {
                let start = frame * u64::from(stride);
                assert_eq!(geometry.frame_at(start), frame);
                assert_eq!(geometry.frame_at(start + u64::from(stride) - 1), frame);
            }
        }
    }

    #[test]
    fn pointers_and_addresses_turn_into_each_other() {
        let four = four();
        assert_eq!(four.pointer(5000).addr(), 0x10_0000 + 5000);
        assert_eq!(four.addr(four.pointer(5000)), 5000);
        assert_eq!(four.frame_of(four.addr(ptr::null())), None);
    }

    #[test]
    fn a_packet_fits_a_frame_or_the_kernel_would_drop_it() {
        let four = four();
        assert!(four.fits(2048, 2048, 2048));
        assert!(four.fits(2100, 4095, 1));
        assert!(!four.fits(2048, 4095, 2), "crosses into the next frame");
        assert!(!four.fits(2048, 2048, 0), "empty");
        assert!(!four.fits(2047, 2048, 60), "another frame than it says");
        assert!(!four.fits(3 * 2048, 3 * 2048, u32::MAX));
        assert!(!four.fits(0, u64::MAX, 1), "in front of the area");
    }

    #[test]
    fn a_packet_fits_an_unaligned_frame_and_nothing_beside_it() {
        let odd = odd();
        assert!(odd.fits(3100, 3100, 2500));
        assert!(odd.fits(3100 | 320 << 48, 3100, 2500), "moved to the front");
        assert!(odd.fits(3100, 5599, 1));
        assert!(!odd.fits(3100, 5599, 2), "into the gap");
        assert!(!odd.fits(3100, 5600, 1), "in the gap");
        assert!(!odd.fits(3100, 3099, 60), "in front of it");
        assert!(!odd.fits(3100, 3100, 0), "empty");
        assert!(!odd.fits(100, 3100, 60), "another frame than it says");
        assert!(!odd.fits(100, 50, 60), "in front of the first");
        assert!(!odd.fits(100, u64::MAX, 1), "in front of the area");
        assert!(!odd.fits(3100, 3100, u32::MAX));
    }

    #[test]
    fn a_packet_leaves_room_for_its_metadata_in_its_frame() {
        let with = Geometry { tx_metadata_len: 32, payload_addr: 96, ..four() };
        assert_eq!((with.payload(1).0, with.payload_room()), (2048 + 96, 2048 - 96));
        assert!(with.fits(2048, 2048 + 32, 2016));
        assert!(!with.fits(2048, 2048 + 31, 60), "metadata in another frame");
        assert!(!with.fits(0, 31, 60), "metadata in front of the area");
        assert!(!with.fits(2048, 2048 + 32, 2017));
        let with = Geometry { tx_metadata_len: 32, ..odd() };
        assert!(with.fits(3100, 3132, 2468));
        assert!(!with.fits(3100, 3131, 60), "metadata between frames");
        assert!(!with.fits(3100, 3132, 2469));
        assert!(!with.fits(100, 20, 60), "metadata in front of the first");
    }

    #[test]
    fn frames_that_lie_in_two_pages_are_known() {
        assert!((0..4).all(|frame| !four().crosses(frame, 4096)));
        let crossing: Vec<u32> = (0..10).filter(|frame| odd().crosses(*frame, 4096)).collect();
        // 100, 3100, 6100, 9100, 12100, ... to 2499 behind.
        assert_eq!(crossing, [1, 2, 4, 5, 6, 8, 9]);
    }
}
