//! The receive side of a socket: RX and fill ring, for one thread.

use core::mem::MaybeUninit;

use crate::sys::Errno;
use crate::sys::abi::{Desc, PKT_CONTD};
use crate::sys::heap::InTurn;
use crate::sys::socket::RingKind;
use crate::xsk::chain;
use crate::xsk::error::{Error, fail};
use crate::xsk::fours;
use crate::xsk::frames::Ledger;
use crate::xsk::packet::Buf;
use crate::xsk::registrations::Heir;
use crate::xsk::ring::{Consumer, Producer, Run, Span};
use crate::xsk::side::Side;
use crate::xsk::wake::{Kick, Waker};

/// Empty bursts in a row after which the interface is asked whether it is still
/// there: a few calls a second for a thread that spins, none for one that waits.
const IDLE_BURSTS: u32 = 1 << 16;

/// What the receiving thread uses, and no other.
pub struct RxSide {
    rx: Consumer<Desc>,
    fill: Producer<u64>,
    side: Side,
    target: u32,
    idle: u32,
}

impl RxSide {
    /// `target` is how many frames `burst` keeps with the kernel.
    pub(super) fn new(rx: Consumer<Desc>, fill: Producer<u64>, side: Side, target: u32) -> RxSide {
        RxSide { rx, fill, side, target, idle: 0 }
    }

    /// The fill ring and what is in it, for other sockets on the queue: their receive
    /// sides and this one are used in turn.
    pub(super) fn alias(&self) -> (Producer<u64>, InTurn<Ledger>) {
        (self.fill.alias(), self.side.given.alias())
    }

    /// Uses the fill ring of another socket on the queue.
    pub(super) fn join(&mut self, fill: Producer<u64>, given: InTurn<Ledger>, target: u32) {
        (self.fill, self.side.given, self.target) = (fill, given, target);
    }

    /// What it has in common with the other side.
    pub(super) fn side(&mut self) -> &mut Side {
        &mut self.side
    }

    /// The RX ring, for peeking and reading.
    #[inline]
    pub fn rx(&mut self) -> &mut Consumer<Desc> {
        &mut self.rx
    }

    /// The fill ring.
    #[inline]
    pub fn fill(&mut self) -> &mut Producer<u64> {
        &mut self.fill
    }

    /// Gives up to `n` RX entries back to the kernel and counts their packets.
    #[inline]
    pub fn release(&mut self, n: u32) -> u32 {
        let (bytes, unended) = (self.rx.peeked_bytes(n), self.unended(n));
        let n = self.rx.release(n);
        self.side.count(n - unended, bytes);
        n
    }

    /// How many of the oldest `n` claimed descriptors are not the last of their packet.
    #[inline]
    fn unended(&self, n: u32) -> u32 {
        match self.side.max_frags {
            1 => 0,
            _ => chain::unended(&self.rx, self.rx.claimed().first(n)),
        }
    }

    /// Moves as many descriptors to `to` as there are and fit, and counts their
    /// packets.
    #[inline]
    pub fn get(&mut self, to: &mut [MaybeUninit<Desc>]) -> u32 {
        if self.side.max_frags != 1 {
            return self.get_chains(to);
        }
        match self.rx.get_few(to) {
            Some((n, bytes)) => {
                self.side.count(n, bytes);
                n
            }
            None => self.get_many(to),
        }
    }

    /// Apart, so that a few need not save the registers that this needs.
    #[inline(never)]
    fn get_many(&mut self, to: &mut [MaybeUninit<Desc>]) -> u32 {
        let (n, bytes) = self.rx.get_many(to);
        self.side.count(n, bytes);
        n
    }

    /// The same, and of each packet only the last descriptor is counted as one.
    #[cold]
    fn get_chains(&mut self, to: &mut [MaybeUninit<Desc>]) -> u32 {
        if self.rx.peeked() != 0 {
            return 0;
        }
        // Looked at first: behind the call they are the kernel's again.
        let span = self.rx.peek(u32::try_from(to.len()).unwrap_or(u32::MAX));
        let unended = chain::unended(&self.rx, span);
        self.rx.cancel(span.count);
        let to = to.get_mut(..span.count as usize).unwrap_or(&mut []);
        let (n, bytes) = self.rx.get_many(to);
        self.side.count(n - unended, bytes);
        n
    }

    /// Gives all that is claimed of the RX ring back to the kernel, and claims up to
    /// `n` descriptors in a row.
    #[inline]
    pub fn next_run(&mut self, n: u32) -> Run<Desc> {
        let unended = self.unended(u32::MAX);
        let (released, bytes) = self.rx.release_all();
        self.side.count(released - unended, bytes);
        self.rx.peek_run(n)
    }

