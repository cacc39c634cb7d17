//! What follows from the facts: each verdict yes, no, or unknown.

use crate::sys::abi::PACKET_HEADROOM;
use crate::sys::genetlink::{self as netdev, Features};
use crate::sys::netdev::Driver;
use crate::sys::netlink::Link;
use crate::sys::process;
use crate::xsk::probe::answers::{Answers, Question};
use crate::xsk::probe::kernel::Feature;

const ETHERNET_HEADER: u32 = 14;
/// `sizeof(struct skb_shared_info)`, rounded up, which drivers keep behind a packet.
const SHARED_INFO: u32 = 320;
/// What every driver with native XDP has room for.
const USUAL_MTU: u32 = 1500;
/// The default size of a frame.
const FRAME_SIZE: u32 = 4096;

/// The largest MTUs whose packets fit.
#[derive(Clone, Copy, Debug)]
pub struct MtuLimits {
    /// Into one frame of the default size, in any mode.
    pub frame: u32,
    /// Into a page of a driver, which keeps room in front and behind for a native
    /// program that takes no packets in several buffers.
    pub native: u32,
}

impl MtuLimits {
    /// Those of this machine.
    pub(super) fn here() -> MtuLimits {
        let page = process::page_size() as u32;
        let fits = |room: u32| room.saturating_sub(PACKET_HEADROOM + ETHERNET_HEADER);
        MtuLimits { frame: fits(FRAME_SIZE), native: fits(page.saturating_sub(SHARED_INFO)) }
    }
}

/// What this process can do on an interface, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Create AF_XDP sockets.
    Open,
    /// Load XDP programs and make their maps.
    Load,
    /// Run the default program in the driver at the MTU there is.
    Native,
    ZeroCopy,
    /// Receive packets longer than a frame, in several descriptors, by mode.
    JumboGeneric,
    JumboNative,
    JumboZeroCopy,
}

impl Question for Verdict {
    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Draws the verdicts that follow from facts.
#[cold]
pub(super) fn draw(
    verdicts: &mut Answers<Verdict>,
    driver: Option<&Driver>,
    link: &Link,
    features: &Features,
    kernel: &Answers<Feature>,
    limits: &MtuLimits,
) {
    let has = |bits| features.xdp.map(|xdp| xdp & bits == bits);
    let runs_one = (link.xdp.native != 0).then_some(true);
    let native = has(netdev::XDP_ACT_BASIC | netdev::XDP_ACT_REDIRECT);
    let name = driver.map_or(&[][..], |driver| &driver.name);
    let native = runs_one.or(both(native, fits(name, link.mtu, limits)));
    verdicts.note(Verdict::Native, native);

    let zero_copy = has(netdev::XDP_ACT_XSK_ZEROCOPY);
    verdicts.note(Verdict::ZeroCopy, zero_copy);

    let jumbo = kernel.get(Feature::MultiBuffer);
    verdicts.note(Verdict::JumboGeneric, jumbo);
    verdicts.note(Verdict::JumboNative, both(jumbo, has(netdev::XDP_ACT_RX_SG)));
    let several = features.zero_copy_max_segments.map(|most| most > 1);
    let several = if zero_copy == Some(false) { zero_copy } else { several };
    verdicts.note(Verdict::JumboZeroCopy, both(jumbo, several));
}

/// No if one is no, and unknown rather than yes if one is unknown.
fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Whether a driver, by its name and a NUL, takes a native program for packets in one
/// buffer at that MTU. Nobody tells the limits of drivers; some are known.
fn fits(driver: &[u8], mtu: Option<u32>, limits: &MtuLimits) -> Option<bool> {
    let mtu = mtu?;
    let is_within = mtu <= limits.native;
    if mtu <= USUAL_MTU || is_within && driver.starts_with(b"virtio_net\0") {
        return Some(true);
    }
    driver.starts_with(b"veth\0").then_some(is_within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::XdpIds;

    const LIMITS: MtuLimits = MtuLimits { frame: 3826, native: 3506 };

    const LINK: Link = Link {
        xdp: XdpIds { native: 0, generic: 0, hardware: 0 },
        flags: 0,
        mtu: Some(1500),
        max_mtu: None,
        queues: None,
    };

    fn drawn(features: Features, multi_buffer: Option<bool>, link: &Link) -> Answers<Verdict> {
        let (mut kernel, mut verdicts) = (Answers::default(), Answers::default());
        kernel.note(Feature::MultiBuffer, multi_buffer);
        draw(&mut verdicts, None, link, &features, &kernel, &LIMITS);
        verdicts
    }

    #[test]
    fn an_old_kernel_leaves_all_unknown_but_what_is_there() {
        assert_eq!(drawn(Features::default(), None, &LINK).known, 0);
        let runs_one = Link { xdp: XdpIds { native: 7, generic: 0, hardware: 0 }, ..LINK };
        let told = drawn(Features::default(), Some(false), &runs_one);
        assert_eq!(told.get(Verdict::Native), Some(true));
        assert_eq!(told.get(Verdict::ZeroCopy), None);
        assert_eq!(told.get(Verdict::JumboGeneric), Some(false));
        assert_eq!(told.get(Verdict::JumboNative), Some(false));
    }

    #[test]
    fn jumbo_packets_need_kernel_and_driver() {
        use Verdict::*;
        let told = |xdp, segments, kernel| {
            let features =
                Features { xdp: Some(xdp), zero_copy_max_segments: segments, ..Default::default() };
            let told = drawn(features, Some(kernel), &LINK);
            [ZeroCopy, JumboGeneric, JumboNative, JumboZeroCopy].map(|v| told.get(v).unwrap())
        };
        assert_eq!(told(0b0000011, None, true), [false, true, false, false]);
        assert_eq!(told(0b0100011, None, true), [false, true, true, false]);
        assert_eq!(told(0b0101011, Some(1), true), [true, true, true, false]);
        assert_eq!(told(0b0101011, Some(17), true), [true, true, true, true]);
        assert_eq!(told(0b0101011, Some(17), false), [true, false, false, false]);
    }

    #[test]
    fn the_limit_of_an_mtu_is_said_where_it_is_known() {
        assert_eq!(fits(b"igb\0", Some(1500), &LIMITS), Some(true));
        assert_eq!(fits(b"igb\0", Some(3506), &LIMITS), None);
        assert_eq!(fits(b"veth\0\0", Some(3506), &LIMITS), Some(true));
        assert_eq!(fits(b"veth\0\0", Some(3507), &LIMITS), Some(false));
        assert_eq!(fits(b"virtio_net\0", Some(3506), &LIMITS), Some(true));
        assert_eq!(fits(b"virtio_net\0", Some(3507), &LIMITS), None);
        assert_eq!(fits(b"veth\0\0", None, &LIMITS), None);
    }
}
