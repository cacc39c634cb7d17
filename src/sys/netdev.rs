//! Interfaces by ioctl: name, index, driver, queues, rings.

use core::ffi::{c_char, c_int, c_ulong, c_void};
use core::fmt;

use super::errno::check;
use super::text::Escaped;
use super::{Errno, OwnedFd, socket};

// <linux/ethtool.h>
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GRINGPARAM: u32 = 0x10;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

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
        fmt::Display::fmt(&Escaped(self.text()), f)
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

/// A driver: `struct ethtool_drvinfo`. Names end in NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    cmd: u32,
    pub name: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    /// Where the device is, such as "0000:00:03.0" on PCI.
    pub bus: [u8; 32],
    rest: [u8; 64],
}

/// The rings of a device, in descriptors: `struct ethtool_ringparam`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Rings {
    cmd: u32,
    pub rx_max: u32,
    rx_small_max: u32,
    rx_jumbo_max: u32,
    pub tx_max: u32,
    pub rx: u32,
    rx_small: u32,
    rx_jumbo: u32,
    pub tx: u32,
}

// The kernel writes structs of its own sizes.
const _: () = assert!(size_of::<Channels>() == 36);
const _: () = assert!(size_of::<Driver>() == 196);
const _: () = assert!(size_of::<Rings>() == 36);

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

    /// The namespace's number; None before Linux 5.14, which cannot tell.
    pub fn netns_cookie(&self) -> Option<u64> {
        socket::netns_cookie(self.0.raw())
    }

    /// Whether the kernel knows SO_PREFER_BUSY_POLL (Linux 5.11).
    pub fn has_busy_poll(&self) -> Result<bool, Errno> {
        socket::has_busy_poll(self.0.raw())
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
        self.ethtool(name, &mut channels)?;
        Ok(channels)
    }

    /// The driver; EOPNOTSUPP where there is none that tells.
    pub fn driver(&self, name: &IfName) -> Result<Driver, Errno> {
        let none = [0; 32];
        let mut driver = Driver {
            cmd: ETHTOOL_GDRVINFO,
            name: none,
            version: none,
            firmware: none,
            bus: none,
            rest: [0; 64],
        };
        self.ethtool(name, &mut driver)?;
        Ok(driver)
    }

    /// The rings; EOPNOTSUPP from drivers that do not tell.
    pub fn rings(&self, name: &IfName) -> Result<Rings, Errno> {
        let mut rings = Rings { cmd: ETHTOOL_GRINGPARAM, ..Rings::default() };
        self.ethtool(name, &mut rings)?;
        Ok(rings)
    }

    /// `data` is the struct that its own first word, the command, is for.
    fn ethtool<T>(&self, name: &IfName, data: &mut T) -> Result<(), Errno> {
        let mut request = request(name);
        request.ifr_ifru.ifru_data = (&raw mut *data).cast::<c_char>();
        // SIOCETHTOOL writes through the pointer, to a struct of the kernel's size.
        self.ioctl(libc::SIOCETHTOOL as c_ulong, &mut request).map(drop)
    }

    #[cold]
    fn ioctl(&self, code: c_ulong, request: &mut libc::ifreq) -> Result<c_int, Errno> {
        let at: *mut c_void = (&raw mut *request).cast();
        // SAFETY: the codes used here take an ifreq, with `ifru_data` pointing to a
        // live struct of the ethtool command's for SIOCETHTOOL.
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
