//! Generic netlink, as far as the family "netdev" goes: what a driver can do with XDP.

use super::Errno;
use super::netlink::{Attributes, Channel, Request, payload, u16_at, u32_at};

// <linux/genetlink.h>
const ID_CTRL: u16 = 0x10;
const CMD_GETFAMILY: u8 = 3;
const ATTR_FAMILY_ID: u16 = 1;
const ATTR_FAMILY_NAME: u16 = 2;
// <linux/netdev.h>
const FAMILY: &[u8] = b"netdev\0";
const CMD_DEV_GET: u8 = 1;
const DEV_IFINDEX: u16 = 1;
const DEV_XDP_FEATURES: u16 = 3;
const DEV_XDP_ZC_MAX_SEGS: u16 = 4;
const DEV_XDP_RX_METADATA_FEATURES: u16 = 5;
const DEV_XSK_FEATURES: u16 = 6;

const HEADER: usize = 4; // struct genlmsghdr: command, version, two of zero

/// `NETDEV_XDP_ACT_`: native programs, what they may answer, zero-copy, and packets
/// in several buffers.
pub const XDP_ACT_BASIC: u64 = 1 << 0;
pub const XDP_ACT_REDIRECT: u64 = 1 << 1;
pub const XDP_ACT_XSK_ZEROCOPY: u64 = 1 << 3;
pub const XDP_ACT_RX_SG: u64 = 1 << 5;

/// What a driver tells of itself, as the kernel's flag words; None for what this
/// kernel does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `NETDEV_XDP_ACT_` (Linux 6.3).
    pub xdp: Option<u64>,
    /// Descriptors of one packet in zero-copy mode (Linux 6.6); drivers with it only.
    pub zero_copy_max_segments: Option<u32>,
    /// `NETDEV_XDP_RX_METADATA_` (Linux 6.7).
    pub rx_metadata: Option<u64>,
    /// `NETDEV_XSK_FLAGS_` (Linux 6.8).
    pub tx_metadata: Option<u64>,
}

/// Asks what the driver of an interface can do; ENOENT before Linux 6.3.
#[cold]
pub fn features(ifindex: u32) -> Result<Features, Errno> {
    let channel = Channel::open(libc::NETLINK_GENERIC)?;
    let mut request = command(ID_CTRL, CMD_GETFAMILY);
    request.put_bytes(ATTR_FAMILY_NAME, FAMILY);
    let answer = request.send(&channel)?;
    let family = attributes(&answer)?.find(|(kind, _)| *kind == ATTR_FAMILY_ID);
    let family = family.and_then(|(_, value)| u16_at(value, 0)).ok_or(Errno::ENOENT)?;

    let mut request = command(family, CMD_DEV_GET);
    request.put_u32(DEV_IFINDEX, ifindex);
    parse(&request.send(&channel)?)
}

fn command(family: u16, command: u8) -> Request {
    let mut request = Request::new(family, 0);
    request.put(&[command, 1, 0, 0]);
    request
}

fn attributes(answer: &[u8]) -> Result<Attributes<'_>, Errno> {
    payload(answer)?.get(HEADER..).map(Attributes).ok_or(Errno::EINVAL)
}

fn parse(answer: &[u8]) -> Result<Features, Errno> {
    let mut features = Features::default();
    for (kind, value) in attributes(answer)? {
        let word = || Some(u64::from_ne_bytes(value.try_into().ok()?));
        match kind {
            DEV_XDP_FEATURES => features.xdp = word(),
            DEV_XDP_ZC_MAX_SEGS => features.zero_copy_max_segments = u32_at(value, 0),
            DEV_XDP_RX_METADATA_FEATURES => features.rx_metadata = word(),
            DEV_XSK_FEATURES => features.tx_metadata = word(),
            _ => {}
        }
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 16 + HEADER];
        bytes[4..6].copy_from_slice(&0x1fu16.to_ne_bytes());
        for (kind, value) in attributes {
            bytes.extend((value.len() as u16 + 4).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn what_a_kernel_does_not_tell_is_none_and_not_zero() {
        let xdp = 0x7f_u64.to_ne_bytes();
        let told = parse(&answer(&[(1, &[2, 0, 0, 0]), (2, &[]), (3, &xdp)])).unwrap();
        assert_eq!(told, Features { xdp: Some(0x7f), ..Features::default() });
        let zero = [0; 8];
        let told = parse(&answer(&[(3, &zero), (4, &[8, 0, 0, 0]), (5, &zero), (6, &zero)]));
        let told = told.unwrap();
        assert_eq!((told.xdp, told.rx_metadata, told.tx_metadata), (Some(0), Some(0), Some(0)));
        assert_eq!(told.zero_copy_max_segments, Some(8));
    }

    #[test]
    fn a_flag_word_of_another_length_is_not_told() {
        assert_eq!(parse(&answer(&[(3, &[1, 0, 0, 0])])), Ok(Features::default()));
        assert_eq!(parse(&[0; 18]), Err(Errno::EINVAL));
    }

    #[test]
    fn the_kernel_tells_of_the_loopback_interface_or_has_no_such_family() {
        match features(1) {
            Ok(told) => assert!(told.xdp.is_some()),
            Err(e) => assert_eq!(e, Errno::ENOENT),
        }
    }
}
