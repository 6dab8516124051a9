//! `Azure::Storage::Queue`.

use super::{Cx, account_of, metadata, page, parent, put_metadata};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, decode, patch},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Resource Type definition for Azure::Storage::Queue, a queue of messages in a storage account.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Queue {
    /// The ARM id of the queue.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// The name of the queue. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 63), regex(pattern = "^[a-z0-9](-?[a-z0-9])*$"))]
    pub queue_name: Option<String>,
    /// Names and values stored with the queue. A name is an identifier in lower case: as a header it loses its case.
    #[schemars(extend("x-cfn-keys" = "^[a-z_][a-z0-9_]*$"))]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether deleting the queue also deletes the messages it still holds. If false, which is the default, a queue that
    /// holds messages is not deleted.
    #[schemars(transform = write_only)]
    pub empty_on_delete: Option<bool>,
    profile: Option<ProfileName>,
}

impl ArmResource for Queue {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/queueServices/queues";
    const API: ApiVersion = ApiVersion::STORAGE;
}

impl Queue {
    fn to_azure(&self) -> Value {
        let mut body = json!({"properties": {}});
        put_metadata(&mut body, self.metadata.as_ref());
        body
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = Map::new();
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("QueueName".into(), id.name().into());
        members.insert("Metadata".into(), metadata(body));
        decode(&id, members)
    }

    /// Azure's count is never lower than the number of messages, so that zero is certain.
    async fn refuse_if_not_empty(id: &Id<Self>, cx: &Cx) -> Result<()> {
        let queue = cx.provider.get(&id.to_string(), Self::API).await?;
        let held = match queue["properties"]["approximateMessageCount"].as_u64() {
            Some(0) => return Ok(()),
            Some(1) => "the queue still holds a message, which would be lost".to_owned(),
            Some(count) => format!("the queue still holds about {count} messages, which would be lost"),
            None => "Azure does not say whether the queue still holds messages, which would be lost".to_owned(),
        };
        Err(Error::invalid_request(format!(
            "{held}; receive them, or set EmptyOnDelete to true to delete them with it"
        )))
    }
}

impl Resource for Queue {
    const TYPE_NAME: &'static str = "Azure::Storage::Queue";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let account = parent(self.storage_account_id.as_deref())?;
        let name = self.queue_name.get_or_insert_with(|| cx.request.derive_name(63, "-"));
        Ok(account.child("queueServices", "default").child("queues", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let defaults = json!({"properties": {"metadata": {}}});
        let (desired, previous, current) = (self.to_azure(), change.previous.to_azure(), change.current.to_azure());
        if let Some(body) = patch(&desired, &previous, &current, &defaults, &["metadata"]) {
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
        let service = parent(self.storage_account_id.as_deref())?.child("queueServices", "default");
        page(&format!("{service}/queues"), token, cx, Self::from_azure).await
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
