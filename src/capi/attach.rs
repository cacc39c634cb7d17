//! Programs on interfaces, for C programs: asked for, opened, kept beyond a process.

use core::ffi::{CStr, c_char, c_int};

use super::socket::{socket_ref, xsk_socket};
use super::{Sized32, guard, guard_count, null, put, write_info};
use super::{XSK_BIND_RX_METADATA, XSK_BIND_SG};
use crate::xsk::attachment::pin;
use crate::xsk::attachment::query::{self, Attached, Held, Whose};
use crate::xsk::{Error, xskmap};

/// `xsk_attach_info.kind`: no program is on the interface.
pub const XSK_KIND_NONE: u32 = 0;
/// `xsk_attach_info.kind`: one that this process may not look at.
pub const XSK_KIND_UNKNOWN: u32 = 1;
/// `xsk_attach_info.kind`: this library's default program.
pub const XSK_KIND_DEFAULT: u32 = 2;
/// `xsk_attach_info.kind`: rules of xsk_program_create().
pub const XSK_KIND_RULES: u32 = 3;
/// `xsk_attach_info.kind`: a filter of xsk_program_create().
pub const XSK_KIND_FILTER: u32 = 4;
/// `xsk_attach_info.kind`: libxdp's default program for AF_XDP, attached by libxdp or by
/// this library's drop-in for it.
pub const XSK_KIND_LIBXDP: u32 = 5;
/// `xsk_attach_info.kind`: libxdp's dispatcher, which runs several programs in turn.
pub const XSK_KIND_DISPATCHER: u32 = 6;
/// `xsk_attach_info.kind`: somebody else's.
pub const XSK_KIND_FOREIGN: u32 = 7;

/// `xsk_attach_info.held`: not known.
pub const XSK_HELD_UNKNOWN: u32 = 0;
/// `xsk_attach_info.held`: by a BPF link; it goes with the last process or pin that has
/// that.
pub const XSK_HELD_LINK: u32 = 1;
/// `xsk_attach_info.held`: over netlink; it stays until somebody takes it off.
pub const XSK_HELD_NETLINK: u32 = 2;

/// `xsk_attach_info.join`: a socket of this library's that wants an equal program: the
/// default one for XSK_KIND_DEFAULT, XSK_KIND_LIBXDP and XSK_KIND_DISPATCHER, else equal
/// rules or an equal filter.
pub const XSK_JOIN_EQUAL: u32 = 1 << 0;
/// `xsk_attach_info.join`: programs that use libxdp.
pub const XSK_JOIN_LIBXDP: u32 = 1 << 1;
/// `xsk_attach_info.join`: a socket with XSK_BIND_XSKMAP and one of xskmaps[], which
/// xsk_xskmap_of_program() opens.
pub const XSK_JOIN_XSKMAP: u32 = 1 << 2;

/// An XSKMAP.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct xsk_attach_map {
    /// Its id (bpftool map).
    pub id: u32,
    /// Queues that have a place in it are below this.
    pub max_entries: u32,
    /// The program that looks into it: that on the interface, or one in its dispatcher.
    pub program_id: u32,
    /// Its name.
    pub name: [c_char; 16],
}

/// What is on an interface.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct xsk_attach_info {
    /// sizeof(struct xsk_attach_info), set by the caller.
    pub size: u32,
    /// The interface's index.
    pub ifindex: u32,
    /// The program's id (bpftool prog); 0 if there is none, and then all that follows.
    pub program_id: u32,
    /// XSK_MODE_DRV, XSK_MODE_SKB or XSK_MODE_HW. Of a program in the device and one
    /// beside it this is the latter; xsk_probe() lists both.
    pub mode: u32,
    /// Its name; empty if this process may not look.
    pub name: [c_char; 16],
    /// XSK_KIND_...
    pub kind: u32,
    /// The flags that it was attached with, if it is this library's: XSK_BIND_SG,
    /// XSK_BIND_RX_METADATA.
    pub bind_flags: u32,
    /// XSK_HELD_...
    pub held: u32,
    /// The link's id (bpftool link), for XSK_HELD_LINK.
    pub link_id: u32,
    /// XSK_JOIN_...: who could join; 0: nobody, or that is not known.
    pub join: u32,
    /// Programs in it, for XSK_KIND_DISPATCHER; Linux 5.13.
    pub component_count: u32,
    /// XSKMAPs that it has, or the programs in it.
    pub xskmap_count: u32,
    /// The first eight of them.
    pub xskmaps: [xsk_attach_map; 8],
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_attach_info {
    const NAME: &'static str = "xsk_attach_info";
}

