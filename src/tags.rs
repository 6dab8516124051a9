//! CloudFormation's tag: a list of key and value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A key and a value to organise resources by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// The key of the tag.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    /// The value of the tag.
    #[schemars(length(max = 256))]
    pub value: String,
}

impl Tag {
    /// A service's map of tags as CloudFormation's list, in the order of the keys.
    pub fn list(map: BTreeMap<String, String>) -> Vec<Tag> {
        map.into_iter().map(|(key, value)| Tag { key, value }).collect()
    }
}
