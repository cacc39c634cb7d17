//! The frames of a UMEM: who may use which. A pool behind a lock, a cache for each
//! side of a socket in front of it, and a ledger of what the kernel has.

use alloc::boxed::Box;
use core::slice;

use crate::sys::Errno;
use crate::sys::heap::{Shared, try_slice};
use crate::sys::thread::Mutex;
use crate::xsk::fours;

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
        self.pop_many(1).first().copied()
    }

    /// Takes up to `n` frames, the last one first in line.
    #[inline]
    fn pop_many(&mut self, n: usize) -> &[u32] {
        let left = self.len - n.min(self.len);
        let taken = self.frames.get(left..self.len).unwrap_or(&[]);
        self.len = left;
        taken
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
    /// The frames below `count` that are fit to be used, the lowest on top.
    pub fn new(count: u32, fit: impl Fn(&u32) -> bool) -> Result<FramePool, Errno> {
        let mut stack = Stack::new(count as usize)?;
        for frame in (0..count).rev().filter(fit) {
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
    /// The way through of a cache that has no room.
    single: u32,
}

/// Frames that a cache holds at most: four bursts of 64.
const CACHE: usize = 256;

impl FrameCache {
    /// An empty cache for a user whose share of the pool is `count` frames: small enough
    /// that sixteen cannot keep as many from the others, and of no room where there are
    /// few.
    pub fn new(pool: Shared<FramePool>, count: u32) -> Result<FrameCache, Errno> {
        let room = CACHE.min(count as usize / 16) & !1;
        Ok(FrameCache { pool, at_hand: Stack::new(room)?, single: 0 })
    }

    /// Up to `n` frames, from the pool if none is at hand; none when both are empty, or
    /// fewer than there are: ask again.
    #[inline]
    pub fn take(&mut self, n: usize) -> &[u32] {
        if self.at_hand.len == 0 && n != 0 { self.take_slow(n) } else { self.at_hand.pop_many(n) }
    }

    #[cold]
    fn take_slow(&mut self, n: usize) -> &[u32] {
        let half = self.at_hand.frames.len() / 2;
        let mut pool = self.pool.0.lock();
        pool.move_to(&mut self.at_hand, half);
        match self.at_hand.len {
            0 => {
                let single = pool.pop().inspect(|frame| self.single = *frame);
                single.map_or(&[], |_| slice::from_ref(&self.single))
            }
            _ => self.at_hand.pop_many(n),
        }
    }

    /// Takes a frame back; false if the pool has all its frames already.
    #[inline(never)]
    pub fn give(&mut self, frame: u32) -> bool {
        self.giving().push(frame)
    }

    /// Opens the cache to take frames back.
    #[inline]
    pub fn giving(&mut self) -> Giving<'_> {
        let Stack { frames, len } = &mut self.at_hand;
        Giving { pool: &self.pool, frames, len: *len, to: len }
    }
}

/// Frames on their way back: a loop keeps in registers what memory has at its end.
pub struct Giving<'a> {
    pool: &'a FramePool,
    frames: &'a mut [u32],
    len: usize,
    to: &'a mut usize,
}

impl Giving<'_> {
    /// Takes a frame back; false if the pool has all its frames already.
    #[inline]
    pub fn push(&mut self, frame: u32) -> bool {
        match self.frames.get_mut(self.len) {
            Some(slot) => {
                *slot = frame;
                self.len += 1;
                true
            }
            None => {
                let (len, taken) = spill(self.pool, self.frames, self.len, frame);
                self.len = len;
                taken
            }
        }
    }
}

impl Drop for Giving<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.to = self.len;
    }
}

/// Moves half of a full cache to the pool and puts a frame where there is room then;
/// gives how many are at hand, and whether there was room.
#[cold]
fn spill(pool: &FramePool, frames: &mut [u32], len: usize, frame: u32) -> (usize, bool) {
    let mut pool = pool.0.lock();
    let full = frames.get(len - frames.len() / 2..len).unwrap_or(&[]);
    let len = len - full.iter().take_while(|frame| pool.push(**frame)).count();
    match frames.get_mut(len) {
        Some(slot) => {
            *slot = frame;
            (len + 1, true)
        }
        None => (len, pool.push(frame)),
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

    /// Notes frames as given.
    #[inline]
    pub fn give_all(&mut self, frames: &[u32]) {
        let mut new = 0;
        let given = &mut *self.given;
        fours::each(frames, |frame| {
            if let Some(given) = given.get_mut(*frame as usize) {
                new += u32::from(!*given);
                *given = true;
            }
        });
        self.count += new;
    }

    /// Notes the frames of items as come back; what is no frame, or was not given from
    /// here, is passed over.
    #[inline]
    pub fn take_back_all<T>(&mut self, items: &[T], frame: impl Fn(&T) -> u64) {
        let (given, mut back) = (&mut *self.given, 0);
        fours::each(items, |item| {
            if let Some(given) = usize::try_from(frame(item)).ok().and_then(|at| given.get_mut(at))
            {
                back += u32::from(*given);
                *given = false;
            }
        });
        self.count -= back;
    }

    /// Notes a frame as come back; false if it was not given from here.
    #[inline(never)]
    pub fn take_back(&mut self, frame: u64) -> bool {
        self.notes().take_back(frame)
    }

    /// Opens the ledger for a look.
    #[inline]
    pub fn view(&self) -> View<'_> {
        View(&self.given)
    }

    /// Opens the ledger for notes.
    #[inline]
    pub fn notes(&mut self) -> Notes<'_> {
        Notes { given: &mut self.given, count: self.count, to: &mut self.count }
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

/// An open ledger, to be read.
#[derive(Clone, Copy)]
pub struct View<'a>(&'a [bool]);

