//! What `std` would have given for threads: a mutex and a slot per thread.

use core::cell::{Cell, UnsafeCell};
use core::ffi::{c_char, c_void};
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroUsize;
use core::ops::{Deref, DerefMut};
use core::str;

use once_cell::race::OnceNonZeroUsize;

use super::Errno;
use super::text::character;

/// A value that one thread at a time may use.
///
/// It must not move once it was locked: it lives in a static or on the heap.
pub struct Mutex<T> {
    raw: UnsafeCell<libc::pthread_mutex_t>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the T from thread to thread, one at a time.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            raw: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until no other thread has the value. Not to be nested: a thread that
    /// holds the lock must not ask for it again.
    pub fn lock(&self) -> Guard<'_, T> {
        // SAFETY: initialised, and alive while borrowed. A default mutex locked by
        // another thread only fails to lock by waiting.
        unsafe { libc::pthread_mutex_lock(self.raw.get()) };
        Guard { mutex: self, _not_send: PhantomData }
    }
}

/// The locked value; dropped, it is unlocked. Stays in its thread.
pub struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
    _not_send: PhantomData<*mut ()>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so no other thread has a reference.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `&mut self` makes it the only one in this thread.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: locked by this thread in `lock`; guards do not change threads.
        unsafe { libc::pthread_mutex_unlock(self.mutex.raw.get()) };
    }
}

/// A type of which all zero bytes are a value that needs no drop.
///
/// # Safety
/// Exactly that must hold of the implementing type.
pub unsafe trait Zeroed {}

/// Bytes with an end, written and read by one thread.
#[repr(C)]
pub struct Text<const N: usize> {
    len: Cell<usize>,
    bytes: [Cell<u8>; N],
}

// SAFETY: integers in cells, whose zero is the empty text.
unsafe impl<const N: usize> Zeroed for Text<N> {}

impl<const N: usize> Text<N> {
    /// Replaces the text, cut where it is too long; a NUL ends it.
    pub fn set(&self, text: fmt::Arguments<'_>) {
        self.len.set(0);
        // Cannot fail: `write_str` cuts instead.
        let _ = fmt::Write::write_fmt(&mut &*self, text);
        if let Some(end) = self.bytes.get(self.len.get()) {
            end.set(0);
        }
    }

    /// Hands the text to `read`.
    pub fn read(&self, read: impl FnOnce(&str)) {
        let mut bytes = [0; N];
        bytes.iter_mut().zip(&self.bytes).for_each(|(to, from)| *to = from.get());
        // Cut in the middle of a character it is not shown; sentences are ASCII.
        read(bytes.get(..self.len.get()).and_then(|text| str::from_utf8(text).ok()).unwrap_or(""));
    }

    /// Its first byte; a NUL stands behind the last.
    pub fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}

impl<const N: usize> fmt::Write for &Text<N> {
    fn write_char(&mut self, c: char) -> fmt::Result {
        self.write_str(character(c))
    }

    fn write_str(&mut self, part: &str) -> fmt::Result {
        let start = self.len.get();
        let room = self.bytes.get(start..N - 1).unwrap_or(&[]);
        room.iter().zip(part.bytes()).for_each(|(to, from)| to.set(from));
        self.len.set(start + room.len().min(part.len()));
        Ok(())
    }
}

/// A zeroed T for each thread that asks, freed when the thread ends.
pub struct PerThread<T> {
    // The pthread key, plus one so that key 0 is not zero.
    key: OnceNonZeroUsize,
    _value: PhantomData<fn() -> T>,
}

impl<T: Zeroed> PerThread<T> {
    /// Takes nothing from the system before the first use.
    pub const fn new() -> PerThread<T> {
        PerThread { key: OnceNonZeroUsize::new(), _value: PhantomData }
    }

    /// Runs `use_it` on this thread's T, made at its first use; None without
    /// memory or keys. A pointer into the T is valid until the thread ends.
    pub fn with<R>(&self, use_it: impl FnOnce(&T) -> R) -> Option<R> {
        let key = self.key.get_or_try_init(Self::new_key).ok()?.get() - 1;
        let key = key as libc::pthread_key_t;
        // SAFETY: the key was created and is never deleted.
        let mut slot = unsafe { libc::pthread_getspecific(key) }.cast::<T>();
        if slot.is_null() {
            slot = Self::new_slot(key)?;
        }
        // SAFETY: not null, zeroed when made, of T's size, and only this thread's;
        // shared references are all that is ever made of it.
        Some(use_it(unsafe { &*slot }))
    }

    fn new_slot(key: libc::pthread_key_t) -> Option<*mut T> {
        const { assert!(align_of::<T>() <= 16) }; // what calloc gives
        // SAFETY: takes two sizes.
        let slot = unsafe { libc::calloc(1, size_of::<T>()) };
        if slot.is_null() {
            return None;
        }
        // SAFETY: the key's destructor is `free`, and the slot is calloc's.
        if unsafe { libc::pthread_setspecific(key, slot) } != 0 {
            // SAFETY: nobody else knows the memory.
            unsafe { libc::free(slot) };
            return None;
        }
        Some(slot.cast())
    }

    // Two threads that race here leave one unused key behind, once.
    fn new_key() -> Result<NonZeroUsize, Errno> {
        // libc's own `free`: the destructor is there even when this library is not.
        let destroy: unsafe extern "C" fn(*mut c_void) = libc::free;
        let mut key: libc::pthread_key_t = 0;
        // SAFETY: `key` is written once.
        if unsafe { libc::pthread_key_create(&raw mut key, Some(destroy)) } != 0 {
            return Err(Errno::EAGAIN);
        }
        NonZeroUsize::new(key as usize + 1).ok_or(Errno::EAGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_text_too_long_is_cut_and_ends_in_nul() {
        static SLOT: PerThread<Text<8>> = PerThread::new();
        let read = || {
            SLOT.with(|text| {
                // SAFETY: `set` ended it with a NUL, in this thread.
                let c = unsafe { CStr::from_ptr(text.as_ptr()) }.to_str().unwrap();
                text.read(|same| assert_eq!(same, c));
                c.to_owned()
            })
        };
        assert_eq!(read().unwrap(), "");
        SLOT.with(|text| text.set(format_args!("{}{}", "four", "five5"))).unwrap();
        assert_eq!(read().unwrap(), "fourfiv");
        SLOT.with(|text| text.set(format_args!("x"))).unwrap();
        assert_eq!(read().unwrap(), "x");
        std::thread::spawn(move || assert_eq!(read().unwrap(), "")).join().unwrap();
    }

    #[test]
    fn a_mutex_lets_one_thread_in_at_a_time() {
        static COUNT: Mutex<u32> = Mutex::new(0);
        let add = || (0..10_000).for_each(|_| *COUNT.lock() += 1);
        let other = std::thread::spawn(add);
        add();
        other.join().unwrap();
        assert_eq!(*COUNT.lock(), 20_000);
    }
}
