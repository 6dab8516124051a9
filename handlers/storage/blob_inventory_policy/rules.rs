//! The rules of an inventory: what they are, what of them Azure allows together, and how it writes them.

use crate::translate::{camel, pascal};
use cfn_provider::{Error, Result, schema::unordered};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One report: of what, where to and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    /// The name of the rule, unique within the policy. Case matters.
    #[schemars(required, regex(pattern = "^[A-Za-z0-9-]{1,256}$"))]
    pub name: Option<String>,
    /// Whether the rule is followed.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// The name of the container that takes the reports. It must be there before the first.
    #[schemars(required, length(min = 3, max = 63), regex(pattern = "^[a-z0-9](-?[a-z0-9])*$"))]
    pub destination: Option<String>,
    /// What is reported: blobs or containers.
    #[schemars(required, extend("enum" = ["Blob", "Container"]))]
    pub object_type: Option<String>,
    /// The format of a report.
    #[schemars(required, extend("enum" = ["Csv", "Parquet"]))]
    pub format: Option<String>,
    /// How often a report is made.
    #[schemars(required, extend("enum" = ["Daily", "Weekly"]))]
    pub schedule: Option<String>,
    /// What a report says of each, in this order; `Name` always. What there is depends on ObjectType and on whether the
    /// account has a hierarchical namespace.
    #[schemars(required, length(min = 1))]
    pub schema_fields: Option<Vec<String>>,
    /// Which of them are reported. A rule for blobs needs it, for BlobTypes.
    pub filters: Option<Filters>,
}

/// Which blobs or containers a rule is about: those that fit every filter given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Filters {
    /// The types of blobs, in a rule for blobs, which needs it. An account with a hierarchical namespace has no page blobs.
    #[schemars(transform = unordered, length(min = 1), inner(regex(pattern = "^(blockBlob|appendBlob|pageBlob)$")))]
    pub blob_types: Option<Vec<String>>,
    /// How names begin, container first: `backups/2026`. What has any of these.
    #[schemars(transform = unordered, length(min = 1, max = 10))]
    pub prefix_match: Option<Vec<String>>,
    /// How names do not begin. What has none of these.
    #[schemars(transform = unordered, length(min = 1, max = 10))]
    pub exclude_prefix: Option<Vec<String>>,
    /// Whether earlier versions of blobs are reported. Then SchemaFields needs VersionId and IsCurrentVersion, which it
    /// may not have otherwise.
    pub include_blob_versions: Option<bool>,
    /// Whether snapshots of blobs are reported. Then SchemaFields needs Snapshot, which it may not have otherwise.
    pub include_snapshots: Option<bool>,
    /// Whether what is deleted but still kept is reported. Then SchemaFields needs Deleted and RemainingRetentionDays, of
    /// containers also Version and DeletedTime, of blobs in a hierarchical namespace also DeletionId and DeletedTime.
    pub include_deleted: Option<bool>,
    /// When blobs were made. Then SchemaFields needs Creation-Time.
    pub creation_time: Option<CreationTime>,
}

/// When blobs were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct CreationTime {
    /// In the last so many days.
    #[schemars(required, range(min = 1, max = 36_500))]
    pub last_n_days: Option<u32>,
}

/// What a report can say of a blob. Azure's specification spells some fields without the hyphen that its service was seen
/// to ask for: both spellings pass, and the service decides.
#[rustfmt::skip]
const OF_BLOBS: &[&str] = &[
    "Name", "Creation-Time", "Last-Modified", "Content-Length", "Content-MD5", "BlobType", "AccessTier",
    "AccessTierChangeTime", "AccessTierInferred", "Tags", "Expiry-Time", "hdi_isfolder", "Owner", "Group",
    "Permissions", "Acl", "Snapshot", "VersionId", "IsCurrentVersion", "Metadata", "LastAccessTime", "Etag",
    "ContentType", "Content-Type", "ContentEncoding", "Content-Encoding", "ContentLanguage", "Content-Language",
    "ContentCRC64", "Content-CRC64", "CacheControl", "Cache-Control", "ContentDisposition", "Content-Disposition",
    "LeaseStatus", "LeaseState", "LeaseDuration", "ServerEncrypted", "Deleted", "DeletionId", "DeletedTime",
    "RemainingRetentionDays", "ImmutabilityPolicyUntilDate", "ImmutabilityPolicyMode", "LegalHold", "CopyId",
    "CopyStatus", "CopySource", "CopyProgress", "CopyCompletionTime", "CopyStatusDescription",
    "CustomerProvidedKeySha256", "RehydratePriority", "ArchiveStatus", "XmsBlobSequenceNumber", "EncryptionScope",
    "IncrementalCopy", "TagCount",
];

