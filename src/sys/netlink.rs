//! Netlink: messages, and route netlink as far as XDP goes: what a link is, which
//! programs it has, attach, detach.

use alloc::vec::Vec;
use core::ffi::c_int;
use core::fmt;

use super::errno::check;
use super::text::Escaped;
use super::{Errno, OwnedFd, RawFd};

// <linux/if_link.h>
const IFLA_MTU: u16 = 4;
const IFLA_MAX_MTU: u16 = 51;
const IFLA_NUM_TX: u16 = 31;
const IFLA_NUM_RX: u16 = 32;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_EXPECTED_FD: u16 = 8;
// <linux/netlink.h>
const NETLINK_CAP_ACK: c_int = 10;
const NETLINK_EXT_ACK: c_int = 11;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLA_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;

const HEADER: usize = 16; // struct nlmsghdr
const IFINFO: usize = 16; // struct ifinfomsg
const ROOM: usize = 64 * 1024; // more than the kernel puts in one message

/// The program ids on an interface, 0 for none in that place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpIds {
    pub native: u32,
    pub generic: u32,
    pub hardware: u32,
}

impl XdpIds {
    /// The one program, or the native one of several.
    pub fn any(&self) -> Option<u32> {
        [self.native, self.generic, self.hardware].into_iter().find(|id| *id != 0)
    }
}

/// What the kernel tells of a link; None for what it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub xdp: XdpIds,
    /// `IFF_UP` and the like.
    pub flags: u32,
    pub mtu: Option<u32>,
    /// The largest MTU that can be set (Linux 4.19).
    pub max_mtu: Option<u32>,
    /// Queues it was made with, of the direction that has more: none above is in use.
    pub queues: Option<u32>,
}

impl Link {
    /// Somebody has set it up.
    pub fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// There is somebody at the other end.
    pub fn has_carrier(&self) -> bool {
        self.flags & libc::IFF_LOWER_UP as u32 != 0
    }
}

/// What the driver or the kernel says beside an errno; often empty.
#[derive(Clone, Copy)]
pub struct Words {
    bytes: [u8; 128],
    len: usize,
}

impl Words {
    /// Nothing said yet.
    pub fn none() -> Words {
        Words::new(b"")
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn new(text: &[u8]) -> Words {
        let (mut bytes, len) = ([0; 128], text.len().min(128));
        bytes.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        Words { bytes, len }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.bytes.get(..self.len).unwrap_or(&[]);
        if text.is_empty() { Ok(()) } else { write!(f, " (\"{}\")", Escaped(text)) }
    }
}

/// A netlink socket, in the network namespace of the thread that opened it wherever
/// threads go later.
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// Opens it; to ask needs no privilege.
    pub(super) fn open(protocol: c_int) -> Result<Channel, Errno> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: integers only.
        let fd = check(|| unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })
            .map(OwnedFd::adopt)?;
        for option in [NETLINK_CAP_ACK, NETLINK_EXT_ACK] {
            let (one, size) = (1 as c_int, size_of::<c_int>() as libc::socklen_t);
            let (level, from) = (libc::SOL_NETLINK, (&raw const one).cast());
            // A kernel that lacks one answers without words.
            // SAFETY: the kernel reads `size` bytes of `one`, which has that many.
            let _ = check(|| unsafe { libc::setsockopt(fd.raw(), level, option, from, size) });
        }
        Ok(Channel(fd))
    }
}

/// A socket to ask and change the links of a network namespace.
pub struct Route(Channel);

impl Route {
    /// Opens it; to ask needs no privilege.
    pub fn open() -> Result<Route, Errno> {
        Channel::open(libc::NETLINK_ROUTE).map(Route)
    }

    /// Asks what an interface is.
    pub fn link(&self, ifindex: u32) -> Result<Link, Errno> {
        parse(&Request::about_link(libc::RTM_GETLINK, 0, ifindex).send(&self.0)?)
    }

    /// Asks which programs are attached to an interface.
    pub fn xdp_ids(&self, ifindex: u32) -> Result<XdpIds, Errno> {
        self.link(ifindex).map(|link| link.xdp)
    }

    /// How many queues an interface was made with, of the direction that has more: no
    /// queue above is in use.
    pub fn queues(&self, ifindex: u32) -> Result<u32, Errno> {
        self.link(ifindex)?.queues.ok_or(Errno::EOPNOTSUPP)
    }

