//! TX and fill ring: we write, the kernel reads.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{Ordering, fence};

use super::{Entry, Lent, Place, Span};
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

    /// Claims up to `n` entries to write.
    #[inline]
    pub fn reserve(&mut self, n: u32) -> Span {
        let ring = self.0.get_mut();
        let mut free = ring.cached_cons.wrapping_sub(ring.cached_prod);
        if free < n {
            // Acquire pairs with the kernel's release: it is done reading the entries
            // that this counter gives back.
            let consumer = ring.consumer().load(Ordering::Acquire);
            ring.cached_cons = consumer.wrapping_add(ring.size);
            free = ring.cached_cons.wrapping_sub(ring.cached_prod);
        }
        let span = Span { first: ring.cached_prod, count: n.min(free).min(ring.size) };
        ring.cached_prod = ring.cached_prod.wrapping_add(span.count);
        span
    }

    /// How many entries are reserved and not submitted.
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
        let first = self.0.get().producer().load(Ordering::Relaxed);
        self.0.bytes(Span { first, count: n.min(self.reserved()) })
    }

    /// Copies up to `items.len()` entries in and gives them to the kernel; says how
    /// many, and their bytes: none while others are reserved, whose contents nobody has
    /// vouched for.
    #[inline]
    pub fn put(&mut self, items: &[T]) -> (u32, u64) {
        let Some(span) = self.reserve_alone(items.len()) else { return (0, 0) };
        let bytes = self.0.copy_in(span.first, items.get(..span.count as usize).unwrap_or(&[]));
        self.submit_all();
        (span.count, bytes)
    }

    /// Claims up to `n` entries where no others are claimed.
    #[inline]
    pub(super) fn reserve_alone(&mut self, n: usize) -> Option<Span> {
        if self.reserved() != 0 {
            return None;
        }
        Some(self.reserve(u32::try_from(n).unwrap_or(u32::MAX))).filter(|span| span.count != 0)
    }

    /// Claims `n` entries or none, where no others are claimed.
    #[inline]
    pub(super) fn reserve_whole(&mut self, n: u32) -> Option<Span> {
        let span = self.reserve_alone(n as usize)?;
        if span.count == n {
            return Some(span);
        }
        self.cancel(span.count);
        None
    }

    /// Gives all that is reserved to the kernel.
    #[inline]
    pub(super) fn submit_all(&mut self) {
        let ring = self.0.get();
        // Release: who sees the new counter sees the entries below it.
        ring.producer().store(ring.cached_prod, Ordering::Release);
    }

    /// What the kernel was given and has not taken yet.
    pub fn unconsumed(&self) -> Span {
        let ring = self.0.get();
        let first = ring.consumer().load(Ordering::Acquire);
        let count = ring.producer().load(Ordering::Relaxed).wrapping_sub(first);
        Span { first, count: count.min(ring.size) }
    }

    /// Whether the kernel sleeps and wants a call to see what was submitted.
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        // SeqCst: our submit before our look at the flag, as the kernel sets the flag
        // before its last look at the producer. One of the two sees the other.
        fence(Ordering::SeqCst);
        self.0.get().needs_wakeup()
    }
}
