//! Sockets for C programs: create, bind, wait, destroy.

use alloc::boxed::Box;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use super::bind::{bind_config, xsk_bind_params};
use super::umem::{umem_ref, xsk_umem};
use super::{Sized32, check_flags, copy_params, guard, guard_count, null};
use crate::xsk::busy::BusyPoll;
use crate::xsk::config::{Direction, SocketConfig};
use crate::xsk::error::{error, fail};
use crate::xsk::socket::Socket;
use crate::xsk::{Errno, Error, Ready, try_box};

/// An AF_XDP socket: up to four rings over a UMEM, bound to one queue of an
/// interface.
///
/// Its receive side (rx and fill ring, xsk_rx_*, xsk_fill_*, xsk_buf_free()) and
/// its transmit side (tx and completion ring, xsk_tx_*, xsk_comp_*,
/// xsk_buf_alloc()) may be driven by two threads at the same time, which share no
/// cache line. Each side takes one thread at a time; the other calls say themselves
/// what may run beside them.
pub struct xsk_socket {
    _opaque: [u8; 0],
}

/// The socket only receives: it has no TX ring.
pub const XSK_SOCKET_RX_ONLY: u32 = 1 << 0;
/// The socket only sends: it has no RX ring, and needs no XDP program, but for zero-copy
/// with drivers that send only beside one (Intel's): then the default program is attached.
pub const XSK_SOCKET_TX_ONLY: u32 = 1 << 1;
/// Busy polling in the place of the device's interrupts, which stay off for
/// /sys/class/net/DEV/gro_flush_timeout (nanoseconds) after each poll, if
/// napi_defer_hard_irqs beside it is not 0. Linux 5.11; needs CAP_NET_ADMIN.
pub const XSK_SOCKET_PREFER_BUSY_POLL: u32 = 1 << 2;
/// The socket will be bound to a queue that another socket with the same UMEM has: both
/// send, and a program of the user's own (XSK_BIND_NO_PROGRAM, XSK_BIND_XSKMAP) says which
/// of them gets a packet. The default program gives packets to one of them.
///
/// A queue has one fill ring and one completion ring. This socket has none of its own,
/// and uses from xsk_socket_bind() on those that are there, in the mode that is there.
/// Hence the receive sides of a queue's sockets are driven by one thread at a time, as if
/// they were one, and so are their transmit sides. Each packet call feeds and reaps for
/// all of them: xsk_tx_pending() counts the packets of all. They are destroyed in any
/// order, one at a time, while none of the others is used. A frame that the kernel fills
/// for one in that very moment comes back with the last. Before Linux 6.4 the kernel keeps
/// the first socket until then: take it out of an XSKMAP of your own before.
pub const XSK_SOCKET_SHARE_QUEUE: u32 = 1 << 3;

/// What a socket is to be; 0 means default everywhere but in `size`.
///
/// Ring sizes are in entries: powers of two up to 4194304.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_socket_params {
    /// sizeof(struct xsk_socket_params).
    pub size: u32,
    /// XSK_SOCKET_RX_ONLY or XSK_SOCKET_TX_ONLY, neither for both ways;
    /// XSK_SOCKET_PREFER_BUSY_POLL; XSK_SOCKET_SHARE_QUEUE.
    pub flags: u32,
    /// Default 2048; must be 0 for a socket that only sends.
    pub rx_size: u32,
    /// Default 2048; must be 0 for a socket that only receives.
    pub tx_size: u32,
    /// Default the UMEM's, or 1 for a socket that only sends; 0 with
    /// XSK_SOCKET_SHARE_QUEUE.
    pub fill_size: u32,
    /// Default the UMEM's, or 1 for a socket that only receives; 0 with
    /// XSK_SOCKET_SHARE_QUEUE.
    pub comp_size: u32,
    /// Descriptors that one kick sends in copy mode: 32 to `tx_size`, Linux 6.17. Less
    /// bounds the time in the call, more saves calls. Default the whole TX ring where
    /// the kernel can, else what it does by itself; xsk_socket_info() says how many.
    pub tx_budget: u32,
    /// Busy polling, if not 0: the kernel fetches packets from the device, and sends,
    /// during calls of this socket, on the caller's processor. The calls are kicks, which
    /// then always enter the kernel, xsk_rx_burst() that finds the RX ring empty,
    /// xsk_tx_burst() and xsk_socket_wait(). A program that uses the rings alone must kick
    /// whatever their flags say. It is the option SO_BUSY_POLL; the calls here do not
    /// wait, so that any number will do (20, say). Linux 5.11; some kernels want
    /// CAP_NET_ADMIN for it. xsk_socket_create() fails where it cannot be had.
    pub busy_poll_us: u32,
    /// Packets that a poll fetches at most, to 65535: the option SO_BUSY_POLL_BUDGET.
    /// Default the kernel's, 8; any needs CAP_NET_ADMIN.
    pub busy_poll_budget: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_socket_params {
    const NAME: &'static str = "xsk_socket_params";
}

