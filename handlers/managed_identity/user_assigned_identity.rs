//! `Azure::ManagedIdentity::UserAssignedIdentity`.

use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    residency::DataResidency,
    resources::resource_group::ResourceGroup,
    translate::{answered_id, decode, object, pascal, retagged, tags_from_azure},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Context, Never, Page, Resource, Result, Step, Tag,
    schema::{create_only, primary_identifier, read_only, tags},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Resource Type definition for Azure::ManagedIdentity::UserAssignedIdentity, an identity of Entra that Azure keeps without a
/// secret, and that a federated credential lets an AWS role use.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct UserAssignedIdentity {
    /// The ARM id of the identity.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the resource group: `!Ref` of an Azure::Resources::ResourceGroup.
    #[schemars(required, transform = create_only)]
    pub resource_group_id: Option<String>,
    /// The name of the identity. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 128), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]*$"))]
    pub identity_name: Option<String>,
    /// The Azure region, as in `az account list-locations`: `australiaeast`.
    #[schemars(required, transform = create_only, regex(pattern = "^[a-z0-9]+$"))]
    pub location: Option<String>,
    pub(crate) data_residency: Option<DataResidency>,
    /// The tags of the identity.
    #[schemars(transform = tags)]
    pub tags: Option<Vec<Tag>>,
    /// The object id of the identity in Entra: what a role assignment gives a role to.
    #[schemars(transform = read_only)]
    pub principal_id: Option<String>,
    /// The application id of the identity: what a client signs in as.
    #[schemars(transform = read_only)]
    pub client_id: Option<String>,
    /// The tenant that the identity belongs to.
    #[schemars(transform = read_only)]
    pub tenant_id: Option<String>,
    profile: Option<ProfileName>,
}

impl ArmResource for UserAssignedIdentity {
    const ARM_TYPE: &'static str = "Microsoft.ManagedIdentity/userAssignedIdentities";
    const API: ApiVersion = ApiVersion::new("2023-01-31");
}

type Cx = Context<AzureProvider>;

impl UserAssignedIdentity {
    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        members.insert("Id".into(), id.to_string().into());
        members.insert("ResourceGroupId".into(), json!(id.ancestor("resourceGroups").map(|group| group.to_string())));
        members.insert("IdentityName".into(), id.name().into());
        members.insert("Location".into(), body["location"].clone());
        let identity: Self = decode(&id, members)?;
        Ok(Self { tags: Some(tags_from_azure(body)), ..identity })
    }
}

impl Resource for UserAssignedIdentity {
    const TYPE_NAME: &'static str = "Azure::ManagedIdentity::UserAssignedIdentity";
    const LIST_BY: &'static [&'static str] = &["ResourceGroupId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        match &self.data_residency {
            Some(residency) => residency.check_location("/Location", self.location.as_deref()),
            None => Ok(()),
        }
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let group = group(self)?;
        let name = self.identity_name.get_or_insert_with(|| cx.request.derive_name(128, "-"));
        Ok(group.provider("Microsoft.ManagedIdentity", "userAssignedIdentities", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        let body = json!({"location": self.location, "tags": cx.request.desired_tags(self.tags.as_deref())});
        cx.provider.put(&id.to_string(), Self::API, &body).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let target = retagged(&cx.request, self.tags.as_deref(), &change, |identity| identity.tags.as_deref());
        if Some(Tag::list(target.clone())) != change.current.tags {
            // A PUT takes the tags whole; whether a PATCH would keep the others is not documented.
            let body = json!({"location": change.current.location, "tags": target});
            cx.provider.put(&id.to_string(), Self::API, &body).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let path = format!("{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities", group(self)?);
        let identities = cx.provider.list(&path, Self::API, page).await?;
        Ok(Page {
            models: identities.items.iter().map(Self::from_azure).collect::<Result<_>>()?,
            next: identities.next,
        })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}

fn group(identity: &UserAssignedIdentity) -> Result<Id<ResourceGroup>> {
    Id::parse(identity.resource_group_id.as_deref().unwrap_or_default())
        .map_err(|error| error.while_doing("/ResourceGroupId"))
}
