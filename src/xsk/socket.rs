//! A socket: its rings, its life from create to destroy, and what it is bound to.

use alloc::boxed::Box;
use core::any::Any;
use core::ffi::c_void;
use core::mem::size_of;

use crate::sys::abi::{Desc, MmapOffsets, RingOffset};
use crate::sys::heap::{Apart, InTurn, Shared};
use crate::sys::socket::{self, Ready, RingKind};
use crate::sys::{Errno, Mmap, OwnedFd, RawFd, genetlink};
use crate::xsk::bind::{Bond, netns};
use crate::xsk::busy::BusyPoll;
use crate::xsk::config::{KERNEL_TX_BUDGET, SocketConfig};
use crate::xsk::counters::{Counters, Totals};
use crate::xsk::error::{Error, error, fail};
use crate::xsk::logger::tell;
use crate::xsk::metadata::TxMetadata;
use crate::xsk::program::hints::{self, Hint};
use crate::xsk::registrations::QueueRings;
use crate::xsk::ring::{Consumer, Entry, Lent, Producer};
use crate::xsk::rx::RxSide;
use crate::xsk::side::Side;
use crate::xsk::tx::TxSide;
use crate::xsk::umem::{Umem, out_of_memory};
use crate::xsk::wake::Waker;

/// An AF_XDP socket. Its two sides may be driven by two threads.
pub struct Socket {
    rx: Apart<RxSide>,
    tx: Apart<TxSide>,
    counters: (Shared<Counters>, Shared<Counters>),
    waker: Waker,
    fd: Option<Shared<OwnedFd>>,
    bond: Option<Bond>,
    /// What the libxdp way adds, dropped first. Its type is not named here, so that a
    /// library without those names is without its code too.
    pub(super) membership: Option<Box<dyn Any + Send + Sync>>,
    config: SocketConfig,
    tx_budget: u32,
    pub(super) netns: u64,
    pub(super) registered: bool,
    in_port: bool,
    // Last: the memory outlives the rings and the kernel's use of it.
    pub(super) umem: Shared<Umem>,
}

/// The rings of a socket; those that it does not have are absent.
pub(super) struct Rings {
    pub(super) rx: Consumer<Desc>,
    pub(super) tx: Producer<Desc>,
    pub(super) fill: Producer<u64>,
    pub(super) comp: Consumer<u64>,
}

impl Socket {
    /// Makes a socket and its rings, not yet bound to anything.
    pub fn create(umem: &Shared<Umem>, config: SocketConfig) -> Result<Socket, Error> {
        // What is wrong with it is said before a socket is asked for.
        let config = config.resolved(umem.config())?;
        let (fd, netns, registered) = umem.socket(config.joins)?;
        Socket::with(fd, netns, registered, umem, config)
    }

    /// The same with a descriptor that is there, `registered` with the memory or not.
    pub(super) fn create_on(
        fd: OwnedFd,
        registered: bool,
        umem: &Shared<Umem>,
        config: SocketConfig,
    ) -> Result<Socket, Error> {
        let mut config = config.resolved(umem.config())?;
        if !config.busy_poll.is_on() {
            config.busy_poll.us = socket::busy_poll(fd.raw());
        }
        let netns = netns(socket::netns_cookie(fd.raw()));
        Socket::with(fd, netns, registered, umem, config)
    }

    fn with(
        fd: OwnedFd,
        netns: u64,
        registered: bool,
        umem: &Shared<Umem>,
        config: SocketConfig,
    ) -> Result<Socket, Error> {
        let offsets = match socket::mmap_offsets(fd.raw()) {
            Ok(offsets) => offsets,
            Err(e) => return fail!(e, "socket: this kernel is older than Linux 5.4: {e}"),
        };
        let (fill, comp) = (
            producer(fd.raw(), RingKind::Fill, config.fill_size, &offsets)?,
            consumer(fd.raw(), RingKind::Comp, config.comp_size, &offsets)?,
        );
        let rx = consumer(fd.raw(), RingKind::Rx, config.rx_size, &offsets)?;
        let tx = producer(fd.raw(), RingKind::Tx, config.tx_size, &offsets)?;
        let fd = Shared::new(fd).or_else(|e| out_of_memory(e, "socket"))?;
        let mut socket = Socket::assemble(umem, fd, netns, config, Rings { rx, tx, fill, comp })?;
        socket.registered = registered;
        Ok(socket)
    }

