//! `Azure::Storage::StorageAccount`: its verbs. The model is in `model.rs`, what ARM makes of it in `translate.rs`.

mod model;
mod translate;

pub use model::*;

use crate::{
    identifier::{ArmResource, Id},
    provider::AzureProvider,
    resources::resource_group::ResourceGroup,
    translate::retagged,
};
use azure_client::ApiVersion;
use cfn_provider::{Change, Context, Error, HandlerErrorCode, Page, Resource, Result, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

impl ArmResource for StorageAccount {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts";
    const API: ApiVersion = ApiVersion::STORAGE;
}

type Cx = Context<AzureProvider>;

/// What a storage account waits for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Wait {
    /// Azure provisions it: `Creating`, `ResolvingDns`, then `Succeeded`.
    Provisioning {
        /// How often it was not to be found yet: a create answers 202 before a GET knows of the account.
        unseen: u32,
    },
}

/// How often to look at an account that is being made where Azure does not say. 132 recorded creates took 17 to 34 s.
const POLL: Duration = Duration::from_secs(5);
/// After this many looks an accepted account that cannot be found counts as lost.
const UNSEEN: u32 = 60;

/// What deleting an account would take along, and how a message calls it.
const CONTENTS: [(&str, &str); 4] = [
    ("blobServices/default/containers", "container"),
    ("fileServices/default/shares", "file share"),
    ("queueServices/default/queues", "queue"),
    ("tableServices/default/tables", "table"),
];

/// Containers that Azure itself keeps, for logs and the change feed.
const SYSTEM_CONTAINERS: [&str; 2] = ["$logs", "$blobchangefeed"];

impl StorageAccount {
    async fn refuse_if_not_empty(id: &Id<Self>, cx: &Cx) -> Result<()> {
        let mut held = Vec::new();
        let mut is_more = false;
        for (collection, what) in CONTENTS {
            let counts = |item: &Value| item["name"].as_str().is_some_and(|name| !SYSTEM_CONTAINERS.contains(&name));
            let (found, is_cut) = match cx.provider.find(&format!("{id}/{collection}"), Self::API, counts).await {
                Ok(found) => found,
                // An account of this kind does not have the service.
                Err(error) if error.code == HandlerErrorCode::InvalidRequest => continue,
                Err(mut error) => {
                    if error.code == HandlerErrorCode::AccessDenied {
                        error.message.push_str("; or set EmptyOnDelete to true to delete it, whatever it holds");
                    }
                    return Err(error.while_doing("looking whether the account is empty"));
                }
            };
            held.extend(found.iter().filter_map(|item| Some(format!("the {what} {}", item["name"].as_str()?))));
            is_more |= is_cut;
        }
        if held.is_empty() {
            return Ok(());
        }
        let more = if is_more || held.len() > 5 { " and more" } else { "" };
        held.truncate(5);
        Err(Error::invalid_request(format!(
            "the account still holds {}{more}, which would be lost; delete them, or set EmptyOnDelete to true to delete \
             them with the account",
            held.join(", ")
        )))
    }

    fn provisioning(account: &Value, unseen: u32) -> Result<Step<Wait>> {
        match account["properties"]["provisioningState"].as_str() {
            Some("Succeeded") | None => Ok(Step::Done),
            Some("Creating" | "ResolvingDns" | "ResolvingDNS") => {
                Ok(Step::Wait { on: Wait::Provisioning { unseen }, after: POLL })
            }
            Some(state) => Err(Error::new(
                HandlerErrorCode::NotStabilized,
                format!("Azure left the account in the state {state}; its activity log in the portal says why"),
            )),
        }
    }
}

impl Resource for StorageAccount {
    const TYPE_NAME: &'static str = "Azure::Storage::StorageAccount";
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Wait;

    fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::invalid_request(message));
        if let Some(residency) = &self.data_residency {
            let sku = self.sku.as_ref().and_then(|sku| sku.name.as_deref());
            residency.check_replication(self.location.as_deref(), sku)?;
        }
        if self.is_hns_enabled != Some(true) {
            if self.is_nfs_v3_enabled == Some(true) {
                return refuse("/IsNfsV3Enabled: needs IsHnsEnabled true");
            }
            if self.is_sftp_enabled == Some(true) {
                return refuse("/IsSftpEnabled: needs IsHnsEnabled true");
            }
        }
        let encryption = self.encryption.clone().unwrap_or_default();
        let identity = self.identity.clone().unwrap_or_default();
        if encryption.key_vault_properties.is_some() && matches!(identity.kind.as_deref(), None | Some("None")) {
            return refuse("/Encryption/KeyVaultProperties: needs an Identity, with which the account reaches the key");
        }
        let has_ids = identity.user_assigned_identity_ids.as_ref().is_some_and(|ids| !ids.is_empty());
        if has_ids && !identity.kind.as_deref().is_some_and(|kind| kind.contains("UserAssigned")) {
            return refuse("/Identity/UserAssignedIdentityIds: needs a Type with UserAssigned");
        }
        if let Some(used) = &encryption.user_assigned_identity_id
            && !identity.user_assigned_identity_ids.iter().flatten().any(|id| id.eq_ignore_ascii_case(used))
        {
            return refuse(
                "/Encryption/UserAssignedIdentityId: must be one of Identity.UserAssignedIdentityIds, which the account has",
            );
        }
        Ok(())
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let group = Id::<ResourceGroup>::parse(self.resource_group_id.as_deref().unwrap_or_default())
            .map_err(|error| error.while_doing("/ResourceGroupId"))?;
        let name = self.account_name.get_or_insert_with(|| cx.request.derive_name(24, ""));
        Ok(group.provider("Microsoft.Storage", "storageAccounts", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        let mut body = self.to_azure();
        body["kind"] = json!(self.kind.as_deref().unwrap_or("StorageV2"));
        body["tags"] = json!(cx.request.desired_tags(self.tags.as_deref()));
        let answer = cx.provider.put(&id.to_string(), Self::API, &body).await?;
        match answer.operation {
            Some(operation) => {
                Ok(Step::Wait { on: Wait::Provisioning { unseen: 0 }, after: operation.retry_after.unwrap_or(POLL) })
            }
            None => Self::provisioning(&answer.body, 0),
        }
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Wait>> {
        let mut body = self.changes(&change.previous, &change.current);
        let tags = retagged(&cx.request, self.tags.as_deref(), &change, |account| account.tags.as_deref());
        if change.current.tags != Some(cfn_provider::Tag::list(tags.clone())) {
            body["tags"] = json!(tags);
        }
        if body != json!({}) {
            cx.provider.patch(&id.to_string(), Self::API, &body).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        if self.empty_on_delete != Some(true) {
            Self::refuse_if_not_empty(id, cx).await?;
        }
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let scope = match &self.resource_group_id {
            Some(group) => {
                Id::<ResourceGroup>::parse(group).map_err(|error| error.while_doing("/ResourceGroupId"))?.to_string()
            }
            None => format!("/subscriptions/{}", cx.provider.subscription_id()),
        };
        let path = format!("{scope}/providers/Microsoft.Storage/storageAccounts");
        let accounts = cx.provider.list(&path, Self::API, page).await?;
        Ok(Page { models: accounts.items.iter().map(Self::from_azure).collect::<Result<_>>()?, next: accounts.next })
    }

    async fn resume(Wait::Provisioning { unseen }: Wait, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        match cx.provider.get(&id.to_string(), Self::API).await {
            Ok(account) => Self::provisioning(&account, unseen),
            Err(error) if error.is_not_found() && unseen < UNSEEN => {
                Ok(Step::Wait { on: Wait::Provisioning { unseen: unseen + 1 }, after: POLL })
            }
            Err(error) if error.is_not_found() => Err(Error::new(
                HandlerErrorCode::NotStabilized,
                "Azure accepted the account and then does not know it; its resource group's activity log says why, often \
                 a quota or a name taken meanwhile",
            )),
            Err(error) => Err(error),
        }
    }
}
