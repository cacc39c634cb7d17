//! Joining a program that is on an interface already.

use super::attach::{attach, mode_bits};
use super::links::find_link;
use super::{Attachment, Device, Holder, Wanted, check_mode, evict};
use crate::sys::bpf::ObjectName;
use crate::sys::netlink::Route;
use crate::sys::{Errno, clock};
use crate::xsk::config::XdpMode;
use crate::xsk::dispatcher;
use crate::xsk::error::{Error, fail};
use crate::xsk::legacy::program::{self as legacy, Setup};
use crate::xsk::logger::tell;
use crate::xsk::netlinked::{Netlinked, Tenant};
use crate::xsk::program::{LEGACY_NAME, Loaded, Sought};

/// What came of trying.
pub enum Tried {
    Ours(Attachment),
    Theirs(Setup),
}

/// Attaches a program, or joins an equal one that is there, trying until `deadline`.
pub fn attach_or_join(device: &Device, wanted: &Wanted<'_>, deadline: u64) -> Result<Tried, Error> {
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
