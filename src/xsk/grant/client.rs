//! The side without privileges: asks a granter for sockets, and makes a port of what it
//! gets.

use super::message::{HINTS, LINK, Message, SIZE};
use crate::sys::netdev::IfName;
use crate::sys::unix::{Fds, Path};
use crate::sys::{Errno, OwnedFd, bpf, socket};
use crate::xsk::attachment::Device;
use crate::xsk::bind::netns;
use crate::xsk::channel::Channel;
use crate::xsk::config::{BindConfig, SocketConfig, Steering};
use crate::xsk::error::{Error, error, fail};
use crate::xsk::port::{Memory, Port};
use crate::xsk::socket::Socket;

/// How long a granter may take to answer.
const TIMEOUT_MS: u32 = 5000;

/// What is kept as long as the sockets are: when the connection ends, the granter has
/// the queues back; the link holds the program in its place without the granter.
pub struct Lease {
    _channel: Channel,
    _link: Option<OwnedFd>,
}

/// Asks the granter at `path` for `count` queues from `first` on, 0 for all, of an
/// interface or of its first, and makes sockets of them.
pub fn receive(
    path: &[u8],
    ifname: Option<&[u8]>,
    (first, count): (u32, u32),
    memory: Memory<'_>,
    config: SocketConfig,
    bind: &BindConfig,
) -> Result<Port, Error> {
    let Some(path) = Path::new(&[path]) else {
        return fail!(Errno::ENAMETOOLONG, "grant: no path of a socket: 1 to 107 bytes");
    };
    // Metadata needs the native mode, which is the granter's to see to.
    let ours = |mode: Option<_>| mode.is_some() && !bind.hints;
    if !matches!(bind.steering, Steering::Program(mode, program) if program.is_default() && !ours(mode))
    {
        return fail!(
            Errno::EINVAL,
            "grant: the program is the granter's: no XSK_BIND_SKB_MODE, XSK_BIND_DRV_MODE, \
             XSK_BIND_NO_PROGRAM, XSK_BIND_XSKMAP or `program`"
        );
    }
    let ifname = match ifname.map(IfName::new) {
        Some(None) => return fail!(Errno::EINVAL, "grant: ifname is no interface name"),
        ifname => ifname.flatten(),
    };
    let wanted = Message { first, count, ifname, ..Message::default() };
    let mut fds = Fds::none();
    let talk = ask(&path, &wanted, &mut fds);
    let (channel, answer) = talk.map_err(|e| unanswered(e, &path))?;
    if let Some(why) = Errno::from_answer(-i32::from(answer.status)) {
        return Err(refused(why, &path));
    }
    let goods = unpack(&wanted, &answer, &mut fds).map_err(|e| unanswered(e, &path))?;
    let Goods { device, map, link } = goods;
    if bind.hints && answer.flags & HINTS == 0 {
        return fail!(
            Errno::EOPNOTSUPP,
            "grant: {path}: the granter's program stores no metadata of packets: it needs \
             XSK_BIND_RX_METADATA too"
        );
    }
    let steering = match config.direction.receives() {
        true => Steering::Xskmap(map.raw()),
        false => Steering::None,
    };
    let config_of_bind = BindConfig { steering, ..*bind };
    let place = &mut |socket: &mut Socket, n| {
        socket.bind_to(&device, None, answer.first.saturating_add(n), &config_of_bind)
    };
    let mut port = Port::build(answer.count, memory, config, Some(&mut fds), place)?;
    port.keep(Lease { _channel: channel, _link: link });
    Ok(port)
}

/// Asks, and gives what came.
fn ask(path: &Path, wanted: &Message, fds: &mut Fds) -> Result<(Channel, Message), Errno> {
    let mut bytes = [0; SIZE];
    let channel = Channel::connect(path, TIMEOUT_MS)?;
    let came = channel.ask(&wanted.encode(), &[], &mut bytes, fds)?;
    let said = bytes.get(..came.len).filter(|_| !came.cut).unwrap_or(&[]);
    Ok((channel, Message::decode(said)?))
}