impl View<'_> {
    /// Whether there is such a frame, and the kernel has it not from here.
    #[inline]
    pub fn lacks(self, frame: u64) -> bool {
        let given = usize::try_from(frame).ok().and_then(|at| self.0.get(at));
        given.is_some_and(|given| !*given)
    }
}

/// An open ledger: a loop keeps the count in a register.
pub struct Notes<'a> {
    given: &'a mut [bool],
    count: u32,
    to: &'a mut u32,
}

impl Notes<'_> {
    /// Notes a frame as given; false if it was already, or does not exist.
    #[inline]
    pub fn give(&mut self, frame: u64) -> bool {
        match usize::try_from(frame).ok().and_then(|at| self.given.get_mut(at)) {
            Some(given) if !*given => {
                *given = true;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    /// Notes a frame as come back; false if it was not given from here.
    #[inline]
    pub fn take_back(&mut self, frame: u64) -> bool {
        match usize::try_from(frame).ok().and_then(|at| self.given.get_mut(at)) {
            Some(given) if *given => {
                *given = false;
                self.count -= 1;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Notes<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.to = self.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_each_frame_once_and_refuses_one_too_many() {
        let pool = FramePool::new(4, |_| true).unwrap();
        let mut seen = Vec::new();
        assert_eq!(pool.take(9, |frame| seen.push(frame)), 4);
        assert_eq!(seen, [0, 1, 2, 3]);
        assert!(seen.iter().all(|frame| pool.give(*frame)));
        assert!(!pool.give(0));
        assert_eq!(pool.len(), 4);
    }

    /// Takes frames until there are none.
    fn take_all(cache: &mut FrameCache) -> Vec<u32> {
        let mut all = Vec::new();
        loop {
            match cache.take(7) {
                [] => return all,
                some => all.extend_from_slice(some),
            }
        }
    }

    /// Gives frames back; says how many there was room for.
    fn give(cache: &mut FrameCache, frames: &[u32]) -> usize {
        let mut giving = cache.giving();
        frames.iter().filter(|frame| giving.push(**frame)).count()
    }

    #[test]
    fn a_cache_gives_every_frame_and_returns_every_frame() {
        let pool = Shared::new(FramePool::new(64, |_| true).unwrap()).unwrap();
        let mut cache = FrameCache::new(pool.clone(), 64).unwrap();
        let mut frames = take_all(&mut cache);
        frames.sort_unstable();
        assert_eq!(frames, (0..64).collect::<Vec<u32>>());
        assert_eq!(pool.len(), 0);
        assert_eq!(give(&mut cache, &frames), 64);
        assert!(pool.len() >= 60, "at most four are at hand");
        drop(cache);
        assert_eq!(pool.len(), 64);
    }

    #[test]
    fn a_cache_refuses_what_the_pool_has_no_room_for() {
        let pool = Shared::new(FramePool::new(32, |_| true).unwrap()).unwrap();
        let mut cache = FrameCache::new(pool, 32).unwrap();
        assert_eq!(give(&mut cache, &[0, 1]), 2, "they wait at hand");
        assert_eq!(give(&mut cache, &[0]), 0, "pool and cache are full");
    }

    #[test]
    fn few_frames_are_kept_by_nobody() {
        let pool = Shared::new(FramePool::new(2, |_| true).unwrap()).unwrap();
        let mut one = FrameCache::new(pool.clone(), 2).unwrap();
        let mut other = FrameCache::new(pool.clone(), 2).unwrap();
        let frames = take_all(&mut one);
        assert_eq!(frames.len(), 2);
        assert!(other.take(1).is_empty());
        assert_eq!(give(&mut one, &frames), 2);
        assert_eq!(take_all(&mut other).len(), 2, "not stuck in the first");
    }

    #[test]
    fn a_ledger_takes_a_frame_once_each_way() {
        let mut ledger = Ledger::new(3).unwrap();
        let mut notes = ledger.notes();
        assert!(notes.give(1) && !notes.give(1) && !notes.give(3));
        drop(notes);
        let view = ledger.view();
        assert!(!view.lacks(1) && view.lacks(0) && !view.lacks(3));
        assert_eq!(ledger.count(), 1);
        let mut notes = ledger.notes();
        assert!(notes.take_back(1) && !notes.take_back(1) && !notes.take_back(9));
        assert!(notes.give(0) && notes.give(2));
        drop(notes);
        ledger.give_all(&[0, 1, 9]);
        assert_eq!(ledger.count(), 3);
        ledger.take_back_all(&[1, 1, 9, u64::MAX], |frame| *frame);
        let mut left = Vec::new();
        ledger.drain(|frame| left.push(frame));
        assert_eq!((left, ledger.count()), (vec![0, 2], 0));
    }
}
