//! Microsoft.Storage.

mod access_policy;
pub mod blob_container;
pub mod encryption_scope;
pub mod file_share;
pub mod management_policy;
pub mod queue;
pub mod storage_account;

use crate::{identifier::Id, provider::AzureProvider};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{Context, Page, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use storage_account::StorageAccount;

type Cx = Context<AzureProvider>;

/// Reads `StorageAccountId`, by which every type in an account names it.
fn parent(storage_account_id: Option<&str>) -> Result<Id<StorageAccount>> {
    Id::parse(storage_account_id.unwrap_or_default()).map_err(|error| error.while_doing("/StorageAccountId"))
}

/// The account that a resource is in.
fn account_of(id: &ResourceId) -> ResourceId {
    id.ancestor("storageAccounts").unwrap_or_else(|| id.clone())
}

/// Reads a page of the collection at `path`, each item with `read`.
async fn page<T>(path: &str, page: Option<&str>, cx: &Cx, read: fn(&Value) -> Result<T>) -> Result<Page<T>> {
    let listed = cx.provider.list(path, ApiVersion::STORAGE, page).await?;
    Ok(Page { models: listed.items.iter().map(read).collect::<Result<_>>()?, next: listed.next })
}

/// Puts metadata into a body as it is: its names are the user's, and no change of case may touch them.
fn put_metadata(body: &mut Value, metadata: Option<&BTreeMap<String, String>>) {
    if let Some(metadata) = metadata {
        body["properties"]["metadata"] = json!(metadata);
    }
}

/// The metadata in an answer, which Azure leaves out where there is none.
fn metadata(body: &Value) -> Value {
    body["properties"].get("metadata").cloned().unwrap_or_else(|| json!({}))
}
