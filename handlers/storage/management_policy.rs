//! `Azure::Storage::ManagementPolicy`.

mod rules;

use super::{Cx, account_of, parent};
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
pub use rules::{
    Actions, BaseBlob, DateAfterCreation, DateAfterModification, Filters, Rule, Snapshot, TagFilter, Version,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The one name that a policy can have.
const NAME: &str = "default";

/// Resource Type definition for Azure::Storage::ManagementPolicy, the rules by which a storage account moves blobs to
/// cheaper tiers and deletes them as they age. An account has one policy at most.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ManagementPolicy {
    /// The ARM id of the policy.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// The rules. Those of the template are all that there are.
    #[schemars(required, transform = unordered, length(min = 1, max = 100))]
    pub rules: Option<Vec<Rule>>,
    profile: Option<ProfileName>,
}

impl ArmResource for ManagementPolicy {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/managementPolicies";
    const API: ApiVersion = ApiVersion::STORAGE;
}

impl ManagementPolicy {
    fn to_azure(&self) -> Value {
        json!({"properties": {"policy": {"rules": rules::to_azure(self.rules.as_deref().unwrap_or_default())}}})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        // The name in the body is another than the one in the id.
        let id = answered_id(body)?;
        let mut members = Map::new();
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("Rules".into(), rules::from_azure(&body["properties"]["policy"]["rules"]));
        decode(&id, members)
    }

    async fn put(&self, id: &Id<Self>, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }
}

impl Resource for ManagementPolicy {
    const TYPE_NAME: &'static str = "Azure::Storage::ManagementPolicy";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        rules::check(self.rules.as_deref().unwrap_or_default())
    }

    fn identify(&mut self, _: &Cx) -> Result<Self::Id> {
        Ok(parent(self.storage_account_id.as_deref())?.child("managementPolicies", NAME).into())
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

    /// Azure has no list of these: an account has one or none.
    async fn list(&self, _: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let id = parent(self.storage_account_id.as_deref())?.child("managementPolicies", NAME);
        let models = match cx.provider.get(&id.to_string(), Self::API).await {
            Ok(policy) => vec![Self::from_azure(&policy)?],
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Page { models, next: None })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
