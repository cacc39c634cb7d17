//! The inline helpers of include/xdp/xsk.h as functions. As there, a ring struct
//! must be one that this library has filled in; nothing is checked.

use core::ffi::{c_int, c_void};

use crate::xsk::Desc;
use crate::xsk::ring::{self, Ring, UNALIGNED_ADDR_MASK, UNALIGNED_OFFSET_SHIFT};

/// The entry of a fill ring behind an index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_prod__fill_addr(fill: *mut Ring, idx: u32) -> *mut u64 {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &*fill };
    ring.entry(idx)
}

/// The entry of a completion ring behind an index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_cons__comp_addr(comp: *const Ring, idx: u32) -> *const u64 {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &*comp };
    ring.entry(idx)
}

/// The entry of a TX ring behind an index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_prod__tx_desc(tx: *mut Ring, idx: u32) -> *mut Desc {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &*tx };
    ring.entry(idx)
}

/// The entry of an RX ring behind an index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_cons__rx_desc(rx: *const Ring, idx: u32) -> *const Desc {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &*rx };
    ring.entry(idx)
}

/// Whether the kernel asks for a wake-up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_prod__needs_wakeup(r: *const Ring) -> c_int {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &*r };
    ring.wants_wakeup().into()
}

/// Free entries, looked up again if fewer than `nb` are known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_prod_nb_free(r: *mut Ring, nb: u32) -> u32 {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &mut *r };
    ring.free(nb)
}

/// Entries to read, `nb` at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_cons_nb_avail(r: *mut Ring, nb: u32) -> u32 {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &mut *r };
    ring.available(nb)
}

/// Gives entries to the kernel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_prod__submit(prod: *mut Ring, nb: u32) {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &mut *prod };
    ring.submit_unchecked(nb);
}

/// Puts claimed entries back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_cons__cancel(cons: *mut Ring, nb: u32) {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &mut *cons };
    ring.unpeek(nb);
}

/// Gives entries back to the kernel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_cons__release(cons: *mut Ring, nb: u32) {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let ring = unsafe { &mut *cons };
    ring.release_unchecked(nb);
}

/// Claims `nb` entries or none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_prod__reserve(prod: *mut Ring, nb: u32, idx: *mut u32) -> u32 {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let Some(first) = (unsafe { &mut *prod }).reserve_all(nb) else { return 0 };
    // SAFETY: the caller's to be written.
    unsafe { idx.write(first) };
    nb
}

/// Claims up to `nb` entries to read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_ring_cons__peek(cons: *mut Ring, nb: u32, idx: *mut u32) -> u32 {
    // SAFETY: the program's ring struct, in use by this thread alone.
    let (first, n) = unsafe { &mut *cons }.peek_some(nb);
    if n != 0 {
        // SAFETY: the caller's to be written.
        unsafe { idx.write(first) };
    }
    n
}

/// The pointer to an address in an area.
#[unsafe(no_mangle)]
pub extern "C" fn xsk_umem__get_data(area: *mut c_void, addr: u64) -> *mut c_void {
    ring::data(area, addr)
}

/// The chunk of an address of unaligned mode.
#[unsafe(no_mangle)]
pub extern "C" fn xsk_umem__extract_addr(addr: u64) -> u64 {
    addr & UNALIGNED_ADDR_MASK
}

/// The offset in an address of unaligned mode.
#[unsafe(no_mangle)]
pub extern "C" fn xsk_umem__extract_offset(addr: u64) -> u64 {
    addr >> UNALIGNED_OFFSET_SHIFT
}

/// The two added up.
#[unsafe(no_mangle)]
pub extern "C" fn xsk_umem__add_offset_to_addr(addr: u64) -> u64 {
    xsk_umem__extract_addr(addr).wrapping_add(xsk_umem__extract_offset(addr))
}
