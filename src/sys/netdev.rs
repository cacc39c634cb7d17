//! Interfaces by ioctl: name, index, queues.

use core::ffi::{c_char, c_int, c_ulong, c_void};
use core::fmt;

use super::errno::check;
use super::{Errno, OwnedFd, socket};

const ETHTOOL_GCHANNELS: u32 = 0x3c; // <linux/ethtool.h>

/// An interface's name: 1 to 15 bytes, none of them NUL or a slash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IfName([u8; libc::IFNAMSIZ]);

impl IfName {
    /// None for what cannot be a name.
    pub fn new(bytes: &[u8]) -> Option<IfName> {
        let mut name = [0; libc::IFNAMSIZ];
        if bytes.is_empty() || bytes.len() >= name.len() || bytes.iter().any(|b| b"\0/".contains(b))
        {
            return None;
        }
        name.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(IfName(name))
    }

    /// The name alone.
    pub fn text(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        self.0.get(..end).unwrap_or(&[])
    }

    /// The name and the zero bytes behind it.
    pub fn bytes(&self) -> &[u8; libc::IFNAMSIZ] {
        &self.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take_while(|b| **b != 0).try_for_each(|b| write!(f, "{}", b.escape_ascii()))
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many queues an interface has: `struct ethtool_channels`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Channels {
    cmd: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

impl Channels {
    /// Queue ids that can be bound now are below this.
    pub fn current(&self) -> u32 {
        self.combined.saturating_add(self.rx.max(self.tx)).max(1)
    }

    /// The same if every queue that the device has is switched on.
    pub fn most(&self) -> u32 {
        self.max_combined.max(self.max_rx.max(self.max_tx)).max(self.current())
    }
}

/// A socket to ask about the interfaces of one network namespace: that of the
/// thread that opened it.
pub struct Control(OwnedFd);

impl Control {
    /// Opens it; no privilege is needed.
    pub fn open() -> Result<Control, Errno> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
        // SAFETY: integers only.
        check(|| unsafe { libc::socket(libc::AF_UNIX, kind, 0) })
            .map(|fd| Control(OwnedFd::adopt(fd)))
    }

    /// The namespace's number, 0 where the kernel cannot tell.
    pub fn netns_cookie(&self) -> u64 {
        socket::netns_cookie(self.0.raw())
    }

    /// The index behind a name; ENODEV if no interface has it.
    pub fn ifindex(&self, name: &IfName) -> Result<u32, Errno> {
        let mut request = request(name);
        self.ioctl(libc::SIOCGIFINDEX, &mut request)?;
        // SAFETY: SIOCGIFINDEX has just filled in this member of the union.
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        u32::try_from(index).map_err(|_| Errno::ENODEV)
    }

    /// The name behind an index; ENODEV if no interface has it.
    pub fn ifname(&self, ifindex: u32) -> Result<IfName, Errno> {
        let mut request = request(&IfName([0; libc::IFNAMSIZ]));
        request.ifr_ifru.ifru_ifindex = c_int::try_from(ifindex).map_err(|_| Errno::ENODEV)?;
        self.ioctl(libc::SIOCGIFNAME, &mut request)?;
        Ok(IfName(request.ifr_name.map(|byte| byte as u8)))
    }

    /// The queues; EOPNOTSUPP from drivers that do not tell.
    pub fn channels(&self, name: &IfName) -> Result<Channels, Errno> {
        let mut channels = Channels { cmd: ETHTOOL_GCHANNELS, ..Channels::default() };
        let mut request = request(name);
        request.ifr_ifru.ifru_data = (&raw mut channels).cast::<c_char>();
        // SIOCETHTOOL writes through the pointer, to a struct of the kernel's size.
        self.ioctl(libc::SIOCETHTOOL as c_ulong, &mut request)?;
        Ok(channels)
    }

    fn ioctl(&self, code: c_ulong, request: &mut libc::ifreq) -> Result<c_int, Errno> {
        let at: *mut c_void = (&raw mut *request).cast();
        // SAFETY: both codes used here take an ifreq, with `ifru_data` pointing to a
        // live ethtool_channels for SIOCETHTOOL.
        check(|| unsafe { libc::ioctl(self.0.raw(), code as _, at) })
    }
}

fn request(name: &IfName) -> libc::ifreq {
    let mut ifr_name = [0 as c_char; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().zip(name.0) {
        *to = from as c_char;
    }
    libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_ifindex: 0 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_15_bytes_and_no_slash() {
        assert!(IfName::new(b"").is_none());
        assert!(IfName::new(b"a/b").is_none());
        assert!(IfName::new(b"sixteen-bytes-16").is_none());
        assert_eq!(IfName::new(b"fifteen-byte-15").unwrap().to_string(), "fifteen-byte-15");
        assert_eq!(IfName::new(b"a\xffb").unwrap().to_string(), "a\\xffb");
    }

    #[test]
    fn the_loopback_interface_has_an_index_and_a_stranger_has_none() {
        let control = Control::open().unwrap();
        assert!(control.ifindex(&IfName::new(b"lo").unwrap()).unwrap() > 0);
        assert_eq!(control.ifname(1).unwrap().to_string(), "lo");
        let stranger = IfName::new(b"no-such-if").unwrap();
        assert_eq!(control.ifindex(&stranger), Err(Errno::ENODEV));
    }

    #[test]
    fn queues_are_combined_ones_and_the_rest() {
        let channels =
            Channels { combined: 4, rx: 1, tx: 2, max_combined: 8, ..Channels::default() };
        assert_eq!((channels.current(), channels.most()), (6, 8));
        assert_eq!(Channels::default().current(), 1);
    }
}
