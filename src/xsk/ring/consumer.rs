//! RX and completion ring: the kernel writes, we read.

use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr;
use core::sync::atomic::Ordering;

use super::{Entry, Lent, Place, Span, entry};
use crate::sys::abi::RingOffset;
use crate::sys::{Errno, Mmap};

/// The side of a ring that the kernel fills and we empty: RX and completion.
///
/// In the wrapping sense: released <= peeked <= producer <= released + size.
pub struct Consumer<T>(pub(super) Place<T>);

impl<T> Deref for Consumer<T> {
    type Target = Place<T>;

    fn deref(&self) -> &Place<T> {
        &self.0
    }
}

impl<T> DerefMut for Consumer<T> {
    fn deref_mut(&mut self) -> &mut Place<T> {
        &mut self.0
    }
}

impl<T: Entry> Consumer<T> {
    /// A ring that never has anything, for a socket that has none.
    pub fn absent() -> Result<Consumer<T>, Errno> {
        Place::absent().map(Consumer)
    }

    /// A ring of `size` entries in `map`, whose parts lie where `at` says.
    /// It is used through a ring struct of the program's if one is lent.
    pub fn over(
        map: Mmap,
        at: &RingOffset,
        size: u32,
        lent: Option<Lent>,
    ) -> Result<Consumer<T>, Errno> {
        let mut place = Place::over(map, at, size, lent)?;
        let ring = place.get_mut();
        ring.cached_prod = ring.producer().load(Ordering::Acquire);
        ring.cached_cons = ring.consumer().load(Ordering::Relaxed);
        Ok(Consumer(place))
    }

    /// The same ring once more, for another socket on the queue; the two must not be
    /// used at the same time.
    pub fn alias(&self) -> Consumer<T> {
        Consumer(self.0.alias())
    }

    /// Up to `n` entries that are there, not yet claimed.
    #[inline]
    fn ready(&mut self, n: u32) -> Span {
        let ring = self.0.get_mut();
        let first = ring.cached_cons;
        let mut ready = ring.cached_prod.wrapping_sub(first);
        if ready < n {
            // Acquire pairs with the kernel's release: the entries below are written.
            let producer = ring.producer().load(Ordering::Acquire);
            ready = producer.wrapping_sub(first).min(ring.size);
            ring.cached_prod = first.wrapping_add(ready);
        }
        Span { first, count: n.min(ready) }
    }

    /// Claims up to `n` entries to read.
    #[inline]
    pub fn peek(&mut self, n: u32) -> Span {
        let span = self.ready(n);
        self.0.get_mut().cached_cons = span.end();
        span
    }

    /// How many entries are peeked and not released.
    #[inline]
    pub fn peeked(&self) -> u32 {
        let ring = self.0.get();
        // Relaxed: nobody but us writes the consumer.
        ring.cached_cons.wrapping_sub(ring.consumer().load(Ordering::Relaxed))
    }

    /// Gives the `n` oldest peeked entries back to the kernel, or all if there are
    /// fewer; says how many.
    #[inline]
    pub fn release(&mut self, n: u32) -> u32 {
        let ring = self.0.get();
        let consumer = ring.consumer().load(Ordering::Relaxed);
        let n = n.min(ring.cached_cons.wrapping_sub(consumer));
        if n != 0 {
            // Release: our reads of the entries come before the kernel reuses them.
            ring.consumer().store(consumer.wrapping_add(n), Ordering::Release);
        }
        n
    }

    /// Puts the `n` newest peeked entries back, to be peeked again, or all if there
    /// are fewer; says how many.
    pub fn cancel(&mut self, n: u32) -> u32 {
        let n = n.min(self.peeked());
        let ring = self.0.get_mut();
        ring.cached_cons = ring.cached_cons.wrapping_sub(n);
        n
    }

    /// The bytes of the oldest `n` peeked entries, or of all if there are fewer: what
    /// `release(n)` would give back.
    #[inline]
    pub fn peeked_bytes(&self, n: u32) -> u64 {
        self.0.bytes(Span { count: n.min(self.peeked()), ..self.claimed() })
    }

    /// Where the counter is that the kernel moves on when it has written entries; NULL
    /// if the socket does not have the ring.
    pub fn monitor(&self) -> *const u32 {
        if self.size() == 0 { ptr::null() } else { self.0.get().producer.as_ptr().cast() }
    }

    /// What is peeked and not released.
    #[inline]
    pub fn claimed(&self) -> Span {
        let ring = self.0.get();
        let first = ring.consumer().load(Ordering::Relaxed);
        Span { first, count: ring.cached_cons.wrapping_sub(first) }
    }

    /// Gives everything up to the end of a span back to the kernel; what follows is not
    /// claimed any more.
    #[inline]
    pub fn give_back(&mut self, span: Span) {
        let ring = self.0.get_mut();
        ring.cached_cons = span.end();
        // Release: our reads of the entries come before the kernel reuses them.
        ring.consumer().store(span.end(), Ordering::Release);
    }

    /// Gives all that is peeked back to the kernel; says how many, and their bytes.
    #[inline]
    pub fn release_all(&mut self) -> (u32, u64) {
        let span = self.claimed();
        if span.count == 0 {
            return (0, 0);
        }
        let bytes = self.0.bytes(span);
        self.give_back(span);
        (span.count, bytes)
    }

    /// Does what `get` does, where that is quickly done: few entries in a row.
    #[inline]
    pub fn get_few(&mut self, to: &mut [MaybeUninit<T>]) -> Option<(u32, u64)> {
        if to.len() >= 8 {
            return None;
        }
        let span = self.there(to.len());
        if span.count == 0 {
            return Some((0, 0));
        }
        let row = self.0.row(span)?;
        let to = to.as_mut_ptr().cast();
        // SAFETY: `count` is at most the length of `to`; the kernel does not write what
        // it has handed over.
        let bytes = unsafe { entry::copy_few(row.first, to, row.count as usize) };
        self.give_back(span);
        Some((span.count, bytes))
    }

    /// Up to `n` entries to read and give back at once: none while others are claimed.
    #[inline]
    fn there(&mut self, n: usize) -> Span {
        let alone = self.peeked() == 0;
        let n = if alone { u32::try_from(n).unwrap_or(u32::MAX) } else { 0 };
        self.ready(n)
    }

    /// Moves as many entries to `to` as there are and fit, and gives their slots back
    /// to the kernel; says how many, and their bytes: none while others are peeked,
    /// which somebody still reads.
    #[inline]
    pub fn get(&mut self, to: &mut [MaybeUninit<T>]) -> (u32, u64) {
        match self.get_few(to) {
            Some(got) => got,
            None => self.get_many(to),
        }
    }

    /// Does what `get` does.
    #[inline(never)]
    pub fn get_many(&mut self, to: &mut [MaybeUninit<T>]) -> (u32, u64) {
        let span = self.there(to.len());
        if span.count == 0 {
            return (0, 0);
        }
        // SAFETY: `count` is at most the length of `to`.
        let bytes = unsafe { self.0.copy_out(span, to.as_mut_ptr().cast()) };
        self.give_back(span);
        (span.count, bytes)
    }

    /// What the kernel has written and nobody has released.
    pub fn unreleased(&self) -> Span {
        let ring = self.0.get();
        let first = ring.consumer().load(Ordering::Relaxed);
        let count = ring.producer().load(Ordering::Acquire).wrapping_sub(first);
        Span { first, count: count.min(ring.size) }
    }
}