    /// A socket of rings that are there.
    pub(super) fn assemble(
        umem: &Shared<Umem>,
        fd: Shared<OwnedFd>,
        netns: u64,
        config: SocketConfig,
        rings: Rings,
    ) -> Result<Socket, Error> {
        let raised = set_tx_budget(fd.raw(), &config)?;
        config.busy_poll.set(fd.raw())?;
        let waker = Waker::new(fd.raw(), config.busy_poll.is_on());
        let share = share(umem, &config);
        let target = target(share, config.fill_size);
        let sides = || {
            let receiving = Side::new(umem, waker.clone(), share)?;
            let sending = Side::new(umem, waker.clone(), share)?;
            let counters = (receiving.counters().clone(), sending.counters().clone());
            let rx = Apart::new(RxSide::new(rings.rx, rings.fill, receiving, target))?;
            let metadata = tx_metadata(umem, config.tx_size)?;
            let mut tx = TxSide::new(rings.tx, rings.comp, sending, raised.is_some());
            tx.set_metadata(metadata);
            Ok((counters, rx, Apart::new(tx)?))
        };
        let (counters, rx, tx) = sides().or_else(|e| out_of_memory(e, "socket"))?;
        Ok(Socket {
            rx,
            tx,
            counters,
            waker,
            fd: Some(fd),
            bond: None,
            membership: None,
            config,
            tx_budget: raised.unwrap_or(KERNEL_TX_BUDGET),
            netns,
            registered: true,
            in_port: false,
            umem: umem.clone(),
        })
    }

