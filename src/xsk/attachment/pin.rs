//! A program that stays without a process: its link, itself and its maps have names in a
//! folder of a BPF file system, by which the next process takes it over.

use alloc::boxed::Box;
use core::ffi::CStr;

use super::{Attachment, Device, Holder, Wanted};
use crate::sys::bpf::{self, Place};
use crate::sys::heap::try_slice;
use crate::sys::netlink::Route;
use crate::sys::text::Escaped;
use crate::sys::{Errno, OwnedFd, RawFd, clock};
use crate::xsk::config::XdpMode;
use crate::xsk::error::{Error, error, fail};
use crate::xsk::logger::tell;
use crate::xsk::program::{Loaded, Sought};

const LINK: &str = "link";
const PROGRAM: &str = "program";
const XSKMAP: &str = "xskmap";
const RULES: &str = "rules";
const COUNTERS: &str = "counters";

/// How long somebody else who is at a folder is waited for.
const PATIENCE_MS: u64 = 1000;
/// For a slash, the longest name and a NUL.
const ROOM: usize = 10;

/// A folder with what is pinned, locked against others.
struct Pins {
    _folder: OwnedFd,
    path: Box<[u8]>,
    len: usize,
}

impl Pins {
    /// Opens a folder; None if there is none.
    fn open(path: &CStr) -> Result<Option<Pins>, Error> {
        let text = Escaped(path.to_bytes());
        let deadline = clock::monotonic_ms() + PATIENCE_MS;
        let folder = loop {
            match OwnedFd::lock_directory(path) {
                Ok(Some(folder)) => break folder,
                Ok(None) if clock::monotonic_ms() < deadline => clock::nap_ms(1),
                Ok(None) => return fail!(Errno::EBUSY, "pin: another process works on {text}"),
                Err(Errno::ENOENT) => return Ok(None),
                Err(e) => return fail!(e, "pin: {text} cannot be opened: {e}"),
            }
        };
        if !bpf::is_in_bpffs(&folder) {
            return fail!(
                Errno::EINVAL,
                "pin: {text} is not in a BPF file system, as there is on /sys/fs/bpf \
                 (mount -t bpf bpf /sys/fs/bpf)"
            );
        }
        let bytes = path.to_bytes();
        match try_slice(0, bytes.len() + ROOM) {
            Ok(mut path) => {
                path.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Ok(Some(Pins { _folder: folder, path, len: bytes.len() }))
            }
            Err(e) => fail!(e, "pin: out of memory"),
        }
    }

    /// The path of a name in it.
    fn at(&mut self, name: &str) -> &CStr {
        let tail = self.path.get_mut(self.len..).unwrap_or_default();
        let text = [b'/'].into_iter().chain(name.bytes()).chain([0]);
        tail.iter_mut().zip(text).for_each(|(to, from)| *to = from);
        CStr::from_bytes_until_nul(&self.path).unwrap_or_default()
    }

    /// Opens what has a name; None if nothing has.
    fn get(&mut self, name: &str) -> Result<Option<OwnedFd>, Error> {
        let path = self.at(name);
        match bpf::pinned(path) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => fail!(e, "pin: {} cannot be opened: {e}", Escaped(path.to_bytes())),
        }
    }
}

impl Attachment {
    /// Pins the program, or again if another one has taken its place since.
    pub fn pin(&self, path: &CStr) -> Result<(), Error> {
        let text = Escaped(path.to_bytes());
        let made = match bpf::make_folder(path) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(e) => {
                let why = match e {
                    Errno::ENOENT => "; the folder above must be there, in a BPF file system",
                    // Dots are the kernel's own there.
                    Errno::EPERM => "; names in a BPF file system have no dots",
                    _ => "",
                };
                return fail!(e, "pin: the folder {text} cannot be made: {e}{why}");
            }
        };
        let pinned = Pins::open(path).and_then(|pins| match pins {
            Some(mut pins) => self.pin_into(&mut pins),
            None => fail!(Errno::ENOENT, "pin: {text} is gone again"),
        });
        if made && pinned.is_err() {
            let _ = bpf::remove_folder(path);
        }
        pinned
    }

    fn pin_into(&self, pins: &mut Pins) -> Result<(), Error> {
        let ifname = &self.device.ifname;
        let Holder::Link(link) = &self.holder else {
            return fail!(
                Errno::EOPNOTSUPP,
                "pin: the program on {ifname} is attached over netlink, not by a link, which can \
                 be pinned from Linux 5.9 on"
            );
        };
        let program = self.program()?;
        let there = pins.get(LINK)?;
        if let Some(there) = &there {
            let (theirs, ours) = (bpf::link_info(there.raw()), bpf::link_info(link.raw()));
            match (theirs, ours) {
                (Ok(theirs), Ok(ours)) if theirs.id == ours.id => {}
                (theirs, _) => {
                    let id = theirs.map_or(0, |theirs| theirs.program);
                    return fail!(
                        Errno::EEXIST,
                        "pin: {} holds program {id} already, which is not that on {ifname}",
                        Escaped(pins.at(LINK).to_bytes())
                    );
                }
            }
            let pinned = pins.get(PROGRAM)?;
            let pinned = pinned.and_then(|fd| bpf::program_info(fd.raw()).ok());
            if pinned.is_some_and(|info| info.id == program.id) {
                return Ok(());
            }
            for name in [PROGRAM, XSKMAP, RULES, COUNTERS] {
                let _ = bpf::unpin(pins.at(name));
            }
        }
        let [rules, counters] = program.maps();
        let link = Some(link.raw()).filter(|_| there.is_none());
        // The link last: a process that dies before leaves nothing on the interface.
        let objects = [
            (PROGRAM, Some(program.fd.raw())),
            (XSKMAP, Some(self.map.raw())),
            (RULES, rules),
            (COUNTERS, counters),
            (LINK, link),
        ];
        pin_all(pins, &objects)
    }
}

