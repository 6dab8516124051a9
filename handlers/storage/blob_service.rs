//! `Azure::Storage::BlobService`.
//!
//! Every account has one, and Azure can neither create nor delete it. So one whose settings are all Azure's own counts as
//! absent: READ does not find it, CREATE adopts it, and DELETE sets every setting back. One that somebody has set is found
//! and must be imported, so that no rollback can undo what somebody else has set.

mod rules;

use super::{Cx, account_of, parent, storage_account::StorageAccount};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal, patch},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, unordered},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Resource Type definition for Azure::Storage::BlobService, the settings of all blobs of a storage account: versions, soft
/// delete, change feed, point-in-time restore, CORS, last-access tracking and the static website. Every account has them
/// from the start, so settings that are all Azure's own count as absent: creating the resource changes them, and deleting
/// it sets them back; blobs, their versions and what is soft-deleted stay. Settings that somebody has changed before must
/// be imported. A template states at least one that differs from Azure's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BlobService {
    /// The ARM id of the blob service.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// Whether Azure keeps every earlier version of a blob. Not in an account with a hierarchical namespace.
    pub is_versioning_enabled: Option<bool>,
    /// How long deleted blobs can be brought back.
    pub delete_retention_policy: Option<DeleteRetentionPolicy>,
    /// How long deleted containers can be brought back.
    pub container_delete_retention_policy: Option<ContainerDeleteRetentionPolicy>,
    /// The log of every change of a blob.
    pub change_feed: Option<ChangeFeed>,
    /// Whether containers can be set back to what they held at an earlier time. Needs IsVersioningEnabled, ChangeFeed and
    /// DeleteRetentionPolicy. Not in an account with a hierarchical namespace.
    pub restore_policy: Option<RestorePolicy>,
    /// From which websites browsers may use the blobs. The first rule that fits a request counts.
    #[schemars(length(max = 5))]
    pub cors_rules: Option<Vec<CorsRule>>,
    /// Whether Azure notes when a blob was last read, which lifecycles by the last access need.
    pub last_access_time_tracking_policy: Option<LastAccessTimeTrackingPolicy>,
    /// The version of the blob service for requests that name none, such as `2021-12-02`.
    #[schemars(regex(pattern = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"))]
    pub default_service_version: Option<String>,
    /// A website made of the blobs in the container `$web`, which Azure creates.
    pub static_website: Option<StaticWebsite>,
    profile: Option<ProfileName>,
}

/// Soft delete of blobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteRetentionPolicy {
    /// Whether deleted blobs are kept for a while.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// For how many days. Needed where Enabled is true.
    #[schemars(range(min = 1, max = 365))]
    pub days: Option<u32>,
    /// Whether versions and snapshots that are soft-deleted can be deleted for good before their time. Excludes
    /// RestorePolicy.
    pub allow_permanent_delete: Option<bool>,
}

/// Soft delete of containers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerDeleteRetentionPolicy {
    /// Whether deleted containers are kept for a while.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// For how many days. Needed where Enabled is true.
    #[schemars(range(min = 1, max = 365))]
    pub days: Option<u32>,
}

/// The log of every change of a blob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ChangeFeed {
    /// Whether changes are logged.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// For how many days the log is kept; for ever if you give none.
    #[schemars(range(min = 1, max = 146_000))]
    pub retention_in_days: Option<u32>,
}

/// Point-in-time restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RestorePolicy {
    /// Whether containers can be set back.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// By how many days at most: fewer than those of DeleteRetentionPolicy. Needed where Enabled is true.
    #[schemars(range(min = 1, max = 364))]
    pub days: Option<u32>,
}

/// From which websites browsers may do what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct CorsRule {
    /// The origins, such as `https://www.example.com`, or `*` for all.
    #[schemars(required, transform = unordered, length(min = 1, max = 64), inner(length(min = 1)))]
    pub allowed_origins: Option<Vec<String>>,
    /// The methods that they may use.
    #[schemars(
        required, transform = unordered, length(min = 1),
        inner(regex(pattern = "^(DELETE|GET|HEAD|MERGE|POST|OPTIONS|PUT|PATCH|CONNECT|TRACE)$"))
    )]
    pub allowed_methods: Option<Vec<String>>,
    /// The headers that they may send, or `*` for all; one may end in `*`.
    #[schemars(required, transform = unordered, inner(length(min = 1)))]
    pub allowed_headers: Option<Vec<String>>,
    /// The headers of an answer that they may see, or `*` for all; one may end in `*`.
    #[schemars(required, transform = unordered, inner(length(min = 1)))]
    pub exposed_headers: Option<Vec<String>>,
    /// For how many seconds a browser may remember the rule.
    #[schemars(required, range(min = 0, max = 2_147_483_647))]
    pub max_age_in_seconds: Option<u32>,
}

