//! The conversation of a pod with the Kubernetes AF_XDP device plugin, which has loaded
//! a program and gives its XSKMAP. A message is a word without terminator.

use core::fmt::{self, Write};

use crate::sys::netdev::IfName;
use crate::sys::text::Escaped;
use crate::sys::unix::{Fds, Path};
use crate::sys::{Errno, OwnedFd, RawFd, bpf, process};
use crate::xsk::busy::BusyPoll;
use crate::xsk::channel::Channel;
use crate::xsk::error::{Error, error, fail};
use crate::xsk::socket::Socket;

/// Where the plugin mounts a directory for each device, with the socket in it.
const DIRECTORY: &[u8] = b"/tmp/afxdp_dp";
const SOCKET: &[u8] = b"afxdp.sock";
const TIMEOUT_MS: u32 = 5000;
/// Bytes in a message, either way.
const MESSAGE: usize = 64;

/// How to reach the plugin; None and 0 for what is usual.
#[derive(Clone, Copy, Default)]
pub struct K8sConfig<'a> {
    pub directory: Option<&'a [u8]>,
    pub hostname: Option<&'a [u8]>,
    pub timeout_ms: u32,
}

/// A connection to the plugin, which knows the pod.
pub struct K8s {
    /// None once it is over.
    channel: Option<Channel>,
}

/// A message.
struct Line {
    bytes: [u8; MESSAGE],
    len: usize,
}

impl Line {
    const EMPTY: Line = Line { bytes: [0; MESSAGE], len: 0 };

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..).and_then(|room| room.get_mut(..part.len()));
        room.ok_or(fmt::Error)?.iter_mut().zip(part.bytes()).for_each(|(to, from)| *to = from);
        self.len += part.len();
        Ok(())
    }
}

impl K8s {
    /// Connects at the socket of a device, for all devices of the pod.
    pub fn connect(netdev: &[u8], config: &K8sConfig<'_>) -> Result<K8s, Error> {
        let netdev = &name_of(netdev)?;
        let directory = config.directory.unwrap_or(DIRECTORY);
        let Some(path) = Path::new(&[directory, b"/", netdev.text(), b"/", SOCKET]) else {
            return fail!(
                Errno::ENAMETOOLONG,
                "k8s: \"{}\" makes no path of at most 107 bytes",
                Escaped(directory)
            );
        };
        let timeout_ms = if config.timeout_ms == 0 { TIMEOUT_MS } else { config.timeout_ms };
        let channel = Channel::connect(&path, timeout_ms).map_err(|e| {
            let why = match e {
                Errno::ENOENT => {
                    "there is no such socket; the AF_XDP device plugin mounts it into pods that \
                     ask for a device of its pool"
                }
                Errno::ECONNREFUSED => {
                    "nobody listens there; the plugin serves one connection of a pod, and that is \
                     over, or came too late"
                }
                Errno::EACCES => "only the user of the plugin's pool may connect",
                _ => "cannot connect",
            };
            error!(e, "k8s: {path}: {why}: {e}")
        })?;
        let mut k8s = K8s { channel: Some(channel) };
        match config.hostname {
            Some(hostname) => k8s.introduce(hostname, netdev),
            None => own_name(|name| k8s.introduce(name, netdev)),
        }?;
        Ok(k8s)
    }

    fn introduce(&mut self, hostname: &[u8], netdev: &IfName) -> Result<(), Error> {
        // Escaped where it cannot be a pod's name.
        let pod = Escaped(hostname);
        let why = format_args!(
            "refuses pod {pod}: it is not the one that has {netdev} (is that the pod's name?)"
        );
        let refusal = Some((b"/host_nak".as_slice(), Errno::EACCES, why));
        self.ask(format_args!("/connect,{pod}"), None, b"/host_ok", refusal).map(drop)
    }

    /// Hands over the version of the protocol.
    pub fn version<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Result<R, Error> {
        let (answer, _) = self.ask(format_args!("/version"), None, b"", None)?;
        Ok(read(answer.text()))
    }

    /// The XSKMAP of a device of the pod.
    pub fn xskmap(&mut self, netdev: &[u8]) -> Result<OwnedFd, Error> {
        let netdev = name_of(netdev)?;
        let why = format_args!("has no XSKMAP of {netdev} for this pod");
        let refusal = Some((b"/fd_nak".as_slice(), Errno::ENODEV, why));
        let request = format_args!("/xsk_map_fd,{netdev}");
        let (_, map) = self.ask(request, None, b"/fd_ack", refusal)?;
        let Some(map) = map else {
            return self.over(Errno::EPROTO, "announced an XSKMAP, and none came");
        };
        match bpf::map_info(map.raw()) {
            Ok(info) if info.is_xskmap() => Ok(map),
            // Before Linux 5.19 a pod may not look; whoever binds with it is told.
            Err(Errno::EPERM) => Ok(map),
            _ => fail!(Errno::EPROTO, "k8s: what came as the XSKMAP of {netdev} is something else"),
        }
    }

