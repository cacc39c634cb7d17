//! Sockets for processes without privileges, for C programs: both sides.

use alloc::boxed::Box;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use super::bind::{bind_config, xsk_bind_params};
use super::port::{self, xsk_port, xsk_port_params};
use super::socket::XSK_SOCKET_PREFER_BUSY_POLL;
use super::{Sized32, array, check_flags, copy_params, guard, guard_count, null};
use crate::xsk::busy::BusyPoll;
use crate::xsk::error::{error, fail};
use crate::xsk::grant::{self, Granter, GranterConfig};
use crate::xsk::{Errno, Error, copy_slice, try_box};

/// The privileged side of a grant: it listens at a Unix socket and gives sockets for
/// queues of interfaces to processes that need no privilege at all, with
/// xsk_from_grant().
///
/// A queue is one client's at a time. It is free again when the client's connection
/// ends, by whatever death.
///
/// A client gets, for each queue, an AF_XDP socket that can be bound to that interface
/// and to no other; the XSKMAP, to enter it; and the link that holds the XDP program, so
/// that packets arrive even when the privileged process ends. With map and link it can
/// disturb the other queues of that interface, and nothing else: give the queues of one
/// interface to clients that may trust each other.
///
/// No client can stop others: the privileged side never waits for one; who says nothing
/// is sent away after `timeout_ms`; and of sixteen connections that have said nothing yet
/// no user has more than four: with the next, the oldest is sent away.
pub struct xsk_grant {
    _opaque: [u8; 0],
}

/// Who is given sockets, and how; 0 and NULL mean default everywhere but in `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_grant_params {
    /// sizeof(struct xsk_grant_params).
    pub size: u32,
    /// XSK_SOCKET_PREFER_BUSY_POLL, or 0.
    pub flags: u32,
    /// Users who are given sockets. Without users and groups: the user for whom this
    /// process acts, and nobody else, root neither.
    pub uids: *const u32,
    /// Groups, as a process's own or one of its others (Linux 4.13).
    pub gids: *const u32,
    /// How many there are at `uids`.
    pub uid_count: u32,
    /// How many there are at `gids`.
    pub gid_count: u32,
    /// Permissions of the socket file. Default 0666: what counts is the two lists.
    pub mode: u32,
    /// How long a client may take to say what it wants, in milliseconds. Default 1000.
    pub timeout_ms: u32,
    /// Busy polling, preset on the sockets since clients may not: as in
    /// xsk_socket_params, where they leave it 0.
    pub busy_poll_us: u32,
    /// The same.
    pub busy_poll_budget: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_grant_params {
    const NAME: &'static str = "xsk_grant_params";
}

/// The granter behind a handle; an error for NULL.
///
/// # Safety
/// `grant` is NULL or alive, and nobody else uses it.
unsafe fn granter<'a>(grant: *mut xsk_grant) -> Result<&'a mut Granter, Error> {
    // SAFETY: handles are made in xsk_grant_create only.
    match unsafe { grant.cast::<Granter>().as_mut() } {
        Some(granter) => Ok(granter),
        None => null("grant"),
    }
}

/// Makes a Unix socket for clients, which are given nothing until xsk_grant_add().
///
/// A file that a process has left behind at the path is replaced.
///
/// @param[out] out     the new handle; untouched on failure. Release it with
///                     xsk_grant_destroy().
/// @param[in]  path    where, 1 to 107 bytes
/// @param[in]  params  read during the call only; NULL for the defaults
/// @retval 0            clients can connect
/// @retval -EINVAL      out or path is NULL, or a parameter is out of range
/// @retval -ENAMETOOLONG  the path is empty or too long
/// @retval -EADDRINUSE  another process listens there, or it is no socket
/// @retval -EACCES, -ENOENT, ...  the file cannot be made
/// @retval -ENOMEM      no memory
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_grant_create(
    out: *mut *mut xsk_grant,
    path: *const c_char,
    params: *const xsk_grant_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        if path.is_null() {
            return null("path");
        }
        // SAFETY: not NULL, and a string, as documented.
        let path = unsafe { CStr::from_ptr(path) };
        // SAFETY: NULL or readable for its size, as documented.
        let params = unsafe { copy_params(params) }?;
        // SAFETY: the arrays are as documented.
        let config = unsafe { granter_config(&params) }?;
        let granter = Granter::listen(path.to_bytes(), config)?;
        let granter = try_box(granter).map_err(|e| error!(e, "grant: out of memory"))?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(ptr::from_mut(Box::leak(granter)).cast()) };
        Ok(())
    })
}

