//! Binding a socket to a queue, with all that belongs to it, and why it can fail.

use crate::sys::heap::Shared;
use crate::sys::netdev::{Control, IfName};
use crate::sys::netlink::Route;
use crate::sys::text::Escaped;
use crate::sys::{Errno, RawFd, clock, genetlink, process, socket};
use crate::xsk::attachment::{Attachment, Device, Hold, Wanted};
use crate::xsk::chain;
use crate::xsk::config::{BindConfig, CopyMode, Steering, XdpMode};
use crate::xsk::error::{Error, error, fail};
use crate::xsk::logger::tell;
use crate::xsk::registrations::{Binding, Queue, Refused};
use crate::xsk::socket::Socket;
use crate::xsk::umem::out_of_memory;
use crate::xsk::wake::Place;
use crate::xsk::xskmap;

/// What a bound socket is bound to.
pub struct Bond {
    pub place: Shared<Place>,
    pub queue: Queue,
    pub zero_copy: bool,
    pub need_wakeup: bool,
    /// Buffers that a packet may have; 1 unless bound for several.
    pub max_frags: u32,
    /// The program that it uses the libxdp way: its id and where it runs.
    pub(super) program: Option<(u32, XdpMode)>,
    /// Whether that stores what the driver knows of a packet in front of it.
    pub(super) hints: bool,
    pub(super) hold: Option<Hold>,
}

impl Bond {
    /// The program that it uses now: its id and where it runs.
    pub fn program(&self) -> Option<(u32, XdpMode)> {
        self.hold.as_ref().and_then(Hold::program).or(self.program)
    }
}

impl Socket {
    /// Binds to a queue. On failure the socket can be bound again, to the same queue
    /// or to another, unless the error says otherwise.
    pub fn bind(&mut self, ifname: &[u8], queue_id: u32, config: &BindConfig) -> Result<(), Error> {
        if let Some(bond) = self.bond() {
            return fail!(Errno::EBUSY, "bind: the socket is bound already, to {}", bond.place);
        }
        let (control, device) = find_device(Some(self.netns), ifname)?;
        self.bind_to(&device, Some(&control), queue_id, config)
    }

    /// The same where the interface is known, of whatever namespace. Without `control`
    /// it cannot be asked why something failed.
    pub(super) fn bind_to(
        &mut self,
        device: &Device,
        control: Option<&Control>,
        queue_id: u32,
        config: &BindConfig,
    ) -> Result<(), Error> {
        let deadline = clock::monotonic_ms().saturating_add(config.retry_ms.into());
        // Above what the device could ever have; else the kernel knows best.
        if queue_id >= device.queues {
            let retry_ms = config.retry_ms.into();
            return Err(explain(Errno::EINVAL, control, &device.ifname, queue_id, false, retry_ms));
        }
        let ifname = device.ifname;
        let place = Shared::new(Place::new(ifname, device.ifindex, queue_id));
        let place = place.or_else(|e| out_of_memory(e, "bind"))?;
        if config.sg {
            chain::check_kernel(self.fd(), Errno::EOPNOTSUPP)?;
        }
        let copy = self.copy_mode(config.copy, &place)?;
        // The program first: it can be let go again, a binding cannot.
        let hold = match config.steering {
            Steering::Program(mode, program) if self.config().direction.receives() => {
                Some(Hold::acquire(device, &config.wanted(mode, program), deadline)?)
            }
            Steering::Program(_, program)
                if !program.is_default() || config.hints || config.is_for_a_program() =>
            {
                return fail!(Errno::EINVAL, "bind: a socket that only sends needs no program");
            }
            Steering::Xskmap(map) => {
                self.check_map(map, queue_id)?;
                None
            }
            _ => None,
        };
        let queue = Queue { netns: self.netns, ifindex: device.ifindex, queue_id };
        let BindConfig { need_wakeup, sg, .. } = *config;
        let to = Binding {
            fd: self.fd(),
            queue,
            copy,
            need_wakeup,
            sg,
            joins: self.config().joins,
            named: hold.is_some(),
        };
        let mut rings = self.queue_rings();
        let zero_copy = loop {
            let umem = &self.umem;
            let answer = umem
                .registrations()
                .bind(&to, &mut rings, &mut self.registered, || umem.register(to.fd));
            let refused = match answer {
                Ok(zero_copy) => break zero_copy,
                Err(refused) => refused,
            };
            let passes =
                matches!(refused, Refused::Bind(Errno::EBUSY) | Refused::Register(Errno::ENOBUFS));
            if !passes || clock::monotonic_ms() >= deadline {
                let forced = config.copy == CopyMode::ZeroCopy;
                return match refused {
                    Refused::Register(e) => Err(self.umem.explain_register(e)),
                    Refused::Bind(e) => {
                        Err(explain(e, control, &ifname, queue_id, forced, config.retry_ms.into()))
                    }
                    Refused::Because(errno, why) => refuse(errno, &place, why),
                };
            }
            clock::nap_ms(1);
        };
        let hold = match config.steering {
            Steering::Program(mode, program) if hold.is_none() && zero_copy => {
                let wanted = BindConfig::default().wanted(mode, program);
                beside_a_program(to.fd, device, &wanted, deadline)
            }
            _ => hold,
        };
        if to.joins {
            self.join(rings);
        } else {
            self.umem.quarantine().release(&queue, self.umem.pool());
        }
        let aligned = self.umem.geometry().is_aligned();
        let max_frags = if sg { chain::longest(device.ifindex, zero_copy, aligned) } else { 1 };
        self.set_bond(Bond {
            place: place.clone(),
            queue,
            zero_copy,
            need_wakeup,
            max_frags,
            program: None,
            hints: config.hints,
            hold,
        });
        tell!(Info, "{place}: bound, {}", if zero_copy { "zero-copy" } else { "copy mode" });
        let asked = copy == CopyMode::Auto && control.is_some();
        if asked && !zero_copy && promises_zero_copy(device.ifindex) {
            let why = if sg { ", often for XSK_BIND_SG" } else { "" };
            tell!(
                Warn,
                "{place}: the driver has zero-copy and refuses it here{why}: copy mode is used"
            );
        }
        self.steer(config.steering, queue_id)
    }

