//! `Azure::Storage::FileShare`.

use super::{
    Cx,
    access_policy::{self, SignedIdentifier},
    account_of, metadata, page, parent, put_metadata,
};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal, patch},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, HandlerErrorCode, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a stored access policy of a share can allow.
const PERMISSIONS: &str = "rcwdl";

/// Resource Type definition for Azure::Storage::FileShare, a share of files in a storage account.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct FileShare {
    /// The ARM id of the share.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// The name of the share. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 63), regex(pattern = "^[a-z0-9](-?[a-z0-9])*$"))]
    pub share_name: Option<String>,
    /// The most that the share may hold, in GiB. Over 5120 the account must allow large shares. If you take it out of the
    /// template, it stays as it is.
    #[schemars(range(min = 1, max = 102_400))]
    pub share_quota: Option<u32>,
    /// How the files are stored and billed. Premium is for accounts of the kind FileStorage, the others for StorageV2.
    #[schemars(extend("enum" = ["TransactionOptimized", "Hot", "Cool", "Premium"]))]
    pub access_tier: Option<String>,
    /// How clients reach the share. NFS takes an account of the kind FileStorage.
    #[schemars(transform = create_only, extend("enum" = ["SMB", "NFS"]))]
    pub enabled_protocols: Option<String>,
    /// Which users of an NFS share become the anonymous user.
    #[schemars(extend("enum" = ["NoRootSquash", "RootSquash", "AllSquash"]))]
    pub root_squash: Option<String>,
    /// Names and values stored with the share. A name is an identifier in lower case: as a header it loses its case.
    #[schemars(extend("x-cfn-keys" = "^[a-z_][a-z0-9_]*$"))]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The stored access policies of the share.
    #[schemars(transform = unordered, length(max = 5))]
    pub signed_identifiers: Option<Vec<SignedIdentifier>>,
    /// Whether deleting the share also deletes the files and snapshots it still holds. If false, which is the default, a
    /// share is not deleted while it has a snapshot or Azure counts a byte in it; empty files and folders do not count.
    #[schemars(transform = write_only)]
    pub empty_on_delete: Option<bool>,
    profile: Option<ProfileName>,
}

impl ArmResource for FileShare {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/fileServices/shares";
    const API: ApiVersion = ApiVersion::STORAGE;
}

impl FileShare {
    fn to_azure(&self) -> Value {
        let mut body = json!({"properties": camel(json!({
            "ShareQuota": self.share_quota,
            "AccessTier": self.access_tier,
            "EnabledProtocols": self.enabled_protocols,
            "RootSquash": self.root_squash,
            "SignedIdentifiers": self.signed_identifiers,
        }))});
        put_metadata(&mut body, self.metadata.as_ref());
        body
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("ShareName".into(), id.name().into());
        members.insert("Metadata".into(), metadata(body));
        members.insert("SignedIdentifiers".into(), access_policy::from_azure(body));
        // A GET leaves these out where they are the default, which a list shows.
        members.entry("EnabledProtocols").or_insert("SMB".into());
        members.entry("AccessTier").or_insert("TransactionOptimized".into());
        decode(&id, members)
    }

    async fn refuse_if_not_empty(id: &Id<Self>, cx: &Cx) -> Result<()> {
        let share = cx.provider.get(&format!("{id}?$expand=stats"), Self::API).await?;
        let held = match share["properties"]["shareUsageBytes"].as_u64() {
            Some(0) => return Ok(()),
            Some(bytes) => format!("the share still holds files of about {bytes} bytes, which would be lost"),
            None => "Azure does not say whether the share still holds files, which would be lost".to_owned(),
        };
        Err(Error::invalid_request(format!("{held}; move them, or set EmptyOnDelete to true to delete them with it")))
    }
}

impl Resource for FileShare {
    const TYPE_NAME: &'static str = "Azure::Storage::FileShare";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        if self.root_squash.is_some() && self.enabled_protocols.as_deref() != Some("NFS") {
            return Err(Error::invalid_request("/RootSquash: needs EnabledProtocols NFS"));
        }
        access_policy::check(self.signed_identifiers.as_deref(), PERMISSIONS)
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let account = parent(self.storage_account_id.as_deref())?;
        let name = self.share_name.get_or_insert_with(|| cx.request.derive_name(63, "-"));
        Ok(account.child("fileServices", "default").child("shares", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let mut defaults =
            json!({"properties": {"metadata": {}, "signedIdentifiers": [], "rootSquash": "NoRootSquash"}});
        // A premium share has no other tier to go back to.
        if change.current.access_tier.as_deref() != Some("Premium") {
            defaults["properties"]["accessTier"] = "TransactionOptimized".into();
        }
        let (desired, previous, current) = (self.to_azure(), change.previous.to_azure(), change.current.to_azure());
        if let Some(body) = patch(&desired, &previous, &current, &defaults, &["metadata"]) {
            cx.provider.patch(&id.to_string(), Self::API, &body).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        let with_all = self.empty_on_delete == Some(true);
        if !with_all {
            Self::refuse_if_not_empty(id, cx).await?;
        }
        let include = if with_all { "snapshots" } else { "none" };
        let deleted = cx.provider.delete(&format!("{id}?$include={include}"), Self::API).await;
        deleted.map_err(|error| match error.code {
            HandlerErrorCode::ResourceConflict if !with_all => error
                .while_doing("deleting the share without its snapshots, if it has any (EmptyOnDelete takes them too)"),
            _ => error,
        })?;
        Ok(Step::Done)
    }

    async fn list(&self, token: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let service = parent(self.storage_account_id.as_deref())?.child("fileServices", "default");
        page(&format!("{service}/shares"), token, cx, Self::from_azure).await
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
