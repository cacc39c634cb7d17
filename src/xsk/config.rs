//! What a caller may ask for: defaults, and what is refused before the kernel is
//! asked, each with its reason.

use core::ffi::CStr;

use crate::sys::abi::{MIN_CHUNK_SIZE, PACKET_HEADROOM};
pub use crate::sys::abi::{UMEM_TX_METADATA_LEN, UMEM_TX_SW_CSUM, UMEM_UNALIGNED_CHUNKS};
use crate::sys::{Errno, RawFd, process};
use crate::xsk::Error;
use crate::xsk::attachment::Wanted;
use crate::xsk::busy::BusyPoll;
use crate::xsk::error::fail;
use crate::xsk::program::{self, Kind, Program};

const FRAME_COUNT: u32 = 4096;
const FRAME_SIZE: u32 = 4096;
/// So that 2^32 frames end below the upper bits of an unaligned address.
const STRIDE_MAX: u32 = 1 << 16;
const RING_SIZE: u32 = 2048;
/// Larger rings are mistakes: 2^22 descriptors are 64 MiB of kernel memory.
const RING_SIZE_MAX: u32 = 1 << 22;
/// How long a queue that is being torn down is waited for. Measured: 24 ms in the
/// median, 48 ms at most, on Linux 6.18 with veth.
const RETRY_MS: u32 = 1000;

/// Packet memory; 0 means default throughout.
#[derive(Clone, Copy, Debug, Default)]
pub struct UmemConfig {
    /// The caller's memory as address and bytes; None lets the library map it.
    pub memory: Option<(usize, usize)>,
    pub frame_count: u32,
    pub frame_size: u32,
    /// Bytes from one frame to the next.
    pub frame_stride: u32,
    pub headroom: u32,
    pub fill_size: u32,
    pub comp_size: u32,
    pub huge_pages: bool,
    /// The node that the library's memory shall be on if it can.
    pub numa_node: Option<u32>,
    /// `flags` and `tx_metadata_len` of the kernel's `struct xdp_umem_reg`.
    pub kernel_flags: u32,
    pub tx_metadata_len: u32,
}

impl UmemConfig {
    /// With defaults in place of zeros, and checked.
    pub fn resolved(mut self) -> Result<UmemConfig, Error> {
        default(&mut self.frame_size, FRAME_SIZE);
        default(&mut self.fill_size, RING_SIZE);
        default(&mut self.comp_size, RING_SIZE);
        default(&mut self.frame_stride, self.frame_size);
        self.check_frames()?;
        check_ring("umem: fill_size", self.fill_size)?;
        check_ring("umem: comp_size", self.comp_size)?;
        match self.memory {
            Some((addr, len)) => self.frame_count = self.count_frames(addr, len)?,
            None => default(&mut self.frame_count, FRAME_COUNT),
        }
        Ok(self)
    }

    /// The same with frames for so many queues.
    pub fn times(mut self, queues: u32) -> Result<UmemConfig, Error> {
        if self.memory.is_none() {
            default(&mut self.frame_count, FRAME_COUNT);
            match self.frame_count.checked_mul(queues) {
                Some(count) => self.frame_count = count,
                None => {
                    return fail!(
                        Errno::EINVAL,
                        "port: {queues} times {} frames are more than 2^32",
                        self.frame_count
                    );
                }
            }
        }
        Ok(self)
    }

    /// Whether frames may lie anywhere.
    pub fn is_unaligned(&self) -> bool {
        self.kernel_flags & UMEM_UNALIGNED_CHUNKS != 0
    }

    /// How far behind the start of a page the memory given begins.
    pub fn start(&self) -> usize {
        self.memory.map_or(0, |(addr, _)| addr & (process::page_size() - 1))
    }

    /// Bytes of the area that has all frames.
    pub fn bytes(&self) -> u64 {
        let (count, stride) = (u64::from(self.frame_count), u64::from(self.frame_stride));
        if !self.is_unaligned() {
            return count * stride;
        }
        // Whole pages, which are what is mapped: Linux 5.4 forgets a part of one.
        let last = count.saturating_sub(1) * stride + u64::from(self.frame_size);
        let page = process::page_size() as u64;
        (self.start() as u64 + last + page - 1) & !(page - 1)
    }

