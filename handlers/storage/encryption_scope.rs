//! `Azure::Storage::EncryptionScope`.
//!
//! Azure cannot delete a scope. DELETE disables it, a disabled scope counts as absent, and CREATE enables it again.

use super::{Cx, account_of, page, parent};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal, patch},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Resource Type definition for Azure::Storage::EncryptionScope, a key of its own for some of the blobs of a storage
/// account. Azure cannot delete a scope: deleting it disables it, and blobs that it encrypts can be neither read nor
/// written until a scope of that name is created again.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptionScope {
    /// The ARM id of the encryption scope.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the storage account: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub storage_account_id: Option<String>,
    /// The name of the scope. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 63), regex(pattern = "^[a-z0-9](-?[a-z0-9])*$"))]
    pub encryption_scope_name: Option<String>,
    /// Whose key it is: Azure's (Microsoft.Storage, the default) or yours in a vault (Microsoft.KeyVault).
    #[schemars(extend("enum" = ["Microsoft.Storage", "Microsoft.KeyVault"]))]
    pub source: Option<String>,
    /// Your key, if Source is Microsoft.KeyVault. The account's identity must be allowed to use it.
    pub key_vault_properties: Option<KeyVaultProperties>,
    /// Whether Azure encrypts a second time, with a key of its own, below this one.
    #[schemars(transform = create_only)]
    pub require_infrastructure_encryption: Option<bool>,
    profile: Option<ProfileName>,
}

/// A key in a vault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct KeyVaultProperties {
    /// The key's address, such as `https://vault.vault.azure.net/keys/name`; with a version at the end it is that version,
    /// without one it is always the newest.
    #[schemars(required, regex(pattern = "^https://[^?#]+/keys/[0-9A-Za-z-]{1,127}(/[0-9A-Za-z]+)?$"))]
    pub key_uri: Option<String>,
}

impl ArmResource for EncryptionScope {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/encryptionScopes";
    const API: ApiVersion = ApiVersion::STORAGE;
}

const AZURES_KEY: &str = "Microsoft.Storage";
const OWN_KEY: &str = "Microsoft.KeyVault";

impl EncryptionScope {
    fn to_azure(&self) -> Value {
        json!({"properties": camel(json!({
            "Source": self.source,
            "KeyVaultProperties": self.key_vault_properties,
            "RequireInfrastructureEncryption": self.require_infrastructure_encryption,
        }))})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        members.insert("Id".into(), id.to_string().into());
        members.insert("StorageAccountId".into(), account_of(&id).to_string().into());
        members.insert("EncryptionScopeName".into(), id.name().into());
        // Azure answers Microsoft.Keyvault for Microsoft.KeyVault.
        let is_own =
            members.get("Source").and_then(Value::as_str).is_some_and(|source| source.eq_ignore_ascii_case(OWN_KEY));
        members.insert("Source".into(), if is_own { OWN_KEY } else { AZURES_KEY }.into());
        // Azure's own key comes with an empty object, sometimes.
        if !is_own {
            members.remove("KeyVaultProperties");
        }
        // Absent is no.
        members.entry("RequireInfrastructureEncryption").or_insert(false.into());
        decode(&id, members)
    }

    /// A disabled scope of this name comes back as it is, so it must be what the template asks for.
    async fn refuse_another(&self, id: &Id<Self>, cx: &Cx) -> Result<()> {
        let disabled = match cx.provider.get(&id.to_string(), Self::API).await {
            Ok(scope) => Self::from_azure(&scope)?,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        match (self.require_infrastructure_encryption, disabled.require_infrastructure_encryption) {
            (Some(wanted), Some(has)) if wanted != has => Err(Error::invalid_request(format!(
                "/RequireInfrastructureEncryption: a disabled scope of this name was made with {has}, and Azure can \
                 neither change that nor delete the scope; choose another name"
            ))),
            _ => Ok(()),
        }
    }
}

fn is_disabled(scope: &Value) -> bool {
    scope["properties"]["state"].as_str().is_some_and(|state| state.eq_ignore_ascii_case("Disabled"))
}

impl Resource for EncryptionScope {
    const TYPE_NAME: &'static str = "Azure::Storage::EncryptionScope";
    const LIST_BY: &'static [&'static str] = &["StorageAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        match (self.source.as_deref() == Some(OWN_KEY), self.key_vault_properties.is_some()) {
            (true, false) => Err(Error::invalid_request(format!("/KeyVaultProperties: Source {OWN_KEY} needs it"))),
            (false, true) => Err(Error::invalid_request(format!("/KeyVaultProperties: needs Source {OWN_KEY}"))),
            _ => Ok(()),
        }
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let account = parent(self.storage_account_id.as_deref())?;
        let name = self.encryption_scope_name.get_or_insert_with(|| cx.request.derive_name(63, "-"));
        Ok(account.child("encryptionScopes", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        self.refuse_another(id, cx).await?;
        let mut body = self.to_azure();
        body["properties"]["state"] = "Enabled".into();
        // A disabled scope would keep a key of its own.
        body["properties"]["source"] = self.source.as_deref().unwrap_or(AZURES_KEY).into();
        cx.provider.put(&id.to_string(), Self::API, &body).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        let scope = cx.provider.get(&id.to_string(), Self::API).await?;
        if is_disabled(&scope) {
            return Err(Error::not_found(format!("{id} is disabled, which is all the deletion that Azure has")));
        }
        Self::from_azure(&scope)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let defaults = json!({"properties": {"source": AZURES_KEY}});
        let (desired, previous, current) = (self.to_azure(), change.previous.to_azure(), change.current.to_azure());
        if let Some(body) = patch(&desired, &previous, &current, &defaults, &[]) {
            cx.provider.patch(&id.to_string(), Self::API, &body).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.patch(&id.to_string(), Self::API, &json!({"properties": {"state": "Disabled"}})).await?;
        Ok(Step::Done)
    }

    async fn list(&self, token: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let account = parent(self.storage_account_id.as_deref())?;
        let read = |scope: &Value| if is_disabled(scope) { Ok(None) } else { Self::from_azure(scope).map(Some) };
        let scopes = page(&format!("{account}/encryptionScopes"), token, cx, read).await?;
        Ok(Page { models: scopes.models.into_iter().flatten().collect(), next: scopes.next })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