/// What xsk_socket_wait() waits for: a received packet.
pub const XSK_WAIT_RX: u32 = 1 << 0;
/// What xsk_socket_wait() waits for: half of the TX ring free.
pub const XSK_WAIT_TX: u32 = 1 << 1;

/// The socket behind a handle; an error for NULL.
///
/// # Safety
/// `socket` is NULL or alive.
pub(super) unsafe fn socket_ref<'a>(socket: *const xsk_socket) -> Result<&'a Socket, Error> {
    // SAFETY: handles are made in `leak` only.
    match unsafe { socket.cast::<Socket>().as_ref() } {
        Some(socket) => Ok(socket),
        None => null("socket"),
    }
}

/// Creates a socket and its rings, not yet bound.
///
/// The rings can be used at once: a program may put frames into the fill ring
/// before it binds, so that no packet finds it empty.
///
/// @param[out] out     the new socket; untouched on failure. Release it with
///                     xsk_socket_destroy().
/// @param[in]  umem    packet memory; stays yours and must outlive the socket
/// @param[in]  params  read during the call only; NULL for the defaults
/// @retval 0        created
/// @retval -EINVAL  out or umem is NULL, or a parameter is out of range
/// @retval -ENOPROTOOPT  a parameter asks for what this kernel does not have: tx_budget
///                  before Linux 6.17, busy polling before 5.11 or without
///                  CONFIG_NET_RX_BUSY_POLL
/// @retval -EPERM   CAP_NET_RAW is missing, or CAP_NET_ADMIN for busy polling
/// @retval -ENOMEM  no memory for the rings
/// @note Threads: any. May sleep. The socket belongs to the network namespace that
///       the thread is in. Linux 5.4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_create(
    out: *mut *mut xsk_socket,
    umem: *mut xsk_umem,
    params: *const xsk_socket_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        // SAFETY: NULL or alive, and NULL or readable for its size, as documented.
        let socket = unsafe { create(umem, params) }?;
        let handle = leak(socket)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(handle) };
        Ok(())
    })
}

/// Binds a socket to a queue of an interface and directs the queue's packets to it.
///
/// Unless the flags say otherwise, a socket that receives uses an XDP program: that of
/// the parameters, or the default one, by which what arrives on a queue that has a
/// socket goes there and the rest to the kernel. The program is attached by a BPF link,
/// and joined where another socket or process has attached an equal one already; it
/// leaves with the last of them, however that ends. libxdp's default program, by itself or
/// in libxdp's dispatcher, is joined too by who wants the default one. Any other program
/// stays where it is, and the call fails, unless replace_id in params has its id.
///
/// @param[in] socket    a socket that is not bound
/// @param[in] ifname    the interface, in this thread's network namespace
/// @param[in] queue_id  the queue, from 0 (ethtool -l)
/// @param[in] params    read during the call only; NULL for the defaults
/// @retval 0           bound; packets arrive
/// @retval -EINVAL     a pointer is NULL, a parameter is out of range, there is no
///                     such queue, or the driver refuses it; with
///                     XSK_SOCKET_SHARE_QUEUE, no socket with the UMEM has the queue, or
///                     it is bound in another mode; XSK_BIND_ZEROCOPY, and frames that
///                     lie in two pages
/// @retval -ENODEV     no interface has that name
/// @retval -EBUSY      the queue is taken and still was after retry_ms; a socket with
///                     the same UMEM has it, which takes XSK_SOCKET_SHARE_QUEUE, or has
///                     its packets from the default program already; another XDP
///                     program is on the interface, or one of this library's that
///                     differs, or has not XSK_BIND_SG or XSK_BIND_RX_METADATA: the
///                     sentence says in what; or the socket is bound already
/// @retval -EOPNOTSUPP zero-copy or native XDP was forced and the driver has none; the
///                     kernel has no XSK_BIND_SG (before Linux 6.6), or no
///                     XSK_BIND_RX_METADATA (before 6.3)
/// @retval -EEXIST     the folder of pin_path holds something else
/// @retval -ENXIO      what is pinned there is on no interface any more
/// @retval <0          the driver takes no program: the sentence has its words; or
///                     what xsk_program_pin() fails with
/// @retval -EPERM      CAP_NET_ADMIN or CAP_BPF is missing to attach the program,
///                     or CAP_SYS_ADMIN to join or replace that of another process
/// @retval -EACCES     CAP_PERFMON is missing, which rules and filters need
/// @retval -E2BIG      the XSKMAP has no place for the queue, or the program is too
///                     complex for the kernel
/// @note The program leaves the interface with the last socket that uses it, also when
///       processes are killed. Before Linux 5.9 that of a killed process stays: the next
///       bind to the interface uses it and takes it off in the end.
/// @note Threads: no other call on this socket may run. Sleeps, at most some
///       retry_ms. After a failure the socket is as before and can be bound again;
///       if only the XSKMAP refused it, it stays bound and can be destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_bind(
    socket: *mut xsk_socket,
    ifname: *const c_char,
    queue_id: u32,
    params: *const xsk_bind_params,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, and nobody else uses it, as documented.
        match unsafe { socket.cast::<Socket>().as_mut() } {
            // SAFETY: NULL or a string, and NULL or readable for its size.
            Some(socket) => unsafe { bind(socket, ifname, queue_id, params) },
            None => null("socket"),
        }
    })
}

