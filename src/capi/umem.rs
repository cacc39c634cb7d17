//! Packet memory for C programs.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::{Sized32, array, array_out, check_flags, copy_params, guard, null, write_info};
use crate::xsk::config::{
    UMEM_TX_METADATA_LEN, UMEM_TX_SW_CSUM, UMEM_UNALIGNED_CHUNKS, UmemConfig,
};
use crate::xsk::error::{error, fail};
use crate::xsk::metadata::TX_METADATA_LEN;
use crate::xsk::umem::Umem;
use crate::xsk::{Errno, Error, Shared, try_box};

/// Packet memory shared with the kernel, cut into frames of one size.
///
/// An address in it is the offset of a byte from its start.
pub struct xsk_umem {
    _opaque: [u8; 0],
}

/// Map the memory on 2 MiB pages (sysctl vm.nr_hugepages). Where there are none it
/// falls back to normal pages, with a log line; xsk_umem_info() says which it is. With
/// `memory` and XSK_UMEM_UNALIGNED it is the program's word that it has mapped that so.
pub const XSK_UMEM_HUGE_PAGES: u32 = 1 << 0;

/// Frames lie anywhere, not at multiples of their size: any `frame_size` in range,
/// `frame_stride` apart, in `memory` of any alignment, such as an array of the program's
/// own buffers. The library sees to the frames as ever. An address is then the one of a
/// frame's start, with the distance from there in the upper 16 bits
/// (XSK_UNALIGNED_BUF_OFFSET_SHIFT): xsk_umem_data() makes it a pointer.
///
/// The pages that such memory begins and ends in are pinned too. Frames that lie in two
/// pages need copy mode, which is then chosen, or 2 MiB pages; those few that lie in two
/// of these are left out of the pool. Linux 5.4.
pub const XSK_UMEM_UNALIGNED: u32 = 1 << 1;
/// Something may be asked for single packets that are sent: xsk_buf_request_checksum()
/// and others. 32 bytes in front of each such packet belong to that: xsk_buf_alloc() and
/// xsk_umem_alloc() leave room for them behind the headroom, and no packet can be sent
/// from closer to its frame's start. Linux 6.8.
pub const XSK_UMEM_TX_METADATA: u32 = 1 << 2;
/// With XSK_UMEM_TX_METADATA: in copy mode the kernel makes checksums itself, whatever the
/// driver could do, so that they are right on interfaces like veth too. It costs time.
/// Linux 6.8.
pub const XSK_UMEM_TX_SW_CSUM: u32 = 1 << 3;

/// What a UMEM is to be; 0 means default everywhere but in `size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_umem_params {
    /// sizeof(struct xsk_umem_params).
    pub size: u32,
    /// XSK_UMEM_HUGE_PAGES, XSK_UMEM_UNALIGNED, XSK_UMEM_TX_METADATA,
    /// XSK_UMEM_TX_SW_CSUM, or 0.
    pub flags: u32,
    /// Memory of the program's, writable, and page-aligned but for XSK_UMEM_UNALIGNED;
    /// it must stay until the UMEM is destroyed. NULL: the library maps some.
    pub memory: *mut c_void,
    /// Bytes at `memory`, a multiple of frame_size but for XSK_UMEM_UNALIGNED; 0 if that
    /// is NULL.
    pub memory_size: u64,
    /// Frames. Default 4096; with `memory` as many as fit.
    pub frame_count: u32,
    /// Bytes: 2048 or the page size, 4096 (the kernel's limits); with XSK_UMEM_UNALIGNED
    /// anything between. Default 4096.
    pub frame_size: u32,
    /// Bytes kept free at the start of each frame, for the program's use, in front
    /// of the 256 that the kernel keeps on receive. Default 0.
    pub headroom: u32,
    /// Entries of the fill ring of sockets that do not ask for another size: a
    /// power of two up to 4194304. Default 2048.
    pub fill_size: u32,
    /// The same for the completion ring.
    pub comp_size: u32,
    /// The NUMA node whose memory is to be preferred, plus 1: `numa_node + 1` of the
    /// interface's xsk_probe(). Where it has too little, or is none, other memory is
    /// used, with a log line. Default 0, no preference. Not with `memory`.
    pub numa_node: u32,
    /// Bytes from the start of one frame to that of the next, from frame_size to 65536.
    /// Default frame_size; another needs XSK_UMEM_UNALIGNED.
    pub frame_stride: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_umem_params {
    const NAME: &'static str = "xsk_umem_params";
}

