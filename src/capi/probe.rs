//! What an interface and the kernel offer, for C programs.

use core::ffi::{CStr, c_char, c_int};

use super::{Sized32, guard, null, put, write_info};
use crate::xsk::probe::{self, Caps, Feature, Verdict};

/// `xsk_caps.known`: the driver has told its name.
pub const XSK_CAPS_DRIVER: u32 = 1 << 0;
/// `xsk_caps.known`: the driver has told its queues. Without it `queues` is with how
/// many the interface was made, of which some may be off.
pub const XSK_CAPS_QUEUES: u32 = 1 << 1;
/// `xsk_caps.known`: the driver has told the sizes of its rings.
pub const XSK_CAPS_RINGS: u32 = 1 << 2;
/// `xsk_caps.known`: the kernel has told `xdp_features` (Linux 6.3).
pub const XSK_CAPS_XDP_FEATURES: u32 = 1 << 3;
/// `xsk_caps.known`: the kernel has told `zc_max_segs` (Linux 6.6, for drivers with
/// zero-copy).
pub const XSK_CAPS_ZC_MAX_SEGS: u32 = 1 << 4;
/// `xsk_caps.known`: the kernel has told `rx_metadata` (Linux 6.7).
pub const XSK_CAPS_RX_METADATA: u32 = 1 << 5;
/// `xsk_caps.known`: the kernel has told `tx_metadata` (Linux 6.8).
pub const XSK_CAPS_TX_METADATA: u32 = 1 << 6;

/// `xsk_caps.xdp_features`: the driver runs native programs that pass, drop or send
/// back. The bits are those of enum netdev_xdp_act in <linux/netdev.h>.
pub const XSK_CAPS_XDP_BASIC: u64 = 1 << 0;
/// `xsk_caps.xdp_features`: ... and that redirect, as to an AF_XDP socket.
pub const XSK_CAPS_XDP_REDIRECT: u64 = 1 << 1;
/// `xsk_caps.xdp_features`: it sends what others redirect to it.
pub const XSK_CAPS_XDP_NDO_XMIT: u64 = 1 << 2;
/// `xsk_caps.xdp_features`: AF_XDP in zero-copy mode.
pub const XSK_CAPS_XDP_ZEROCOPY: u64 = 1 << 3;
/// `xsk_caps.xdp_features`: the device itself runs programs.
pub const XSK_CAPS_XDP_HW_OFFLOAD: u64 = 1 << 4;
/// `xsk_caps.xdp_features`: native programs see packets in several buffers.
pub const XSK_CAPS_XDP_RX_SG: u64 = 1 << 5;
/// `xsk_caps.xdp_features`: it sends such packets when others redirect them to it.
pub const XSK_CAPS_XDP_NDO_XMIT_SG: u64 = 1 << 6;

/// `xsk_caps.rx_metadata`: native programs can ask for the hardware's timestamp. The
/// bits are those of enum netdev_xdp_rx_metadata in <linux/netdev.h>.
pub const XSK_CAPS_RX_TIMESTAMP: u64 = 1 << 0;
/// `xsk_caps.rx_metadata`: for the RSS hash.
pub const XSK_CAPS_RX_HASH: u64 = 1 << 1;
/// `xsk_caps.rx_metadata`: for a VLAN tag that the device has taken off.
pub const XSK_CAPS_RX_VLAN_TAG: u64 = 1 << 2;

/// `xsk_caps.tx_metadata`: in zero-copy mode, the time of sending in the completion.
/// The bits are those of enum netdev_xsk_flags in <linux/netdev.h>. In copy mode the
/// kernel does what XSK_KERNEL_TX_METADATA stands for, whatever the driver.
pub const XSK_CAPS_TX_TIMESTAMP: u64 = 1 << 0;
/// `xsk_caps.tx_metadata`: in zero-copy mode, checksums by the device.
pub const XSK_CAPS_TX_CHECKSUM: u64 = 1 << 1;
/// `xsk_caps.tx_metadata`: sending at a given time.
pub const XSK_CAPS_TX_LAUNCH_TIME: u64 = 1 << 2;

