//! XSKMAPs, in which sockets stand for queues: put a socket in, open one of anybody's.

use core::ffi::CStr;

use crate::sys::bpf::{self, ObjectName};
use crate::sys::text::Escaped;
use crate::sys::{Errno, OwnedFd, RawFd};
use crate::xsk::dispatcher;
use crate::xsk::error::{Error, fail};

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

pub fn insert(map: RawFd, entries: u32, queue_id: u32, socket: RawFd) -> Result<(), Error> {
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

/// Opens the XSKMAP that is pinned under a path.
pub fn open(path: &CStr) -> Result<OwnedFd, Error> {
    let text = Escaped(path.to_bytes());
    match bpf::pinned(path) {
        Ok(map) => match bpf::map_info(map.raw()) {
            Ok(info) if info.is_xskmap() => Ok(map),
            _ => fail!(Errno::EINVAL, "xskmap: {text} is pinned, and is not an XSKMAP"),
        },
        Err(e @ Errno::ENOENT) => {
            fail!(e, "xskmap: there is no {text} (is the BPF file system mounted here?)")
        }
        Err(e @ Errno::EACCES) => {
            fail!(e, "xskmap: {text} is not pinned in a BPF file system, or its permissions say no")
        }
        Err(e) => fail!(e, "xskmap: {text} cannot be opened: {e}"),
    }
}

/// Opens the XSKMAP of a program, or of one that hangs in it if it is a dispatcher. Of
/// several the one of that name.
pub fn of_program(id: u32, name: Option<&CStr>) -> Result<OwnedFd, Error> {
    let wanted = name.map(|name| ObjectName::of(name.to_bytes()));
    let (mut found, mut count) = (None, 0);
    let mut look = |info: &bpf::ProgramInfo| {
        for id in info.maps() {
            let map = bpf::map_by_id(*id)?;
            let info = bpf::map_info(map.raw())?;
            if info.is_xskmap() && wanted.is_none_or(|name| name == info.name) {
                (found, count) = (Some(map), count + 1);
            }
        }
        Ok(())
    };
    let looked =
        bpf::program_by_id(id).and_then(|fd| bpf::program_info(fd.raw())).and_then(|info| {
            look(&info)?;
            if info.name == dispatcher::NAME {
                dispatcher::components(id, &mut |info| look(info).is_err())?;
            }
            Ok(info.name)
        });
    match (looked, found, count) {
        (Ok(_), Some(map), 1) => Ok(map),
        (Ok(program), _, 0) => fail!(
            Errno::ENOENT,
            "xskmap: program {id} ({program}) has no XSKMAP{}",
            if name.is_some() { " of that name" } else { "" }
        ),
        (Ok(program), ..) => fail!(
            Errno::EINVAL,
            "xskmap: program {id} ({program}) has {count} XSKMAPs: say the name of one (bpftool map)"
        ),
        (Err(e @ Errno::ENOENT), ..) => fail!(e, "xskmap: no program has the id {id}"),
        (Err(e @ Errno::EPERM), ..) => {
            fail!(e, "xskmap: not permitted to open program {id}: CAP_SYS_ADMIN is missing")
        }
        (Err(e), ..) => fail!(e, "xskmap: program {id} cannot be asked for its maps: {e}"),
    }
}
