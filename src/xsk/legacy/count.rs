//! The count of users in the default program's data map, shared with libxdp: who
//! finds 0 stays away from the program, who makes it 0 detaches it.

use alloc::boxed::Box;

use crate::sys::bpf;
use crate::sys::heap::try_slice;
use crate::sys::{Errno, OwnedFd, clock};
use crate::xsk::program::COUNT_NAME;

/// libxdp's lock, where there is a BPF file system.
const LOCK: &core::ffi::CStr = c"/sys/fs/bpf/xdp";
/// Longer than anybody needs who holds it.
const PATIENCE_MS: u64 = 1000;

/// The map, and room for its value, of which the count is the start.
pub struct Count {
    map: OwnedFd,
    value: Box<[u8]>,
}

impl Count {
    /// A new one, of one user.
    pub fn create() -> Result<Count, Errno> {
        let mut count = Count { map: bpf::create_numbers(COUNT_NAME)?, value: try_slice(0, 8)? };
        bpf::write_number(count.map.raw(), &mut count.value, 1)?;
        Ok(count)
    }

    /// The map if it is such a one.
    pub fn of(map: OwnedFd) -> Option<Count> {
        let info = bpf::map_info(map.raw()).ok().filter(|info| info.name == COUNT_NAME)?;
        let value = try_slice(0, info.number_size()?).ok()?;
        Some(Count { map, value })
    }

    /// The map, for the program.
    pub fn map(&self) -> &OwnedFd {
        &self.map
    }

    /// One user more, unless there is none and the program goes.
    pub fn join(&mut self) -> Result<bool, Errno> {
        let _lock = lock();
        let users = bpf::read_number(self.map.raw(), &mut self.value)?;
        if users != 0 {
            bpf::write_number(self.map.raw(), &mut self.value, users.saturating_add(1))?;
        }
        Ok(users != 0)
    }

    /// One user less, down to `least`; gives how many are left.
    pub fn leave(&mut self, least: u32) -> Result<u32, Errno> {
        let _lock = lock();
        let users = bpf::read_number(self.map.raw(), &mut self.value)?.saturating_sub(1).max(least);
        bpf::write_number(self.map.raw(), &mut self.value, users)?;
        Ok(users)
    }

    /// Notes that the program is to stay though its map is empty: somebody asked for
    /// the program alone. Behind the count, where libxdp does not look; a program of
    /// libxdp's own has no place for it.
    pub fn keep(&mut self) {
        if let Ok(users) = bpf::read_number(self.map.raw(), &mut self.value) {
            if let Some(note) = self.value.get_mut(4..8) {
                note.copy_from_slice(&1u32.to_ne_bytes());
            }
            self.set(users);
        }
    }

    /// Whether that was noted.
    pub fn is_kept(&mut self) -> bool {
        let read = bpf::read_number(self.map.raw(), &mut self.value);
        read.is_ok() && self.value.get(4..8).is_some_and(|note| note != [0; 4])
    }

    /// So many users, whatever was noted.
    pub fn set(&mut self, users: u32) {
        let _ = bpf::write_number(self.map.raw(), &mut self.value, users);
    }
}

/// Keeps libxdp out; without its directory, or against one who never lets go, done
/// without.
fn lock() -> Option<OwnedFd> {
    let deadline = clock::monotonic_ms() + PATIENCE_MS;
    loop {
        match OwnedFd::lock_directory(LOCK) {
            Ok(Some(lock)) => return Some(lock),
            Ok(None) if clock::monotonic_ms() < deadline => clock::nap_ms(1),
            _ => return None,
        }
    }
}
