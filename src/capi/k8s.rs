//! The Kubernetes AF_XDP device plugin, for C programs in its pods.

use alloc::boxed::Box;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use super::socket::xsk_socket;
use super::{Sized32, array_out, check_flags, copy_params, guard, guard_count, null};
use crate::xsk::error::{error, fail};
use crate::xsk::k8s::{K8s, K8sConfig};
use crate::xsk::socket::Socket;
use crate::xsk::{Errno, Error, try_box};

/// A connection to the AF_XDP device plugin for Kubernetes, which has loaded an XDP
/// program on each device of the pod and gives its XSKMAP.
///
/// One connection serves all devices and queues of the pod: ask for what is needed, then
/// say xsk_k8s_fin(), after which the plugin listens no more. The pod needs CAP_NET_RAW
/// for its sockets; bind them with XSK_BIND_XSKMAP.
///
/// A request takes at most `timeout_ms`. After an answer that does not come, or makes no
/// sense, the connection is over and further requests are refused with -ENOTCONN; after a
/// refusal it goes on.
pub struct xsk_k8s {
    _opaque: [u8; 0],
}

/// How to reach the plugin; 0 and NULL mean default everywhere but in `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_k8s_params {
    /// sizeof(struct xsk_k8s_params).
    pub size: u32,
    /// 0.
    pub flags: u32,
    /// The pod's name, at most 55 bytes. Default the environment's HOSTNAME, else the
    /// host name.
    pub hostname: *const c_char,
    /// Where the plugin mounts its sockets. Default "/tmp/afxdp_dp".
    pub directory: *const c_char,
    /// How long to wait for an answer, in milliseconds. Default 5000.
    pub timeout_ms: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_k8s_params {
    const NAME: &'static str = "xsk_k8s_params";
}

/// The connection behind a handle; an error for NULL.
///
/// # Safety
/// `k8s` is NULL or alive, and nobody else uses it.
unsafe fn k8s_mut<'a>(k8s: *mut xsk_k8s) -> Result<&'a mut K8s, Error> {
    // SAFETY: handles are made in xsk_k8s_connect only.
    match unsafe { k8s.cast::<K8s>().as_mut() } {
        Some(k8s) => Ok(k8s),
        None => null("k8s"),
    }
}

/// A string's bytes; None for NULL.
///
/// # Safety
/// `text` is NULL or a string.
unsafe fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// Connects to the plugin, at DIRECTORY/NETDEV/afxdp.sock, and tells it the pod's name.
///
/// @param[out] out     the new connection; untouched on failure. Release it with
///                     xsk_k8s_destroy().
/// @param[in]  netdev  a device of the pod, one of $AFXDP_DEVICES_...; it stands for all
/// @param[in]  params  read during the call only; NULL for the defaults
/// @retval 0        connected; the plugin knows the pod
/// @retval -EINVAL  out or netdev is NULL, a parameter is out of range, or netdev is no
///                  interface name
/// @retval -ENOENT  no such socket is mounted: the pod has not asked for a device
/// @retval -ECONNREFUSED  the plugin does not listen any more
/// @retval -EACCES  the plugin refuses the pod's name, or the socket this user
/// @retval -EIO     the plugin could not check the name
/// @retval -ETIMEDOUT, -ECONNRESET  it does not answer, or closed the connection
/// @retval -EPROTO  its answer makes no sense
/// @retval -ENAMETOOLONG  name or directory is too long
/// @note Threads: any. Sleeps, at most some timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_k8s_connect(
    out: *mut *mut xsk_k8s,
    netdev: *const c_char,
    params: *const xsk_k8s_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        // SAFETY: NULL or a string, as documented.
        let Some(netdev) = (unsafe { bytes(netdev) }) else { return null("netdev") };
        // SAFETY: NULL or readable for its size, as documented.
        let params = unsafe { copy_params(params) }?;
        check_flags(params.flags, 0, "xsk_k8s_params.flags")?;
        check_flags(params.reserved, 0, "xsk_k8s_params.reserved")?;
        let config = K8sConfig {
            // SAFETY: NULL or a string, as documented.
            hostname: unsafe { bytes(params.hostname) },
            // SAFETY: as above.
            directory: unsafe { bytes(params.directory) },
            timeout_ms: params.timeout_ms,
        };
        let k8s = try_box(K8s::connect(netdev, &config)?);
        let k8s = k8s.map_err(|e| error!(e, "k8s: out of memory"))?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(ptr::from_mut(Box::leak(k8s)).cast()) };
        Ok(())
    })
}

