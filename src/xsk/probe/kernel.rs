//! What the kernel can do, found out by trying, on sockets and maps that are closed
//! again: distributions carry features back, so a version number says little.

use crate::sys::abi::{
    MIN_CHUNK_SIZE, UMEM_TX_METADATA_LEN, UMEM_TX_SW_CSUM, USE_NEED_WAKEUP, USE_SG, UmemReg,
};
use crate::sys::netdev::Control;
use crate::sys::socket::{self, RingKind};
use crate::sys::{Errno, Mmap, OwnedFd, RawFd, bpf, process, sysfs};
use crate::xsk::error::Error;
use crate::xsk::probe::answers::{Answers, Question};
use crate::xsk::probe::verdict::Verdict;
use crate::xsk::program::{self, PROBE_NAME};

// <linux/if_xdp.h>: flags of XDP_UMEM_REG and of bind.
const UMEM_UNALIGNED: u32 = 1 << 0;

/// No interface has it.
const NO_IFINDEX: u32 = i32::MAX as u32;

/// What a kernel can do or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// AF_XDP sockets are built in.
    AfXdp,
    NeedWakeup,
    UnalignedChunks,
    /// A UMEM can be shared between queues and interfaces, not on one queue only.
    SharedUmem,
    XdpLink,
    BusyPoll,
    NetnsCookie,
    MultiBuffer,
    TxMetadata,
    SoftwareChecksum,
    TxBudget,
    /// The ids of kernel functions, which programs for RX metadata call, can be read.
    Btf,
}

impl Question for Feature {
    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Tries all of it, and what this process may do.
#[cold]
pub(super) fn try_out(control: &Control, may: &mut Answers<Verdict>) -> Answers<Feature> {
    let mut kernel = Answers::default();
    kernel.note(Feature::BusyPoll, control.has_busy_poll().ok());
    kernel.note(Feature::NetnsCookie, Some(control.netns_cookie().is_some()));
    kernel.note(Feature::Btf, Some(sysfs::has_kernel_btf()));
    kernel.note(Feature::XdpLink, has_xdp_link());
    may.note(Verdict::Load, may_load());
    match socket::create() {
        Ok(fd) => {
            kernel.note(Feature::AfXdp, Some(true));
            may.note(Verdict::Open, Some(true));
            try_sockets(&fd, &mut kernel);
        }
        // Who is not permitted is told so after the kernel found the family.
        Err(e @ (Errno::EPERM | Errno::EAFNOSUPPORT)) => {
            kernel.note(Feature::AfXdp, Some(e == Errno::EPERM));
            may.note(Verdict::Open, Some(false));
        }
        Err(_) => {}
    }
    kernel
}

#[cold]
fn try_sockets(fd: &OwnedFd, kernel: &mut Answers<Feature>) {
    let fd = fd.raw();
    kernel.note(Feature::NeedWakeup, has_bind_flag(fd, USE_NEED_WAKEUP));
    kernel.note(Feature::MultiBuffer, has_bind_flag(fd, USE_SG));
    kernel.note(Feature::TxBudget, has_tx_budget(fd));
    // A fill ring without a UMEM is for a socket that shares another's.
    let ring = socket::create_ring(fd, RingKind::Fill, 1);
    kernel.note(Feature::SharedUmem, told(ring, Errno::EINVAL));
    let Ok(memory) = Mmap::anonymous(process::page_size(), false, None) else { return };
    kernel.note(Feature::UnalignedChunks, takes_umem(&memory, UMEM_UNALIGNED, 0));
    kernel.note(Feature::SoftwareChecksum, takes_umem(&memory, UMEM_TX_SW_CSUM, 0));
    let metadata = match takes_umem(&memory, UMEM_TX_METADATA_LEN, 16) {
        // The first kernels with it (6.8 to 6.10) had no such flag: they look at the
        // length always, and refuse one that is no multiple of 8.
        Some(false) => takes_umem(&memory, 0, 4).map(|ignores| !ignores),
        answer => answer,
    };
    kernel.note(Feature::TxMetadata, metadata);
}

/// Yes for success, no for one error, unknown for the others.
fn told<T>(answer: Result<T, Errno>, no: Errno) -> Option<bool> {
    match answer {
        Ok(_) => Some(true),
        Err(e) => (e == no).then_some(false),
    }
}

/// Whether the kernel knows a flag of bind, asked by a socket that is not bound. Unknown
/// flags are refused before the interface is looked for, which is not there.
#[cold]
pub fn has_bind_flag(fd: RawFd, flag: u16) -> Option<bool> {
    match socket::bind(fd, NO_IFINDEX, 0, flag, -1) {
        Err(Errno::ENODEV) => Some(true),
        Err(Errno::EINVAL) => Some(false),
        _ => None,
    }
}

fn has_tx_budget(fd: RawFd) -> Option<bool> {
    match socket::set_tx_budget(fd, 32) {
        // Out of range without a TX ring, which only a kernel that knows it can say.
        Ok(()) | Err(Errno::EACCES) => Some(true),
        Err(Errno::ENOPROTOOPT) => Some(false),
        Err(_) => None,
    }
}

/// Whether a page can be registered like that. A socket takes one UMEM, so each try
/// has its own.
fn takes_umem(memory: &Mmap, flags: u32, tx_metadata_len: u32) -> Option<bool> {
    let fd = socket::create().ok()?;
    let reg = UmemReg {
        addr: memory.addr().addr().get() as u64,
        len: memory.len() as u64,
        chunk_size: MIN_CHUNK_SIZE,
        headroom: 0,
        flags,
        tx_metadata_len,
    };
    told(socket::register_umem(fd.raw(), &reg), Errno::EINVAL)
}

#[cold]
fn may_load() -> Option<bool> {
    let loaded = bpf::create_xskmap(1, program::MAP_NAME).and_then(|map| {
        let code = program::default(map.raw()).map_err(Error::errno)?;
        bpf::load_xdp(code.insns(), PROBE_NAME, None, 0, 0).map(drop)
    });
    told(loaded, Errno::EPERM)
}

/// A link of a program that is not there: who knows such links misses the program.
fn has_xdp_link() -> Option<bool> {
    match bpf::link_xdp(-1, NO_IFINDEX, 0) {
        Err(Errno::EBADF) => Some(true),
        Err(Errno::EINVAL) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_open_sockets_is_told_the_rest_and_who_may_not_that() {
        let mut may = Answers::default();
        let kernel = try_out(&Control::open().unwrap(), &mut may);
        match may.get(Verdict::Open) {
            Some(true) => {
                assert_eq!(kernel.get(Feature::AfXdp), Some(true));
                assert_eq!(kernel.get(Feature::NeedWakeup), Some(true));
            }
            Some(false) => {
                assert!(kernel.get(Feature::AfXdp).is_some());
                assert!(kernel.get(Feature::MultiBuffer).is_none());
            }
            None => {}
        }
        assert!(kernel.get(Feature::BusyPoll).is_some());
    }
}
