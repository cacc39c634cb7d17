//! What is on an interface, and who could join it.

use super::links::find_link;
use crate::sys::Errno;
use crate::sys::bpf::{self, ObjectName, ProgramInfo};
use crate::sys::netlink::Route;
use crate::xsk::bind::{find_index, open_control};
use crate::xsk::dispatcher;
use crate::xsk::error::{Error, fail};
use crate::xsk::program::{Kind, LEGACY_NAME, Loaded, MAP_NAME, Sought};

/// Whose a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// There is none.
    None,
    /// Who asks may not look.
    Unknown,
    Default,
    Rules,
    Filter,
    /// libxdp's default program.
    Libxdp,
    Dispatcher,
    Foreign,
}

/// How a program is held in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Unknown,
    Link(u32),
    Netlink,
}

/// An XSKMAP, and the program that uses it.
#[derive(Clone, Copy, Default)]
pub struct Map {
    pub id: u32,
    pub entries: u32,
    pub program: u32,
    pub name: ObjectName,
}

/// What is on an interface.
pub struct Attached {
    pub ifindex: u32,
    /// 0: nothing.
    pub id: u32,
    pub name: ObjectName,
    /// 0: in the driver, 1: in the network stack, 2: in the device.
    pub mode: usize,
    pub whose: Whose,
    /// How it was loaded, if it is this library's.
    pub kind: Kind,
    pub held: Held,
    pub maps: [Map; 8],
    /// More than there is room for, perhaps.
    pub map_count: u32,
    /// Programs in it, if it is a dispatcher.
    pub components: u32,
    /// Whether libxdp's default program is, or is in it, so that one of the default may
    /// join.
    pub has_libxdp: bool,
}

/// Asks what is on an interface. Who may not look at programs learns the id and the mode.
pub fn query(ifname: &[u8]) -> Result<Attached, Error> {
    let (control, ifname) = open_control("query", ifname)?;
    let ifindex = find_index("query", &control, &ifname)?;
    let ids = match Route::open().and_then(|route| route.xdp_ids(ifindex)) {
        Ok(ids) => ids,
        Err(e) => return fail!(e, "query: cannot ask for the programs on {ifname}: {e}"),
    };
    let id = ids.any().unwrap_or(0);
    let places = [ids.native, ids.generic, ids.hardware];
    let mut attached = Attached {
        ifindex,
        id,
        name: ObjectName::default(),
        mode: places.iter().position(|place| *place == id).unwrap_or(0),
        whose: if id == 0 { Whose::None } else { Whose::Unknown },
        kind: Kind::default(),
        held: Held::Unknown,
        maps: [Map::default(); 8],
        map_count: 0,
        components: 0,
        has_libxdp: false,
    };
    if id == 0 {
        return Ok(attached);
    }
    attached.held = match find_link(id, ifindex) {
        Ok(Some((_, link))) => Held::Link(link),
        // Before Linux 5.8 there is no other way.
        Ok(None) | Err(Errno::EINVAL) => Held::Netlink,
        Err(_) => Held::Unknown,
    };
    let about = bpf::program_by_id(id).and_then(|program| bpf::program_info(program.raw()));
    let Ok(info) = about else { return Ok(attached) };
    attached.name = info.name;
    let is_libxdp = attached.look_at(&info);
    if let Ok(Sought::Ours(found)) = Loaded::find(&ifname, id) {
        attached.kind = found.loaded.kind;
        attached.whose = match found.loaded.is_filter() {
            None => Whose::Default,
            Some(false) => Whose::Rules,
            Some(true) => Whose::Filter,
        };
    } else if info.name == dispatcher::NAME {
        attached.whose = Whose::Dispatcher;
        let _ = dispatcher::components(id, &mut |inside| {
            attached.components += 1;
            attached.has_libxdp |= attached.look_at(inside);
            false
        });
    } else {
        attached.whose = if is_libxdp { Whose::Libxdp } else { Whose::Foreign };
        attached.has_libxdp = is_libxdp;
    }
    Ok(attached)
}

impl Attached {
    /// Notes the XSKMAPs of a program; says whether it is libxdp's default one.
    fn look_at(&mut self, program: &ProgramInfo) -> bool {
        let mut shared = false;
        for id in program.maps() {
            let Ok(map) = bpf::map_by_id(*id).and_then(|map| bpf::map_info(map.raw())) else {
                continue;
            };
            if !map.is_xskmap() {
                continue;
            }
            shared |= map.name == MAP_NAME;
            if let Some(to) = self.maps.get_mut(self.map_count as usize) {
                let (entries, program) = (map.max_entries, program.id);
                *to = Map { id: map.id, entries, program, name: map.name };
            }
            self.map_count += 1;
        }
        shared && program.name == LEGACY_NAME
    }

    /// Whether it can be joined by who wants an equal program of this library's, by users
    /// of libxdp, and by who brings its XSKMAP.
    pub fn joins(&self) -> [bool; 3] {
        let ours = matches!(self.whose, Whose::Default | Whose::Rules | Whose::Filter);
        let theirs = matches!(self.whose, Whose::Libxdp | Whose::Dispatcher);
        [ours || self.has_libxdp, theirs, self.map_count != 0]
    }
}