/// `xsk_caps.kernel`: it has AF_XDP sockets.
pub const XSK_KERNEL_AF_XDP: u32 = 1 << 0;
/// `xsk_caps.kernel`: ring flags that ask for kicks (Linux 5.4).
pub const XSK_KERNEL_NEED_WAKEUP: u32 = 1 << 1;
/// `xsk_caps.kernel`: chunks of any size at any place in the UMEM (Linux 5.4).
pub const XSK_KERNEL_UNALIGNED: u32 = 1 << 2;
/// `xsk_caps.kernel`: a UMEM shared between queues and interfaces (Linux 5.10).
pub const XSK_KERNEL_SHARED_UMEM: u32 = 1 << 3;
/// `xsk_caps.kernel`: XDP programs on BPF links, which leave with their process however
/// that ends (Linux 5.9). Without them a program stays when its process is killed.
pub const XSK_KERNEL_XDP_LINK: u32 = 1 << 4;
/// `xsk_caps.kernel`: SO_PREFER_BUSY_POLL and SO_BUSY_POLL_BUDGET (Linux 5.11).
pub const XSK_KERNEL_BUSY_POLL: u32 = 1 << 5;
/// `xsk_caps.kernel`: network namespaces have numbers, by which this library tells
/// interfaces of one index apart (Linux 5.14).
pub const XSK_KERNEL_NETNS_COOKIE: u32 = 1 << 6;
/// `xsk_caps.kernel`: packets in several descriptors, XDP_USE_SG (Linux 6.6).
pub const XSK_KERNEL_SG: u32 = 1 << 7;
/// `xsk_caps.kernel`: metadata in front of packets to send (Linux 6.8).
pub const XSK_KERNEL_TX_METADATA: u32 = 1 << 8;
/// `xsk_caps.kernel`: checksums by the kernel in copy mode, XDP_UMEM_TX_SW_CSUM.
pub const XSK_KERNEL_SW_CSUM: u32 = 1 << 9;
/// `xsk_caps.kernel`: XDP_MAX_TX_SKB_BUDGET (Linux 6.17).
pub const XSK_KERNEL_TX_BUDGET: u32 = 1 << 10;
/// `xsk_caps.kernel`: /sys/kernel/btf/vmlinux can be read, without which no program
/// asks drivers for RX metadata.
pub const XSK_KERNEL_BTF: u32 = 1 << 11;

/// `xsk_caps.can`: this process may create AF_XDP sockets.
pub const XSK_CAN_OPEN: u32 = 1 << 0;
/// `xsk_caps.can`: this process may load XDP programs and make their maps.
pub const XSK_CAN_LOAD: u32 = 1 << 1;
/// `xsk_caps.can`: the driver runs the default program (native mode) at this MTU.
/// Limits of the MTU above 1500 are known of veth and virtio_net only.
pub const XSK_CAN_DRV: u32 = 1 << 2;
/// `xsk_caps.can`: the driver offers zero-copy. It may still refuse it, as for the
/// sizes of frames or for a virtual IOMMU that is missing.
pub const XSK_CAN_ZEROCOPY: u32 = 1 << 3;
/// `xsk_caps.can`: packets longer than a frame can be received in generic mode, in
/// several descriptors.
pub const XSK_CAN_JUMBO_SKB: u32 = 1 << 4;
/// `xsk_caps.can`: the same in native mode, with a program for such packets.
pub const XSK_CAN_JUMBO_DRV: u32 = 1 << 5;
/// `xsk_caps.can`: the same in zero-copy mode.
pub const XSK_CAN_JUMBO_ZEROCOPY: u32 = 1 << 6;

// The core's questions have these bits.
const _: () = assert!(XSK_KERNEL_AF_XDP == 1 << Feature::AfXdp as u32);
const _: () = assert!(XSK_KERNEL_NEED_WAKEUP == 1 << Feature::NeedWakeup as u32);
const _: () = assert!(XSK_KERNEL_UNALIGNED == 1 << Feature::UnalignedChunks as u32);
const _: () = assert!(XSK_KERNEL_SHARED_UMEM == 1 << Feature::SharedUmem as u32);
const _: () = assert!(XSK_KERNEL_XDP_LINK == 1 << Feature::XdpLink as u32);
const _: () = assert!(XSK_KERNEL_BUSY_POLL == 1 << Feature::BusyPoll as u32);
const _: () = assert!(XSK_KERNEL_NETNS_COOKIE == 1 << Feature::NetnsCookie as u32);
const _: () = assert!(XSK_KERNEL_SG == 1 << Feature::MultiBuffer as u32);
const _: () = assert!(XSK_KERNEL_TX_METADATA == 1 << Feature::TxMetadata as u32);
const _: () = assert!(XSK_KERNEL_SW_CSUM == 1 << Feature::SoftwareChecksum as u32);
const _: () = assert!(XSK_KERNEL_TX_BUDGET == 1 << Feature::TxBudget as u32);
const _: () = assert!(XSK_KERNEL_BTF == 1 << Feature::Btf as u32);
const _: () = assert!(XSK_CAN_OPEN == 1 << Verdict::Open as u32);
const _: () = assert!(XSK_CAN_LOAD == 1 << Verdict::Load as u32);
const _: () = assert!(XSK_CAN_DRV == 1 << Verdict::Native as u32);
const _: () = assert!(XSK_CAN_ZEROCOPY == 1 << Verdict::ZeroCopy as u32);
const _: () = assert!(XSK_CAN_JUMBO_SKB == 1 << Verdict::JumboGeneric as u32);
const _: () = assert!(XSK_CAN_JUMBO_DRV == 1 << Verdict::JumboNative as u32);
const _: () = assert!(XSK_CAN_JUMBO_ZEROCOPY == 1 << Verdict::JumboZeroCopy as u32);

