//! Packet memory: its area, its registration with the kernel and its frames.

use alloc::boxed::Box;
use core::any::Any;
use core::ffi::c_void;
use core::ptr::{self, NonNull};

use crate::sys::abi::{UMEM_TX_METADATA_LEN, UMEM_TX_SW_CSUM, UMEM_UNALIGNED_CHUNKS, UmemReg};
use crate::sys::area::Area;
use crate::sys::heap::{Shared, try_box};
use crate::sys::{Errno, HUGE_PAGE, Mmap, OwnedFd, RawFd, process, socket};
use crate::xsk::bind::netns;
use crate::xsk::config::UmemConfig;
use crate::xsk::error::{Error, fail};
use crate::xsk::frames::FramePool;
use crate::xsk::legacy::Legacy;
use crate::xsk::logger::tell;
use crate::xsk::quarantine::Quarantine;
use crate::xsk::registrations::Registrations;

/// Where frames lie in an area: all arithmetic on addresses.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    base: usize,
    bytes: u64,
    frame_size: u64,
    frame_shift: u32,
    /// Frames of the pool: 0 if the program shares them out itself.
    frame_count: u32,
    headroom: u32,
    tx_metadata_len: u32,
    unaligned: bool,
}

impl Geometry {
    /// Bytes in a frame, a power of two.
    #[inline]
    pub fn frame_size(&self) -> u64 {
        self.frame_size
    }

    /// Bytes in all frames.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many frames the pool shares out.
    #[inline]
    pub fn frame_count(&self) -> u32 {
        self.frame_count
    }

    /// Bytes at the start of each frame that are the program's.
    pub fn headroom(&self) -> u32 {
        self.headroom
    }

    /// Where a frame starts.
    #[inline]
    pub fn frame_addr(&self, frame: u32) -> u64 {
        // One step, as a shift by a variable is not.
        u64::from(frame) * self.frame_size
    }

    /// Where a packet is written in a frame of our own: behind the headroom, and room for
    /// its metadata.
    #[inline]
    pub fn payload_addr(&self, frame: u32) -> u64 {
        self.frame_addr(frame) + u64::from(self.headroom) + u64::from(self.tx_metadata_len)
    }

    /// Bytes from there to the frame's end.
    #[inline]
    pub fn payload_room(&self) -> u32 {
        (self.frame_size as u32).saturating_sub(self.headroom).saturating_sub(self.tx_metadata_len)
    }

    /// The frame that an address lies in; None outside the area.
    #[inline]
    pub fn frame_of(&self, addr: u64) -> Option<u32> {
        (addr < self.bytes()).then_some((addr >> self.frame_shift) as u32)
    }

    /// The frame that an address would lie in if the area had no end.
    #[inline]
    pub fn frame_at(&self, addr: u64) -> u64 {
        addr >> self.frame_shift
    }

    /// Whether frames lie at multiples of their size, so that any address says which.
    #[inline]
    pub fn is_aligned(&self) -> bool {
        !self.unaligned
    }

    /// The pointer to an address; only good inside the area.
    #[inline]
    pub fn pointer(&self, addr: u64) -> *mut c_void {
        // For C programs; nothing here reads or writes through it.
        ptr::with_exposed_provenance_mut(self.base.wrapping_add(addr as usize))
    }

    /// The address of a pointer, whether or not it is inside.
    #[inline]
    pub fn addr(&self, pointer: *const c_void) -> u64 {
        pointer.addr().wrapping_sub(self.base) as u64
    }

    /// Whether `len` bytes from `addr` on, and the metadata in front of them, lie in the
    /// frame in which `named` lies. The kernel drops a descriptor for which this does not
    /// hold, and never completes it.
    #[inline]
    pub fn fits(&self, named: u64, addr: u64, len: u32) -> bool {
        // Far away for a packet without a byte.
        let last = addr.wrapping_add(u64::from(len.wrapping_sub(1)));
        // In one frame where only the bits below its size differ.
        let first = addr.wrapping_sub(u64::from(self.tx_metadata_len));
        (named ^ first) | (named ^ last) < self.frame_size()
    }
}

/// Packet memory, alive until its last socket is gone.
pub struct Umem {
    config: UmemConfig,
    geometry: Geometry,
    /// None if the libxdp way made it.
    area: Option<Area>,
    pool: Shared<FramePool>,
    registrations: Registrations,
    quarantine: Quarantine,
    /// A `Legacy`, of which the type is not named for the reason in `Socket`.
    legacy: Option<Box<dyn Any + Send + Sync>>,
    _mapping: Option<Mmap>,
    huge: bool,
}