/// Asks which XDP program is on an interface, what holds it there, and who could join it.
///
/// Nothing is changed. What xsk_socket_bind() does with what is there: a program of this
/// library's, and libxdp's default one, is joined if it is equal to the wanted one; any
/// other stays, and is an error, unless `replace_id` has its id.
///
/// @param[in]  ifname  the interface, in this thread's network namespace
/// @param[out] info    its `size` set by the caller; the rest is filled in
/// @retval 0        done. Without CAP_SYS_ADMIN the id and the mode are told, and the
///                  rest is unknown
/// @retval -EINVAL  a pointer is NULL, info->size is not set, or ifname is no name
/// @retval -ENODEV  no interface has that name
/// @retval -EMFILE  no file descriptor is left
/// @note Threads: any. It looks at each BPF link of the system; not for the data path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_attach_query(
    ifname: *const c_char,
    info: *mut xsk_attach_info,
) -> c_int {
    guard(|| {
        if ifname.is_null() {
            return null("ifname");
        }
        // SAFETY: not NULL, and a string, as documented.
        let ifname = unsafe { CStr::from_ptr(ifname) };
        let told = translate(&query::query(ifname.to_bytes())?);
        // SAFETY: NULL or writable for its size, as documented.
        unsafe { write_info(info, told) }
    })
}

fn translate(attached: &Attached) -> xsk_attach_info {
    let bit = |bit, told: bool| if told { bit } else { 0 };
    let [equal, libxdp, xskmap] = attached.joins();
    let mut told = xsk_attach_info {
        ifindex: attached.ifindex,
        program_id: attached.id,
        kind: match attached.whose {
            Whose::None => XSK_KIND_NONE,
            Whose::Unknown => XSK_KIND_UNKNOWN,
            Whose::Default => XSK_KIND_DEFAULT,
            Whose::Rules => XSK_KIND_RULES,
            Whose::Filter => XSK_KIND_FILTER,
            Whose::Libxdp => XSK_KIND_LIBXDP,
            Whose::Dispatcher => XSK_KIND_DISPATCHER,
            Whose::Foreign => XSK_KIND_FOREIGN,
        },
        bind_flags: bit(XSK_BIND_SG, attached.kind.frags)
            | bit(XSK_BIND_RX_METADATA, attached.kind.hints),
        join: bit(XSK_JOIN_EQUAL, equal)
            | bit(XSK_JOIN_LIBXDP, libxdp)
            | bit(XSK_JOIN_XSKMAP, xskmap),
        component_count: attached.components,
        xskmap_count: attached.map_count,
        ..xsk_attach_info::default()
    };
    if attached.id != 0 {
        let modes = [super::XSK_MODE_DRV, super::XSK_MODE_SKB, super::XSK_MODE_HW];
        told.mode = modes.get(attached.mode).copied().unwrap_or(0);
    }
    (told.held, told.link_id) = match attached.held {
        Held::Unknown => (XSK_HELD_UNKNOWN, 0),
        Held::Link(id) => (XSK_HELD_LINK, id),
        Held::Netlink => (XSK_HELD_NETLINK, 0),
    };
    put(&mut told.name, &attached.name.0);
    for (to, map) in told.xskmaps.iter_mut().zip(&attached.maps) {
        (to.id, to.max_entries, to.program_id) = (map.id, map.entries, map.program);
        put(&mut to.name, &map.name.0);
    }
    told
}

