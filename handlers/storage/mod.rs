//! Microsoft.Storage.

mod access_policy;
pub mod blob_container;
pub mod blob_inventory_policy;
pub mod blob_service;
pub mod encryption_scope;
pub mod file_share;
pub mod immutability_policy;
pub mod local_user;
pub mod management_policy;
pub mod object_replication_policy;
pub mod queue;
pub mod storage_account;
pub mod table;

use crate::{
    identifier::{ArmResource, Id},
    provider::AzureProvider,
};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{Context, HandlerErrorCode, Page, Result};
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

/// Where the account of a resource has the data of a service.
async fn endpoint(id: &ResourceId, service: &str, cx: &Cx) -> Result<String> {
    let account = cx.provider.get(&account_of(id).to_string(), StorageAccount::API).await?;
    Ok(account["properties"]["primaryEndpoints"][service].as_str().unwrap_or_default().to_owned())
}

/// What a look into `what` found. Nothing is in what is gone; who may not look can still delete, and learns how.
fn found_inside<T>(what: &str, looked: Result<Option<T>>) -> Result<Option<T>> {
    looked.or_else(|mut error| {
        if error.is_not_found() {
            return Ok(None);
        }
        if error.code == HandlerErrorCode::AccessDenied {
            let instead = "; or set EmptyOnDelete to true to delete it, whatever it holds";
            error.message.push_str(instead);
        }
        Err(error.while_doing(format!("looking whether the {what} is empty")))
    })
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