    /// Has the plugin, which may, set up busy polling on a socket.
    pub fn busy_poll(&mut self, socket: &mut Socket, us: u32, budget: u32) -> Result<(), Error> {
        let why = format_args!("does not set up busy polling, {us} us and {budget} packets");
        let refusal = Some((b"/config_busy_poll_nak".as_slice(), Errno::EPERM, why));
        let request = format_args!("/config_busy_poll,{us},{budget}");
        self.ask(request, Some(socket.fd()), b"/config_busy_poll_ack", refusal)?;
        socket.set_busy(BusyPoll { us, budget, prefer: true });
        Ok(())
    }

    /// Says goodbye: the plugin stops listening. What it gave stays.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.ask(format_args!("/fin"), None, b"/fin_ack", None)?;
        self.channel = None;
        Ok(())
    }

    /// Asks, and gives the answer, which must be `expected` (empty: without a slash), and
    /// its descriptor. `refusal`: the answer that means no, and what that means.
    fn ask(
        &mut self,
        request: fmt::Arguments<'_>,
        fd: Option<RawFd>,
        expected: &[u8],
        refusal: Option<(&[u8], Errno, fmt::Arguments<'_>)>,
    ) -> Result<(Line, Option<OwnedFd>), Error> {
        let Some(channel) = &self.channel else {
            return fail!(Errno::ENOTCONN, "k8s: the connection to the plugin is over");
        };
        let (mut line, mut answer, mut fds) = (Line::EMPTY, Line::EMPTY, Fds::none());
        if line.write_fmt(request).is_err() {
            return fail!(
                Errno::ENAMETOOLONG,
                "k8s: {request} is longer than the {MESSAGE} bytes that the plugin reads"
            );
        }
        match channel.ask(line.text(), fd.as_slice(), &mut answer.bytes, &mut fds) {
            Ok(came) if came.cut => return self.over(Errno::EPROTO, "answers too much"),
            Ok(came) => answer.len = came.len,
            Err(e @ Errno::ETIMEDOUT) => return self.over(e, "does not answer in time"),
            Err(e @ Errno::ECONNRESET) => return self.over(e, "has closed the connection"),
            Err(e) => return self.over(e, "cannot be asked"),
        }
        let text = answer.text();
        let slash = text.first() == Some(&b'/');
        if if expected.is_empty() { !slash } else { text == expected } {
            return Ok((answer, fds.next()));
        }
        match (text, refusal) {
            (text, Some((no, e, why))) if text == no => fail!(e, "k8s: the plugin {why}"),
            (b"/nak", _) => {
                fail!(Errno::EOPNOTSUPP, "k8s: the plugin does not know or not like {request}")
            }
            (b"/error", _) => fail!(
                Errno::EIO,
                "k8s: the plugin failed inside to answer {request}; its log says why"
            ),
            _ => {
                self.channel = None;
                fail!(
                    Errno::EPROTO,
                    "k8s: the plugin answers \"{}\" to {request}; the connection is over",
                    Escaped(text)
                )
            }
        }
    }

    /// Ends a conversation of which nobody knows where it is.
    fn over<T>(&mut self, e: Errno, why: &str) -> Result<T, Error> {
        self.channel = None;
        fail!(e, "k8s: the plugin {why}: {e}; the connection is over")
    }
}

fn name_of(netdev: &[u8]) -> Result<IfName, Error> {
    match IfName::new(netdev) {
        Some(name) => Ok(name),
        None => {
            fail!(Errno::EINVAL, "k8s: \"{}\" is no interface name", Escaped(netdev))
        }
    }
}

/// Hands over the pod's name: what Kubernetes sets, else the host name that it is too.
fn own_name<R>(use_it: impl FnOnce(&[u8]) -> Result<R, Error>) -> Result<R, Error> {
    let mut set = [0; MESSAGE];
    let len = process::environment(c"HOSTNAME", |name| {
        set.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        name.len()
    });
    if let Some(name) = len.filter(|len| *len != 0).map(|len| set.get(..len)) {
        return use_it(name.unwrap_or(&set));
    }
    let mut name = [0; 65];
    match process::host_name(&mut name) {
        Ok(()) => use_it(name.split(|byte| *byte == 0).next().unwrap_or(&[])),
        Err(e) => fail!(e, "k8s: this pod has no name: {e}"),
    }
}
