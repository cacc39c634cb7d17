//! The program on an interface: attached by a link, joined by others.

mod attach;
mod evict;
mod join;
pub(super) mod links;
pub mod pin;
pub mod query;

use alloc::vec::Vec;
use core::ffi::CStr;

use self::attach::{mode_bits, not_attached};
use self::join::{Tried, attach_or_join};
use crate::sys::bpf;
use crate::sys::heap::Shared;
use crate::sys::netdev::IfName;
use crate::sys::netlink::Words;
use crate::sys::thread::{Guard, Mutex};
use crate::sys::{Errno, OwnedFd, RawFd};
use crate::xsk::config::XdpMode;
use crate::xsk::error::{Error, fail};
use crate::xsk::legacy::program::Setup;
use crate::xsk::netlinked::{Netlinked, Tenant};
use crate::xsk::program::{Found, Kind, Loaded, Program, Sought};
use crate::xsk::xskmap;

/// An interface in its network namespace.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    pub ifname: IfName,
    pub ifindex: u32,
    pub netns: u64,
    /// Queues that the device can have, as far as is known.
    pub queues: u32,
    /// Those that are switched on.
    pub in_use: u32,
}

/// What holds a program on an interface.
enum Holder {
    /// As long as anybody, in this process or another, has its link, it stays.
    Link(OwnedFd),
    /// Before Linux 5.9: it stays until it is taken off, by the last one with a socket.
    Netlink(Netlinked),
}

/// A program of this library's on an interface.
pub struct Attachment {
    holder: Holder,
    map: OwnedFd,
    map_entries: u32,
    device: Device,
    program: Mutex<Loaded>,
    pub mode: XdpMode,
}

/// What is to be on an interface.
pub struct Wanted<'a> {
    pub program: &'a Program,
    /// None: native, else generic.
    pub mode: Option<XdpMode>,
    pub kind: Kind,
    /// The id of the program that it is to take the place of, whose ever that is; 0: none.
    pub replace: u32,
    /// The folder that it is pinned in, or is to be.
    pub pins: Option<&'a CStr>,
}

/// What this process has attached or joined, so that its second socket on an
/// interface needs no privilege to look programs up.
static ATTACHED: Mutex<Vec<Shared<Attachment>>> = Mutex::new(Vec::new());

/// One socket's hold on a program; dropped with the last one, the program goes.
#[derive(Default)]
pub struct Hold {
    ours: Option<Shared<Attachment>>,
    /// Of libxdp's.
    theirs: Option<Setup>,
}

impl Hold {
    /// Attaches a program, or joins an equal one where it is attached already, trying
    /// until `deadline` while others come or go.
    pub fn acquire(device: &Device, wanted: &Wanted<'_>, deadline: u64) -> Result<Hold, Error> {
        // Held throughout: a second thread shall join, not race.
        let mut attached = ATTACHED.lock();
        let known = attached.iter().find(|known| known.is_on(device));
        if let Some(known) = known {
            check_mode(device, known.mode, wanted.mode)?;
            let kind = wanted.kind.in_mode(known.mode);
            known.program()?.check(wanted.program, kind, &device.ifname)?;
            wanted.pins.map_or(Ok(()), |path| known.pin(path))?;
            return Ok(Hold { ours: Some(known.clone()), theirs: None });
        }
        let pinned = wanted.pins.map(|path| pin::take_over(path, device, wanted)).transpose()?;
        let fresh = match pinned.flatten() {
            Some(pinned) => pinned,
            None => match attach_or_join(device, wanted, deadline)? {
                Tried::Ours(fresh) => {
                    wanted.pins.map_or(Ok(()), |path| fresh.pin(path))?;
                    fresh
                }
                Tried::Theirs(setup) => return Ok(Hold { ours: None, theirs: Some(setup) }),
            },
        };
        let fresh = Shared::new(fresh).ok().filter(|_| attached.try_reserve(1).is_ok());
        let Some(fresh) = fresh else {
            return fail!(Errno::ENOMEM, "bind: out of memory");
        };
        attached.push(fresh.clone());
        Ok(Hold { ours: Some(fresh), theirs: None })
    }

    /// What is held, if it is of this library's.
    pub fn attachment(&self) -> Option<&Attachment> {
        self.ours.as_deref()
    }

    /// The program: its id and where it runs.
    pub fn program(&self) -> Option<(u32, XdpMode)> {
        let ours = self.ours.as_ref().map(|ours| (ours.program_id(), ours.mode));
        ours.or(self.theirs.as_ref().map(|theirs| (theirs.id, theirs.mode)))
    }

    /// Directs a queue's packets to a socket.
    pub fn insert(&self, queue_id: u32, socket: RawFd) -> Result<(), Error> {
        match (&self.ours, &self.theirs) {
            (Some(ours), _) => xskmap::insert(ours.map.raw(), ours.map_entries, queue_id, socket),
            (_, Some(theirs)) => theirs.insert(queue_id, socket),
            _ => Ok(()),
        }
    }

