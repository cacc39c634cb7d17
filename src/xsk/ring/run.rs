//! Runs: entries that lie in a row in the ring, to be worked on where they are.

use core::mem::MaybeUninit;
use core::slice;

use super::entry::{self, Entry};
use super::{Consumer, Place, Producer, Span, UNALIGNED_ADDR_MASK, wide};
use crate::sys::abi::Desc;

/// Entries in a row in a ring, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<T> {
    /// Valid to read or write, as they were claimed, until they are given back.
    pub first: *mut T,
    /// How many there are; 0 for none.
    pub count: u32,
}

impl<T: Entry> Place<T> {
    #[inline]
    fn run(&self, span: Span) -> Run<T> {
        Run { first: self.get().slot(span.first), count: span.count }
    }

    /// The entries of a span as rows: one, or two where it goes over the ring's end.
    #[inline]
    fn each_row(&self, span: Span, mut each: impl FnMut(Run<T>)) {
        let (mut first, mut left) = (span.first, span.count.min(self.get().size));
        while left != 0 {
            let row = self.get().run(first, left) as u32;
            each(self.run(Span { first, count: row }));
            first = first.wrapping_add(row);
            left -= row;
        }
    }

    /// The entries of a span if they are one row.
    #[inline]
    pub(super) fn row(&self, span: Span) -> Option<Run<T>> {
        let ring = self.get();
        (span.count <= ring.size - (span.first & ring.mask)).then(|| self.run(span))
    }

    /// The same as two rows, of which the second may be empty.
    #[inline]
    fn rows(&self, span: Span) -> [Run<T>; 2] {
        let count = span.count.min(self.get().size);
        let row = self.get().run(span.first, count) as u32;
        let rest = Span { first: span.first.wrapping_add(row), count: count - row };
        [self.run(Span { count: row, ..span }), self.run(rest)]
    }

    /// The sum of the bytes of entries that are claimed.
    #[inline]
    pub(super) fn bytes(&self, span: Span) -> u64 {
        match self.row(span) {
            Some(row) => row.bytes(),
            None => self.bytes_in_two(span),
        }
    }

    #[cold]
    fn bytes_in_two(&self, span: Span) -> u64 {
        self.rows(span).into_iter().map(|row| row.bytes()).sum()
    }

    /// Copies `items` to the slots of a span; gives the sum of their bytes.
    #[inline]
    pub(super) fn copy_in(&mut self, span: Span, items: &[T]) -> u64 {
        let (mut from, mut bytes) = (items.as_ptr(), 0);
        let count = span.count.min(items.len() as u32);
        self.each_row(Span { count, ..span }, |row| {
            // SAFETY: `items` has as many, and the kernel leaves slots alone that it was
            // not given.
            bytes += unsafe { entry::copy_many(from, row.first, row.count as usize) };
            from = from.wrapping_add(row.count as usize);
        });
        bytes
    }

    /// Copies the entries of a span to `to`; gives the sum of their bytes.
    ///
    /// # Safety
    /// `to` must have room for them.
    #[inline]
    pub(super) unsafe fn copy_out(&self, span: Span, mut to: *mut T) -> u64 {
        let mut bytes = 0;
        self.each_row(span, |row| {
            // SAFETY: the caller has room; the kernel does not write what was peeked.
            bytes += unsafe { entry::copy_many(row.first, to, row.count as usize) };
            to = to.wrapping_add(row.count as usize);
        });
        bytes
    }
}

impl<T: Entry> Run<T> {
    #[inline]
    fn bytes(&self) -> u64 {
        // SAFETY: entries of the mapping, which are ours while they are claimed.
        entry::bytes(unsafe { slice::from_raw_parts(self.first, self.count as usize) })
    }
}

impl<T: Entry> Producer<T> {
    /// Claims up to `n` entries in a row to write.
    #[inline]
    pub fn reserve_run(&mut self, n: u32) -> Run<T> {
        let ring = self.0.get();
        let row = ring.run(ring.cached_prod, n) as u32;
        let span = self.reserve(row);
        self.0.run(span)
    }

    /// The places of entries that are reserved, one row, or two at the ring's end.
    #[inline]
    pub fn places(&mut self, span: Span) -> [&mut [MaybeUninit<T>]; 2] {
        self.0.rows(span).map(|row| {
            // SAFETY: slots of the mapping, which the kernel leaves alone while they are
            // reserved; the two rows do not overlap, and borrow the ring.
            unsafe { slice::from_raw_parts_mut(row.first.cast(), row.count as usize) }
        })
    }
}

impl<T: Entry> Consumer<T> {
    /// Claims up to `n` entries in a row to read.
    #[inline]
    pub fn peek_run(&mut self, n: u32) -> Run<T> {
        let ring = self.0.get();
        let row = ring.run(ring.cached_cons, n) as u32;
        let span = self.peek(row);
        self.0.run(span)
    }