/// Tracking of the last access.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LastAccessTimeTrackingPolicy {
    /// Whether Azure notes when a block blob was last read, to the day.
    #[schemars(required)]
    pub enable: Option<bool>,
}

/// A website made of blobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct StaticWebsite {
    /// Whether Azure serves the website.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// The page for the root and for each folder, such as `index.html`. Case matters.
    #[schemars(length(min = 1))]
    pub index_document: Option<String>,
    /// The path of the page for every request that names no blob, in place of IndexDocument. Case matters.
    #[schemars(length(min = 1))]
    pub default_index_document_path: Option<String>,
    /// The path of the page for what is not found. Case matters.
    #[schemars(length(min = 1))]
    pub error_document404_path: Option<String>,
}

impl ArmResource for BlobService {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/blobServices";
    const API: ApiVersion = ApiVersion::STORAGE_2025_08;
}

/// Azure's own settings, as a service that was never touched has them; a GET may leave out what is off.
fn defaults() -> Value {
    json!({
        "isVersioningEnabled": false,
        "deleteRetentionPolicy": {"enabled": false, "allowPermanentDelete": false},
        "containerDeleteRetentionPolicy": {"enabled": false},
        "changeFeed": {"enabled": false},
        "restorePolicy": {"enabled": false},
        "cors": {"corsRules": []},
        "lastAccessTimeTrackingPolicy": {"enable": false},
        "defaultServiceVersion": null,
        "staticWebsite": {"enabled": false},
    })
}

/// The settings that an answer shows or implies, of those that the type knows: what is off is off and nothing else.
fn settings(body: &Value) -> Map<String, Value> {
    let shown = &body["properties"];
    let defaults = object(defaults());
    defaults.into_iter().map(|(name, default)| (name.clone(), settled(&shown[&name], default))).collect()
}

/// A setting, or its default where it is off, empty or not shown.
fn settled(setting: &Value, default: Value) -> Value {
    let is_off = ["enabled", "enable"].iter().any(|flag| setting[flag] == false);
    let is_empty = setting.as_object().is_some_and(Map::is_empty);
    if is_off || is_empty || setting.is_null() { default } else { setting.clone() }
}

impl BlobService {
    fn to_azure(&self) -> Value {
        let mut properties = camel(json!({
            "IsVersioningEnabled": self.is_versioning_enabled,
            "DeleteRetentionPolicy": self.delete_retention_policy,
            "ContainerDeleteRetentionPolicy": self.container_delete_retention_policy,
            "ChangeFeed": self.change_feed,
            "RestorePolicy": self.restore_policy,
            "LastAccessTimeTrackingPolicy": self.last_access_time_tracking_policy,
            "DefaultServiceVersion": self.default_service_version,
            "StaticWebsite": self.static_website,
        }));
        if let Some(rules) = &self.cors_rules {
            properties["cors"] = camel(json!({"CorsRules": rules}));
        }
        for (name, default) in object(defaults()) {
            if !properties[&name].is_null() {
                properties[&name] = settled(&properties[&name], default);
            }
        }
        json!({"properties": properties})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(Value::Object(settings(body))));
        let cors = members.remove("Cors").unwrap_or_default();
        members.insert("CorsRules".into(), cors["CorsRules"].clone());
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        decode(&id, members)
    }

    /// The service, or `None` where all its settings are Azure's own.
    fn found(body: &Value) -> Result<Option<Self>> {
        if settings(body).into_iter().eq(object(defaults())) { Ok(None) } else { Self::from_azure(body).map(Some) }
    }

    /// Azure keeps no versions of blobs in directories, and says so of the account and not of the property.
    async fn refuse_directories(&self, id: &Id<Self>, cx: &Cx) -> Result<()> {
        let restores = self.restore_policy.as_ref().is_some_and(|policy| policy.enabled == Some(true));
        let wanted = [(self.is_versioning_enabled == Some(true), "/IsVersioningEnabled"), (restores, "/RestorePolicy")];
        let Some((_, pointer)) = wanted.iter().find(|(is_wanted, _)| *is_wanted) else { return Ok(()) };
        let account = cx.provider.get(&account_of(id).to_string(), StorageAccount::API).await?;
        match account["properties"]["isHnsEnabled"] == true {
            false => Ok(()),
            true => Err(Error::invalid_request(format!(
                "{pointer}: the account has a hierarchical namespace (IsHnsEnabled), with which Azure keeps no versions of \
                 blobs; use an account without one, or take the property out"
            ))),
        }
    }

    /// Brings the service from what it is to what the template says. A PUT takes the whole, so what it does not name is
    /// sent along as it is.
    async fn put(&self, id: &Id<Self>, previous: Option<&Self>, cx: &Cx) -> Result<Step<Never>> {
        let service = cx.provider.get(&id.to_string(), Self::API).await?;
        let previous = previous.map_or(Value::Null, Self::to_azure);
        let current = json!({"properties": settings(&service)});
        let own = json!({"properties": defaults()});
        if let Some(change) = patch(&self.to_azure(), &previous, &current, &own, &["changeFeed", "staticWebsite"]) {
            write(id, &service, object(change["properties"].clone()), cx).await?;
        }
        Ok(Step::Done)
    }
}

