//! How C programs say what a socket is to be bound to.

use core::ffi::{CStr, c_char};

use super::program::{program_ref, xsk_program};
use super::{Sized32, check_flags};
use crate::xsk::config::{BindConfig, CopyMode, Steering, XdpMode};
use crate::xsk::error::fail;
use crate::xsk::{Errno, Error};

/// The kernel copies packets, whatever the driver could do.
pub const XSK_BIND_COPY: u32 = 1 << 0;
/// The device reads and writes the frames itself; binding fails where it cannot.
/// With neither flag: zero-copy where the driver can, else copy.
pub const XSK_BIND_ZEROCOPY: u32 = 1 << 1;
/// The kernel polls the rings and never asks for a kick. By default it asks with
/// the ring flag that xsk_tx_kick() and xsk_rx_kick() look at.
pub const XSK_BIND_NO_NEED_WAKEUP: u32 = 1 << 2;
/// The default program must run in the network stack (generic XDP).
pub const XSK_BIND_SKB_MODE: u32 = 1 << 3;
/// The default program must run in the driver (native XDP). With neither flag:
/// native where the driver can, else generic.
pub const XSK_BIND_DRV_MODE: u32 = 1 << 4;
/// Neither attach nor look for a program: the program directs packets here itself.
pub const XSK_BIND_NO_PROGRAM: u32 = 1 << 5;
/// Put the socket into the XSKMAP `xskmap_fd`, of a program of the user's own.
pub const XSK_BIND_XSKMAP: u32 = 1 << 6;

/// Packets may have several buffers, each way (multi-buffer, Linux 6.6): longer ones
/// than a frame has room for, such as jumbo frames. Without it the kernel drops those.
///
/// Such packets have XSK_BUF_MORE in the packet calls, and in the ring calls
/// XDP_PKT_CONTD in a descriptor's `options`. In native mode the driver takes an MTU
/// for them only if the program does: the default program is loaded for that, a
/// program of the user's own needs BPF_F_XDP_HAS_FRAGS. Sockets without the flag may
/// share such a program, but one that was attached in native mode without it is not
/// joined. In generic mode any program will do. Where the driver has zero-copy for
/// packets in one buffer only, the socket copies. Rules and filters of
/// xsk_program_create() look at the headers in the first buffer, and know the length of
/// all of them.
pub const XSK_BIND_SG: u32 = 1 << 7;

/// Have the program store in front of each packet what the driver knows of it, for
/// xsk_buf_rx_timestamp(), xsk_buf_rx_hash() and xsk_buf_rx_vlan(): 32 bytes in the
/// kernel's headroom. The program is bound to the device then, and runs in native mode
/// only. All sockets that share a program have the flag, or none. A packet without room
/// for it goes to the kernel. Linux 6.3, with /sys/kernel/btf/vmlinux. Not with
/// XSK_BIND_SKB_MODE, XSK_BIND_NO_PROGRAM or XSK_BIND_XSKMAP.
pub const XSK_BIND_RX_METADATA: u32 = 1 << 8;

/// `retry_ms` for a single try.
pub const XSK_RETRY_NEVER: i32 = -1;

/// How to bind; 0 means default everywhere but in `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_bind_params {
    /// sizeof(struct xsk_bind_params).
    pub size: u32,
    /// XSK_BIND_...
    pub flags: u32,
    /// How long to try while the queue is busy, in milliseconds. Default 1000;
    /// XSK_RETRY_NEVER for one try. The kernel takes some tens of milliseconds to
    /// free a queue after the socket on it was closed.
    pub retry_ms: i32,
    /// The map for XSK_BIND_XSKMAP, read during the call only.
    pub xskmap_fd: i32,
    /// The program to attach, or to join where an equal one is attached already; it
    /// may be destroyed after the call. NULL: the default program.
    pub program: *const xsk_program,
    /// A folder in a BPF file system, such as "/sys/fs/bpf/capture": the program that is
    /// pinned there is used if it is equal to the wanted one, and it takes no capability
    /// to attach or join it; if nothing is pinned there, the program is attached or
    /// joined as ever, and pinned, see xsk_program_pin(). So a process that is started
    /// again finds its program, which has never left the interface. NULL: none.
    pub pin_path: *const c_char,
    /// The id of a program on the interface, whose ever that is, that is to be taken off
    /// for this one: xsk_attach_query() tells it. Any other stays there, and so does
    /// everything if this process has the interface's program already. In between some
    /// packets go to the kernel. If this library's cannot be attached then, the other is
    /// put back, unless it hung on a link, which its owner still has, but with nothing on
    /// it. Needs CAP_SYS_ADMIN. 0: none.
    pub replace_id: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_bind_params {
    const NAME: &'static str = "xsk_bind_params";
}

