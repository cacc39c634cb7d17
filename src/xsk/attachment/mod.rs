//! The program on an interface: attached by a link, joined by others.

use alloc::vec::Vec;

use crate::sys::bpf;
use crate::sys::heap::Shared;
use crate::sys::netdev::IfName;
use crate::sys::netlink::{Route, Words};
use crate::sys::thread::{Guard, Mutex};
use crate::sys::{Errno, OwnedFd, RawFd, clock};
use crate::xsk::config::XdpMode;
use crate::xsk::error::{Error, fail};
use crate::xsk::logger::tell;
use crate::xsk::netlinked::{Netlinked, Tenant};
use crate::xsk::program::{Found, Kind, Loaded, Program, make_map};

/// Smallest map made, so that queues switched on later find a place.
const MAP_ENTRIES: u32 = 64;

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
}

/// What this process has attached or joined, so that its second socket on an
/// interface needs no privilege to look programs up.
static ATTACHED: Mutex<Vec<Shared<Attachment>>> = Mutex::new(Vec::new());

/// One socket's hold on an attachment; dropped with the last one, the program goes.
pub struct Hold(Option<Shared<Attachment>>);

impl Hold {
    /// Attaches a program, or joins an equal one where it is attached already, trying
    /// until `deadline` while others come or go.
    pub fn acquire(device: &Device, wanted: &Wanted<'_>, deadline: u64) -> Result<Hold, Error> {
        // Held throughout: a second thread shall join, not race.
        let mut attached = ATTACHED.lock();
        let known = attached.iter().find(|known| known.is_on(device));
        if let Some(known) = known {
            known.check_mode(wanted.mode)?;
            let kind = wanted.kind.in_mode(known.mode);
            known.program()?.check(wanted.program, kind, &device.ifname)?;
            return Ok(Hold(Some(known.clone())));
        }
        let fresh = attach_or_join(device, wanted, deadline)?;
        let fresh = Shared::new(fresh).ok().filter(|_| attached.try_reserve(1).is_ok());
        let Some(fresh) = fresh else {
            return fail!(Errno::ENOMEM, "bind: out of memory");
        };
        attached.push(fresh.clone());
        Ok(Hold(Some(fresh)))
    }

    /// What is held.
    pub fn attachment(&self) -> Option<&Attachment> {
        self.0.as_deref()
    }

    /// Directs a queue's packets to a socket.
    pub fn insert(&self, queue_id: u32, socket: RawFd) -> Result<(), Error> {
        match &self.0 {
            Some(attachment) => {
                insert(attachment.map.raw(), attachment.map_entries, queue_id, socket)
            }
            None => Ok(()),
        }
    }

    /// Directs a queue's packets to nobody.
    pub fn remove(&self, queue_id: u32) {
        if let Some(attachment) = &self.0 {
            let _ = bpf::xskmap_remove(attachment.map.raw(), queue_id);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut attached = ATTACHED.lock();
        // The list's own, and this one.
        if let Some(ours) = self.0.take().filter(|ours| ours.owners() == 2) {
            attached.retain(|known| !known.same(&ours));
        }
    }
}

impl Attachment {
    /// Whether it is there and not what is left of an interface of that index.
    fn is_on(&self, device: &Device) -> bool {
        (self.device.netns, self.device.ifindex) == (device.netns, device.ifindex)
            && match &self.holder {
                Holder::Link(link) => {
                    let info = bpf::link_info(link.raw());
                    matches!(info, Ok(Some(link)) if link.ifindex == device.ifindex)
                }
                Holder::Netlink(place) => place.program_id() == self.program.lock().id,
            }
    }

    /// The id of the program that runs now, whoever put it there.
    pub fn program_id(&self) -> u32 {
        match &self.holder {
            Holder::Link(link) => match bpf::link_info(link.raw()) {
                Ok(Some(link)) => link.program,
                _ => 0,
            },
            Holder::Netlink(place) => place.program_id(),
        }
    }