    /// The descriptor, for epoll and the like; it stays the socket's.
    pub fn fd(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, |fd| fd.raw())
    }

    /// Where the receive side is, for its thread.
    #[inline]
    pub fn rx_side(&self) -> *mut RxSide {
        self.rx.as_ptr()
    }

    /// Where the transmit side is, for its thread.
    #[inline]
    pub fn tx_side(&self) -> *mut TxSide {
        self.tx.as_ptr()
    }

    /// The sizes that the rings have.
    pub fn config(&self) -> &SocketConfig {
        &self.config
    }

    /// What it is bound to.
    pub fn bond(&self) -> Option<&Bond> {
        self.bond.as_ref()
    }

    /// The rings and frames of its queue.
    pub(super) fn queue_rings(&mut self) -> QueueRings {
        let (rx, tx) = (self.rx.get_mut(), self.tx.get_mut());
        QueueRings { fill: rx.alias(), comp: tx.alias(), metadata: tx.alias_metadata() }
    }

    /// From now on the socket uses the rings of a queue that has others.
    pub(super) fn join(&mut self, rings: QueueRings) {
        let QueueRings { fill: (fill, filled), comp: (comp, sent), metadata } = rings;
        (self.config.fill_size, self.config.comp_size) = (fill.size(), comp.size());
        let target = target(share(&self.umem, &self.config), fill.size());
        self.rx.get_mut().join(fill, filled, target);
        self.tx.get_mut().join(comp, sent);
        self.tx.get_mut().set_metadata(metadata);
    }

    /// From now on the socket is bound.
    pub(super) fn set_bond(&mut self, bond: Bond) {
        self.each_waker(|waker| waker.bound(bond.place.clone(), !bond.zero_copy));
        self.rx.get_mut().side().max_frags = bond.max_frags;
        self.tx.get_mut().side().max_frags = bond.max_frags;
        if let Some(metadata) = self.tx.get_mut().metadata() {
            let device = genetlink::features(bond.place.ifindex).unwrap_or_default();
            metadata.bound(device.tx_metadata, !bond.zero_copy);
        }
        self.bond = Some(bond);
    }

    fn each_waker(&mut self, mut each: impl FnMut(&mut Waker)) {
        each(&mut self.waker);
        each(&mut self.rx.get_mut().side().waker);
        each(&mut self.tx.get_mut().side().waker);
    }

    /// From now on the socket polls its device so: somebody else has set it up.
    pub fn set_busy(&mut self, busy_poll: BusyPoll) {
        self.config.busy_poll = busy_poll;
        self.each_waker(Waker::set_busy);
    }

    /// How many descriptors one send moves in copy mode.
    pub fn tx_budget(&self) -> u32 {
        self.tx_budget
    }

    /// Waits for packets or room; see `Waker::wait`.
    pub fn wait(&self, wanted: Ready, timeout_ms: i32) -> Result<Ready, Error> {
        self.waker.wait(wanted, timeout_ms)
    }

    /// Asks whether the interface is there and up.
    pub fn check(&self) -> Result<(), Error> {
        self.waker.check()
    }

    /// What each side and the kernel have counted.
    pub fn totals(&self) -> Result<Totals, Error> {
        let (kernel, kernel_counters) = socket::statistics(self.fd())
            .map_err(|e| error!(e, "stats: the kernel does not tell: {e}"))?;
        let (rx, tx) = (self.counters.0.read(), self.counters.1.read());
        Ok(Totals { rx, tx, kernel, kernel_counters })
    }

    /// What the driver knows of a packet received at `data`.
    pub fn hint(&self, data: *const c_void, hint: Hint) -> Result<u64, Error> {
        let hints = self.bond.as_ref().is_some_and(|bond| bond.hints);
        let told = match self.umem.area().filter(|_| hints) {
            Some(area) => hints::read(area, self.umem.geometry().addr(data), hint),
            None => Err(Errno::EOPNOTSUPP),
        };
        told.map_err(|e| {
            let why = match e {
                Errno::ENODATA => "the driver does not know it",
                Errno::EINVAL => "no packet was received here, or it was moved",
                _ => "the socket is not bound with XSK_BIND_RX_METADATA",
            };
            error!(e, "metadata: {why}")
        })
    }

    /// Gives frames to the kernel before the first packet can come.
    pub fn feed(&mut self) -> Result<(), Error> {
        let rx = self.rx.get_mut();
        if rx.receives() { rx.burst(&mut []).map(drop) } else { Ok(()) }
    }

    /// From now on the socket is part of a port, which destroys it.
    pub fn belong_to_port(&mut self) {
        self.in_port = true;
    }

    /// Whether a port destroys it.
    pub fn is_in_port(&self) -> bool {
        self.in_port
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let (rx, tx) = (self.rx.get_mut(), self.tx.get_mut());
        // Ends what the libxdp interface made, while the socket is still there.
        self.membership = None;
        if !rx.is_lent() {
            rx.reclaim_unread();
        }
        let heir = self.fd.as_ref().and_then(|fd| self.umem.registrations().remove(fd.raw()));
        if let Some(heir) = heir {
            // The queue goes on without it: what is there is for others to reap.
            if let (Err(_), Some(bond)) = (rx.leave(&heir).and(tx.leave(&heir)), &self.bond) {
                // The mapping keeps the socket in the kernel: it shall get no packets.
                if let (true, Some(hold)) = (self.config.direction.receives(), &bond.hold) {
                    hold.remove(bond.queue.queue_id);
                }
                tell!(
                    Warn,
                    "{}: stays bound until the last of its sockets is destroyed (Linux 6.4)",
                    bond.place
                );
            }
            self.fd = None;
            return;
        }
        if !tx.is_lent() {
            tx.reclaim_sent();
        }
        // The queue is free when the descriptor and all mappings are gone.
        rx.unmap();
        tx.unmap();
        self.fd = None;
        match self.bond.as_ref().filter(|bond| bond.zero_copy) {
            // A device may write a while longer.
            Some(bond) => {
                self.umem.quarantine().hold(bond.queue, rx.side().given.take());
                self.umem.quarantine().hold(bond.queue, tx.side().given.take());
            }
            // In copy mode the kernel is done with the frames of a closed socket.
            None => {
                rx.side().reclaim_all();
                tx.side().reclaim_all();
            }
        }
    }
}

/// For packets with metadata, if there can be any.
#[inline(never)]
fn tx_metadata(umem: &Umem, tx_size: u32) -> Result<Option<InTurn<TxMetadata>>, Errno> {
    match umem.area().filter(|_| umem.config().tx_metadata_len != 0) {
        Some(area) => {
            let frames = umem.geometry().frame_count();
            // One that only receives has it for others that send on its queue.
            let size = if tx_size == 0 { umem.config().comp_size } else { tx_size };
            TxMetadata::new(area, frames, size).and_then(InTurn::new).map(Some)
        }
        None => Ok(None),
    }
}

