//! A socket the libxdp way: made, bound and given its program in one call.

use alloc::vec::Vec;

use crate::sys::heap::{Shared, try_box};
use crate::sys::netdev::{Control, IfName};
use crate::sys::socket::RingKind;
use crate::sys::text::Escaped;
use crate::sys::{Errno, OwnedFd, RawFd, abi, clock, socket};
use crate::xsk::attachment::Device;
use crate::xsk::bind::{Bond, explain, find_device};
use crate::xsk::chain;
use crate::xsk::config::{Direction, SocketConfig};
use crate::xsk::error::{Error, error, fail};
use crate::xsk::legacy::program::{self, Setup};
use crate::xsk::legacy::umem::{Legacy, Pair, State, make_rings};
use crate::xsk::registrations::Queue;
use crate::xsk::ring::{Consumer, Lent, Producer};
use crate::xsk::socket::{Rings, Socket, map_ring, ring};
use crate::xsk::umem::{Umem, open_socket, out_of_memory};
use crate::xsk::wake::Place;

/// How long a queue that is being torn down is waited for: several times what the
/// kernel was seen to take.
const PATIENCE_MS: u64 = 300;

/// What `xsk_socket__create` and its kin are asked for.
pub struct SocketRequest<'a> {
    pub ifname: &'a [u8],
    pub queue_id: u32,
    pub rx: Option<Lent>,
    pub tx: Option<Lent>,
    /// None: those of the UMEM, or of the queue.
    pub fill_comp: Option<(Lent, Lent)>,
    pub rx_size: u32,
    pub tx_size: u32,
    pub inhibit_program: bool,
    pub xdp_flags: u32,
    pub bind_flags: u16,
}

/// What a socket made this way holds beside others; dropped with it.
pub struct Membership {
    umem: Shared<Umem>,
    queue: Queue,
    fd: RawFd,
    setup: Option<Setup>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Some(legacy) = self.umem.legacy() else { return };
        let mut state = legacy.state.lock();
        if let (Some(setup), Some(rings)) = (&self.setup, state.find(&self.queue)) {
            let named = rings.receivers.last() == Some(&self.fd);
            rings.receivers.retain(|fd| *fd != self.fd);
            // The map names one socket of a queue: the one before, or none.
            match rings.receivers.last() {
                Some(before) if named => drop(setup.insert(self.queue.queue_id, *before)),
                None if named => setup.remove(self.queue.queue_id),
                _ => {}
            }
        }
        state.leave(&self.queue);
        drop(state);
        self.setup = None;
    }
}

