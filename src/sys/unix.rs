//! Unix sockets that keep messages apart (SOCK_SEQPACKET), and descriptors that go
//! over them: one function per call, none of which decides.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::fmt;
use core::ptr;

use super::errno::check;
use super::text::Escaped;
use super::{Errno, OwnedFd, RawFd};

/// Descriptors that one message can carry: the kernel's `SCM_MAX_FD`.
pub const MOST_FDS: usize = 253;

/// Where a socket is in the file system.
#[derive(Clone, Copy)]
pub struct Path(libc::sockaddr_un);

impl Path {
    /// None for what cannot be a path: empty, with a NUL, or above 107 bytes.
    pub fn new(parts: &[&[u8]]) -> Option<Path> {
        let mut addr = libc::sockaddr_un { sun_family: libc::AF_UNIX as u16, sun_path: [0; 108] };
        let (last, room) = addr.sun_path.split_last_mut()?;
        *last = 0;
        let mut room = room.iter_mut();
        for byte in parts.iter().flat_map(|part| part.iter()).filter(|byte| **byte != 0) {
            *room.next()? = *byte as c_char;
        }
        let whole = parts.iter().all(|part| !part.contains(&0));
        (whole && addr.sun_path.first() != Some(&0)).then_some(Path(addr))
    }

    /// The path, ending in NUL.
    pub fn text(&self) -> &CStr {
        // SAFETY: `new` left a NUL at the end at the latest.
        unsafe { CStr::from_ptr(self.0.sun_path.as_ptr()) }
    }

    fn parts(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        ((&raw const self.0).cast(), size_of::<libc::sockaddr_un>() as libc::socklen_t)
    }

    /// What is there.
    pub fn file(&self) -> Result<File, Errno> {
        // SAFETY: integers, for which zero does.
        let mut stat: libc::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the path ends in NUL, and the kernel writes one `stat`.
        check(|| unsafe { libc::lstat(self.text().as_ptr(), &raw mut stat) })?;
        let is_socket = stat.st_mode & libc::S_IFMT == libc::S_IFSOCK;
        Ok(File { device: stat.st_dev, inode: stat.st_ino, is_socket })
    }

    /// Sets who may connect, besides root: write permission.
    pub fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        // SAFETY: the path ends in NUL.
        check(|| unsafe { libc::chmod(self.text().as_ptr(), mode) }).map(drop)
    }

    /// Removes what is there.
    pub fn remove(&self) -> Result<(), Errno> {
        // SAFETY: the path ends in NUL.
        check(|| unsafe { libc::unlink(self.text().as_ptr()) }).map(drop)
    }
}

/// A file, told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    device: libc::dev_t,
    inode: libc::ino_t,
    pub is_socket: bool,
}

/// A socket for either end. With `blocks` its calls wait.
pub fn open(blocks: bool) -> Result<OwnedFd, Errno> {
    let flag = if blocks { 0 } else { libc::SOCK_NONBLOCK };
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flag;
    // SAFETY: integers only.
    check(|| unsafe { libc::socket(libc::AF_UNIX, kind, 0) }).map(OwnedFd::adopt)
}

/// Makes the file; nobody can connect yet.
pub fn bind(fd: RawFd, path: &Path) -> Result<(), Errno> {
    let (addr, len) = path.parts();
    // SAFETY: the kernel reads `len` bytes of the address, which has that many.
    check(|| unsafe { libc::bind(fd, addr, len) }).map(drop)
}

/// Lets clients connect; so many may wait to be accepted.
pub fn listen(fd: RawFd, waiting: c_int) -> Result<(), Errno> {
    // SAFETY: integers only.
    check(|| unsafe { libc::listen(fd, waiting) }).map(drop)
}

/// Takes a client that waits; its calls do not wait. EAGAIN if there is none.
pub fn accept(fd: RawFd) -> Result<OwnedFd, Errno> {
    let (flags, none) = (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, ptr::null_mut());
    // SAFETY: no address is asked for.
    check(|| unsafe { libc::accept4(fd, none, ptr::null_mut(), flags) }).map(OwnedFd::adopt)
}

/// Connects; a socket that blocks waits for a place in the queue of those to be
/// accepted, EAGAIN after `timeout_ms`.
pub fn connect(fd: RawFd, path: &Path, timeout_ms: u32) -> Result<(), Errno> {
    let time = libc::timeval {
        tv_sec: (timeout_ms / 1000) as libc::time_t,
        tv_usec: (timeout_ms % 1000 * 1000) as libc::suseconds_t,
    };
    let (from, len) = (ptr::from_ref(&time).cast::<c_void>(), size_of_val(&time) as u32);
    // SAFETY: the kernel reads `len` bytes, and `time` has that many.
    check(|| unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDTIMEO, from, len) })?;
    let (addr, len) = path.parts();
    // SAFETY: the kernel reads `len` bytes of the address, which has that many.
    check(|| unsafe { libc::connect(fd, addr, len) }).map(drop)
}

