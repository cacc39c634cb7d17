//! What the library counts: written by one side's thread, read by any.

use core::sync::atomic::{AtomicU64, Ordering};

/// The traffic of one side of a socket, on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
pub struct Counters {
    packets: AtomicU64,
    bytes: AtomicU64,
    kicks: AtomicU64,
}

// A plain load and store: the side's thread is the only writer.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

impl Counters {
    /// Counts packets and the bytes in them.
    #[inline]
    pub fn add_packets(&self, packets: u32, bytes: u64) {
        add(&self.packets, u64::from(packets));
        add(&self.bytes, bytes);
    }

    /// Counts a system call made to wake the kernel.
    #[inline]
    pub fn add_kick(&self) {
        add(&self.kicks, 1);
    }

    /// Packets, bytes, kicks.
    pub fn read(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.packets), read(&self.bytes), read(&self.kicks))
    }
}