/// Creates a socket and binds it: xsk_socket_create() and xsk_socket_bind() in one.
///
/// @param[out] out          the new socket; untouched on failure
/// @param[in]  umem         as for xsk_socket_create()
/// @param[in]  ifname       as for xsk_socket_bind()
/// @param[in]  queue_id     as for xsk_socket_bind()
/// @param[in]  params       as for xsk_socket_create(); NULL for the defaults
/// @param[in]  bind_params  as for xsk_socket_bind(); NULL for the defaults
/// @retval 0          bound; packets arrive
/// @retval <0         as for the two; nothing is left behind
/// @note Threads: any. Sleeps, at most some retry_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_open(
    out: *mut *mut xsk_socket,
    umem: *mut xsk_umem,
    ifname: *const c_char,
    queue_id: u32,
    params: *const xsk_socket_params,
    bind_params: *const xsk_bind_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        // SAFETY: NULL or alive, and NULL or readable for its size, as documented.
        let mut socket = unsafe { create(umem, params) }?;
        // SAFETY: NULL or a string, and NULL or readable for its size.
        unsafe { bind(&mut socket, ifname, queue_id, bind_params) }?;
        let handle = leak(socket)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(handle) };
        Ok(())
    })
}

/// # Safety
/// As xsk_socket_create documents.
unsafe fn create(umem: *mut xsk_umem, params: *const xsk_socket_params) -> Result<Socket, Error> {
    // SAFETY: the caller's promise.
    let umem = unsafe { umem_ref(umem) }?;
    // SAFETY: the caller's promise.
    let params = unsafe { copy_params(params) }?;
    Socket::create(umem, socket_config(&params)?)
}

/// Makes the handle of a socket.
pub(super) fn leak(socket: Socket) -> Result<*mut xsk_socket, Error> {
    let socket = try_box(socket).map_err(|e| error!(e, "socket: out of memory"))?;
    Ok(ptr::from_mut(Box::leak(socket)).cast())
}

/// # Safety
/// As xsk_socket_bind documents.
unsafe fn bind(
    socket: &mut Socket,
    ifname: *const c_char,
    queue_id: u32,
    params: *const xsk_bind_params,
) -> Result<(), Error> {
    if ifname.is_null() {
        return null("ifname");
    }
    // SAFETY: not NULL, and a string, as the caller promises.
    let ifname = unsafe { CStr::from_ptr(ifname) };
    // SAFETY: the caller's promise.
    let params = unsafe { copy_params(params) }?;
    // SAFETY: its program is NULL or alive, as the caller promises.
    let config = unsafe { bind_config(&params) }?;
    socket.bind(ifname.to_bytes(), queue_id, &config)
}

pub(super) fn socket_config(params: &xsk_socket_params) -> Result<SocketConfig, Error> {
    const BOTH: u32 = XSK_SOCKET_RX_ONLY | XSK_SOCKET_TX_ONLY;
    const KNOWN: u32 = BOTH | XSK_SOCKET_PREFER_BUSY_POLL | XSK_SOCKET_SHARE_QUEUE;
    check_flags(params.flags, KNOWN, "xsk_socket_params.flags")?;
    let direction = match params.flags & BOTH {
        XSK_SOCKET_RX_ONLY => Direction::RxOnly,
        XSK_SOCKET_TX_ONLY => Direction::TxOnly,
        0 => Direction::Both,
        _ => {
            return fail!(
                Errno::EINVAL,
                "socket: XSK_SOCKET_RX_ONLY and XSK_SOCKET_TX_ONLY exclude each other; neither is \
                 for both ways"
            );
        }
    };
    Ok(SocketConfig {
        direction,
        rx_size: params.rx_size,
        tx_size: params.tx_size,
        fill_size: params.fill_size,
        comp_size: params.comp_size,
        joins: params.flags & XSK_SOCKET_SHARE_QUEUE != 0,
        sharers: 1,
        tx_budget: params.tx_budget,
        busy_poll: BusyPoll {
            us: params.busy_poll_us,
            budget: params.busy_poll_budget,
            prefer: params.flags & XSK_SOCKET_PREFER_BUSY_POLL != 0,
        },
    })
}