    fn check_frames(&self) -> Result<(), Error> {
        let UmemConfig { frame_size: size, frame_stride: stride, headroom, .. } = *self;
        let page = process::page_size() as u32;
        if !(MIN_CHUNK_SIZE..=page).contains(&size) {
            return fail!(
                Errno::EINVAL,
                "umem: frame_size {size} is out of range: the kernel takes {MIN_CHUNK_SIZE} to a \
                 page, {page}"
            );
        }
        if self.is_unaligned() {
            if !(size..=STRIDE_MAX).contains(&stride) {
                return fail!(
                    Errno::EINVAL,
                    "umem: frame_stride {stride} is out of range: frame_size, {size}, to {STRIDE_MAX}"
                );
            }
        } else if !size.is_power_of_two() || stride != size {
            return fail!(
                Errno::EINVAL,
                "umem: frame_size {size} is not a power of two, or frame_stride {stride} is \
                 another: take {MIN_CHUNK_SIZE} or {page}, or XSK_UMEM_UNALIGNED"
            );
        }
        let most = size - PACKET_HEADROOM - 1;
        if headroom > most {
            return fail!(
                Errno::EINVAL,
                "umem: headroom {headroom} leaves no room in a frame of {size}: at most {most}, \
                 since the kernel keeps {PACKET_HEADROOM} bytes itself"
            );
        }
        Ok(())
    }

    fn count_frames(&self, addr: usize, len: usize) -> Result<u32, Error> {
        let (page, size) = (process::page_size(), self.frame_size as usize);
        let stride = self.frame_stride as usize;
        if self.numa_node.is_some() {
            return fail!(
                Errno::EINVAL,
                "umem: numa_node is for memory that the library maps; numactl and mbind are for \
                 yours"
            );
        }
        if self.huge_pages && !self.is_unaligned() {
            return fail!(
                Errno::EINVAL,
                "umem: XSK_UMEM_HUGE_PAGES is for memory that the library maps; \
                 map yours with MAP_HUGETLB"
            );
        }
        let fit = if self.is_unaligned() {
            if len < size || addr.checked_add(len).is_none() {
                return fail!(
                    Errno::EINVAL,
                    "umem: memory_size {len} has no room for a frame of {size}, or goes beyond \
                     the end of the address space"
                );
            }
            // The last one needs nothing behind it.
            (len - size) / stride + 1
        } else {
            let addr = addr as u64;
            if addr & (page as u64 - 1) != 0 {
                return fail!(
                    Errno::EINVAL,
                    "umem: memory {addr:#x} is not aligned to a page of {page} bytes; that takes \
                     XSK_UMEM_UNALIGNED"
                );
            }
            if len == 0 || len % size != 0 {
                return fail!(
                    Errno::EINVAL,
                    "umem: memory_size {len} is not a multiple of frame_size {size} above 0"
                );
            }
            len / size
        };
        match u32::try_from(fit) {
            Ok(fit) if self.frame_count == 0 || self.frame_count == fit => Ok(fit),
            Ok(fit) => fail!(
                Errno::EINVAL,
                "umem: frame_count {} contradicts memory_size {len}, which has room for {fit}; \
                 leave it 0",
                self.frame_count
            ),
            Err(_) => fail!(Errno::EINVAL, "umem: memory_size {len} makes more than 2^32 frames"),
        }
    }
}

fn check_ring(what: &str, size: u32) -> Result<(), Error> {
    if size.is_power_of_two() && size <= RING_SIZE_MAX {
        return Ok(());
    }
    fail!(Errno::EINVAL, "{what} {size} is not a power of two from 1 to {RING_SIZE_MAX}")
}

fn default(value: &mut u32, instead_of_zero: u32) {
    if *value == 0 {
        *value = instead_of_zero;
    }
}

/// Which ways packets go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Both,
    RxOnly,
    TxOnly,
}

impl Direction {
    pub fn receives(self) -> bool {
        self != Direction::TxOnly
    }

    pub fn sends(self) -> bool {
        self != Direction::RxOnly
    }
}

