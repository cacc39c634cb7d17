//! The program on an interface: attached by a link, joined by others.

mod evict;
pub mod pin;
pub mod query;

use alloc::vec::Vec;
use core::ffi::CStr;

use crate::sys::bpf::{self, LinkInfo, ObjectName};
use crate::sys::heap::Shared;
use crate::sys::netdev::IfName;
use crate::sys::netlink::{Route, Words};
use crate::sys::thread::{Guard, Mutex};
use crate::sys::{Errno, OwnedFd, RawFd, clock};
use crate::xsk::config::XdpMode;
use crate::xsk::dispatcher;
use crate::xsk::error::{Error, fail};
use crate::xsk::legacy::program::{self as legacy, Setup};
use crate::xsk::logger::tell;
use crate::xsk::netlinked::{Netlinked, Tenant};
use crate::xsk::program::{Found, Kind, LEGACY_NAME, Loaded, Program, Sought, make_map};
use crate::xsk::xskmap;

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

/// What came of trying.
enum Tried {
    Ours(Attachment),
    Theirs(Setup),
}

fn attach_or_join(device: &Device, wanted: &Wanted<'_>, deadline: u64) -> Result<Tried, Error> {
    // Mostly nobody is there: to try costs less than to ask first. Who may not attach
    // is told more by what is there.
    match attach(device, wanted) {
        Ok(Some(attachment)) => return Ok(Tried::Ours(attachment)),
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
            Some(id) if id == wanted.replace => {
                evict::replace(device, &found, id, wanted)?.map(Tried::Ours)
            }
            Some(id) => join(device, id, wanted, found.native == id)?,
            None => attach(device, wanted)?.map(Tried::Ours),
        };
        if let Some(tried) = tried {
            return Ok(tried);
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
) -> Result<Option<Tried>, Error> {
    let ifname = &device.ifname;
    let runs = if native { XdpMode::Native } else { XdpMode::Generic };
    let found = match Loaded::find(ifname, id)? {
        Sought::Ours(found) => found,
        Sought::Foreign(name) => {
            let joined = join_libxdp(device, id, name, wanted, runs)?;
            return Ok(joined.map(Tried::Theirs));
        }
        Sought::Gone => return Ok(None),
    };
    let holder = match find_link(id, device.ifindex) {
        Ok(Some((link, _))) => Ok(Some(Holder::Link(link))),
        // None, or one that is going; or the kernel has none, as before Linux 5.8.
        Ok(None) | Err(Errno::ENOENT | Errno::EINVAL) => Route::open().and_then(|route| {
            let place = Netlinked::of(device, route, mode_bits(runs));
            let (program, map, map_entries) =
                (found.loaded.fd.raw(), found.map.raw(), found.map_entries);
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
    let joined = Attachment::of(found, holder, device, runs, wanted)?;
    tell!(Info, "{ifname}: joined the program (id {id})");
    Ok(Some(Tried::Ours(joined)))
}

/// Joins libxdp's default program, by itself or in its dispatcher; None if it went.
fn join_libxdp(
    device: &Device,
    id: u32,
    name: ObjectName,
    wanted: &Wanted<'_>,
    runs: XdpMode,
) -> Result<Option<Setup>, Error> {
    let ifname = &device.ifname;
    let dispatcher = name == dispatcher::NAME;
    let inside = if dispatcher { dispatcher::find(id, LEGACY_NAME) } else { None };
    if name != LEGACY_NAME && inside.is_none() {
        let ways = "with XSK_BIND_XSKMAP, take its place with replace_id, or";
        return match dispatcher {
            true => fail!(
                Errno::EBUSY,
                "bind: {ifname} has libxdp's dispatcher ({name}, id {id}), and libxdp's program \
                 for AF_XDP is not known to be in it, which the kernel tells from Linux 5.13 on. \
                 Give the XSKMAP of a program in it {ways} unload it (xdp-loader unload {ifname})"
            ),
            false => fail!(
                Errno::EBUSY,
                "bind: {ifname} has an XDP program already: {name} (id {id}). Give its XSKMAP \
                 {ways} detach it (ip link set dev {ifname} xdp off)"
            ),
        };
    }
    let plain = wanted.program.is_default() && !wanted.kind.hints && wanted.pins.is_none();
    if !plain || wanted.kind.in_mode(runs).frags {
        return fail!(
            Errno::EBUSY,
            "bind: {ifname} has {name} (id {id}) of libxdp's, which can be joined for the default \
             program only, without XSK_BIND_SG in native mode, XSK_BIND_RX_METADATA and pin_path"
        );
    }
    check_mode(device, runs, wanted.mode)?;
    let route = match Route::open() {
        Ok(route) => route,
        Err(e) => return fail!(e, "bind: no netlink for {ifname}: {e}"),
    };
    let joined = legacy::join(device, route, id, runs == XdpMode::Native)?;
    if joined.is_some() {
        tell!(Info, "{ifname}: joined {name} (id {id}) of libxdp's");
    }
    Ok(joined)
}

/// Looks at every link of the system's until `look` says that it has seen enough. ENOENT
/// stands for links that went meanwhile, EPERM for want of CAP_SYS_ADMIN.
pub(super) fn each_link(look: &mut dyn FnMut(OwnedFd, LinkInfo) -> bool) -> Result<(), Errno> {
    let mut id = 0;
    loop {
        id = match bpf::next_link_id(id) {
            Ok(next) => next,
            Err(Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e),
        };
        let link = match bpf::link_by_id(id) {
            Ok(link) => link,
            Err(Errno::ENOENT | Errno::EAGAIN) => continue,
            Err(e) => return Err(e),
        };
        let info = bpf::link_info(link.raw())?;
        if look(link, info) {
            return Ok(());
        }
    }
}

/// The link that holds a program on an interface, and its id; None if there is none (any
/// more).
pub(super) fn find_link(program: u32, ifindex: u32) -> Result<Option<(OwnedFd, u32)>, Errno> {
    let (mut found, place) = (None, bpf::Place::Interface(ifindex));
    each_link(&mut |link, info| {
        let here = (info.program, info.place) == (program, place);
        if here {
            found = Some((link, info.id));
        }
        here
    })?;
    Ok(found)
}

/// Attaches a new program; None if somebody else was faster.
fn attach(device: &Device, wanted: &Wanted<'_>) -> Result<Option<Attachment>, Error> {
    let Wanted { program, mode: wanted, kind, .. } = *wanted;
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
