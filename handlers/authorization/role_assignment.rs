//! `Azure::Authorization::RoleAssignment`.

use super::{own, scope};
use crate::{
    identifier::{ArmResource, Id},
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal},
};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{
    Change, Context, Error, HandlerErrorCode, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Resource Type definition for Azure::Authorization::RoleAssignment, which gives an identity a role on a resource and all
/// that is below it. The application of the type configuration needs Role Based Access Control Administrator there.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RoleAssignment {
    /// The ARM id of the role assignment.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of what the role is given on: `!Ref` of any Azure resource, a resource group's id, or
    /// `/subscriptions/{id}`.
    #[schemars(required, transform = create_only)]
    pub scope: Option<String>,
    /// The name of the assignment, a GUID. If you do not give one, it is derived from the stack and the logical id.
    #[schemars(transform = create_only, regex(pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub role_assignment_name: Option<String>,
    /// The name of a built-in role. RoleDefinitionId says any other role.
    #[schemars(transform = create_only, extend("enum" = ROLES.map(|(name, _)| name)))]
    pub role_name: Option<String>,
    /// The ARM id of the role: `/subscriptions/{id}/providers/Microsoft.Authorization/roleDefinitions/{guid}`. Not needed
    /// where RoleName says it.
    #[schemars(transform = create_only, regex(pattern = "^/subscriptions/[^/]+/providers/[Mm]icrosoft\\.[Aa]uthorization/role[Dd]efinitions/[0-9a-fA-F-]{36}$"))]
    pub role_definition_id: Option<String>,
    /// The object id, in Entra, of who gets the role: `!GetAtt Identity.PrincipalId` of an
    /// Azure::ManagedIdentity::UserAssignedIdentity. It is not the client id.
    #[schemars(required, transform = create_only, regex(pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub principal_id: Option<String>,
    /// What the principal is; a managed identity is a ServicePrincipal. Where it is said, Azure need not know a new principal
    /// everywhere yet.
    #[schemars(transform = create_only, extend("enum" = ["User", "Group", "ServicePrincipal", "ForeignGroup", "Device"]))]
    pub principal_type: Option<String>,
    /// Why the principal has the role.
    #[schemars(length(min = 1))]
    pub description: Option<String>,
    /// A condition on the role's data actions, such as a container's name or a blob's tag, in the language of Azure's
    /// attribute-based access control, version 2.0.
    #[schemars(length(min = 1))]
    pub condition: Option<String>,
}

/// Built-in roles that the storage of a second copy takes, and their GUIDs, which are the same in every tenant (Microsoft's
/// "Azure built-in roles").
const ROLES: [(&str, &str); 14] = [
    ("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
    ("Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c"),
    ("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7"),
    ("Storage Account Contributor", "17d1049b-9a84-46fb-8f53-869881c3d3ab"),
    ("Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
    ("Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
    ("Storage Blob Data Reader", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"),
    ("Storage File Data SMB Share Contributor", "0c867c2a-1d8c-454a-a3db-ab2ea1bdc8bb"),
    ("Storage Queue Data Contributor", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"),
    ("Storage Queue Data Reader", "19e7f393-937e-4f77-808e-94535e297925"),
    ("Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"),
    ("Storage Table Data Reader", "76199698-9eea-4c19-bc75-cec21354c6b6"),
    ("Key Vault Crypto Officer", "14b46e9e-c2b7-41b4-b07b-48a6ebf60603"),
    ("Key Vault Crypto Service Encryption User", "e147488a-f6f5-4113-8e2d-b22465e65bf6"),
];

/// The version of the conditions' language, the only one.
const CONDITION_VERSION: &str = "2.0";

impl ArmResource for RoleAssignment {
    const ARM_TYPE: &'static str = "Microsoft.Authorization/roleAssignments";
    const API: ApiVersion = ApiVersion::new("2022-04-01");
}

type Cx = Context<AzureProvider>;

impl RoleAssignment {
    /// The ARM id of the role, by whichever property says it.
    fn role(&self, id: &ResourceId) -> Result<String> {
        let named = self.role_name.as_deref().and_then(guid_of);
        match (self.role_definition_id.as_deref(), named) {
            (Some(role), Some(guid)) if !name_of(role).eq_ignore_ascii_case(guid) => Err(Error::invalid_request(
                "/RoleDefinitionId: it is another role than /RoleName says; give one of them",
            )),
            (Some(role), _) => Ok(role.to_owned()),
            (None, Some(guid)) => Ok(format!(
                "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{guid}",
                id.subscription()
            )),
            (None, None) => Err(Error::invalid_request("/: one of RoleName and RoleDefinitionId must say the role")),
        }
    }

    fn to_azure(&self, id: &ResourceId) -> Result<Value> {
        Ok(json!({"properties": camel(json!({
            "RoleDefinitionId": self.role(id)?,
            "PrincipalId": self.principal_id,
            "PrincipalType": self.principal_type,
            "Description": self.description,
            "Condition": self.condition,
            "ConditionVersion": self.condition.as_ref().map(|_| CONDITION_VERSION),
        }))}))
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        let role = body["properties"]["roleDefinitionId"].as_str().map(name_of).unwrap_or_default();
        let name = ROLES.iter().find(|(_, guid)| guid.eq_ignore_ascii_case(role)).map(|(name, _)| *name);
        members.insert("RoleName".into(), json!(name));
        members.insert("Id".into(), id.to_string().into());
        members.insert("Scope".into(), json!(id.parent().map(|scope| scope.to_string())));
        members.insert("RoleAssignmentName".into(), id.name().into());
        decode(&id, members)
    }
}

fn guid_of(role: &str) -> Option<&'static str> {
    ROLES.iter().find(|(name, _)| *name == role).map(|(_, guid)| *guid)
}

fn name_of(role: &str) -> &str {
    role.rsplit('/').next().unwrap_or_default()
}

impl Resource for RoleAssignment {
    const TYPE_NAME: &'static str = "Azure::Authorization::RoleAssignment";
    const LIST_BY: &'static [&'static str] = &["Scope"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let scope = scope(self.scope.as_deref())?;
        let name = self.role_assignment_name.get_or_insert_with(|| cx.request.derive_uuid());
        let id = scope.provider("Microsoft.Authorization", "roleAssignments", name);
        self.role(&id)?;
        Ok(id.into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure(id)?).await.map_err(|error| match error.code {
            HandlerErrorCode::AlreadyExists => error.while_doing(
                "the principal has this role on this scope by an assignment of another name (delete that one, or \
                     import it)",
            ),
            _ => error,
        })?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let current = &change.current;
        if (&self.description, &self.condition) != (&current.description, &current.condition) {
            // There is no PATCH. The rest is as Azure has it: it cannot change.
            let target =
                Self { description: self.description.clone(), condition: self.condition.clone(), ..current.clone() };
            cx.provider.put(&id.to_string(), Self::API, &target.to_azure(id)?).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let scope = scope(self.scope.as_deref())?;
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()");
        let assignments = cx.provider.list(&path, Self::API, page).await?;
        let models = own(&assignments.items, &scope).map(Self::from_azure).collect::<Result<_>>()?;
        Ok(Page { models, next: assignments.next })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