/// Makes, binds and feeds a socket; on failure the UMEM is as before.
pub fn create_socket(umem: &Shared<Umem>, request: &SocketRequest<'_>) -> Result<Socket, Error> {
    let Some(legacy) = umem.legacy() else {
        return fail!(Errno::EINVAL, "socket: the UMEM is not one of xsk_umem__create()");
    };
    if IfName::new(request.ifname).is_none() {
        let name = Escaped(request.ifname);
        return fail!(Errno::ENODEV, "socket: no interface can be named \"{name}\"");
    }
    let mut state = legacy.state.lock();
    let fd = descriptor(umem, legacy, &mut state)?;
    let own = fd.same(&legacy.fd);
    let (control, device) = find_device(socket::netns_cookie(fd.raw()), request.ifname)?;
    let queue = Queue { netns: device.netns, ifindex: device.ifindex, queue_id: request.queue_id };
    // The queue's rings: those of a socket that has it, the UMEM's first, or new ones.
    let (pair, fresh) = match state.find(&queue) {
        Some(there) => (alias(&there.rings), None),
        None => {
            let rings = queue_rings(umem, &mut state, fd.raw(), request.fill_comp)?;
            (alias(&rings), Some(rings))
        }
    };
    let build = |state: &mut State| {
        let socket = assemble(umem, &fd, own, request, device.netns, pair, state)?;
        bind(&control, &device, &fd, legacy, state, request)?;
        state.bound |= own;
        state.sg |= state.sockets == 0 && request.bind_flags & abi::USE_SG != 0;
        let setup = match request.inhibit_program {
            true => None,
            false => Some(program::setup(&device, request.xdp_flags, state.sg)?),
        };
        if let (Some(setup), Some(_)) = (&setup, request.rx) {
            setup.insert(request.queue_id, fd.raw())?;
        }
        Ok((socket, setup))
    };
    let (mut socket, setup) = match build(&mut state) {
        Ok(built) => built,
        Err(error) => {
            if own {
                state.saved = fresh;
            }
            return Err(error);
        }
    };
    let place = Shared::new(Place::new(device.ifname, device.ifindex, request.queue_id));
    let place = place.or_else(|e| out_of_memory(e, "socket"))?;
    state.join(queue, fresh).or_else(|e| out_of_memory(e, "socket"))?;
    if let (Some(rings), Some(_), Some(_)) = (state.find(&queue), &setup, request.rx) {
        // Without memory for the note the map just names nobody after this socket.
        if rings.receivers.try_reserve(1).is_ok() {
            rings.receivers.push(fd.raw());
        }
    }
    let zero_copy = socket::is_zero_copy(fd.raw());
    let aligned = umem.geometry().is_aligned();
    socket.set_bond(Bond {
        place,
        queue,
        zero_copy,
        max_frags: if state.sg { chain::longest(device.ifindex, zero_copy, aligned) } else { 1 },
        need_wakeup: request.bind_flags & abi::USE_NEED_WAKEUP != 0,
        program: setup.as_ref().map(|setup| (setup.id, setup.mode)),
        hints: false,
        hold: None,
    });
    let umem = umem.clone();
    // Its end takes the lock, and it ends here where memory has.
    drop(state);
    let membership = Membership { umem, queue, fd: fd.raw(), setup };
    socket.membership = Some(try_box(membership).or_else(|e| out_of_memory(e, "socket"))?);
    Ok(socket)
}

fn alias(rings: &Pair) -> Pair {
    (rings.0.alias(), rings.1.alias())
}

/// The descriptor for a new socket: the UMEM's for the first, a new one for others.
fn descriptor(umem: &Umem, legacy: &Legacy, state: &mut State) -> Result<Shared<OwnedFd>, Error> {
    if state.sockets == 0 && !state.bound {
        return Ok(legacy.fd.clone());
    }
    let (fresh, _) = open_socket()?;
    if state.sockets != 0 {
        return Shared::new(fresh).or_else(|e| out_of_memory(e, "socket"));
    }
    // The sockets are gone and the binding is not: the number gets another file.
    umem.register(fresh.raw()).map_err(|e| umem.explain_register(e))?;
    let old = state.saved.take();
    if let Err(e) = legacy.fd.become_copy_of(&fresh) {
        return fail!(e, "socket: the descriptor of the UMEM cannot be renewed: {e}");
    }
    (state.bound, state.sg, state.rx_size, state.tx_size) = (false, false, None, None);
    if let Some((Some(fill), Some(comp))) = old.as_ref().map(|old| (old.0.lent(), old.1.lent())) {
        state.saved = Some(renew_rings(umem, legacy.fd(), old, fill, comp)?);
    }
    Ok(legacy.fd.clone())
}

/// New rings in the structs of old ones, with the frames that the kernel has left in
/// the fill ring.
fn renew_rings(
    umem: &Umem,
    fd: RawFd,
    old: Option<Pair>,
    fill: Lent,
    comp: Lent,
) -> Result<Pair, Error> {
    let mut left = Vec::new();
    if let Some((old, _)) = &old {
        let span = old.unconsumed();
        left.try_reserve_exact(span.count as usize)
            .or_else(|_| out_of_memory(Errno::ENOMEM, "socket"))?;
        left.extend(span.indices().filter_map(|index| old.read(index)));
    }
    drop(old);
    let mut rings = make_rings(fd, umem.config(), fill, comp)?;
    rings.0.put(&left);
    Ok(rings)
}

