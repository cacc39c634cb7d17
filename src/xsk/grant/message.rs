//! What granter and client say to each other: one message each. Both are on one
//! machine, so numbers are as it has them.

use crate::sys::Errno;
use crate::sys::netdev::IfName;

/// Bytes of a message.
pub const SIZE: usize = 48;

/// A link comes with it.
pub const LINK: u32 = 1;
/// The program stores what the driver knows of a packet in front of it.
pub const HINTS: u32 = 2;

const MAGIC: u32 = u32::from_ne_bytes(*b"XSKG");
const VERSION: u32 = 1;
const WORDS: usize = 8;
const NAME: usize = 16;
const _: () = assert!(WORDS * 4 + NAME == SIZE);

/// A client asks for `count` queues from `first` on, 0 for all, of an interface or of
/// whichever there is. The granter answers with what it gives, and descriptors: the
/// XSKMAP, the link if there is one, a socket for each queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Of an answer: why there is nothing, or 0.
    pub status: u16,
    pub first: u32,
    pub count: u32,
    pub ifname: Option<IfName>,
    /// Of an answer: the interface's index, and the queues that it can have.
    pub ifindex: u32,
    pub queues: u32,
    /// Of an answer: `LINK` and `HINTS`.
    pub flags: u32,
}

impl Message {
    /// The refusal for that reason.
    pub fn refusal(why: Errno) -> Message {
        Message { status: why.raw() as u16, ..Message::default() }
    }

    /// As it goes over the socket.
    pub fn encode(&self) -> [u8; SIZE] {
        let Message { status, first, count, ifname, ifindex, queues, flags } = *self;
        let words: [u32; WORDS] =
            [MAGIC, VERSION, status.into(), first, count, ifindex, queues, flags];
        let name = ifname.map_or([0; NAME], |name| *name.bytes());
        let mut bytes = [0; SIZE];
        let from = words.iter().flat_map(|word| word.to_ne_bytes()).chain(name);
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = from);
        bytes
    }

    /// What came over the socket. EINVAL for what is no message, EPROTONOSUPPORT for
    /// one of another version.
    pub fn decode(bytes: &[u8]) -> Result<Message, Errno> {
        let word = |n: usize| {
            let bytes = bytes.get(n * 4..n * 4 + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_ne_bytes).ok_or(Errno::EINVAL)
        };
        if word(0)? != MAGIC {
            return Err(Errno::EINVAL);
        }
        if word(1)? != VERSION {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let name = bytes.get(WORDS * 4..).unwrap_or(&[]);
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let (name, rest) = name.split_at_checked(end).ok_or(Errno::EINVAL)?;
        let ifname = IfName::new(name);
        if bytes.len() != SIZE || ifname.is_none() && end != 0 || rest.iter().any(|b| *b != 0) {
            return Err(Errno::EINVAL);
        }
        Ok(Message {
            status: word(2)?.try_into().map_err(|_| Errno::EINVAL)?,
            first: word(3)?,
            count: word(4)?,
            ifindex: word(5)?,
            queues: word(6)?,
            flags: word(7)?,
            ifname,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_else() {
        let message = Message {
            status: 1,
            first: 2,
            count: 3,
            ifindex: 4,
            queues: 5,
            flags: 6,
            ifname: IfName::new(b"eth0"),
        };
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes), Ok(message));
        assert_eq!(Message::decode(&Message::default().encode()), Ok(Message::default()));
        for len in 0..SIZE {
            assert_eq!(Message::decode(&bytes[..len]), Err(Errno::EINVAL), "{len}");
        }
        assert_eq!(Message::decode(&[&bytes[..], b"\0"].concat()), Err(Errno::EINVAL));
        let with = |at: usize, byte| {
            let mut bytes = bytes;
            bytes[at] = byte;
            Message::decode(&bytes)
        };
        assert_eq!(with(0, 0), Err(Errno::EINVAL));
        assert_eq!(with(4, 9), Err(Errno::EPROTONOSUPPORT));
        assert_eq!(with(33, b'/'), Err(Errno::EINVAL), "no name");
        assert_eq!(with(40, b'x'), Err(Errno::EINVAL), "something behind the name");
        assert_eq!(with(47, 1), Err(Errno::EINVAL), "a name without an end");
    }
}
