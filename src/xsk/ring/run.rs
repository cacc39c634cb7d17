//! Runs: entries that lie in a row in the ring, to be worked on where they are.

use super::entry::Entry;
use super::{Consumer, Place, Producer, Span, UNALIGNED_ADDR_MASK};
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
    fn run(&self, span: Span) -> Run<T> {
        Run { first: self.get().slot(span.first), count: span.count }
    }

    /// The entries of a span as one row, or two where it goes over the ring's end.
    #[inline]
    fn rows(&self, span: Span) -> [Run<T>; 2] {
        let row = self.get().run(span.first, span.count) as u32;
        let rest = Span { first: span.first.wrapping_add(row), count: span.count - row };
        [self.run(Span { count: row, ..span }), self.run(rest)]
    }

    /// The sum of the bytes of entries that are claimed.
    #[inline]
    pub(super) fn bytes(&self, span: Span) -> u64 {
        self.rows(span).into_iter().map(|row| row.bytes()).sum()
    }
}

impl<T: Entry> Run<T> {
    #[inline]
    fn bytes(&self) -> u64 {
        if self.count == 0 {
            return 0;
        }
        // SAFETY: `count` entries lie there in the mapping, which are ours now.
        let items = unsafe { core::slice::from_raw_parts(self.first, self.count as usize) };
        items.iter().map(T::bytes).sum()
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
}

impl Consumer<Desc> {
    /// Gives the frames of all that is peeked to the fill ring, and the entries back
    /// to the kernel; says how many, and their bytes. None if the fill ring has not
    /// room for all, or entries of it are reserved: nothing is done then.
    #[inline]
    pub fn recycle(&mut self, fill: &mut Producer<u64>) -> Option<(u32, u64)> {
        let span = self.claimed();
        if span.count == 0 {
            return Some((0, 0));
        }
        let to = fill.reserve_whole(span.count)?;
        let mut bytes = 0;
        for (from, to) in span.indices().zip(to.indices()) {
            let desc = self.read(from).unwrap_or_default();
            bytes += u64::from(desc.len);
            // An offset above bit 48 is the packet's, not the frame's.
            fill.write(to, desc.addr & UNALIGNED_ADDR_MASK);
        }
        fill.submit_all();
        self.release_all();
        Some((span.count, bytes))
    }
}

impl Producer<Desc> {
    /// Sends one packet of `len` bytes from each address; says how many had room: none
    /// while others are reserved.
    #[inline]
    pub fn put_addrs(&mut self, addrs: &[u64], len: u32) -> u32 {
        let Some(span) = self.reserve_alone(addrs.len()) else { return 0 };
        for (index, addr) in span.indices().zip(addrs) {
            self.write(index, Desc { addr: *addr, len, options: 0 });
        }
        self.submit_all();
        span.count
    }
}
