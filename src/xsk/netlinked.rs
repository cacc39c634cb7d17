//! A program's place on an interface over netlink, without a link: it stays when its
//! process dies, and whoever finds it unused takes it off.

use crate::sys::bpf;
use crate::sys::netlink::{Route, Words};
use crate::sys::thread::Mutex;
use crate::sys::{Errno, RawFd};
use crate::xsk::attachment::Device;
use crate::xsk::logger::tell;
use crate::xsk::program::{self, PROBE_PACKET};

/// The place on an interface.
pub struct Netlinked {
    device: Device,
    /// Into the interface's namespace, which the thread may have left by the end.
    route: Mutex<Route>,
    /// The mode bits of <linux/if_link.h> that name it.
    modes: u32,
}

/// A program with its map of sockets and the places in that.
pub struct Tenant {
    pub program: RawFd,
    pub id: u32,
    pub map: RawFd,
    pub map_entries: u32,
}

impl Netlinked {
    /// The place of that mode on an interface; 0: of the best that it has.
    pub fn of(device: &Device, route: Route, modes: u32) -> Netlinked {
        Netlinked { device: *device, route: Mutex::new(route), modes }
    }

    /// The program in it, or 0.
    pub fn program_id(&self) -> u32 {
        let found = self.route.lock().xdp_ids(self.device.ifindex);
        found.ok().and_then(|found| found.any()).unwrap_or(0)
    }

    /// Whether that program runs in the driver.
    pub fn is_native(&self, id: u32) -> bool {
        let found = self.route.lock().xdp_ids(self.device.ifindex);
        found.is_ok_and(|found| found.native == id)
    }

    /// Puts a program into it while it is empty; `words` gets what the driver says.
    pub fn attach(&self, program: RawFd, words: &mut Words) -> Result<(), Errno> {
        let flags = self.modes | bpf::XDP_FLAGS_UPDATE_IF_NOEXIST;
        self.route.lock().set_xdp(self.device.ifindex, program, flags, None, words)
    }

    /// Puts another program, or none for -1, where `old` is and nothing else: EEXIST or
    /// ENOENT if it is not there any more. EBUSY if a link holds it.
    pub fn replace(&self, old: &Tenant, program: RawFd) -> Result<(), Errno> {
        let (route, ifindex) = (self.route.lock(), self.device.ifindex);
        let (flags, mut words) = (self.modes | bpf::XDP_FLAGS_REPLACE, Words::none());
        match route.set_xdp(ifindex, program, flags, Some(old.program), &mut words) {
            // Before Linux 5.7 there is no such condition.
            Err(Errno::EINVAL) if route.xdp_ids(ifindex)?.any() == Some(old.id) => {
                route.set_xdp(ifindex, program, self.modes, None, &mut words)
            }
            answer => answer,
        }
    }

    /// Whether a program is here, and no link holds it. Changes nothing; needs
    /// CAP_NET_ADMIN.
    pub fn has(&self, tenant: &Tenant) -> Result<bool, Errno> {
        match self.replace(tenant, tenant.program) {
            Ok(()) => Ok(true),
            Err(Errno::EBUSY | Errno::EEXIST | Errno::ENOENT | Errno::EINVAL) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Takes a program off; says whether it is off. It goes back at once if a socket
    /// came into its map in between.
    pub fn remove(&self, tenant: &Tenant) -> bool {
        let ifname = &self.device.ifname;
        match self.replace(tenant, -1) {
            Ok(()) => tell!(Info, "{ifname}: detached the program (id {})", tenant.id),
            Err(e) => {
                tell!(Info, "{ifname}: program {} is not there any more: {e}", tenant.id);
                return true;
            }
        }
        tenant.is_used() != Some(true) || self.attach(tenant.program, &mut Words::none()).is_err()
    }
}

impl Tenant {
    /// Whether the map has a socket of anybody's; None if that cannot be found out. The
    /// kernel takes sockets out when they are closed.
    pub fn is_used(&self) -> Option<bool> {
        let code = program::probe(self.map).ok()?;
        let probe = bpf::load_xdp(code.insns(), program::PROBE_NAME, None, 0, 0).ok()?;
        let mut packet = [0u8; PROBE_PACKET];
        for queue_id in 0..self.map_entries {
            packet.get_mut(..4)?.copy_from_slice(&queue_id.to_ne_bytes());
            if bpf::run_xdp(probe.raw(), &packet).ok()? == program::XDP_REDIRECT {
                return Some(true);
            }
        }
        Some(false)
    }
}
