//! The default program the libxdp way: attached over netlink, so that others can
//! look it up and detach it, and removed with its last socket.
//!
//! Users are counted, for libxdp's sake. A killed process leaves the count wrong, so
//! it is not trusted alone: a program whose map has no socket any more has no user,
//! and the kernel takes sockets out of the map when they are closed.

use crate::sys::bpf;
use crate::sys::netdev::Control;
use crate::sys::netlink::{Route, Words};
use crate::sys::{Errno, OwnedFd, RawFd, clock};
use crate::xsk::attachment::{Device, links};
use crate::xsk::bind::find_device;
use crate::xsk::config::XdpMode;
use crate::xsk::dispatcher;
use crate::xsk::error::{Error, fail};
use crate::xsk::legacy::btf;
use crate::xsk::legacy::count::Count;
use crate::xsk::logger::tell;
use crate::xsk::netlinked::{Netlinked, Tenant};
use crate::xsk::program;
use crate::xsk::xskmap;

/// How long a program that comes or goes is waited for.
const PATIENCE_MS: u64 = 1000;
const MODES: [u32; 3] = [bpf::XDP_FLAGS_SKB_MODE, bpf::XDP_FLAGS_DRV_MODE, bpf::XDP_FLAGS_HW_MODE];

/// The program on an interface, as long as a socket uses it.
pub struct Setup {
    prog: OwnedFd,
    pub id: u32,
    pub mode: XdpMode,
    map: OwnedFd,
    map_entries: u32,
    /// Where it is; None if it is not ours to remove.
    removable: Option<Netlinked>,
    count: Option<Count>,
    /// Keeps a program that hangs on a link.
    _link: Option<OwnedFd>,
}

/// Finds the map of the program on an interface, or attaches the default program.
/// `flags` are XDP_FLAGS_ of <linux/if_link.h>; `frags`: for packets in several buffers.
pub fn setup(device: &Device, flags: u32, frags: bool) -> Result<Setup, Error> {
    let deadline = clock::monotonic_ms() + PATIENCE_MS;
    loop {
        let route = Route::open();
        let asked = route.and_then(|route| Ok((route.xdp_ids(device.ifindex)?, route)));
        let (found, route) = match asked {
            Ok(asked) => asked,
            Err(e) => return fail!(e, "program: cannot ask what {} has: {e}", device.ifname),
        };
        let done = match found.any() {
            Some(id) => join(device, route, id, found.native == id)?,
            None => attach(device, route, flags, frags)?,
        };
        match done {
            Some(setup) => return Ok(setup),
            None if clock::monotonic_ms() >= deadline => {
                return fail!(
                    Errno::EBUSY,
                    "program: another one comes and goes on {} all the time",
                    device.ifname
                );
            }
            None => clock::nap_ms(1),
        }
    }
}

/// The same for an interface by its index. The program stays; `map` gets a
/// descriptor of the map.
pub fn setup_by_index(ifindex: u32, map: Option<&mut RawFd>) -> Result<(), Error> {
    let control = Control::open().and_then(|control| {
        let ifname = control.ifname(ifindex)?;
        Ok((control, ifname))
    });
    match control {
        Ok((control, ifname)) => {
            let name = ifname.text();
            let (_, device) = find_device(control.netns_cookie(), name)?;
            setup(&device, 0, false)?.leave(map)
        }
        Err(e) => fail!(Errno::EINVAL, "program: no interface has the index {ifindex}: {e}"),
    }
}

/// Uses the map of a program that is there, or of libxdp's in its dispatcher; None if it
/// went.
pub fn join(device: &Device, route: Route, id: u32, native: bool) -> Result<Option<Setup>, Error> {
    let ifname = &device.ifname;
    let opened = bpf::program_by_id(id).and_then(|prog| {
        let info = bpf::program_info(prog.raw())?;
        // The one that has the map hangs in it.
        let dispatched = info.name == dispatcher::NAME;
        let inside = if dispatched { dispatcher::find(id, program::LEGACY_NAME) } else { None };
        let (prog, info) = inside.unwrap_or((prog, info));
        Ok((prog, info, dispatched))
    });
    let (prog, info, dispatched) = match opened {
        Ok(opened) => opened,
        Err(Errno::ENOENT) => return Ok(None),
        Err(e) => {
            return fail!(e, "program: {ifname} has one (id {id}) that cannot be opened: {e}");
        }
    };
    let (mut found, mut count) = (None, None);
    for map in info.maps().iter().filter_map(|map| bpf::map_by_id(*map).ok()) {
        match bpf::map_info(map.raw()) {
            Ok(info) if info.is_xskmap() && info.name == program::MAP_NAME => {
                found = Some((map, info.max_entries));
            }
            _ => count = Count::of(map).or(count),
        }
    }
    if let Some((map, map_entries)) = found {
        let link = links::find_link(id, device.ifindex).ok().flatten();
        let link = link.map(|(link, _)| link);
        let ours = info.name == program::LEGACY_NAME && (dispatched || link.is_none());
        let mut count = count.filter(|_| ours);
        if let Some(Ok(false)) = count.as_mut().map(Count::join) {
            return Ok(None); // its last user is detaching it
        }
        let (mode, mode_bit) = match native {
            true => (XdpMode::Native, bpf::XDP_FLAGS_DRV_MODE),
            false => (XdpMode::Generic, bpf::XDP_FLAGS_SKB_MODE),
        };
        return Ok(Some(Setup {
            prog,
            id: info.id,
            mode,
            map,
            map_entries,
            removable: (ours && !dispatched).then(|| Netlinked::of(device, route, mode_bit)),
            count,
            _link: link,
        }));
    }
    fail!(
        Errno::EBUSY,
        "program: {ifname} has another one: {} (id {id}), without an XSKMAP named xsks_map; detach \
         it (ip link set dev {ifname} xdp off), or bring your own map \
         (XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD)",
        info.name
    )
}

