//! The default program without a socket.

use core::ffi::c_int;

use super::guard;
use crate::xsk::legacy::setup_by_index;

/// Attaches the default program to an interface, or finds its map.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_setup_xdp_prog(ifindex: c_int, map: *mut c_int) -> c_int {
    guard("xsk_setup_xdp_prog", || {
        // SAFETY: NULL, or the caller's to be written.
        let out = unsafe { map.as_mut() };
        setup_by_index(u32::try_from(ifindex).unwrap_or(0), out)
    })
}
