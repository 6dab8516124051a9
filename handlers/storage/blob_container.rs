//! `Azure::Storage::BlobContainer`.

use super::{Cx, account_of, endpoint, found_inside, metadata, page, parent, put_metadata};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal, patch},
};
use azure_client::{ApiVersion, EntryKind};
use cfn_provider::{
    Change, Error, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Resource Type definition for Azure::Storage::BlobContainer, a container of blobs in a storage account.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BlobContainer {
    /// The ARM id of the container.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// The name of the container: 3 to 63 lower-case letters, digits and single dashes, or `$root` or `$web`. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 63), regex(pattern = "^(\\$root|\\$web|[a-z0-9](-?[a-z0-9])*)$"))]
    pub container_name: Option<String>,
    /// Who may read without credentials: nobody, anybody who knows a blob's name, or anybody who lists the container. The
    /// account must allow it (AllowBlobPublicAccess).
    #[schemars(extend("enum" = ["None", "Blob", "Container"]))]
    pub public_access: Option<String>,
    /// Names and values stored with the container. A name is an identifier in lower case: as a header it loses its case.
    #[schemars(extend("x-cfn-keys" = "^[a-z_][a-z0-9_]*$"))]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The encryption scope that encrypts blobs by default; `$account-encryption-key` is the account's own key.
    #[schemars(transform = create_only, length(min = 3, max = 63))]
    pub default_encryption_scope: Option<String>,
    /// Whether a blob may not name another encryption scope than the default.
    #[schemars(transform = create_only)]
    pub deny_encryption_scope_override: Option<bool>,
    /// Immutability of single blob versions.
    pub immutable_storage_with_versioning: Option<ImmutableStorageWithVersioning>,
    /// A hold on everything in the container: while it has a tag, nothing can be deleted or overwritten.
    pub legal_hold: Option<LegalHold>,
    /// Whether deleting the container also deletes the blobs it still holds. If false, which is the default, a container
    /// that holds blobs, versions, snapshots or soft-deleted blobs is not deleted.
    #[schemars(transform = write_only)]
    pub empty_on_delete: Option<bool>,
    profile: Option<ProfileName>,
}

/// Immutability of single blob versions (version-level WORM).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ImmutableStorageWithVersioning {
    /// Whether versions can be made immutable. The account's blobs must be versioned.
    #[schemars(required, transform = create_only)]
    pub enabled: Option<bool>,
}

/// A hold on everything in a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LegalHold {
    /// What the hold is for, such as a case number: 3 to 23 letters and digits each, in lower case.
    #[schemars(required, transform = unordered, length(min = 1, max = 10), inner(regex(pattern = "^[a-z0-9]{3,23}$")))]
    pub tags: Option<Vec<String>>,
}

impl ArmResource for BlobContainer {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/blobServices/containers";
    const API: ApiVersion = ApiVersion::STORAGE;
}

impl BlobContainer {
    fn to_azure(&self) -> Value {
        let mut body = json!({"properties": camel(json!({
            "PublicAccess": self.public_access,
            "DefaultEncryptionScope": self.default_encryption_scope,
            "DenyEncryptionScopeOverride": self.deny_encryption_scope_override,
            "ImmutableStorageWithVersioning": self.immutable_storage_with_versioning,
        }))});
        put_metadata(&mut body, self.metadata.as_ref());
        body
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let properties = &body["properties"];
        let mut members = object(pascal(properties.clone()));
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("ContainerName".into(), id.name().into());
        members.insert("Metadata".into(), metadata(body));
        if properties["legalHold"]["tags"].as_array().is_none_or(Vec::is_empty) {
            members.remove("LegalHold");
        } else {
            let tags: Vec<Value> = items(&properties["legalHold"]["tags"])
                // A GET answers objects with who set the tag and when, the action answers names.
                .map(|tag| tag.get("tag").unwrap_or(tag).clone())
                .collect();
            members.insert("LegalHold".into(), json!({"Tags": tags}));
        }
        decode(&id, members)
    }

    fn legal_hold_tags(&self) -> Vec<&str> {
        self.legal_hold.iter().flat_map(|hold| hold.tags.iter().flatten()).map(String::as_str).collect()
    }

    /// Sets the tags that are missing, clears those that the template took away, leaves those of others.
    async fn hold(&self, id: &Id<Self>, before: &[&str], current: &[&str], cx: &Cx) -> Result<()> {
        let desired = self.legal_hold_tags();
        let missing: Vec<_> = desired.iter().filter(|tag| !current.contains(tag)).collect();
        let removed: Vec<_> = before.iter().filter(|tag| !desired.contains(tag) && current.contains(tag)).collect();
        for (action, tags) in [("setLegalHold", missing), ("clearLegalHold", removed)] {
            if !tags.is_empty() {
                cx.provider.post(&format!("{id}/{action}"), Self::API, &json!({"tags": tags})).await?;
            }
        }
        Ok(())
    }

    async fn refuse_if_not_empty(id: &Id<Self>, cx: &Cx) -> Result<()> {
        let endpoint = endpoint(id, "blob", cx).await?;
        let first = cx.provider.first_blob(&endpoint, id.name()).await;
        let Some(entry) = found_inside("container", first)? else { return Ok(()) };
        let what = match entry.kind {
            EntryKind::Blob => "the blob",
            EntryKind::Snapshot => "a snapshot of the blob",
            EntryKind::Version => "a version of the blob",
            EntryKind::Deleted => "the soft-deleted blob",
        };
        Err(Error::invalid_request(format!(
            "the container still holds {what} {:?} and perhaps more, which would be lost; move them, or set EmptyOnDelete \
             to true to delete them with it",
            entry.name
        )))
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Resource for BlobContainer {
    const TYPE_NAME: &'static str = "Azure::Storage::BlobContainer";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let account = parent(self.storage_account_id.as_deref())?;
        let name = self.container_name.get_or_insert_with(|| cx.request.derive_name(63, "-"));
        Ok(account.child("blobServices", "default").child("containers", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        self.hold(id, &[], &[], cx).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let defaults = json!({"properties": {"publicAccess": "None", "metadata": {}}});
        let (desired, previous, current) = (self.to_azure(), change.previous.to_azure(), change.current.to_azure());
        let body = patch(&desired, &previous, &current, &defaults, &["metadata"]);
        if let Some(body) = body {
            cx.provider.patch(&id.to_string(), Self::API, &body).await?;
        }
        self.hold(id, &change.previous.legal_hold_tags(), &change.current.legal_hold_tags(), cx).await?;
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
        let service = parent(self.storage_account_id.as_deref())?.child("blobServices", "default");
        page(&format!("{service}/containers"), token, cx, Self::from_azure).await
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
