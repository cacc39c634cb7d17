//! BTF for the default program: its function, and the version by which libxdp
//! recognises a program of this name as one that it can share.

use alloc::vec::Vec;

use crate::sys::Errno;
use crate::xsk::program::LEGACY_NAME;

/// `XSK_PROG_VERSION` of the protocol: map xsks_map, count in the data map.
const PROTOCOL_VERSION: u32 = 1;

// Kinds of <linux/btf.h>, in the info word's place.
const INT: u32 = 1 << 24;
const PTR: u32 = 2 << 24;
const ARRAY: u32 = 3 << 24;
const FUNC: u32 = 12 << 24;
const FUNC_PROTO: u32 = 13 << 24;
const VAR: u32 = 14 << 24;
const DATASEC: u32 = 15 << 24;

const HEADER: u32 = 24;
const INT_SIGNED_32: u32 = 1 << 24 | 32;
const GLOBAL: u32 = 1;

/// The id that the function's type has.
pub const FUNC_ID: u32 = 7;

/// The bytes to load; the program's `func_info` names `FUNC_ID`.
pub fn bytes() -> Result<Vec<u8>, Errno> {
    let mut strings = Strings { bytes: [0; 64], len: 1 }; // "" comes first
    let (int, version, section) =
        (strings.add(b"int"), strings.add(b"xsk_prog_version"), strings.add(b"xdp_metadata"));
    let (ctx, name) = (strings.add(b"ctx"), strings.add(LEGACY_NAME.text()));
    #[rustfmt::skip]
    let types = [
        // 1: int
        int, INT, 4, INT_SIGNED_32,
        // 2: int[PROTOCOL_VERSION]; 3: a pointer to that; 4: the variable, which by its
        // type alone says the version; 5: the section it stands in
        0, ARRAY, 0, 1, 1, PROTOCOL_VERSION,
        0, PTR, 2,
        version, VAR, 3, GLOBAL,
        section, DATASEC | 1, 8, 4, 0, 8,
        // 6: int (void *ctx), by way of 8; 7: the function of that type
        0, FUNC_PROTO | 1, 1, ctx, 8,
        name, FUNC | GLOBAL, 6,
        // 8: void *
        0, PTR, 0,
    ];
    let type_len = size_of_val(&types) as u32;
    let header = [0x0001_eb9f, HEADER, 0, type_len, type_len, strings.len as u32];
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(256).map_err(|_| Errno::ENOMEM)?;
    let words = header.iter().chain(&types).flat_map(|word| word.to_ne_bytes());
    let text = strings.bytes.iter().take(strings.len);
    // Never more than was reserved, as the test shows.
    words.chain(text.copied()).take(256).for_each(|byte| bytes.push(byte));
    Ok(bytes)
}

struct Strings {
    bytes: [u8; 64],
    len: usize,
}

impl Strings {
    /// Adds a string and its NUL; gives its offset.
    fn add(&mut self, text: &[u8]) -> u32 {
        let start = self.len;
        if let Some(to) = self.bytes.get_mut(start..start + text.len()) {
            to.copy_from_slice(text);
            self.len = start + text.len() + 1;
        }
        start as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_what_was_reserved_and_names_what_libxdp_looks_for() {
        let bytes = bytes().unwrap();
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(bytes.len() as u32, HEADER + word(12) + word(20));
        assert!(bytes.len() < 256);
        let text = String::from_utf8_lossy(&bytes[(HEADER + word(12)) as usize..]).into_owned();
        assert_eq!(text, "\0int\0xsk_prog_version\0xdp_metadata\0ctx\0xsk_def_prog\0");
    }
}
