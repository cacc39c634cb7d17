//! A socket: its rings, its life from create to destroy, and what it is bound to.

use core::mem::size_of;

use crate::sys::abi::{Desc, MmapOffsets, RingOffset, Statistics};
use crate::sys::heap::{Apart, Shared};
use crate::sys::netdev::{Control, IfName};
use crate::sys::socket::{self, Ready, RingKind};
use crate::sys::{Errno, Mmap, OwnedFd, RawFd, clock};
use crate::xsk::config::{BindConfig, CopyMode, SocketConfig, Steering};
use crate::xsk::counters::Counters;
use crate::xsk::error::{Error, fail};
use crate::xsk::frames::FrameCache;
use crate::xsk::program::{self, Device, Hold};
use crate::xsk::registrations::{Binding, Refused};
use crate::xsk::ring::{Consumer, Producer};
use crate::xsk::rx::RxSide;
use crate::xsk::tx::TxSide;
use crate::xsk::umem::{Umem, out_of_memory};
use crate::xsk::wake::{Place, Waker};

/// What a bound socket is bound to.
pub struct Bond {
    pub place: Shared<Place>,
    pub zero_copy: bool,
    pub need_wakeup: bool,
    hold: Option<Hold>,
}

impl Bond {
    /// The default program that it uses.
    pub fn program(&self) -> Option<&program::Attachment> {
        self.hold.as_ref().and_then(Hold::attachment)
    }
}

/// An AF_XDP socket. Its two sides may be driven by two threads.
pub struct Socket {
    rx: Apart<RxSide>,
    tx: Apart<TxSide>,
    counters: (Shared<Counters>, Shared<Counters>),
    waker: Waker,
    fd: Option<OwnedFd>,
    bond: Option<Bond>,
    config: SocketConfig,
    tx_budget: u32,
    netns: u64,
    registered: bool,
    // Last: the memory outlives the rings and the kernel's use of it.
    umem: Shared<Umem>,
}

/// What one send moves in copy mode unless the kernel is told otherwise:
/// `TX_BATCH_SIZE` of the kernel's net/xdp/xsk.c.
const KERNEL_TX_BUDGET: u32 = 32;

impl Socket {
    /// Makes a socket and its rings, not yet bound to anything.
    pub fn create(umem: &Shared<Umem>, config: SocketConfig) -> Result<Socket, Error> {
        let config = config.resolved(umem.config())?;
        let (fd, netns, registered) = umem.socket()?;
        let offsets = match socket::mmap_offsets(fd.raw()) {
            Ok(offsets) => offsets,
            Err(e) => return fail!(e, "socket: this kernel is older than Linux 5.4: {e}"),
        };
        let (fill, comp) = (
            ring(fd.raw(), RingKind::Fill, config.fill_size, &offsets, Producer::over)?,
            ring(fd.raw(), RingKind::Comp, config.comp_size, &offsets, Consumer::over)?,
        );
        let rx = match config.rx_size {
            0 => Consumer::absent().or_else(|e| out_of_memory(e, "socket"))?,
            size => ring(fd.raw(), RingKind::Rx, size, &offsets, Consumer::over)?,
        };
        let tx = match config.tx_size {
            0 => Producer::absent().or_else(|e| out_of_memory(e, "socket"))?,
            size => ring(fd.raw(), RingKind::Tx, size, &offsets, Producer::over)?,
        };
        let tx_budget = raise_tx_budget(fd.raw(), config.tx_size);
        let waker = Waker::new(fd.raw());
        let geometry = *umem.geometry();
        let frames = || FrameCache::new(umem.pool().clone(), geometry.frame_count());
        // Half of the frames at most wait for packets; the others are for sending.
        let target = config.fill_size.min(geometry.frame_count() / 2).max(1);
        let sides = || {
            let rx = RxSide::new((rx, fill), geometry, frames()?, target, waker.clone())?;
            let tx = TxSide::new((tx, comp), geometry, frames()?, waker.clone())?;
            Ok((rx.counters().clone(), tx.counters().clone(), Apart::new(rx)?, Apart::new(tx)?))
        };
        let (rx_counters, tx_counters, rx, tx) =
            sides().or_else(|e| out_of_memory(e, "socket"))?;
        Ok(Socket {
            rx,
            tx,
            counters: (rx_counters, tx_counters),
            waker: Waker::new(fd.raw()),
            fd: Some(fd),
            bond: None,
            config,
            tx_budget,
            netns,
            registered,
            umem: umem.clone(),
        })
    }

