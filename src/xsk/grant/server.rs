//! The privileged side: listens, and gives who may have them sockets of what there is
//! to give. It never waits for a client, and what it remembers of clients is bounded.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use super::message::{Message, SIZE};
use super::offer::Offer;
use crate::sys::epoll::{Epoll, Event, Timer};
use crate::sys::heap::try_slice;
use crate::sys::netdev::IfName;
use crate::sys::text::Escaped;
use crate::sys::unix::{self, File, Path, Peer};
use crate::sys::{Errno, OwnedFd, RawFd, clock, process};
use crate::xsk::busy::BusyPoll;
use crate::xsk::config::BindConfig;
use crate::xsk::error::{Error, error, fail};
use crate::xsk::logger;
use crate::xsk::umem::out_of_memory;

/// How many clients may be about to say what they want, and how many of one user:
/// so that nobody can take all places.
const MOST_WAITING: usize = 16;
const MOST_WAITING_OF_ONE: usize = 4;
/// How many may wait in the kernel to be accepted.
const BACKLOG: i32 = 128;
/// Everybody may connect: who is given something is decided by what the kernel says of
/// the client.
const MODE: u32 = 0o666;
const TIMEOUT_MS: u32 = 1000;
/// How much is done in a step.
const EVENTS: usize = 64;
const ACCEPTS: usize = 32;
/// How long no client is accepted when there are no descriptors or there is no memory.
const PAUSE_MS: u64 = 100;
/// How many lines about refused clients are logged in a second, at most.
const LINES: u32 = 8;
/// Groups of a client that are looked at; who has more is known by his first.
const GROUPS: usize = 256;

/// What `epoll` knows the listening socket and the timer by; clients are above.
const LISTENER: u64 = 0;
const TIMER: u64 = 1;

/// Who is given what, and how.
pub struct GranterConfig {
    /// Users and groups that are given sockets.
    pub uids: Box<[u32]>,
    pub gids: Box<[u32]>,
    /// Permissions of the socket file.
    pub mode: u32,
    /// How long a client may take to say what it wants.
    pub timeout_ms: u32,
    /// Preset on the sockets.
    pub busy_poll: BusyPoll,
}

impl GranterConfig {
    /// With defaults in place of what is 0: nobody but this process's own user.
    fn resolved(mut self) -> Result<GranterConfig, Error> {
        self.busy_poll.check()?;
        if self.uids.is_empty() && self.gids.is_empty() {
            let own = try_slice(process::effective_uid(), 1);
            self.uids = own.or_else(|e| out_of_memory(e, "grant"))?;
        }
        if self.mode == 0 {
            self.mode = MODE;
        }
        if self.timeout_ms == 0 {
            self.timeout_ms = TIMEOUT_MS;
        }
        Ok(self)
    }

    fn admits(&self, peer: &Peer, fd: RawFd) -> bool {
        if self.uids.contains(&peer.uid) || self.gids.contains(&peer.gid) {
            return true;
        }
        let mut groups = [0; GROUPS];
        let known = if self.gids.is_empty() { Ok(0) } else { unix::peer_groups(fd, &mut groups) };
        let groups = groups.get(..known.unwrap_or(0)).unwrap_or(&[]);
        groups.iter().any(|gid| self.gids.contains(gid))
    }
}

/// A client that connected.
struct Client {
    fd: OwnedFd,
    key: u64,
    peer: Peer,
    /// Until when it must have said what it wants; None once it has sockets.
    deadline: Option<u64>,
}

/// Listens for clients, and knows who has what.
pub struct Granter {
    listener: OwnedFd,
    path: Path,
    file: File,
    epoll: Epoll,
    timer: Timer,
    config: GranterConfig,
    offers: Vec<Offer>,
    clients: Vec<Client>,
    next_key: u64,
    accepting: bool,
    pause_until: u64,
    /// Lines logged in this second, when it ends, and refusals without a line.
    lines: u32,
    second_ends: u64,
    untold: u32,
}

impl Granter {
    /// Listens at a path, with nothing to give yet.
    pub fn listen(path: &[u8], config: GranterConfig) -> Result<Granter, Error> {
        let config = config.resolved()?;
        let Some(address) = Path::new(&[path]) else {
            return fail!(Errno::ENAMETOOLONG, "grant: no path of a socket: 1 to 107 bytes");
        };
        let made = unix::open(false).and_then(|listener| {
            claim(&listener, &address)?;
            Ok(listener)
        });
        let listener = made.map_err(|e| unheard(e, &address))?;
        let setup = || {
            let file = address.file()?;
            // Nobody can connect before `listen`.
            address.set_mode(config.mode)?;
            unix::listen(listener.raw(), BACKLOG)?;
            let (epoll, timer) = (Epoll::open()?, Timer::open()?);
            epoll.add(listener.raw(), LISTENER)?;
            epoll.add(timer.raw(), TIMER)?;
            Ok((file, epoll, timer))
        };
        match setup() {
            Ok((file, epoll, timer)) => Ok(Granter {
                listener,
                path: address,
                file,
                epoll,
                timer,
                config,
                offers: Vec::new(),
                clients: Vec::new(),
                next_key: TIMER + 1,
                accepting: true,
                pause_until: 0,
                lines: 0,
                second_ends: 0,
                untold: 0,
            }),
            Err(e) => {
                let _ = address.remove();
                Err(unheard(e, &address))
            }
        }
    }

