//! Packet memory: its area, its registration with the kernel and its frames.

use alloc::boxed::Box;
use core::any::Any;
use core::ffi::c_void;
use core::ptr::NonNull;

use crate::sys::abi::{UMEM_TX_METADATA_LEN, UMEM_TX_SW_CSUM, UmemReg};
use crate::sys::area::Area;
use crate::sys::heap::{Shared, try_box};
use crate::sys::{Errno, HUGE_PAGE, Mmap, OwnedFd, RawFd, process, socket};
use crate::xsk::bind::netns;
use crate::xsk::config::UmemConfig;
use crate::xsk::error::{Error, error, fail};
use crate::xsk::frames::FramePool;
use crate::xsk::geometry::{Geometry, Layout};
use crate::xsk::legacy::Legacy;
use crate::xsk::logger::tell;
use crate::xsk::quarantine::Quarantine;
use crate::xsk::registrations::Registrations;

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
            // They are the program's word.
            Some(_) => (None, config.huge_pages),
            None => map(&config).map(|(mapping, huge)| (Some(mapping), huge))?,
        };
        let start = config.start();
        let base = match (&mapping, config.memory) {
            (Some(mapping), _) => mapping.addr().as_ptr().expose_provenance(),
            (None, memory) => memory.map_or(0, |(addr, _)| addr - start),
        };
        let geometry = Geometry::new(Layout {
            base,
            bytes: config.bytes(),
            start: start as u32,
            frame_size: config.frame_size,
            stride: config.frame_stride,
            frame_count: config.frame_count,
            headroom: config.headroom,
            tx_metadata_len: config.tx_metadata_len,
            unaligned: config.is_unaligned(),
        });
        // A device cannot have a frame of which the halves lie anywhere.
        let whole = |frame: &u32| !huge || !geometry.crosses(*frame, HUGE_PAGE);
        let pool = FramePool::new(config.frame_count, whole).and_then(Shared::new);
        let pool = pool.or_else(|e| out_of_memory(e, "umem"))?;
        let spare = if fd.is_none() { Some(open_socket()?) } else { None };
        let fd = fd.or(spare.as_ref().map(|(spare, _)| spare.raw())).unwrap_or(-1);
        let area = match register(fd, &config, base, config.bytes()) {
            Err(Errno::EINVAL) if config.tx_metadata_len != 0 => {
                register_older(fd, &mut config, base)?
            }
            answer => answer.map_err(|e| explain_register(e, &config))?,
        };
        if let (Some(mapping), Some(node)) = (&mapping, config.numa_node) {
            check_node(mapping, node);
        }
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
        let geometry = Geometry::new(Layout {
            base: config.memory.map_or(0, |(addr, _)| addr),
            bytes,
            start: 0,
            frame_size: config.frame_size,
            stride: config.frame_size,
            frame_count: 0,
            headroom: config.headroom,
            tx_metadata_len: config.tx_metadata_len,
            unaligned: config.is_unaligned(),
        });
        let pool = FramePool::new(0, |_| true).and_then(Shared::new);
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
        let addr = self.geometry.plain(addr);
        if addr >= self.geometry.bytes() {
            return None;
        }
        NonNull::new(self.geometry.pointer(addr))
    }

    /// Where the metadata of a packet to be sent is; None where there is no room for it.
    pub fn tx_metadata(&self, addr: u64) -> Option<NonNull<c_void>> {
        let (len, addr) = (u64::from(self.config.tx_metadata_len), self.geometry.plain(addr));
        let fits = len != 0 && self.geometry.fits(addr, addr, 1);
        self.data(addr.wrapping_sub(len)).filter(|_| fits)
    }

    /// Hands out frames to write packets to, as addresses behind the headroom.
    pub fn take(&self, n: u32, mut each: impl FnMut(u64)) -> u32 {
        self.pool.take(n, |frame| each(self.geometry.payload(frame).0))
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
    /// registered with it already, which it must not be if it `joins` another.
    pub(super) fn socket(&self, joins: bool) -> Result<(OwnedFd, u64, bool), Error> {
        // The spare one may be of another namespace than this thread.
        let (fresh, netns) = open_socket()?;
        match if joins { None } else { self.registrations.take_spare(netns) } {
            Some(spare) => Ok((spare, netns, true)),
            None => Ok((fresh, netns, false)),
        }
    }

    /// Whether frames lie in two pages that are not huge: then nobody knows where the
    /// halves are, and the kernel gives such frames to no device.
    pub(super) fn is_for_copying(&self) -> bool {
        // Later ones lie as the first do.
        let frames = 0..self.geometry.frame_count().min(process::page_size() as u32);
        !self.huge
            && !self.geometry.is_aligned()
            && frames.into_iter().any(|n| self.geometry.crosses(n, process::page_size()))
    }

    /// Registers the memory with another socket.
    pub(super) fn register(&self, fd: RawFd) -> Result<(), Errno> {
        let base = self.geometry.pointer(0).expose_provenance();
        register(fd, &self.config, base, self.geometry.bytes()).map(drop)
    }

    /// Why registering failed.
    pub(super) fn explain_register(&self, errno: Errno) -> Error {
        explain_register(errno, &self.config)
    }
}

fn map(config: &UmemConfig) -> Result<(Mmap, bool), Error> {
    let (bytes, node) = (config.bytes() as usize, config.numa_node);
    if config.huge_pages {
        match Mmap::anonymous(bytes.next_multiple_of(HUGE_PAGE), true, node) {
            Ok(mapping) => return Ok((mapping, true)),
            Err(e) => tell!(
                Warn,
                "umem: no huge pages for {bytes} bytes, {e}: using normal ones \
                 (sysctl vm.nr_hugepages)"
            ),
        }
    }
    match Mmap::anonymous(bytes, false, node) {
        Ok(mapping) => Ok((mapping, false)),
        Err(e) => fail!(e, "umem: no memory for {bytes} bytes of frames: {e}"),
    }
}

/// Says where memory is not on the node that it was to be on.
fn check_node(mapping: &Mmap, node: u32) {
    let mut samples = (0..mapping.len() / HUGE_PAGE + 1).map(|i| i * HUGE_PAGE);
    if samples.any(|offset| offset < mapping.len() && mapping.node_of(offset) != Ok(node)) {
        tell!(
            Warn,
            "umem: not all memory is on NUMA node {node}: it has too little, or there is no such \
             node (numactl -H)"
        );
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
    Err(no_memory(errno, what))
}

#[cold]
#[inline(never)]
fn no_memory(errno: Errno, what: &str) -> Error {
    error!(errno, "{what}: out of memory")
}