    /// Binds to a queue. On failure the socket can be bound again, to the same queue
    /// or to another, unless the error says otherwise.
    pub fn bind(&mut self, ifname: &[u8], queue_id: u32, config: &BindConfig) -> Result<(), Error> {
        if let Some(bond) = &self.bond {
            return fail!(Errno::EBUSY, "bind: the socket is bound already, to {}", bond.place);
        }
        let deadline = clock::monotonic_ms().saturating_add(config.retry_ms.into());
        let (control, device) = self.find_device(ifname, queue_id)?;
        let ifname = device.ifname;
        let place = Shared::new(Place::new(ifname, device.ifindex, queue_id));
        let place = place.or_else(|e| out_of_memory(e, "bind"))?;
        // The program first: it can be let go again, a binding cannot.
        let hold = match config.steering {
            Steering::Default(mode) if self.config.direction.receives() => {
                Some(Hold::acquire(&device, mode, deadline)?)
            }
            Steering::Xskmap(map) => {
                self.check_map(map, queue_id)?;
                None
            }
            _ => None,
        };
        let to = Binding {
            fd: self.fd(),
            netns: self.netns,
            ifindex: device.ifindex,
            queue_id,
            copy: config.copy,
            need_wakeup: config.need_wakeup,
        };
        let zero_copy = loop {
            let umem = &self.umem;
            let answer = umem
                .registrations()
                .bind(&to, &mut self.registered, || umem.register(to.fd));
            let refused = match answer {
                Ok(zero_copy) => break zero_copy,
                Err(refused) => refused,
            };
            let passes = matches!(
                refused,
                Refused::Bind(Errno::EBUSY) | Refused::Register(Errno::ENOBUFS)
            );
            if !passes || clock::monotonic_ms() >= deadline {
                return Err(self.explain_bind(refused, &control, &place, config));
            }
            clock::nap_ms(1);
        };
        self.bond = Some(Bond {
            place: place.clone(),
            zero_copy,
            need_wakeup: config.need_wakeup,
            hold,
        });
        self.waker.bound(place.clone());
        self.rx.get_mut().waker().bound(place.clone());
        self.tx.get_mut().waker().bound(place.clone());
        log::info!("{place}: bound, {}", if zero_copy { "zero-copy" } else { "copy mode" });
        self.steer(config.steering, queue_id)
    }

    fn steer(&self, steering: Steering, queue_id: u32) -> Result<(), Error> {
        match (&self.bond, steering) {
            (_, Steering::Xskmap(map)) => program::insert_into(map, queue_id, self.fd()),
            (Some(Bond { hold: Some(hold), .. }), _) => hold.insert(queue_id, self.fd()),
            _ => Ok(()),
        }
    }

    fn check_map(&self, map: RawFd, queue_id: u32) -> Result<(), Error> {
        if !self.config.direction.receives() {
            return fail!(Errno::EINVAL, "bind: a socket that only sends goes into no XSKMAP");
        }
        let entries = program::check_xskmap(map)?.max_entries;
        if queue_id < entries {
            return Ok(());
        }
        fail!(
            Errno::E2BIG,
            "bind: queue {queue_id} has no place in the XSKMAP, which has {entries} entries"
        )
    }

    fn find_device(&self, ifname: &[u8], queue_id: u32) -> Result<(Control, Device), Error> {
        let Some(ifname) = IfName::new(ifname) else {
            return fail!(
                Errno::EINVAL,
                "bind: \"{}\" is no interface name: 1 to 15 bytes without a slash",
                ifname.escape_ascii()
            );
        };
        let control = match Control::open() {
            Ok(control) => control,
            Err(e) => return fail!(e, "bind: cannot ask for interfaces: {e}"),
        };
        if control.netns_cookie() != self.netns {
            return fail!(
                Errno::EINVAL,
                "bind: the socket was created in another network namespace than this thread is in"
            );
        }
        let ifindex = match control.ifindex(&ifname) {
            Ok(ifindex) => ifindex,
            Err(Errno::ENODEV) => {
                return fail!(
                    Errno::ENODEV,
                    "bind: no interface is named {ifname} in this network namespace (ip link)"
                );
            }
            Err(e) => return fail!(e, "bind: cannot find {ifname}: {e}"),
        };
        let channels = control.channels(&ifname).ok();
        if let Some(channels) = channels.filter(|channels| queue_id >= channels.most()) {
            return Err(no_such_queue(&ifname, queue_id, channels.current()));
        }
        let queues = channels.map_or(1, |channels| channels.most());
        Ok((control, Device { ifname, ifindex, netns: self.netns, queues }))
    }