    /// The program that runs now.
    fn program(&self) -> Result<Guard<'_, Loaded>, Error> {
        let mut program = self.program.lock();
        let now = self.program_id();
        if now != 0 && now != program.id {
            if let Some(found) = Loaded::find(&self.device.ifname, now)? {
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

    /// The map, for sockets, and the link, which holds the program in its place.
    pub(super) fn descriptors(&self) -> (RawFd, Option<RawFd>) {
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

    fn check_mode(&self, wanted: Option<XdpMode>) -> Result<(), Error> {
        let name = |mode| match mode {
            XdpMode::Native => "native (DRV)",
            XdpMode::Generic => "generic (SKB)",
        };
        match wanted {
            Some(wanted) if wanted != self.mode => fail!(
                Errno::EBUSY,
                "bind: the program on {} is shared and runs in {} mode: it cannot be \
                 joined in {} mode",
                self.device.ifname,
                name(self.mode),
                name(wanted)
            ),
            _ => Ok(()),
        }
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

/// Directs a queue's packets to a socket, by an XSKMAP of anybody's.
pub fn insert_into(map: RawFd, queue_id: u32, socket: RawFd) -> Result<(), Error> {
    let info = check_xskmap(map)?;
    insert(map, info.max_entries, queue_id, socket)
}

/// Refuses a descriptor that is not an XSKMAP's.
pub fn check_xskmap(map: RawFd) -> Result<bpf::MapInfo, Error> {
    match bpf::map_info(map) {
        Ok(info) if info.is_xskmap() => Ok(info),
        Ok(_) | Err(Errno::EINVAL) => {
            fail!(Errno::EINVAL, "bind: xskmap_fd {map} is not an XSKMAP (BPF_MAP_TYPE_XSKMAP)")
        }
        Err(e) => fail!(e, "bind: xskmap_fd {map} is not a BPF map: {e}"),
    }
}

pub(super) fn insert(map: RawFd, entries: u32, queue_id: u32, socket: RawFd) -> Result<(), Error> {
    if queue_id >= entries {
        return fail!(
            Errno::E2BIG,
            "bind: queue {queue_id} has no place in the XSKMAP, which has {entries} entries"
        );
    }
    match bpf::xskmap_insert(map, queue_id, socket) {
        Ok(()) => Ok(()),
        Err(e @ Errno::EPERM) => fail!(
            e,
            "bind: not permitted to put the socket into the XSKMAP: the map is read-only, or frozen"
        ),
        Err(e) => fail!(e, "bind: the socket cannot be put into the XSKMAP at {queue_id}: {e}"),
    }
}

fn attach_or_join(
    device: &Device,
    wanted: &Wanted<'_>,
    deadline: u64,
) -> Result<Attachment, Error> {
    // Mostly nobody is there: to try costs less than to ask first. Who may not attach
    // is told more by what is there.
    match attach(device, wanted) {
        Ok(Some(attachment)) => return Ok(attachment),
        Err(e) if e.errno() != Errno::EPERM => return Err(e),
        _ => {}
    }
    loop {
        let found = match Route::open().and_then(|route| route.xdp_ids(device.ifindex)) {
            Ok(ids) => ids,
            Err(e) => {
                return fail!(e, "bind: cannot ask for the programs on {}: {e}", device.ifname);
            }
        };
        let tried = match found.any() {
            Some(id) => join(device, id, wanted, found.native == id)?,
            None => attach(device, wanted)?,
        };
        if let Some(attachment) = tried {
            return Ok(attachment);
        }
        // Somebody came or went in between; a link takes some 10 ms to go.
        if clock::monotonic_ms() >= deadline {
            return fail!(
                Errno::EBUSY,
                "bind: another program is being attached to or detached from {}, and that did not \
                 end in time",
                device.ifname
            );
        }
        clock::nap_ms(1);
    }
}

/// Joins the program with that id if it is such a one; None if it went.
fn join(
    device: &Device,
    id: u32,
    wanted: &Wanted<'_>,
    native: bool,
) -> Result<Option<Attachment>, Error> {
    let ifname = &device.ifname;
    let Some(Found { loaded, map, map_entries }) = Loaded::find(ifname, id)? else {
        return Ok(None);
    };
    let runs = if native { XdpMode::Native } else { XdpMode::Generic };
    let holder = match find_link(id, device.ifindex) {
        Ok(Some(link)) => Ok(Some(Holder::Link(link))),
        // None, or one that is going; or the kernel has none, as before Linux 5.8.
        Ok(None) | Err(Errno::ENOENT | Errno::EINVAL) => Route::open().and_then(|route| {
            let place = Netlinked::of(device, route, mode_bits(runs));
            let (program, map) = (loaded.fd.raw(), map.raw());
            let here = place.has(&Tenant { program, id, map, map_entries })?;
            Ok(here.then_some(Holder::Netlink(place)))
        }),
        Err(e) => Err(e),
    };
    let holder = match holder {
        Ok(Some(holder)) => holder,
        Ok(None) => return Ok(None),
        Err(e) => return fail!(e, "bind: joining the program on {ifname} (id {id}): {e}"),
    };
    loaded.check(wanted.program, wanted.kind.in_mode(runs), ifname)?;
    let program = Mutex::new(loaded);
    let joined = Attachment { holder, map, map_entries, device: *device, program, mode: runs };
    joined.check_mode(wanted.mode)?;
    tell!(Info, "{ifname}: joined the program (id {id})");
    Ok(Some(joined))
}

/// The link that holds a program on an interface; None if there is none (any more).
pub(super) fn find_link(program: u32, ifindex: u32) -> Result<Option<OwnedFd>, Errno> {
    let mut id = 0;
    loop {
        id = match bpf::next_link_id(id) {
            Ok(next) => next,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(e),
        };
        let link = match bpf::link_by_id(id) {
            Ok(link) => link,
            Err(Errno::ENOENT | Errno::EAGAIN) => continue,
            Err(e) => return Err(e),
        };
        if bpf::link_info(link.raw())? == Some(bpf::LinkInfo { program, ifindex }) {
            return Ok(Some(link));
        }
    }
}

/// Attaches a new program; None if somebody else was faster.
fn attach(device: &Device, wanted: &Wanted<'_>) -> Result<Option<Attachment>, Error> {
    let Wanted { program, mode: wanted, kind } = *wanted;
    let ifname = &device.ifname;
    let (map, map_entries) = make_map(device.queues.max(MAP_ENTRIES))?;
    let loaded = Loaded::load(program, map.raw(), kind, device.ifindex)?;
    let mut words = Words::none();
    let first = wanted.unwrap_or(XdpMode::Native);
    let mut held = hold(&loaded, device, first, &mut words).map(|holder| (holder, first));
    match held {
        Err(e) if wanted.is_none() && !is_taken(e) && e != Errno::EPERM => {
            tell!(Info, "{ifname}: no native XDP, {e}{words}: trying the generic mode");
            let mode = XdpMode::Generic;
            held = hold(&loaded, device, mode, &mut words).map(|holder| (holder, mode));
        }
        _ => {}
    }
    match held {
        Ok((holder, mode)) => {
            let what = if program.is_default() { "the default program" } else { "a program" };
            tell!(Info, "{ifname}: attached {what} (id {}, {mode:?})", loaded.id);
            let (device, program) = (*device, Mutex::new(loaded));
            Ok(Some(Attachment { holder, map, map_entries, device, program, mode }))
        }
        Err(e) if is_taken(e) => Ok(None),
        Err(e) => not_attached(e, words, device, wanted),
    }
}

/// Puts a program on an interface, with a link if the kernel has them; `words` gets what
/// the driver says.
fn hold(
    program: &Loaded,
    device: &Device,
    mode: XdpMode,
    words: &mut Words,
) -> Result<Holder, Errno> {
    let (fd, modes) = (program.fd.raw(), mode_bits(mode));
    let e = match bpf::link_xdp(fd, device.ifindex, modes) {
        Ok(link) => return Ok(Holder::Link(link)),
        Err(e) => e,
    };
    if is_taken(e) || e == Errno::EPERM {
        return Err(e);
    }
    // Over netlink the driver says why. Before Linux 5.9 it is also the only way: EINVAL
    // is what the kernel answers to a command that it does not know.
    let Ok(route) = Route::open() else { return Err(e) };
    let place = Netlinked::of(device, route, modes);
    match place.attach(fd, words) {
        Ok(()) if e == Errno::EINVAL => Ok(Holder::Netlink(place)),
        Ok(()) => {
            place.remove(&Tenant { program: fd, id: program.id, map: -1, map_entries: 0 });
            Err(e)
        }
        Err(said) => Err(said),
    }
}

fn mode_bits(mode: XdpMode) -> u32 {
    match mode {
        XdpMode::Native => bpf::XDP_FLAGS_DRV_MODE,
        XdpMode::Generic => bpf::XDP_FLAGS_SKB_MODE,
    }
}

fn is_taken(e: Errno) -> bool {
    matches!(e, Errno::EBUSY | Errno::EEXIST)
}

fn not_attached<T>(
    e: Errno,
    words: Words,
    device: &Device,
    wanted: Option<XdpMode>,
) -> Result<T, Error> {
    let ifname = &device.ifname;
    match (e, wanted) {
        (Errno::EPERM, _) => {
            fail!(
                e,
                "bind: not permitted to attach a program to {ifname}: CAP_NET_ADMIN is missing"
            )
        }
        (Errno::EOPNOTSUPP, Some(XdpMode::Native)) => {
            fail!(e, "bind: the driver of {ifname} has no native XDP{words}; use XSK_BIND_SKB_MODE")
        }
        (_, Some(XdpMode::Native)) => {
            let often =
                if words.is_empty() { " (often an MTU too large, or too few queues)" } else { "" };
            fail!(
                e,
                "bind: the driver of {ifname} refuses a native XDP program: {e}{words}{often}; use \
                 XSK_BIND_SKB_MODE"
            )
        }
        _ => fail!(e, "bind: no program can be attached to {ifname}: {e}{words}"),
    }
}
