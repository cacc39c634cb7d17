//! Descriptors of packets of one length, each written by one store where the processor
//! has a store so wide: the stores are what a burst waits for.

use crate::sys::abi::Desc;

/// Writes a descriptor of `len` bytes, without options, for each address.
///
/// # Safety
/// As many descriptors as addresses must be writable at `to`.
#[cfg(target_arch = "x86_64")]
// The intrinsics without a pointer are safe from Rust 1.87 on.
#[allow(unused_unsafe)]
#[inline]
pub unsafe fn write(to: *mut Desc, addrs: &[u64], len: u32) {
    use core::arch::x86_64::{
        _mm_cvtsi64_si128, _mm_set1_epi64x, _mm_storeu_si128, _mm_unpacklo_epi64,
    };
    const { assert!(size_of::<Desc>() == 16) };

    // The second half of a descriptor: `len`, and 0 for `options` above it.
    // SAFETY: every x86-64 processor has SSE2.
    let rest = unsafe { _mm_set1_epi64x(i64::from(len)) };
    let write_one = |at: usize, addr: u64| {
        // SAFETY: SSE2.
        let addr = unsafe { _mm_cvtsi64_si128(addr as i64) };
        // SAFETY: SSE2.
        let desc = unsafe { _mm_unpacklo_epi64(addr, rest) };
        // SAFETY: 16 bytes, writable as the caller promises, at any alignment.
        unsafe { _mm_storeu_si128(to.wrapping_add(at).cast(), desc) };
    };
    let (mut left, mut at) = (addrs, 0);
    // By fours, written out: half of the loop would be counting.
    while let [a, b, c, d, others @ ..] = left {
        write_one(at, *a);
        write_one(at + 1, *b);
        write_one(at + 2, *c);
        write_one(at + 3, *d);
        (left, at) = (others, at + 4);
    }
    left.iter().enumerate().for_each(|(i, addr)| write_one(at + i, *addr));
}

/// The same where a store writes a word.
///
/// # Safety
/// As above.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub unsafe fn write(to: *mut Desc, addrs: &[u64], len: u32) {
    for (i, addr) in addrs.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { to.wrapping_add(i).write(Desc { addr: *addr, len, options: 0 }) };
    }
}
