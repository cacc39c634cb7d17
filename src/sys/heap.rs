//! Allocation that can fail: a box, a shared box, and a box whose inside several
//! threads reach by pointer.

use alloc::alloc::{Layout, alloc};
use alloc::boxed::Box;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use super::Errno;

/// `Box::new`, with ENOMEM instead of an abort.
pub fn try_box<T>(value: T) -> Result<Box<T>, Errno> {
    let layout = Layout::new::<T>();
    const { assert!(size_of::<T>() != 0) };
    // SAFETY: the layout is not empty, as just asserted.
    let room = unsafe { alloc(layout) }.cast::<T>();
    if room.is_null() {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: fresh memory of T's size and alignment.
    unsafe { room.write(value) };
    // SAFETY: it came from the global allocator with T's layout and holds a T.
    Ok(unsafe { Box::from_raw(room) })
}

/// `len` copies of a value, with ENOMEM instead of an abort.
pub fn try_slice<T: Copy>(value: T, len: usize) -> Result<Box<[T]>, Errno> {
    const { assert!(size_of::<T>() != 0) };
    if len == 0 {
        return Ok(Box::default());
    }
    let layout = Layout::array::<T>(len).map_err(|_| Errno::ENOMEM)?;
    // SAFETY: the layout is not empty: neither `len` nor T's size is 0.
    let room = unsafe { alloc(layout) }.cast::<T>();
    if room.is_null() {
        return Err(Errno::ENOMEM);
    }
    for at in 0..len {
        // SAFETY: inside the fresh memory, which has room for `len`.
        unsafe { room.wrapping_add(at).write(value) };
    }
    // SAFETY: it came from the global allocator with this slice's layout, and every
    // item is written.
    Ok(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(room, len)) })
}

/// The same values on the heap, with ENOMEM instead of an abort.
pub fn copy_slice<T: Copy + Default>(values: &[T]) -> Result<Box<[T]>, Errno> {
    let mut copy = try_slice(T::default(), values.len())?;
    copy.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
    Ok(copy)
}

struct Counted<T> {
    count: AtomicUsize,
    value: T,
}

/// A value with several owners; dropped with the last. `Arc`, with ENOMEM
/// instead of an abort.
pub struct Shared<T>(NonNull<Counted<T>>);

// SAFETY: owners in several threads share the T and the last one drops it, which
// is what T being Sync and Send allows.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Moves a value to the heap, with one owner.
    pub fn new(value: T) -> Result<Shared<T>, Errno> {
        let counted = try_box(Counted { count: AtomicUsize::new(1), value })?;
        Ok(Shared(NonNull::from(Box::leak(counted))))
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: the allocation lives as long as its last owner, and `self` is one.
        unsafe { self.0.as_ref() }
    }

    /// How many owners there are at this moment.
    pub fn owners(&self) -> usize {
        self.counted().count.load(Ordering::Acquire)
    }

    /// Whether two owners own the same value.
    pub fn same(&self, other: &Shared<T>) -> bool {
        self.0 == other.0
    }
}

impl<T: fmt::Display> fmt::Display for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        // Relaxed: a new owner comes from an old one, who keeps the value alive.
        self.counted().count.fetch_add(1, Ordering::Relaxed);
        Shared(self.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // AcqRel: what every other owner did to the value comes before its drop.
        if self.counted().count.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: made by Box::leak in `new`, and no owner is left.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// A value of its own cache lines, reached by pointer: one thread may use it
/// while others use the rest of what owns it.
pub struct Apart<T>(NonNull<Lines<T>>);

// 128: processors fetch lines of 64 bytes in pairs.
#[repr(C, align(128))]
struct Lines<T>(T);

// SAFETY: it owns its T like a Box.
unsafe impl<T: Send> Send for Apart<T> {}
// SAFETY: a shared reference only gives a pointer, whose use is unsafe.
unsafe impl<T: Send> Sync for Apart<T> {}

impl<T> Apart<T> {
    /// Moves a value to cache lines of its own.
    pub fn new(value: T) -> Result<Apart<T>, Errno> {
        Ok(Apart(NonNull::from(Box::leak(try_box(Lines(value))?))))
    }

    /// The value, for a caller who has the whole owner to himself.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: alive while `self` is, and `&mut self` is the promise that no
        // thread uses the pointer now.
        &mut unsafe { self.0.as_mut() }.0
    }

    /// Where the value is, for the one thread that uses it.
    pub fn as_ptr(&self) -> *mut T {
        // The struct is the value, at offset 0, and what pads it to whole lines.
        self.0.as_ptr().cast()
    }
}

/// A value of its own cache lines that several owners use in turn. Whoever makes an
/// alias sees to it that no two are used at the same time.
pub struct InTurn<T> {
    at: NonNull<T>,
    home: Shared<Apart<T>>,
}

// SAFETY: its owners use the T in turn, whichever threads they are in.
unsafe impl<T: Send> Send for InTurn<T> {}

impl<T> InTurn<T> {
    /// Moves a value to cache lines of its own, with one owner.
    pub fn new(value: T) -> Result<InTurn<T>, Errno> {
        let home = Apart::new(value)?;
        Ok(InTurn {
            at: NonNull::new(home.as_ptr()).ok_or(Errno::ENOMEM)?,
            home: Shared::new(home)?,
        })
    }

    /// Another owner.
    pub fn alias(&self) -> InTurn<T> {
        InTurn { at: self.at, home: self.home.clone() }
    }
}

impl<T> Deref for InTurn<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `home` keeps it, and no alias is used now.
        unsafe { self.at.as_ref() }
    }
}

impl<T> DerefMut for InTurn<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only reference.
        unsafe { self.at.as_mut() }
    }
}

impl<T> Drop for Apart<T> {
    fn drop(&mut self) {
        // SAFETY: made by Box::leak in `new`, owned by nobody else.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
