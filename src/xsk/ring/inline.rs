//! The inline helpers of include/xdp/xsk.h, for programs that call them instead:
//! language bindings, and whoever finds them by name. They check nothing, as there.

use core::ffi::c_void;
use core::sync::atomic::Ordering;

use super::Ring;

impl Ring {
    /// Where the entry behind a counter is.
    pub fn entry<T>(&self, index: u32) -> *mut T {
        self.slot(index)
    }

    /// Whether the kernel asks for a wake-up.
    pub fn wants_wakeup(&self) -> bool {
        self.needs_wakeup()
    }

    /// Free entries, looked up again if fewer than `n` are known.
    pub fn free(&mut self, n: u32) -> u32 {
        let known = self.cached_cons.wrapping_sub(self.cached_prod);
        if known >= n {
            return known;
        }
        let consumer = self.consumer().load(Ordering::Acquire);
        self.cached_cons = consumer.wrapping_add(self.size);
        self.cached_cons.wrapping_sub(self.cached_prod)
    }

    /// Claims `n` entries or none; gives the first.
    pub fn reserve_all(&mut self, n: u32) -> Option<u32> {
        if self.free(n) < n {
            return None;
        }
        let first = self.cached_prod;
        self.cached_prod = first.wrapping_add(n);
        Some(first)
    }

    /// Gives entries to the kernel.
    pub fn submit_unchecked(&self, n: u32) {
        let producer = self.producer().load(Ordering::Relaxed);
        self.producer().store(producer.wrapping_add(n), Ordering::Release);
    }

    /// Entries to read, `n` at most, looked up again if none is known.
    pub fn available(&mut self, n: u32) -> u32 {
        if self.cached_prod == self.cached_cons {
            self.cached_prod = self.producer().load(Ordering::Acquire);
        }
        self.cached_prod.wrapping_sub(self.cached_cons).min(n)
    }

    /// Claims entries to read; gives the first and how many.
    pub fn peek_some(&mut self, n: u32) -> (u32, u32) {
        let (first, n) = (self.cached_cons, self.available(n));
        self.cached_cons = first.wrapping_add(n);
        (first, n)
    }

    /// Puts claimed entries back.
    pub fn unpeek(&mut self, n: u32) {
        self.cached_cons = self.cached_cons.wrapping_sub(n);
    }

    /// Gives entries back to the kernel.
    pub fn release_unchecked(&self, n: u32) {
        let consumer = self.consumer().load(Ordering::Relaxed);
        self.consumer().store(consumer.wrapping_add(n), Ordering::Release);
    }
}

/// The first byte of an unaligned chunk, of an address that also has an offset.
pub const UNALIGNED_ADDR_MASK: u64 = (1 << UNALIGNED_OFFSET_SHIFT) - 1;
/// Where the offset is in such an address.
pub const UNALIGNED_OFFSET_SHIFT: u32 = 48;

/// The pointer to an address in an area.
pub fn data(area: *mut c_void, addr: u64) -> *mut c_void {
    area.wrapping_byte_add(addr as usize)
}
