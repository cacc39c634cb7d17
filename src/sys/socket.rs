//! AF_XDP sockets: one function per call and option, none of which decides.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::abi::{MmapOffsets, Statistics, UmemReg};
use super::area::Area;
use super::errno::check;
use super::netdev::IfName;
use super::{Errno, Mmap, OwnedFd, RawFd};

// <linux/if_xdp.h> since Linux 6.17; the libc crate has no name for it.
const XDP_MAX_TX_SKB_BUDGET: c_int = 9;

/// The four rings, as option and as place in the socket's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingKind {
    Rx,
    Tx,
    Fill,
    Comp,
}

impl RingKind {
    fn option(self) -> c_int {
        match self {
            RingKind::Rx => libc::XDP_RX_RING,
            RingKind::Tx => libc::XDP_TX_RING,
            RingKind::Fill => libc::XDP_UMEM_FILL_RING,
            RingKind::Comp => libc::XDP_UMEM_COMPLETION_RING,
        }
    }

    fn page_offset(self) -> u64 {
        match self {
            RingKind::Rx => libc::XDP_PGOFF_RX_RING as u64,
            RingKind::Tx => libc::XDP_PGOFF_TX_RING as u64,
            RingKind::Fill => libc::XDP_UMEM_PGOFF_FILL_RING,
            RingKind::Comp => libc::XDP_UMEM_PGOFF_COMPLETION_RING,
        }
    }
}

/// Makes a socket in the calling thread's network namespace.
pub fn create() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: integers only.
    check(|| unsafe { libc::socket(libc::AF_XDP, kind, 0) }).map(OwnedFd::adopt)
}

fn set<T>(fd: RawFd, option: c_int, value: &T) -> Result<(), Errno> {
    set_at(fd, libc::SOL_XDP, option, value)
}

