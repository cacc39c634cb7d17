//! What the rings hold, descriptors and addresses, and how they are copied quickly.

use core::ptr;

use crate::sys::abi::Desc;

/// An entry of a ring: integers without padding, of which any bytes are a value.
pub trait Entry: Copy {
    /// Bytes of packet that it stands for; 0 for an address.
    fn bytes(&self) -> u64;

    /// Reads one field by field: a single wide load would wait for the narrow stores
    /// with which somebody has just written it.
    ///
    /// # Safety
    /// `from` must be readable.
    unsafe fn load(from: *const Self) -> Self;
}

impl Entry for Desc {
    #[inline]
    fn bytes(&self) -> u64 {
        u64::from(self.len)
    }

    #[inline]
    unsafe fn load(from: *const Desc) -> Desc {
        let fields = from.cast::<u32>();
        // SAFETY: readable, as the caller promises. Volatile keeps the loads apart.
        let addr = unsafe { from.cast::<u64>().read_volatile() };
        // SAFETY: as above; `len` is behind the address.
        let len = unsafe { fields.wrapping_add(2).read_volatile() };
        // SAFETY: as above; `options` is behind `len`.
        let options = unsafe { fields.wrapping_add(3).read_volatile() };
        Desc { addr, len, options }
    }
}

impl Entry for u64 {
    #[inline]
    fn bytes(&self) -> u64 {
        0
    }

    #[inline]
    unsafe fn load(from: *const u64) -> u64 {
        // SAFETY: readable, as the caller promises. Volatile keeps the compiler from
        // calling memcpy for the loop around this.
        unsafe { from.read_volatile() }
    }
}

/// From here on memcpy is quicker than a loop.
const MANY: usize = 32;

/// Copies `n` entries in a row; gives the sum of their bytes.
///
/// # Safety
/// `from` must be readable and `to` writable for `n`, without an overlap.
#[inline]
pub unsafe fn copy<T: Entry>(from: *const T, to: *mut T, n: usize) -> u64 {
    if n < MANY {
        // SAFETY: the caller's promise.
        return unsafe { copy_each(from, to, n) };
    }
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, n) };
    // SAFETY: they were written just now.
    let items = unsafe { core::slice::from_raw_parts(to, n) };
    items.iter().map(T::bytes).sum()
}

/// # Safety
/// As for `copy`.
#[inline]
unsafe fn copy_each<T: Entry>(from: *const T, to: *mut T, n: usize) -> u64 {
    let mut bytes = 0;
    for i in 0..n {
        // SAFETY: below `n`.
        let item = unsafe { T::load(from.wrapping_add(i)) };
        bytes += item.bytes();
        // SAFETY: below `n`.
        unsafe { to.wrapping_add(i).write(item) };
    }
    bytes
}