    /// Attaches a program to an interface, or detaches what is there where `prog` is
    /// -1. With XDP_FLAGS_REPLACE (Linux 5.7) only instead of the program `expected`.
    /// `words` gets what is said beside an errno.
    pub fn set_xdp(
        &self,
        ifindex: u32,
        prog: RawFd,
        flags: u32,
        expected: Option<RawFd>,
        words: &mut Words,
    ) -> Result<(), Errno> {
        let mut request = Request::about_link(libc::RTM_SETLINK, libc::NLM_F_ACK as u16, ifindex);
        let attributes = if expected.is_some() { 3 } else { 2 };
        request.put(&(4 + attributes * 8u16).to_ne_bytes());
        request.put(&(IFLA_XDP | NLA_NESTED).to_ne_bytes());
        request.put_u32(IFLA_XDP_FD, prog as u32);
        request.put_u32(IFLA_XDP_FLAGS, flags);
        if let Some(expected) = expected {
            request.put_u32(IFLA_XDP_EXPECTED_FD, expected as u32);
        }
        let answer = request.send(&self.0)?;
        match u32_at(&answer, HEADER).map(|errno| Errno::from_answer(errno as c_int)) {
            Some(None) => Ok(()),
            Some(Some(errno)) => {
                *words = said(&answer);
                Err(errno)
            }
            None => Err(Errno::EINVAL),
        }
    }
}

/// The text in an error message: behind the errno and the request's header.
fn said(answer: &[u8]) -> Words {
    let flags = u16_at(answer, 6).unwrap_or(0);
    let tail = answer.get(HEADER + 4 + HEADER..).filter(|_| flags & NLM_F_ACK_TLVS != 0);
    let message = tail.and_then(|tail| {
        Attributes(tail).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG).map(|(_, text)| text)
    });
    let text = message.unwrap_or(&[]);
    Words::new(text.strip_suffix(b"\0").unwrap_or(text))
}

/// A message, being written.
pub(super) struct Request {
    bytes: [u8; 64],
    len: usize,
}

impl Request {
    pub(super) fn new(kind: u16, flags: u16) -> Request {
        let mut request = Request { bytes: [0; 64], len: 0 };
        request.put(&0u32.to_ne_bytes()); // the length, in the end
        request.put(&kind.to_ne_bytes());
        request.put(&(libc::NLM_F_REQUEST as u16 | flags).to_ne_bytes());
        request.put(&[0; 8]); // sequence number and port: one request at a time
        request
    }

    fn about_link(kind: u16, flags: u16, ifindex: u32) -> Request {
        let mut request = Request::new(kind, flags);
        request.put(&[0; 4]); // struct ifinfomsg: family, type
        request.put(&ifindex.to_ne_bytes());
        request.put(&[0; 8]); // flags and change mask
        request
    }

    pub(super) fn put(&mut self, part: &[u8]) {
        if let Some(to) = self.bytes.get_mut(self.len..self.len + part.len()) {
            to.copy_from_slice(part);
            self.len += part.len();
        }
    }

    pub(super) fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(&8u16.to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(&value.to_ne_bytes());
    }

