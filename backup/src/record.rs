//! What a blob says of the object that it is the copy of: everything that the way back needs.
//!
//! Azure's own properties hold what they can: the content headers, index tags, the tier. The rest is metadata, the object's own
//! under mapped names ([`metadata`]) and ours under names that begin with `s3_`.

use std::collections::BTreeMap;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Error, Reason, Result,
    checksum::{self, Checked},
    event::Change,
    metadata, name,
    order::Position,
    source::Object,
    tags::{self, Keep, Tags},
    tier::{self, Tier, Tiers},
};

const BUCKET: &str = "s3_bucket";
const KEY: &str = "s3_key";
const VERSION: &str = "s3_version";
const ETAG: &str = "s3_etag";
const SEQUENCER: &str = "s3_sequencer";
const MODIFIED: &str = "s3_modified";
const CLASS: &str = "s3_storage_class";
const CRC64: &str = "s3_crc64nvme";
const CHECKED: &str = "s3_checked";
const TAGS: &str = "s3_tags";
const TOMBSTONE: &str = "s3_tombstone";
const TOMBSTONE_SEQUENCER: &str = "s3_tombstone_sequencer";

/// The headers that Azure has properties for.
pub const PROPERTIES: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type"];

/// Where headers are kept that Azure has no property for, or whose value it cannot hold.
const HEADERS: [(&str, &str); 13] = [
    ("cache-control", "s3_header_cache_control"),
    ("content-disposition", "s3_header_content_disposition"),
    ("content-encoding", "s3_header_content_encoding"),
    ("content-language", "s3_header_content_language"),
    ("content-type", "s3_header_content_type"),
    ("expires", "s3_expires"),
    ("x-amz-missing-meta", "s3_missing_meta"),
    ("x-amz-object-lock-legal-hold", "s3_lock_legal_hold"),
    ("x-amz-object-lock-mode", "s3_lock_mode"),
    ("x-amz-object-lock-retain-until-date", "s3_lock_until"),
    ("x-amz-server-side-encryption", "s3_sse"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "s3_kms_key"),
    ("x-amz-website-redirect-location", "s3_website_redirect"),
];

/// What a blob says of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Which state of the object its bytes are; None for the tombstone of an object that was never copied.
    pub content: Option<Content>,
    /// That the object was deleted.
    pub tombstone: Option<Position>,
    /// Headers by their names in lower case, as S3 has them.
    pub headers: BTreeMap<String, String>,
    /// User metadata.
    pub user: BTreeMap<String, String>,
    /// Tags.
    pub tags: Tags,
}

/// One state of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The version.
    pub version: Option<String>,
    /// S3's ETag without quotes.
    pub etag: String,
    /// Where it stands among the states of the object.
    pub position: Position,
    /// The storage class.
    pub class: String,
    /// CRC64NVME of the bytes.
    pub crc64: u64,
    /// What the checksum was compared with.
    pub checked: Checked,
}

impl Content {
    /// Whether S3 says that an object is this state.
    pub fn is(&self, object: &Object) -> bool {
        let version = |version: &Option<String>| version.clone().filter(|version| version != "null");
        self.etag == object.etag && version(&self.version) == version(&object.version)
    }
}

/// How a blob is described to Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// By the names of [`PROPERTIES`].
    pub headers: BTreeMap<String, String>,
    /// All metadata.
    pub metadata: BTreeMap<String, String>,
    /// Index tags.
    pub tags: Tags,
    /// None leaves it to the account.
    pub tier: Option<Tier>,
}

/// How objects are described.
#[derive(Clone, Debug, Default)]
pub struct Describing {
    /// Stands before every key in a blob's name.
    pub prefix: String,
    /// Where tags are kept.
    pub keep: Keep,
    /// Which tier the copies get.
    pub tiers: Tiers,
}

impl Record {
    /// Of an object whose bytes were copied.
    pub fn new(change: &Change, object: Object, tags: Tags, crc64: u64, checked: Checked) -> Self {
        let position = Position { sequencer: change.sequencer.clone(), time: object.modified };
        let content =
            Content { version: object.version, etag: object.etag, position, class: object.class, crc64, checked };
        Self {
            bucket: change.bucket.clone(),
            key: change.key.clone(),
            content: Some(content),
            tombstone: None,
            headers: object.headers,
            user: object.user,
            tags,
        }
    }