/// What a UMEM is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_umem_info {
    /// sizeof(struct xsk_umem_info), set by the caller.
    pub size: u32,
    /// Bytes in a frame.
    pub frame_size: u32,
    /// The first byte, address 0; with XSK_UMEM_UNALIGNED of the page that the program's
    /// memory begins in.
    pub memory: *mut c_void,
    /// Bytes in all frames; with XSK_UMEM_UNALIGNED in the pages that they lie in.
    pub memory_size: u64,
    /// Frames.
    pub frame_count: u32,
    /// Frames in the pool at this moment: neither the kernel's nor the program's,
    /// nor in the cache of a socket.
    pub free_frames: u32,
    /// Bytes at the start of each frame.
    pub headroom: u32,
    /// 1 if it is on the 2 MiB pages that were asked for.
    pub huge_pages: u32,
    /// Bytes in front of each sent packet that its metadata has: 0, or 32 with
    /// XSK_UMEM_TX_METADATA.
    pub tx_metadata_len: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: as for xsk_umem_params.
unsafe impl Sized32 for xsk_umem_info {
    const NAME: &'static str = "xsk_umem_info";
}

/// A handle: what C holds of a UMEM.
#[repr(transparent)]
struct Handle(Shared<Umem>);

/// The handle that somebody else owns.
pub(super) fn lend(umem: &Shared<Umem>) -> *mut xsk_umem {
    ptr::from_ref(umem).cast_mut().cast()
}

/// The UMEM behind a handle; an error for NULL.
///
/// # Safety
/// `umem` is NULL or alive.
pub(super) unsafe fn umem_ref<'a>(umem: *const xsk_umem) -> Result<&'a Shared<Umem>, Error> {
    // SAFETY: handles are made in xsk_umem_create only.
    match unsafe { umem.cast::<Handle>().as_ref() } {
        Some(handle) => Ok(&handle.0),
        None => null("umem"),
    }
}

/// Creates a UMEM and registers its memory with the kernel, which pins it.
///
/// @param[out] out     the new UMEM; untouched on failure. Release it with
///                     xsk_umem_destroy().
/// @param[in]  params  read during the call only; NULL for the defaults
/// @retval 0        created
/// @retval -EINVAL  out is NULL, or a parameter is out of range
/// @retval -EOPNOTSUPP  the flags ask for metadata, and Linux is before 6.8
/// @retval -EPERM   CAP_NET_RAW is missing
/// @retval -EAFNOSUPPORT  the kernel was built without AF_XDP
/// @retval -ENOBUFS RLIMIT_MEMLOCK is too small (and CAP_IPC_LOCK is missing)
/// @retval -EFAULT  `memory` is not mapped for writing throughout
/// @retval -ENOMEM  no memory
/// @note Threads: any. May sleep. Linux 5.4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem_create(
    out: *mut *mut xsk_umem,
    params: *const xsk_umem_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        // SAFETY: NULL or readable for its size, as documented.
        let params = unsafe { copy_params(params) }?;
        let handle = hand_out(Umem::create(config(&params)?)?)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(handle) };
        Ok(())
    })
}

/// Makes the handle of a UMEM.
pub(super) fn hand_out(umem: Umem) -> Result<*mut xsk_umem, Error> {
    let handle = Shared::new(umem).and_then(|umem| try_box(Handle(umem)));
    let handle = handle.map_err(|e| error!(e, "umem: out of memory"))?;
    Ok(ptr::from_mut(alloc::boxed::Box::leak(handle)).cast())
}

pub(super) fn config(params: &xsk_umem_params) -> Result<UmemConfig, Error> {
    const KNOWN: u32 =
        XSK_UMEM_HUGE_PAGES | XSK_UMEM_UNALIGNED | XSK_UMEM_TX_METADATA | XSK_UMEM_TX_SW_CSUM;
    check_flags(params.flags, KNOWN, "xsk_umem_params.flags")?;
    check_flags(params.reserved, 0, "xsk_umem_params.reserved")?;
    let memory = match (params.memory.is_null(), params.memory_size) {
        (true, 0) => None,
        (true, bytes) => {
            return fail!(Errno::EINVAL, "umem: memory_size is {bytes} and memory is NULL");
        }
        (false, bytes) => {
            Some((params.memory.expose_provenance(), usize::try_from(bytes).unwrap_or(usize::MAX)))
        }
    };
    let metadata = match params.flags & (XSK_UMEM_TX_METADATA | XSK_UMEM_TX_SW_CSUM) {
        0 => 0,
        XSK_UMEM_TX_METADATA => UMEM_TX_METADATA_LEN,
        XSK_UMEM_TX_SW_CSUM => {
            return fail!(
                Errno::EINVAL,
                "umem: flags: XSK_UMEM_TX_SW_CSUM is for packets with metadata, and goes with \
                 XSK_UMEM_TX_METADATA"
            );
        }
        _ => UMEM_TX_METADATA_LEN | UMEM_TX_SW_CSUM,
    };
    Ok(UmemConfig {
        memory,
        frame_count: params.frame_count,
        frame_size: params.frame_size,
        frame_stride: params.frame_stride,
        headroom: params.headroom,
        fill_size: params.fill_size,
        comp_size: params.comp_size,
        huge_pages: params.flags & XSK_UMEM_HUGE_PAGES != 0,
        numa_node: params.numa_node.checked_sub(1),
        kernel_flags: metadata
            | if params.flags & XSK_UMEM_UNALIGNED != 0 { UMEM_UNALIGNED_CHUNKS } else { 0 },
        tx_metadata_len: if metadata == 0 { 0 } else { TX_METADATA_LEN },
    })
}