impl Umem {
    /// Maps memory unless the caller has some, and registers it, so that what the
    /// kernel has against it is known now.
    pub fn create(config: UmemConfig) -> Result<Umem, Error> {
        Umem::create_on(None, config)
    }

    /// The same, registered with a socket that is there if it is given.
    pub(super) fn create_on(fd: Option<RawFd>, config: UmemConfig) -> Result<Umem, Error> {
        let mut config = config.resolved()?;
        let (mapping, huge) = match config.memory {
            Some(_) => (None, false),
            None => map(&config).map(|(mapping, huge)| (Some(mapping), huge))?,
        };
        let base = match (&mapping, config.memory) {
            (Some(mapping), _) => mapping.addr().as_ptr().expose_provenance(),
            (None, memory) => memory.map_or(0, |(addr, _)| addr),
        };
        let geometry = Geometry {
            base,
            bytes: config.bytes(),
            frame_size: u64::from(config.frame_size),
            frame_shift: config.frame_size.trailing_zeros(),
            frame_count: config.frame_count,
            headroom: config.headroom,
            tx_metadata_len: config.tx_metadata_len,
            unaligned: config.kernel_flags & UMEM_UNALIGNED_CHUNKS != 0,
        };
        let pool = FramePool::new(config.frame_count).and_then(Shared::new);
        let pool = pool.or_else(|e| out_of_memory(e, "umem"))?;
        let spare = if fd.is_none() { Some(open_socket()?) } else { None };
        let fd = fd.or(spare.as_ref().map(|(spare, _)| spare.raw())).unwrap_or(-1);
        let area = match register(fd, &config, base, config.bytes()) {
            Err(Errno::EINVAL) if config.tx_metadata_len != 0 => {
                register_older(fd, &mut config, base)?
            }
            answer => answer.map_err(|e| explain_register(e, &config))?,
        };
        let registrations = match spare {
            Some((spare, netns)) => Registrations::new(spare, netns),
            None => Registrations::none(),
        };
        Ok(Umem {
            config,
            geometry,
            area: Some(area),
            pool,
            registrations,
            quarantine: Quarantine::new(),
            legacy: None,
            _mapping: mapping,
            huge,
        })
    }

    /// Memory of the program's that is registered already, and whose frames it
    /// shares out itself.
    pub(super) fn adopt(config: UmemConfig, bytes: u64, legacy: Legacy) -> Result<Umem, Error> {
        let geometry = Geometry {
            base: config.memory.map_or(0, |(addr, _)| addr),
            bytes,
            frame_size: u64::from(config.frame_size),
            frame_shift: config.frame_size.checked_ilog2().unwrap_or(0),
            frame_count: 0,
            headroom: config.headroom,
            tx_metadata_len: config.tx_metadata_len,
            unaligned: config.kernel_flags & UMEM_UNALIGNED_CHUNKS != 0,
        };
        let pool = FramePool::new(0).and_then(Shared::new);
        Ok(Umem {
            config,
            geometry,
            area: None,
            pool: pool.or_else(|e| out_of_memory(e, "umem"))?,
            registrations: Registrations::none(),
            quarantine: Quarantine::new(),
            legacy: Some(try_box(legacy).or_else(|e| out_of_memory(e, "umem"))?),
            _mapping: None,
            huge: false,
        })
    }

    /// What a UMEM that was made the libxdp way has beside.
    pub fn legacy(&self) -> Option<&Legacy> {
        self.legacy.as_ref()?.downcast_ref()
    }

    /// What was asked for, with the defaults filled in.
    pub fn config(&self) -> &UmemConfig {
        &self.config
    }

    /// Where frames lie.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// What the kernel was given, to be read and written here too.
    pub(super) fn area(&self) -> Option<Area> {
        self.area
    }

    /// Frames that nobody uses.
    pub fn pool(&self) -> &Shared<FramePool> {
        &self.pool
    }

    /// Whether the memory is on the huge pages that were asked for.
    pub fn on_huge_pages(&self) -> bool {
        self.huge
    }

    /// The pointer to an address; None outside.
    pub fn data(&self, addr: u64) -> Option<NonNull<c_void>> {
        if addr >= self.geometry.bytes() {
            return None;
        }
        NonNull::new(self.geometry.pointer(addr))
    }

