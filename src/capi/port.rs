//! Ports for C programs: the queues of an interface at once.

use alloc::boxed::Box;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use super::bind::{bind_config, xsk_bind_params};
use super::socket::{socket_config, xsk_socket, xsk_socket_params};
use super::stats::{told, xsk_socket_stats};
use super::umem::{self, umem_ref, xsk_umem, xsk_umem_params};
use super::{Sized32, check_flags, copy_params, guard, null, write_info};
use crate::xsk::config::{BindConfig, SocketConfig};
use crate::xsk::error::{error, fail};
use crate::xsk::port::{Memory, Port};
use crate::xsk::{Errno, Error, try_box};

/// The queues of an interface: a socket on each, over one UMEM or one each, behind one
/// XDP program.
///
/// For programs that run one thread a queue. Each thread drives its own socket; frames
/// go from one socket to another of the same UMEM by the packet calls. Behind the caches
/// of the sockets' sides, which need no lock, stands the UMEM's pool, to which a cache
/// turns when it is empty or full.
pub struct xsk_port {
    _opaque: [u8; 0],
}

/// Each socket of the port gets a UMEM of its own. Without it all have one, so that a
/// packet can be received on one queue and sent on another without a copy.
pub const XSK_PORT_UMEM_PER_QUEUE: u32 = 1 << 0;

/// What a port is to be; 0 and NULL mean default everywhere but in `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_port_params {
    /// sizeof(struct xsk_port_params).
    pub size: u32,
    /// XSK_PORT_UMEM_PER_QUEUE, or 0.
    pub flags: u32,
    /// The first queue.
    pub first_queue: u32,
    /// How many. Default all that are in use from the first on (ethtool -l).
    pub queue_count: u32,
    /// A UMEM to use, which stays the program's and must outlive the port: for ports
    /// that pass packets to each other. Each receiving socket keeps up to fill_size
    /// frames with the kernel, so for sending there must be more than that, times all
    /// queues of all these ports. NULL: the port makes its own.
    pub umem: *mut xsk_umem,
    /// What the port's own UMEMs are to be; `frame_count` is for each queue, also where
    /// they share one UMEM. Its `memory` needs one UMEM for all. Read during the call
    /// only, as are the next two.
    pub umem_params: *const xsk_umem_params,
    /// What the sockets are to be.
    pub socket_params: *const xsk_socket_params,
    /// How to bind them.
    pub bind_params: *const xsk_bind_params,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_port_params {
    const NAME: &'static str = "xsk_port_params";
}

/// Opens queues of an interface: makes the sockets, gives frames to their fill rings,
/// and binds them.
///
/// @param[out] out     the new port; untouched on failure. Release it with
///                     xsk_port_destroy().
/// @param[in]  ifname  the interface, in this thread's network namespace
/// @param[in]  params  read during the call only; NULL for the defaults
/// @retval 0        opened; packets arrive
/// @retval -EINVAL  out or ifname is NULL, a parameter is out of range, or there are no
///                  such queues
/// @retval <0       as xsk_umem_create(), xsk_socket_create() and xsk_socket_bind();
///                  nothing is left behind
/// @note Threads: any. Sleeps, at most some retry_ms for each queue. Several sockets
///       with one UMEM need Linux 5.10.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_port_open(
    out: *mut *mut xsk_port,
    ifname: *const c_char,
    params: *const xsk_port_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        if ifname.is_null() {
            return null("ifname");
        }
        // SAFETY: not NULL, and a string, as documented.
        let ifname = unsafe { CStr::from_ptr(ifname) };
        // SAFETY: NULL or readable for its size, as documented.
        let params = unsafe { copy_params(params) }?;
        // SAFETY: the params' pointers are as documented.
        let (memory, config, bind) = unsafe { parts(&params) }?;
        let (first, count) = (params.first_queue, params.queue_count);
        let port = Port::open(ifname.to_bytes(), first, count, memory, config, &bind)?;
        let handle = leak(port)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(handle) };
        Ok(())
    })
}

/// Makes the handle of a port.
pub(super) fn leak(port: Port) -> Result<*mut xsk_port, Error> {
    let port = try_box(port).map_err(|e| error!(e, "port: out of memory"))?;
    Ok(ptr::from_mut(Box::leak(port)).cast())
}

