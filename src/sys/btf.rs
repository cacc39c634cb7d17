//! The kernel's type information, as far as the ids of its functions go.

use super::Errno;

const MAGIC: u16 = 0xeb9f;
const KIND_FUNC: u32 = 12;

/// Finds functions by name in what /sys/kernel/btf/vmlinux has, and writes their ids to
/// `ids`, which stays as it is for those that are not there. Each name ends in NUL. EINVAL
/// for what is no such thing.
pub fn functions(btf: &[u8], names: &[u8], ids: &mut [u32]) -> Result<(), Errno> {
    find(btf, names, ids).ok_or(Errno::EINVAL)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// A part that the header tells: where it is from the header's end on, and its bytes.
fn part(btf: &[u8], header: usize, at: usize) -> Option<&[u8]> {
    let start = header.checked_add(word(btf, at)? as usize)?;
    btf.get(start..start.checked_add(word(btf, at + 4)? as usize)?)
}

fn find(btf: &[u8], names: &[u8], ids: &mut [u32]) -> Option<()> {
    if btf.get(..2)? != MAGIC.to_ne_bytes() {
        return None;
    }
    let header = word(btf, 4)? as usize;
    let (types, strings) = (part(btf, header, 8)?, part(btf, header, 16)?);
    let (mut id, mut at) = (1, 0);
    while at < types.len() {
        let (name, info) = (word(types, at)? as usize, word(types, at + 4)?);
        let (kind, members) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        if kind == KIND_FUNC {
            let text = strings.get(name..)?;
            for (found, wanted) in ids.iter_mut().zip(names.split_inclusive(|byte| *byte == 0)) {
                if text.starts_with(wanted) {
                    *found = id;
                }
            }
        }
        at += match kind {
            // A pointer and others of one type, a float: nothing more.
            2 | 7..=12 | 16 | 18 => 12,
            // A number's bits, a variable's linkage, a tag's place.
            1 | 14 | 17 => 12 + 4,
            // An array.
            3 => 12 + 12,
            // Structs, sections, 64-bit enums.
            4 | 5 | 15 | 19 => 12 + 12 * members,
            // Enums, arguments.
            6 | 13 => 12 + 8 * members,
            _ => return None,
        };
        id += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types of three words each, and what follows them.
    fn btf(types: &[u32], strings: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        for word in [24, 0, types.len() as u32 * 4, types.len() as u32 * 4, strings.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        types.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn functions_are_found_by_their_whole_name_whatever_stands_before() {
        let types = [
            1,
            1 << 24,
            4,
            32, // int a
            0,
            13 << 24 | 2,
            0,
            1,
            1,
            1,
            1, // two arguments
            3,
            12 << 24,
            2, // func ab
            1,
            4 << 24 | 1,
            4,
            1,
            1,
            0, // struct a, one member
            1,
            12 << 24,
            2, // func a
            6,
            8 << 24,
            1, // typedef abc
        ];
        let bytes = btf(&types, b"\0a\0ab\0abc\0");
        let mut ids = [0; 4];
        assert_eq!(functions(&bytes, b"a\0ab\0abc\0b\0", &mut ids), Ok(()));
        assert_eq!(ids, [5, 3, 0, 0]);
        // Whatever is cut off or changed, nothing is read outside.
        for len in 0..bytes.len() {
            let _ = functions(&bytes[..len], b"a\0", &mut ids);
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0xff;
            let _ = functions(&bytes, b"a\0", &mut ids);
        }
        assert_eq!(functions(b"", b"a\0", &mut ids), Err(Errno::EINVAL));
    }

    #[test]
    fn the_running_kernel_has_printk() {
        let Ok(btf) = crate::sys::sysfs::kernel_btf() else { return };
        let mut ids = [0; 2];
        functions(&btf, b"_printk\0no_such_function\0", &mut ids).unwrap();
        assert!(ids[0] != 0 && ids[1] == 0);
    }
}