/// Who is at the other end, as the kernel knew it when it connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(self.text().to_bytes()), f)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of user {}", self.pid, self.uid)
    }
}

/// Asks who is at the other end.
pub fn peer(fd: RawFd) -> Result<Peer, Errno> {
    let mut told = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let (to, mut len) = ((&raw mut told).cast(), size_of::<libc::ucred>() as libc::socklen_t);
    // SAFETY: the kernel writes at most `len` bytes, all integers.
    check(|| unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, to, &raw mut len)
    })?;
    Ok(Peer { pid: told.pid, uid: told.uid, gid: told.gid })
}

/// The other groups of who is at the other end; gives how many. ERANGE if there is
/// no room for all, ENOPROTOOPT before Linux 4.13.
pub fn peer_groups(fd: RawFd, groups: &mut [u32]) -> Result<usize, Errno> {
    let (to, mut len) = (groups.as_mut_ptr().cast(), size_of_val(groups) as libc::socklen_t);
    // SAFETY: the kernel writes at most `len` bytes, all integers.
    check(|| unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERGROUPS, to, &raw mut len)
    })?;
    Ok(len as usize / size_of::<u32>())
}

/// Room for the descriptors of a message: one control message.
#[repr(C)]
struct Rights {
    head: libc::cmsghdr,
    fds: [RawFd; MOST_FDS],
}

const RIGHTS_HEAD: usize = size_of::<libc::cmsghdr>();
// What CMSG_LEN and CMSG_DATA come to: nothing between the two.
const _: () = assert!(core::mem::offset_of!(Rights, fds) == RIGHTS_HEAD);
const _: () = assert!(RIGHTS_HEAD % size_of::<usize>() == 0);

impl Rights {
    fn new(fds: &[RawFd]) -> Rights {
        // SAFETY: integers, for which zero does.
        let mut rights: Rights = unsafe { core::mem::zeroed() };
        rights.fds.iter_mut().zip(fds).for_each(|(to, from)| *to = *from);
        rights.head.cmsg_len = (RIGHTS_HEAD + size_of_val(fds)) as _;
        rights.head.cmsg_level = libc::SOL_SOCKET;
        rights.head.cmsg_type = libc::SCM_RIGHTS;
        rights
    }
}

fn message(part: &mut libc::iovec, rights: Option<(&mut Rights, usize)>) -> libc::msghdr {
    // SAFETY: integers and pointers, for which zero does.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    if let Some((rights, len)) = rights {
        message.msg_control = ptr::from_mut(rights).cast();
        message.msg_controllen = len as _;
    }
    message
}

/// Sends a message, with at most `MOST_FDS` descriptors; they stay the sender's.
/// Never waits: EAGAIN where there is no room.
pub fn send(fd: RawFd, bytes: &[u8], fds: &[RawFd]) -> Result<(), Errno> {
    if fds.len() > MOST_FDS {
        return Err(Errno::EINVAL);
    }
    let mut rights = Rights::new(fds);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let control = (RIGHTS_HEAD + size_of_val(fds)).next_multiple_of(size_of::<usize>());
    let carried = (!fds.is_empty()).then_some((&mut rights, control));
    let message = message(&mut part, carried);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the message points to the bytes and to the control message, whose
    // lengths it has; both are only read.
    check(|| unsafe { libc::sendmsg(fd, &raw const message, flags) as c_int }).map(drop)
}

/// A message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes; 0 if the other end is closed.
    pub len: usize,
    /// It was longer, or had descriptors for which there was no room.
    pub cut: bool,
}

/// Descriptors of a message, in its order: first some of somebody else's, then ours,
/// which are closed unless they are taken.
pub struct Fds {
    fds: [RawFd; MOST_FDS],
    /// The first of ours.
    next: usize,
    end: usize,
}

impl Fds {
    /// None.
    pub fn none() -> Fds {
        Fds::lent([].into_iter())
    }

    /// None of ours yet.
    pub fn lent(fds: impl Iterator<Item = RawFd>) -> Fds {
        let mut all = Fds { fds: [-1; MOST_FDS], next: 0, end: 0 };
        all.fds.iter_mut().zip(fds).for_each(|(to, from)| {
            *to = from;
            all.end += 1;
        });
        all.next = all.end;
        all
    }

