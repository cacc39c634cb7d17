//! What the library counts: written by one side's thread, read by any.

use core::ops::Add;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::sys::abi::Statistics;

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

    /// What was counted so far.
    pub fn read(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic { packets: read(&self.packets), bytes: read(&self.bytes), kicks: read(&self.kicks) }
    }
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub packets: u64,
    pub bytes: u64,
    pub kicks: u64,
}

/// Everything that is counted of a socket, or of several.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub rx: Traffic,
    pub tx: Traffic,
    pub kernel: Statistics,
    /// How many of the kernel's counters there are.
    pub kernel_counters: usize,
}

impl Add for Traffic {
    type Output = Traffic;

    fn add(self, other: Traffic) -> Traffic {
        Traffic {
            packets: self.packets.wrapping_add(other.packets),
            bytes: self.bytes.wrapping_add(other.bytes),
            kicks: self.kicks.wrapping_add(other.kicks),
        }
    }
}

impl Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        let (a, b) = (self.kernel, other.kernel);
        Totals {
            rx: self.rx + other.rx,
            tx: self.tx + other.tx,
            kernel: Statistics {
                rx_dropped: a.rx_dropped.wrapping_add(b.rx_dropped),
                rx_invalid_descs: a.rx_invalid_descs.wrapping_add(b.rx_invalid_descs),
                tx_invalid_descs: a.tx_invalid_descs.wrapping_add(b.tx_invalid_descs),
                rx_ring_full: a.rx_ring_full.wrapping_add(b.rx_ring_full),
                rx_fill_ring_empty_descs: a
                    .rx_fill_ring_empty_descs
                    .wrapping_add(b.rx_fill_ring_empty_descs),
                tx_ring_empty_descs: a.tx_ring_empty_descs.wrapping_add(b.tx_ring_empty_descs),
            },
            kernel_counters: self.kernel_counters.max(other.kernel_counters),
        }
    }
}