/// Ring sizes in entries; 0 means default throughout.
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketConfig {
    pub direction: Direction,
    pub rx_size: u32,
    pub tx_size: u32,
    pub fill_size: u32,
    pub comp_size: u32,
    /// It is for a queue that a socket with this UMEM has, and uses its fill and completion
    /// ring.
    pub joins: bool,
    /// How many sockets leave each other their part of the UMEM's frames; 0 is one.
    pub sharers: u32,
    /// Descriptors that one send moves in copy mode; 0 for a whole TX ring if the kernel
    /// can.
    pub tx_budget: u32,
    pub busy_poll: BusyPoll,
}

/// What one send moves in copy mode unless the kernel is told otherwise, and the least
/// that it can be told: `TX_BATCH_SIZE` of the kernel's net/xdp/xsk.c (16 in 5.10).
pub const KERNEL_TX_BUDGET: u32 = 32;

impl SocketConfig {
    /// With defaults in place of zeros, and checked. A ring of the other direction
    /// has size 0 if it may be absent, and a size of its own if the kernel wants it.
    pub fn resolved(mut self, umem: &UmemConfig) -> Result<SocketConfig, Error> {
        let (receives, sends) = (self.direction.receives(), self.direction.sends());
        if !receives && self.rx_size != 0 {
            return fail!(Errno::EINVAL, "socket: rx_size is given to a socket that only sends");
        }
        if !sends && self.tx_size != 0 {
            return fail!(Errno::EINVAL, "socket: tx_size is given to a socket that only receives");
        }
        if receives {
            default(&mut self.rx_size, RING_SIZE);
            check_ring("socket: rx_size", self.rx_size)?;
        }
        if sends {
            default(&mut self.tx_size, RING_SIZE);
            check_ring("socket: tx_size", self.tx_size)?;
        }
        if self.tx_budget != 0 && !(KERNEL_TX_BUDGET..=self.tx_size).contains(&self.tx_budget) {
            return fail!(
                Errno::EINVAL,
                "socket: tx_budget {} is out of range: the kernel takes {KERNEL_TX_BUDGET} to \
                 tx_size, {}",
                self.tx_budget,
                self.tx_size
            );
        }
        self.busy_poll.check()?;
        if self.joins {
            return match self.fill_size | self.comp_size {
                0 => Ok(self),
                _ => fail!(
                    Errno::EINVAL,
                    "socket: fill_size and comp_size are given to a socket with \
                     XSK_SOCKET_SHARE_QUEUE: the queue has these rings already"
                ),
            };
        }
        // The kernel binds no socket without both, whatever the direction.
        default(&mut self.fill_size, if receives { umem.fill_size } else { 1 });
        default(&mut self.comp_size, if sends { umem.comp_size } else { 1 });
        check_ring("socket: fill_size", self.fill_size)?;
        check_ring("socket: comp_size", self.comp_size)?;
        Ok(self)
    }
}

/// Who copies packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyMode {
    /// Zero-copy where the driver can, else copy.
    #[default]
    Auto,
    Copy,
    ZeroCopy,
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver (DRV).
    Native,
    /// In the stack, after the packet became an skb (SKB).
    Generic,
}

/// What brings packets to the socket.
#[derive(Clone, Copy)]
pub enum Steering<'a> {
    /// A program of the library's, attached or joined; None: native, else generic.
    Program(Option<XdpMode>, &'a Program),
    /// An XSKMAP of the caller's, in a program of the caller's.
    Xskmap(RawFd),
    /// Nothing: the caller sees to it.
    None,
}

/// How to bind.
#[derive(Clone, Copy)]
pub struct BindConfig<'a> {
    pub copy: CopyMode,
    pub need_wakeup: bool,
    /// Packets may have several buffers.
    pub sg: bool,
    pub steering: Steering<'a>,
    /// The program stores what the driver knows of a packet in front of it; native only.
    pub hints: bool,
    /// How long to try while the queue or the interface is busy; 0 for once.
    pub retry_ms: u32,
    /// As in `Wanted`.
    pub replace: u32,
    pub pins: Option<&'a CStr>,
}

impl Default for BindConfig<'_> {
    fn default() -> Self {
        BindConfig {
            copy: CopyMode::Auto,
            need_wakeup: true,
            sg: false,
            steering: Steering::Program(None, &program::DEFAULT),
            hints: false,
            retry_ms: RETRY_MS,
            replace: 0,
            pins: None,
        }
    }
}

