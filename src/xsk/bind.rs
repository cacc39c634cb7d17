//! Binding a socket to a queue, with all that belongs to it, and why it can fail.

use crate::sys::heap::Shared;
use crate::sys::netdev::{Control, IfName};
use crate::sys::{Errno, RawFd, clock};
use crate::xsk::attachment::{self, Attachment, Device, Hold};
use crate::xsk::config::{BindConfig, CopyMode, Steering};
use crate::xsk::error::{Error, fail};
use crate::xsk::registrations::{Binding, Queue, Refused};
use crate::xsk::socket::Socket;
use crate::xsk::umem::out_of_memory;
use crate::xsk::wake::Place;

/// What a bound socket is bound to.
pub struct Bond {
    pub place: Shared<Place>,
    pub queue: Queue,
    pub zero_copy: bool,
    pub need_wakeup: bool,
    hold: Option<Hold>,
}

impl Bond {
    /// The default program that it uses.
    pub fn program(&self) -> Option<&Attachment> {
        self.hold.as_ref().and_then(Hold::attachment)
    }
}

impl Socket {
    /// Binds to a queue. On failure the socket can be bound again, to the same queue
    /// or to another, unless the error says otherwise.
    pub fn bind(&mut self, ifname: &[u8], queue_id: u32, config: &BindConfig) -> Result<(), Error> {
        if let Some(bond) = self.bond() {
            return fail!(Errno::EBUSY, "bind: the socket is bound already, to {}", bond.place);
        }
        let deadline = clock::monotonic_ms().saturating_add(config.retry_ms.into());
        let (control, device) = self.find_device(ifname, queue_id)?;
        let ifname = device.ifname;
        let place = Shared::new(Place::new(ifname, device.ifindex, queue_id));
        let place = place.or_else(|e| out_of_memory(e, "bind"))?;
        // The program first: it can be let go again, a binding cannot.
        let hold = match config.steering {
            Steering::Default(mode) if self.config().direction.receives() => {
                Some(Hold::acquire(&device, mode, deadline)?)
            }
            Steering::Xskmap(map) => {
                self.check_map(map, queue_id)?;
                None
            }
            _ => None,
        };
        let queue = Queue { netns: self.netns, ifindex: device.ifindex, queue_id };
        let to =
            Binding { fd: self.fd(), queue, copy: config.copy, need_wakeup: config.need_wakeup };
        let zero_copy = loop {
            let umem = &self.umem;
            let answer =
                umem.registrations().bind(&to, &mut self.registered, || umem.register(to.fd));
            let refused = match answer {
                Ok(zero_copy) => break zero_copy,
                Err(refused) => refused,
            };
            let passes =
                matches!(refused, Refused::Bind(Errno::EBUSY) | Refused::Register(Errno::ENOBUFS));
            if !passes || clock::monotonic_ms() >= deadline {
                return Err(self.explain_bind(refused, &control, &place, config));
            }
            clock::nap_ms(1);
        };
        self.umem.quarantine().release(&queue, self.umem.pool());
        let need_wakeup = config.need_wakeup;
        self.set_bond(Bond { place: place.clone(), queue, zero_copy, need_wakeup, hold });
        log::info!("{place}: bound, {}", if zero_copy { "zero-copy" } else { "copy mode" });
        self.steer(config.steering, queue_id)
    }

    fn steer(&self, steering: Steering, queue_id: u32) -> Result<(), Error> {
        match (self.bond(), steering) {
            (_, Steering::Xskmap(map)) => attachment::insert_into(map, queue_id, self.fd()),
            (Some(Bond { hold: Some(hold), .. }), _) => hold.insert(queue_id, self.fd()),
            _ => Ok(()),
        }
    }

    fn check_map(&self, map: RawFd, queue_id: u32) -> Result<(), Error> {
        if !self.config().direction.receives() {
            return fail!(Errno::EINVAL, "bind: a socket that only sends goes into no XSKMAP");
        }
        let entries = attachment::check_xskmap(map)?.max_entries;
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
            Refused::OwnQueue => {
                (Errno::EBUSY, "another socket with this UMEM has it: a queue takes one of them")
            }
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
