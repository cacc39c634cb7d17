//! A UMEM with a descriptor of its own, which its first socket uses, and with fill
//! and completion rings before there is a socket.

use alloc::vec::Vec;

use crate::sys::heap::Shared;
use crate::sys::socket::RingKind;
use crate::sys::thread::Mutex;
use crate::sys::{Errno, OwnedFd, RawFd, socket};
use crate::xsk::config::UmemConfig;
use crate::xsk::error::{Error, fail};
use crate::xsk::registrations::Queue;
use crate::xsk::ring::{Consumer, Lent, Producer};
use crate::xsk::socket::ring;
use crate::xsk::umem::{Umem, explain_register, open_socket, out_of_memory, register};

/// What `xsk_umem__create` and its kin are asked for. Sizes are the kernel's to
/// judge.
pub struct UmemRequest {
    /// Address and bytes; 0 bytes only of a page-aligned address.
    pub memory: (usize, u64),
    /// A socket of the program's to use; it is the library's if that succeeds.
    pub fd: Option<RawFd>,
    pub fill: Lent,
    pub comp: Lent,
    /// Frame size, headroom, ring sizes, and the kernel's flags.
    pub config: UmemConfig,
}

/// The fill and completion ring of a queue, and the sockets that use them.
pub(super) struct QueueRings {
    pub(super) queue: Queue,
    pub(super) rings: Pair,
    /// Those that are in the XSKMAP, the one that it names last.
    pub(super) receivers: Vec<RawFd>,
    pub(super) sockets: u32,
}

/// A fill ring and a completion ring.
pub(super) type Pair = (Producer<u64>, Consumer<u64>);

pub(super) struct State {
    /// The rings that were made with the UMEM, until the first socket has them.
    pub(super) saved: Option<Pair>,
    pub(super) queues: Vec<QueueRings>,
    /// How many sockets there are.
    pub(super) sockets: u32,
    /// Whether the descriptor was bound, so that it cannot be again.
    pub(super) bound: bool,
    /// Whether its sockets take packets in several buffers: the first decides, and the
    /// kernel keeps it with the memory.
    pub(super) sg: bool,
    /// Sizes of the rings that the descriptor has, if it has them.
    pub(super) rx_size: Option<u32>,
    pub(super) tx_size: Option<u32>,
}

/// What such a UMEM has beside others.
pub struct Legacy {
    pub(super) fd: Shared<OwnedFd>,
    pub(super) state: Mutex<State>,
}

impl Legacy {
    /// The descriptor; it stays the UMEM's.
    pub fn fd(&self) -> RawFd {
        self.fd.raw()
    }
}

/// Registers the program's memory and makes its fill and completion ring.
pub fn create_umem(request: UmemRequest) -> Result<Umem, Error> {
    let UmemRequest { memory: (base, bytes), mut config, .. } = request;
    config.frame_stride = config.frame_size;
    let (fd, given) = match request.fd {
        Some(fd) => (OwnedFd::from_program(fd), true),
        None => (open_socket()?.0, false),
    };
    let attempt = || {
        let refused = |e| explain_register(e, &config);
        register(fd.raw(), &config, base, bytes).map_err(refused)?;
        make_rings(fd.raw(), &config, request.fill, request.comp)
    };
    let saved = match attempt() {
        Ok(saved) => saved,
        Err(error) => {
            if given {
                fd.into_program();
            }
            return Err(error);
        }
    };
    let state = State {
        saved: Some(saved),
        queues: Vec::new(),
        sockets: 0,
        bound: false,
        sg: false,
        rx_size: None,
        tx_size: None,
    };
    let fd = Shared::new(fd).or_else(|e| out_of_memory(e, "umem"))?;
    config.memory = Some((base, usize::try_from(bytes).unwrap_or(usize::MAX)));
    config.frame_count = u32::try_from(bytes / u64::from(config.frame_size.max(1))).unwrap_or(0);
    Umem::adopt(config, bytes, Legacy { fd, state: Mutex::new(state) })
}

/// Makes the fill and completion ring of a descriptor, in the program's structs.
pub(super) fn make_rings(
    fd: RawFd,
    config: &UmemConfig,
    fill: Lent,
    comp: Lent,
) -> Result<Pair, Error> {
    let offsets = match socket::mmap_offsets(fd) {
        Ok(offsets) => offsets,
        Err(e) => return fail!(e, "umem: the kernel does not tell where rings lie: {e}"),
    };
    let (fill_size, comp_size) = (config.fill_size, config.comp_size);
    Ok((
        ring(fd, RingKind::Fill, fill_size, &offsets, Some(fill), Producer::over)?,
        ring(fd, RingKind::Comp, comp_size, &offsets, Some(comp), Consumer::over)?,
    ))
}

impl State {
    /// The rings of a queue, if a socket has it.
    pub(super) fn find(&mut self, queue: &Queue) -> Option<&mut QueueRings> {
        self.queues.iter_mut().find(|rings| rings.queue == *queue)
    }

    /// Notes a socket on a queue; the queue's first brings its rings.
    pub(super) fn join(&mut self, queue: Queue, rings: Option<Pair>) -> Result<(), Errno> {
        if let Some(rings) = rings {
            self.queues.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.queues.push(QueueRings { queue, rings, receivers: Vec::new(), sockets: 0 });
        }
        if let Some(rings) = self.find(&queue) {
            rings.sockets += 1;
        }
        self.sockets += 1;
        Ok(())
    }

    /// Forgets a socket on a queue, and with the last one the queue's rings.
    pub(super) fn leave(&mut self, queue: &Queue) {
        if let Some(rings) = self.find(queue) {
            rings.sockets -= 1;
        }
        self.queues.retain(|rings| rings.sockets != 0);
        self.sockets -= 1;
    }
}
