//! Links: what holds a program on an interface.

use core::ffi::c_int;

use super::{bpf, fd_by_id, info_by_fd};
use crate::sys::{Errno, OwnedFd, RawFd};

// enum bpf_cmd and other numbers of <linux/bpf.h>
const LINK_CREATE: c_int = 28;
const LINK_UPDATE: c_int = 29;
const LINK_GET_FD_BY_ID: c_int = 30;
const LINK_GET_NEXT_ID: c_int = 31;
const LINK_DETACH: c_int = 34;
const ATTACH_TYPE_XDP: u32 = 37;
const LINK_TYPE_TRACING: u32 = 2;
const LINK_TYPE_XDP: u32 = 6;

/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` of <linux/if_link.h>.
pub const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
pub const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
/// The same for hardware, for "only if there is none", and "only instead of that".
pub const XDP_FLAGS_HW_MODE: u32 = 1 << 3;
pub const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1 << 0;
pub const XDP_FLAGS_REPLACE: u32 = 1 << 4;

/// Attaches a program; it goes when the last descriptor of the link goes.
/// Linux 5.9; EINVAL before.
pub fn link_xdp(prog: RawFd, ifindex: u32, flags: u32) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_ifindex: u32,
        attach_type: u32,
        flags: u32,
    }
    let mut attr =
        Attr { prog_fd: prog as u32, target_ifindex: ifindex, attach_type: ATTACH_TYPE_XDP, flags };
    // SAFETY: no pointers in it.
    unsafe { bpf(LINK_CREATE, &mut attr) }.map(OwnedFd::adopt)
}

/// Puts another program in the place of a link's, between two packets.
pub fn link_update(link: RawFd, prog: RawFd) -> Result<(), Errno> {
    let mut attr = [link as u32, prog as u32, 0, 0];
    // SAFETY: no pointers in it.
    unsafe { bpf(LINK_UPDATE, &mut attr) }.map(drop)
}

/// Takes a link's program off, whoever has the link, which holds nothing from then on.
/// Linux 5.9.
pub fn link_detach(link: RawFd) -> Result<(), Errno> {
    // SAFETY: no pointers in it.
    unsafe { bpf(LINK_DETACH, &mut [link as u32]) }.map(drop)
}

/// Opens a link by its id; needs CAP_SYS_ADMIN. ENOENT while it is being released.
pub fn link_by_id(id: u32) -> Result<OwnedFd, Errno> {
    fd_by_id(LINK_GET_FD_BY_ID, id)
}

/// The smallest link id above `id`; ENOENT after the last.
pub fn next_link_id(id: u32) -> Result<u32, Errno> {
    let mut attr = [id, 0, 0];
    // SAFETY: no pointers in it; the kernel writes the second word.
    unsafe { bpf(LINK_GET_NEXT_ID, &mut attr) }?;
    Ok(attr[1])
}

/// What a link holds: the head of `struct bpf_link_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    pub id: u32,
    pub program: u32,
    pub place: Place,
}

/// Where a link holds its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On an interface; 0 once that is gone, or the program was taken off.
    Interface(u32),
    /// In another program, as a part of it; 0 before Linux 5.13, which does not tell in
    /// which.
    Program(u32),
    Elsewhere,
}

/// Asks what a link holds; EINVAL if `fd` is no BPF object.
pub fn link_info(fd: RawFd) -> Result<LinkInfo, Errno> {
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        program: u32,
        pad: u32,
        /// An interface's index; of a tracing link a kind, and the id of what it hangs in.
        first: u32,
        second: u32,
        rest: [u32; 6],
    }
    let mut info = Info::default();
    // SAFETY: no pointers that the answers of these links follow; what is zero is ignored.
    unsafe { info_by_fd(fd, &mut info) }?;
    let place = match info.kind {
        LINK_TYPE_XDP => Place::Interface(info.first),
        LINK_TYPE_TRACING => Place::Program(info.second),
        _ => Place::Elsewhere,
    };
    Ok(LinkInfo { id: info.id, program: info.program, place })
}
