//! Putting a new program on an interface, and why that can fail.

use super::{Attachment, Device, Holder, Wanted};
use crate::sys::Errno;
use crate::sys::bpf;
use crate::sys::netlink::{Route, Words};
use crate::sys::thread::Mutex;
use crate::xsk::config::XdpMode;
use crate::xsk::error::{Error, fail};
use crate::xsk::logger::tell;
use crate::xsk::netlinked::{Netlinked, Tenant};
use crate::xsk::program::{Loaded, make_map};

/// Smallest map made, so that queues switched on later find a place.
const MAP_ENTRIES: u32 = 64;

/// Attaches a new program; None if somebody else was faster.
pub fn attach(device: &Device, wanted: &Wanted<'_>) -> Result<Option<Attachment>, Error> {
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

/// The bits of <linux/if_link.h> for a mode.
pub fn mode_bits(mode: XdpMode) -> u32 {
    match mode {
        XdpMode::Native => bpf::XDP_FLAGS_DRV_MODE,
        XdpMode::Generic => bpf::XDP_FLAGS_SKB_MODE,
    }
}

fn is_taken(e: Errno) -> bool {
    matches!(e, Errno::EBUSY | Errno::EEXIST)
}

/// Why a program could not be attached.
pub fn not_attached<T>(
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
