//! The rings shared with the kernel, and all arithmetic on them.
//!
//! Counters run on and wrap at 2^32; only the mask makes one into a slot. What the
//! kernel writes is masked or clamped, so nonsense there costs packets, not memory.
#![allow(unsafe_code)]

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use crate::sys::abi::{RING_NEED_WAKEUP, RingOffset};
use crate::sys::heap::Apart;
use crate::sys::{Errno, Mmap};

/// One ring as libxdp's `struct xsk_ring_prod` and `struct xsk_ring_cons` lay it
/// out, so that its inline helpers can work on ours.
#[repr(C)]
struct Ring {
    cached_prod: u32,
    /// In a producer it runs `size` ahead of the kernel's consumer.
    cached_cons: u32,
    mask: u32,
    size: u32,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    slots: NonNull<c_void>,
    flags: NonNull<AtomicU32>,
}

/// Stands in for the counters and the slots of a ring that a socket does not have.
/// Its size of 0 grants no slot, so this is never written.
#[repr(C, align(16))]
struct Nothing([AtomicU32; 4]);
static NOTHING: Nothing = Nothing([const { AtomicU32::new(0) }; 4]);

impl Ring {
    fn absent() -> Ring {
        let nothing = NonNull::from(&NOTHING).cast();
        Ring {
            cached_prod: 0,
            cached_cons: 0,
            mask: 0,
            size: 0,
            producer: nothing,
            consumer: nothing,
            slots: nothing.cast(),
            flags: nothing,
        }
    }

    /// A ring of `size` entries of T in `map`, whose parts lie where `at` says.
    fn new<T>(map: &Mmap, at: &RingOffset, size: u32) -> Result<Ring, Errno> {
        let place = |offset: u64, bytes: usize, align: usize| {
            let offset = usize::try_from(offset).ok()?;
            let fits = offset.checked_add(bytes)? <= map.len() && offset.is_multiple_of(align);
            fits.then(|| NonNull::new(map.addr().as_ptr().wrapping_byte_add(offset)))?
        };
        let word = |offset| place(offset, 4, 4).map(NonNull::cast::<AtomicU32>);
        let bytes = (size as usize).checked_mul(size_of::<T>()).ok_or(Errno::EOVERFLOW)?;
        let ring = || {
            Some(Ring {
                cached_prod: 0,
                cached_cons: 0,
                mask: size.checked_sub(1)?,
                size,
                producer: word(at.producer)?,
                consumer: word(at.consumer)?,
                slots: place(at.desc, bytes, align_of::<T>())?,
                flags: word(at.flags)?,
            })
        };
        // Only a kernel that contradicts itself gets here without a ring.
        ring().filter(|_| size.is_power_of_two()).ok_or(Errno::EINVAL)
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: `new` found it aligned and inside a mapping that lives as long as
        // the ring (or it is NOTHING's); both sides use it as an atomic.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.consumer.as_ref() }
    }

    fn slot<T>(&self, index: u32) -> *mut T {
        self.slots.as_ptr().cast::<T>().wrapping_add((index & self.mask) as usize)
    }

    fn needs_wakeup(&self) -> bool {
        // SAFETY: as in `producer`.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed) & RING_NEED_WAKEUP != 0
    }

    /// How many entries from `index` on lie in a row before the ring's end.
    fn run(&self, index: u32, n: u32) -> usize {
        n.min(self.size - (index & self.mask)) as usize
    }
}

/// Consecutive entries of a ring: `count` of them, the first at `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// A counter, to be given to `slot`; the others follow, wrapping at 2^32.
    pub first: u32,
    /// How many there are; 0 for none.
    pub count: u32,
}

/// What both directions have: where the ring is, and what keeps it there.
struct Place<T> {
    ring: NonNull<Ring>,
    _home: Apart<Ring>,
    map: Option<Mmap>,
    _entries: PhantomData<T>,
}

// SAFETY: it owns ring, mapping and home, and is used by one thread at a time.
unsafe impl<T: Send> Send for Place<T> {}

impl<T: Copy> Place<T> {
    fn new(ring: Ring, map: Option<Mmap>) -> Result<Place<T>, Errno> {
        let home = Apart::new(ring)?;
        let ring = NonNull::new(home.as_ptr()).ok_or(Errno::ENOMEM)?;
        Ok(Place { ring, _home: home, map, _entries: PhantomData })
    }

    fn over(map: Mmap, at: &RingOffset, size: u32) -> Result<Place<T>, Errno> {
        Place::new(Ring::new::<T>(&map, at, size)?, Some(map))
    }

    /// Ends the mapping; from now on the ring is absent.
    fn unmap(&mut self) {
        *self.get_mut() = Ring::absent();
        self.map = None;
    }

