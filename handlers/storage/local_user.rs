//! `Azure::Storage::LocalUser`.
//!
//! Azure knows no PATCH here, and a PUT replaces the user. It never answers a GET with keys or passwords: the keys of the
//! template go with every PUT, and where the template names none, those that the user has are fetched and go with it.

use super::{Cx, account_of, page, parent};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, HandlerErrorCode, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a user can be allowed, with Azure's letter for it.
const PERMISSIONS: &[(&str, char)] = &[
    ("Read", 'r'),
    ("Write", 'w'),
    ("Delete", 'd'),
    ("List", 'l'),
    ("Create", 'c'),
    ("ModifyOwnership", 'o'),
    ("ModifyPermissions", 'p'),
];

const NO_PASSWORD: &str = "/HasSshPassword: the user has no password to keep, and only Azure makes one: leave the property out, \
                           have a password made (`az storage account local-user regenerate-password`), and say true then";

/// Resource Type definition for Azure::Storage::LocalUser, a user of a storage account's own, for SFTP, SMB or NFS. SFTP
/// needs an account with IsHnsEnabled, IsSftpEnabled and IsLocalUserEnabled. Azure makes passwords itself and shows them
/// once, to whoever asks for one (`az storage account local-user regenerate-password`): this type never asks, and neither
/// takes nor answers any.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LocalUser {
    /// The ARM id of the user.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// The name of the user. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, regex(pattern = "^[a-z0-9]{3,64}$"))]
    pub user_name: Option<String>,
    /// What the user may do where. All that the template names is all that there is.
    #[schemars(transform = unordered, length(max = 100))]
    pub permission_scopes: Option<Vec<PermissionScope>>,
    /// Where a connection begins, container or share first: `backups/incoming`.
    #[schemars(length(min = 1))]
    pub home_directory: Option<String>,
    /// The public keys with which the user may sign in over SSH. An empty list takes all away. If the template never names
    /// any, those that others have given the user stay.
    #[schemars(transform = write_only, transform = unordered, length(max = 10))]
    pub ssh_authorized_keys: Option<Vec<SshKey>>,
    /// Whether the user has a password. False takes it away. True keeps it and can only be said once there is one, since
    /// only Azure makes passwords. If left out, it stays as it is.
    pub has_ssh_password: Option<bool>,
    /// Whether the user has a shared key, for SMB, which Azure makes. False takes it away. If left out, a new user has none
    /// and later it stays as it is.
    pub has_shared_key: Option<bool>,
    /// The number of the user's group, by which access control lists name it.
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub group_id: Option<u32>,
    /// Whether access control lists are looked at where PermissionScopes allows nothing.
    pub allow_acl_authorization: Option<bool>,
    /// Whether the user may come over NFS 3.
    #[serde(rename = "IsNFSv3Enabled")]
    pub is_nfs_v3_enabled: Option<bool>,
    /// The numbers of further groups the user is in. Needs IsNFSv3Enabled.
    #[schemars(transform = unordered, inner(range(min = 0, max = 2_147_483_647)))]
    pub extended_groups: Option<Vec<u32>>,
    profile: Option<ProfileName>,
    /// Whether the user can sign in with a key over SSH.
    #[schemars(transform = read_only)]
    pub has_ssh_key: Option<bool>,
    /// The number of the user.
    #[schemars(transform = read_only)]
    pub user_id: Option<i64>,
    /// The security identifier of the user.
    #[schemars(transform = read_only)]
    pub sid: Option<String>,
}

/// What a user may do in one container or share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct PermissionScope {
    /// Whether it is a container of blobs or a share of files.
    #[schemars(required, extend("enum" = ["blob", "file"]))]
    pub service: Option<String>,
    /// The name of the container or share.
    #[schemars(required, length(min = 1))]
    pub resource_name: Option<String>,
    /// What is allowed: Read, Write, Delete, List, Create, ModifyOwnership, ModifyPermissions.
    #[schemars(required, transform = unordered, length(min = 1),
        inner(regex(pattern = "^(Read|Write|Delete|List|Create|ModifyOwnership|ModifyPermissions)$")))]
    pub permissions: Option<Vec<String>>,
}

/// A public key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SshKey {
    /// The kind of the key and the key, without a comment: `ssh-rsa AAAA`.
    #[schemars(required, regex(pattern = "^[a-z0-9-]+ [A-Za-z0-9+/]+={0,3}$"))]
    pub key: Option<String>,
    /// What the key is for.
    pub description: Option<String>,
}

impl ArmResource for LocalUser {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/localUsers";
    const API: ApiVersion = ApiVersion::STORAGE;
}

