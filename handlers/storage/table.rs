//! `Azure::Storage::Table`.

use super::{
    Cx,
    access_policy::{self, SignedIdentifier},
    account_of, endpoint, found_inside, page, parent,
};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, patch},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a stored access policy of a table can allow.
const PERMISSIONS: &str = "raud";

/// Resource Type definition for Azure::Storage::Table, a table of entities in a storage account.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Table {
    /// The ARM id of the table.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// The name of the table. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, regex(pattern = "^[A-Za-z][A-Za-z0-9]{2,62}$"))]
    pub table_name: Option<String>,
    /// The stored access policies of the table.
    #[schemars(transform = unordered, length(max = 5))]
    pub signed_identifiers: Option<Vec<SignedIdentifier>>,
    /// Whether deleting the table also deletes the entities it still holds. If false, which is the default, a table that
    /// holds an entity is not deleted; to look, the application needs the role Storage Table Data Reader.
    #[schemars(transform = write_only)]
    pub empty_on_delete: Option<bool>,
    profile: Option<ProfileName>,
}

impl ArmResource for Table {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/tableServices/tables";
    const API: ApiVersion = ApiVersion::STORAGE;
}

impl Table {
    fn to_azure(&self) -> Value {
        json!({"properties": camel(json!({"SignedIdentifiers": self.signed_identifiers}))})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = Map::new();
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("TableName".into(), id.name().into());
        members.insert("SignedIdentifiers".into(), access_policy::from_azure(body));
        decode(&id, members)
    }

    /// Azure Resource Manager cannot tell whether a table is empty, so the table itself is asked.
    async fn refuse_if_not_empty(id: &Id<Self>, cx: &Cx) -> Result<()> {
        let endpoint = endpoint(id, "table", cx).await?;
        let first = cx.provider.first_entity(&endpoint, id.name()).await;
        let Some(entity) = found_inside("table", first)? else { return Ok(()) };
        Err(Error::invalid_request(format!(
            "the table still holds the entity {:?} of the partition {:?} and perhaps more, which would be lost; move them, \
             or set EmptyOnDelete to true to delete them with it",
            entity.row_key, entity.partition_key
        )))
    }
}

impl Resource for Table {
    const TYPE_NAME: &'static str = "Azure::Storage::Table";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        if self.table_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("tables")) {
            return Err(Error::invalid_request("/TableName: Azure keeps the name \"tables\" for itself"));
        }
        access_policy::check(self.signed_identifiers.as_deref(), PERMISSIONS)
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let account = parent(self.storage_account_id.as_deref())?;
        // A table's name begins with a letter, as a stack's does, though not a logical id.
        let derived = || cx.request.derive_name(63, "").trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
        let name = self.table_name.get_or_insert_with(derived);
        Ok(account.child("tableServices", "default").child("tables", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let defaults = json!({"properties": {"signedIdentifiers": []}});
        let (desired, previous, current) = (self.to_azure(), change.previous.to_azure(), change.current.to_azure());
        if let Some(body) = patch(&desired, &previous, &current, &defaults, &[]) {
            cx.provider.patch(&id.to_string(), Self::API, &body).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        if self.empty_on_delete != Some(true) {
            Self::refuse_if_not_empty(id, cx).await?;
        }
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, token: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let service = parent(self.storage_account_id.as_deref())?.child("tableServices", "default");
        page(&format!("{service}/tables"), token, cx, Self::from_azure).await
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