fn set_at<T>(fd: RawFd, level: c_int, option: c_int, value: &T) -> Result<(), Errno> {
    let (from, len) = (ptr::from_ref(value).cast::<c_void>(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the kernel reads `len` bytes, and `value` has that many.
    check(|| unsafe { libc::setsockopt(fd, level, option, from, len) }).map(drop)
}

/// Gives how many bytes of `value` the kernel wrote.
fn get<T>(fd: RawFd, level: c_int, option: c_int, value: &mut T) -> Result<usize, Errno> {
    let (to, mut len) = (ptr::from_mut(value).cast::<c_void>(), size_of::<T>() as libc::socklen_t);
    // SAFETY: the kernel writes at most `len` bytes, and `value` has that many; the
    // types used here are integers and structs of them, for which any bytes do.
    check(|| unsafe { libc::getsockopt(fd, level, option, to, &raw mut len) })?;
    Ok(len as usize)
}

/// Registers packet memory; the kernel pins its pages.
pub fn register_umem(fd: RawFd, reg: &UmemReg) -> Result<Area, Errno> {
    set(fd, libc::XDP_UMEM_REG, reg).map(|()| Area::registered(reg.addr, reg.len))
}

/// Makes a ring of `entries`, a power of two.
pub fn create_ring(fd: RawFd, ring: RingKind, entries: u32) -> Result<(), Errno> {
    set(fd, ring.option(), &entries)
}

/// Asks where the rings lie in their mappings.
///
/// `EOPNOTSUPP` before Linux 5.4, whose shorter answer has no flags words.
pub fn mmap_offsets(fd: RawFd) -> Result<MmapOffsets, Errno> {
    let mut offsets = MmapOffsets::default();
    let len = get(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, &mut offsets)?;
    if len == size_of::<MmapOffsets>() { Ok(offsets) } else { Err(Errno::EOPNOTSUPP) }
}

/// Maps a ring that was created; `len` reaches to the end of its entries.
pub fn map_ring(fd: RawFd, ring: RingKind, len: usize) -> Result<Mmap, Errno> {
    Mmap::of_fd(fd, len, ring.page_offset())
}

/// Keeps a queue's ring where it is mapped, through another socket on the queue.
/// EBUSY before Linux 6.4, which maps no ring of a bound socket.
pub fn renew_ring(map: &Mmap, fd: RawFd, ring: RingKind) -> Result<(), Errno> {
    map.renew(fd, ring.page_offset())
}

/// Binds to a queue; `shared` is a bound socket whose UMEM is used too.
pub fn bind(
    fd: RawFd,
    ifindex: u32,
    queue_id: u32,
    flags: u16,
    shared: RawFd,
) -> Result<(), Errno> {
    let addr = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: flags,
        sxdp_ifindex: ifindex,
        sxdp_queue_id: queue_id,
        sxdp_shared_umem_fd: u32::try_from(shared).unwrap_or(0),
    };
    let len = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of `addr`, which has that many.
    check(|| unsafe { libc::bind(fd, (&raw const addr).cast(), len) }).map(drop)
}

/// Whether a bound socket works in zero-copy mode; false before Linux 5.3.
pub fn is_zero_copy(fd: RawFd) -> bool {
    let mut flags = 0u32;
    get(fd, libc::SOL_XDP, libc::XDP_OPTIONS, &mut flags).is_ok()
        && flags & libc::XDP_OPTIONS_ZEROCOPY != 0
}

/// The kernel's counters, and how many of them this kernel has.
pub fn statistics(fd: RawFd) -> Result<(Statistics, usize), Errno> {
    let mut statistics = Statistics::default();
    let len = get(fd, libc::SOL_XDP, libc::XDP_STATISTICS, &mut statistics)?;
    Ok((statistics, len / size_of::<u64>()))
}

/// Sets how many descriptors one send moves in copy mode. Linux 6.17; EACCES
/// unless it is 32 to the TX ring's size.
pub fn set_tx_budget(fd: RawFd, descriptors: u32) -> Result<(), Errno> {
    set(fd, XDP_MAX_TX_SKB_BUDGET, &descriptors)
}

/// The network namespace of a socket, as a number of the kernel's; None before
/// Linux 5.14, which cannot tell.
pub fn netns_cookie(fd: RawFd) -> Option<u64> {
    let mut cookie = 0u64;
    get(fd, libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, &mut cookie).ok().map(|_| cookie)
}

/// Whether the kernel knows SO_PREFER_BUSY_POLL, for any kind of socket (Linux 5.11).
pub fn has_busy_poll(fd: RawFd) -> Result<bool, Errno> {
    let mut prefers = 0u32;
    match get(fd, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, &mut prefers) {
        Ok(_) => Ok(true),
        Err(Errno::ENOPROTOOPT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Leaves the device's interrupts off while the socket polls (Linux 5.11).
pub fn prefer_busy_poll(fd: RawFd) -> Result<(), Errno> {
    set_at(fd, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, &1u32)
}

/// How many packets are fetched at a time (Linux 5.11).
pub fn set_busy_poll_budget(fd: RawFd, packets: u32) -> Result<(), Errno> {
    set_at(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, &packets)
}

/// Has calls on the socket fetch packets from the device; for AF_XDP since Linux 5.11.
pub fn set_busy_poll(fd: RawFd, us: u32) -> Result<(), Errno> {
    set_at(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, &us)
}

/// How long calls on the socket poll the device, in microseconds; 0 where they do not.
pub fn busy_poll(fd: RawFd) -> u32 {
    let mut us = 0u32;
    get(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, &mut us).map_or(0, |_| us)
}

/// Lets a socket be bound to that interface only; another can be named with CAP_NET_RAW.
pub fn bind_to_device(fd: RawFd, ifname: &IfName) -> Result<(), Errno> {
    set_at(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, ifname.bytes())
}

/// Whether a descriptor is an AF_XDP socket.
pub fn is_xdp(fd: RawFd) -> bool {
    let mut domain = 0;
    get::<c_int>(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, &mut domain).is_ok()
        && domain == libc::AF_XDP
}

/// Tells the kernel that there is something to send.
pub fn wake_tx(fd: RawFd) -> Result<(), Errno> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: no bytes and no address are passed.
    check(|| unsafe { libc::sendto(fd, ptr::null(), 0, flags, ptr::null(), 0) as c_int }).map(drop)
}

/// Tells the kernel that there are frames to receive into.
pub fn wake_rx(fd: RawFd) -> Result<(), Errno> {
    let (flags, none) = (libc::MSG_DONTWAIT, ptr::null_mut());
    // SAFETY: no bytes and no address are passed.
    check(|| unsafe { libc::recvfrom(fd, none, 0, flags, none.cast(), ptr::null_mut()) as c_int })
        .map(drop)
}

/// What `poll` waits for and says: packets to receive, room to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    pub rx: bool,
    pub tx: bool,
    /// POLLERR, POLLHUP or POLLNVAL stood.
    pub trouble: bool,
}

/// Waits until something of `wanted` holds; -1 ms is for ever.
pub fn poll(fd: RawFd, wanted: Ready, timeout_ms: c_int) -> Result<Ready, Errno> {
    let events =
        if wanted.rx { libc::POLLIN } else { 0 } | if wanted.tx { libc::POLLOUT } else { 0 };
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one pollfd is passed and one is there.
    check(|| unsafe { libc::poll(&raw mut entry, 1, timeout_ms) })?;
    let says = |event| entry.revents & event != 0;
    Ok(Ready {
        rx: says(libc::POLLIN),
        tx: says(libc::POLLOUT),
        trouble: says(libc::POLLERR | libc::POLLHUP | libc::POLLNVAL),
    })
}