impl<'a> BindConfig<'a> {
    /// The program that this wants on an interface.
    pub fn wanted(&self, mode: Option<XdpMode>, program: &'a Program) -> Wanted<'a> {
        let kind = Kind { frags: self.sg, hints: self.hints };
        Wanted { program, mode, kind, replace: self.replace, pins: self.pins }
    }

    /// Whether it says something that only a program has a use for.
    pub fn is_for_a_program(&self) -> bool {
        self.replace != 0 || self.pins.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xsk::error::sentence;

    fn refused(config: UmemConfig, word: &str) {
        assert_eq!(config.resolved().unwrap_err().errno(), Errno::EINVAL);
        assert!(sentence().contains(word), "{}", sentence());
    }

    #[test]
    fn zero_means_default() {
        let config = UmemConfig::default().resolved().unwrap();
        assert_eq!((config.frame_count, config.frame_size), (4096, 4096));
        assert_eq!((config.fill_size, config.comp_size, config.headroom), (2048, 2048, 0));
    }

    #[test]
    fn a_umem_is_refused_with_its_reason() {
        let umem = UmemConfig::default();
        refused(UmemConfig { frame_size: 1024, ..umem }, "frame_size 1024 is out of range");
        refused(UmemConfig { frame_size: 8192, ..umem }, "frame_size 8192 is out of range");
        refused(UmemConfig { frame_size: 3000, ..umem }, "not a power of two");
        refused(UmemConfig { headroom: 3840, ..umem }, "at most 3839");
        refused(UmemConfig { fill_size: 3, ..umem }, "fill_size 3");
        refused(UmemConfig { comp_size: 1 << 23, ..umem }, "comp_size 8388608");
        let memory = Some((0x1000, 0x4000));
        refused(UmemConfig { memory: Some((0x1001, 0x4000)), ..umem }, "not aligned");
        refused(UmemConfig { memory: Some((0x1000, 0x4001)), ..umem }, "memory_size 16385");
        refused(UmemConfig { memory: Some((0x1000, 0)), ..umem }, "memory_size 0");
        refused(UmemConfig { memory, frame_count: 5, ..umem }, "room for 4");
        refused(UmemConfig { memory, huge_pages: true, ..umem }, "MAP_HUGETLB");
        assert_eq!(UmemConfig { memory, ..umem }.resolved().unwrap().frame_count, 4);
        assert!(UmemConfig { headroom: 3839, ..umem }.resolved().is_ok());
    }

    #[test]
    fn each_direction_has_the_rings_it_needs() {
        let umem = UmemConfig { fill_size: 512, comp_size: 256, ..UmemConfig::default() };
        let sizes = |config: SocketConfig| {
            let c = config.resolved(&umem).unwrap();
            (c.rx_size, c.tx_size, c.fill_size, c.comp_size)
        };
        let (rx, tx) = (Direction::RxOnly, Direction::TxOnly);
        assert_eq!(sizes(SocketConfig::default()), (2048, 2048, 512, 256));
        assert_eq!(sizes(SocketConfig { direction: rx, ..Default::default() }), (2048, 0, 512, 1));
        assert_eq!(sizes(SocketConfig { direction: tx, ..Default::default() }), (0, 2048, 1, 256));
        let asked = SocketConfig { direction: rx, fill_size: 64, ..Default::default() };
        assert_eq!(sizes(asked), (2048, 0, 64, 1));
        let wrong = SocketConfig { direction: rx, tx_size: 64, ..Default::default() };
        assert!(wrong.resolved(&umem).is_err());
        assert!(SocketConfig { rx_size: 100, ..Default::default() }.resolved(&umem).is_err());
        let budget = |tx_budget, direction| {
            SocketConfig { tx_budget, tx_size: 64, direction, ..Default::default() }.resolved(&umem)
        };
        assert!(budget(32, tx).is_ok() && budget(64, tx).is_ok() && budget(0, tx).is_ok());
        assert!(budget(31, tx).is_err() && budget(65, tx).is_err());
        let without = SocketConfig { tx_budget: 32, direction: rx, ..Default::default() };
        assert!(without.resolved(&umem).is_err());
    }
}