    /// Up to 40 bytes of any length, padded.
    pub(super) fn put_bytes(&mut self, kind: u16, value: &[u8]) {
        self.put(&(value.len() as u16 + 4).to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(value);
        self.len = self.len.next_multiple_of(4).min(self.bytes.len());
    }

    /// Sends it, and gives the first message of the answer.
    pub(super) fn send(&mut self, channel: &Channel) -> Result<Vec<u8>, Errno> {
        let len = self.len as u32;
        if let Some(to) = self.bytes.get_mut(..4) {
            to.copy_from_slice(&len.to_ne_bytes());
        }
        let request = self.bytes.get(..self.len).unwrap_or(&[]);
        // SAFETY: the kernel reads the request's bytes.
        check(|| unsafe {
            libc::send(channel.0.raw(), request.as_ptr().cast(), request.len(), 0) as c_int
        })?;

        let mut answer: Vec<u8> = Vec::new();
        answer.try_reserve_exact(ROOM).map_err(|_| Errno::ENOMEM)?;
        answer.resize(ROOM, 0);
        // SAFETY: the kernel writes at most `ROOM` bytes, and `answer` has them. It
        // has answered when `send` returns, so this does not wait.
        let len = check(|| unsafe {
            libc::recv(channel.0.raw(), answer.as_mut_ptr().cast(), ROOM, libc::MSG_DONTWAIT)
                as c_int
        })?;
        answer.truncate(len as usize);
        Ok(answer)
    }
}

/// What is behind the header of the kernel's answer, and the error that it may be.
pub(super) fn payload(message: &[u8]) -> Result<&[u8], Errno> {
    let kind = u16_at(message, 4).ok_or(Errno::EINVAL)?;
    if kind == libc::NLMSG_ERROR as u16 {
        let answer = u32_at(message, HEADER).ok_or(Errno::EINVAL)? as c_int;
        return Err(Errno::from_answer(answer).unwrap_or(Errno::EINVAL));
    }
    message.get(HEADER..).ok_or(Errno::EINVAL)
}

fn parse(message: &[u8]) -> Result<Link, Errno> {
    let payload = payload(message)?;
    let attributes = payload.get(IFINFO..).ok_or(Errno::EINVAL)?;
    let mut link = Link { flags: u32_at(payload, 8).unwrap_or(0), ..Link::default() };
    for (kind, value) in Attributes(attributes) {
        match kind {
            IFLA_MTU => link.mtu = u32_at(value, 0),
            IFLA_MAX_MTU => link.max_mtu = u32_at(value, 0).filter(|max| *max != 0),
            IFLA_NUM_TX | IFLA_NUM_RX => link.queues = link.queues.max(u32_at(value, 0)),
            IFLA_XDP => link.xdp = parse_xdp(value),
            _ => {}
        }
    }
    Ok(link)
}

fn parse_xdp(xdp: &[u8]) -> XdpIds {
    let mut ids = XdpIds::default();
    let (mut attached, mut only) = (0, 0);
    for (kind, value) in Attributes(xdp) {
        match kind {
            IFLA_XDP_ATTACHED => attached = value.first().copied().unwrap_or(0),
            IFLA_XDP_PROG_ID => only = u32_at(value, 0).unwrap_or(0),
            IFLA_XDP_DRV_PROG_ID => ids.native = u32_at(value, 0).unwrap_or(0),
            IFLA_XDP_SKB_PROG_ID => ids.generic = u32_at(value, 0).unwrap_or(0),
            IFLA_XDP_HW_PROG_ID => ids.hardware = u32_at(value, 0).unwrap_or(0),
            _ => {}
        }
    }
    // Kernels before 4.19 name the one program without its place.
    if ids.any().is_none() {
        match attached {
            2 => ids.generic = only,
            3 => ids.hardware = only,
            _ => ids.native = only,
        }
    }
    ids
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The attributes in a message or in an attribute; ends at what makes no sense.
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & NLA_TYPE_MASK;
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(((value.len() + 4) as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + IFINFO];
        bytes[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
        bytes.extend(attributes);
        bytes
    }

    #[test]
    fn finds_the_programs_behind_other_attributes() {
        let mut inner = attribute(IFLA_XDP_ATTACHED, &[2]);
        inner.extend(attribute(IFLA_XDP_PROG_ID, &7u32.to_ne_bytes()));
        inner.extend(attribute(IFLA_XDP_SKB_PROG_ID, &7u32.to_ne_bytes()));
        let mut outer = attribute(3, b"veth0\0");
        outer.extend(attribute(IFLA_XDP | 0x8000, &inner));
        let ids = parse(&message(&outer)).unwrap().xdp;
        assert_eq!(ids, XdpIds { generic: 7, ..XdpIds::default() });
        assert_eq!(ids.any(), Some(7));
    }

    #[test]
    fn an_interface_without_a_program_and_a_cut_message_have_none() {
        assert_eq!(parse(&message(&attribute(3, b"lo\0"))).unwrap().xdp.any(), None);
        let cut = message(&[40, 0, 43, 0, 1]);
        assert_eq!(parse(&cut).unwrap().xdp.any(), None);
        assert_eq!(parse(&[0; 8]), Err(Errno::EINVAL));
    }

    #[test]
    fn an_error_message_is_that_error() {
        let mut bytes = vec![0; HEADER + 4];
        bytes[4..6].copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        bytes[HEADER..].copy_from_slice(&(-libc::ENODEV).to_ne_bytes());
        assert_eq!(parse(&bytes), Err(Errno::ENODEV));
    }

    #[test]
    fn the_kernel_answers_for_the_loopback_interface() {
        let route = Route::open().unwrap();
        assert_eq!(route.xdp_ids(1).map(|ids| ids.hardware), Ok(0));
        assert_eq!(route.queues(1), Ok(1), "the same socket serves again");
        assert_eq!(route.link(1).map(|link| link.mtu.is_some()), Ok(true));
    }
}