    /// Offers queues of an interface.
    pub fn offer(
        &mut self,
        ifname: &[u8],
        first: u32,
        count: u32,
        bind: &BindConfig,
    ) -> Result<(), Error> {
        if self.offers.iter().any(|offer| offer.device().ifname.text() == ifname) {
            return fail!(
                Errno::EEXIST,
                "grant: {} is offered already: one range of queues for each interface",
                Escaped(ifname)
            );
        }
        let offer = Offer::new(ifname, first, count, bind, self.config.busy_poll)?;
        self.offers.try_reserve(1).or_else(|_| out_of_memory(Errno::ENOMEM, "grant"))?;
        self.offers.push(offer);
        Ok(())
    }

    /// Readable when `step` has something to do.
    pub fn fd(&self) -> RawFd {
        self.epoll.raw()
    }

    /// Does what there is to do, without waiting.
    pub fn step(&mut self) -> Result<(), Error> {
        let mut room = [Event::NONE; EVENTS];
        let events = match self.epoll.events(&mut room) {
            Ok(events) => events,
            Err(Errno::EINTR) => return Ok(()),
            Err(e) => return fail!(e, "grant: cannot ask for clients: {e}"),
        };
        // Who asks for what another has just given up shall find it: those who go first.
        for granted in [true, false] {
            for event in events.iter().filter(|event| event.key() > TIMER) {
                self.serve(event.key(), granted);
            }
        }
        let now = clock::monotonic_ms();
        let late = |client: &&Client| client.deadline.is_some_and(|deadline| deadline <= now);
        while let Some(key) = self.clients.iter().find(late).map(|client| client.key) {
            self.refuse(key, Errno::ETIMEDOUT);
        }
        // The same for those who are not here yet.
        if events.len() < EVENTS && now >= self.pause_until {
            self.admit(now)?;
        }
        self.arm(now)
    }

    /// Accepts who waits, as far as there is room.
    fn admit(&mut self, now: u64) -> Result<(), Error> {
        for _ in 0..ACCEPTS {
            if self.waiting().count() >= MOST_WAITING {
                break;
            }
            match unix::accept(self.listener.raw()) {
                Ok(fd) => self.greet(fd, now),
                Err(Errno::EAGAIN) => break,
                // The client's own trouble.
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(e @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    if self.may_log() {
                        logger::tell!(
                            Warn,
                            "grant: no client can be accepted for {PAUSE_MS} ms: {e}"
                        );
                    }
                    self.pause_until = now.saturating_add(PAUSE_MS);
                    break;
                }
                Err(e) => return fail!(e, "grant: no client can be accepted: {e}"),
            }
        }
        Ok(())
    }

    fn waiting(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(|client| client.deadline.is_some())
    }

    /// Keeps a client that may be here.
    fn greet(&mut self, fd: OwnedFd, now: u64) {
        let Ok(peer) = unix::peer(fd.raw()) else { return };
        if !self.config.admits(&peer, fd.raw()) {
            return self.send_away(&fd, &peer, Errno::EACCES);
        }
        let same = |client: &&Client| client.peer.uid == peer.uid;
        if self.waiting().filter(same).count() >= MOST_WAITING_OF_ONE {
            // The one that has been silent for longest.
            if let Some(oldest) = self.waiting().filter(same).map(|client| client.key).min() {
                self.refuse(oldest, Errno::EAGAIN);
            }
        }
        let key = self.next_key;
        if self.clients.try_reserve(1).is_err() || self.epoll.add(fd.raw(), key).is_err() {
            return self.send_away(&fd, &peer, Errno::ENOMEM);
        }
        self.next_key += 1;
        let deadline = Some(now.saturating_add(self.config.timeout_ms.into()));
        self.clients.push(Client { fd, key, peer, deadline });
    }

    /// A client has said something, or is gone; one that has sockets or one that has none.
    fn serve(&mut self, key: u64, granted: bool) {
        let is_meant =
            |client: &&mut Client| client.key == key && client.deadline.is_none() == granted;
        let Some(client) = self.clients.iter_mut().find(is_meant) else { return };
        let mut bytes = [0; SIZE + 1];
        let came = unix::receive(client.fd.raw(), &mut bytes, None);
        if let Err(Errno::EAGAIN) = came {
            return;
        }
        if granted {
            // Whether it goes or has more to say: the sockets are all that there is.
            return self.end(key);
        }
        let said = match came {
            Ok(came) if came.len == 0 => return self.end(key),
            Ok(came) if !came.cut => Message::decode(bytes.get(..came.len).unwrap_or(&[])),
            Ok(_) | Err(_) => Err(Errno::EINVAL),
        };
        match said {
            Ok(wanted) => self.give(key, &wanted),
            Err(why) => self.refuse(key, why),
        }
    }