    /// Adds one of ours, if there is room for it.
    pub fn push(&mut self, fd: OwnedFd) {
        if let Some(place) = self.fds.get_mut(self.end) {
            *place = fd.into_program();
            self.end += 1;
        }
    }

    /// All of them.
    pub fn all(&self) -> &[RawFd] {
        self.fds.get(..self.end).unwrap_or(&[])
    }

    /// Ours that are not taken yet.
    pub fn ours(&self) -> &[RawFd] {
        self.all().get(self.next..).unwrap_or(&[])
    }
}

impl Iterator for Fds {
    type Item = OwnedFd;

    fn next(&mut self) -> Option<OwnedFd> {
        let fd = *self.ours().first()?;
        self.next += 1;
        Some(OwnedFd::adopt(fd))
    }
}

impl Drop for Fds {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// Takes the next message, its descriptors into `fds`; EAGAIN if there is none. Without
/// `fds` the kernel closes what descriptors it has.
pub fn receive(fd: RawFd, bytes: &mut [u8], fds: Option<&mut Fds>) -> Result<Received, Errno> {
    let mut rights = Rights::new(&[]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let room = fds.is_some().then_some((&mut rights, size_of::<Rights>()));
    let mut message = message(&mut part, room);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message points to room for bytes and for a control message, whose
    // sizes it has.
    let len = check(|| unsafe { libc::recvmsg(fd, &raw mut message, flags) as c_int })?;
    if let Some(fds) = fds {
        // Their types differ between C libraries.
        let (control, carried): (usize, usize) =
            (message.msg_controllen as _, rights.head.cmsg_len as _);
        let came = control >= RIGHTS_HEAD
            && rights.head.cmsg_level == libc::SOL_SOCKET
            && rights.head.cmsg_type == libc::SCM_RIGHTS;
        let bytes = if came { carried.saturating_sub(RIGHTS_HEAD) } else { 0 };
        let came = rights.fds.iter().take(bytes / size_of::<RawFd>());
        came.for_each(|fd| fds.push(OwnedFd::adopt(*fd)));
    }
    let cut = message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    Ok(Received { len: len as usize, cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_1_to_107_bytes() {
        assert!(Path::new(&[b""]).is_none());
        assert!(Path::new(&[b"a\0b"]).is_none());
        assert!(Path::new(&[b"\0b"]).is_none());
        assert!(Path::new(&[&[b'x'; 108]]).is_none());
        assert_eq!(Path::new(&[&[b'x'; 107]]).unwrap().text().to_bytes().len(), 107);
        assert_eq!(Path::new(&[b"/tmp/", b"a/", b"b"]).unwrap().text(), c"/tmp/a/b");
    }

    #[test]
    fn messages_carry_descriptors_and_say_when_they_are_cut() {
        let mut pair = [0; 2];
        // SAFETY: the kernel writes two numbers.
        let made = check(|| unsafe {
            libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, pair.as_mut_ptr())
        });
        made.unwrap();
        let (a, b) = (OwnedFd::adopt(pair[0]), OwnedFd::adopt(pair[1]));
        let (mut bytes, mut fds) = ([0; 4], Fds::none());
        assert_eq!(receive(b.raw(), &mut bytes, None).err(), Some(Errno::EAGAIN));
        send(a.raw(), b"four", &[a.raw(), b.raw()]).unwrap();
        let came = receive(b.raw(), &mut bytes, Some(&mut fds)).unwrap();
        assert_eq!((came, &bytes), (Received { len: 4, cut: false }, b"four"));
        assert_eq!(fds.ours().len(), 2);
        let twin = fds.next().unwrap();
        drop(fds);
        send(twin.raw(), b"more than that", &[a.raw(); MOST_FDS]).unwrap();
        let came = receive(b.raw(), &mut bytes, None);
        assert_eq!(came, Ok(Received { len: 4, cut: true }));
        send(a.raw(), b"x", &[a.raw(); MOST_FDS]).unwrap();
        let mut fds = Fds::none();
        let came = receive(b.raw(), &mut bytes, Some(&mut fds));
        assert_eq!((came, fds.ours().len()), (Ok(Received { len: 1, cut: false }), MOST_FDS));
        assert_eq!(send(a.raw(), b"", &[0; MOST_FDS + 1]).err(), Some(Errno::EINVAL));
        drop((a, twin, fds));
        assert_eq!(receive(b.raw(), &mut bytes, None).unwrap().len, 0);
    }
}