    /// How Azure is told.
    ///
    /// # Errors
    /// `TooMuchMetadata`: it does not fit.
    pub fn describe(&self, how: &Describing) -> Result<Description> {
        let mut own = metadata::encode(&self.user);
        let mut headers = BTreeMap::new();
        for (header, elsewhere) in HEADERS {
            let Some(value) = self.headers.get(header) else { continue };
            match PROPERTIES.contains(&header) && metadata::is_plain(value) {
                true => headers.insert(header.to_owned(), value.clone()),
                false => own.insert(elsewhere.to_owned(), metadata::encode_value(value)),
            };
        }
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                own.insert(name.to_owned(), metadata::encode_value(value));
            }
        };
        put(BUCKET, Some(&self.bucket));
        let hashed = name::is_hashed(&how.prefix, &name::encode(&how.prefix, &self.key));
        put(KEY, hashed.then_some(self.key.as_str()));
        let (index, rest) = tags::divide(&self.tags, how.keep);
        put(TAGS, (!rest.is_empty()).then(|| tags::format(&rest)).as_deref());
        if let Some(content) = &self.content {
            put(VERSION, content.version.as_deref());
            put(ETAG, Some(&content.etag));
            put(SEQUENCER, content.position.sequencer.as_deref());
            put(MODIFIED, date(content.position.time).as_deref());
            put(CLASS, Some(&content.class));
            put(CRC64, Some(&checksum::to_s3(content.crc64)));
            put(CHECKED, Some(content.checked.name()));
        }
        if let Some(tombstone) = &self.tombstone {
            put(TOMBSTONE, date(tombstone.time).as_deref());
            put(TOMBSTONE_SEQUENCER, tombstone.sequencer.as_deref());
        }
        let size = metadata::size(&own);
        if size > metadata::LARGEST {
            return Err(Error::new(
                Reason::TooMuchMetadata,
                format!(
                    "its metadata, headers and tags take {size} bytes in Azure, which allows {}: shorten its metadata, or the \
                     tags that Azure cannot hold as index tags",
                    metadata::LARGEST
                ),
            ));
        }
        let class = self.content.as_ref().map(|content| content.class.as_str());
        let tier = class.and_then(|class| tier::of(class, how.tiers));
        Ok(Description { headers, metadata: own, tags: index, tier })
    }

    /// The way back: what a blob of this name says; None if it was not written by a backup with this prefix.
    pub fn read(how: &Describing, name: &str, blob: &Description) -> Option<Self> {
        let get = |name: &str| metadata::decode_value(blob.metadata.get(name)?);
        let key = match name::is_hashed(&how.prefix, name) {
            true => get(KEY).filter(|key| name::encode(&how.prefix, key) == name)?,
            false => name::decode(&how.prefix, name)?,
        };
        let content = match get(ETAG) {
            None => None,
            Some(etag) => Some(Content {
                version: get(VERSION),
                etag,
                position: Position { sequencer: get(SEQUENCER), time: parse_date(&get(MODIFIED)?)? },
                class: get(CLASS)?,
                crc64: checksum::from_s3(&get(CRC64)?)?,
                checked: Checked::parse(&get(CHECKED)?)?,
            }),
        };
        let tombstone = match get(TOMBSTONE) {
            None => None,
            Some(time) => Some(Position { sequencer: get(TOMBSTONE_SEQUENCER), time: parse_date(&time)? }),
        };
        let mut headers = BTreeMap::new();
        for (header, elsewhere) in HEADERS {
            let property = blob.headers.get(header).filter(|_| PROPERTIES.contains(&header)).cloned();
            if let Some(value) = get(elsewhere).or(property) {
                headers.insert(header.to_owned(), value);
            }
        }
        let mut tags = blob.tags.clone();
        tags.extend(tags::parse(&get(TAGS).unwrap_or_default())?);
        Some(Self {
            bucket: get(BUCKET)?,
            key,
            content,
            tombstone,
            headers,
            user: metadata::decode(&blob.metadata),
            tags,
        })
    }
}

/// Changes where a blob stands, and whether its object was deleted, in the metadata that it has. `content` None: as it is.
pub fn amend(metadata: &mut BTreeMap<String, String>, content: Option<&Position>, tombstone: Option<&Position>) {
    let mut set = |name: &str, value: Option<String>| match value {
        Some(value) => _ = metadata.insert(name.to_owned(), value),
        None => _ = metadata.remove(name),
    };
    if let Some(position) = content {
        set(SEQUENCER, position.sequencer.clone());
        set(MODIFIED, date(position.time));
    }
    set(TOMBSTONE, tombstone.and_then(|tombstone| date(tombstone.time)));
    set(TOMBSTONE_SEQUENCER, tombstone.and_then(|tombstone| tombstone.sequencer.clone()));
}

