//! Which sockets have a UMEM registered, and which of them a new one can share it
//! with, so that its pages are pinned and accounted once.

use alloc::vec::Vec;

use crate::sys::abi::{COPY, SHARED_UMEM, USE_NEED_WAKEUP, USE_SG, ZEROCOPY};
use crate::sys::heap::InTurn;
use crate::sys::thread::Mutex;
use crate::sys::{Errno, OwnedFd, RawFd, socket};
use crate::xsk::config::CopyMode;
use crate::xsk::frames::Ledger;
use crate::xsk::metadata::TxMetadata;
use crate::xsk::ring::{Consumer, Producer};

/// A queue of an interface, told from all others of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    pub netns: u64,
    pub ifindex: u32,
    pub queue_id: u32,
}

/// What a socket is to be bound to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub fd: RawFd,
    pub queue: Queue,
    pub copy: CopyMode,
    pub need_wakeup: bool,
    pub sg: bool,
    /// Beside sockets that are there, whose fill and completion ring it uses.
    pub joins: bool,
    /// The default program gives it the queue's packets.
    pub named: bool,
}

/// What all sockets on a queue have in common: its fill ring with the frames that were
/// put there, and its completion ring with those that are to come.
pub struct QueueRings {
    pub fill: (Producer<u64>, InTurn<Ledger>),
    pub comp: (Consumer<u64>, InTurn<Ledger>),
    /// What was asked for packets that are to be completed.
    pub metadata: Option<InTurn<TxMetadata>>,
}

impl QueueRings {
    fn alias(&self) -> QueueRings {
        let (fill, comp) = (&self.fill, &self.comp);
        QueueRings {
            fill: (fill.0.alias(), fill.1.alias()),
            comp: (comp.0.alias(), comp.1.alias()),
            metadata: self.metadata.as_ref().map(InTurn::alias),
        }
    }
}

/// A binding that stands.
struct Bound {
    to: Binding,
    zero_copy: bool,
    /// Never used from here, only handed on.
    rings: QueueRings,
    /// Its descriptor is the one that the queue's rings are mapped through.
    maps: bool,
}

/// A socket that stays on the queue of one that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heir {
    pub fd: RawFd,
    /// The queue's rings are to be mapped through it from now on.
    pub maps: bool,
}

struct State {
    spare: Option<OwnedFd>,
    spare_netns: u64,
    bound: Vec<Bound>,
}

/// Where binding failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The memory could not be registered.
    Register(Errno),
    /// The queue could not be had.
    Bind(Errno),
    /// For a reason that lies in the sockets of the same UMEM.
    Because(Errno, &'static str),
}

/// The sockets of one UMEM.
pub struct Registrations(Mutex<State>);

impl Registrations {
    /// `spare` has the memory registered and waits for its use.
    pub fn new(spare: OwnedFd, spare_netns: u64) -> Registrations {
        Registrations(Mutex::new(State { spare: Some(spare), spare_netns, bound: Vec::new() }))
    }

    /// None, and none that waits.
    pub fn none() -> Registrations {
        Registrations(Mutex::new(State { spare: None, spare_netns: 0, bound: Vec::new() }))
    }

    /// The socket that waits for its use, if it is of this namespace.
    pub fn take_spare(&self, netns: u64) -> Option<OwnedFd> {
        let mut state = self.0.lock();
        if state.spare_netns == netns { state.spare.take() } else { None }
    }