/// The core's terms for what C asked for.
///
/// # Safety
/// As xsk_port_open documents.
pub(super) unsafe fn parts<'a>(
    params: &xsk_port_params,
) -> Result<(Memory<'a>, SocketConfig, BindConfig<'a>), Error> {
    check_flags(params.flags, XSK_PORT_UMEM_PER_QUEUE, "xsk_port_params.flags")?;
    let apart = params.flags & XSK_PORT_UMEM_PER_QUEUE != 0;
    // SAFETY: NULL or readable for its size, as the caller promises.
    let umem_config = umem::config(&unsafe { copy_params(params.umem_params) }?)?;
    // SAFETY: as above.
    let socket_config = socket_config(&unsafe { copy_params(params.socket_params) }?)?;
    // SAFETY: as above.
    let bind_params = unsafe { copy_params(params.bind_params) }?;
    // SAFETY: its program is NULL or alive, as the caller promises.
    let bind_config = unsafe { bind_config(&bind_params) }?;
    let memory = match (params.umem.is_null(), apart) {
        (true, false) => Memory::Shared(umem_config),
        (true, true) if umem_config.memory.is_some() => {
            return fail!(
                Errno::EINVAL,
                "port: one memory cannot be the UMEM of each queue: leave out \
                 XSK_PORT_UMEM_PER_QUEUE"
            );
        }
        (true, true) => Memory::Apart(umem_config),
        (false, _) if apart || !params.umem_params.is_null() => {
            return fail!(
                Errno::EINVAL,
                "port: umem is given, so XSK_PORT_UMEM_PER_QUEUE and umem_params must not be"
            );
        }
        // SAFETY: not NULL, so alive, as the caller promises.
        (false, _) => Memory::Given(unsafe { umem_ref(params.umem) }?),
    };
    Ok((memory, socket_config, bind_config))
}

/// The port behind a handle; None for NULL.
///
/// # Safety
/// `port` is NULL or alive.
unsafe fn port_ref<'a>(port: *const xsk_port) -> Option<&'a Port> {
    // SAFETY: handles are made in xsk_port_open only.
    unsafe { port.cast::<Port>().as_ref() }
}

/// Tells how many queues a port has.
///
/// @return the number of its sockets; 0 if port is NULL
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_port_queue_count(port: *const xsk_port) -> u32 {
    // SAFETY: NULL or alive, as documented.
    unsafe { port_ref(port) }.map_or(0, |port| port.sockets().len() as u32)
}

/// Gives a socket of a port.
///
/// @param[in] port  the port
/// @param[in] i     the socket's place: 0 has the port's first queue
/// @return the socket, which stays the port's; NULL if there is none, or port is NULL
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_port_socket(port: *const xsk_port, i: u32) -> *mut xsk_socket {
    // SAFETY: NULL or alive, as documented.
    match unsafe { port_ref(port) }.and_then(|port| port.sockets().get(i as usize)) {
        Some(socket) => ptr::from_ref(socket).cast_mut().cast(),
        None => ptr::null_mut(),
    }
}

/// Gives the UMEM of a port's socket, which may be that of all.
///
/// @return the UMEM, which stays the port's or whoever's it was; NULL if there is none,
///         or port is NULL
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_port_umem(port: *const xsk_port, i: u32) -> *mut xsk_umem {
    // SAFETY: NULL or alive, as documented.
    match unsafe { port_ref(port) }.filter(|port| (i as usize) < port.sockets().len()) {
        Some(port) => port.umem(i).map_or(ptr::null_mut(), umem::lend),
        None => ptr::null_mut(),
    }
}

/// Reads the counters of all sockets of a port, added up.
///
/// @param[in]  port   the port
/// @param[out] stats  its `size` set by the caller; the rest is filled in
/// @retval 0        done
/// @retval -EINVAL  a pointer is NULL, or stats->size is not set
/// @note Threads: any, also while others send and receive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_port_stats(
    port: *const xsk_port,
    stats: *mut xsk_socket_stats,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, as documented.
        let Some(port) = (unsafe { port_ref(port) }) else { return null("port") };
        let totals = port.totals()?;
        // SAFETY: NULL or writable for its size, as documented.
        unsafe { write_info(stats, told(&totals)) }
    })
}

/// Destroys a port: its sockets, and the UMEMs that are its own.
///
/// @param[in] port  gone afterwards; NULL is nothing to do
/// @note Threads: no other call on the port or its sockets may run. May sleep, some
///       15 ms for each queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_port_destroy(port: *mut xsk_port) {
    guard(|| {
        if !port.is_null() {
            // SAFETY: made by Box::leak in xsk_port_open, and given up by the caller.
            drop(unsafe { Box::from_raw(port.cast::<Port>()) });
        }
        Ok(())
    });
}
