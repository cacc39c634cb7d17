//! epoll(7), and a timer that it can wait for.

use core::ffi::c_int;
use core::ptr;

use super::errno::check;
use super::{Errno, OwnedFd, RawFd};

/// Descriptors that are waited for at once, each known by a number of its owner's.
pub struct Epoll(OwnedFd);

/// Something happened to the descriptor of that number.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(libc::epoll_event);

impl Event {
    /// Nothing yet.
    pub const NONE: Event = Event(libc::epoll_event { events: 0, u64: 0 });

    /// The owner's number.
    pub fn key(&self) -> u64 {
        self.0.u64
    }
}

impl Epoll {
    /// Waits for nothing yet.
    pub fn open() -> Result<Epoll, Errno> {
        // SAFETY: integers only.
        check(|| unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
            .map(|fd| Epoll(OwnedFd::adopt(fd)))
    }

    /// Readable when something happened.
    pub fn raw(&self) -> RawFd {
        self.0.raw()
    }

    fn control(&self, operation: c_int, fd: RawFd, key: u64, input: bool) -> Result<(), Errno> {
        let events = if input { libc::EPOLLIN as u32 } else { 0 };
        let mut event = libc::epoll_event { events, u64: key };
        // SAFETY: the kernel reads one event.
        check(|| unsafe { libc::epoll_ctl(self.raw(), operation, fd, &raw mut event) }).map(drop)
    }

    /// Waits for input of a descriptor, and for its end.
    pub fn add(&self, fd: RawFd, key: u64) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_ADD, fd, key, true)
    }

    /// From now on waits for its input or not.
    pub fn change(&self, fd: RawFd, key: u64, input: bool) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_MOD, fd, key, input)
    }

    /// Forgets it, whoever else has the same file open.
    pub fn remove(&self, fd: RawFd) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, false)
    }

    /// What happened, without waiting.
    pub fn events<'a>(&self, room: &'a mut [Event]) -> Result<&'a [Event], Errno> {
        let (at, most) = (room.as_mut_ptr().cast(), room.len() as c_int);
        // SAFETY: `Event` is an epoll_event, and there is room for `most`.
        let n = check(|| unsafe { libc::epoll_wait(self.raw(), at, most, 0) })?;
        Ok(room.get(..n as usize).unwrap_or(&[]))
    }
}

/// A timer of the monotonic clock; its descriptor is readable once its time came.
pub struct Timer(OwnedFd);

impl Timer {
    /// Not set.
    pub fn open() -> Result<Timer, Errno> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: integers only.
        check(|| unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })
            .map(|fd| Timer(OwnedFd::adopt(fd)))
    }

    /// The descriptor, to wait for.
    pub fn raw(&self) -> RawFd {
        self.0.raw()
    }

    /// Sets it to a time of `clock::monotonic_ms`, or stops it; either way its
    /// descriptor is not readable before it.
    pub fn set(&self, at_ms: Option<u64>) -> Result<(), Errno> {
        // Zero would stop it.
        let ms = at_ms.map_or(0, |ms| ms.max(1));
        let value = libc::timespec {
            tv_sec: (ms / 1000) as libc::time_t,
            tv_nsec: (ms % 1000 * 1_000_000) as _,
        };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let time = libc::itimerspec { it_interval: never, it_value: value };
        let (raw, flags, from) = (self.raw(), libc::TFD_TIMER_ABSTIME, &raw const time);
        // SAFETY: the kernel reads one itimerspec, and writes none.
        check(|| unsafe { libc::timerfd_settime(raw, flags, from, ptr::null_mut()) }).map(drop)
    }
}
