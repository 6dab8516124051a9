//! Key ↔ blob name.
//!
//! A blob's name is its key, readable, with what Azure cannot hold written as `!` and two hex digits per byte:
//!
//! - `!` itself, so that the way back is unambiguous;
//! - `\`, which tools and URL parsers turn into `/`;
//! - a dot at the end of a segment, and `/` at the beginning, at the end and after another `/`: Azure advises against them, a
//!   hierarchical namespace drops them, and URL parsers resolve `.` and `..`;
//! - control characters, private use characters and U+FFFE, U+FFFF, which Azure refuses or XML listings cannot carry.
//!
//! A name that would still be longer than Azure takes (1,024 characters, 254 segments) is `!!` and the SHA-256 of the key;
//! then the key is in the blob's metadata. Two keys never share a name, and no name is ambiguous.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The most characters of a blob's name.
const LONGEST: usize = 1024;
/// The most segments of a blob's name.
const MOST_SEGMENTS: usize = 254;

/// The blob name of a key, after a prefix that is part of the name as it is.
pub fn encode(prefix: &str, key: &str) -> String {
    let mut name = String::with_capacity(prefix.len() + key.len() + 8);
    name.push_str(prefix);
    let mut characters = key.chars().peekable();
    let mut previous = None;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        let as_it_is = match character {
            '/' => !matches!(previous, None | Some('/')) && next.is_some(),
            '.' => !matches!(next, None | Some('/')),
            other => !is_refused(other),
        };
        match as_it_is {
            true => name.push(character),
            false => escape(&mut name, character),
        }
        previous = Some(character);
    }
    if name.chars().count() <= LONGEST && name.split('/').count() <= MOST_SEGMENTS {
        return name;
    }
    format!("{prefix}!!{}", hex(&Sha256::digest(key)))
}

/// The key of a blob name, or None if the name is a hash or not one that [`encode`] writes.
pub fn decode(prefix: &str, name: &str) -> Option<String> {
    let escaped = name.strip_prefix(prefix)?;
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'!' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    let key = String::from_utf8(bytes).ok()?;
    // One key, one name: whatever else decodes to this key was written by somebody else.
    (encode(prefix, &key) == name).then_some(key)
}

/// Whether the name does not tell its key, so that the metadata must.
pub fn is_hashed(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("!!"))
}

fn is_refused(character: char) -> bool {
    character.is_control()
        || matches!(character, '!' | '\\')
        || matches!(u32::from(character), 0xE000..=0xF8FF | 0xFDD0..=0xFDEF | 0xF0000..)
        || u32::from(character) & 0xFFFE == 0xFFFE
}

fn escape(name: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        write!(name, "!{byte:02X}").expect("a String takes everything");
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_have_readable_names() {
        let cases = [
            ("photos/2026/cat.jpg", "photos/2026/cat.jpg"),
            ("a b+c%20d?e#f&g=h", "a b+c%20d?e#f&g=h"),
            ("Größe/日本語.txt", "Größe/日本語.txt"),
            ("folder/", "folder!2F"),
            ("/absolute", "!2Fabsolute"),
            ("a//b///c", "a/!2Fb/!2F!2Fc"),
            ("/", "!2F"),
            ("ends.", "ends!2E"),
            ("a./b", "a!2E/b"),
            ("a/../b/./c", "a/.!2E/b/!2E/c"),
            ("..", ".!2E"),
            ("back\\slash", "back!5Cslash"),
            ("wow!", "wow!21"),
            ("tab\tnul\0", "tab!09nul!00"),
            ("\u{e000}", "!EE!80!80"),
        ];
        for (key, name) in cases {
            assert_eq!(encode("", key), name, "{key:?}");
            assert_eq!(decode("", name).as_deref(), Some(key), "{name:?}");
            assert_eq!(decode("p/", &encode("p/", key)).as_deref(), Some(key), "{name:?} after a prefix");
        }
    }

    #[test]
    fn names_that_azure_would_not_take_are_hashes() {
        for key in ["\u{1}".repeat(1024), "a/".repeat(400) + "b", "é".repeat(512) + &"!".repeat(400)] {
            let name = encode("", &key);
            assert!(is_hashed("", &name) && name.len() == 66, "{name}");
            assert_eq!(decode("", &name), None);
        }
        assert!(!is_hashed("", &encode("", &"k".repeat(1024))));
        assert!(!is_hashed("", &encode("", "!!")));
    }

    #[test]
    fn names_of_others_have_no_key() {
        for name in ["!", "!2", "!zz", "!2f", "!41", "a/", "a//b", "a.", "!FF", "a\\b", "!!00"] {
            assert_eq!(decode("", name), None, "{name:?}");
        }
        assert_eq!(decode("prefix/", "other/a"), None);
    }

    proptest! {
        #[test]
        fn every_key_comes_back(key in "\\PC{0,80}|[a-c./\\\\!]{0,40}|.{0,300}") {
            let name = encode("", &key);
            prop_assert!(name.chars().count() <= LONGEST && name.split('/').count() <= MOST_SEGMENTS);
            if !key.is_empty() {
                prop_assert!(name.split('/').all(|segment| !segment.is_empty() && !segment.ends_with('.')), "{}", name);
            }
            prop_assert!(!name.contains('\\') && !name.chars().any(char::is_control));
            prop_assert!(is_hashed("", &name) || decode("", &name) == Some(key));
        }

        #[test]
        fn two_keys_never_share_a_name(a in "[a!./\\\\]{0,12}", b in "[a!./\\\\]{0,12}") {
            prop_assert_eq!(a == b, encode("", &a) == encode("", &b));
        }
    }
}