    fn explain_bind(
        &self,
        refused: Refused,
        control: &Control,
        place: &Place,
        config: &BindConfig,
    ) -> Error {
        let Place { ifname, queue_id, .. } = place;
        let forced = config.copy == CopyMode::ZeroCopy;
        let queues = control.channels(ifname).map(|channels| channels.current());
        let (errno, why) = match refused {
            Refused::Register(errno) => return self.umem.explain_register(errno),
            Refused::OwnQueue => (
                Errno::EBUSY,
                "another socket with this UMEM has it: a queue takes one of them",
            ),
            Refused::Bind(errno) => (
                errno,
                match errno {
                    Errno::EINVAL if queues.is_ok_and(|queues| *queue_id >= queues) => {
                        return no_such_queue(ifname, *queue_id, queues.unwrap_or(0));
                    }
                    Errno::EINVAL if forced => {
                        "the driver refuses zero-copy here: often the MTU, the frame size or the \
                         size of the rings (ethtool -g); or use XSK_BIND_COPY"
                    }
                    Errno::EINVAL => "no such queue, or the driver refuses it",
                    Errno::EBUSY if config.retry_ms == 0 => {
                        "in use by another socket, or still being released by one; retry_ms would \
                         wait for that"
                    }
                    Errno::EBUSY => {
                        return Error::new(
                            errno,
                            format_args!(
                                "bind: {place}: in use by another socket, and still so after {} ms",
                                config.retry_ms
                            ),
                        );
                    }
                    Errno::EOPNOTSUPP if forced => {
                        "the driver has no zero-copy; use XSK_BIND_COPY, or neither flag for what \
                         there is"
                    }
                    Errno::ENODEV => "the interface is gone",
                    Errno::ENETDOWN => "the interface is down",
                    Errno::ENOMEM | Errno::ENOBUFS => "the kernel has not enough memory",
                    _ => "the kernel refuses",
                },
            ),
        };
        Error::new(errno, format_args!("bind: {place}: {why} ({errno})"))
    }

    /// The descriptor, for epoll and the like; it stays the socket's.
    pub fn fd(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, OwnedFd::raw)
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

    /// What each side has counted: packets, bytes, kicks.
    pub fn counters(&self) -> [(u64, u64, u64); 2] {
        [self.counters.0.read(), self.counters.1.read()]
    }

    /// The kernel's counters, and how many of them it has.
    pub fn statistics(&self) -> Result<(Statistics, usize), Error> {
        socket::statistics(self.fd())
            .or_else(|e| fail!(e, "stats: the kernel does not tell: {e}"))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let (rx, tx) = (self.rx.get_mut(), self.tx.get_mut());
        rx.recover_unread();
        tx.recover_sent();
        let direct = self.bond.as_ref().is_some_and(|bond| bond.zero_copy);
        // The queue is free when the descriptor and all mappings are gone.
        rx.unmap();
        tx.unmap();
        if let Some(fd) = self.fd.take() {
            self.umem.registrations().remove(fd.raw());
        }
        // With the last reference to a socket in copy mode the kernel has done with
        // its frames. A device may write a while longer, nobody says how long: what
        // it has stays out of the pool.
        if !direct {
            rx.recover_posted();
            tx.recover_given();
        }
    }
}

/// Creates a ring and maps it.
fn ring<R>(
    fd: RawFd,
    kind: RingKind,
    size: u32,
    offsets: &MmapOffsets,
    over: impl FnOnce(Mmap, &RingOffset, u32) -> Result<R, Errno>,
) -> Result<R, Error> {
    let (at, entry) = match kind {
        RingKind::Rx => (&offsets.rx, size_of::<Desc>()),
        RingKind::Tx => (&offsets.tx, size_of::<Desc>()),
        RingKind::Fill => (&offsets.fill, size_of::<u64>()),
        RingKind::Comp => (&offsets.comp, size_of::<u64>()),
    };
    let len = at.desc.saturating_add(u64::from(size) * entry as u64) as usize;
    socket::create_ring(fd, kind, size)
        .and_then(|()| socket::map_ring(fd, kind, len))
        .and_then(|map| over(map, at, size))
        .or_else(|e| fail!(e, "socket: the kernel makes no {kind:?} ring of {size} entries: {e}"))
}

/// Lets one send move a whole TX ring in copy mode, where the kernel can (6.17).
fn raise_tx_budget(fd: RawFd, tx_size: u32) -> u32 {
    if tx_size > KERNEL_TX_BUDGET && socket::set_tx_budget(fd, tx_size).is_ok() {
        tx_size
    } else {
        KERNEL_TX_BUDGET
    }
}

fn no_such_queue(ifname: &IfName, queue_id: u32, queues: u32) -> Error {
    Error::new(
        Errno::EINVAL,
        format_args!(
            "bind: queue {queue_id} of {ifname}: no such queue, it has {queues} (ethtool -l \
             {ifname})"
        ),
    )
}
