//! TX and fill ring: we write, the kernel reads.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{Ordering, fence};

use super::{Entry, Lent, Place, Span, entry};
use crate::sys::abi::RingOffset;
use crate::sys::{Errno, Mmap};

/// The side of a ring that we fill and the kernel empties: TX and fill.
///
/// In the wrapping sense: consumer <= submitted <= reserved <= consumer + size.
pub struct Producer<T>(pub(super) Place<T>);

impl<T> Deref for Producer<T> {
    type Target = Place<T>;

    fn deref(&self) -> &Place<T> {
        &self.0
    }
}

impl<T> DerefMut for Producer<T> {
    fn deref_mut(&mut self) -> &mut Place<T> {
        &mut self.0
    }
}

impl<T: Entry> Producer<T> {
    /// A ring that gives no room, for a socket that has none.
    pub fn absent() -> Result<Producer<T>, Errno> {
        Place::absent().map(Producer)
    }

    /// A ring of `size` entries in `map`, whose parts lie where `at` says.
    /// It is used through a ring struct of the program's if one is lent.
    pub fn over(
        map: Mmap,
        at: &RingOffset,
        size: u32,
        lent: Option<Lent>,
    ) -> Result<Producer<T>, Errno> {
        let mut place = Place::over(map, at, size, lent)?;
        let ring = place.get_mut();
        ring.cached_prod = ring.producer().load(Ordering::Relaxed);
        ring.cached_cons = ring.consumer().load(Ordering::Acquire).wrapping_add(size);
        Ok(Producer(place))
    }

    /// The same ring once more, for another socket on the queue; the two must not be
    /// used at the same time.
    pub fn alias(&self) -> Producer<T> {
        Producer(self.0.alias())
    }

    /// Up to `n` entries that are free, not yet claimed.
    #[inline]
    fn free(&mut self, n: u32) -> Span {
        let ring = self.0.get_mut();
        let first = ring.cached_prod;
        let mut free = ring.cached_cons.wrapping_sub(first);
        if free < n {
            // Acquire pairs with the kernel's release: it is done reading the entries
            // that this counter gives back.
            let consumer = ring.consumer().load(Ordering::Acquire);
            free = consumer.wrapping_add(ring.size).wrapping_sub(first).min(ring.size);
            ring.cached_cons = first.wrapping_add(free);
        }
        Span { first, count: n.min(free) }
    }

    /// Claims up to `n` entries to write.
    #[inline]
    pub fn reserve(&mut self, n: u32) -> Span {
        let span = self.free(n);
        self.0.get_mut().cached_prod = span.end();
        span
    }

    /// What is reserved and not submitted.
    #[inline]
    pub fn claimed(&self) -> Span {
        let ring = self.0.get();
        let first = ring.producer().load(Ordering::Relaxed);
        Span { first, count: ring.cached_prod.wrapping_sub(first) }
    }

    /// How many entries are reserved and not submitted.
    #[inline]
    pub fn reserved(&self) -> u32 {
        let ring = self.0.get();
        // Relaxed: nobody but us writes the producer.
        ring.cached_prod.wrapping_sub(ring.producer().load(Ordering::Relaxed))
    }

    /// Gives the `n` oldest reserved entries to the kernel, or all if there are
    /// fewer; says how many.
    #[inline]
    pub fn submit(&mut self, n: u32) -> u32 {
        let ring = self.0.get();
        let producer = ring.producer().load(Ordering::Relaxed);
        let n = n.min(ring.cached_prod.wrapping_sub(producer));
        if n != 0 {
            // Release: who sees the new counter sees the entries below it.
            ring.producer().store(producer.wrapping_add(n), Ordering::Release);
        }
        n
    }

    /// Gives up the `n` newest reserved entries, or all if there are fewer; says
    /// how many.
    pub fn cancel(&mut self, n: u32) -> u32 {
        let n = n.min(self.reserved());
        let ring = self.0.get_mut();
        ring.cached_prod = ring.cached_prod.wrapping_sub(n);
        n
    }

    /// Writes an entry that is reserved.
    #[inline]
    pub fn write(&mut self, index: u32, item: T) {
        if let Some(slot) = self.slot(index) {
            // SAFETY: inside the mapping; the kernel leaves reserved entries alone.
            unsafe { slot.write(item) };
        }
    }

    /// The bytes of the oldest `n` reserved entries, or of all if there are fewer: what
    /// `submit(n)` would give to the kernel.
    #[inline]
    pub fn reserved_bytes(&self, n: u32) -> u64 {
        self.0.bytes(Span { count: n.min(self.reserved()), ..self.claimed() })
    }

    /// Does what `put` does, where that is quickly done: few entries in a row.
    #[inline]
    pub fn put_few(&mut self, items: &[T]) -> Option<(u32, u64)> {
        // More are for memcpy; its wide loads would wait for a few that were just written.
        if items.len() >= 32 {
            return None;
        }
        let span = self.room(items.len());
        if span.count == 0 {
            return Some((0, 0));
        }
        let row = self.0.row(span)?;
        // SAFETY: `items` has as many, and the kernel leaves slots alone that it was not
        // given.
        let bytes = unsafe { entry::copy_few(items.as_ptr(), row.first, row.count as usize) };
        self.give(span);
        Some((span.count, bytes))
    }

    /// Copies up to `items.len()` entries in and gives them to the kernel; says how
    /// many, and their bytes: none while others are reserved, whose contents nobody has
    /// vouched for.
    #[inline]
    pub fn put(&mut self, items: &[T]) -> (u32, u64) {
        self.put_few(items).unwrap_or_else(|| self.put_many(items))
    }

    /// Does what `put` does.
    #[inline(never)]
    pub fn put_many(&mut self, items: &[T]) -> (u32, u64) {
        let span = self.room(items.len());
        if span.count == 0 {
            return (0, 0);
        }
        let bytes = self.0.copy_in(span, items);
        self.give(span);
        (span.count, bytes)
    }

    /// Up to `n` entries to write and give at once: none while others are claimed.
    #[inline]
    pub(super) fn room(&mut self, n: usize) -> Span {
        let alone = self.reserved() == 0;
        let n = if alone { u32::try_from(n).unwrap_or(u32::MAX) } else { 0 };
        self.free(n)
    }

    /// Gives a span to the kernel, which nothing that is claimed and not in it must
    /// precede; what follows it is not claimed any more.
    #[inline]
    pub fn give(&mut self, span: Span) {
        let ring = self.0.get_mut();
        ring.cached_prod = span.end();
        // Release: who sees the new counter sees the entries below it.
        ring.producer().store(span.end(), Ordering::Release);
    }

    /// What the kernel was given and has not taken yet.
    pub fn unconsumed(&self) -> Span {
        let ring = self.0.get();
        let first = ring.consumer().load(Ordering::Acquire);
        let count = ring.producer().load(Ordering::Relaxed).wrapping_sub(first);
        Span { first, count: count.min(ring.size) }
    }

    /// Whether the kernel sleeps and wants a call to see what was submitted. `steady`
    /// is for a flag that the kernel leaves as it is: in copy mode.
    #[inline]
    pub fn needs_wakeup(&self, steady: bool) -> bool {
        if !steady {
            // SeqCst: our submit before our look at the flag, as the kernel sets the flag
            // before its last look at the producer. One of the two sees the other.
            fence(Ordering::SeqCst);
        }
        self.0.get().needs_wakeup()
    }
}
