//! What the rings hold, descriptors and addresses, and how they are copied quickly.

use core::ptr;

use crate::sys::abi::Desc;

/// An entry of a ring: integers without padding, of which any bytes are a value.
pub trait Entry: Copy {
    /// Bytes of packet that it stands for; 0 for an address.
    fn bytes(&self) -> u32;

    /// Reads one field by field: a single wide load would wait for the narrow stores
    /// with which somebody has just written it.
    ///
    /// # Safety
    /// `from` must be readable.
    unsafe fn load(from: *const Self) -> Self;
}

impl Entry for Desc {
    #[inline]
    fn bytes(&self) -> u32 {
        self.len
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
    fn bytes(&self) -> u32 {
        0
    }

    #[inline]
    unsafe fn load(from: *const u64) -> u64 {
        // SAFETY: readable, as the caller promises. Volatile keeps the compiler from
        // calling memcpy for the loop around this.
        unsafe { from.read_volatile() }
    }
}

/// Copies `n` entries in a row, which are many: by memcpy. Gives the sum of their bytes.
///
/// # Safety
/// `from` must be readable and `to` writable for `n`, without an overlap.
#[inline]
pub unsafe fn copy_many<T: Entry>(from: *const T, to: *mut T, n: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, n) };
    // SAFETY: they were written just now.
    bytes(unsafe { core::slice::from_raw_parts(to, n) })
}

/// The same for few, which are copied before memcpy would have begun.
///
/// # Safety
/// As for `copy_many`.
#[inline]
pub unsafe fn copy_few<T: Entry>(from: *const T, to: *mut T, n: usize) -> u64 {
    let mut bytes = 0;
    for i in 0..n {
        // SAFETY: below `n`.
        let item = unsafe { T::load(from.wrapping_add(i)) };
        bytes += u64::from(item.bytes());
        // SAFETY: below `n`.
        unsafe { to.wrapping_add(i).write(item) };
    }
    bytes
}

/// Packets whose bytes fit 32 bits together, which are quicker to sum: no buffer has
/// more than 64 KiB.
pub const SUMMED: usize = 1 << 16;

/// The sum of the bytes of entries.
#[inline]
pub fn bytes<T: Entry>(items: &[T]) -> u64 {
    items.chunks(SUMMED).map(|items| u64::from(sum(items))).sum()
}

#[inline]
fn sum<T: Entry>(items: &[T]) -> u32 {
    let (mut left, mut sum) = (items, 0u32);
    // By fours, written out: half of the loop would be counting.
    while let [a, b, c, d, others @ ..] = left {
        sum = sum.wrapping_add(a.bytes()).wrapping_add(b.bytes());
        sum = sum.wrapping_add(c.bytes()).wrapping_add(d.bytes());
        left = others;
    }
    left.iter().fold(sum, |sum, item| sum.wrapping_add(item.bytes()))
}
