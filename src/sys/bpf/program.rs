//! Programs: loading, running, asking.

use core::ffi::{CStr, c_int};

use super::{Insn, ObjectName, bpf, fd_by_id, info_by_fd};
use crate::sys::{Errno, OwnedFd, RawFd};

// enum bpf_cmd and other numbers of <linux/bpf.h>
const PROG_LOAD: c_int = 5;
const PROG_TEST_RUN: c_int = 10;
const PROG_GET_FD_BY_ID: c_int = 13;
const BTF_LOAD: c_int = 18;
const PROG_TYPE_XDP: u32 = 6;

/// `BPF_F_XDP_DEV_BOUND_ONLY`, since Linux 6.3: the program may ask its device.
pub const XDP_DEV_BOUND_ONLY: u32 = 1 << 6;

/// Loads type information, for `load_xdp`.
pub fn load_btf(btf: &[u8]) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Attr {
        btf: u64,
        log_buf: u64,
        btf_size: u32,
        log_size: u32,
        log_level: u32,
    }
    let mut attr = Attr {
        btf: btf.as_ptr() as u64,
        log_buf: 0,
        btf_size: btf.len() as u32,
        log_size: 0,
        log_level: 0,
    };
    // SAFETY: the kernel reads `btf_size` bytes.
    unsafe { bpf(BTF_LOAD, &mut attr) }.map(OwnedFd::adopt)
}

/// Runs an XDP program on a packet that goes nowhere; gives its answer.
pub fn run_xdp(prog: RawFd, packet: &[u8]) -> Result<u32, Errno> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        retval: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
    }
    let mut attr = Attr {
        prog_fd: prog as u32,
        retval: 0,
        data_size_in: packet.len() as u32,
        data_size_out: 0,
        data_in: packet.as_ptr() as u64,
        data_out: 0,
        repeat: 1,
        duration: 0,
    };
    // SAFETY: the kernel reads `data_size_in` bytes and writes none.
    unsafe { bpf(PROG_TEST_RUN, &mut attr) }?;
    Ok(attr.retval)
}

/// `BPF_F_XDP_HAS_FRAGS`, since Linux 5.18: the program takes packets in several buffers.
pub const XDP_HAS_FRAGS: u32 = 1 << 5;

/// Loads an XDP program. What the verifier says is not asked for: the programs
/// are this library's own. `btf` has the types, and the id of the function's; `flags`
/// are BPF_F_ of PROG_LOAD, and `ifindex` the device that it is bound to, if it is.
pub fn load_xdp(
    insns: &[Insn],
    name: ObjectName,
    btf: Option<(RawFd, u32)>,
    flags: u32,
    ifindex: u32,
) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Attr {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
        btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
    }
    const LICENSE: &CStr = c"Dual MIT/GPL";
    let mut attr = Attr {
        prog_type: PROG_TYPE_XDP,
        insn_cnt: insns.len() as u32,
        insns: insns.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: flags,
        prog_name: name.0,
        prog_ifindex: ifindex,
        expected_attach_type: 0,
        btf_fd: 0,
        func_info_rec_size: 0,
        func_info: 0,
        func_info_cnt: 0,
    };
    // Type `function` for instruction 0 and those behind it.
    let mut func_info = [0, 0];
    if let Some((fd, function)) = btf {
        func_info[1] = function;
        attr.btf_fd = fd as u32;
        attr.func_info_rec_size = size_of_val(&func_info) as u32;
        attr.func_info = func_info.as_ptr() as u64;
        attr.func_info_cnt = 1;
    }
    // SAFETY: the kernel reads `insn_cnt` instructions, a string that ends in NUL and
    // `func_info_cnt` records.
    unsafe { bpf(PROG_LOAD, &mut attr) }.map(OwnedFd::adopt)
}

/// Opens a program by its id; needs CAP_SYS_ADMIN.
pub fn program_by_id(id: u32) -> Result<OwnedFd, Errno> {
    fd_by_id(PROG_GET_FD_BY_ID, id)
}

/// What a program is: the head of `struct bpf_prog_info`.
#[derive(Clone, Copy)]
pub struct ProgramInfo {
    pub id: u32,
    pub name: ObjectName,
    maps: [u32; MOST_MAPS],
    map_count: u32,
}

/// A program has no more maps: MAX_USED_MAPS.
const MOST_MAPS: usize = 64;

impl ProgramInfo {
    /// Ids of its maps.
    pub fn maps(&self) -> &[u32] {
        self.maps.get(..self.map_count as usize).unwrap_or(&self.maps)
    }
}

/// Asks what a program is.
pub fn program_info(fd: RawFd) -> Result<ProgramInfo, Errno> {
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        tag: [u8; 8],
        jited_len: u32,
        xlated_len: u32,
        jited: u64,
        xlated: u64,
        load_time: u64,
        uid: u32,
        map_count: u32,
        maps: u64,
        name: ObjectName,
    }
    let mut maps = [0; MOST_MAPS];
    let mut info =
        Info { map_count: maps.len() as u32, maps: maps.as_mut_ptr() as u64, ..Info::default() };
    // SAFETY: at most `map_count` ids are written to `maps`; the other pointers go
    // with lengths of 0.
    unsafe { info_by_fd(fd, &mut info) }?;
    Ok(ProgramInfo { id: info.id, name: info.name, maps, map_count: info.map_count })
}
