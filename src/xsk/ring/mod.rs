//! The rings shared with the kernel, and all arithmetic on them.
//!
//! Counters run on and wrap at 2^32; only the mask makes one into a slot. What the
//! kernel writes is masked or clamped, so nonsense there costs packets, not memory.
#![allow(unsafe_code)]

mod consumer;
mod entry;
mod inline;
mod producer;
mod run;
mod wide;

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::sys::abi::{RING_NEED_WAKEUP, RingOffset};
use crate::sys::heap::{Apart, Shared};
use crate::sys::socket::{self, RingKind};
use crate::sys::{Errno, Mmap, RawFd};

pub use consumer::Consumer;
pub use entry::Entry;
pub use inline::{UNALIGNED_ADDR_MASK, UNALIGNED_OFFSET_SHIFT, data};
pub use producer::Producer;
pub use run::Run;

/// One ring as libxdp's `struct xsk_ring_prod` and `struct xsk_ring_cons` lay it
/// out, so that its inline helpers can work on ours.
#[repr(C)]
pub struct Ring {
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

    /// A ring of `size` entries of `entry` bytes in `map`, whose parts lie where `at` says.
    #[inline(never)]
    fn new(map: &Mmap, at: &RingOffset, size: u32, entry: usize) -> Result<Ring, Errno> {
        let place = |offset: u64, bytes: usize, align: usize| {
            let offset = usize::try_from(offset).ok()?;
            let fits = offset.checked_add(bytes)? <= map.len() && offset % align == 0;
            fits.then(|| NonNull::new(map.addr().as_ptr().wrapping_byte_add(offset)))?
        };
        let word = |offset| place(offset, 4, 4).map(NonNull::cast::<AtomicU32>);
        let bytes = (size as usize).checked_mul(entry).ok_or(Errno::EOVERFLOW)?;
        let ring = || {
            Some(Ring {
                cached_prod: 0,
                cached_cons: 0,
                mask: size.checked_sub(1)?,
                size,
                producer: word(at.producer)?,
                consumer: word(at.consumer)?,
                slots: place(at.desc, bytes, align_of::<u64>())?,
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
    #[inline]
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

impl Span {
    /// The counter behind the last one.
    #[inline]
    fn end(self) -> u32 {
        self.first.wrapping_add(self.count)
    }

    /// Its first `n` entries, or all if there are fewer.
    #[inline]
    pub fn first(self, n: u32) -> Span {
        Span { count: n.min(self.count), ..self }
    }

    /// The counter of the last one; any if there is none.
    #[inline]
    pub fn last(self) -> u32 {
        self.end().wrapping_sub(1)
    }

    /// The counters in it.
    pub fn indices(self) -> impl DoubleEndedIterator<Item = u32> {
        (0..self.count).map(move |i| self.first.wrapping_add(i))
    }
}

/// A ring struct of the program's own, on which its inline helpers work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Lent(NonNull<Ring>);

impl Lent {
    /// None for NULL.
    ///
    /// # Safety
    /// The struct must stay where it is, and be used by this library or by the
    /// program but not by both at once, until the sockets that use it are gone.
    pub unsafe fn new(ring: *mut Ring) -> Option<Lent> {
        NonNull::new(ring).map(Lent)
    }
}

/// What both directions have: where the ring is, and what keeps it there.
pub struct Place<T> {
    ring: NonNull<Ring>,
    /// None for a ring struct that is the program's.
    home: Option<Shared<Apart<Ring>>>,
    map: Option<Shared<Mmap>>,
    _entries: PhantomData<T>,
}

// SAFETY: it owns ring, mapping and home, and is used by one thread at a time.
unsafe impl<T: Send> Send for Place<T> {}

impl<T: Entry> Place<T> {
    #[inline(never)]
    fn absent() -> Result<Place<T>, Errno> {
        Place::new(Ring::absent(), None, None)
    }

    fn new(ring: Ring, map: Option<Shared<Mmap>>, lent: Option<Lent>) -> Result<Place<T>, Errno> {
        let (ring, home) = match lent {
            Some(Lent(theirs)) => {
                // SAFETY: writable, as promised to `Lent::new`.
                unsafe { theirs.write(ring) };
                (theirs, None)
            }
            None => {
                let home = Apart::new(ring)?;
                (NonNull::new(home.as_ptr()).ok_or(Errno::ENOMEM)?, Some(Shared::new(home)?))
            }
        };
        Ok(Place { ring, home, map, _entries: PhantomData })
    }

    fn over(map: Mmap, at: &RingOffset, size: u32, lent: Option<Lent>) -> Result<Place<T>, Errno> {
        const { assert!(align_of::<T>() == align_of::<u64>()) };
        let ring = Ring::new(&map, at, size, size_of::<T>())?;
        Place::new(ring, Some(Shared::new(map)?), lent)
    }

    /// The same ring once more, for another socket on the queue. The two must not be
    /// used at the same time.
    fn alias(&self) -> Place<T> {
        let (home, map) = (self.home.clone(), self.map.clone());
        Place { ring: self.ring, home, map, _entries: PhantomData }
    }

    /// Whether the ring struct is the program's, which may be gone by now.
    pub fn is_lent(&self) -> bool {
        self.home.is_none()
    }

    /// The ring struct, if it is the program's.
    pub fn lent(&self) -> Option<Lent> {
        self.is_lent().then_some(Lent(self.ring))
    }

    /// Where the ring struct is, for the program's inline helpers; NULL if the socket
    /// does not have the ring.
    pub fn address(&self) -> *mut Ring {
        if self.size() == 0 { ptr::null_mut() } else { self.ring.as_ptr() }
    }

    /// Whether the ring struct is that one.
    pub fn is_at(&self, lent: Lent) -> bool {
        self.ring == lent.0
    }

    /// Moves what was done so far to another ring struct of the program's.
    pub fn move_to(&mut self, lent: Lent) {
        if !self.is_at(lent) {
            // SAFETY: both are ring structs that live, as promised to `Lent::new`.
            unsafe { ptr::copy_nonoverlapping(self.ring.as_ptr(), lent.0.as_ptr(), 1) };
            self.ring = lent.0;
            self.home = None;
        }
    }

    /// Entries; 0 if the socket does not have the ring.
    #[inline]
    pub fn size(&self) -> u32 {
        self.get().size
    }

    /// Where the entry behind a counter is: valid to write while it is reserved, or
    /// to read while it is peeked. None if the socket does not have the ring.
    #[inline]
    pub fn slot(&self, index: u32) -> Option<NonNull<T>> {
        let ring = self.get();
        if ring.size == 0 { None } else { NonNull::new(ring.slot(index)) }
    }

    /// Reads an entry that the kernel does not write now.
    #[inline]
    pub fn read(&self, index: u32) -> Option<T> {
        // SAFETY: inside the mapping, and any bytes are a T: descriptors and
        // addresses are integers.
        self.slot(index).map(|slot| unsafe { slot.read() })
    }

    /// Keeps the mapping alive through another socket on the queue.
    pub fn renew(&self, fd: RawFd, kind: RingKind) -> Result<(), Errno> {
        self.map.as_ref().map_or(Ok(()), |map| socket::renew_ring(map, fd, kind))
    }

    /// Ends the mapping; from now on the ring is absent.
    pub fn unmap(&mut self) {
        // A lent struct is not touched: the program may have given it up.
        if self.map.take().is_some() && !self.is_lent() {
            *self.get_mut() = Ring::absent();
        }
    }

    fn get(&self) -> &Ring {
        // SAFETY: `home` holds it, or the program does; aliases are not used at once.
        unsafe { self.ring.as_ref() }
    }

    fn get_mut(&mut self) -> &mut Ring {
        // SAFETY: as in `get`, and `&mut self` makes this the only reference.
        unsafe { self.ring.as_mut() }
    }
}

#[cfg(test)]
mod tests;
