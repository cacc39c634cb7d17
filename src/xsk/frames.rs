//! The frames of a UMEM: who may use which. A pool behind a lock, a cache for each
//! side of a socket in front of it, and a ledger of what the kernel has.

use alloc::boxed::Box;

use crate::sys::Errno;
use crate::sys::heap::{Shared, try_slice};
use crate::sys::thread::Mutex;

/// Frame numbers, last in first out, never more than fit.
struct Stack {
    frames: Box<[u32]>,
    len: usize,
}

impl Stack {
    fn new(room: usize) -> Result<Stack, Errno> {
        Ok(Stack { frames: try_slice(0, room)?, len: 0 })
    }

    #[inline]
    fn push(&mut self, frame: u32) -> bool {
        let Some(slot) = self.frames.get_mut(self.len) else { return false };
        *slot = frame;
        self.len += 1;
        true
    }

    #[inline]
    fn pop(&mut self) -> Option<u32> {
        let top = self.len.checked_sub(1)?;
        let frame = *self.frames.get(top)?;
        self.len = top;
        Some(frame)
    }

    /// Moves up to `n` frames to `other`, as many as fit there.
    fn move_to(&mut self, other: &mut Stack, n: usize) {
        let n = n.min(self.len).min(other.frames.len() - other.len);
        let from = self.frames.get(self.len - n..self.len);
        let to = other.frames.get_mut(other.len..other.len + n);
        if let (Some(from), Some(to)) = (from, to) {
            to.copy_from_slice(from);
            self.len -= n;
            other.len += n;
        }
    }
}

/// The frames that nobody uses; any thread may come.
pub struct FramePool(Mutex<Stack>);

impl FramePool {
    /// All of `count` frames, the lowest on top.
    pub fn new(count: u32) -> Result<FramePool, Errno> {
        let mut stack = Stack::new(count as usize)?;
        for frame in (0..count).rev() {
            stack.push(frame);
        }
        Ok(FramePool(Mutex::new(stack)))
    }

    /// Frames in the pool at this moment.
    pub fn len(&self) -> u32 {
        self.0.lock().len as u32
    }

    /// Hands out up to `n` frames to `each`.
    pub fn take(&self, n: u32, mut each: impl FnMut(u32)) -> u32 {
        let mut stack = self.0.lock();
        let n = n.min(stack.len as u32);
        (0..n).filter_map(|_| stack.pop()).for_each(&mut each);
        n
    }

    /// Takes frames back; false for one that is too many: given back twice.
    pub fn give(&self, frame: u32) -> bool {
        self.0.lock().push(frame)
    }
}

/// Frames at hand for one thread, filled from the pool and emptied to it by halves.
pub struct FrameCache {
    pool: Shared<FramePool>,
    at_hand: Stack,
}

/// Frames that a cache holds at most: four bursts of 64.
const CACHE: usize = 256;

impl FrameCache {
    /// An empty cache of a pool of `count` frames: small enough that sixteen caches
    /// cannot keep all frames from the others, and of no room where there are few.
    pub fn new(pool: Shared<FramePool>, count: u32) -> Result<FrameCache, Errno> {
        let room = CACHE.min(count as usize / 16) & !1;
        Ok(FrameCache { pool, at_hand: Stack::new(room)? })
    }

    /// A frame, from the pool if none is at hand; None when both are empty.
    #[inline]
    pub fn pop(&mut self) -> Option<u32> {
        self.at_hand.pop().or_else(|| self.pop_slow())
    }

    /// Takes a frame back; false if the pool has all its frames already.
    #[inline]
    pub fn push(&mut self, frame: u32) -> bool {
        self.at_hand.push(frame) || self.push_slow(frame)
    }

    #[cold]
    fn pop_slow(&mut self) -> Option<u32> {
        let half = self.at_hand.frames.len() / 2;
        let mut pool = self.pool.0.lock();
        pool.move_to(&mut self.at_hand, half);
        self.at_hand.pop().or_else(|| pool.pop())
    }

    #[cold]
    fn push_slow(&mut self, frame: u32) -> bool {
        let half = self.at_hand.frames.len() / 2;
        let mut pool = self.pool.0.lock();
        self.at_hand.move_to(&mut pool, half);
        self.at_hand.push(frame) || pool.push(frame)
    }
}

impl Drop for FrameCache {
    fn drop(&mut self) {
        self.at_hand.move_to(&mut self.pool.0.lock(), usize::MAX);
    }
}

