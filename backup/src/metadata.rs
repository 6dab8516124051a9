//! S3 user metadata ↔ Azure metadata.
//!
//! Azure's names are C# identifiers without regard to case, its values ASCII without spaces at the ends. S3's names are lower
//! case HTTP tokens. What is no lower case letter or digit is `_` and two hex digits, and so is a digit at the beginning:
//! `content-owner` is `content_2downer`. Our own records have names that this never produces (`s3_version`: `_v` is no hex).
//!
//! A value that Azure cannot hold as it is begins with `%%` and is percent-encoded.

use std::{collections::BTreeMap, fmt::Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Marks an encoded value.
const ENCODED: &str = "%%";
/// What stays readable in an encoded value.
const REFUSED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b' ').remove(b':');
/// What all names and values of a blob may take together, in bytes.
pub const LARGEST: usize = 8 * 1024;

/// The name of a metadata item in Azure.
pub fn encode_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len() + 4);
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' => encoded.push(byte.into()),
            b'0'..=b'9' if at > 0 => encoded.push(byte.into()),
            other => write!(encoded, "_{other:02x}").expect("a String takes everything"),
        }
    }
    encoded
}

/// The name of a metadata item in S3, or None if S3's metadata did not give it this name.
pub fn decode_name(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'_' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.is_empty() && encode_name(&name) == encoded).then_some(name)
}

/// Whether an HTTP header of Azure can hold a value as it is.
pub fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !value.starts_with(' ')
        && !value.ends_with(' ')
}

/// A value as Azure can hold it.
pub fn encode_value(value: &str) -> String {
    match is_plain(value) && !value.starts_with(ENCODED) {
        true => value.to_owned(),
        // A space at an end would be lost.
        false => {
            let encoded = utf8_percent_encode(value, REFUSED).to_string();
            let inner = encoded.trim_matches(' ');
            let before = encoded.len() - encoded.trim_start_matches(' ').len();
            let after = if inner.is_empty() { 0 } else { encoded.len() - before - inner.len() };
            format!("{ENCODED}{}{inner}{}", "%20".repeat(before), "%20".repeat(after))
        }
    }
}

/// The value that [`encode_value`] wrote; None if it is broken.
pub fn decode_value(encoded: &str) -> Option<String> {
    match encoded.strip_prefix(ENCODED) {
        None => Some(encoded.to_owned()),
        Some(rest) => Some(percent_decode_str(rest).decode_utf8().ok()?.into_owned()),
    }
}

/// User metadata as Azure holds it. S3's names are unique without regard to case, and so are Azure's.
pub fn encode(user: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    user.iter().map(|(name, value)| (encode_name(name), encode_value(value))).collect()
}

/// The user metadata among a blob's metadata. What is not S3's, ours or somebody else's, is left out.
pub fn decode(metadata: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    metadata.iter().filter_map(|(name, value)| Some((decode_name(name)?, decode_value(value)?))).collect()
}

/// What metadata takes of a blob's allowance, in bytes.
pub fn size(metadata: &BTreeMap<String, String>) -> usize {
    metadata.iter().map(|(name, value)| name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_values() {
        for (name, encoded) in [
            ("owner", "owner"),
            ("content-owner", "content_2downer"),
            ("snake_case", "snake_5fcase"),
            ("1st", "_31st"),
            ("a.b~c", "a_2eb_7ec"),
            ("é", "_c3_a9"),
        ] {
            assert_eq!(encode_name(name), encoded);
            assert_eq!(decode_name(encoded).as_deref(), Some(name));
        }
        for foreign in ["", "s3_version", "Owner", "a_2D", "_61", "a_", "x_f"] {
            assert_eq!(decode_name(foreign), None, "{foreign:?}");
        }
        for (value, encoded) in [
            ("plain text, 100%", "plain text, 100%"),
            ("", "%%"),
            (" padded ", "%%%20padded%20"),
            ("  ", "%%%20%20"),
            ("Größe 1", "%%Gr%C3%B6%C3%9Fe 1"),
            ("%%", "%%%25%25"),
            ("=?UTF-8?B?R3LDtsOfZQ==?=", "=?UTF-8?B?R3LDtsOfZQ==?="),
            ("line\nbreak", "%%line%0Abreak"),
        ] {
            assert_eq!(encode_value(value), encoded);
            assert_eq!(decode_value(encoded).as_deref(), Some(value), "{encoded:?}");
        }
    }

    proptest! {
        #[test]
        fn names_come_back(name in "[a-z0-9!#$%&'*+.^_`|~-]{1,40}") {
            let encoded = encode_name(&name);
            prop_assert!(encoded.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'));
            prop_assert!(encoded.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')));
            prop_assert_eq!(decode_name(&encoded), Some(name));
        }

        #[test]
        fn values_come_back(value in ".{0,60}|[ %]{0,6}|\\PC{0,40}") {
            let encoded = encode_value(&value);
            prop_assert!(is_plain(&encoded), "{:?}", encoded);
            prop_assert_eq!(decode_value(&encoded), Some(value));
        }

        #[test]
        fn different_names_stay_different(a in "[a-c0-2_-]{1,6}", b in "[a-c0-2_-]{1,6}") {
            prop_assert_eq!(a == b, encode_name(&a) == encode_name(&b));
        }
    }
}