    /// The same, and the frames of what was claimed go to the fill ring. None as long
    /// as that has not room for them.
    #[inline]
    pub fn recycle_run(&mut self, n: u32) -> Option<Run<Desc>> {
        if self.side.geometry.is_aligned() {
            let unended = self.unended(u32::MAX);
            if let Some((released, bytes)) = self.rx.recycle_row(&mut self.fill) {
                self.side.count(released - unended, bytes);
                return Some(self.rx.peek_run(n));
            }
        }
        self.recycle_run_anywhere(n)
    }

    #[cold]
    fn recycle_run_anywhere(&mut self, n: u32) -> Option<Run<Desc>> {
        let unended = self.unended(u32::MAX);
        let (released, bytes) = self.rx.recycle(&mut self.fill)?;
        self.side.count(released - unended, bytes);
        Some(self.rx.peek_run(n))
    }

    /// Whether there is anything to do here.
    pub fn receives(&self) -> bool {
        self.rx.size() != 0
    }

    /// Wakes the kernel if the fill ring's flag asks for it, or if `force`.
    #[inline]
    pub fn kick(&mut self, force: bool) -> Result<Kick, Error> {
        if !self.receives() {
            return fail!(Errno::EOPNOTSUPP, "rx kick: the socket only sends");
        }
        self.side.waker.place()?;
        let waker = &self.side.waker;
        if force || waker.polls() || self.fill.needs_wakeup(waker.copies()) {
            self.side.wake(Waker::wake_rx)
        } else {
            Ok(Kick::Done)
        }
    }

    /// Receives whole packets into `bufs` and keeps the fill ring fed; says how many
    /// buffers they have. An error means that there were none.
    #[inline]
    pub fn burst(&mut self, bufs: &mut [MaybeUninit<Buf>]) -> Result<u32, Error> {
        if !self.receives() {
            return fail!(Errno::EOPNOTSUPP, "rx burst: the socket only sends");
        }
        self.side.check_managed("rx burst")?;
        if self.rx.peeked() != 0 || self.fill.reserved() != 0 {
            return fail!(
                Errno::EBUSY,
                "rx burst: ring entries are still peeked or reserved by other calls"
            );
        }
        if self.side.waker.polls() && !bufs.is_empty() {
            self.poll()?;
        }
        let room = u32::try_from(bufs.len()).unwrap_or(u32::MAX);
        let there = self.rx.peek(room);
        // Whether the last packet is whole, in a burst of any length.
        let cut = there.count != 0 && chain::goes_on(&self.rx, there.last());
        let span = if cut { self.drop_cut(there, room)? } else { there };
        let n = span.count;
        self.receive(bufs, span);
        self.refill();
        match self.after_burst(n) {
            Err(e) if n == 0 => Err(e),
            _ => Ok(n),
        }
    }

    /// Leaves in the ring what there is of a packet that goes on behind a peeked span;
    /// gives the rest. An error if that packet is all there is room for.
    #[cold]
    fn drop_cut(&mut self, span: Span, room: u32) -> Result<Span, Error> {
        let cut = chain::cut(&self.rx, span);
        self.rx.cancel(cut);
        if cut < room.min(self.rx.size()) {
            return Ok(span.first(span.count - cut));
        }
        fail!(
            Errno::EMSGSIZE,
            "rx burst: the next packet has more buffers than there is room for, {room} (the RX \
             ring has {} entries); it waits there",
            self.rx.size()
        )
    }

    /// Moves a span of whole packets from the RX ring to `bufs`.
    #[inline]
    fn receive(&mut self, bufs: &mut [MaybeUninit<Buf>], span: Span) {
        let geometry = self.side.geometry;
        if !geometry.is_aligned() {
            return self.receive_unaligned(bufs, span);
        }
        let (mut bufs, mut bytes, mut options) = (bufs, 0, 0);
        // Two short loops are quicker than one that has not registers enough.
        for row in self.rx.entries(span) {
            let (now, later) = bufs.split_at_mut_checked(row.len()).unwrap_or_default();
            fours::pairs(row, now, |desc, buf| {
                bytes += u64::from(desc.len);
                options |= desc.options;
                buf.write(Buf::new(&geometry, desc.addr, desc.len, desc.options));
            });
            self.side.given.take_back_all(row, |desc| geometry.aligned_frame_at(desc.addr));
            if later.is_empty() {
                break;
            }
            bufs = later;
        }
        if span.count != 0 {
            let unended = if options & PKT_CONTD == 0 { 0 } else { chain::unended(&self.rx, span) };
            self.rx.give_back(span);
            self.side.count(span.count - unended, bytes);
        }
    }

