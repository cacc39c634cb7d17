//! libxdp's dispatcher: a program for programs, which hang in it by links of their own.
//! The kernel tells which from Linux 5.13 on.

use crate::sys::bpf::{self, ObjectName, ProgramInfo};
use crate::sys::{Errno, OwnedFd};
use crate::xsk::attachment::links::each_link;

/// Its name.
pub const NAME: ObjectName = ObjectName::new("xdp_dispatcher");

/// Looks at the programs in a dispatcher until `look` says that it has seen enough.
pub fn components(
    dispatcher: u32,
    look: &mut dyn FnMut(&ProgramInfo) -> bool,
) -> Result<(), Errno> {
    each_link(&mut |_, link| {
        let place = bpf::Place::Program(dispatcher);
        link.place == place
            && bpf::program_by_id(link.program)
                .and_then(|program| bpf::program_info(program.raw()))
                .is_ok_and(|info| look(&info))
    })
}

/// The program of that name in a dispatcher; None without one, or who may not look.
pub fn find(dispatcher: u32, name: ObjectName) -> Option<(OwnedFd, ProgramInfo)> {
    let mut found = None;
    let looked = components(dispatcher, &mut |info| {
        if info.name == name {
            found = bpf::program_by_id(info.id).ok().map(|program| (program, *info));
        }
        found.is_some()
    });
    looked.ok().and(found)
}