/// Destroys a socket: its rings, its place in the XSKMAP and, if it was the last,
/// the default program.
///
/// Frames that the packet calls gave to the kernel are free again; in zero-copy
/// mode those that the device still had are so when a socket with the same UMEM is
/// bound to the queue, since until then it may write to them. The queue can be bound
/// again some tens of milliseconds later, for which xsk_socket_bind() waits.
///
/// @param[in] socket  gone afterwards; NULL is nothing to do, and nothing is done to a
///                    socket of xsk_port_socket()
/// @note Threads: no other call on this socket may run. May sleep some 15 ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_destroy(socket: *mut xsk_socket) {
    guard(|| {
        // SAFETY: NULL or alive, as documented.
        match unsafe { socket.cast::<Socket>().as_ref() } {
            None => Ok(()),
            Some(socket) if socket.is_in_port() => {
                fail!(Errno::EINVAL, "destroy: the socket is its port's: xsk_port_destroy()")
            }
            Some(_) => {
                // SAFETY: made by Box::leak in `leak`, and given up by the caller.
                drop(unsafe { Box::from_raw(socket.cast::<Socket>()) });
                Ok(())
            }
        }
    });
}

/// Gives the socket's file descriptor, for epoll and the like.
///
/// @return the descriptor, which stays the socket's; -EINVAL if socket is NULL
/// @note Threads: any. An interface that is deleted makes no descriptor readable:
///       see xsk_socket_check().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_fd(socket: *const xsk_socket) -> c_int {
    // SAFETY: NULL or alive, as documented.
    guard_count(|| Ok(unsafe { socket_ref(socket) }?.fd() as u32))
}

/// Waits until packets have arrived, or the TX ring is half free.
///
/// In copy mode the wait itself also sends what is in the TX ring. A ring with room
/// is ready at once even while the interface is down.
///
/// @param[in] socket      a bound socket
/// @param[in] events      XSK_WAIT_RX, XSK_WAIT_TX or both
/// @param[in] timeout_ms  milliseconds; 0 only looks, negative waits for ever
/// @retval >0         what holds, of events
/// @retval 0          the time is over
/// @retval -EINTR     a signal came
/// @retval -ENETDOWN  the interface is down; the socket works again when it is up
/// @retval -ENXIO     the interface is gone: destroy the socket
/// @retval -ENOTCONN  the socket is not bound
/// @retval -EINVAL    socket is NULL, or events is 0 or has unknown bits
/// @note Threads: any. poll(2) tells nothing of an interface that goes down or
///       away; this call asks for it when the time is over and once a second. In
///       copy mode Linux 5.10 does not look at the time while the completion ring
///       is full and there is more to send: xsk_comp_get() first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_wait(
    socket: *mut xsk_socket,
    events: u32,
    timeout_ms: c_int,
) -> c_int {
    guard_count(|| {
        // SAFETY: NULL or alive, as documented.
        let socket = unsafe { socket_ref(socket) }?;
        check_flags(events, XSK_WAIT_RX | XSK_WAIT_TX, "wait: events")?;
        if events == 0 {
            return fail!(Errno::EINVAL, "wait: events is 0: XSK_WAIT_RX, XSK_WAIT_TX or both");
        }
        let wanted = Ready {
            rx: events & XSK_WAIT_RX != 0,
            tx: events & XSK_WAIT_TX != 0,
            ..Ready::default()
        };
        let ready = socket.wait(wanted, timeout_ms)?;
        let bit = |ready, bit| if ready { bit } else { 0 };
        Ok(bit(ready.rx, XSK_WAIT_RX) | bit(ready.tx, XSK_WAIT_TX))
    })
}

/// Asks whether the interface is there and up.
///
/// For programs that poll a descriptor or spin on the rings, where nothing tells:
/// a look now and then, one system call each.
///
/// @retval 0          it is
/// @retval -ENETDOWN  it is down; the socket works again when it is up
/// @retval -ENXIO     it is gone: destroy the socket
/// @retval -ENOTCONN  the socket is not bound
/// @retval -EINVAL    socket is NULL
/// @note Threads: any. Before Linux 5.11 the call also sends what is in the TX ring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_socket_check(socket: *const xsk_socket) -> c_int {
    // SAFETY: NULL or alive, as documented.
    guard(|| unsafe { socket_ref(socket) }?.check())
}
