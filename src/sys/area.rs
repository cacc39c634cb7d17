//! Packet memory as it is reached from here: few words of it, by checked address.

use core::ptr;

/// Memory that is registered with the kernel. Others may write it at any time.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    base: usize,
    bytes: u64,
}

impl Area {
    /// What the kernel has just pinned, and so found to be mapped for writing.
    pub(super) fn registered(base: u64, bytes: u64) -> Area {
        Area { base: base as usize, bytes }
    }

    fn word(&self, addr: u64) -> Option<*mut [u8; 8]> {
        let fits = addr.checked_add(8)? <= self.bytes;
        fits.then(|| ptr::with_exposed_provenance_mut(self.base.wrapping_add(addr as usize)))
    }

    /// The 8 bytes from an address on; None where they are not all inside.
    pub fn load(&self, addr: u64) -> Option<u64> {
        // SAFETY: inside memory that stays mapped as long as the UMEM is there, which is
        // what C programs promise of theirs. Bytes need no alignment, and any will do.
        let bytes = unsafe { self.word(addr)?.read_volatile() };
        Some(u64::from_ne_bytes(bytes))
    }

    /// Writes the 8 bytes from an address on; false where they are not all inside.
    pub fn store(&self, addr: u64, word: u64) -> bool {
        let bytes = word.to_ne_bytes();
        // SAFETY: as in `load`.
        self.word(addr).map(|word| unsafe { word.write_volatile(bytes) }).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_inside_is_neither_read_nor_written() {
        let (mut memory, word) = ([0u8; 24], u64::from_ne_bytes);
        let area = Area::registered(memory.as_mut_ptr().expose_provenance() as u64, 16);
        assert!(
            area.store(0, word([1; 8]))
                && area.store(8, word([2; 8]))
                && area.store(3, word([3; 8]))
        );
        assert_eq!(area.load(0), Some(word([1, 1, 1, 3, 3, 3, 3, 3])));
        assert_eq!(area.load(8), Some(word([3, 3, 3, 2, 2, 2, 2, 2])));
        for addr in [9, 16, u64::MAX, u64::MAX - 7] {
            assert!(area.load(addr).is_none() && !area.store(addr, 9));
        }
        assert_eq!(memory[16..], [0; 8]);
    }
}
