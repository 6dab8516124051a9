//! `Azure::ManagedIdentity::FederatedIdentityCredential`.

use super::user_assigned_identity::UserAssignedIdentity;
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Context, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Resource Type definition for Azure::ManagedIdentity::FederatedIdentityCredential, the trust of an identity in tokens of
/// another issuer, such as those that AWS gives to a role: whoever holds one signs in as the identity, without a secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct FederatedIdentityCredential {
    /// The ARM id of the credential.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the identity: `!Ref` of an Azure::ManagedIdentity::UserAssignedIdentity.
    #[schemars(required, transform = create_only)]
    pub identity_id: Option<String>,
    /// The name of the credential. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 120), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]*$"))]
    pub credential_name: Option<String>,
    /// Who issues the tokens, exactly as their claim `iss` has it: `https://{id}.tokens.sts.global.api.aws` for AWS. An
    /// identity trusts a pair of issuer and subject once.
    #[schemars(required, length(max = 600), regex(pattern = "^https://"))]
    pub issuer: Option<String>,
    /// Whom the tokens speak for, exactly and in the case in which their claim `sub` has it: the ARN of a role for AWS.
    #[schemars(required, length(min = 1, max = 600))]
    pub subject: Option<String>,
    /// For whom the tokens are made, as their claim `aud` has it; Entra takes one. `api://AzureADTokenExchange` if absent.
    #[schemars(length(min = 1, max = 1), inner(length(min = 1, max = 600)))]
    pub audiences: Option<Vec<String>>,
    profile: Option<ProfileName>,
}

/// What Entra recommends, and its clients ask for.
const AUDIENCE: &str = "api://AzureADTokenExchange";

impl ArmResource for FederatedIdentityCredential {
    const ARM_TYPE: &'static str = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials";
    const API: ApiVersion = UserAssignedIdentity::API;
}

type Cx = Context<AzureProvider>;

impl FederatedIdentityCredential {
    fn to_azure(&self) -> Value {
        let audiences = self.audiences.clone().unwrap_or_else(|| vec![AUDIENCE.to_owned()]);
        json!({"properties": camel(json!({
            "Issuer": self.issuer, "Subject": self.subject, "Audiences": audiences
        }))})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        members.insert("Id".into(), id.to_string().into());
        members.insert("IdentityId".into(), json!(id.parent().map(|identity| identity.to_string())));
        members.insert("CredentialName".into(), id.name().into());
        decode(&id, members)
    }
}

impl Resource for FederatedIdentityCredential {
    const TYPE_NAME: &'static str = "Azure::ManagedIdentity::FederatedIdentityCredential";
    const LIST_BY: &'static [&'static str] = &["IdentityId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let identity = identity(self)?;
        let name = self.credential_name.get_or_insert_with(|| cx.request.derive_name(120, "-"));
        Ok(identity.child("federatedIdentityCredentials", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        // There is no PATCH, and a PUT takes all three.
        let body = self.to_azure();
        if body != change.current.to_azure() {
            cx.provider.put(&id.to_string(), Self::API, &body).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let path = format!("{}/federatedIdentityCredentials", identity(self)?);
        let credentials = cx.provider.list(&path, Self::API, page).await?;
        Ok(Page {
            models: credentials.items.iter().map(Self::from_azure).collect::<Result<_>>()?,
            next: credentials.next,
        })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}

fn identity(credential: &FederatedIdentityCredential) -> Result<Id<UserAssignedIdentity>> {
    Id::parse(credential.identity_id.as_deref().unwrap_or_default()).map_err(|error| error.while_doing("/IdentityId"))
}