    /// Where the metadata of a packet to be sent is; None where there is no room for it.
    pub fn tx_metadata(&self, addr: u64) -> Option<NonNull<c_void>> {
        let len = u64::from(self.config.tx_metadata_len);
        let fits = len != 0 && self.geometry.fits(addr, addr, 1);
        self.data(addr.wrapping_sub(len)).filter(|_| fits)
    }

    /// Hands out frames to write packets to, as addresses behind the headroom.
    pub fn take(&self, n: u32, mut each: impl FnMut(u64)) -> u32 {
        self.pool.take(n, |frame| each(self.geometry.payload_addr(frame)))
    }

    /// Takes back the frame that an address lies in; false if it lies in none, or
    /// the pool has all its frames already.
    pub fn give(&self, addr: u64) -> bool {
        self.geometry.frame_of(addr).is_some_and(|frame| self.pool.give(frame))
    }

    /// Which sockets have the memory registered.
    pub(super) fn registrations(&self) -> &Registrations {
        &self.registrations
    }

    /// Frames that devices may still write to.
    pub(super) fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// A socket to make rings on, the namespace it is in, and whether the memory is
    /// registered with it already.
    pub(super) fn socket(&self) -> Result<(OwnedFd, u64, bool), Error> {
        // The spare one may be of another namespace than this thread.
        let (fresh, netns) = open_socket()?;
        match self.registrations.take_spare(netns) {
            Some(spare) => Ok((spare, netns, true)),
            None => Ok((fresh, netns, false)),
        }
    }

    /// Registers the memory with another socket.
    pub(super) fn register(&self, fd: RawFd) -> Result<(), Errno> {
        register(fd, &self.config, self.geometry.base, self.geometry.bytes()).map(drop)
    }

    /// Why registering failed.
    pub(super) fn explain_register(&self, errno: Errno) -> Error {
        explain_register(errno, &self.config)
    }
}

fn map(config: &UmemConfig) -> Result<(Mmap, bool), Error> {
    let bytes = config.bytes() as usize;
    if config.huge_pages {
        match Mmap::anonymous(bytes.next_multiple_of(HUGE_PAGE), true) {
            Ok(mapping) => return Ok((mapping, true)),
            Err(e) => tell!(
                Warn,
                "umem: no huge pages for {bytes} bytes, {e}: using normal ones \
                 (sysctl vm.nr_hugepages)"
            ),
        }
    }
    match Mmap::anonymous(bytes, false) {
        Ok(mapping) => Ok((mapping, false)),
        Err(e) => fail!(e, "umem: no memory for {bytes} bytes of frames: {e}"),
    }
}

/// An AF_XDP socket, and the number of the namespace it is in.
pub(super) fn open_socket() -> Result<(OwnedFd, u64), Error> {
    match socket::create() {
        Ok(fd) => {
            let netns = netns(socket::netns_cookie(fd.raw()));
            Ok((fd, netns))
        }
        Err(e @ Errno::EPERM) => fail!(
            e,
            "socket: not permitted: an AF_XDP socket needs CAP_NET_RAW (run as root, or setcap \
             cap_net_raw,cap_net_admin,cap_bpf,cap_ipc_lock=ep PROGRAM)"
        ),
        Err(e @ Errno::EAFNOSUPPORT) => {
            fail!(e, "socket: this kernel has no AF_XDP: it needs CONFIG_XDP_SOCKETS=y")
        }
        Err(e @ (Errno::EMFILE | Errno::ENFILE)) => {
            fail!(e, "socket: no file descriptor is left (ulimit -n)")
        }
        Err(e) => fail!(e, "socket: the kernel makes no AF_XDP socket: {e}"),
    }
}

/// Registers `bytes` of memory from `base` on.
pub(super) fn register(
    fd: RawFd,
    config: &UmemConfig,
    base: usize,
    bytes: u64,
) -> Result<Area, Errno> {
    let reg = UmemReg {
        addr: base as u64,
        len: bytes,
        chunk_size: config.frame_size,
        headroom: config.headroom,
        flags: config.kernel_flags,
        tx_metadata_len: config.tx_metadata_len,
    };
    socket::register_umem(fd, &reg)
}

