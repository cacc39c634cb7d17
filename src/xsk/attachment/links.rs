//! The BPF links of the system.

use crate::sys::bpf::{self, LinkInfo};
use crate::sys::{Errno, OwnedFd};

/// Looks at every link of the system's until `look` says that it has seen enough. ENOENT
/// stands for links that went meanwhile, EPERM for want of CAP_SYS_ADMIN.
pub fn each_link(look: &mut dyn FnMut(OwnedFd, LinkInfo) -> bool) -> Result<(), Errno> {
    let mut id = 0;
    loop {
        id = match bpf::next_link_id(id) {
            Ok(next) => next,
            Err(Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e),
        };
        let link = match bpf::link_by_id(id) {
            Ok(link) => link,
            Err(Errno::ENOENT | Errno::EAGAIN) => continue,
            Err(e) => return Err(e),
        };
        let info = bpf::link_info(link.raw())?;
        if look(link, info) {
            return Ok(());
        }
    }
}

/// The link that holds a program on an interface, and its id; None if there is none (any
/// more).
pub fn find_link(program: u32, ifindex: u32) -> Result<Option<(OwnedFd, u32)>, Errno> {
    let (mut found, place) = (None, bpf::Place::Interface(ifindex));
    each_link(&mut |link, info| {
        let here = (info.program, info.place) == (program, place);
        if here {
            found = Some((link, info.id));
        }
        here
    })?;
    Ok(found)
}
