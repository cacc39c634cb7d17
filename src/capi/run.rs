//! Runs for C programs: batches in the rings themselves, without a copy.

use core::ptr;

use super::socket::xsk_socket;
use super::{array, rx_side, tx_side};
use crate::xsk::Desc;
use crate::xsk::ring::Run;

/// Writes where a run starts, NULL for one that is empty, and gives how long it is.
///
/// # Safety
/// `first` must be writable.
#[inline]
unsafe fn run_out<T>(run: Run<T>, first: *mut *mut T) -> u32 {
    let start = if run.count == 0 { ptr::null_mut() } else { run.first };
    // SAFETY: the caller's promise.
    unsafe { first.write(start) };
    run.count
}

/// The same for entries that are only read.
///
/// # Safety
/// As for `run_out`.
#[inline]
unsafe fn run_read<T>(run: Run<T>, first: *mut *const T) -> u32 {
    // SAFETY: the caller's promise; the two pointer types have one layout.
    unsafe { run_out(run, first.cast()) }
}

/// Claims descriptors that lie in a row in the RX ring, to be read there.
///
/// This saves the copy that xsk_rx_get() makes. What is behind the ring's end comes
/// with the next call. xsk_rx_release() gives the entries back.
///
/// @param[in]  socket  the socket
/// @param[in]  n       descriptors wanted
/// @param[out] run     the first one, NULL if there is none; they must not be written,
///                     and are good until they are released
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_peek_run(
    socket: *mut xsk_socket,
    n: u32,
    run: *mut *const Desc,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !run.is_null() => unsafe { run_read(side.rx().peek_run(n), run) },
        _ => 0,
    }
}

/// Gives all claimed entries of the RX ring back to the kernel, and claims the next:
/// xsk_rx_release() and xsk_rx_peek_run() in one. The frames are the program's.
///
/// @param[in]  socket  the socket
/// @param[in]  n       descriptors wanted; 0 only gives back
/// @param[out] run     as for xsk_rx_peek_run()
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_next_run(
    socket: *mut xsk_socket,
    n: u32,
    run: *mut *const Desc,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !run.is_null() => unsafe { run_read(side.next_run(n), run) },
        _ => 0,
    }
}

/// The same for a program that is done with the packets: their frames go to the fill
/// ring, so that one call a batch receives.
///
///     while ((n = xsk_rx_recycle_run(socket, 64, &run)) > 0)
///             look_at(run, n);
///
/// @param[in]  socket  the socket
/// @param[in]  n       descriptors wanted; 0 only gives back
/// @param[out] run     as for xsk_rx_peek_run()
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL, or as long as the fill
///         ring has not room for all frames, or entries claimed by xsk_fill_reserve()
///         are open: then nothing is given back. A fill ring with an entry for each
///         frame always has room. xsk_rx_kick() comes next.
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_rx_recycle_run(
    socket: *mut xsk_socket,
    n: u32,
    run: *mut *const Desc,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        Some(side) if !run.is_null() => match side.recycle_run(n) {
            // SAFETY: not NULL, and the caller's to be written.
            Some(next) => unsafe { run_read(next, run) },
            None => 0,
        },
        _ => 0,
    }
}

/// Claims entries in a row of the fill ring, to be written there: addresses of frames.
/// xsk_fill_submit() gives them to the kernel.
///
/// @param[in]  socket  the socket
/// @param[in]  n       entries wanted
/// @param[out] run     the first one, NULL if there is none
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL. What is behind the
///         ring's end comes with the next call.
/// @note Threads: the receive side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_fill_reserve_run(
    socket: *mut xsk_socket,
    n: u32,
    run: *mut *mut u64,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { rx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !run.is_null() => unsafe { run_out(side.fill().reserve_run(n), run) },
        _ => 0,
    }
}

/// Claims descriptors that lie in a row in the TX ring, to be written there in full.
/// xsk_tx_submit() gives them to the kernel.
///
/// @param[in]  socket  the socket
/// @param[in]  n       descriptors wanted
/// @param[out] run     the first one, NULL if there is none
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL. What is behind the
///         ring's end comes with the next call.
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_reserve_run(
    socket: *mut xsk_socket,
    n: u32,
    run: *mut *mut Desc,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !run.is_null() => unsafe { run_out(side.tx().reserve_run(n), run) },
        _ => 0,
    }
}

/// Sends packets of one length: xsk_tx_put() from addresses alone, as xsk_comp_get()
/// gives them.
///
/// @param[in] socket  the socket
/// @param[in] addrs   n addresses of packets
/// @param[in] n       how many
/// @param[in] len     bytes of each packet
/// @return how many had room, 0 to n; 0 if a pointer is NULL, or while entries
///         claimed by xsk_tx_reserve() are open. xsk_tx_kick() comes next.
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_tx_put_addrs(
    socket: *mut xsk_socket,
    addrs: *const u64,
    n: u32,
    len: u32,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        // SAFETY: NULL or n addresses, as documented.
        Some(side) => side.put_addrs(unsafe { array(addrs, n) }, len),
        None => 0,
    }
}

/// Claims addresses that lie in a row in the completion ring, to be read there.
/// xsk_comp_release() gives the entries back.
///
/// @param[in]  socket  the socket
/// @param[in]  n       addresses wanted
/// @param[out] run     the first one, NULL if there is none; they must not be written,
///                     and are good until they are released
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL. What is behind the
///         ring's end comes with the next call.
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_comp_peek_run(
    socket: *mut xsk_socket,
    n: u32,
    run: *mut *const u64,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        // SAFETY: not NULL, and the caller's to be written.
        Some(side) if !run.is_null() => unsafe { run_read(side.comp().peek_run(n), run) },
        _ => 0,
    }
}

/// Gives all claimed entries of the completion ring back to the kernel, and claims the
/// next: xsk_comp_release() and xsk_comp_peek_run() in one. What it gives can go to
/// xsk_tx_put_addrs() or xsk_fill_put() as it is.
///
/// @param[in]  socket  the socket
/// @param[in]  n       addresses wanted; 0 only gives back
/// @param[out] run     as for xsk_comp_peek_run()
/// @return how many are claimed, 0 to n; 0 if a pointer is NULL
/// @note Threads: the transmit side's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_comp_next_run(
    socket: *mut xsk_socket,
    n: u32,
    run: *mut *const u64,
) -> u32 {
    // SAFETY: NULL or alive, and this is the side's thread, as documented.
    match unsafe { tx_side(socket) } {
        Some(side) if !run.is_null() => {
            side.comp().release_all();
            // SAFETY: not NULL, and the caller's to be written.
            unsafe { run_read(side.comp().peek_run(n), run) }
        }
        _ => 0,
    }
}