/// Which frames of the pool one side of a socket has given to the kernel: so that
/// they can be had back when the socket goes, and none is given twice.
pub struct Ledger {
    given: Box<[bool]>,
    count: u32,
}

impl Ledger {
    /// Nothing given of `count` frames.
    pub fn new(count: u32) -> Result<Ledger, Errno> {
        Ok(Ledger { given: try_slice(false, count as usize)?, count: 0 })
    }

    /// Takes all notes away, to be kept elsewhere; this ledger has no frames then.
    pub fn take(&mut self) -> Ledger {
        core::mem::replace(self, Ledger { given: Box::default(), count: 0 })
    }

    /// How many frames the kernel has.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Notes a frame as given; false if it was already, or does not exist.
    #[inline]
    pub fn give(&mut self, frame: u32) -> bool {
        let Some(given) = self.given.get_mut(frame as usize).filter(|given| !**given) else {
            return false;
        };
        *given = true;
        self.count += 1;
        true
    }

    /// Notes a frame as come back; false if it was not given from here.
    #[inline]
    pub fn take_back(&mut self, frame: u32) -> bool {
        let Some(given) = self.given.get_mut(frame as usize).filter(|given| **given) else {
            return false;
        };
        *given = false;
        self.count -= 1;
        true
    }

    /// Whether the kernel has the frame from here.
    #[inline]
    pub fn has(&self, frame: u32) -> bool {
        self.given.get(frame as usize).is_some_and(|given| *given)
    }

    /// Every frame given, which are none any more.
    pub fn drain(&mut self, mut each: impl FnMut(u32)) {
        for (frame, given) in self.given.iter_mut().enumerate().filter(|(_, given)| **given) {
            *given = false;
            each(frame as u32);
        }
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_each_frame_once_and_refuses_one_too_many() {
        let pool = FramePool::new(4).unwrap();
        let mut seen = Vec::new();
        assert_eq!(pool.take(9, |frame| seen.push(frame)), 4);
        assert_eq!(seen, [0, 1, 2, 3]);
        assert!(seen.iter().all(|frame| pool.give(*frame)));
        assert!(!pool.give(0));
        assert_eq!(pool.len(), 4);
    }

    #[test]
    fn a_cache_gives_every_frame_and_returns_every_frame() {
        let pool = Shared::new(FramePool::new(64).unwrap()).unwrap();
        let mut cache = FrameCache::new(pool.clone(), 64).unwrap();
        let mut frames: Vec<u32> = core::iter::from_fn(|| cache.pop()).collect();
        frames.sort_unstable();
        assert_eq!(frames, (0..64).collect::<Vec<u32>>());
        assert_eq!(pool.len(), 0);
        assert!(frames.iter().all(|frame| cache.push(*frame)));
        assert!(pool.len() >= 60, "at most four are at hand");
        drop(cache);
        assert_eq!(pool.len(), 64);
    }

    #[test]
    fn a_cache_refuses_what_the_pool_has_no_room_for() {
        let pool = Shared::new(FramePool::new(32).unwrap()).unwrap();
        let mut cache = FrameCache::new(pool, 32).unwrap();
        assert!(cache.push(0) && cache.push(1), "they wait at hand");
        assert!(!cache.push(0), "pool and cache are full");
    }

    #[test]
    fn few_frames_are_kept_by_nobody() {
        let pool = Shared::new(FramePool::new(2).unwrap()).unwrap();
        let mut one = FrameCache::new(pool.clone(), 2).unwrap();
        let mut other = FrameCache::new(pool.clone(), 2).unwrap();
        let frames = [one.pop().unwrap(), one.pop().unwrap()];
        assert_eq!(other.pop(), None);
        assert!(one.push(frames[0]) && one.push(frames[1]));
        assert!(other.pop().is_some() && other.pop().is_some(), "not stuck in the first");
    }

    #[test]
    fn a_ledger_takes_a_frame_once_each_way() {
        let mut ledger = Ledger::new(3).unwrap();
        assert!(ledger.give(1) && !ledger.give(1) && !ledger.give(3));
        assert!(ledger.has(1) && !ledger.has(0) && ledger.count() == 1);
        assert!(ledger.take_back(1) && !ledger.take_back(1) && !ledger.take_back(9));
        assert!(ledger.give(0) && ledger.give(2));
        let mut left = Vec::new();
        ledger.drain(|frame| left.push(frame));
        assert_eq!((left, ledger.count()), (vec![0, 2], 0));
    }
}