    /// Entries that are peeked, one row, or two at the ring's end.
    #[inline]
    pub fn entries(&self, span: Span) -> [&[T]; 2] {
        self.0.rows(span).map(|row| {
            // SAFETY: entries of the mapping, which the kernel does not write while they
            // are peeked; any bytes are a T.
            unsafe { slice::from_raw_parts(row.first, row.count as usize) }
        })
    }
}

impl Consumer<Desc> {
    /// Gives the frames of all that is peeked to the fill ring, and the entries back
    /// to the kernel; says how many, and their bytes. None if the fill ring has not
    /// room for all, or entries of it are reserved: nothing is done then.
    pub fn recycle(&mut self, fill: &mut Producer<u64>) -> Option<(u32, u64)> {
        let span = self.claimed();
        let room = fill.room(span.count as usize);
        if room.count != span.count || span.count == 0 {
            return (span.count == 0).then_some((0, 0));
        }
        let mut bytes = 0;
        for (from, to) in span.indices().zip(room.indices()) {
            if let Some(desc) = self.read(from) {
                bytes += u64::from(desc.len);
                // An offset above bit 48 is the packet's, not the frame's.
                fill.write(to, desc.addr & UNALIGNED_ADDR_MASK);
            }
        }
        fill.give(room);
        self.give_back(span);
        Some((span.count, bytes))
    }

    /// Does what `recycle` does, where that is quickly done: in one row, and with chunks
    /// that are aligned, whose addresses the kernel rounds itself; else nothing.
    #[inline]
    pub fn recycle_row(&mut self, fill: &mut Producer<u64>) -> Option<(u32, u64)> {
        let span = self.claimed();
        if span.count == 0 {
            return Some((0, 0));
        }
        let room = fill.room(span.count as usize);
        let (from, to) = (self.0.row(span)?, fill.0.row(room)?);
        if room.count != span.count || span.count as usize > entry::SUMMED {
            return None;
        }
        // SAFETY: entries that are peeked and places that are free, each in a row.
        let bytes = unsafe { recycle(from.first, to.first, span.count) };
        fill.give(room);
        self.give_back(span);
        Some((span.count, bytes))
    }
}

/// Writes the addresses of `n` packets to places of the fill ring; gives their bytes,
/// which must fit 32 bits.
///
/// # Safety
/// `n` descriptors are to be read in a row, and `n` addresses written.
#[inline]
unsafe fn recycle(from: *const Desc, to: *mut u64, n: u32) -> u64 {
    // SAFETY: the caller's promise.
    let from = unsafe { slice::from_raw_parts(from, n as usize) };
    // SAFETY: the caller's promise.
    let to = unsafe { slice::from_raw_parts_mut(to.cast::<MaybeUninit<u64>>(), n as usize) };
    let mut bytes: u32 = 0;
    let mut recycle = |desc: &Desc, place: &mut MaybeUninit<u64>| {
        bytes = bytes.wrapping_add(desc.len);
        place.write(desc.addr);
    };
    // By eights, written out: half of the loop would be counting.
    let (eights, mut places) = (from.chunks_exact(8), to.chunks_exact_mut(8));
    let rest = eights.remainder();
    for (descs, places) in eights.zip(places.by_ref()) {
        if let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (descs, places) {
            recycle(a, i);
            recycle(b, j);
            recycle(c, k);
            recycle(d, l);
            recycle(e, m);
            recycle(f, n);
            recycle(g, o);
            recycle(h, p);
        }
    }
    rest.iter().zip(places.into_remainder()).for_each(|(desc, place)| recycle(desc, place));
    u64::from(bytes)
}

impl Producer<Desc> {
    /// Sends one packet of `len` bytes from each address; says how many had room: none
    /// while others are reserved. None where the room goes over the ring's end.
    #[inline]
    pub fn put_addrs_in_row(&mut self, addrs: &[u64], len: u32) -> Option<u32> {
        let span = self.room(addrs.len());
        if span.count == 0 {
            return Some(0);
        }
        let row = self.0.row(span)?;
        // SAFETY: `room` gives no more than there are.
        let addrs = unsafe { slice::from_raw_parts(addrs.as_ptr(), span.count as usize) };
        // SAFETY: free places in a row, as many as addresses.
        unsafe { wide::write(row.first, addrs, len) };
        self.give(span);
        Some(span.count)
    }

    /// The same wherever the room is.
    pub fn put_addrs(&mut self, mut addrs: &[u64], len: u32) -> u32 {
        let span = self.room(addrs.len());
        if span.count == 0 {
            return 0;
        }
        self.0.each_row(span, |row| {
            let (now, later) = addrs.split_at_checked(row.count as usize).unwrap_or_default();
            // SAFETY: free places in a row, as many as addresses.
            unsafe { wide::write(row.first, now, len) };
            addrs = later;
        });
        self.give(span);
        span.count
    }
}
