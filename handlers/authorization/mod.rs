//! Microsoft.Authorization: what is said of a resource of any type, which is its scope.

pub mod management_lock;
pub mod role_assignment;

use azure_client::ResourceId;
use cfn_provider::{Error, Result};
use serde_json::Value;

/// Reads the property `Scope`.
pub(crate) fn scope(text: Option<&str>) -> Result<ResourceId> {
    text.unwrap_or_default()
        .parse()
        .map_err(|error: azure_client::Error| Error::invalid_request(format!("/Scope: {}", error.message)))
}

/// Those items of a list that are at `scope` itself: Azure also lists what is inherited from above.
pub(crate) fn own<'a>(items: &'a [Value], scope: &ResourceId) -> impl Iterator<Item = &'a Value> {
    items.iter().filter(move |item| {
        let id = item["id"].as_str().and_then(|id| id.parse::<ResourceId>().ok());
        id.and_then(|id| id.parent()).is_some_and(|parent| parent == *scope)
    })
}
