//! `Azure::Storage::BlobInventoryPolicy`.

mod rules;

use super::{Cx, account_of, page, parent};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, decode},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, unordered},
};
pub use rules::{CreationTime, Filters, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The one name that a policy can have.
const NAME: &str = "default";

/// Resource Type definition for Azure::Storage::BlobInventoryPolicy, the rules by which a storage account reports what
/// blobs and containers it holds, every day or week. An account has one policy at most.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BlobInventoryPolicy {
    /// The ARM id of the policy.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// Whether the policy is followed. If not, no rule is.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// The rules. Those of the template are all that there are.
    #[schemars(required, transform = unordered, length(min = 1, max = 100))]
    pub rules: Option<Vec<Rule>>,
    profile: Option<ProfileName>,
}

impl ArmResource for BlobInventoryPolicy {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/inventoryPolicies";
    const API: ApiVersion = ApiVersion::STORAGE;
}

impl BlobInventoryPolicy {
    fn to_azure(&self) -> Value {
        let rules = rules::to_azure(self.rules.as_deref().unwrap_or_default());
        json!({"properties": {"policy": {"enabled": self.enabled, "type": "Inventory", "rules": rules}}})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        // The name in the body is another than the one in the id.
        let id = answered_id(body)?;
        let policy = &body["properties"]["policy"];
        let mut members = Map::new();
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("Enabled".into(), policy["enabled"].clone());
        members.insert("Rules".into(), rules::from_azure(&policy["rules"]));
        decode(&id, members)
    }

    async fn put(&self, id: &Id<Self>, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }
}

impl Resource for BlobInventoryPolicy {
    const TYPE_NAME: &'static str = "Azure::Storage::BlobInventoryPolicy";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        rules::check(self.rules.as_deref().unwrap_or_default())
    }

    fn identify(&mut self, _: &Cx) -> Result<Self::Id> {
        Ok(parent(self.storage_account_id.as_deref())?.child("inventoryPolicies", NAME).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        self.put(id, cx).await
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        // There is no PATCH, and a PUT replaces the whole.
        match self.to_azure() == change.current.to_azure() {
            true => Ok(Step::Done),
            false => self.put(id, cx).await,
        }
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, token: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let account = parent(self.storage_account_id.as_deref())?;
        page(&format!("{account}/inventoryPolicies"), token, cx, Self::from_azure).await
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