/// Writes the whole with `change` in it.
async fn write(id: &Id<BlobService>, service: &Value, change: Map<String, Value>, cx: &Cx) -> Result<()> {
    let mut properties = object(service["properties"].clone());
    for (name, setting) in change {
        let default = defaults()[&name].clone();
        properties.insert(name, settled(&setting, default));
    }
    // Azure's own, which it does not take back.
    for time in ["minRestoreTime", "lastEnabledTime"] {
        if let Some(Value::Object(policy)) = properties.get_mut("restorePolicy") {
            policy.remove(time);
        }
    }
    cx.provider.put(&id.to_string(), BlobService::API, &json!({"properties": properties})).await?;
    Ok(())
}

impl Resource for BlobService {
    const TYPE_NAME: &'static str = "Azure::Storage::BlobService";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        rules::check(self)?;
        let wanted = self.to_azure();
        let stated = object(wanted["properties"].clone());
        let own = defaults();
        if stated.iter().any(|(name, setting)| *setting != own[name]) {
            return Ok(());
        }
        let names: Vec<String> = object(pascal(Value::Object(stated))).into_iter().map(|(name, _)| name).collect();
        let pointers = names.iter().map(|name| if name == "Cors" { "/CorsRules".into() } else { format!("/{name}") });
        let about = pointers.collect::<Vec<String>>().join(", ");
        Err(Error::invalid_request(format!(
            "{}: the template states only what an account has without it; set at least one property to something else, or \
             delete the resource",
            if about.is_empty() { "/" } else { &about }
        )))
    }

    fn identify(&mut self, _: &Cx) -> Result<Self::Id> {
        Ok(parent(self.storage_account_id.as_deref())?.child("blobServices", "default").into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        self.refuse_directories(id, cx).await?;
        self.put(id, None, cx).await
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        let service = cx.provider.get(&id.to_string(), Self::API).await?;
        Self::found(&service)?.ok_or_else(|| {
            Error::not_found(format!("{id} has no setting but Azure's own, which is all the absence that Azure has"))
        })
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        if change.current.is_versioning_enabled != Some(true) {
            self.refuse_directories(id, cx).await?;
        }
        self.put(id, Some(&change.previous), cx).await
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        let service = cx.provider.get(&id.to_string(), Self::API).await?;
        let own = defaults();
        let set = settings(&service).into_iter().filter(|(name, setting)| *setting != own[name]);
        let change = set.map(|(name, _)| (name.clone(), own[&name].clone())).collect();
        write(id, &service, change, cx).await?;
        Ok(Step::Done)
    }

    /// An account has one or, as it counts here, none.
    async fn list(&self, _: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let id = parent(self.storage_account_id.as_deref())?.child("blobServices", "default");
        let service = cx.provider.get(&id.to_string(), Self::API).await?;
        Ok(Page { models: Self::found(&service)?.into_iter().collect(), next: None })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