/// What a report can say of a container.
#[rustfmt::skip]
const OF_CONTAINERS: &[&str] = &[
    "Name", "Last-Modified", "Metadata", "LeaseStatus", "LeaseState", "LeaseDuration", "PublicAccess",
    "HasImmutabilityPolicy", "HasLegalHold", "Etag", "DefaultEncryptionScope", "DenyEncryptionScopeOverride",
    "ImmutableStorageWithVersioningEnabled", "Deleted", "Version", "DeletedTime", "RemainingRetentionDays",
];

/// What only blobs in a hierarchical namespace have, and what they never have.
const HIERARCHICAL: &[&str] =
    &["Expiry-Time", "hdi_isfolder", "Owner", "Group", "Permissions", "Acl", "DeletionId", "DeletedTime"];
const FLAT: &[&str] = &["Tags", "TagCount"];

/// Checks what the schema cannot: names that are unique, and what Azure allows together.
///
/// # Errors
/// `InvalidRequest` with the pointer and the rule.
pub(super) fn check(rules: &[Rule]) -> Result<()> {
    let mut names = BTreeSet::new();
    for (at, rule) in rules.iter().enumerate() {
        let refused = match names.insert(&rule.name) {
            true => violation(rule),
            false => Some(("/Name".to_owned(), "another rule has this name".to_owned())),
        };
        if let Some((pointer, why)) = refused {
            return Err(Error::invalid_request(format!("/Rules/{at}{pointer}: {why}")));
        }
    }
    Ok(())
}

/// The first thing that Azure would refuse of a rule, and why.
fn violation(rule: &Rule) -> Option<(String, String)> {
    let filters = rule.filters.clone().unwrap_or_default();
    let fields: Vec<&str> = rule.schema_fields.iter().flatten().map(String::as_str).collect();
    let of_blobs = rule.object_type.as_deref() == Some("Blob");
    let known = if of_blobs { OF_BLOBS } else { OF_CONTAINERS };
    for (at, field) in fields.iter().enumerate() {
        let pointer = || format!("/SchemaFields/{at}");
        if !known.contains(field) {
            let kind = rule.object_type.as_deref().unwrap_or_default();
            return Some((pointer(), format!("a report has no {field:?} of a {kind}")));
        }
        if fields[..at].contains(field) {
            return Some((pointer(), format!("{field} is named twice")));
        }
    }
    let either = |names: &'static [&'static str]| fields.iter().find(|field| names.contains(field));
    if of_blobs && let (Some(hierarchical), Some(flat)) = (either(HIERARCHICAL), either(FLAT)) {
        let why = format!("{hierarchical} is only in a hierarchical namespace, where no {flat} is");
        return Some(("/SchemaFields".into(), why));
    }
    if !fields.contains(&"Name") {
        return Some(("/SchemaFields".into(), "needs Name".into()));
    }
    if of_blobs && filters.blob_types.is_none() {
        return Some(("/Filters/BlobTypes".into(), "ObjectType Blob needs it".into()));
    }
    let only_of_blobs = [
        ("BlobTypes", filters.blob_types.is_some()),
        ("IncludeBlobVersions", filters.include_blob_versions.is_some()),
        ("IncludeSnapshots", filters.include_snapshots.is_some()),
        ("CreationTime", filters.creation_time.is_some()),
    ];
    if let Some((name, _)) = only_of_blobs.iter().find(|(_, given)| *given && !of_blobs) {
        return Some((format!("/Filters/{name}"), "is for ObjectType Blob only".into()));
    }
    // A filter, whether it is on, the fields it needs, and whether they may be there without it.
    let deleted: &[&str] = match of_blobs {
        true => &["Deleted", "RemainingRetentionDays"],
        false => &["Deleted", "Version", "DeletedTime", "RemainingRetentionDays"],
    };
    let needs: [(&str, bool, &[&str], bool); 4] = [
        ("IncludeBlobVersions", filters.include_blob_versions == Some(true), &["VersionId", "IsCurrentVersion"], false),
        ("IncludeSnapshots", filters.include_snapshots == Some(true), &["Snapshot"], false),
        ("IncludeDeleted", filters.include_deleted == Some(true), deleted, !of_blobs),
        ("CreationTime", filters.creation_time.is_some(), &["Creation-Time"], true),
    ];
    for (filter, on, needed, free) in needs {
        for field in needed {
            match (on, fields.contains(field)) {
                (true, false) => return Some(("/SchemaFields".into(), format!("Filters/{filter} needs {field}"))),
                (false, true) if !free => {
                    return Some(("/SchemaFields".into(), format!("{field} needs Filters/{filter}")));
                }
                _ => {}
            }
        }
    }
    None
}

/// Rules as Azure wants them.
pub(super) fn to_azure(rules: &[Rule]) -> Value {
    rules
        .iter()
        .map(|rule| {
            camel(json!({
                "Name": rule.name, "Enabled": rule.enabled, "Destination": rule.destination,
                "Definition": {
                    "ObjectType": rule.object_type, "Format": rule.format, "Schedule": rule.schedule,
                    "SchemaFields": rule.schema_fields, "Filters": rule.filters,
                },
            }))
        })
        .collect()
}