    /// Tries once to bind. A socket that is not `registered` shares the memory with
    /// a bound one whose mode serves it too, or else registers it itself.
    ///
    /// Gives whether it became zero-copy, and `rings` become the queue's.
    #[inline(never)]
    pub fn bind(
        &self,
        to: &Binding,
        rings: &mut QueueRings,
        registered: &mut bool,
        register: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<bool, Refused> {
        // Held throughout, so that nobody closes the socket that is shared.
        let mut state = self.0.lock();
        state.bound.try_reserve(1).map_err(|_| Refused::Bind(Errno::ENOMEM))?;
        // The kernel takes the mode from the sibling, and no flag beside this.
        let share = |fd| socket::bind(to.fd, to.queue.ifindex, to.queue.queue_id, SHARED_UMEM, fd);
        let there = || state.bound.iter().filter(|bound| bound.to.queue == to.queue);
        let shared = match there().next() {
            Some(_) if !to.joins => {
                return Err(Refused::Because(
                    Errno::EBUSY,
                    "another socket with this UMEM has it: XSK_SOCKET_SHARE_QUEUE shares it",
                ));
            }
            None if to.joins => {
                return Err(Refused::Because(
                    Errno::EINVAL,
                    "XSK_SOCKET_SHARE_QUEUE, and no other socket with this UMEM has it",
                ));
            }
            Some(bound) if !serves(bound, to) => {
                return Err(Refused::Because(
                    Errno::EINVAL,
                    "all its sockets are zero-copy or none, with XSK_BIND_NO_NEED_WAKEUP or \
                     none, with XSK_BIND_SG or none",
                ));
            }
            Some(_) if to.named && there().any(|bound| bound.to.named) => {
                return Err(Refused::Because(
                    Errno::EBUSY,
                    "another socket gets its packets: XSK_SOCKET_TX_ONLY, or a program of your \
                     own (XSK_BIND_NO_PROGRAM, XSK_BIND_XSKMAP)",
                ));
            }
            Some(bound) => {
                share(bound.to.fd).map_err(Refused::Bind)?;
                *rings = bound.rings.alias();
                Ok(())
            }
            None => {
                let sibling = state.bound.iter().find(|bound| serves(bound, to));
                match sibling.filter(|_| !*registered) {
                    Some(bound) => share(bound.to.fd),
                    None => Err(Errno::ENOENT),
                }
            }
        };
        match shared {
            Ok(()) => {}
            Err(Errno::EBUSY) => return Err(Refused::Bind(Errno::EBUSY)),
            Err(_) => {
                if !*registered {
                    // One that waits for a socket of another namespace has the memory
                    // locked as well.
                    state.spare = None;
                    register().map_err(Refused::Register)?;
                    *registered = true;
                }
                socket::bind(to.fd, to.queue.ifindex, to.queue.queue_id, flags(to), 0)
                    .map_err(Refused::Bind)?;
            }
        }
        let zero_copy = socket::is_zero_copy(to.fd);
        state.bound.push(Bound { to: *to, zero_copy, rings: rings.alias(), maps: !to.joins });
        Ok(zero_copy)
    }

    /// Forgets a socket that is about to be closed; gives one that stays on its queue.
    pub fn remove(&self, fd: RawFd) -> Option<Heir> {
        let mut state = self.0.lock();
        let at = state.bound.iter().position(|bound| bound.to.fd == fd)?;
        let gone = state.bound.swap_remove(at);
        let heir = state.bound.iter_mut().find(|bound| bound.to.queue == gone.to.queue)?;
        heir.maps |= gone.maps;
        Some(Heir { fd: heir.to.fd, maps: gone.maps })
    }
}

/// Whether a socket bound as the other, mode included, is what is asked for.
fn serves(bound: &Bound, to: &Binding) -> bool {
    let (there, here) = (bound.to.queue, to.queue);
    let copies = match to.copy {
        // Another interface may do better than the sibling's, or worse.
        CopyMode::Auto => (there.netns, there.ifindex) == (here.netns, here.ifindex),
        CopyMode::Copy => !bound.zero_copy,
        CopyMode::ZeroCopy => bound.zero_copy,
    };
    copies && (bound.to.need_wakeup, bound.to.sg) == (to.need_wakeup, to.sg)
}

fn flags(to: &Binding) -> u16 {
    let copy = match to.copy {
        CopyMode::Auto => 0,
        CopyMode::Copy => COPY,
        CopyMode::ZeroCopy => ZEROCOPY,
    };
    let need_wakeup = if to.need_wakeup { USE_NEED_WAKEUP } else { 0 };
    copy | need_wakeup | if to.sg { USE_SG } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Binding = Binding {
        fd: 9,
        queue: Queue { netns: 1, ifindex: 2, queue_id: 0 },
        copy: CopyMode::Auto,
        need_wakeup: true,
        sg: false,
        joins: false,
        named: false,
    };

    fn none() -> QueueRings {
        let ledger = || InTurn::new(Ledger::new(0).unwrap()).unwrap();
        QueueRings {
            fill: (Producer::absent().unwrap(), ledger()),
            comp: (Consumer::absent().unwrap(), ledger()),
            metadata: None,
        }
    }

    /// The same, on another interface.
    fn elsewhere(to: Binding) -> Binding {
        Binding { queue: Queue { ifindex: 3, ..to.queue }, ..to }
    }

    #[test]
    fn a_registration_is_shared_only_where_its_mode_is_the_one_asked_for() {
        let bound = |zero_copy| Bound { to: ASKED, zero_copy, rings: none(), maps: true };
        let copying = bound(false);
        assert!(serves(&copying, &ASKED));
        assert!(serves(&copying, &elsewhere(Binding { copy: CopyMode::Copy, ..ASKED })));
        assert!(!serves(&copying, &Binding { copy: CopyMode::ZeroCopy, ..ASKED }));
        assert!(!serves(&copying, &elsewhere(ASKED)), "may do better");
        assert!(!serves(&copying, &Binding { need_wakeup: false, ..ASKED }));
        assert!(!serves(&copying, &Binding { sg: true, ..ASKED }));
        let abroad = Queue { netns: 4, ..ASKED.queue };
        assert!(!serves(&copying, &Binding { queue: abroad, ..ASKED }), "another's interface");
        assert!(serves(&copying, &Binding { queue: abroad, copy: CopyMode::Copy, ..ASKED }));
        let direct = bound(true);
        assert!(serves(&direct, &ASKED));
        assert!(!serves(&direct, &Binding { copy: CopyMode::Copy, ..ASKED }));
        assert!(!serves(&direct, &elsewhere(ASKED)), "may do worse");
    }

    #[test]
    fn flags_say_what_was_asked() {
        assert_eq!(flags(&ASKED), USE_NEED_WAKEUP);
        assert_eq!(flags(&Binding { sg: true, ..ASKED }), USE_NEED_WAKEUP | USE_SG);
        assert_eq!(flags(&Binding { copy: CopyMode::Copy, need_wakeup: false, ..ASKED }), COPY);
    }

    #[test]
    fn the_rings_of_a_queue_are_mapped_through_a_socket_that_is_there() {
        let registrations = Registrations::none();
        let bind = |fd, queue_id, maps| {
            let to = Binding { fd, queue: Queue { queue_id, ..ASKED.queue }, ..ASKED };
            let bound = Bound { to, zero_copy: false, rings: none(), maps };
            registrations.0.lock().bound.push(bound);
        };
        for (fd, queue_id, maps) in [(1, 0, true), (2, 7, true), (3, 0, false), (4, 0, false)] {
            bind(fd, queue_id, maps);
        }
        assert_eq!(registrations.remove(4), Some(Heir { fd: 1, maps: false }));
        assert_eq!(registrations.remove(1), Some(Heir { fd: 3, maps: true }));
        bind(5, 0, false);
        assert_eq!(registrations.remove(3), Some(Heir { fd: 5, maps: true }));
        assert_eq!(registrations.remove(5), None);
        assert_eq!(registrations.remove(5), None);
    }
}