fn date(time: OffsetDateTime) -> Option<String> {
    time.format(&Rfc3339).ok()
}

fn parse_date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, option, prelude::*};

    use super::*;
    use crate::checksum::Algorithm;

    #[test]
    fn our_names_are_nobody_elses() {
        let ours = [
            BUCKET,
            KEY,
            VERSION,
            ETAG,
            SEQUENCER,
            MODIFIED,
            CLASS,
            CRC64,
            CHECKED,
            TAGS,
            TOMBSTONE,
            TOMBSTONE_SEQUENCER,
        ];
        for name in ours.into_iter().chain(HEADERS.map(|(_, name)| name)) {
            assert_eq!(metadata::decode_name(name), None, "{name} could be user metadata");
        }
        assert_eq!(HEADERS.map(|(header, _)| header), crate::source::HEADERS);
    }

    fn records() -> impl Strategy<Value = Record> {
        let text = "\\PC{0,30}|[ -~]{1,30}";
        let time = (0i64..4_000_000_000).prop_map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap());
        let position = (option::of("[0-9A-F]{18}"), time).prop_map(|(sequencer, time)| Position { sequencer, time });
        let checked = prop_oneof![
            Just(Checked::Against(Algorithm::Crc64Nvme)),
            Just(Checked::Against(Algorithm::Sha256)),
            Just(Checked::Computed),
            Just(Checked::NotComparable)
        ];
        let content = (
            option::of("[A-Za-z0-9_.]{1,32}"),
            "[0-9a-f]{32}(-[0-9]{1,4})?",
            position.clone(),
            "[A-Z_]{1,12}",
            any::<u64>(),
            checked,
        )
            .prop_map(|(version, etag, position, class, crc64, checked)| Content {
                version,
                etag,
                position,
                class,
                crc64,
                checked,
            });
        let headers = btree_map(prop::sample::select(crate::source::HEADERS.map(str::to_owned).to_vec()), text, 0..6);
        (
            ".{1,30}|[a!./]{1,20}|[\u{1}-\u{3}]{400,500}",
            option::of(content),
            option::of(position),
            headers,
            btree_map("[a-z0-9_.-]{1,12}", text, 0..5),
            btree_map("[a-z@é ]{1,8}", "[a-z@é ]{0,8}", 0..5),
        )
            .prop_map(|(key, content, tombstone, headers, user, tags)| Record {
                bucket: "a-bucket".to_owned(),
                key,
                content,
                tombstone,
                headers,
                user,
                tags,
            })
    }

    proptest! {
        #[test]
        fn every_record_comes_back(record in records(), prefix in "|p/", in_metadata in any::<bool>()) {
            let keep = if in_metadata { Keep::Metadata } else { Keep::Index };
            let how = Describing { prefix, keep, tiers: Tiers::Map };
            let Ok(description) = record.describe(&how) else { return Ok(()) };
            prop_assert!(description.metadata.values().all(|value| metadata::is_plain(value)));
            prop_assert!(description.headers.values().all(|value| metadata::is_plain(value)));
            let name = name::encode(&how.prefix, &record.key);
            prop_assert_eq!(Record::read(&how, &name, &description), Some(record));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let how = Describing::default();
        let user = (0..3).map(|n| (format!("n{n}"), "ß".repeat(600))).collect();
        let record = Record {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            content: None,
            tombstone: None,
            headers: BTreeMap::new(),
            user,
            tags: Tags::new(),
        };
        let error = record.describe(&how).unwrap_err();
        assert_eq!(error.reason, Reason::TooMuchMetadata);
        assert!(error.message.contains("10"), "{error}");
    }

    #[test]
    fn blobs_of_others_are_nobodys_copy() {
        let how = Describing::default();
        assert_eq!(Record::read(&how, "k", &Description::default()), None);
        let metadata = BTreeMap::from([(BUCKET.to_owned(), "b".to_owned()), (ETAG.to_owned(), "e".to_owned())]);
        assert_eq!(Record::read(&how, "k", &Description { metadata, ..Description::default() }), None, "half a record");
    }
}