/// # Safety
/// As xsk_grant_params documents.
unsafe fn granter_config(params: &xsk_grant_params) -> Result<GranterConfig, Error> {
    check_flags(params.flags, XSK_SOCKET_PREFER_BUSY_POLL, "xsk_grant_params.flags")?;
    if params.uids.is_null() && params.uid_count != 0 {
        return null("xsk_grant_params.uids");
    }
    if params.gids.is_null() && params.gid_count != 0 {
        return null("xsk_grant_params.gids");
    }
    if params.mode & !0o777 != 0 {
        return fail!(Errno::EINVAL, "xsk_grant_params.mode {} is above 0777", params.mode);
    }
    let copy = |ids| copy_slice(ids).map_err(|e| error!(e, "grant: out of memory"));
    Ok(GranterConfig {
        // SAFETY: NULL or so many, as the caller promises.
        uids: copy(unsafe { array(params.uids, params.uid_count) })?,
        // SAFETY: as above.
        gids: copy(unsafe { array(params.gids, params.gid_count) })?,
        mode: params.mode,
        timeout_ms: params.timeout_ms,
        busy_poll: BusyPoll {
            us: params.busy_poll_us,
            budget: params.busy_poll_budget,
            prefer: params.flags & XSK_SOCKET_PREFER_BUSY_POLL != 0,
        },
    })
}

/// Offers queues of an interface, and attaches an XDP program to it, or joins an equal one
/// there.
///
/// The program stays as long as this handle or a client's port; if the interface is made
/// anew under its name, the next client's request puts it there again.
///
/// @param[in] grant        the handle
/// @param[in] ifname       the interface, in this thread's network namespace
/// @param[in] first_queue  the first queue
/// @param[in] queue_count  how many, at most 251; 0 for all in use from the first on
/// @param[in] params       the program, with XSK_BIND_SKB_MODE, XSK_BIND_DRV_MODE,
///                         XSK_BIND_SG and XSK_BIND_RX_METADATA for it, or
///                         XSK_BIND_XSKMAP for one of the user's own; and retry_ms. No
///                         other flags, which are the clients' to choose. NULL for the
///                         defaults: the default program.
/// @retval 0        clients get them
/// @retval -EINVAL  a pointer is NULL, a parameter is out of range, there are no such
///                  queues, or busy polling is refused
/// @retval -EEXIST  the interface is offered already
/// @retval -E2BIG   more than 251 queues, or than the XSKMAP has places
/// @retval -EPERM   CAP_NET_RAW, CAP_NET_ADMIN or CAP_BPF is missing, or CAP_SYS_ADMIN to
///                  join a program
/// @retval <0       otherwise as xsk_socket_bind() for the program
/// @note Threads: no other call on this handle may run. Sleeps, at most some retry_ms.
///       The other calls must be made in the same network namespace. Linux 5.9.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_grant_add(
    grant: *mut xsk_grant,
    ifname: *const c_char,
    first_queue: u32,
    queue_count: u32,
    params: *const xsk_bind_params,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, and nobody else uses it, as documented.
        let granter = unsafe { granter(grant) }?;
        if ifname.is_null() {
            return null("ifname");
        }
        // SAFETY: not NULL, and a string, as documented.
        let ifname = unsafe { CStr::from_ptr(ifname) };
        // SAFETY: NULL or readable for its size, as documented.
        let params = unsafe { copy_params(params) }?;
        // SAFETY: the program is NULL or alive, as documented.
        let bind = unsafe { bind_config(&params) }?;
        granter.offer(ifname.to_bytes(), first_queue, queue_count, &bind)
    })
}

/// Gives a descriptor that is readable when xsk_grant_step() has something to do: one for
/// everything, deadlines of clients included.
///
/// @return the descriptor, which stays the handle's; -EINVAL if grant is NULL
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_grant_fd(grant: *const xsk_grant) -> c_int {
    guard_count(|| {
        // SAFETY: NULL or alive, as documented; made in xsk_grant_create only.
        match unsafe { grant.cast::<Granter>().as_ref() } {
            Some(granter) => Ok(granter.fd() as u32),
            None => null("grant"),
        }
    })
}