    fn get(&self) -> &Ring {
        // SAFETY: `_home` holds it and `self` is the only way to it.
        unsafe { self.ring.as_ref() }
    }

    fn get_mut(&mut self) -> &mut Ring {
        // SAFETY: as in `get`, and `&mut self` makes this the only reference.
        unsafe { self.ring.as_mut() }
    }

    /// Copies `items` to the slots from `first` on.
    fn write(&mut self, first: u32, items: &[T]) {
        let ring = self.get();
        let n = (items.len() as u32).min(ring.size);
        let row = ring.run(first, n);
        let from = items.as_ptr();
        // SAFETY: `row` slots lie from `first` to the end of the ring at most, `items`
        // has as many, and the kernel leaves slots alone that it was not given.
        unsafe { ptr::copy_nonoverlapping(from, ring.slot(first), row) };
        let (rest, left) = (from.wrapping_add(row), n as usize - row);
        // SAFETY: as above, from the ring's first slot on; `left` is below its size.
        unsafe { ptr::copy_nonoverlapping(rest, ring.slots.as_ptr().cast(), left) };
    }

    /// Copies `n` slots from `first` on to `to`.
    ///
    /// # Safety
    /// `to` must have room for `n` items.
    unsafe fn read(&self, first: u32, n: u32, to: *mut T) {
        let ring = self.get();
        let row = ring.run(first, n);
        // SAFETY: `row` slots lie from `first` to the end of the ring at most; the
        // caller has room for them; the kernel does not write what was peeked.
        unsafe { ptr::copy_nonoverlapping(ring.slot(first), to, row) };
        let (rest, left) = (to.wrapping_add(row), n as usize - row);
        // SAFETY: as above, from the ring's first slot on.
        unsafe { ptr::copy_nonoverlapping(ring.slots.as_ptr().cast(), rest, left) };
    }
}

/// The side of a ring that we fill and the kernel empties: TX and fill.
///
/// In the wrapping sense: consumer <= submitted <= reserved <= consumer + size.
pub struct Producer<T>(Place<T>);

impl<T: Copy> Producer<T> {
    /// A ring that gives no room, for a socket that has none.
    pub fn absent() -> Result<Producer<T>, Errno> {
        Place::new(Ring::absent(), None).map(Producer)
    }

    /// A ring of `size` entries in `map`, whose parts lie where `at` says.
    pub fn over(map: Mmap, at: &RingOffset, size: u32) -> Result<Producer<T>, Errno> {
        let mut place = Place::over(map, at, size)?;
        let ring = place.get_mut();
        ring.cached_prod = ring.producer().load(Ordering::Relaxed);
        ring.cached_cons = ring.consumer().load(Ordering::Acquire).wrapping_add(size);
        Ok(Producer(place))
    }

    /// Entries; 0 if the socket does not have the ring.
    #[inline]
    pub fn size(&self) -> u32 {
        self.0.get().size
    }

