//! Taking a program of somebody else's off an interface, by its id and no other.

use super::attach::attach;
use super::links::find_link;
use super::{Attachment, Device, Wanted};
use crate::sys::bpf;
use crate::sys::netlink::{Route, Words, XdpIds};
use crate::sys::{Errno, OwnedFd};
use crate::xsk::error::{Error, fail};
use crate::xsk::logger::tell;
use crate::xsk::netlinked::{Netlinked, Tenant};

/// Attaches a program in the place of that with an id; None if that went, or somebody
/// else came. If it cannot be attached the other one is put back, unless it hung on a
/// link.
pub fn replace(
    device: &Device,
    found: &XdpIds,
    id: u32,
    wanted: &Wanted<'_>,
) -> Result<Option<Attachment>, Error> {
    let ifname = &device.ifname;
    let (program, place) = match take_off(device, found, id) {
        Ok(taken) => taken,
        Err(Errno::ENOENT | Errno::EEXIST) => return Ok(None),
        Err(e) => {
            let needs = if e == Errno::EPERM { " (CAP_SYS_ADMIN and CAP_NET_ADMIN)" } else { "" };
            return fail!(e, "bind: program {id} cannot be taken off {ifname}: {e}{needs}");
        }
    };
    tell!(Warn, "{ifname}: took program {id} off, as replace_id says");
    let fresh = attach(device, wanted);
    if let (Err(_), Some(place)) = (&fresh, place) {
        let _ = place.attach(program.raw(), &mut Words::none());
    }
    fresh
}

fn take_off(
    device: &Device,
    found: &XdpIds,
    id: u32,
) -> Result<(OwnedFd, Option<Netlinked>), Errno> {
    let program = bpf::program_by_id(id)?;
    let link = match find_link(id, device.ifindex) {
        // Before Linux 5.8 there is none.
        Err(Errno::EINVAL) => None,
        found => found?,
    };
    if let Some((link, _)) = link {
        bpf::link_detach(link.raw())?;
        return Ok((program, None));
    }
    let modes = match id {
        _ if id == found.native => bpf::XDP_FLAGS_DRV_MODE,
        _ if id == found.generic => bpf::XDP_FLAGS_SKB_MODE,
        _ => bpf::XDP_FLAGS_HW_MODE,
    };
    let place = Netlinked::of(device, Route::open()?, modes);
    let tenant = Tenant { program: program.raw(), id, map: -1, map_entries: 0 };
    place.replace(&tenant, -1)?;
    Ok((program, Some(place)))
}
