//! Route netlink, as far as it tells which XDP program an interface has.

use alloc::vec::Vec;
use core::ffi::c_int;

use super::errno::check;
use super::{Errno, OwnedFd};

// <linux/if_link.h>
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;
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

/// Asks which programs are attached to an interface of this thread's namespace.
pub fn xdp_ids(ifindex: u32) -> Result<XdpIds, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: integers only.
    let fd = check(|| unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })
        .map(OwnedFd::adopt)?;
    let request = getlink(ifindex);
    // SAFETY: the kernel reads the request's bytes.
    check(|| unsafe { libc::send(fd.raw(), request.as_ptr().cast(), request.len(), 0) as c_int })?;

    let mut answer: Vec<u8> = Vec::new();
    answer.try_reserve_exact(ROOM).map_err(|_| Errno::ENOMEM)?;
    answer.resize(ROOM, 0);
    // SAFETY: the kernel writes at most `ROOM` bytes, and `answer` has them. It has
    // answered when `send` returns, so this does not wait.
    let len = check(|| unsafe {
        libc::recv(fd.raw(), answer.as_mut_ptr().cast(), ROOM, libc::MSG_DONTWAIT) as c_int
    })?;
    parse(answer.get(..len as usize).ok_or(Errno::EINVAL)?)
}

fn getlink(ifindex: u32) -> [u8; HEADER + IFINFO] {
    let mut request = [0; HEADER + IFINFO];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = request.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    put(0, &((HEADER + IFINFO) as u32).to_ne_bytes());
    put(4, &libc::RTM_GETLINK.to_ne_bytes());
    put(6, &(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    put(HEADER + 4, &ifindex.to_ne_bytes());
    request
}

fn parse(message: &[u8]) -> Result<XdpIds, Errno> {
    let kind = u16_at(message, 4).ok_or(Errno::EINVAL)?;
    if kind == libc::NLMSG_ERROR as u16 {
        let answer = u32_at(message, HEADER).ok_or(Errno::EINVAL)? as c_int;
        return Err(Errno::from_answer(answer).unwrap_or(Errno::EINVAL));
    }
    let mut ids = XdpIds::default();
    let attributes = message.get(HEADER + IFINFO..).ok_or(Errno::EINVAL)?;
    let Some((_, xdp)) = Attributes(attributes).find(|(kind, _)| *kind == IFLA_XDP) else {
        return Ok(ids);
    };
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
    Ok(ids)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The attributes in a message or in an attribute; ends at what makes no sense.
struct Attributes<'a>(&'a [u8]);

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
        let ids = parse(&message(&outer)).unwrap();
        assert_eq!(ids, XdpIds { generic: 7, ..XdpIds::default() });
        assert_eq!(ids.any(), Some(7));
    }

    #[test]
    fn an_interface_without_a_program_and_a_cut_message_have_none() {
        assert_eq!(parse(&message(&attribute(3, b"lo\0"))).unwrap().any(), None);
        let cut = message(&[40, 0, 43, 0, 1]);
        assert_eq!(parse(&cut).unwrap().any(), None);
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
        assert_eq!(xdp_ids(1).map(|ids| ids.hardware), Ok(0));
    }
}