/// `xsk_caps_program.mode`: it runs in the device. The others: XSK_MODE_SKB and
/// XSK_MODE_DRV.
pub const XSK_MODE_HW: u32 = 3;

/// An XDP program on an interface.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct xsk_caps_program {
    /// Its id (bpftool prog).
    pub id: u32,
    /// XSK_MODE_DRV, XSK_MODE_SKB or XSK_MODE_HW.
    pub mode: u32,
    /// Its name, "xsk_default" for this library's ("xsk_default_sg" with XSK_BIND_SG);
    /// empty if that is unknown, since CAP_SYS_ADMIN is missing, or if it has none.
    pub name: [c_char; 16],
}

/// What an interface offers, and the kernel. A bit that is set says yes; whether one
/// that is not set says no, or that nobody knows, is told by the word beside it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct xsk_caps {
    /// sizeof(struct xsk_caps), set by the caller.
    pub size: u32,
    /// The interface's index.
    pub ifindex: u32,
    /// Its name.
    pub ifname: [c_char; 16],
    /// The driver's name, such as "veth"; empty if it is unknown.
    pub driver: [c_char; 32],
    /// Where the device is, such as "0000:00:03.0"; empty if it is nowhere.
    pub bus: [c_char; 32],
    /// XSK_CAPS_...: which of the members that say so are known.
    pub known: u32,
    /// 1 if the interface is up (ip link set up).
    pub up: u32,
    /// 1 if there is a carrier: a cable with somebody at its other end.
    pub carrier: u32,
    /// The NUMA node of the device; -1 if it has none, or it is unknown.
    pub numa_node: i32,
    /// The MTU at present, in bytes without the Ethernet header.
    pub mtu: u32,
    /// The largest that can be set; 0 if it is unknown.
    pub mtu_max: u32,
    /// The largest whose packets fit into one frame of 4096 bytes, in any mode.
    pub mtu_frame: u32,
    /// The largest at which drivers that give a packet one page take a native program
    /// that does not know of several buffers, as the default one. Some drivers take
    /// less, a few more. That of a veth depends on the MTU of its other end.
    pub mtu_native: u32,
    /// Queues that can be bound are 0 to queues - 1; see XSK_CAPS_QUEUES.
    pub queues: u32,
    /// The same when all that the device has are on (ethtool -L).
    pub queues_max: u32,
    /// The device's RX ring, in descriptors; with XSK_CAPS_RINGS, like the next three.
    pub rx_ring: u32,
    /// The largest that can be set (ethtool -G).
    pub rx_ring_max: u32,
    /// The device's TX ring.
    pub tx_ring: u32,
    /// The largest that can be set.
    pub tx_ring_max: u32,
    /// Descriptors that one packet may have in zero-copy mode; with
    /// XSK_CAPS_ZC_MAX_SEGS.
    pub zc_max_segs: u32,
    /// How many of programs[] there are.
    pub program_count: u32,
    /// The XDP programs on it.
    pub programs: [xsk_caps_program; 3],
    /// XSK_CAPS_XDP_..., with XSK_CAPS_XDP_FEATURES.
    pub xdp_features: u64,
    /// XSK_CAPS_RX_..., with XSK_CAPS_RX_METADATA.
    pub rx_metadata: u64,
    /// XSK_CAPS_TX_..., with XSK_CAPS_TX_METADATA.
    pub tx_metadata: u64,
    /// XSK_KERNEL_...: what the kernel can do.
    pub kernel: u32,
    /// Which of these are known, yes or no. Most are not if XSK_CAN_OPEN is not set.
    pub kernel_known: u32,
    /// XSK_CAN_...: what follows from all that.
    pub can: u32,
    /// Which of these are known, yes or no.
    pub can_known: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_caps {
    const NAME: &'static str = "xsk_caps";
}

