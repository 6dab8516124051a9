//! S3 object tags ↔ Azure index tags.
//!
//! Azure takes ten tags of ASCII letters, digits, spaces and `+ - . / : = _`; S3 also `@` and letters of any script. A tag that
//! Azure cannot hold goes into the metadata as a whole, so that the tags of an object are those of both places together.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// The most tags that a blob can have.
const MOST: usize = 10;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where the tags of an object are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// As index tags where Azure can hold them. Takes the permission to write tags.
    #[default]
    Index,
    /// All in the metadata.
    Metadata,
}

/// Divides tags into those that Azure holds as index tags and the rest, for the metadata.
pub fn divide(tags: &Tags, keep: Keep) -> (Tags, Tags) {
    let mut index = Tags::new();
    let mut rest = Tags::new();
    for (key, value) in tags {
        let fits = keep == Keep::Index && index.len() < MOST && fits(key, LONGEST_KEY) && fits(value, LONGEST_VALUE);
        let place = if fits && !key.is_empty() { &mut index } else { &mut rest };
        place.insert(key.clone(), value.clone());
    }
    (index, rest)
}

/// Tags as one text, in the form of a query string: Azure's `x-ms-tags`, and how the rest is kept in the metadata.
pub fn format(tags: &Tags) -> String {
    let pairs: Vec<_> = tags
        .iter()
        .map(|(key, value)| format!("{}={}", utf8_percent_encode(key, RESERVED), utf8_percent_encode(value, RESERVED)))
        .collect();
    pairs.join("&")
}

/// The tags that [`format`] wrote; None if the text is broken.
pub fn parse(text: &str) -> Option<Tags> {
    let decode = |part: &str| Some(percent_decode_str(part).decode_utf8().ok()?.into_owned());
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((decode(key)?, decode(value)?))
        })
        .collect()
}

fn fits(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'+' | b'-' | b'.' | b'/' | b':' | b'=' | b'_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_azure_cannot_hold_goes_elsewhere() {
        let all = tags(&[("team", "sap hana"), ("mail", "a@b"), ("größe", "1"), ("empty", "")]);
        let (index, rest) = divide(&all, Keep::Index);
        assert_eq!(index, tags(&[("team", "sap hana"), ("empty", "")]));
        assert_eq!(format(&rest), "gr%C3%B6%C3%9Fe=1&mail=a%40b");
        assert_eq!(divide(&all, Keep::Metadata), (Tags::new(), all));
        assert_eq!(parse("broken"), None);
        assert_eq!(parse(""), Some(Tags::new()));
    }

    proptest! {
        #[test]
        fn tags_come_back(all in proptest::collection::btree_map("\\PC{1,20}|[a-z@=&+ ]{1,10}", "\\PC{0,20}|[a-z@=&+ ]{0,10}", 0..12)) {
            let (index, rest) = divide(&all, Keep::Index);
            prop_assert!(index.len() <= MOST);
            let mut both = parse(&format(&index)).unwrap();
            both.extend(parse(&format(&rest)).unwrap());
            prop_assert_eq!(both, all);
        }
    }
}
