//! What both sides of a socket have: the frames that go to the kernel and come
//! back, the way into it, and what is counted.

use crate::sys::Errno;
use crate::sys::heap::{InTurn, Shared};
use crate::xsk::counters::Counters;
use crate::xsk::error::{Error, fail};
use crate::xsk::fours;
use crate::xsk::frames::{FrameCache, Ledger};
use crate::xsk::geometry::Geometry;
use crate::xsk::packet::Buf;
use crate::xsk::umem::Umem;
use crate::xsk::wake::{Kick, Waker};

/// One side's share of a socket, for one thread.
pub struct Side {
    pub(super) geometry: Geometry,
    /// Frames at hand.
    pub(super) frames: FrameCache,
    /// Frames that the kernel got from the packet calls of this side.
    pub(super) given: InTurn<Ledger>,
    pub(super) waker: Waker,
    /// Buffers that a packet may have.
    pub(super) max_frags: u32,
    counters: Shared<Counters>,
}

impl Side {
    /// `share` is how many of the UMEM's frames are there for the socket.
    pub(super) fn new(umem: &Umem, waker: Waker, share: u32) -> Result<Side, Errno> {
        let geometry = *umem.geometry();
        Ok(Side {
            geometry,
            frames: FrameCache::new(umem.pool().clone(), share)?,
            given: InTurn::new(Ledger::new(geometry.frame_count())?)?,
            waker,
            max_frags: 1,
            counters: Shared::new(Counters::default())?,
        })
    }

    /// Refuses packet calls where the program shares out the frames itself.
    #[inline]
    pub(super) fn check_managed(&self, what: &str) -> Result<(), Error> {
        if self.geometry.frame_count() != 0 {
            return Ok(());
        }
        fail!(
            Errno::EOPNOTSUPP,
            "{what}: the frames of this UMEM are the program's own; the packet calls need one of \
             xsk_umem_create()"
        )
    }

    /// The packets and kicks of this side.
    pub(super) fn counters(&self) -> &Shared<Counters> {
        &self.counters
    }

    /// Counts packets and the bytes in them.
    #[inline]
    pub(super) fn count(&self, packets: u32, bytes: u64) {
        self.counters.add_packets(packets, bytes);
    }

    /// Makes a call into the kernel and counts it.
    pub(super) fn wake(
        &self,
        call: impl FnOnce(&Waker) -> Result<Kick, Error>,
    ) -> Result<Kick, Error> {
        let kick = call(&self.waker)?;
        self.counters.add_kick();
        Ok(kick)
    }

    /// Puts frames back that the kernel has returned, but none that never came from
    /// here: it is not the pool's either.
    #[inline(never)]
    pub(super) fn reclaim(&mut self, addrs: &[u64]) {
        if !self.geometry.is_aligned() {
            return self.reclaim_unaligned(addrs);
        }
        let (geometry, mut notes, mut giving) =
            (self.geometry, self.given.notes(), self.frames.giving());
        fours::each(addrs, |addr| {
            let frame = geometry.aligned_frame_at(*addr);
            if notes.take_back(frame) {
                giving.push(frame as u32);
            }
        });
    }

    /// What `RxSide::free` does.
    #[cold]
    pub(super) fn free_unaligned(&mut self, bufs: &[Buf]) -> u32 {
        let mut free = |buf: &Buf| {
            let frame = self.geometry.frame_at(buf.addr);
            self.given.view().lacks(frame) && self.frames.give(frame as u32)
        };
        bufs.iter().take_while(|buf| free(buf)).count() as u32
    }

    #[cold]
    fn reclaim_unaligned(&mut self, addrs: &[u64]) {
        for addr in addrs {
            let frame = self.geometry.frame_at(*addr);
            if self.given.take_back(frame) {
                self.frames.give(frame as u32);
            }
        }
    }

    /// Puts every frame back that the kernel has, which it must not touch again: its
    /// socket is closed.
    pub(super) fn reclaim_all(&mut self) {
        let mut giving = self.frames.giving();
        self.given.drain(|frame| {
            giving.push(frame);
        });
    }
}
