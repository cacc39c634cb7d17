//! A port: the queues of one interface, a socket each.

use alloc::vec::Vec;

use crate::sys::heap::Shared;
use crate::sys::unix::Fds;
use crate::sys::{Errno, RawFd};
use crate::xsk::attachment::Device;
use crate::xsk::bind::{find_device, no_such_queue};
use crate::xsk::config::{BindConfig, SocketConfig, UmemConfig};
use crate::xsk::counters::Totals;
use crate::xsk::error::{Error, fail};
use crate::xsk::grant::Lease;
use crate::xsk::socket::Socket;
use crate::xsk::umem::{Umem, out_of_memory};

/// Where the frames of a port's sockets are.
pub enum Memory<'a> {
    /// In one UMEM, which has so many for each queue.
    Shared(UmemConfig),
    /// In a UMEM for each queue.
    Apart(UmemConfig),
    /// In one that is there.
    Given(&'a Shared<Umem>),
}

/// Sockets on consecutive queues of an interface.
pub struct Port {
    // In front of what they use.
    sockets: Vec<Socket>,
    umems: Vec<Shared<Umem>>,
    /// What brought them, if they were granted. Last: they are closed before it ends.
    lease: Option<Lease>,
}

impl Port {
    /// Opens `count` queues from `first` on, or all that are in use from there on if
    /// `count` is 0.
    pub fn open(
        ifname: &[u8],
        first: u32,
        count: u32,
        memory: Memory<'_>,
        config: SocketConfig,
        bind: &BindConfig,
    ) -> Result<Port, Error> {
        let count = count_queues(ifname, first, count)?;
        let bind = &mut |socket: &mut Socket, queue| {
            socket.bind(ifname, first.saturating_add(queue), bind)
        };
        Port::build(count, memory, config, None, bind)
    }

    /// Makes `count` sockets, of descriptors `there` if there are any, and has them bound,
    /// by their place.
    pub(super) fn build(
        count: u32,
        memory: Memory<'_>,
        config: SocketConfig,
        mut there: Option<&mut Fds>,
        bind: &mut dyn FnMut(&mut Socket, u32) -> Result<(), Error>,
    ) -> Result<Port, Error> {
        let (mut sockets, mut umems) = (Vec::new(), Vec::new());
        if sockets.try_reserve_exact(count as usize).is_err()
            || umems.try_reserve_exact(count as usize).is_err()
        {
            return out_of_memory(Errno::ENOMEM, "port");
        }
        let on = |n: u32| there.as_ref()?.ours().get(n as usize).copied();
        // How many of the descriptors that are there have memory registered.
        let registered = match memory {
            Memory::Given(umem) => {
                umems.push(umem.clone());
                0
            }
            Memory::Shared(config) => {
                umems.push(create(config.times(count)?, on(0))?);
                1
            }
            Memory::Apart(config) => {
                for queue in 0..count {
                    umems.push(create(config, on(queue))?);
                }
                count
            }
        };
        let mut port = Port { sockets, umems, lease: None };
        // Sockets that share a UMEM leave each other their part of it.
        let sharers = if port.umems.len() == 1 { count } else { 1 };
        for queue in 0..count {
            let config = SocketConfig { sharers, ..config };
            let umem = port.umem_of(queue)?;
            let mut socket = match there.as_mut().and_then(|fds| fds.next()) {
                Some(fd) => Socket::create_on(fd, queue < registered, umem, config)?,
                None => Socket::create(umem, config)?,
            };
            socket.belong_to_port();
            socket.feed()?;
            bind(&mut socket, queue)?;
            port.sockets.push(socket);
        }
        Ok(port)
    }

    /// Keeps what brought the sockets as long as they are there.
    pub(super) fn keep(&mut self, lease: Lease) {
        self.lease = Some(lease);
    }

    fn umem_of(&self, queue: u32) -> Result<&Shared<Umem>, Error> {
        match self.umem(queue) {
            Some(umem) => Ok(umem),
            None => out_of_memory(Errno::ENOMEM, "port"),
        }
    }

    /// The sockets, in the order of their queues.
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The UMEM of the n-th socket.
    pub fn umem(&self, n: u32) -> Option<&Shared<Umem>> {
        let alone = self.umems.len() == 1;
        self.umems.get(if alone { 0 } else { n as usize })
    }

    /// What all sockets have counted.
    pub fn totals(&self) -> Result<Totals, Error> {
        self.sockets.iter().try_fold(Totals::default(), |sum, socket| Ok(sum + socket.totals()?))
    }
}

fn create(config: UmemConfig, fd: Option<RawFd>) -> Result<Shared<Umem>, Error> {
    Shared::new(Umem::create_on(fd, config)?).or_else(|e| out_of_memory(e, "port"))
}

/// How many queues there are to open: `count`, or all that are in use from `first` on.
fn count_queues(ifname: &[u8], first: u32, count: u32) -> Result<u32, Error> {
    let (_, Device { ifname, queues, in_use, .. }) = find_device(None, ifname)?;
    match (count, in_use.checked_sub(first)) {
        (0, None | Some(0)) => fail!(
            Errno::EINVAL,
            "port: {ifname} has {in_use} queues, none from {first} on (ethtool -l {ifname})"
        ),
        (0, Some(all)) => Ok(all),
        // Known before there are frames for them. Which are switched on the kernel knows.
        _ if first.saturating_add(count) > queues => {
            Err(no_such_queue(&ifname, first.max(queues), in_use))
        }
        _ => Ok(count),
    }
}
