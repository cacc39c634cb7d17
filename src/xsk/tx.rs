//! The transmit side of a socket: TX and completion ring, for one thread.

mod chains;

use core::mem::MaybeUninit;

use crate::sys::Errno;
use crate::sys::abi::{Desc, PKT_CONTD, TX_METADATA};
use crate::sys::heap::InTurn;
use crate::sys::socket::RingKind;
use crate::xsk::chain;
use crate::xsk::error::{Error, fail};
use crate::xsk::fours;
use crate::xsk::frames::Ledger;
use crate::xsk::geometry::Geometry;
use crate::xsk::metadata::{Request, TX_METADATA_LEN, TxMetadata};
use crate::xsk::packet::{Buf, Stamp};
use crate::xsk::registrations::Heir;
use crate::xsk::ring::{Consumer, Producer, Span};
use crate::xsk::side::Side;
use crate::xsk::wake::{Kick, Waker};

/// What the sending thread uses, and no other.
pub struct TxSide {
    tx: Producer<Desc>,
    comp: Consumer<u64>,
    side: Side,
    /// Whether the kernel tells after each send in copy mode what it took, as Linux
    /// 6.17 does; before, it tells when it has taken all.
    tells: bool,
    /// What is asked for single packets; None where the UMEM has no room for that.
    metadata: Option<InTurn<TxMetadata>>,
}

/// What one send moves in copy mode at least: the budget of Linux 5.10.
const SMALLEST_BUDGET: u32 = 16;

impl TxSide {
    pub(super) fn new(tx: Producer<Desc>, comp: Consumer<u64>, side: Side, tells: bool) -> TxSide {
        TxSide { tx, comp, side, tells, metadata: None }
    }

    /// From now on something can be asked for single packets, if `metadata` is some.
    pub(super) fn set_metadata(&mut self, metadata: Option<InTurn<TxMetadata>>) {
        self.metadata = metadata;
    }

    /// What is asked for single packets, if the UMEM has room for it.
    pub(super) fn metadata(&mut self) -> Option<&mut TxMetadata> {
        self.metadata.as_deref_mut()
    }

    /// The completion ring and what will be in it, for other sockets on the queue: their
    /// transmit sides and this one are used in turn.
    pub(super) fn alias(&self) -> (Consumer<u64>, InTurn<Ledger>) {
        (self.comp.alias(), self.side.given.alias())
    }

    /// What was asked for the packets in that ring, for the same.
    pub(super) fn alias_metadata(&self) -> Option<InTurn<TxMetadata>> {
        self.metadata.as_ref().map(InTurn::alias)
    }

    /// Uses the completion ring of another socket on the queue.
    pub(super) fn join(&mut self, comp: Consumer<u64>, given: InTurn<Ledger>) {
        (self.comp, self.side.given) = (comp, given);
    }

    /// What it has in common with the other side.
    pub(super) fn side(&mut self) -> &mut Side {
        &mut self.side
    }

    /// The TX ring, for reserving and writing.
    #[inline]
    pub fn tx(&mut self) -> &mut Producer<Desc> {
        &mut self.tx
    }

    /// The completion ring.
    #[inline]
    pub fn comp(&mut self) -> &mut Consumer<u64> {
        &mut self.comp
    }

    /// Gives up to `n` reserved TX entries to the kernel and counts their packets.
    #[inline]
    pub fn submit(&mut self, n: u32) -> u32 {
        let bytes = self.tx.reserved_bytes(n);
        let unended = match self.side.max_frags {
            1 => 0,
            _ => chain::unended(&self.tx, self.tx.claimed().first(n)),
        };
        let n = self.tx.submit(n);
        self.side.count(n - unended, bytes);
        n
    }

    /// Copies descriptors in, gives them to the kernel and counts their packets.
    #[inline]
    pub fn put(&mut self, descs: &[Desc]) -> u32 {
        if self.side.max_frags != 1 {
            return self.put_chains(descs);
        }
        match self.tx.put_few(descs) {
            Some((n, bytes)) => {
                self.side.count(n, bytes);
                n
            }
            None => self.put_many(descs),
        }
    }

    /// Apart, so that a few need not save the registers that this needs.
    #[inline(never)]
    fn put_many(&mut self, descs: &[Desc]) -> u32 {
        let (n, bytes) = self.tx.put_many(descs);
        self.side.count(n, bytes);
        n
    }