/// Loads and attaches the default program; None if another one was faster.
fn attach(device: &Device, route: Route, flags: u32, frags: bool) -> Result<Option<Setup>, Error> {
    let ifname = &device.ifname;
    let (map, map_entries) = program::make_map(device.queues)?;
    let count = match Count::create() {
        Ok(count) => count,
        Err(e) => return Err(program::not_loaded(e, "a map for the count of users")),
    };
    let code = program::counted(map.raw(), count.map().raw())?;
    // Where the kernel does not take it, libxdp will not join; nothing else is lost.
    let btf = btf::bytes().and_then(|bytes| bpf::load_btf(&bytes)).ok();
    let types = btf.as_ref().map(|fd| (fd.raw(), btf::FUNC_ID));
    let (prog, id) = program::load_program(code.insns(), program::LEGACY_NAME, types, frags)?;
    // The first that is set, as libxdp has it; none: what the driver can.
    let mode_bits = MODES.into_iter().find(|mode| flags & mode != 0).unwrap_or(0);
    let (place, mut words) = (Netlinked::of(device, route, mode_bits), Words::none());
    match place.attach(prog.raw(), &mut words) {
        Ok(()) => {}
        Err(Errno::EBUSY | Errno::EEXIST) => return Ok(None),
        Err(e) => return not_attached(e, words, device, mode_bits),
    }
    // What the kernel made of no mode bit at all.
    let native = place.is_native(id);
    let mode = if native { XdpMode::Native } else { XdpMode::Generic };
    tell!(Info, "{ifname}: attached the default program over netlink (id {id}, {mode:?})");
    let removable = Some(place);
    Ok(Some(Setup { prog, id, mode, map, map_entries, removable, count: Some(count), _link: None }))
}

fn not_attached<T>(e: Errno, words: Words, device: &Device, modes: u32) -> Result<T, Error> {
    let ifname = &device.ifname;
    let advice = match (e, modes & bpf::XDP_FLAGS_DRV_MODE != 0) {
        (Errno::EPERM, _) => ": CAP_NET_ADMIN is missing",
        (_, true) => ": the driver refuses native XDP; XDP_FLAGS_SKB_MODE would do",
        _ => "",
    };
    fail!(e, "program: it cannot be attached to {ifname}: {e}{words}{advice}")
}

impl Setup {
    /// Directs a queue's packets to a socket.
    pub fn insert(&self, queue_id: u32, socket: RawFd) -> Result<(), Error> {
        xskmap::insert(self.map.raw(), self.map_entries, queue_id, socket)
    }

    /// Directs a queue's packets to the kernel again.
    pub fn remove(&self, queue_id: u32) {
        let _ = bpf::xskmap_remove(self.map.raw(), queue_id);
    }

    /// Leaves everything as it is, and gives the program a descriptor of the map.
    fn leave(mut self, map: Option<&mut RawFd>) -> Result<(), Error> {
        if let Some(out) = map {
            match self.map.duplicate() {
                Ok(map) => *out = map.into_program(),
                Err(e) => return fail!(e, "program: no descriptor for the map: {e}"),
            }
        }
        self.removable = None;
        if let Some(mut count) = self.count.take() {
            count.keep();
        }
        Ok(())
    }

    /// The map of sockets.
    pub fn map(&self) -> RawFd {
        self.map.raw()
    }

    fn tenant(&self) -> Tenant {
        let Setup { id, map_entries, .. } = *self;
        Tenant { program: self.prog.raw(), id, map: self.map.raw(), map_entries }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let (place, tenant) = (self.removable.take(), self.tenant());
        // Out of a dispatcher only libxdp can take it: it stays as in use, by nobody, and
        // who comes next uses it.
        let least = u32::from(place.is_none());
        let users = self.count.as_mut().and_then(|count| count.leave(least).ok());
        let Some(place) = place else { return };
        let kept = self.count.as_mut().is_some_and(Count::is_kept);
        if users != Some(0) && (kept || tenant.is_used() != Some(false)) {
            return;
        }
        let mut count = |users| {
            if let Some(count) = &mut self.count {
                count.set(users);
            }
        };
        count(0);
        if !place.remove(&tenant) {
            count(1);
        }
    }
}