/// All or nothing.
fn pin_all(pins: &mut Pins, objects: &[(&str, Option<RawFd>)]) -> Result<(), Error> {
    for (done, (name, fd)) in objects.iter().enumerate() {
        let Some(fd) = *fd else { continue };
        let path = pins.at(name);
        let Err(e) = bpf::pin(fd, path) else { continue };
        let why = if e == Errno::EEXIST { ": xsk_program_unpin(), or another folder" } else { "" };
        let error = error!(e, "pin: {}: {e}{why}", Escaped(path.to_bytes()));
        for (name, fd) in objects.iter().take(done) {
            if fd.is_some() {
                let _ = bpf::unpin(pins.at(name));
            }
        }
        return Err(error);
    }
    Ok(())
}

/// The program that is pinned in a folder, if it is on that interface and as wanted; None
/// if nothing is pinned there.
pub fn take_over(
    path: &CStr,
    device: &Device,
    wanted: &Wanted<'_>,
) -> Result<Option<Attachment>, Error> {
    let Some(mut pins) = Pins::open(path)? else { return Ok(None) };
    let Some(link) = pins.get(LINK)? else { return Ok(None) };
    let (text, ifname) = (Escaped(path.to_bytes()), &device.ifname);
    let found = Route::open()
        .and_then(|route| Ok((bpf::link_info(link.raw())?, route.xdp_ids(device.ifindex)?)));
    let (held, ids) = match found {
        Ok(found) => found,
        Err(e) => return fail!(e, "pin: cannot ask what {text} and {ifname} have: {e}"),
    };
    match held.place {
        Place::Interface(0) => {
            return fail!(
                Errno::ENXIO,
                "pin: what {text} holds is on no interface any more, as that is gone or the \
                 program was taken off: xsk_program_unpin()"
            );
        }
        // Interfaces in two namespaces may have one index.
        Place::Interface(ifindex)
            if ifindex == device.ifindex && ids.any() == Some(held.program) => {}
        _ => {
            return fail!(
                Errno::EINVAL,
                "pin: {text} holds program {}, which is not on {ifname}",
                held.program
            );
        }
    }
    let program = pins.get(PROGRAM)?;
    let maps = [pins.get(XSKMAP)?, pins.get(RULES)?, pins.get(COUNTERS)?];
    let pinned = match program {
        Some(program) => Loaded::of(program, maps.into_iter().flatten()),
        None => Ok(None),
    };
    let found = match pinned {
        Ok(Some(found)) if found.loaded.id == held.program => found,
        // Another one has taken its place since.
        _ => match Loaded::find(ifname, held.program)? {
            Sought::Ours(found) => found,
            _ => {
                return fail!(
                    Errno::EINVAL,
                    "pin: {text} holds program {}, which is not of this library's",
                    held.program
                );
            }
        },
    };
    let runs = if ids.native == held.program { XdpMode::Native } else { XdpMode::Generic };
    let taken = Attachment::of(found, Holder::Link(link), device, runs, wanted)?;
    // Those who come later need no privilege to look.
    let _ = taken.pin_into(&mut pins);
    tell!(Info, "{ifname}: took over program {} from {text}", held.program);
    Ok(Some(taken))
}

/// Takes away the names. Who uses the program keeps it.
pub fn unpin(path: &CStr) -> Result<(), Error> {
    let text = Escaped(path.to_bytes());
    let Some(mut pins) = Pins::open(path)? else {
        return fail!(Errno::ENOENT, "unpin: there is no {text}");
    };
    for name in [LINK, PROGRAM, XSKMAP, RULES, COUNTERS] {
        match bpf::unpin(pins.at(name)) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return fail!(e, "unpin: {text}/{name} cannot be removed: {e}"),
        }
    }
    match bpf::remove_folder(path) {
        Ok(()) => Ok(()),
        Err(e) => fail!(e, "unpin: the folder {text} stays, as it cannot be removed: {e}"),
    }
}
