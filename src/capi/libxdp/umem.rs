//! UMEMs the libxdp way.

use core::ffi::{c_int, c_void};

use super::{Opts, copy_opts, guard, guard_pointer, null};
use crate::capi::umem::{hand_out, umem_ref, xsk_umem, xsk_umem_destroy};
use crate::xsk::config::UmemConfig;
use crate::xsk::error::fail;
use crate::xsk::legacy::{UmemRequest, create_umem};
use crate::xsk::ring::{Lent, Ring};
use crate::xsk::{Errno, Error, RawFd};

const DEFAULT_RING: u32 = 2048;
const DEFAULT_FRAME: u32 = 4096;

/// `struct xsk_umem_config`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Config {
    fill_size: u32,
    comp_size: u32,
    frame_size: u32,
    frame_headroom: u32,
    flags: u32,
}

/// `struct xsk_umem_opts`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UmemOpts {
    sz: usize,
    fd: c_int,
    size: u64,
    config: Config,
    tx_metadata_len: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Opts for UmemOpts {
    const NAME: &'static str = "xsk_umem_opts";
}

/// # Safety
/// As for `xsk_umem__create_opts`, which see.
unsafe fn create(
    area: *mut c_void,
    fill: *mut Ring,
    comp: *mut Ring,
    opts: &UmemOpts,
) -> Result<*mut xsk_umem, Error> {
    // SAFETY: the program keeps its ring structs as long as the UMEM and its sockets.
    let [fill, comp] = [fill, comp].map(|ring| unsafe { Lent::new(ring) });
    let (false, Some(fill), Some(comp)) = (area.is_null(), fill, comp) else {
        return null("umem: umem_area, fill or comp");
    };
    let base = area.expose_provenance();
    if opts.size == 0 && base & (DEFAULT_FRAME as usize - 1) != 0 {
        return fail!(Errno::EINVAL, "umem: size is 0 and umem_area not aligned to a page");
    }
    let or = |value: u32, default| if value == 0 { default } else { value };
    let config = UmemConfig {
        frame_size: or(opts.config.frame_size, DEFAULT_FRAME),
        fill_size: or(opts.config.fill_size, DEFAULT_RING),
        comp_size: or(opts.config.comp_size, DEFAULT_RING),
        headroom: opts.config.frame_headroom,
        kernel_flags: opts.config.flags,
        tx_metadata_len: opts.tx_metadata_len,
        ..UmemConfig::default()
    };
    let fd: Option<RawFd> = Some(opts.fd).filter(|fd| *fd > 0);
    let memory = (base, opts.size);
    hand_out(create_umem(UmemRequest { memory, fd, fill, comp, config })?)
}

/// Creates a UMEM over the program's memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem__create(
    out: *mut *mut xsk_umem,
    area: *mut c_void,
    size: u64,
    fill: *mut Ring,
    comp: *mut Ring,
    config: *const Config,
) -> c_int {
    // SAFETY: the same promises.
    unsafe { xsk_umem__create_with_fd(out, 0, area, size, fill, comp, config) }
}

/// The same on a socket of the program's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem__create_with_fd(
    out: *mut *mut xsk_umem,
    fd: c_int,
    area: *mut c_void,
    size: u64,
    fill: *mut Ring,
    comp: *mut Ring,
    config: *const Config,
) -> c_int {
    guard("xsk_umem__create", || {
        if out.is_null() {
            return null("umem");
        }
        // SAFETY: NULL or readable, as for libxdp.
        let config = unsafe { config.as_ref() }.copied().unwrap_or_default();
        let sz = size_of::<UmemOpts>();
        let opts = UmemOpts { sz, fd, size, config, tx_metadata_len: 0 };
        // SAFETY: the same promises.
        let umem = unsafe { create(area, fill, comp, &opts) }?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(umem) };
        Ok(())
    })
}

/// The same with options that can grow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem__create_opts(
    area: *mut c_void,
    fill: *mut Ring,
    comp: *mut Ring,
    opts: *const UmemOpts,
) -> *mut xsk_umem {
    guard_pointer("xsk_umem__create_opts", || {
        if area.is_null() || fill.is_null() || comp.is_null() {
            return null("umem: umem_area, fill or comp");
        }
        // SAFETY: NULL or readable for its size, as for libxdp.
        let opts = unsafe { copy_opts(opts) }?;
        // SAFETY: the same promises.
        unsafe { create(area, fill, comp, &opts) }
    })
}

/// Destroys a UMEM; -EBUSY while sockets use it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem__delete(umem: *mut xsk_umem) -> c_int {
    // SAFETY: the same promises.
    unsafe { xsk_umem_destroy(umem) }
}

/// The UMEM's descriptor; -EINVAL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem__fd(umem: *const xsk_umem) -> c_int {
    // SAFETY: NULL or alive.
    let legacy = unsafe { umem_ref(umem) }.ok().and_then(|umem| umem.legacy());
    legacy.map_or(-Errno::EINVAL.raw(), |legacy| legacy.fd())
}
