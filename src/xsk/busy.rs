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
    pub fn check(&self) -> Result<(), Error> {
        match *self {
            BusyPoll { us: 0, budget: 0, prefer: false } => Ok(()),
            BusyPoll { us: 0, .. } => fail!(
                Errno::EINVAL,
                "socket: busy polling needs a time: set busy_poll_us, to 20 for example"
            ),
            BusyPoll { us, .. } if i32::try_from(us).is_err() => {
                fail!(Errno::EINVAL, "socket: busy_poll_us {us} is more than {}", i32::MAX)
            }
            BusyPoll { budget, .. } if u16::try_from(budget).is_err() => {
                fail!(Errno::EINVAL, "socket: busy_poll_budget {budget} is more than {}", u16::MAX)
            }
            _ => Ok(()),
        }
    }

    /// Sets the socket's options, which go with it if one is refused.
    pub fn set(&self, fd: RawFd) -> Result<(), Error> {
        let set = |name, answer: Result<(), Errno>| match answer {
            Ok(()) => Ok(()),
            Err(e @ Errno::EPERM) => {
                fail!(e, "socket: not permitted to set {name}: CAP_NET_ADMIN is missing")
            }
            Err(e @ Errno::ENOPROTOOPT) => fail!(
                e,
                "socket: this kernel has no {name}: it needs Linux 5.11 with \
                 CONFIG_NET_RX_BUSY_POLL"
            ),
            Err(e) => fail!(e, "socket: the kernel refuses {name}: {e}"),
        };
        if self.is_on() {
            // The newest first: an older kernel refuses before anything is set.
            if self.prefer {
                set("SO_PREFER_BUSY_POLL", socket::prefer_busy_poll(fd))?;
            }
            if self.budget != 0 {
                set("SO_BUSY_POLL_BUDGET", socket::set_busy_poll_budget(fd, self.budget))?;
            }
            set("SO_BUSY_POLL", socket::set_busy_poll(fd, self.us))?;
        }
        Ok(())
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