/// Registers memory with room for metadata where the kernel does not know the flag for
/// that: Linux 6.8 to 6.10 always look at the length, and refuse 4, at which older ones
/// do not look.
#[cold]
fn register_older(fd: RawFd, config: &mut UmemConfig, base: usize) -> Result<Area, Error> {
    config.kernel_flags &= !UMEM_TX_METADATA_LEN;
    let wrong = UmemConfig { tx_metadata_len: 4, ..*config };
    let answer = match register(fd, &wrong, base, config.bytes()) {
        Ok(_) => Err(Errno::EOPNOTSUPP),
        Err(_) => register(fd, config, base, config.bytes()),
    };
    match answer {
        Err(Errno::EINVAL) if config.kernel_flags & UMEM_TX_SW_CSUM == 0 => {
            Err(explain_register(Errno::EINVAL, config))
        }
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => fail!(
            Errno::EOPNOTSUPP,
            "umem: this kernel takes no metadata with packets to be sent (XSK_UMEM_TX_METADATA, \
             XSK_UMEM_TX_SW_CSUM): it needs Linux 6.8"
        ),
        answer => answer.map_err(|e| explain_register(e, config)),
    }
}

pub(super) fn explain_register(errno: Errno, config: &UmemConfig) -> Error {
    let bytes = config.bytes();
    match (errno, process::memlock_limit()) {
        (Errno::ENOBUFS, Some(limit)) => Error::new(
            errno,
            format_args!(
                "umem: {bytes} bytes are more than may be locked: RLIMIT_MEMLOCK is {limit} bytes \
                 for all UMEMs of the user (ulimit -l, LimitMEMLOCK=, or CAP_IPC_LOCK)"
            ),
        ),
        (Errno::EFAULT, _) => Error::new(
            errno,
            format_args!("umem: the memory given is not mapped for writing throughout"),
        ),
        (Errno::ENOMEM, _) => Error::new(
            errno,
            format_args!(
                "umem: the pages of {bytes} bytes cannot be pinned: not enough memory, or memory \
                 given that is not mapped for writing throughout"
            ),
        ),
        _ => Error::new(
            errno,
            format_args!(
                "umem: the kernel refuses {} frames of {} bytes, headroom {}: {errno}",
                config.frame_count, config.frame_size, config.headroom
            ),
        ),
    }
}

/// An allocation of the library's own that failed.
pub(super) fn out_of_memory<T>(errno: Errno, what: &str) -> Result<T, Error> {
    fail!(errno, "{what}: out of memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: Geometry = Geometry {
        base: 0x10_0000,
        bytes: 8192,
        frame_size: 2048,
        frame_shift: 11,
        frame_count: 4,
        headroom: 64,
        tx_metadata_len: 0,
        unaligned: false,
    };

    #[test]
    fn an_address_belongs_to_one_frame_or_to_none() {
        assert_eq!(FOUR.frame_of(0), Some(0));
        assert_eq!(FOUR.frame_of(2047), Some(0));
        assert_eq!(FOUR.frame_of(8191), Some(3));
        assert_eq!(FOUR.frame_of(8192), None);
        assert_eq!(FOUR.frame_of(u64::MAX), None);
        assert_eq!(FOUR.payload_addr(3), 3 * 2048 + 64);
    }

    #[test]
    fn pointers_and_addresses_turn_into_each_other() {
        assert_eq!(FOUR.pointer(5000).addr(), 0x10_0000 + 5000);
        assert_eq!(FOUR.addr(FOUR.pointer(5000)), 5000);
        assert_eq!(FOUR.frame_of(FOUR.addr(ptr::null())), None);
    }

    #[test]
    fn a_packet_fits_a_frame_or_the_kernel_would_drop_it() {
        assert!(FOUR.fits(2048, 2048, 2048));
        assert!(FOUR.fits(2100, 4095, 1));
        assert!(!FOUR.fits(2048, 4095, 2), "crosses into the next frame");
        assert!(!FOUR.fits(2048, 2048, 0), "empty");
        assert!(!FOUR.fits(2047, 2048, 60), "another frame than it says");
        assert!(!FOUR.fits(3 * 2048, 3 * 2048, u32::MAX));
        assert!(!FOUR.fits(0, u64::MAX, 1), "in front of the area");
    }

    #[test]
    fn a_packet_leaves_room_for_its_metadata_in_its_frame() {
        let with = Geometry { tx_metadata_len: 32, ..FOUR };
        assert_eq!((with.payload_addr(1), with.payload_room()), (2048 + 96, 2048 - 96));
        assert!(with.fits(2048, 2048 + 32, 2016));
        assert!(!with.fits(2048, 2048 + 31, 60), "metadata in another frame");
        assert!(!with.fits(0, 31, 60), "metadata in front of the area");
        assert!(!with.fits(2048, 2048 + 32, 2017));
    }
}