/// Destroys a UMEM and unmaps memory that the library mapped.
///
/// @param[in] umem  gone after success, still usable after failure; NULL is
///                  nothing to do
/// @retval 0       destroyed; memory of the program's is its own again
/// @retval -EBUSY  a socket or a port still uses it: destroy that first
/// @note Threads: no other call on this UMEM may run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem_destroy(umem: *mut xsk_umem) -> c_int {
    guard(|| {
        if umem.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, so alive.
        let users = unsafe { umem_ref(umem) }?.owners() - 1;
        if users != 0 {
            return fail!(
                Errno::EBUSY,
                "umem: {users} socket(s) or port(s) still use it: destroy them first"
            );
        }
        // SAFETY: made by Box::leak in xsk_umem_create, and given up by the caller.
        drop(unsafe { alloc::boxed::Box::from_raw(umem.cast::<Handle>()) });
        Ok(())
    })
}

/// Says what a UMEM is and how many of its frames are free.
///
/// @param[in]  umem  the UMEM
/// @param[out] info  its `size` set by the caller; the rest is filled in
/// @retval 0        done
/// @retval -EINVAL  a pointer is NULL, or info->size is not set
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem_info(umem: *const xsk_umem, info: *mut xsk_umem_info) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, as documented.
        let umem = unsafe { umem_ref(umem) }?;
        let geometry = umem.geometry();
        let told = xsk_umem_info {
            size: 0,
            frame_size: geometry.frame_size() as u32,
            memory: geometry.pointer(0),
            memory_size: geometry.bytes(),
            frame_count: geometry.frame_count(),
            free_frames: umem.pool().len(),
            headroom: geometry.headroom(),
            huge_pages: umem.on_huge_pages().into(),
            tx_metadata_len: umem.config().tx_metadata_len,
            reserved: 0,
        };
        // SAFETY: NULL or writable for its size, as documented.
        unsafe { write_info(info, told) }
    })
}

/// Gives the pointer to an address, such as a descriptor's.
///
/// @return NULL if umem is, or if the address is outside
/// @note Threads: any. A loop may instead add the address to xsk_umem_info's
///       `memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem_data(umem: *const xsk_umem, addr: u64) -> *mut c_void {
    // SAFETY: handles are made in xsk_umem_create only; NULL or alive.
    match unsafe { umem.cast::<Handle>().as_ref() } {
        Some(handle) => handle.0.data(addr).map_or(ptr::null_mut(), ptr::NonNull::as_ptr),
        None => ptr::null_mut(),
    }
}

/// Takes frames from the pool, to be used with the ring calls.
///
/// The pool has all frames at first. Programs that use the ring calls alone may
/// share out the frames by themselves and leave the pool alone; programs that use
/// the packet calls too take theirs here, so that no frame is in two places.
///
/// @param[in]  umem   the UMEM
/// @param[out] addrs  room for n addresses, each behind the frame's headroom
/// @param[in]  n      frames wanted
/// @return how many were taken, 0 to n; 0 if a pointer is NULL
/// @note Threads: any; takes a lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem_alloc(umem: *mut xsk_umem, addrs: *mut u64, n: u32) -> u32 {
    // SAFETY: handles are made in xsk_umem_create only; NULL or alive.
    let Some(handle) = (unsafe { umem.cast::<Handle>().as_ref() }) else { return 0 };
    // SAFETY: NULL or room for n, as documented.
    let mut room = unsafe { array_out(addrs, n) }.iter_mut();
    handle.0.take(room.len() as u32, |addr| {
        if let Some(to) = room.next() {
            to.write(addr);
        }
    })
}

/// Gives frames back to the pool.
///
/// @param[in] umem   the UMEM
/// @param[in] addrs  n addresses, each anywhere in its frame
/// @param[in] n      frames
/// @return how many were taken back; fewer than n if an address is outside the
///         UMEM or the pool has all its frames already (one came twice): that
///         address and those behind it are not looked at. 0 if a pointer is NULL.
/// @note Threads: any; takes a lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_umem_free(umem: *mut xsk_umem, addrs: *const u64, n: u32) -> u32 {
    // SAFETY: handles are made in xsk_umem_create only; NULL or alive.
    let Some(handle) = (unsafe { umem.cast::<Handle>().as_ref() }) else { return 0 };
    // SAFETY: NULL or n addresses, as documented.
    let addrs = unsafe { array(addrs, n) };
    addrs.iter().take_while(|addr| handle.0.give(**addr)).count() as u32
}
