//! Frames that a device may still write to, because its zero-copy socket was just
//! closed. They are free again when the queue can be bound again: by then the
//! kernel has taken the queue from the old socket's pool.

use alloc::vec::Vec;

use crate::sys::thread::Mutex;
use crate::xsk::frames::{FramePool, Ledger};
use crate::xsk::registrations::Queue;

struct Held {
    queue: Queue,
    frames: Ledger,
}

/// The frames of one UMEM that nobody may use yet.
pub struct Quarantine(Mutex<Vec<Held>>);

impl Quarantine {
    /// Holds none.
    pub fn new() -> Quarantine {
        Quarantine(Mutex::new(Vec::new()))
    }

    /// Keeps frames back that the device on a queue has.
    pub fn hold(&self, queue: Queue, frames: Ledger) {
        let mut held = self.0.lock();
        // Without memory for the note they stay out of the pool for good: no harm
        // but the loss.
        if frames.count() != 0 && held.try_reserve(1).is_ok() {
            held.push(Held { queue, frames });
        }
    }

    /// Puts the frames that a queue's device had back into the pool.
    pub fn release(&self, queue: &Queue, pool: &FramePool) {
        let mut held = self.0.lock();
        for held in held.iter_mut().filter(|held| held.queue == *queue) {
            held.frames.drain(|frame| {
                pool.give(frame);
            });
        }
        held.retain(|held| held.frames.count() != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_with_their_queue_and_no_other() {
        let pool = FramePool::new(4, |_| true).unwrap();
        let mut ledger = Ledger::new(4).unwrap();
        pool.take(3, |frame| assert!(ledger.notes().give(u64::from(frame))));
        let queue = Queue { netns: 1, ifindex: 2, queue_id: 0 };
        let quarantine = Quarantine::new();
        quarantine.hold(queue, ledger);
        quarantine.release(&Queue { queue_id: 1, ..queue }, &pool);
        assert_eq!(pool.len(), 1);
        quarantine.release(&queue, &pool);
        assert_eq!(pool.len(), 4);
        quarantine.release(&queue, &pool);
        assert_eq!(pool.len(), 4);
    }
}
