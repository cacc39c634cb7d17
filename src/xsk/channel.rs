//! A client's end of a conversation over a Unix socket, message by message, in bounded
//! time.

use crate::sys::socket::{self, Ready};
use crate::sys::unix::{self, Fds, Path, Received};
use crate::sys::{Errno, OwnedFd, RawFd, clock};

/// A connection to a server.
pub struct Channel {
    fd: OwnedFd,
    timeout_ms: u32,
}

impl Channel {
    /// Connects; no step of the conversation takes longer than that.
    pub fn connect(path: &Path, timeout_ms: u32) -> Result<Channel, Errno> {
        let fd = unix::open(true)?;
        match unix::connect(fd.raw(), path, timeout_ms) {
            Ok(()) => Ok(Channel { fd, timeout_ms }),
            // So many wait to be accepted that there was no place in their queue.
            Err(Errno::EAGAIN) => Err(Errno::ETIMEDOUT),
            Err(e) => Err(e),
        }
    }

    /// Sends a message, and waits for the next that comes, with descriptors either way.
    /// ETIMEDOUT if none does, ECONNRESET if the other end is closed.
    pub fn ask(
        &self,
        request: &[u8],
        lent: &[RawFd],
        room: &mut [u8],
        fds: &mut Fds,
    ) -> Result<Received, Errno> {
        match unix::send(self.fd.raw(), request, lent) {
            // Who has closed may have said why.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
            Err(e) => return Err(e),
        }
        let deadline = clock::monotonic_ms().saturating_add(self.timeout_ms.into());
        let wanted = Ready { rx: true, ..Ready::default() };
        let mut reset = false;
        loop {
            match unix::receive(self.fd.raw(), room, Some(fds)) {
                Ok(Received { len: 0, .. }) => return Err(Errno::ECONNRESET),
                // Closed with something of ours unread; what it said before is there.
                Err(Errno::ECONNRESET) if !reset => {
                    reset = true;
                    continue;
                }
                Err(Errno::EAGAIN) => {}
                answer => return answer,
            }
            let left = deadline.saturating_sub(clock::monotonic_ms());
            if left == 0 {
                return Err(Errno::ETIMEDOUT);
            }
            match socket::poll(self.fd.raw(), wanted, i32::try_from(left).unwrap_or(i32::MAX)) {
                // A signal is the program's own affair.
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
    }
}