    /// The same, and of each packet only the last descriptor is counted as one.
    #[cold]
    fn put_chains(&mut self, descs: &[Desc]) -> u32 {
        let (n, bytes) = self.tx.put_many(descs);
        let ends = descs.iter().take(n as usize).filter(|desc| desc.options & PKT_CONTD == 0);
        self.side.count(ends.count() as u32, bytes);
        n
    }

    /// Sends a packet of `len` bytes from each address, and counts them.
    #[inline]
    pub fn put_addrs(&mut self, addrs: &[u64], len: u32) -> u32 {
        match self.tx.put_addrs_in_row(addrs, len) {
            Some(n) => {
                self.side.count(n, u64::from(n) * u64::from(len));
                n
            }
            None => self.put_addrs_anywhere(addrs, len),
        }
    }

    #[cold]
    fn put_addrs_anywhere(&mut self, addrs: &[u64], len: u32) -> u32 {
        let n = self.tx.put_addrs(addrs, len);
        self.side.count(n, u64::from(n) * u64::from(len));
        n
    }

    /// Whether there is anything to do here.
    pub fn sends(&self) -> bool {
        self.tx.size() != 0
    }

    /// Wakes the kernel if the TX ring's flag asks for it, or if `force`.
    #[inline]
    pub fn kick(&mut self, force: bool) -> Result<Kick, Error> {
        if !self.sends() {
            return fail!(Errno::EOPNOTSUPP, "tx kick: the socket only receives");
        }
        self.side.waker.place()?;
        if force || self.wants_call() { self.wake() } else { Ok(Kick::Done) }
    }

    /// Whether the kernel sees only by a call what is in the ring.
    #[inline]
    fn wants_call(&self) -> bool {
        let waker = &self.side.waker;
        self.tx.needs_wakeup(waker.copies()) || waker.polls()
    }

    fn wake(&self) -> Result<Kick, Error> {
        let kick = self.side.wake(Waker::wake_tx)?;
        // What the kernel left in the ring though it sends during the call wants
        // another one: Linux 5.10 says nothing of a completion ring that is full.
        let left = self.side.waker.copies() && self.tx.unconsumed().count != 0;
        Ok(if left { Kick::Again } else { kick })
    }

    /// Sends whole packets; says how many buffers were taken. Their frames are the
    /// kernel's until they are reaped here; the others are still the caller's. An error
    /// means that none was taken.
    pub fn burst(&mut self, bufs: &[Buf]) -> Result<u32, Error> {
        if !self.sends() {
            return fail!(Errno::EOPNOTSUPP, "tx burst: the socket only receives");
        }
        self.side.check_managed("tx burst")?;
        self.side.waker.place()?;
        if self.tx.reserved() != 0 || self.comp.peeked() != 0 {
            return fail!(
                Errno::EBUSY,
                "tx burst: ring entries are still reserved or peeked by other calls"
            );
        }
        self.reap();
        let mut taken = 0;
        loop {
            let rest = bufs.get(taken as usize..).unwrap_or(&[]);
            let (n, refused) = self.enqueue(rest);
            taken += n;
            if let (0, Err(e)) = (taken, refused) {
                return Err(e);
            }
            // Once after the last packet, and again as long as that makes room.
            match self.flush() {
                Err(e) if taken == 0 => return Err(e),
                Err(_) => return Ok(taken),
                Ok(()) if refused.is_err() || n == 0 || taken as usize == bufs.len() => {
                    return Ok(taken);
                }
                Ok(()) => {}
            }
        }
    }

    /// Puts packets into the TX ring until it is full or one cannot be sent.
    fn enqueue(&mut self, bufs: &[Buf]) -> (u32, Result<(), Error>) {
        let span = self.tx.reserve(u32::try_from(bufs.len()).unwrap_or(u32::MAX));
        let (mut left, mut n, mut bytes) = (bufs, 0, 0);
        for row in self.tx.places(span) {
            let (now, later) = left.split_at_checked(row.len()).unwrap_or_default();
            let (described, sum) = describe(&self.side.geometry, &mut self.side.given, now, row);
            n += described;
            bytes += sum;
            if described as usize != now.len() || later.is_empty() {
                break;
            }
            left = later;
        }
        if n < span.count {
            return self.enqueue_chains(bufs, span, n, bytes);
        }
        self.tx.give(span);
        self.side.count(n, bytes);
        (n, Ok(()))
    }

