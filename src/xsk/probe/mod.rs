//! What an interface offers to AF_XDP, what this kernel can do, and what follows.
//! None throughout is what nobody tells, which is not the same as no. Parts are marked
//! cold to stay small: inlined into one another they are a third longer.

mod answers;
mod kernel;
mod verdict;

use crate::sys::bpf::{self, ObjectName};
use crate::sys::genetlink::{self, Features};
use crate::sys::netdev::{Channels, Driver, IfName, Rings};
use crate::sys::netlink::{Link, Route};
use crate::sys::sysfs;
use crate::xsk::bind::{find_index, open_control};
use crate::xsk::error::{Error, fail};

pub use answers::Answers;
pub use kernel::{Feature, has_bind_flag};
pub use verdict::{MtuLimits, Verdict};

/// All that is known of an interface.
pub struct Caps {
    pub ifname: IfName,
    pub ifindex: u32,
    pub link: Link,
    pub driver: Option<Driver>,
    pub channels: Option<Channels>,
    pub rings: Option<Rings>,
    pub numa_node: Option<u32>,
    pub features: Features,
    /// In the driver, in the network stack, in the device.
    pub programs: [Program; 3],
    pub limits: MtuLimits,
    pub kernel: Answers<Feature>,
    pub verdicts: Answers<Verdict>,
}

/// An attached program: id 0 is none, and a name without bytes is not known.
#[derive(Clone, Copy, Default)]
pub struct Program {
    pub id: u32,
    pub name: ObjectName,
}

/// Asks everybody who knows something of an interface; nothing on it is changed.
pub fn probe(ifname: &[u8]) -> Result<Caps, Error> {
    let (control, ifname) = open_control("probe", ifname)?;
    let ifindex = find_index("probe", &control, &ifname)?;
    let link = match Route::open().and_then(|route| route.link(ifindex)) {
        Ok(link) => link,
        Err(e) => return fail!(e, "probe: the kernel does not tell what {ifname} is: {e}"),
    };
    let driver = control.driver(&ifname).ok();
    let features = genetlink::features(ifindex).unwrap_or_default();
    let mut verdicts = Answers::default();
    let kernel = kernel::try_out(&control, &mut verdicts);
    let limits = MtuLimits::here();
    verdict::draw(&mut verdicts, driver.as_ref(), &link, &features, &kernel, &limits);
    Ok(Caps {
        ifname,
        ifindex,
        link,
        channels: control.channels(&ifname).ok(),
        rings: control.rings(&ifname).ok(),
        numa_node: driver.and_then(|driver| sysfs::pci_numa_node(&driver.bus)),
        driver,
        features,
        programs: [link.xdp.native, link.xdp.generic, link.xdp.hardware].map(program),
        limits,
        kernel,
        verdicts,
    })
}

impl Caps {
    /// Queues below this can be bound, as far as is known.
    pub fn queues(&self) -> u32 {
        self.channels.map_or(self.link.queues.unwrap_or(0), |channels| channels.current())
    }

    /// The same if all that the device has are switched on.
    pub fn most_queues(&self) -> u32 {
        self.channels.map_or(self.link.queues.unwrap_or(0), |channels| channels.most())
    }
}

fn program(id: u32) -> Program {
    let name = match id {
        0 => None,
        id => bpf::program_by_id(id).and_then(|fd| bpf::program_info(fd.raw())).ok(),
    };
    Program { id, name: name.map(|info| info.name).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Errno;
    use crate::xsk::error::sentence;

    #[test]
    fn the_loopback_interface_can_be_probed_by_anybody() {
        let caps = probe(b"lo").unwrap();
        assert_eq!(caps.ifname.to_string(), "lo");
        assert!(caps.ifindex > 0 && caps.link.mtu.is_some() && caps.queues() == 1);
        assert_eq!(caps.numa_node, None);
        assert_eq!(caps.programs[0].id, 0);
    }

    #[test]
    fn what_is_no_interface_is_refused_with_its_name() {
        assert_eq!(probe(b"no-such-if").err().map(Error::errno), Some(Errno::ENODEV));
        assert!(sentence().contains("probe: no interface is named no-such-if"), "{}", sentence());
        assert_eq!(probe(b"a/b").err().map(Error::errno), Some(Errno::EINVAL));
    }
}
