//! `Azure::KeyVault::Vault`.
//!
//! A DELETE is a soft delete: Azure keeps the vault, with its name, until its time is over or somebody purges it. A CREATE of
//! a name that is kept brings the old vault back only where the template says so: it may be another's, and what it holds is.

mod model;
mod translate;

pub use model::{AccessPolicy, NetworkAcls, Permissions, Sku, Vault};

use super::{API, Cx};
use crate::{
    identifier::{ArmResource, Id},
    provider::AzureProvider,
    resources::resource_group::ResourceGroup,
    translate::retagged,
};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{Change, Error, HandlerErrorCode, Page, Resource, Result, Step, Tag};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What a vault may be waited for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Wait {
    /// Its name is being made known: `RegisteringDns`, then `Succeeded`.
    Provisioning,
    /// It shall be deleted and purged: said before it is deleted, since nobody would purge it afterwards who did not know.
    Purge {
        /// The region that it was in.
        location: String,
    },
    /// It is being purged.
    Purging {
        /// The region that it was in.
        location: String,
    },
}

const POLL: Duration = Duration::from_secs(5);

impl ArmResource for Vault {
    const ARM_TYPE: &'static str = "Microsoft.KeyVault/vaults";
    const API: ApiVersion = API;
}

impl Vault {
    fn provisioning(vault: &Value) -> Result<Step<Wait>> {
        match vault["properties"]["provisioningState"].as_str() {
            Some("Succeeded") | None => Ok(Step::Done),
            Some("RegisteringDns") => Ok(Step::Wait { on: Wait::Provisioning, after: POLL }),
            Some(state) => Err(Error::new(
                HandlerErrorCode::NotStabilized,
                format!("Azure left the vault in the state {state}; its activity log in the portal says why"),
            )),
        }
    }

    /// Brings a deleted vault of this name back, as it was, where the template allows it; fails with `taken` where there is
    /// none.
    async fn recover(&self, id: &ResourceId, body: &Value, mut taken: Error, cx: &Cx) -> Result<()> {
        if self.recover_deleted != Some(true) {
            taken.message.push_str(
                "; if it is your own vault, deleted and still kept, RecoverDeleted true brings it back with all that it \
                 holds, and `az keyvault purge` frees its name",
            );
            return Err(taken);
        }
        let mut body = body.clone();
        body["properties"]["createMode"] = "recover".into();
        match cx.provider.put(&id.to_string(), API, &body).await {
            Ok(_) => Ok(()),
            Err(error) if error.message.contains("SoftDeletedVaultDoesNotExist") => Err(taken),
            Err(error) => Err(error),
        }
    }
}

/// Where Azure keeps a deleted vault.
fn deleted(id: &ResourceId, location: &str) -> String {
    format!(
        "/subscriptions/{}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{}",
        id.subscription(),
        id.name()
    )
}

impl Resource for Vault {
    const TYPE_NAME: &'static str = "Azure::KeyVault::Vault";
    const LIST_BY: &'static [&'static str] = &["ResourceGroupId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Wait;

    fn check(&self) -> Result<()> {
        if let Some(residency) = &self.data_residency {
            residency.check_location("/Location", self.location.as_deref())?;
        }
        if self.purge_on_delete == Some(true) && self.enable_purge_protection == Some(true) {
            return Err(Error::invalid_request("/PurgeOnDelete: a vault with EnablePurgeProtection cannot be purged"));
        }
        Ok(())
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let group = group(self)?;
        let name = self.vault_name.get_or_insert_with(|| cx.request.derive_name(24, "-"));
        Ok(group.provider("Microsoft.KeyVault", "vaults", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        let tenant = match &self.tenant_id {
            Some(tenant) => json!(tenant),
            None => {
                let subscription = format!("/subscriptions/{}", id.subscription());
                cx.provider.get(&subscription, ApiVersion::RESOURCES).await?["tenantId"].clone()
            }
        };
        let mut body = self.to_azure(tenant.as_str());
        body["tags"] = json!(cx.request.desired_tags(self.tags.as_deref()));
        body["properties"]["createMode"] = "default".into();
        // Azure demands both.
        for (member, default) in [("sku", json!({"family": "A", "name": "standard"})), ("accessPolicies", json!([]))] {
            if body["properties"][member].is_null() {
                body["properties"][member] = default;
            }
        }
        let answer = match cx.provider.put(&id.to_string(), API, &body).await {
            Err(taken) if taken.code == HandlerErrorCode::AlreadyExists => {
                self.recover(id, &body, taken, cx).await?;
                // It came back as it was: now it takes on what the template says.
                cx.provider.put(&id.to_string(), API, &body).await?
            }
            answer => answer?,
        };
        Self::provisioning(&answer.body)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Wait>> {
        if change.current.enable_purge_protection == Some(true) && self.enable_purge_protection == Some(false) {
            return Err(Error::new(
                HandlerErrorCode::NotUpdatable,
                "/EnablePurgeProtection: Azure cannot take purge protection back; set it to true, or make another vault",
            ));
        }
        let mut body = self.changes(&change.previous, &change.current);
        let tags = retagged(&cx.request, self.tags.as_deref(), &change, |vault| vault.tags.as_deref());
        if change.current.tags != Some(Tag::list(tags.clone())) {
            body["tags"] = json!(tags);
        }
        if body != json!({}) {
            cx.provider.patch(&id.to_string(), API, &body).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        if self.purge_on_delete != Some(true) {
            cx.provider.delete(&id.to_string(), API).await?;
            return Ok(Step::Done);
        }
        let vault = Self::read(id, cx).await?;
        if vault.enable_purge_protection == Some(true) {
            return Err(Error::invalid_request(
                "/PurgeOnDelete: the vault has purge protection, so that Azure alone may purge it, when its time is over; \
                 delete it without PurgeOnDelete",
            ));
        }
        Ok(Step::Wait { on: Wait::Purge { location: vault.location.unwrap_or_default() }, after: Duration::ZERO })
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let path = format!("{}/providers/Microsoft.KeyVault/vaults", group(self)?);
        let vaults = cx.provider.list(&path, API, page).await?;
        Ok(Page { models: vaults.items.iter().map(Self::from_azure).collect::<Result<_>>()?, next: vaults.next })
    }

    async fn resume(wait: Wait, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        let (answered, location) = match wait {
            Wait::Provisioning => return Self::provisioning(&cx.provider.get(&id.to_string(), API).await?),
            Wait::Purge { location } => {
                cx.provider.delete(&id.to_string(), API).await?;
                let purge = format!("{}/purge", deleted(id, &location));
                (cx.provider.post(&purge, API, &Value::Null).await.map(|_| ()), location)
            }
            Wait::Purging { location } => (cx.provider.get(&deleted(id, &location), API).await.map(|_| ()), location),
        };
        match answered {
            Ok(()) => Ok(Step::Wait { on: Wait::Purging { location }, after: POLL }),
            Err(error) if error.is_not_found() => Ok(Step::Done),
            Err(error) => Err(error),
        }
    }
}

fn group(vault: &Vault) -> Result<Id<ResourceGroup>> {
    Id::parse(vault.resource_group_id.as_deref().unwrap_or_default())
        .map_err(|error| error.while_doing("/ResourceGroupId"))
}