impl LocalUser {
    /// The properties that Azure answers again.
    fn to_azure(&self) -> Map<String, Value> {
        let mut properties = object(camel(json!({
            "HomeDirectory": self.home_directory,
            "HasSshPassword": self.has_ssh_password,
            "HasSharedKey": self.has_shared_key,
            "GroupId": self.group_id,
            "AllowAclAuthorization": self.allow_acl_authorization,
            "IsNFSv3Enabled": self.is_nfs_v3_enabled,
            "ExtendedGroups": self.extended_groups,
        })));
        if let Some(scopes) = &self.permission_scopes {
            let scopes = scopes
                .iter()
                .map(|scope| {
                    let letter =
                        |word: &String| PERMISSIONS.iter().find(|(known, _)| known == word).map(|(_, letter)| *letter);
                    let letters: String = scope.permissions.iter().flatten().filter_map(letter).collect();
                    json!({
                        "service": scope.service, "resourceName": scope.resource_name,
                        "permissions": letters,
                    })
                })
                .collect();
            properties.insert("permissionScopes".into(), scopes);
        }
        properties
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        for scope in members.get_mut("PermissionScopes").and_then(Value::as_array_mut).into_iter().flatten() {
            let letters = scope["Permissions"].as_str().unwrap_or_default().to_owned();
            // In Azure's order, which is that of the template.
            let word = |letter| PERMISSIONS.iter().find(|(_, known)| *known == letter).map(|(word, _)| *word);
            scope["Permissions"] = letters.chars().filter_map(word).collect();
        }
        members.remove("SshAuthorizedKeys");
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("UserName".into(), id.name().into());
        decode(&id, members)
    }

    /// Puts keys into the properties to be sent; none where there are none, since Azure takes its own flag at its word.
    fn put_keys(properties: &mut Map<String, Value>, keys: Value) {
        let any = keys.as_array().is_some_and(|keys| !keys.is_empty());
        properties.insert("hasSshKey".into(), any.into());
        if any {
            properties.insert("sshAuthorizedKeys".into(), keys);
        }
    }

    fn keys(&self) -> Value {
        camel(json!(self.ssh_authorized_keys))
    }

    async fn put(id: &Id<Self>, properties: Map<String, Value>, cx: &Cx) -> Result<Step<Never>> {
        let put = cx.provider.put(&id.to_string(), Self::API, &json!({"properties": properties})).await;
        match put {
            Ok(_) => Ok(Step::Done),
            Err(error) if error.code == HandlerErrorCode::InvalidRequest => Err(Self::explain(error, id, cx).await),
            Err(error) => Err(error),
        }
    }

    /// A refusal may be the account's: names what it lacks, as far as a look at it tells.
    async fn explain(mut error: Error, id: &Id<Self>, cx: &Cx) -> Error {
        let Ok(account) = cx.provider.get(&account_of(id).to_string(), Self::API).await else { return error };
        let lacks = [("isHnsEnabled", "IsHnsEnabled"), ("isLocalUserEnabled", "IsLocalUserEnabled")];
        let lacks: Vec<&str> =
            lacks.iter().filter(|(member, _)| account["properties"][*member] != true).map(|(_, name)| *name).collect();
        if !lacks.is_empty() {
            let lacks = lacks.join(" and ");
            error
                .message
                .push_str(&format!("; the account does not have {lacks}, which users of blobs over SFTP need"));
        }
        error
    }
}

impl Resource for LocalUser {
    const TYPE_NAME: &'static str = "Azure::Storage::LocalUser";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        let mut named = BTreeSet::new();
        for (at, scope) in self.permission_scopes.iter().flatten().enumerate() {
            if !named.insert((&scope.service, &scope.resource_name)) {
                let message = format!("/PermissionScopes/{at}: another scope has this service and resource name");
                return Err(Error::invalid_request(message));
            }
        }
        if self.extended_groups.as_ref().is_some_and(|groups| !groups.is_empty())
            && self.is_nfs_v3_enabled != Some(true)
        {
            return Err(Error::invalid_request("/ExtendedGroups: needs IsNFSv3Enabled"));
        }
        Ok(())
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        if self.has_ssh_password == Some(true) {
            return Err(Error::invalid_request(NO_PASSWORD));
        }
        let account = parent(self.storage_account_id.as_deref())?;
        let name = self.user_name.get_or_insert_with(|| cx.request.derive_name(64, ""));
        Ok(account.child("localUsers", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        let mut properties = self.to_azure();
        properties.insert("hasSshPassword".into(), false.into());
        properties.insert("hasSharedKey".into(), self.has_shared_key.unwrap_or_default().into());
        Self::put_keys(&mut properties, self.keys());
        Self::put(id, properties, cx).await
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let Change { previous, current, .. } = change;
        if self.has_ssh_password == Some(true) && current.has_ssh_password != Some(true) {
            return Err(Error::invalid_request(NO_PASSWORD));
        }
        let (before, now) = (previous.to_azure(), current.to_azure());
        // What is of others stays, and what the template no longer names goes; but no flag takes a secret away by its absence.
        let mut properties = now.clone();
        properties.retain(|name, _| !before.contains_key(name) || name.starts_with("has"));
        properties.extend(self.to_azure());
        let has_keys = current.has_ssh_key == Some(true);
        let same_keys = match &self.ssh_authorized_keys {
            None => previous.ssh_authorized_keys.is_none() || !has_keys,
            Some(keys) => self.ssh_authorized_keys == previous.ssh_authorized_keys && has_keys != keys.is_empty(),
        };
        if properties == now && same_keys {
            return Ok(Step::Done);
        }
        let keys = match (&self.ssh_authorized_keys, &previous.ssh_authorized_keys) {
            (None, None) if has_keys => {
                let keys = cx.provider.post(&format!("{id}/listKeys"), Self::API, &Value::Null).await?;
                keys.body["sshAuthorizedKeys"].clone()
            }
            _ => self.keys(),
        };
        Self::put_keys(&mut properties, keys);
        Self::put(id, properties, cx).await
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, token: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let account = parent(self.storage_account_id.as_deref())?;
        page(&format!("{account}/localUsers"), token, cx, Self::from_azure).await
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