    /// Asks for something for a packet that is to be sent.
    pub fn request(&mut self, buf: &mut Buf, request: Request) -> Result<(), Error> {
        let Some(metadata) = self.metadata.as_ref().filter(|_| self.sends()) else {
            return fail!(
                Errno::EOPNOTSUPP,
                "metadata: the frames have no room for it, or the socket only receives: the UMEM \
                 needs XSK_UMEM_TX_METADATA"
            );
        };
        let place = self.side.waker.place()?;
        let addr = self.side.geometry.addr(buf.data);
        if !self.side.geometry.fits(buf.addr, addr, buf.len) {
            return self.explain(buf);
        }
        let fresh = buf.options & TX_METADATA == 0;
        metadata.ask(place, addr, buf.len, fresh, request)?;
        buf.options |= TX_METADATA;
        Ok(())
    }

    /// Moves the times of completion that are known to `to`, oldest first; says how many.
    pub fn timestamps(&mut self, to: &mut [MaybeUninit<Stamp>]) -> u32 {
        if self.metadata.as_ref().is_some_and(|metadata| metadata.awaits()) {
            self.pending();
        }
        let Some(metadata) = &mut self.metadata else { return 0 };
        let mut n = 0;
        for (place, stamp) in to.iter_mut().zip(core::iter::from_fn(|| metadata.fetch())) {
            place.write(stamp);
            n += 1;
        }
        n
    }

    #[cold]
    fn explain(&self, buf: &Buf) -> Result<(), Error> {
        let addr = self.side.geometry.addr(buf.data);
        let (len, size) = (buf.len, self.side.geometry.frame_size());
        let metadata = if self.metadata.is_some() { TX_METADATA_LEN } else { 0 };
        match self.side.geometry.frame_of(buf.addr) {
            None => fail!(
                Errno::EINVAL,
                "tx burst: addr {:#x} is outside the UMEM of {} bytes",
                buf.addr,
                self.side.geometry.bytes()
            ),
            Some(frame) if !self.side.geometry.fits(buf.addr, addr, len) => fail!(
                Errno::EINVAL,
                "tx burst: {len} bytes at offset {} of a frame do not fit: a packet has 1 to {size} \
                 bytes and lies in its frame, with {metadata} for metadata in front of it",
                addr.wrapping_sub(self.side.geometry.frame_addr(frame)) as i32
            ),
            Some(_)
                if buf.options & !(PKT_CONTD | TX_METADATA) != 0
                    || (buf.options & TX_METADATA != 0 && metadata == 0) =>
            {
                fail!(Errno::EINVAL, "tx burst: options {:#x} are not known", buf.options)
            }
            Some(frame) => {
                fail!(Errno::EINVAL, "tx burst: frame {frame} is already on its way")
            }
        }
    }

    /// Wakes the kernel until it has taken what it can take now. In copy mode one
    /// call moves 32 descriptors unless the TX budget says more, and a completion
    /// ring that is full stops it.
    fn flush(&mut self) -> Result<(), Error> {
        if !self.wants_call() {
            return Ok(());
        }
        let mut left = self.tx.unconsumed().count;
        let mut untold = if self.tells { 0 } else { left / SMALLEST_BUDGET };
        while left != 0 && self.wants_call() && self.wake()? == Kick::Again {
            self.reap();
            let still = self.tx.unconsumed().count;
            // Bounded: each round takes at least one descriptor, and none is added. Where
            // that is not told it takes as many rounds as the budget asks for.
            if still >= left {
                if untold == 0 {
                    break;
                }
                untold -= 1;
            }
            left = still;
        }
        Ok(())
    }

    /// Takes back the frames of packets that are sent.
    fn reap(&mut self) {
        let span = self.comp.peek(u32::MAX);
        if span.count != 0 {
            if self.metadata.is_some() {
                self.keep_times(span);
            }
            self.comp.entries(span).into_iter().for_each(|row| self.side.reclaim(row));
            self.comp.give_back(span);
        }
    }