    /// Directs a queue's packets to nobody.
    pub fn remove(&self, queue_id: u32) {
        let (map, _) = self.descriptors();
        let _ = bpf::xskmap_remove(map, queue_id);
    }

    /// The map, for sockets, and the link, which holds the program in its place.
    pub(super) fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        let theirs = self.theirs.as_ref().map_or(-1, Setup::map);
        self.ours.as_ref().map_or((theirs, None), |ours| ours.descriptors())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut attached = ATTACHED.lock();
        // The list's own, and this one.
        if let Some(ours) = self.ours.take().filter(|ours| ours.owners() == 2) {
            attached.retain(|known| !known.same(&ours));
        }
    }
}

impl Attachment {
    /// A program that was found, if it is as wanted.
    fn of(
        found: Found,
        holder: Holder,
        device: &Device,
        mode: XdpMode,
        wanted: &Wanted<'_>,
    ) -> Result<Attachment, Error> {
        let Found { loaded, map, map_entries } = found;
        loaded.check(wanted.program, wanted.kind.in_mode(mode), &device.ifname)?;
        check_mode(device, mode, wanted.mode)?;
        let program = Mutex::new(loaded);
        Ok(Attachment { holder, map, map_entries, device: *device, program, mode })
    }

    /// Whether it is there and not what is left of an interface of that index.
    fn is_on(&self, device: &Device) -> bool {
        (self.device.netns, self.device.ifindex) == (device.netns, device.ifindex)
            && match &self.holder {
                Holder::Link(link) => {
                    let info = bpf::link_info(link.raw());
                    info.is_ok_and(|link| link.place == bpf::Place::Interface(device.ifindex))
                }
                Holder::Netlink(place) => place.program_id() == self.program.lock().id,
            }
    }

    /// The id of the program that runs now, whoever put it there.
    pub fn program_id(&self) -> u32 {
        match &self.holder {
            Holder::Link(link) => bpf::link_info(link.raw()).map_or(0, |link| link.program),
            Holder::Netlink(place) => place.program_id(),
        }
    }

    /// The program that runs now.
    fn program(&self) -> Result<Guard<'_, Loaded>, Error> {
        let mut program = self.program.lock();
        let now = self.program_id();
        if now != 0 && now != program.id {
            if let Sought::Ours(found) = Loaded::find(&self.device.ifname, now)? {
                *program = found.loaded;
            }
        }
        Ok(program)
    }

    /// Puts another program in its place, for all who share it.
    pub fn replace(&self, wanted: &Program) -> Result<(), Error> {
        let ifname = &self.device.ifname;
        let mut program = self.program.lock();
        let fresh = Loaded::load(wanted, self.map.raw(), program.kind, self.device.ifindex)?;
        let replaced = match &self.holder {
            Holder::Link(link) => bpf::link_update(link.raw(), fresh.fd.raw()),
            Holder::Netlink(place) => place.replace(&self.tenant(&program), fresh.fd.raw()),
        };
        match replaced {
            Ok(()) => {
                *program = fresh;
                Ok(())
            }
            Err(e) => fail!(e, "program: that on {ifname} cannot be replaced: {e}"),
        }
    }

    /// How many counters the program has; hands the first of them to `each`.
    pub fn count(&self, most: u32, each: impl FnMut([u64; 2])) -> Result<u32, Error> {
        self.program()?.count(most, each)
    }

    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        let link = match &self.holder {
            Holder::Link(link) => Some(link.raw()),
            Holder::Netlink(_) => None,
        };
        (self.map.raw(), link)
    }

    fn tenant(&self, program: &Loaded) -> Tenant {
        let (map, map_entries) = (self.map.raw(), self.map_entries);
        Tenant { program: program.fd.raw(), id: program.id, map, map_entries }
    }

    /// Puts the program, which its interface has left behind, on one that was made anew.
    pub(super) fn link_again(&self, device: &Device) -> Result<OwnedFd, Error> {
        let program = self.program.lock().fd.raw();
        let linked = bpf::link_xdp(program, device.ifindex, mode_bits(self.mode));
        linked.or_else(|e| not_attached(e, Words::none(), device, Some(self.mode)))
    }
}

/// Refuses to join a program in another mode than the wanted one.
fn check_mode(device: &Device, runs: XdpMode, wanted: Option<XdpMode>) -> Result<(), Error> {
    let name = |mode| match mode {
        XdpMode::Native => "native (DRV)",
        XdpMode::Generic => "generic (SKB)",
    };
    match wanted {
        Some(wanted) if wanted != runs => fail!(
            Errno::EBUSY,
            "bind: the program on {} is shared and runs in {} mode: it cannot be joined in {} mode",
            device.ifname,
            name(runs),
            name(wanted)
        ),
        _ => Ok(()),
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Holder::Netlink(place) = &self.holder {
            let tenant = self.tenant(&self.program.lock());
            if tenant.is_used() == Some(false) {
                place.remove(&tenant);
            }
        }
    }
}