/// Does what there is to do, and never waits: accepts clients, gives them sockets, takes
/// queues back from those that are gone, and sends away who must not be here.
///
/// What it does is logged (xsk_log_set()), refusals by at most eight lines a second.
///
/// @param[in] grant  the handle
/// @retval 0        done; more may have come meanwhile
/// @retval -EINVAL  grant is NULL
/// @retval <0       the system has no room for what the handle itself needs; no client
///                  causes this
/// @note Threads: no other call on this handle may run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_grant_step(grant: *mut xsk_grant) -> c_int {
    // SAFETY: NULL or alive, and nobody else uses it, as documented.
    guard(|| unsafe { granter(grant) }?.step())
}

/// Ends the listening and removes the socket file. Clients keep what they have.
///
/// @param[in] grant  gone afterwards; NULL is nothing to do
/// @note Threads: no other call on this handle may run. May sleep some 15 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_grant_destroy(grant: *mut xsk_grant) {
    guard(|| {
        if !grant.is_null() {
            // SAFETY: made by Box::leak in xsk_grant_create, and given up by the caller.
            drop(unsafe { Box::from_raw(grant.cast::<Granter>()) });
        }
        Ok(())
    });
}

/// Opens queues with sockets that a privileged process gives, by xsk_grant_create() or
/// the program xskbroker. No capability is needed; the network namespace of the sockets
/// is that of the giver, whatever this process's own is.
///
/// The memory is pinned for this process: without CAP_IPC_LOCK it counts against
/// RLIMIT_MEMLOCK, with all other UMEMs of the user (ulimit -l; in a systemd unit
/// LimitMEMLOCK=). Ask for fewer frames, or have the limit raised.
///
/// What differs from xsk_port_open(): `queue_count` 0 means all queues that are offered
/// from `first_queue` on; the flags in `bind_params` that are about the program must not
/// be set, but for XSK_BIND_RX_METADATA, which the giver must have set too; and
/// xsk_socket_info() tells of no program. A `umem` can only be one of
/// xsk_port_umem() of another such port, since to make others needs CAP_NET_RAW.
///
/// @param[out] out     the new port; untouched on failure. xsk_port_destroy() gives the
///                     queues back.
/// @param[in]  path    where the giver listens
/// @param[in]  ifname  which interface; NULL for the first that is offered
/// @param[in]  params  read during the call only; NULL for the defaults
/// @retval 0            opened; packets arrive
/// @retval -EINVAL      out or path is NULL, or a parameter is out of range
/// @retval -ENOENT, -ECONNREFUSED  nobody listens there
/// @retval -EACCES      this user may not have them, or not connect
/// @retval -ENODEV, -ENXIO  no such interface, no such queues are offered
/// @retval -EBUSY       one of the queues is granted to another process; or, after
///                      retry_ms, is still in use
/// @retval -EAGAIN      more than four processes of this user asked at the same time
/// @retval -ETIMEDOUT, -ECONNRESET  no answer within 5 seconds, or none at all
/// @retval -EOPNOTSUPP  XSK_BIND_RX_METADATA, and the giver's program stores none
/// @retval -EPROTO, -EPROTONOSUPPORT  the answer makes no sense, or is of another version
/// @retval -ENOBUFS     RLIMIT_MEMLOCK is too small
/// @retval -EPERM       the kernel lets nobody use maps without CAP_BPF (before Linux
///                      5.19, with kernel.unprivileged_bpf_disabled)
/// @retval <0           otherwise as xsk_port_open(); nothing is left behind
/// @note Threads: any. Sleeps, at most some 5 seconds and retry_ms for each queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_from_grant(
    out: *mut *mut xsk_port,
    path: *const c_char,
    ifname: *const c_char,
    params: *const xsk_port_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        if path.is_null() {
            return null("path");
        }
        // SAFETY: not NULL, and a string, as documented.
        let path = unsafe { CStr::from_ptr(path) };
        // SAFETY: NULL or a string, as documented.
        let ifname = (!ifname.is_null()).then(|| unsafe { CStr::from_ptr(ifname) }.to_bytes());
        // SAFETY: NULL or readable for its size, as documented.
        let params = unsafe { copy_params(params) }?;
        // SAFETY: the params' pointers are as documented.
        let (memory, config, bind) = unsafe { port::parts(&params) }?;
        let queues = (params.first_queue, params.queue_count);
        let port = grant::receive(path.to_bytes(), ifname, queues, memory, config, &bind)?;
        let handle = port::leak(port)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(handle) };
        Ok(())
    })
}