    /// Keeps the times of completion that were asked for.
    #[cold]
    fn keep_times(&mut self, span: Span) {
        let Some(metadata) = &mut self.metadata else { return };
        if metadata.awaits() {
            for addr in span.indices().filter_map(|index| self.comp.read(index)) {
                metadata.completed(addr, self.side.geometry.frame_at(addr));
            }
        }
    }

    /// How many packets of `burst` are not sent yet, as far as is known now.
    pub fn pending(&mut self) -> u32 {
        if self.comp.peeked() == 0 {
            self.reap();
        }
        self.side.given.count()
    }

    /// Hands out frames to write packets to; says how many.
    pub fn alloc(&mut self, bufs: &mut [MaybeUninit<Buf>]) -> u32 {
        let mut n = self.alloc_at_hand(bufs);
        if (n as usize) < bufs.len() && self.side.given.count() != 0 && self.comp.peeked() == 0 {
            self.reap();
            n += self.alloc_at_hand(bufs.get_mut(n as usize..).unwrap_or(&mut []));
            if (n as usize) < bufs.len() && self.side.given.count() != 0 {
                // A link that is down keeps its frames; the next burst says so.
                let _ = self.kick(false);
                self.reap();
                n += self.alloc_at_hand(bufs.get_mut(n as usize..).unwrap_or(&mut []));
            }
        }
        n
    }

    fn alloc_at_hand(&mut self, bufs: &mut [MaybeUninit<Buf>]) -> u32 {
        let geometry = self.side.geometry;
        let room = geometry.payload_room();
        let mut left = bufs;
        let mut n = 0;
        loop {
            let frames = self.side.frames.take(left.len());
            let (now, later) = left.split_at_mut_checked(frames.len()).unwrap_or_default();
            if now.is_empty() {
                return n;
            }
            fours::pairs(frames, now, |frame, buf| {
                let (addr, data) = geometry.payload(*frame);
                buf.write(Buf { data, len: room, options: 0, addr });
            });
            n += now.len() as u32;
            left = later;
        }
    }

    /// Puts the frames of packets back that are sent. Only reads the ring: a forked
    /// child that ends here must not move its parent's counters.
    pub(super) fn reclaim_sent(&mut self) {
        let TxSide { comp, side, .. } = self;
        comp.entries(comp.unreleased()).into_iter().for_each(|row| side.reclaim(row));
    }

    /// Puts the frames of packets back that the kernel will not send, and leaves the
    /// completion ring to the other sockets on the queue.
    pub(super) fn leave(&mut self, heir: &Heir) -> Result<(), Errno> {
        let TxSide { tx, side, .. } = self;
        for index in tx.unconsumed().indices() {
            side.reclaim(tx.read(index).map(|desc| desc.addr).as_slice());
        }
        tx.unmap();
        if heir.maps { self.comp.renew(heir.fd, RingKind::Comp) } else { Ok(()) }
    }

    /// Whether the rings are the program's structs, which may be gone by now.
    pub(super) fn is_lent(&self) -> bool {
        self.tx.is_lent() || self.comp.is_lent()
    }

    /// Ends the mappings of the rings.
    pub(super) fn unmap(&mut self) {
        self.tx.unmap();
        self.comp.unmap();
    }
}

/// Writes the descriptors of packets to `places` and notes their frames as the kernel's,
/// up to the first that cannot be sent; says how many, and their bytes. None where frames
/// are unaligned. A function of its own, which has the registers for itself.
#[inline(never)]
fn describe(
    geometry: &Geometry,
    given: &mut Ledger,
    bufs: &[Buf],
    places: &mut [MaybeUninit<Desc>],
) -> (u32, u64) {
    let (mut n, mut bytes) = (0, 0);
    if !geometry.is_aligned() {
        return (n, bytes);
    }
    let (geometry, mut notes) = (*geometry, given.notes());
    for (buf, place) in bufs.iter().zip(places) {
        let addr = geometry.addr(buf.data);
        let sendable = geometry.aligned_fits(buf.addr, addr, buf.len) && buf.options == 0;
        if !sendable || !notes.give(geometry.aligned_frame_at(addr)) {
            break;
        }
        place.write(Desc { addr, len: buf.len, options: 0 });
        n += 1;
        bytes += u64::from(buf.len);
    }
    (n, bytes)
}