    fn give(&mut self, key: u64, wanted: &Message) {
        let offered =
            |offer: &&mut Offer| wanted.ifname.is_none_or(|ifname| offer.device().ifname == ifname);
        let Some(offer) = self.offers.iter_mut().find(offered) else {
            return self.refuse(key, Errno::ENODEV);
        };
        let (answer, fds) = match offer.give(wanted, key) {
            Ok(goods) => goods,
            Err(e) => {
                offer.take_back(key);
                return self.refuse(key, e.errno());
            }
        };
        let ifname = offer.device().ifname;
        let Some(client) = self.clients.iter_mut().find(|client| client.key == key) else {
            return;
        };
        match unix::send(client.fd.raw(), &answer.encode(), fds.all()) {
            Ok(()) => {
                client.deadline = None;
                tell("to", answer.count, &ifname, &client.peer);
            }
            // It is gone, or did what makes it not able to listen.
            Err(_) => self.end(key),
        }
    }

    /// Tells a client why it gets nothing, and ends with it.
    fn refuse(&mut self, key: u64, why: Errno) {
        if let Some(client) = self.forget(key) {
            self.send_away(&client.fd, &client.peer, why);
        }
    }

    /// Ends with a client; what it had is free.
    fn end(&mut self, key: u64) {
        let Some(client) = self.forget(key) else { return };
        for offer in &mut self.offers {
            let count = offer.take_back(key);
            if count != 0 {
                tell("back from", count, &offer.device().ifname, &client.peer);
            }
        }
    }

    fn forget(&mut self, key: u64) -> Option<Client> {
        let last = self.clients.pop()?;
        let gone = if last.key == key {
            last
        } else if let Some(place) = self.clients.iter_mut().find(|client| client.key == key) {
            mem::replace(place, last)
        } else {
            self.clients.push(last);
            return None;
        };
        // Not known any more only if it never was.
        let _ = self.epoll.remove(gone.fd.raw());
        Some(gone)
    }

    /// Says why there is nothing for a client, if it listens, and logs it now and then.
    fn send_away(&mut self, fd: &OwnedFd, peer: &Peer, why: Errno) {
        // Who has no room for an answer has no need of one.
        let _ = unix::send(fd.raw(), &Message::refusal(why).encode(), &[]);
        if self.may_log() {
            logger::tell!(Warn, "grant: refused {peer}: {why}, and {} more before", self.untold);
            self.untold = 0;
        } else {
            self.untold = self.untold.saturating_add(1);
        }
    }

    /// Whether there may be another line about a refusal: nobody shall fill the log.
    fn may_log(&mut self) -> bool {
        let now = clock::monotonic_ms();
        if now >= self.second_ends {
            (self.lines, self.second_ends) = (0, now.saturating_add(1000));
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LINES
    }

    /// Sets what the next step is waited for by.
    fn arm(&mut self, now: u64) -> Result<(), Error> {
        let accepting = now >= self.pause_until && self.waiting().count() < MOST_WAITING;
        let deadlines = self.clients.iter().filter_map(|client| client.deadline);
        let pause = Some(self.pause_until).filter(|until| *until > now);
        let mut armed = self.timer.set(deadlines.chain(pause).min());
        if accepting != self.accepting {
            armed = armed.and(self.epoll.change(self.listener.raw(), LISTENER, accepting));
            self.accepting = accepting;
        }
        armed.map_err(|e| error!(e, "grant: cannot wait for clients: {e}"))
    }
}

impl Drop for Granter {
    fn drop(&mut self) {
        // Unless it is another's by now.
        if self.path.file() == Ok(self.file) {
            let _ = self.path.remove();
        }
    }
}

#[cold]
fn tell(way: &str, count: u32, ifname: &IfName, peer: &Peer) {
    logger::tell!(Info, "grant: {count} queue(s) of {ifname} {way} {peer}");
}

/// Why nobody can listen at a path.
fn unheard(e: Errno, path: &Path) -> Error {
    let why = match e {
        Errno::EADDRINUSE => "another process listens there, or it is no socket",
        _ => "cannot listen",
    };
    error!(e, "grant: {path}: {why}: {e}")
}

/// Makes the socket file, in place of one that a process has left behind.
fn claim(listener: &OwnedFd, path: &Path) -> Result<(), Errno> {
    match unix::bind(listener.raw(), path) {
        Err(Errno::EADDRINUSE) if is_abandoned(path)? => {
            path.remove()?;
            unix::bind(listener.raw(), path)
        }
        answer => answer,
    }
}

/// Whether it is a socket at which nobody listens.
fn is_abandoned(path: &Path) -> Result<bool, Errno> {
    // Other files refuse connections too.
    let probe = unix::open(false)?;
    let answer = unix::connect(probe.raw(), path, 0);
    Ok(path.file()?.is_socket && answer == Err(Errno::ECONNREFUSED))
}