/// Rules as Azure answers them, in the model's terms.
pub(super) fn from_azure(rules: &Value) -> Value {
    let rules = rules.as_array().into_iter().flatten();
    rules
        .map(|rule| {
            let mut rule = pascal(rule.clone());
            if let (Value::Object(definition), Value::Object(members)) = (rule["Definition"].take(), &mut rule) {
                members.extend(definition);
            }
            rule
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(object_type: &str, fields: &[&str], filters: Value) -> String {
        let rule = json!({
            "Name": "r", "Enabled": true, "Destination": "reports", "Format": "Csv", "Schedule": "Daily",
            "ObjectType": object_type, "SchemaFields": fields, "Filters": filters,
        });
        let rule: Rule = serde_json::from_value(rule).expect("is a rule");
        check(&[rule]).map_or_else(|error| error.message, |()| String::new())
    }

    #[test]
    fn what_azure_does_not_allow_together_is_refused_with_pointer_and_rule() {
        let block = json!({"BlobTypes": ["blockBlob"]});
        let with = |filter: &str, value: Value| json!({"BlobTypes": ["blockBlob"], filter: value});
        let (versions, snapshots) = (with("IncludeBlobVersions", json!(true)), with("IncludeSnapshots", json!(true)));
        let deleted = with("IncludeDeleted", json!(true));
        for (kind, fields, filters, expected) in [
            ("Blob", &["Name"][..], block.clone(), ""),
            ("Blob", &["Name", "Content-Type", "ContentType"], block.clone(), ""),
            ("Container", &["Name", "PublicAccess"], Value::Null, ""),
            ("Container", &["Name", "Deleted"], json!({"PrefixMatch": ["a"]}), ""),
            ("Blob", &["Etag"], block.clone(), "/Rules/0/SchemaFields: needs Name"),
            ("Blob", &["Name", "PublicAccess"], block.clone(), "/Rules/0/SchemaFields/1: "),
            ("Container", &["Name", "BlobType"], Value::Null, "/Rules/0/SchemaFields/1: "),
            ("Blob", &["Name", "Etag", "Name"], block.clone(), "/Rules/0/SchemaFields/2: Name is named twice"),
            ("Blob", &["Name", "Acl", "Tags"], block.clone(), "/Rules/0/SchemaFields: Acl is only"),
            ("Blob", &["Name"], Value::Null, "/Rules/0/Filters/BlobTypes: ObjectType Blob needs it"),
            ("Container", &["Name"], block.clone(), "/Rules/0/Filters/BlobTypes: is for"),
            ("Container", &["Name"], json!({"IncludeSnapshots": false}), "/Rules/0/Filters/IncludeSnapshots: is for"),
            ("Blob", &["Name", "VersionId", "IsCurrentVersion"], versions.clone(), ""),
            (
                "Blob",
                &["Name", "VersionId"],
                versions,
                "/Rules/0/SchemaFields: Filters/IncludeBlobVersions needs IsCurrent",
            ),
            ("Blob", &["Name", "VersionId"], block.clone(), "/Rules/0/SchemaFields: VersionId needs Filters/Include"),
            ("Blob", &["Name"], snapshots, "/Rules/0/SchemaFields: Filters/IncludeSnapshots needs Snapshot"),
            ("Blob", &["Name", "Deleted", "RemainingRetentionDays"], deleted.clone(), ""),
            ("Blob", &["Name", "Deleted"], deleted, "/Rules/0/SchemaFields: Filters/IncludeDeleted needs Remaining"),
            (
                "Container",
                &["Name"],
                json!({"IncludeDeleted": true}),
                "/Rules/0/SchemaFields: Filters/IncludeDeleted needs",
            ),
            (
                "Blob",
                &["Name"],
                with("CreationTime", json!({"LastNDays": 7})),
                "/Rules/0/SchemaFields: Filters/CreationTime",
            ),
            ("Blob", &["Name", "Creation-Time"], block, ""),
        ] {
            let said = refusal(kind, fields, filters.clone());
            let fits = if expected.is_empty() { said.is_empty() } else { said.starts_with(expected) };
            assert!(fits, "{kind} {fields:?} {filters}: {said}");
        }
    }

    #[test]
    fn a_rule_comes_back_as_it_went() {
        let rule = json!({
            "Name": "r", "Enabled": true, "Destination": "reports", "Format": "Csv", "Schedule": "Daily",
            "ObjectType": "Blob", "SchemaFields": ["Name"], "Filters": {"BlobTypes": ["blockBlob"]},
        });
        let rules: Vec<Rule> = serde_json::from_value(json!([rule])).expect("are rules");
        let sent = to_azure(&rules);
        assert_eq!(sent[0]["definition"]["filters"]["blobTypes"], json!(["blockBlob"]));
        assert_eq!(serde_json::from_value::<Vec<Rule>>(from_azure(&sent)).expect("decodes"), rules);
    }
}
