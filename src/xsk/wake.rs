//! Wake-ups: when the kernel wants a call, what its answers mean, and the state of
//! the interface behind a socket.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::sys::heap::Shared;
use crate::sys::netdev::IfName;
use crate::sys::socket::Ready;
use crate::sys::{Errno, RawFd, clock, socket};
use crate::xsk::error::{Error, fail};
use crate::xsk::logger::tell;

/// The queue that a socket is bound to, and how its interface fares.
pub struct Place {
    pub ifname: IfName,
    pub ifindex: u32,
    pub queue_id: u32,
    state: AtomicU8,
}

/// How an interface fares. Kept to log a change once, whichever thread meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Up,
    Down,
    Gone,
}

impl Place {
    /// A queue of an interface that is believed to be up.
    pub fn new(ifname: IfName, ifindex: u32, queue_id: u32) -> Place {
        Place { ifname, ifindex, queue_id, state: AtomicU8::new(State::Up as u8) }
    }

    /// Notes a state; true if it is another than before.
    fn note(&self, state: State) -> bool {
        let state = state as u8;
        // The usual case costs a load of a line that nobody writes.
        self.state.load(Ordering::Relaxed) != state
            && self.state.swap(state, Ordering::Relaxed) != state
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {} of {}", self.queue_id, self.ifname)
    }
}

/// What became of a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kick {
    /// The kernel needs no call, or had one and did what there was to do.
    Done,
    /// The kernel had one and has more to do: kick again.
    Again,
}

impl Kick {
    /// Both of two: again if either is.
    pub fn and(self, other: Kick) -> Kick {
        if self == Kick::Done { other } else { Kick::Again }
    }
}

const RX: Ready = Ready { rx: true, tx: false, trouble: false };

/// The longest that `wait` waits without asking after the interface.
const SLICE_MS: u64 = 1000;

/// The way into the kernel for one side of a socket.
#[derive(Clone)]
pub struct Waker {
    fd: RawFd,
    place: Option<Shared<Place>>,
    copies: bool,
    busy: bool,
}

impl Waker {
    /// For a socket that is not bound yet; `busy` for one that polls its device.
    pub fn new(fd: RawFd, busy: bool) -> Waker {
        Waker { fd, place: None, copies: false, busy }
    }

    /// From now on the socket polls its device.
    pub fn set_busy(&mut self) {
        self.busy = true;
    }

    /// From now on the socket is bound, in copy mode or not.
    pub fn bound(&mut self, place: Shared<Place>, copies: bool) {
        self.place = Some(place);
        self.copies = copies;
    }

    /// Whether the kernel copies packets: then it sends during the call.
    pub fn copies(&self) -> bool {
        self.copies
    }

    /// Whether the kernel fetches packets during the calls, so that these must be made
    /// whatever the rings' flags say.
    #[inline]
    pub fn polls(&self) -> bool {
        self.busy && self.place.is_some()
    }

    /// The queue; an error before `bound`.
    pub fn place(&self) -> Result<&Shared<Place>, Error> {
        match &self.place {
            Some(place) => Ok(place),
            None => fail!(Errno::ENOTCONN, "the socket is not bound: xsk_socket_bind()"),
        }
    }

    /// Has the kernel send what is in the TX ring.
    pub fn wake_tx(&self) -> Result<Kick, Error> {
        self.outcome(socket::wake_tx(self.fd), "tx kick")
    }

    /// Has the kernel receive into what is in the fill ring.
    #[cold]
    pub fn wake_rx(&self) -> Result<Kick, Error> {
        let answer = match socket::wake_rx(self.fd) {
            // Before Linux 5.11 these sockets have no recvfrom; poll does the same.
            Err(Errno::EOPNOTSUPP) => socket::poll(self.fd, RX, 0).and_then(|_| self.probe_tx()),
            answer => answer,
        };
        self.outcome(answer, "rx kick")
    }

    /// Asks whether the interface is there and up, by a call that does nothing else.
    #[cold]
    pub fn check(&self) -> Result<(), Error> {
        let answer = match socket::wake_rx(self.fd) {
            // No RX ring, which is looked at last.
            Err(Errno::ENOBUFS) => Ok(()),
            Err(Errno::EOPNOTSUPP) => self.probe_tx(),
            answer => answer,
        };
        self.outcome(answer, "check").map(drop)
    }

    /// The same before Linux 5.11: a call that also sends what is in the TX ring.
    fn probe_tx(&self) -> Result<(), Errno> {
        match socket::wake_tx(self.fd) {
            // No TX ring, which is looked at last, or more to send.
            Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EBUSY) => Ok(()),
            answer => answer,
        }
    }

    /// Waits until something of `wanted` holds, for `timeout_ms` at most (negative:
    /// for ever); gives what holds, or nothing when the time is over. poll(2) says
    /// nothing of an interface that went away, so it is asked for once a second.
    pub fn wait(&self, wanted: Ready, timeout_ms: i32) -> Result<Ready, Error> {
        let place = self.place()?;
        let until = u64::try_from(timeout_ms).map(|ms| clock::monotonic_ms().saturating_add(ms));
        loop {
            let left = until.map_or(SLICE_MS, |until| until.saturating_sub(clock::monotonic_ms()));
            // poll(2) sleeps, and fetches nothing. What is wrong is told below.
            if self.polls() && socket::wake_rx(self.fd) == Err(Errno::ENOBUFS) {
                let _ = socket::wake_tx(self.fd);
            }
            let ready = match socket::poll(self.fd, wanted, left.min(SLICE_MS) as i32) {
                Ok(ready) => ready,
                Err(e @ Errno::EINTR) => return fail!(e, "wait: {place}: a signal came"),
                Err(e) => return fail!(e, "wait: {place}: {e}"),
            };
            if ready.rx || ready.tx {
                return Ok(ready);
            }
            self.check()?;
            if ready.trouble {
                return fail!(Errno::ENXIO, "wait: {place}: poll reports an error");
            }
            if left <= SLICE_MS && until.is_ok() {
                return Ok(ready);
            }
        }
    }

    fn outcome(&self, answer: Result<(), Errno>, what: &str) -> Result<Kick, Error> {
        let place = self.place()?;
        match answer {
            Ok(()) => Ok(self.up(place, Kick::Done)),
            // EINTR cannot come of calls that do not wait, and would mean the same.
            Err(Errno::EAGAIN | Errno::EBUSY | Errno::ENOBUFS | Errno::EINTR) => {
                Ok(self.up(place, Kick::Again))
            }
            Err(e @ Errno::ENETDOWN) => {
                if place.note(State::Down) {
                    tell!(Warn, "{place}: the interface is down");
                }
                fail!(
                    e,
                    "{what}: {place}: the interface is down; the socket works again when it is up"
                )
            }
            Err(e @ (Errno::ENXIO | Errno::ENODEV)) => {
                if place.note(State::Gone) {
                    tell!(Warn, "{place}: the interface is gone");
                }
                fail!(
                    e,
                    "{what}: {place}: the interface is gone, and the socket with it: destroy it"
                )
            }
            Err(e) => fail!(e, "{what}: {place}: {e}"),
        }
    }

    fn up(&self, place: &Place, kick: Kick) -> Kick {
        if place.note(State::Up) {
            tell!(Info, "{place}: the interface is up again");
        }
        kick
    }
}