/// Finds out what an interface offers to AF_XDP, and what the kernel can do.
///
/// Nothing on the interface is changed, and no socket is bound to it. What the kernel
/// can do is tried on sockets and maps that are closed again. A process without
/// privileges is told the same of the interface but for the names of programs; of
/// the kernel what can be tried without a socket.
///
/// @param[in]  ifname  the interface, in this thread's network namespace
/// @param[out] caps    its `size` set by the caller; the rest is filled in
/// @retval 0        done; what nobody tells is marked as unknown
/// @retval -EINVAL  a pointer is NULL, caps->size is not set, or ifname is no name
/// @retval -ENODEV  no interface has that name
/// @retval -EMFILE  no file descriptor is left
/// @note Threads: any. May sleep for some milliseconds. Linux 5.4; what tells more
///       is noted with each flag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_probe(ifname: *const c_char, caps: *mut xsk_caps) -> c_int {
    guard(|| {
        if ifname.is_null() {
            return null("ifname");
        }
        // SAFETY: not NULL, and a string, as documented.
        let ifname = unsafe { CStr::from_ptr(ifname) };
        let told = translate(&probe::probe(ifname.to_bytes())?);
        // SAFETY: NULL or writable for its size, as documented.
        unsafe { write_info(caps, told) }
    })
}

fn translate(caps: &Caps) -> xsk_caps {
    let features = &caps.features;
    let bit = |bit, told: bool| if told { bit } else { 0 };
    let known = bit(XSK_CAPS_DRIVER, caps.driver.is_some())
        | bit(XSK_CAPS_QUEUES, caps.channels.is_some())
        | bit(XSK_CAPS_RINGS, caps.rings.is_some())
        | bit(XSK_CAPS_XDP_FEATURES, features.xdp.is_some())
        | bit(XSK_CAPS_ZC_MAX_SEGS, features.zero_copy_max_segments.is_some())
        | bit(XSK_CAPS_RX_METADATA, features.rx_metadata.is_some())
        | bit(XSK_CAPS_TX_METADATA, features.tx_metadata.is_some());
    let rings = caps.rings.unwrap_or_default();
    let mut told = xsk_caps {
        size: 0,
        ifindex: caps.ifindex,
        known,
        up: caps.link.is_up().into(),
        carrier: caps.link.has_carrier().into(),
        numa_node: caps.numa_node.map_or(-1, |node| node as i32),
        mtu: caps.link.mtu.unwrap_or(0),
        mtu_max: caps.link.max_mtu.unwrap_or(0),
        mtu_frame: caps.limits.frame,
        mtu_native: caps.limits.native,
        queues: caps.queues(),
        queues_max: caps.most_queues(),
        rx_ring: rings.rx,
        rx_ring_max: rings.rx_max,
        tx_ring: rings.tx,
        tx_ring_max: rings.tx_max,
        zc_max_segs: features.zero_copy_max_segments.unwrap_or(0),
        xdp_features: features.xdp.unwrap_or(0),
        rx_metadata: features.rx_metadata.unwrap_or(0),
        tx_metadata: features.tx_metadata.unwrap_or(0),
        kernel: caps.kernel.yes,
        kernel_known: caps.kernel.known,
        can: caps.verdicts.yes,
        can_known: caps.verdicts.known,
        ..xsk_caps::default()
    };
    put(&mut told.ifname, caps.ifname.bytes());
    if let Some(driver) = &caps.driver {
        put(&mut told.driver, &driver.name);
        put(&mut told.bus, &driver.bus);
    }
    let modes = [super::XSK_MODE_DRV, super::XSK_MODE_SKB, XSK_MODE_HW];
    let attached = caps.programs.iter().zip(modes).filter(|(program, _)| program.id != 0);
    for (to, (program, mode)) in told.programs.iter_mut().zip(attached) {
        (to.id, to.mode) = (program.id, mode);
        put(&mut to.name, &program.name.0);
        told.program_count += 1;
    }
    told
}