    /// Ends the mapping; from now on the ring is absent.
    pub fn unmap(&mut self) {
        self.0.unmap();
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

    /// Where the entry behind a counter is; valid to write while it is reserved.
    /// None if the socket does not have the ring.
    #[inline]
    pub fn slot(&self, index: u32) -> Option<NonNull<T>> {
        let ring = self.0.get();
        if ring.size == 0 { None } else { NonNull::new(ring.slot(index)) }
    }

    /// Writes an entry that is reserved.
    #[inline]
    pub fn write(&mut self, index: u32, item: T) {
        if let Some(slot) = self.slot(index) {
            // SAFETY: inside the mapping; the kernel leaves reserved entries alone.
            unsafe { slot.write(item) };
        }
    }

    /// Reads an entry back: one that the kernel was given and has not taken.
    pub fn read_back(&self, index: u32) -> Option<T> {
        // SAFETY: inside the mapping, and the kernel never writes the entries of a
        // ring that it consumes.
        self.slot(index).map(|slot| unsafe { slot.read() })
    }

    /// The oldest `n` reserved entries, as a sum of what `of` says of each: what
    /// `submit(n)` would give to the kernel.
    pub fn sum_reserved(&self, n: u32, of: impl Fn(T) -> u64) -> u64 {
        let first = self.0.get().producer().load(Ordering::Relaxed);
        let n = n.min(self.reserved());
        (0..n).filter_map(|i| self.read_back(first.wrapping_add(i))).map(of).sum()
    }

    /// Copies up to `items.len()` entries in and gives them to the kernel; says how
    /// many: none while others are reserved, whose contents nobody has vouched for.
    #[inline]
    pub fn put(&mut self, items: &[T]) -> u32 {
        if self.reserved() != 0 {
            return 0;
        }
        let span = self.reserve(u32::try_from(items.len()).unwrap_or(u32::MAX));
        if span.count == 0 {
            return 0;
        }
        self.0.write(span.first, items.get(..span.count as usize).unwrap_or(&[]));
        self.submit(u32::MAX);
        span.count
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

/// The side of a ring that the kernel fills and we empty: RX and completion.
///
/// In the wrapping sense: released <= peeked <= producer <= released + size.
pub struct Consumer<T>(Place<T>);

impl<T: Copy> Consumer<T> {
    /// A ring that never has anything, for a socket that has none.
    pub fn absent() -> Result<Consumer<T>, Errno> {
        Place::new(Ring::absent(), None).map(Consumer)
    }

    /// A ring of `size` entries in `map`, whose parts lie where `at` says.
    pub fn over(map: Mmap, at: &RingOffset, size: u32) -> Result<Consumer<T>, Errno> {
        let mut place = Place::over(map, at, size)?;
        let ring = place.get_mut();
        ring.cached_prod = ring.producer().load(Ordering::Acquire);
        ring.cached_cons = ring.consumer().load(Ordering::Relaxed);
        Ok(Consumer(place))
    }

    /// Entries; 0 if the socket does not have the ring.
    #[inline]
    pub fn size(&self) -> u32 {
        self.0.get().size
    }

    /// Ends the mapping; from now on the ring is absent.
    pub fn unmap(&mut self) {
        self.0.unmap();
    }

    /// Claims up to `n` entries to read.
    #[inline]
    pub fn peek(&mut self, n: u32) -> Span {
        let ring = self.0.get_mut();
        let mut ready = ring.cached_prod.wrapping_sub(ring.cached_cons);
        if ready < n {
            // Acquire pairs with the kernel's release: the entries below are written.
            ring.cached_prod = ring.producer().load(Ordering::Acquire);
            ready = ring.cached_prod.wrapping_sub(ring.cached_cons);
        }
        let span = Span { first: ring.cached_cons, count: n.min(ready).min(ring.size) };
        ring.cached_cons = ring.cached_cons.wrapping_add(span.count);
        span
    }

    /// How many entries are peeked and not released.
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

    /// Where the entry behind a counter is; valid to read while it is peeked. None
    /// if the socket does not have the ring.
    #[inline]
    pub fn slot(&self, index: u32) -> Option<NonNull<T>> {
        let ring = self.0.get();
        if ring.size == 0 { None } else { NonNull::new(ring.slot(index)) }
    }

    /// Reads an entry that is peeked.
    #[inline]
    pub fn read(&self, index: u32) -> Option<T> {
        // SAFETY: inside the mapping; the kernel does not write what was peeked.
        self.slot(index).map(|slot| unsafe { slot.read() })
    }

    /// The oldest `n` peeked entries, as a sum of what `of` says of each: what
    /// `release(n)` would give back.
    pub fn sum_peeked(&self, n: u32, of: impl Fn(T) -> u64) -> u64 {
        let first = self.0.get().consumer().load(Ordering::Relaxed);
        let n = n.min(self.peeked());
        (0..n).filter_map(|i| self.read(first.wrapping_add(i))).map(of).sum()
    }

    /// Moves as many entries to `to` as there are and fit, and gives their slots back
    /// to the kernel; says how many, and the sum of what `of` says of each. None
    /// while others are peeked, which somebody still reads.
    #[inline]
    pub fn get(&mut self, to: &mut [MaybeUninit<T>], of: impl Fn(&T) -> u64) -> (u32, u64) {
        if self.peeked() != 0 {
            return (0, 0);
        }
        let span = self.peek(u32::try_from(to.len()).unwrap_or(u32::MAX));
        if span.count == 0 {
            return (0, 0);
        }
        let to = to.as_mut_ptr().cast::<T>();
        // SAFETY: `count` is at most the length of `to`.
        unsafe { self.0.read(span.first, span.count, to) };
        self.release(u32::MAX);
        // SAFETY: `count` items were written just now, of a type that is Copy.
        let items = unsafe { slice::from_raw_parts(to, span.count as usize) };
        (span.count, items.iter().map(of).sum())
    }

    /// What the kernel has written and nobody has released.
    pub fn unreleased(&self) -> Span {
        let ring = self.0.get();
        let first = ring.consumer().load(Ordering::Relaxed);
        let count = ring.producer().load(Ordering::Acquire).wrapping_sub(first);
        Span { first, count: count.min(ring.size) }
    }
}

impl Span {
    /// The counters in it.
    pub fn indices(self) -> impl Iterator<Item = u32> {
        (0..self.count).map(move |i| self.first.wrapping_add(i))
    }
}

#[cfg(test)]
mod tests;
