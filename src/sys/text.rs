//! Text for people: bytes of others, and single characters, without the tables that the
//! core library has for them.

use core::fmt;

/// The characters that are shown as they are, from the space on.
const PLAIN: &str = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`\
                     abcdefghijklmnopqrstuvwxyz{|}~";

/// One of them as a string; None for others.
#[inline(never)]
fn plain(c: u32) -> Option<&'static str> {
    let at = c.wrapping_sub(u32::from(b' ')) as usize;
    PLAIN.get(at..at.wrapping_add(1))
}

/// Bytes that should be ASCII, and are shown as such whatever they are.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match plain(u32::from(*byte)) {
            Some(text) if !matches!(byte, b'"' | b'\\') => f.write_str(text),
            _ => {
                let digit = |n| "0123456789abcdef".get(n..n + 1).unwrap_or("");
                f.write_str("\\x")?;
                f.write_str(digit(usize::from(byte >> 4)))?;
                f.write_str(digit(usize::from(byte & 15)))
            }
        })
    }
}

/// A character as a string for `write_str`: what is not plain is a question mark.
pub fn character(c: char) -> &'static str {
    plain(u32::from(c)).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_escaped() {
        assert_eq!(Escaped(b"eth0.7 ~").to_string(), "eth0.7 ~");
        assert_eq!(Escaped(b"a\"\\\x01\xff\n").to_string(), "a\\x22\\x5c\\x01\\xff\\x0a");
    }

    #[test]
    fn a_character_is_plain_or_a_question_mark() {
        assert_eq!((character('a'), character('~'), character(' ')), ("a", "~", " "));
        assert_eq!((character('\u{e4}'), character('\n')), ("?", "?"));
    }
}