/// The fill and completion ring of a queue that has none yet.
fn queue_rings(
    umem: &Umem,
    state: &mut State,
    fd: RawFd,
    lent: Option<(Lent, Lent)>,
) -> Result<Pair, Error> {
    match (state.saved.take(), lent) {
        (Some(mut saved), lent) => {
            if let Some((fill, comp)) = lent {
                saved.0.move_to(fill);
                saved.1.move_to(comp);
            }
            Ok(saved)
        }
        (None, Some((fill, comp))) => make_rings(fd, umem.config(), fill, comp),
        (None, None) => fail!(
            Errno::EFAULT,
            "socket: another queue needs a fill and a completion ring of its own: \
             xsk_socket__create_shared()"
        ),
    }
}

fn assemble(
    umem: &Shared<Umem>,
    fd: &Shared<OwnedFd>,
    own: bool,
    request: &SocketRequest<'_>,
    netns: u64,
    (fill, comp): Pair,
    state: &mut State,
) -> Result<Socket, Error> {
    let offsets = match socket::mmap_offsets(fd.raw()) {
        Ok(offsets) => offsets,
        Err(e) => return fail!(e, "socket: the kernel does not tell where rings lie: {e}"),
    };
    let mut config =
        SocketConfig { fill_size: fill.size(), comp_size: comp.size(), ..SocketConfig::default() };
    let raw = fd.raw();
    let rx = match request.rx {
        None => Consumer::absent().or_else(|e| out_of_memory(e, "socket"))?,
        // An attempt that failed has left the ring behind, with its size.
        lent => match state.rx_size.filter(|_| own) {
            Some(size) => again(map_ring(raw, RingKind::Rx, size, &offsets, lent, Consumer::over))?,
            None => ring(raw, RingKind::Rx, request.rx_size, &offsets, lent, Consumer::over)?,
        },
    };
    config.rx_size = rx.size();
    if own && rx.size() != 0 {
        state.rx_size = Some(rx.size());
    }
    let tx = match request.tx {
        None => Producer::absent().or_else(|e| out_of_memory(e, "socket"))?,
        lent => match state.tx_size.filter(|_| own) {
            Some(size) => again(map_ring(raw, RingKind::Tx, size, &offsets, lent, Producer::over))?,
            None => ring(raw, RingKind::Tx, request.tx_size, &offsets, lent, Producer::over)?,
        },
    };
    config.tx_size = tx.size();
    if own && tx.size() != 0 {
        state.tx_size = Some(tx.size());
    }
    config.direction = match (request.rx.is_some(), request.tx.is_some()) {
        (true, false) => Direction::RxOnly,
        (false, true) => Direction::TxOnly,
        _ => Direction::Both,
    };
    Socket::assemble(umem, fd.clone(), netns, config, Rings { rx, tx, fill, comp })
}

fn again<R>(mapped: Result<R, Errno>) -> Result<R, Error> {
    mapped.map_err(|e| error!(e, "socket: its ring cannot be mapped again: {e}"))
}

fn bind(
    control: &Control,
    device: &Device,
    fd: &Shared<OwnedFd>,
    legacy: &Legacy,
    state: &State,
    request: &SocketRequest<'_>,
) -> Result<(), Error> {
    let (flags, shared) = match state.sockets {
        0 => (request.bind_flags, 0),
        _ => (abi::SHARED_UMEM, legacy.fd()),
    };
    let deadline = clock::monotonic_ms() + PATIENCE_MS;
    loop {
        match socket::bind(fd.raw(), device.ifindex, request.queue_id, flags, shared) {
            Ok(()) => return Ok(()),
            Err(Errno::EBUSY) if clock::monotonic_ms() < deadline => clock::nap_ms(1),
            Err(e) => {
                if flags & abi::USE_SG != 0 {
                    chain::check_kernel(fd.raw(), e)?;
                }
                let queue_id = request.queue_id;
                let forced = flags & abi::ZEROCOPY != 0;
                return Err(explain(
                    e,
                    Some(control),
                    &device.ifname,
                    queue_id,
                    forced,
                    PATIENCE_MS,
                ));
            }
        }
    }
}