/// What was granted, beside sockets.
struct Goods {
    device: Device,
    map: OwnedFd,
    link: Option<OwnedFd>,
}

/// Checks what came, and leaves the sockets: EPROTO if it is not what was asked for.
fn unpack(wanted: &Message, answer: &Message, fds: &mut Fds) -> Result<Goods, Errno> {
    let Message { first, count, ifindex, queues, flags, .. } = *answer;
    let ifname = answer.ifname.ok_or(Errno::EPROTO)?;
    let named = wanted.ifname.is_none_or(|wanted| wanted == ifname);
    let counted = match wanted.count {
        0 => first >= wanted.first && count != 0,
        asked => (first, count) == (wanted.first, asked),
    };
    let links = flags & LINK;
    let complete = fds.ours().len() as u64 == 1 + u64::from(links) + u64::from(count)
        && flags & !(LINK | HINTS) == 0;
    if !(named && counted && complete) {
        return Err(Errno::EPROTO);
    }
    let mut next = || fds.next().ok_or(Errno::EPROTO);
    let map = next()?;
    if !bpf::map_info(map.raw()).map_err(foreign)?.is_xskmap() {
        return Err(Errno::EPROTO);
    }
    let link = if links != 0 { Some(next()?) } else { None };
    if let Some(link) = &link {
        let info = bpf::link_info(link.raw()).map_err(foreign)?;
        if info.place != bpf::Place::Interface(ifindex) {
            return Err(Errno::EPROTO);
        }
    }
    if !fds.ours().iter().all(|fd| socket::is_xdp(*fd)) {
        return Err(Errno::EPROTO);
    }
    let netns = netns(fds.ours().first().and_then(|fd| socket::netns_cookie(*fd)));
    let device = Device { ifname, ifindex, netns, queues, in_use: queues };
    Ok(Goods { device, map, link })
}

/// What an info call says of a descriptor that is none of BPF's, or that this kernel
/// lets nobody without privileges look at.
fn foreign(e: Errno) -> Errno {
    if e == Errno::EPERM { e } else { Errno::EPROTO }
}

/// Why there was no answer that makes sense.
fn unanswered(e: Errno, path: &Path) -> Error {
    let why = match e {
        Errno::ENOENT => "there is no such socket; does the granter run?",
        Errno::ECONNREFUSED => "nobody listens there; does the granter run?",
        Errno::EACCES => "the permissions of the socket or of its directory keep this process out",
        Errno::ETIMEDOUT => "no answer in 5 s",
        Errno::ECONNRESET => "the connection was closed without an answer",
        Errno::EPROTONOSUPPORT => "it speaks another version: libxsk of the same release is needed",
        Errno::EPROTO | Errno::EINVAL => "what came is no grant, or not what was asked for",
        Errno::EMFILE | Errno::ENFILE => "no file descriptor is left (ulimit -n)",
        Errno::EPERM => {
            "this kernel lets nobody use BPF maps without CAP_BPF: it is older than Linux 5.19, \
             and has kernel.unprivileged_bpf_disabled"
        }
        _ => "cannot ask",
    };
    // What is wrong with the message is no fault of an argument.
    let e = if e == Errno::EINVAL { Errno::EPROTO } else { e };
    error!(e, "grant: {path}: {why}: {e}")
}

/// Why the granter gives nothing.
fn refused(e: Errno, path: &Path) -> Error {
    let why = match e {
        Errno::EACCES => "this user is not among those that it gives sockets to",
        Errno::ENODEV => "it offers no such interface, or the interface is gone",
        Errno::ENXIO => "it offers no such queues of the interface",
        Errno::EBUSY => "a queue is granted to another process",
        Errno::EAGAIN => "too many of this user's processes asked at the same time",
        Errno::EPROTONOSUPPORT => "it speaks another version: libxsk of the same release is needed",
        _ => "it could make no sockets, and its log says why",
    };
    error!(e, "grant: {path}: refused: {why}: {e}")
}