    /// The same where addresses do not plainly say the frame.
    #[cold]
    fn receive_unaligned(&mut self, bufs: &mut [MaybeUninit<Buf>], span: Span) {
        let (geometry, mut bytes) = (self.side.geometry, 0);
        for (index, buf) in span.indices().zip(bufs) {
            let Some(Desc { addr, len, options }) = self.rx.read(index) else { break };
            let data = geometry.pointer(geometry.plain(addr));
            buf.write(Buf { data, len, options, addr });
            self.side.given.take_back(geometry.frame_at(addr));
            bytes += u64::from(len);
        }
        let unended = chain::unended(&self.rx, span);
        self.rx.give_back(span);
        self.side.count(span.count - unended, bytes);
    }

    /// Tops the kernel's frames up to the target.
    #[inline]
    fn refill(&mut self) {
        let missing = self.target.saturating_sub(self.side.given.count());
        let span = self.fill.reserve(missing);
        let geometry = self.side.geometry;
        if !geometry.is_aligned() {
            return self.refill_unaligned(span);
        }
        let mut filled = 0;
        'rows: for mut row in self.fill.places(span) {
            while !row.is_empty() {
                let frames = self.side.frames.take(row.len());
                let (now, later) = row.split_at_mut_checked(frames.len()).unwrap_or_default();
                if now.is_empty() {
                    break 'rows;
                }
                fours::pairs(frames, now, |frame, place| {
                    place.write(geometry.aligned_frame_addr(*frame));
                });
                self.side.given.give_all(frames);
                filled += now.len() as u32;
                row = later;
            }
        }
        // What is not filled is not claimed any more.
        self.fill.give(Span { count: filled, ..span });
    }

    /// The same where frames do not lie at multiples of their size.
    #[cold]
    fn refill_unaligned(&mut self, span: Span) {
        let mut filled = 0;
        for index in span.indices() {
            let Some(frame) = self.side.frames.take(1).first().copied() else { break };
            self.fill.write(index, self.side.geometry.frame_addr(frame));
            self.side.given.give_all(&[frame]);
            filled += 1;
        }
        self.fill.give(span.first(filled));
    }

    /// Has the kernel fetch packets from the device if none are there.
    #[cold]
    fn poll(&mut self) -> Result<(), Error> {
        if self.rx.unreleased().count == 0 {
            self.side.wake(Waker::wake_rx)?;
        }
        Ok(())
    }

    fn after_burst(&mut self, received: u32) -> Result<(), Error> {
        if self.fill.needs_wakeup(self.side.waker.copies()) {
            self.side.wake(Waker::wake_rx)?;
        }
        if received != 0 {
            self.idle = 0;
            return Ok(());
        }
        self.idle += 1;
        if self.idle < IDLE_BURSTS {
            return Ok(());
        }
        self.idle = 0;
        self.side.waker.check()
    }

    /// Takes back the frames of packets that are done with; says how many: it stops at
    /// an address in no frame, and at a frame that is the kernel's or in the pool
    /// already.
    #[inline]
    pub fn free(&mut self, bufs: &[Buf]) -> u32 {
        let Side { geometry, given, frames, .. } = &mut self.side;
        if !geometry.is_aligned() {
            return self.side.free_unaligned(bufs);
        }
        let (geometry, view, mut giving) = (*geometry, given.view(), frames.giving());
        let mut free = |buf: &Buf| {
            let frame = geometry.aligned_frame_at(buf.addr);
            view.lacks(frame) && giving.push(frame as u32)
        };
        bufs.iter().take_while(|buf| free(buf)).count() as u32
    }

    /// Puts the frames of packets back that nobody has received. Only reads the ring:
    /// a forked child that ends here must not move its parent's counters.
    pub(super) fn reclaim_unread(&mut self) {
        let RxSide { rx, side, .. } = self;
        for row in rx.entries(rx.unreleased()) {
            row.iter().for_each(|desc| side.reclaim(&[desc.addr]));
        }
    }

    /// Leaves the fill ring to the other sockets on the queue.
    pub(super) fn leave(&mut self, heir: &Heir) -> Result<(), Errno> {
        self.rx.unmap();
        if heir.maps { self.fill.renew(heir.fd, RingKind::Fill) } else { Ok(()) }
    }

    /// Whether the rings are the program's structs, which may be gone by now.
    pub(super) fn is_lent(&self) -> bool {
        self.rx.is_lent() || self.fill.is_lent()
    }

    /// Ends the mappings of the rings.
    pub(super) fn unmap(&mut self) {
        self.rx.unmap();
        self.fill.unmap();
    }
}
