//! Sockets the libxdp way.

use core::ffi::{CStr, c_char, c_int};

use super::{Opts, copy_opts, guard, guard_pointer, null};
use crate::capi::socket::{leak, socket_ref, xsk_socket, xsk_socket_destroy};
use crate::capi::umem::{umem_ref, xsk_umem};
use crate::xsk::error::fail;
use crate::xsk::legacy::{SocketRequest, create_socket};
use crate::xsk::ring::{Lent, Ring};
use crate::xsk::{Errno, Error};

const DEFAULT_RING: u32 = 2048;
const INHIBIT_PROG_LOAD: u32 = 1 << 0;

/// `struct xsk_socket_config`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Config {
    rx_size: u32,
    tx_size: u32,
    libxdp_flags: u32,
    xdp_flags: u32,
    bind_flags: u16,
}

/// `struct xsk_socket_opts`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SocketOpts {
    sz: usize,
    rx: *mut Ring,
    tx: *mut Ring,
    fill: *mut Ring,
    comp: *mut Ring,
    config: Config,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Opts for SocketOpts {
    const NAME: &'static str = "xsk_socket_opts";
}

/// # Safety
/// As for `xsk_socket__create_opts`, which see.
unsafe fn create(
    ifname: *const c_char,
    queue_id: u32,
    umem: *mut xsk_umem,
    opts: &SocketOpts,
) -> Result<*mut xsk_socket, Error> {
    // SAFETY: the program keeps its ring structs as long as the socket.
    let [rx, tx, fill, comp] =
        [opts.rx, opts.tx, opts.fill, opts.comp].map(|ring| unsafe { Lent::new(ring) });
    if umem.is_null() || ifname.is_null() || (rx.is_none() && tx.is_none()) {
        return null("socket: umem, ifname, or both of rx and tx");
    }
    if fill.is_some() != comp.is_some() {
        return null("socket: one of fill and comp");
    }
    let config = &opts.config;
    if config.libxdp_flags & !INHIBIT_PROG_LOAD != 0 {
        return fail!(Errno::EINVAL, "socket: unknown libxdp_flags {:#x}", config.libxdp_flags);
    }
    // SAFETY: not NULL, so a string, as for libxdp.
    let ifname = unsafe { CStr::from_ptr(ifname) };
    // SAFETY: not NULL, so alive.
    let umem = unsafe { umem_ref(umem) }?;
    let or = |size: u32| if size == 0 { DEFAULT_RING } else { size };
    let request = SocketRequest {
        ifname: ifname.to_bytes(),
        queue_id,
        rx,
        tx,
        fill_comp: fill.zip(comp),
        rx_size: or(config.rx_size),
        tx_size: or(config.tx_size),
        inhibit_program: config.libxdp_flags & INHIBIT_PROG_LOAD != 0,
        xdp_flags: config.xdp_flags,
        bind_flags: config.bind_flags,
    };
    leak(create_socket(umem, &request)?)
}

/// Creates a socket, binds it and directs the queue's packets to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket__create(
    out: *mut *mut xsk_socket,
    ifname: *const c_char,
    queue_id: u32,
    umem: *mut xsk_umem,
    rx: *mut Ring,
    tx: *mut Ring,
    config: *const Config,
) -> c_int {
    let none = core::ptr::null_mut();
    // SAFETY: the same promises.
    unsafe { xsk_socket__create_shared(out, ifname, queue_id, umem, rx, tx, none, none, config) }
}

/// The same with a fill and a completion ring, for a queue that has none yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket__create_shared(
    out: *mut *mut xsk_socket,
    ifname: *const c_char,
    queue_id: u32,
    umem: *mut xsk_umem,
    rx: *mut Ring,
    tx: *mut Ring,
    fill: *mut Ring,
    comp: *mut Ring,
    config: *const Config,
) -> c_int {
    guard("xsk_socket__create", || {
        if out.is_null() {
            return null("xsk");
        }
        // SAFETY: NULL or readable, as for libxdp.
        let config = unsafe { config.as_ref() }.copied().unwrap_or_default();
        let opts = SocketOpts { sz: size_of::<SocketOpts>(), rx, tx, fill, comp, config };
        // SAFETY: the same promises.
        let created = unsafe { create(ifname, queue_id, umem, &opts) };
        let socket = created.as_ref().copied().unwrap_or(core::ptr::null_mut());
        // SAFETY: not NULL, and the caller's to be written; NULL after a failure.
        unsafe { out.write(socket) };
        created.map(drop)
    })
}

/// The same with options that can grow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket__create_opts(
    ifname: *const c_char,
    queue_id: u32,
    umem: *mut xsk_umem,
    opts: *const SocketOpts,
) -> *mut xsk_socket {
    guard_pointer("xsk_socket__create_opts", || {
        // SAFETY: NULL or readable for its size, as for libxdp.
        let opts = unsafe { copy_opts(opts) }?;
        // SAFETY: the same promises.
        unsafe { create(ifname, queue_id, umem, &opts) }
    })
}

/// Destroys a socket; NULL is nothing to do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket__delete(socket: *mut xsk_socket) {
    // SAFETY: the same promises.
    unsafe { xsk_socket_destroy(socket) }
}

/// The socket's descriptor; -EINVAL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket__fd(socket: *const xsk_socket) -> c_int {
    // SAFETY: NULL or alive.
    unsafe { socket_ref(socket) }.map_or(-Errno::EINVAL.raw(), |socket| socket.fd())
}

/// Puts a socket into an XSKMAP of the program's, at its queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket__update_xskmap(socket: *mut xsk_socket, map: c_int) -> c_int {
    guard("xsk_socket__update_xskmap", || {
        // SAFETY: NULL or alive.
        unsafe { socket_ref(socket) }?.insert_into(map)
    })
}