/// The core's terms for what C asked for, checked.
///
/// # Safety
/// The program is NULL or alive, the path NULL or a string.
pub(super) unsafe fn bind_config<'a>(params: &xsk_bind_params) -> Result<BindConfig<'a>, Error> {
    const KNOWN: u32 = (XSK_BIND_RX_METADATA << 1) - 1;
    check_flags(params.flags, KNOWN, "xsk_bind_params.flags")?;
    let has = |flag| params.flags & flag != 0;
    let pick = |a, b| match (has(a), has(b)) {
        (true, true) => None,
        (first, second) => Some((first, second)),
    };
    let exclude = "exclude each other; neither is for what there is";
    let Some(copy) = pick(XSK_BIND_COPY, XSK_BIND_ZEROCOPY) else {
        return fail!(Errno::EINVAL, "bind: XSK_BIND_COPY and XSK_BIND_ZEROCOPY {exclude}");
    };
    let Some(mode) = pick(XSK_BIND_SKB_MODE, XSK_BIND_DRV_MODE) else {
        return fail!(Errno::EINVAL, "bind: XSK_BIND_SKB_MODE and XSK_BIND_DRV_MODE {exclude}");
    };
    let mode = match mode {
        (true, _) => Some(XdpMode::Generic),
        (_, true) => Some(XdpMode::Native),
        _ => None,
    };
    let hints = has(XSK_BIND_RX_METADATA);
    if hints && (has(XSK_BIND_SKB_MODE) || has(XSK_BIND_NO_PROGRAM) || has(XSK_BIND_XSKMAP)) {
        return fail!(
            Errno::EINVAL,
            "bind: XSK_BIND_RX_METADATA is for a program of the library's in native mode, which \
             XSK_BIND_SKB_MODE, XSK_BIND_NO_PROGRAM and XSK_BIND_XSKMAP are not"
        );
    }
    let mode = if hints { Some(XdpMode::Native) } else { mode };
    let steering = match (has(XSK_BIND_NO_PROGRAM), has(XSK_BIND_XSKMAP)) {
        // SAFETY: the caller's promise.
        (false, false) => Steering::Program(mode, unsafe { program_ref(params.program) }),
        (true, true) => {
            return fail!(
                Errno::EINVAL,
                "bind: XSK_BIND_NO_PROGRAM and XSK_BIND_XSKMAP exclude each other"
            );
        }
        _ if mode.is_some()
            || !params.program.is_null()
            || !params.pin_path.is_null()
            || params.replace_id != 0 =>
        {
            return fail!(
                Errno::EINVAL,
                "bind: XSK_BIND_SKB_MODE, XSK_BIND_DRV_MODE, program, pin_path and replace_id are \
                 for a program of the library's, which XSK_BIND_NO_PROGRAM and XSK_BIND_XSKMAP do \
                 without"
            );
        }
        (true, _) => Steering::None,
        (_, true) => Steering::Xskmap(params.xskmap_fd),
    };
    if !has(XSK_BIND_XSKMAP) && params.xskmap_fd != 0 {
        return fail!(Errno::EINVAL, "bind: xskmap_fd is given without XSK_BIND_XSKMAP");
    }
    check_flags(params.reserved, 0, "xsk_bind_params.reserved")?;
    let mut config = BindConfig { steering, ..BindConfig::default() };
    config.replace = params.replace_id;
    if !params.pin_path.is_null() {
        // SAFETY: not NULL, and a string, as the caller promises.
        config.pins = Some(unsafe { CStr::from_ptr(params.pin_path) });
    }
    config.hints = hints;
    config.need_wakeup = !has(XSK_BIND_NO_NEED_WAKEUP);
    config.sg = has(XSK_BIND_SG);
    config.copy = match copy {
        (true, _) => CopyMode::Copy,
        (_, true) => CopyMode::ZeroCopy,
        _ => CopyMode::Auto,
    };
    match params.retry_ms {
        0 => {}
        XSK_RETRY_NEVER => config.retry_ms = 0,
        ms => match u32::try_from(ms) {
            Ok(ms) => config.retry_ms = ms,
            Err(_) => return fail!(Errno::EINVAL, "bind: retry_ms {ms} is negative"),
        },
    }
    Ok(config)
}