    /// What a mode that was asked for means for this memory.
    fn copy_mode(&self, asked: CopyMode, place: &Place) -> Result<CopyMode, Error> {
        match asked {
            CopyMode::Copy => Ok(asked),
            _ if !self.umem.is_for_copying() => Ok(asked),
            CopyMode::ZeroCopy => refuse(
                Errno::EINVAL,
                place,
                "zero-copy takes no frames that lie in two pages, but in huge ones \
                 (XSK_UMEM_HUGE_PAGES)",
            ),
            CopyMode::Auto => {
                tell!(Info, "{place}: copy mode, since frames lie in two pages");
                Ok(CopyMode::Copy)
            }
        }
    }

    fn steer(&self, steering: Steering, queue_id: u32) -> Result<(), Error> {
        match (self.bond(), steering) {
            (_, Steering::Xskmap(map)) => xskmap::insert_into(map, queue_id, self.fd()),
            (Some(Bond { hold: Some(hold), .. }), _) if self.config().direction.receives() => {
                hold.insert(queue_id, self.fd())
            }
            _ => Ok(()),
        }
    }

    /// Puts the socket into an XSKMAP, at its queue.
    pub fn insert_into(&self, map: RawFd) -> Result<(), Error> {
        match self.bond() {
            Some(bond) => xskmap::insert_into(map, bond.queue.queue_id, self.fd()),
            None => fail!(Errno::ENOTCONN, "the socket is not bound"),
        }
    }

    /// The program of the library's that brings it packets.
    #[inline(never)]
    pub fn attachment(&self) -> Result<&Attachment, Error> {
        let hold = self.bond().and_then(|bond| bond.hold.as_ref());
        match hold.and_then(Hold::attachment) {
            Some(attachment) => Ok(attachment),
            None => fail!(
                Errno::ENOTCONN,
                "program: the socket is not bound, or uses no program of the library's"
            ),
        }
    }

    fn check_map(&self, map: RawFd, queue_id: u32) -> Result<(), Error> {
        if !self.config().direction.receives() {
            return fail!(Errno::EINVAL, "bind: a socket that only sends goes into no XSKMAP");
        }
        let entries = xskmap::check_xskmap(map)?.max_entries;
        if queue_id < entries {
            return Ok(());
        }
        fail!(
            Errno::E2BIG,
            "bind: queue {queue_id} has no place in the XSKMAP, which has {entries} entries"
        )
    }
}

/// For a socket that only sends: some drivers, as Intel's, send without copies only
/// while there is an XDP program, and refuse the call to send until then.
#[cold]
fn beside_a_program(
    socket: RawFd,
    device: &Device,
    wanted: &Wanted<'_>,
    deadline: u64,
) -> Option<Hold> {
    if !matches!(socket::wake_tx(socket), Err(Errno::EINVAL | Errno::ENXIO)) {
        return None;
    }
    let hold = Hold::acquire(device, wanted, deadline);
    if let Err(e) = &hold {
        tell!(
            Warn,
            "{}: the driver sends without copies only beside an XDP program, and none can be \
             attached: {}",
            device.ifname,
            e.errno()
        );
    }
    hold.ok()
}

/// Whether the driver says that it can do without copies; not asked where nobody listens.
#[cold]
fn promises_zero_copy(ifindex: u32) -> bool {
    let flag = genetlink::XDP_ACT_XSK_ZEROCOPY;
    log::log_enabled!(log::Level::Warn)
        && genetlink::features(ifindex).is_ok_and(|told| told.xdp.unwrap_or(0) & flag != 0)
}

