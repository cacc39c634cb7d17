//! What a granter has to give: queues of an interface, each to one client at a time.

use alloc::boxed::Box;

use super::message::{HINTS, LINK, Message};
use crate::sys::heap::try_slice;
use crate::sys::unix::{self, Fds};
use crate::sys::{Errno, OwnedFd, clock, socket};
use crate::xsk::attachment::{Device, Hold};
use crate::xsk::bind::find_device;
use crate::xsk::busy::BusyPoll;
use crate::xsk::config::{BindConfig, CopyMode, Steering};
use crate::xsk::error::{Error, error, fail};
use crate::xsk::umem::{open_socket, out_of_memory};
use crate::xsk::xskmap;

/// Queues that fit in one message, beside map and link.
const MOST_QUEUES: u32 = unix::MOST_FDS as u32 - 2;

/// What brings packets to the sockets.
enum Source {
    /// One of the library's, and its link if the interface was made anew.
    Program(Hold, Option<OwnedFd>),
    /// A program of the granter's own.
    Map(OwnedFd),
}

/// Queues of an interface.
pub struct Offer {
    device: Device,
    source: Source,
    /// Whether its program stores what the driver knows of packets.
    hints: bool,
    first: u32,
    /// The client that has each queue; 0 for none.
    owners: Box<[u64]>,
    busy_poll: BusyPoll,
}

impl Offer {
    /// Offers `count` queues from `first` on, or all in use if it is 0, and attaches the
    /// program.
    pub fn new(
        ifname: &[u8],
        first: u32,
        count: u32,
        bind: &BindConfig,
        busy_poll: BusyPoll,
    ) -> Result<Offer, Error> {
        if bind.copy != CopyMode::Auto || !bind.need_wakeup {
            return fail!(
                Errno::EINVAL,
                "grant: XSK_BIND_COPY, XSK_BIND_ZEROCOPY and XSK_BIND_NO_NEED_WAKEUP are for the \
                 clients to choose"
            );
        }
        let (_, device) = find_device(None, ifname)?;
        let ifname = device.ifname;
        let most = if count == 0 { device.in_use } else { device.queues };
        let left = most.saturating_sub(first);
        let count = if count == 0 { left } else { count };
        if count == 0 || count > left {
            return fail!(
                Errno::EINVAL,
                "grant: queues {first}..{} of {ifname}: it has {most} (ethtool -l {ifname})",
                first.saturating_add(count.max(1) - 1)
            );
        }
        if count > MOST_QUEUES {
            return fail!(
                Errno::E2BIG,
                "grant: {count} queues of {ifname} are more than the {MOST_QUEUES} that one \
                 message has descriptors for"
            );
        }
        let source = match bind.steering {
            Steering::Program(mode, program) => {
                let deadline = clock::monotonic_ms().saturating_add(bind.retry_ms.into());
                let wanted = bind.wanted(mode, program);
                Source::Program(Hold::acquire(&device, &wanted, deadline)?, None)
            }
            Steering::Xskmap(map) => {
                let entries = xskmap::check_xskmap(map)?.max_entries;
                if first.saturating_add(count) > entries {
                    return fail!(
                        Errno::E2BIG,
                        "grant: the XSKMAP has {entries} entries, too few for {count} queues from \
                         {first} on"
                    );
                }
                let copy = OwnedFd::duplicate_of(map);
                Source::Map(copy.map_err(|e| error!(e, "grant: the XSKMAP: {e}"))?)
            }
            Steering::None => {
                return fail!(
                    Errno::EINVAL,
                    "grant: XSK_BIND_NO_PROGRAM would leave the sockets without packets"
                );
            }
        };
        let owners = try_slice(0, count as usize).or_else(|e| out_of_memory(e, "grant"))?;
        let offer = Offer { device, source, hints: bind.hints, first, owners, busy_poll };
        // What the kernel has against such a socket is said now.
        offer.socket()?;
        Ok(offer)
    }

    /// The interface.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Gives what a client asks for, to note that it has it.
    pub fn give(&mut self, wanted: &Message, client: u64) -> Result<(Message, Fds), Error> {
        self.renew()?;
        let Device { ifname, ifindex, queues, .. } = self.device;
        // Where its first queue is among ours.
        let start = wanted.first.saturating_sub(self.first);
        let first = self.first.saturating_add(start);
        let ours = self.owners.get_mut(start as usize..).unwrap_or_default();
        let count = if wanted.count == 0 { ours.len() } else { wanted.count as usize };
        let exact = wanted.count == 0 || first == wanted.first;
        let Some(range) = ours.get_mut(..count).filter(|range| exact && !range.is_empty()) else {
            return fail!(
                Errno::ENXIO,
                "grant: queues of {ifname} that are not offered: {count} from {} on",
                wanted.first
            );
        };
        if range.iter().any(|owner| *owner != 0) {
            return fail!(Errno::EBUSY, "grant: a queue of {ifname} is granted to another client");
        }
        range.fill(client);
        let (map, link) = match &self.source {
            Source::Map(map) => (map.raw(), None),
            Source::Program(hold, again) => {
                let (map, link) = hold.descriptors();
                (map, again.as_ref().map(OwnedFd::raw).or(link))
            }
        };
        let mut fds = Fds::lent(Some(map).into_iter().chain(link));
        for _ in 0..count {
            fds.push(self.socket()?);
        }
        let count = count as u32;
        let flags = if link.is_some() { LINK } else { 0 } | if self.hints { HINTS } else { 0 };
        let ifname = Some(ifname);
        Ok((Message { status: 0, first, count, ifname, ifindex, queues, flags }, fds))
    }

    /// Takes back what a client has; gives how many queues it was.
    pub fn take_back(&mut self, client: u64) -> u32 {
        let theirs = self.owners.iter_mut().filter(|owner| **owner == client);
        theirs.map(|owner| *owner = 0).count() as u32
    }

    /// Puts the program on the interface again if that was made anew.
    fn renew(&mut self) -> Result<(), Error> {
        let (_, device) = find_device(None, self.device.ifname.text())?;
        if device.ifindex != self.device.ifindex {
            if let Source::Program(hold, again) = &mut self.source {
                *again = hold.attachment().map(|held| held.link_again(&device)).transpose()?;
            }
            self.device = device;
        }
        Ok(())
    }

    /// A socket that can be bound to the interface and to no other.
    fn socket(&self) -> Result<OwnedFd, Error> {
        let ifname = &self.device.ifname;
        let (fd, netns) = open_socket()?;
        if netns != self.device.netns {
            return fail!(
                Errno::EINVAL,
                "grant: this thread is in another network namespace than {ifname}"
            );
        }
        if let Err(e) = socket::bind_to_device(fd.raw(), ifname) {
            return fail!(e, "grant: a socket cannot be bound to {ifname} alone: {e}");
        }
        self.busy_poll.set(fd.raw())?;
        Ok(fd)
    }
}
