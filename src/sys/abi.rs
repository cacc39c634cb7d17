//! <linux/if_xdp.h>, field for field: what crosses the border to the kernel.

/// A packet in a ring: `struct xdp_desc`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Desc {
    /// Offset of the packet's first byte in the UMEM.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
    /// `XDP_PKT_CONTD` and `XDP_TX_METADATA`.
    pub options: u32,
}

/// An instruction of classic BPF: `struct sock_filter` of <linux/filter.h>.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SockFilter {
    pub code: u16,
    /// Instructions to jump over if a condition holds, and if it does not.
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// Where one ring lies in its mapping: `struct xdp_ring_offset`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RingOffset {
    pub producer: u64,
    pub consumer: u64,
    pub desc: u64,
    pub flags: u64,
}

/// Where all rings lie: `struct xdp_mmap_offsets`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MmapOffsets {
    pub rx: RingOffset,
    pub tx: RingOffset,
    pub fill: RingOffset,
    pub comp: RingOffset,
}

/// Packet memory to register: `struct xdp_umem_reg`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct UmemReg {
    pub addr: u64,
    pub len: u64,
    pub chunk_size: u32,
    pub headroom: u32,
    pub flags: u32,
    pub tx_metadata_len: u32,
}

/// The kernel's counters: `struct xdp_statistics`. Before Linux 5.9 the first three.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    pub rx_dropped: u64,
    pub rx_invalid_descs: u64,
    pub tx_invalid_descs: u64,
    pub rx_ring_full: u64,
    pub rx_fill_ring_empty_descs: u64,
    pub tx_ring_empty_descs: u64,
}

/// `flags` word of a ring: the kernel sleeps and wants a system call.
pub const RING_NEED_WAKEUP: u32 = libc::XDP_RING_NEED_WAKEUP;

/// Room the kernel keeps in front of each received packet, before the UMEM's
/// own headroom: `XDP_PACKET_HEADROOM` of <linux/bpf.h>.
pub const PACKET_HEADROOM: u32 = 256;

/// Smallest chunk: `XDP_UMEM_MIN_CHUNK_SIZE` of the kernel's net/xdp/xdp_umem.c.
pub const MIN_CHUNK_SIZE: u32 = 2048;

/// `flags` of a UMEM: chunks lie anywhere.
pub const UMEM_UNALIGNED_CHUNKS: u32 = libc::XDP_UMEM_UNALIGNED_CHUNK_FLAG;

/// `flags` of a UMEM: the kernel sums up what packets ask for, in copy mode.
pub const UMEM_TX_SW_CSUM: u32 = 1 << 1;
/// `flags` of a UMEM: `tx_metadata_len` counts.
pub const UMEM_TX_METADATA_LEN: u32 = 1 << 2;

/// `options` of a descriptor: `XDP_TX_METADATA`, there is some in front of the packet.
pub const TX_METADATA: u32 = 1 << 1;

/// `flags` of `struct xsk_tx_metadata`: `XDP_TXMD_FLAGS_`.
pub const TXMD_TIMESTAMP: u64 = 1 << 0;
pub const TXMD_CHECKSUM: u64 = 1 << 1;
pub const TXMD_LAUNCH_TIME: u64 = 1 << 2;

pub const COPY: u16 = libc::XDP_COPY;
pub const ZEROCOPY: u16 = libc::XDP_ZEROCOPY;
pub const USE_NEED_WAKEUP: u16 = libc::XDP_USE_NEED_WAKEUP;
pub const SHARED_UMEM: u16 = libc::XDP_SHARED_UMEM;
/// `XDP_USE_SG`, since Linux 6.6: packets in several descriptors.
pub const USE_SG: u16 = 1 << 4;

/// `XDP_PKT_CONTD` in a descriptor's options: the packet goes on in the next one.
pub const PKT_CONTD: u32 = 1 << 0;

/// Least value of `MAX_SKB_FRAGS`, which a kernel is configured with: pages in a packet
/// of the network stack.
pub const SKB_FRAGS: u32 = 17;

// The kernel tells versions of these apart by their size alone.
const _: () = assert!(size_of::<Desc>() == size_of::<libc::xdp_desc>());
const _: () = assert!(size_of::<MmapOffsets>() == size_of::<libc::xdp_mmap_offsets>());
const _: () = assert!(size_of::<UmemReg>() == 32);
const _: () = assert!(size_of::<Statistics>() == size_of::<libc::xdp_statistics>());
