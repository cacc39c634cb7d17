//! Which sockets have a UMEM registered, and which of them a new one can share it
//! with, so that its pages are pinned and accounted once.

use alloc::vec::Vec;

use crate::sys::abi::{COPY, SHARED_UMEM, USE_NEED_WAKEUP, USE_SG, ZEROCOPY};
use crate::sys::thread::Mutex;
use crate::sys::{Errno, OwnedFd, RawFd, socket};
use crate::xsk::config::CopyMode;

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
}

/// A binding that stands.
struct Bound {
    to: Binding,
    zero_copy: bool,
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
    /// A socket with the same UMEM has the queue.
    OwnQueue,
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
    /// Gives whether it became zero-copy.
    pub fn bind(
        &self,
        to: &Binding,
        registered: &mut bool,
        register: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<bool, Refused> {
        // Held throughout, so that nobody closes the socket that is shared.
        let mut state = self.0.lock();
        if state.bound.iter().any(|bound| bound.to.queue == to.queue) {
            return Err(Refused::OwnQueue);
        }
        state.bound.try_reserve(1).map_err(|_| Refused::Bind(Errno::ENOMEM))?;
        let sibling = state.bound.iter().find(|bound| serves(bound, to)).map(|bound| bound.to.fd);
        let shared = match sibling.filter(|_| !*registered) {
            // The kernel takes the mode from the sibling, and no flag beside this.
            Some(fd) => socket::bind(to.fd, to.queue.ifindex, to.queue.queue_id, SHARED_UMEM, fd),
            None => Err(Errno::ENOENT),
        };
        match shared {
            Ok(()) => {}
            Err(Errno::EBUSY) => return Err(Refused::Bind(Errno::EBUSY)),
            Err(_) => {
                if !*registered {
                    register().map_err(Refused::Register)?;
                    *registered = true;
                }
                socket::bind(to.fd, to.queue.ifindex, to.queue.queue_id, flags(to), 0)
                    .map_err(Refused::Bind)?;
            }
        }
        let zero_copy = socket::is_zero_copy(to.fd);
        state.bound.push(Bound { to: *to, zero_copy });
        Ok(zero_copy)
    }

    /// Forgets a socket that is about to be closed.
    pub fn remove(&self, fd: RawFd) {
        self.0.lock().bound.retain(|bound| bound.to.fd != fd);
    }
}

/// Whether a socket bound as the other, mode included, is what is asked for.
fn serves(bound: &Bound, to: &Binding) -> bool {
    let copies = match to.copy {
        // Another interface may do better than the sibling's, or worse.
        CopyMode::Auto => bound.to.queue.ifindex == to.queue.ifindex,
        CopyMode::Copy => !bound.zero_copy,
        CopyMode::ZeroCopy => bound.zero_copy,
    };
    let flags = |to: &Binding| (to.need_wakeup, to.sg, to.queue.netns);
    copies && flags(&bound.to) == flags(to)
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
    };

    /// The same, on another interface.
    fn elsewhere(to: Binding) -> Binding {
        Binding { queue: Queue { ifindex: 3, ..to.queue }, ..to }
    }

    #[test]
    fn a_registration_is_shared_only_where_its_mode_is_the_one_asked_for() {
        let copying = Bound { to: ASKED, zero_copy: false };
        assert!(serves(&copying, &ASKED));
        assert!(serves(&copying, &elsewhere(Binding { copy: CopyMode::Copy, ..ASKED })));
        assert!(!serves(&copying, &Binding { copy: CopyMode::ZeroCopy, ..ASKED }));
        assert!(!serves(&copying, &elsewhere(ASKED)), "may do better");
        assert!(!serves(&copying, &Binding { need_wakeup: false, ..ASKED }));
        assert!(!serves(&copying, &Binding { sg: true, ..ASKED }));
        assert!(!serves(&copying, &Binding { queue: Queue { netns: 4, ..ASKED.queue }, ..ASKED }));
        let direct = Bound { to: ASKED, zero_copy: true };
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
}