/// Asks which version of the protocol the plugin speaks, such as "0.1".
///
/// @param[in]  k8s      the connection
/// @param[out] version  room for a string
/// @param[in]  size     bytes of room; 64 are always enough
/// @retval 0        written
/// @retval -EINVAL  k8s or version is NULL
/// @retval -ERANGE  there is too little room; nothing is written
/// @retval -ENOTCONN  the connection is over
/// @retval -ETIMEDOUT, -ECONNRESET, -EPROTO  as for xsk_k8s_connect(); it is over now
/// @note Threads: no other call on this connection may run. Sleeps, at most timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_k8s_version(
    k8s: *mut xsk_k8s,
    version: *mut c_char,
    size: u32,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, and nobody else uses it, as documented.
        let k8s = unsafe { k8s_mut(k8s) }?;
        if version.is_null() {
            return null("version");
        }
        // SAFETY: not NULL, with room for so many, as documented.
        let room = unsafe { array_out(version, size) };
        k8s.version(|text| {
            if text.len() >= room.len() {
                return fail!(Errno::ERANGE, "k8s: {size} bytes are no room for the version");
            }
            let bytes = text.iter().chain(&[0]);
            room.iter_mut().zip(bytes).for_each(|(to, from)| {
                to.write(*from as c_char);
            });
            Ok(())
        })?
    })
}

/// Asks for the XSKMAP of a device of the pod, for XSK_BIND_XSKMAP.
///
/// @param[in] k8s     the connection
/// @param[in] netdev  the device
/// @return the map's descriptor, which is the caller's to close(2) once sockets are bound;
///         or a negative errno:
/// @retval -EINVAL  a pointer is NULL, or netdev is no interface name
/// @retval -ENODEV  the plugin has none of that device for this pod
/// @retval -EPROTO  what came is no XSKMAP, or makes no sense
/// @retval -EOPNOTSUPP  the plugin does not know the request
/// @retval -ENOTCONN, -ETIMEDOUT, -ECONNRESET  as for xsk_k8s_version()
/// @note Threads: no other call on this connection may run. Sleeps, at most timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_k8s_xskmap(k8s: *mut xsk_k8s, netdev: *const c_char) -> c_int {
    guard_count(|| {
        // SAFETY: NULL or alive, and nobody else uses it, as documented.
        let k8s = unsafe { k8s_mut(k8s) }?;
        // SAFETY: NULL or a string, as documented.
        match unsafe { bytes(netdev) } {
            Some(netdev) => k8s.xskmap(netdev).map(|map| map.into_program() as u32),
            None => null("netdev"),
        }
    })
}

/// Has the plugin set up busy polling on a socket, which needs CAP_NET_ADMIN that a pod
/// has not.
///
/// @param[in] k8s     the connection
/// @param[in] socket  the socket
/// @param[in] us      busy_poll_us of xsk_socket_params
/// @param[in] budget  busy_poll_budget; the plugin sets XSK_SOCKET_PREFER_BUSY_POLL too
/// @retval 0        done; kicks always enter the kernel now
/// @retval -EINVAL  a pointer is NULL
/// @retval -EPERM   the plugin does not do it
/// @retval -EOPNOTSUPP  the plugin does not know the request
/// @retval -ENOTCONN, -ETIMEDOUT, -ECONNRESET, -EPROTO  as for xsk_k8s_version()
/// @note Threads: no other call on this connection or the socket may run. Sleeps, at most
///       timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_k8s_busy_poll(
    k8s: *mut xsk_k8s,
    socket: *mut xsk_socket,
    us: u32,
    budget: u32,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, and nobody else uses it, as documented.
        let k8s = unsafe { k8s_mut(k8s) }?;
        // SAFETY: NULL or alive, and nobody else uses it, as documented; made in `leak`.
        match unsafe { socket.cast::<Socket>().as_mut() } {
            Some(socket) => k8s.busy_poll(socket, us, budget),
            None => null("socket"),
        }
    })
}

/// Says that the pod has all that it needs. The plugin listens no more; what it gave
/// stays.
///
/// @param[in] k8s  the connection; it is over, and xsk_k8s_destroy() is still to be called
/// @retval 0        the plugin knows
/// @retval -EINVAL  k8s is NULL
/// @retval -ENOTCONN, -ETIMEDOUT, -ECONNRESET, -EPROTO  as for xsk_k8s_version()
/// @note Threads: no other call on this connection may run. Sleeps, at most timeout_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_k8s_fin(k8s: *mut xsk_k8s) -> c_int {
    // SAFETY: NULL or alive, and nobody else uses it, as documented.
    guard(|| unsafe { k8s_mut(k8s) }?.finish())
}

/// Closes the connection. Without xsk_k8s_fin() the plugin may go on listening.
///
/// @param[in] k8s  gone afterwards; NULL is nothing to do
/// @note Threads: no other call on this connection may run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_k8s_destroy(k8s: *mut xsk_k8s) {
    guard(|| {
        if !k8s.is_null() {
            // SAFETY: made by Box::leak in xsk_k8s_connect, and given up by the caller.
            drop(unsafe { Box::from_raw(k8s.cast::<K8s>()) });
        }
        Ok(())
    });
}