/// Opens an XSKMAP that is pinned in a BPF file system, for XSK_BIND_XSKMAP.
///
/// @param[in] path  where
/// @return the map's descriptor, to be closed by the caller once sockets are bound; or
/// @retval -EINVAL  path is NULL, or something else is pinned there
/// @retval -ENOENT  nothing has that path; `ip netns exec` hides /sys/fs/bpf
/// @retval -EACCES  it is not in a BPF file system, or its permissions say no
/// @retval -EPERM   CAP_BPF is missing, before Linux 5.19 with
///                  kernel.unprivileged_bpf_disabled
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_xskmap_open(path: *const c_char) -> c_int {
    guard_count(|| {
        // SAFETY: NULL or a string, as documented.
        xskmap::open(unsafe { string(path, "path") }?).map(|map| map.into_program() as u32)
    })
}

/// Opens the XSKMAP of a program that is loaded, for XSK_BIND_XSKMAP.
///
/// @param[in] program_id  its id (bpftool prog, xsk_attach_query()); of libxdp's
///                        dispatcher, whose programs are looked at too; not 0
/// @param[in] name        the map's, which the kernel cuts at 15 bytes; NULL for the only
///                        one that there is
/// @return the map's descriptor, to be closed by the caller once sockets are bound; or
/// @retval -ENOENT  no program has that id, or it has no XSKMAP, or none of that name
/// @retval -EINVAL  it has several: name one
/// @retval -EPERM   CAP_SYS_ADMIN is missing
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_xskmap_of_program(program_id: u32, name: *const c_char) -> c_int {
    guard_count(|| {
        // SAFETY: not NULL in the call, and then a string, as documented.
        let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
        xskmap::of_program(program_id, name).map(|map| map.into_program() as u32)
    })
}

/// Pins the program that brings a socket its packets, so that it stays when the last
/// process that uses it ends.
///
/// In a BPF file system a folder is made, for its owner alone, with the names `link`,
/// `program` and `xskmap`, and `rules` and `counters` if there are such. While no process
/// has a socket, packets go where the program sends those of a queue without one: to the
/// kernel. The next process takes it over with `pin_path` in its xsk_bind_params, or
/// any process joins it as ever. xsk_program_unpin() ends that.
///
/// If the folder holds the same link, the rest of it is renewed: for those who have called
/// xsk_program_replace().
///
/// @param[in] socket  bound, with a program of the library's
/// @param[in] path    the folder: new, or empty, in one that is there, as
///                    "/sys/fs/bpf/capture"; no dots in its name
/// @retval 0           pinned
/// @retval -EINVAL     a pointer is NULL, or path is not in a BPF file system
/// @retval -ENOTCONN   the socket is not bound, or uses no program of the library's
/// @retval -EEXIST     the folder holds something else: the sentence says what
/// @retval -ENOENT     the folder above is not there
/// @retval -EOPNOTSUPP the program has no link: before Linux 5.9
/// @retval -EPERM, -EACCES  the folder may not be made or written to
/// @retval -EBUSY      another process has been at the folder for a second
/// @note A call that fails leaves nothing behind. Threads: as for xsk_program_replace().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_program_pin(socket: *const xsk_socket, path: *const c_char) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, as documented.
        let socket = unsafe { socket_ref(socket) }?;
        // SAFETY: NULL or a string, as documented.
        let path = unsafe { string(path, "path") }?;
        socket.attachment()?.pin(path)
    })
}

/// Removes what xsk_program_pin() has made: the five names, and the folder.
///
/// Sockets that use the program go on, and it leaves the interface with the last of them;
/// without any it does so some milliseconds later.
///
/// @param[in] path  the folder
/// @retval 0           removed
/// @retval -EINVAL     path is NULL or not in a BPF file system
/// @retval -ENOENT     nothing has that path
/// @retval -ENOTEMPTY  what else is in it stays, and so does the folder
/// @retval -EPERM, -EACCES  it may not be removed
/// @retval -EBUSY      another process has been at the folder for a second
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_program_unpin(path: *const c_char) -> c_int {
    // SAFETY: NULL or a string, as documented.
    guard(|| pin::unpin(unsafe { string(path, "path") }?))
}

/// # Safety
/// `text` is NULL or a string.
unsafe fn string<'a>(text: *const c_char, name: &str) -> Result<&'a CStr, Error> {
    if text.is_null() {
        return null(name);
    }
    // SAFETY: not NULL, and a string, as the caller promises.
    Ok(unsafe { CStr::from_ptr(text) })
}
