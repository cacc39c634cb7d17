//! Busy polling: the kernel fetches packets from the device during the calls of the
//! socket's own threads, beside interrupts or in their place.

use crate::sys::{Errno, RawFd, socket};
use crate::xsk::error::{Error, fail};

/// How a socket polls its device; nothing set: it does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct BusyPoll {
    /// Microseconds, as `SO_BUSY_POLL` has it.
    pub us: u32,
    /// Packets at a time; 0 for what the kernel does by itself.
    pub budget: u32,
    /// The device's interrupts stay off while somebody polls.
    pub prefer: bool,
}

impl BusyPoll {
    /// Whether the socket polls.
    pub fn is_on(&self) -> bool {
        self.us != 0
    }

    /// Refuses what the kernel would refuse or not use.
    #[inline(never)]
    pub fn check(&self) -> Result<(), Error> {
        match *self {
            BusyPoll { us: 0, budget: 0, prefer: false } => Ok(()),
            BusyPoll { us: 0, .. } => fail!(
                Errno::EINVAL,
                "socket: busy polling needs a time: set busy_poll_us, to 20 for example"
            ),
            BusyPoll { us, budget, .. } if us > i32::MAX as u32 || budget > u16::MAX.into() => {
                fail!(
                    Errno::EINVAL,
                    "socket: busy_poll_us {us} is above 2147483647, or busy_poll_budget {budget} \
                 above 65535"
                )
            }
            _ => Ok(()),
        }
    }

    /// Sets the socket's options, which go with it if one is refused.
    #[inline(never)]
    pub fn set(&self, fd: RawFd) -> Result<(), Error> {
        if !self.is_on() {
            return Ok(());
        }
        // The newest first: an older kernel refuses before anything is set.
        let mut option = "SO_PREFER_BUSY_POLL";
        let mut answer = if self.prefer { socket::prefer_busy_poll(fd) } else { Ok(()) };
        if answer.is_ok() && self.budget != 0 {
            option = "SO_BUSY_POLL_BUDGET";
            answer = socket::set_busy_poll_budget(fd, self.budget);
        }
        if answer.is_ok() {
            option = "SO_BUSY_POLL";
            answer = socket::set_busy_poll(fd, self.us);
        }
        let Err(e) = answer else { return Ok(()) };
        let why = match e {
            Errno::EPERM => "CAP_NET_ADMIN is missing",
            Errno::ENOPROTOOPT => "it needs Linux 5.11 with CONFIG_NET_RX_BUSY_POLL",
            _ => "the kernel refuses",
        };
        fail!(e, "socket: no busy polling: {option} cannot be set: {why}: {e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xsk::error::sentence;

    #[test]
    fn what_the_kernel_would_not_use_is_refused() {
        let on = BusyPoll { us: 20, budget: 8, prefer: true };
        assert!(on.check().is_ok() && on.is_on());
        assert!(BusyPoll::default().check().is_ok() && !BusyPoll::default().is_on());
        let refused = |busy: BusyPoll, word| {
            assert_eq!(busy.check().unwrap_err().errno(), Errno::EINVAL);
            assert!(sentence().contains(word), "{}", sentence());
        };
        refused(BusyPoll { us: 0, ..on }, "busy_poll_us, to 20");
        refused(BusyPoll { us: 0, budget: 0, ..on }, "busy_poll_us, to 20");
        refused(BusyPoll { us: u32::MAX, ..on }, "busy_poll_us 4294967295");
        refused(BusyPoll { budget: 65536, ..on }, "busy_poll_budget 65536");
    }
}