/// How many of the UMEM's frames are there for a socket.
fn share(umem: &Umem, config: &SocketConfig) -> u32 {
    umem.geometry().frame_count() / config.sharers.max(1)
}

/// How many frames wait for packets: half of them at most; the others are for sending.
fn target(share: u32, fill_size: u32) -> u32 {
    fill_size.min(share / 2).max(1)
}

/// A ring of a socket, absent for 0 entries.
fn producer<T: Entry>(
    fd: RawFd,
    kind: RingKind,
    size: u32,
    offsets: &MmapOffsets,
) -> Result<Producer<T>, Error> {
    match size {
        0 => Producer::absent().or_else(|e| out_of_memory(e, "socket")),
        size => ring(fd, kind, size, offsets, None, Producer::over),
    }
}

/// The same for the other direction.
fn consumer<T: Entry>(
    fd: RawFd,
    kind: RingKind,
    size: u32,
    offsets: &MmapOffsets,
) -> Result<Consumer<T>, Error> {
    match size {
        0 => Consumer::absent().or_else(|e| out_of_memory(e, "socket")),
        size => ring(fd, kind, size, offsets, None, Consumer::over),
    }
}

/// Creates a ring and maps it.
pub(super) fn ring<R>(
    fd: RawFd,
    kind: RingKind,
    size: u32,
    offsets: &MmapOffsets,
    lent: Option<Lent>,
    over: impl FnOnce(Mmap, &RingOffset, u32, Option<Lent>) -> Result<R, Errno>,
) -> Result<R, Error> {
    let made = created(fd, kind, size, offsets).and_then(|(map, at)| over(map, at, size, lent));
    made.map_err(|e| no_ring(e, kind, size))
}

#[inline(never)]
fn created(
    fd: RawFd,
    kind: RingKind,
    size: u32,
    offsets: &MmapOffsets,
) -> Result<(Mmap, &RingOffset), Errno> {
    socket::create_ring(fd, kind, size)?;
    mapping(fd, kind, size, offsets)
}

#[cold]
#[inline(never)]
fn no_ring(e: Errno, kind: RingKind, size: u32) -> Error {
    error!(e, "socket: the kernel makes no {kind:?} ring of {size} entries: {e}")
}

/// Maps a ring that was created.
pub(super) fn map_ring<R>(
    fd: RawFd,
    kind: RingKind,
    size: u32,
    offsets: &MmapOffsets,
    lent: Option<Lent>,
    over: impl FnOnce(Mmap, &RingOffset, u32, Option<Lent>) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let (map, at) = mapping(fd, kind, size, offsets)?;
    over(map, at, size, lent)
}

/// The mapping of a ring, and where the parts are in it.
#[inline(never)]
fn mapping(
    fd: RawFd,
    kind: RingKind,
    size: u32,
    offsets: &MmapOffsets,
) -> Result<(Mmap, &RingOffset), Errno> {
    let (at, entry) = match kind {
        RingKind::Rx => (&offsets.rx, size_of::<Desc>()),
        RingKind::Tx => (&offsets.tx, size_of::<Desc>()),
        RingKind::Fill => (&offsets.fill, size_of::<u64>()),
        RingKind::Comp => (&offsets.comp, size_of::<u64>()),
    };
    let len = at.desc.saturating_add(u64::from(size) * entry as u64) as usize;
    Ok((socket::map_ring(fd, kind, len)?, at))
}

/// Lets one send move as much as was asked for in copy mode, or a whole TX ring, and says
/// what it moves; None before Linux 6.17, which cannot be asked.
fn set_tx_budget(fd: RawFd, config: &SocketConfig) -> Result<Option<u32>, Error> {
    let (asked, size) = (config.tx_budget, config.tx_size);
    let budget = match asked {
        0 if size == 0 => return Ok(Some(KERNEL_TX_BUDGET)),
        0 => size.max(KERNEL_TX_BUDGET),
        asked => asked,
    };
    match socket::set_tx_budget(fd, budget) {
        Ok(()) => Ok(Some(budget)),
        Err(e) if asked != 0 => fail!(
            e,
            "socket: the kernel takes no tx_budget, which needs Linux 6.17: {e}; leave it 0 for \
             what there is"
        ),
        // A TX ring of fewer entries.
        Err(Errno::EACCES) => Ok(Some(KERNEL_TX_BUDGET)),
        Err(_) => Ok(None),
    }
}
