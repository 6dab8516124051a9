//! `Azure::Authorization::RoleAssignment`.

use super::{own, scope};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal},
};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{
    Change, Context, Error, HandlerErrorCode, Never, Page, Resource, Result, Step,
    schema::{conditional_create_only, create_only, not_secret, primary_identifier, read_only, write_only},
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
    /// The name of the role, built-in or custom, as `az role definition list` has it: `Storage Blob Data Contributor`. Azure
    /// is asked for its id. One of RoleName and RoleDefinitionId is needed.
    #[schemars(transform = write_only, transform = not_secret, transform = conditional_create_only, length(min = 1, max = 512))]
    pub role_name: Option<String>,
    /// The ARM id of the role: `/subscriptions/{id}/providers/Microsoft.Authorization/roleDefinitions/{guid}`.
    #[schemars(transform = conditional_create_only, regex(pattern = "^/subscriptions/[^/]+/providers/[Mm]icrosoft\\.[Aa]uthorization/role[Dd]efinitions/[0-9a-fA-F-]{36}$"))]
    pub role_definition_id: Option<String>,
    /// The object id, in Entra, of who gets the role: `!GetAtt Identity.PrincipalId` of an
    /// Azure::ManagedIdentity::UserAssignedIdentity. It is not the client id.
    #[schemars(required, transform = create_only, regex(pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub principal_id: Option<String>,
    /// What the principal is; a managed identity is a ServicePrincipal. Where it is said, Azure need not know a new principal
    /// everywhere yet.
    #[schemars(extend("enum" = ["User", "Group", "ServicePrincipal", "ForeignGroup", "Device"]))]
    pub principal_type: Option<String>,
    /// Why the principal has the role.
    #[schemars(length(min = 1))]
    pub description: Option<String>,
    /// A condition on the role's data actions, such as a container's name or a blob's tag, in the language of Azure's
    /// attribute-based access control, version 2.0.
    #[schemars(length(min = 1))]
    pub condition: Option<String>,
    /// The ARM id of a managed identity of this tenant that gives the role in the name of a principal of another tenant.
    #[schemars(transform = create_only, regex(pattern = "^/subscriptions/.+/userAssignedIdentities/[^/]+$"))]
    pub delegated_managed_identity_resource_id: Option<String>,
    profile: Option<ProfileName>,
}

/// The version of the conditions' language, the only one.
const CONDITION_VERSION: &str = "2.0";

impl ArmResource for RoleAssignment {
    const ARM_TYPE: &'static str = "Microsoft.Authorization/roleAssignments";
    const API: ApiVersion = ApiVersion::new("2022-04-01");
}

type Cx = Context<AzureProvider>;

impl RoleAssignment {
    /// The ARM id of the role. Azure is asked for it where the template has the name.
    async fn role(&self, scope: &ResourceId, cx: &Cx) -> Result<String> {
        let said = self.role_definition_id.as_deref();
        let Some(name) = self.role_name.as_deref() else { return Ok(said.unwrap_or_default().to_owned()) };
        let quoted = ["%", "&", "+", "#", "'"]
            .iter()
            .zip(["%25", "%26", "%2B", "%23", "''"])
            .fold(name.to_owned(), |name, (char, escaped)| name.replace(char, escaped));
        let path = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName eq '{quoted}'");
        let is_named =
            |role: &Value| role["properties"]["roleName"].as_str().is_some_and(|role| role.eq_ignore_ascii_case(name));
        let (found, _) = cx.provider.find(&path, Self::API, is_named).await?;
        let Some(role) = found.first().and_then(|role| role["id"].as_str()) else {
            return Err(Error::invalid_request(format!(
                "/RoleName: {scope} has no role named {name:?}; `az role definition list` has the names"
            )));
        };
        match said {
            Some(said) if !is_same_role(said, role) => Err(Error::invalid_request(format!(
                "/RoleDefinitionId: it is another role than {name:?}, which is {role}; give one of them"
            ))),
            _ => Ok(role.to_owned()),
        }
    }

    fn to_azure(&self, role: &str) -> Value {
        json!({"properties": camel(json!({
            "RoleDefinitionId": role,
            "PrincipalId": self.principal_id,
            "PrincipalType": self.principal_type,
            "Description": self.description,
            "Condition": self.condition,
            "ConditionVersion": self.condition.as_ref().map(|_| CONDITION_VERSION),
            "DelegatedManagedIdentityResourceId": self.delegated_managed_identity_resource_id,
        }))})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        members.insert("Id".into(), id.to_string().into());
        members.insert("Scope".into(), json!(id.parent().map(|scope| scope.to_string())));
        members.insert("RoleAssignmentName".into(), id.name().into());
        decode(&id, members)
    }
}

/// Whether two ARM ids are of one role: its GUID tells, whatever the scope that an id names it at.
fn is_same_role(a: &str, b: &str) -> bool {
    let guid = |role: &str| role.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    guid(a) == guid(b)
}

impl Resource for RoleAssignment {
    const TYPE_NAME: &'static str = "Azure::Authorization::RoleAssignment";
    const LIST_BY: &'static [&'static str] = &["Scope"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        if self.role_name.is_none() && self.role_definition_id.is_none() {
            return Err(Error::invalid_request("/: one of RoleName and RoleDefinitionId must say the role"));
        }
        Ok(())
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let scope = scope(self.scope.as_deref())?;
        let name = self.role_assignment_name.get_or_insert_with(|| cx.request.derive_uuid());
        Ok(scope.provider("Microsoft.Authorization", "roleAssignments", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        let role = self.role(&scope(self.scope.as_deref())?, cx).await?;
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure(&role)).await.map_err(|error| match error.code {
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
        let role = current.role_definition_id.as_deref().unwrap_or_default();
        let said = (&self.role_name, &self.role_definition_id);
        if said != (&change.previous.role_name, &change.previous.role_definition_id)
            && !is_same_role(&self.role(&scope(current.scope.as_deref())?, cx).await?, role)
        {
            return Err(Error::new(HandlerErrorCode::NotUpdatable, "the role of an assignment cannot change in place"));
        }
        let has_type = current.principal_type.as_deref();
        if self.principal_type.is_some() && self.principal_type.as_deref() != has_type {
            return Err(Error::invalid_request(format!(
                "/PrincipalType: Azure says that the principal is a {}",
                has_type.unwrap_or("principal of no type")
            )));
        }
        if (&self.description, &self.condition) != (&current.description, &current.condition) {
            // There is no PATCH. The rest is as Azure has it: it cannot change.
            let target =
                Self { description: self.description.clone(), condition: self.condition.clone(), ..current.clone() };
            cx.provider.put(&id.to_string(), Self::API, &target.to_azure(role)).await?;
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