/// Why the kernel did not bind a socket to a queue, tried for `retry_ms`. `forced`:
/// in zero-copy mode or not at all.
pub(super) fn explain(
    errno: Errno,
    control: Option<&Control>,
    ifname: &IfName,
    queue_id: u32,
    forced: bool,
    retry_ms: u64,
) -> Error {
    let queues = control.ok_or(Errno::ENODEV).and_then(|control| match control.channels(ifname) {
        Ok(channels) => Ok(channels.current()),
        Err(_) => control.ifindex(ifname).and_then(|ifindex| Route::open()?.queues(ifindex)),
    });
    let why = match errno {
        Errno::EINVAL => match queues {
            Ok(queues) if queue_id >= queues => return no_such_queue(ifname, queue_id, queues),
            _ if forced => {
                "the driver refuses zero-copy here: often the MTU, the frame size or the size of \
                 the rings (ethtool -g); copy mode would do"
            }
            _ => "no such queue, or the driver refuses it",
        },
        Errno::EBUSY if retry_ms == 0 => {
            "in use by another socket, or still being released by one; retry_ms would wait for that"
        }
        Errno::EBUSY => {
            return error!(
                errno,
                "bind: queue {queue_id} of {ifname}: in use by another socket, and still so after \
                 {retry_ms} ms"
            );
        }
        Errno::EOPNOTSUPP if forced => {
            "the driver has no zero-copy, or none for packets in several buffers (XSK_BIND_SG); \
             use copy mode (XSK_BIND_COPY, XDP_COPY), or no flag for what there is"
        }
        Errno::ENODEV => "the interface is gone",
        Errno::ENETDOWN => "the interface is down",
        Errno::ENOMEM | Errno::ENOBUFS => "the kernel has not enough memory",
        _ => "the kernel refuses",
    };
    error!(errno, "bind: queue {queue_id} of {ifname}: {why}: {errno}")
}

fn refuse<T>(errno: Errno, place: &Place, why: &str) -> Result<T, Error> {
    fail!(errno, "bind: {place}: {why}")
}

/// The error for a queue that an interface with so many does not have.
pub(super) fn no_such_queue(ifname: &IfName, queue_id: u32, queues: u32) -> Error {
    Error::new(
        Errno::EINVAL,
        format_args!(
            "bind: queue {queue_id} of {ifname}: no such queue, it has {queues} (ethtool -l \
             {ifname})"
        ),
    )
}

/// The number of a network namespace: the kernel's, or where it has none that of this
/// thread's, in which what it was asked of was just made.
pub(super) fn netns(cookie: Option<u64>) -> u64 {
    cookie.unwrap_or_else(process::thread_netns)
}

/// Finds an interface in this thread's network namespace, which must be that one if
/// there is one to be.
pub(super) fn find_device(wanted: Option<u64>, ifname: &[u8]) -> Result<(Control, Device), Error> {
    let (control, ifname) = open_control("bind", ifname)?;
    let netns = netns(control.netns_cookie());
    if wanted.is_some_and(|wanted| wanted != netns) {
        return fail!(
            Errno::EINVAL,
            "bind: the socket was created in another network namespace than this thread is in"
        );
    }
    let ifindex = find_index("bind", &control, &ifname)?;
    let (queues, in_use) = match control.channels(&ifname) {
        Ok(channels) => (channels.most(), channels.current()),
        Err(_) => {
            let queues = Route::open().and_then(|route| route.queues(ifindex)).unwrap_or(1);
            (queues, queues)
        }
    };
    Ok((control, Device { ifname, ifindex, netns, queues, in_use }))
}

/// Checks a name, and opens what is asked about it. `call` is for the error.
pub(super) fn open_control(call: &str, ifname: &[u8]) -> Result<(Control, IfName), Error> {
    let Some(ifname) = IfName::new(ifname) else {
        return fail!(
            Errno::EINVAL,
            "{call}: \"{}\" is no interface name: 1 to 15 bytes without a slash",
            Escaped(ifname)
        );
    };
    match Control::open() {
        Ok(control) => Ok((control, ifname)),
        Err(e) => fail!(e, "{call}: cannot ask for interfaces: {e}"),
    }
}

/// The index behind a name.
pub(super) fn find_index(call: &str, control: &Control, ifname: &IfName) -> Result<u32, Error> {
    match control.ifindex(ifname) {
        Ok(ifindex) => Ok(ifindex),
        Err(Errno::ENODEV) => fail!(
            Errno::ENODEV,
            "{call}: no interface is named {ifname} in this network namespace (ip link)"
        ),
        Err(e) => fail!(e, "{call}: cannot find {ifname}: {e}"),
    }
}
