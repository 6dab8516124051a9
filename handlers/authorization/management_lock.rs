//! `Azure::Authorization::ManagementLock`.

use super::{own, scope};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Context, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, unordered},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Resource Type definition for Azure::Authorization::ManagementLock, which keeps a resource, and all that is below it, from
/// being deleted or changed by anybody, whatever their role, until the lock is taken away. It does not protect blobs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ManagementLock {
    /// The ARM id of the lock.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of what is locked: `!Ref` of any Azure resource, a resource group's id, or `/subscriptions/{id}`.
    #[schemars(required, transform = create_only)]
    pub scope: Option<String>,
    /// The name of the lock. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 1, max = 260), regex(pattern = r"^[^<>%&:\\?/\x00-\x1f]*[^<>%&:\\?/\x00-\x1f. ]$"))]
    pub lock_name: Option<String>,
    /// What is forbidden: CanNotDelete, to delete; ReadOnly, to delete and to change, which also takes listing the keys of
    /// an account away.
    #[schemars(required, extend("enum" = ["CanNotDelete", "ReadOnly"]))]
    pub level: Option<String>,
    /// Why, for whom the lock stops.
    #[schemars(length(max = 512))]
    pub notes: Option<String>,
    /// The applications that own the lock.
    #[schemars(transform = unordered)]
    pub owners: Option<Vec<Owner>>,
    profile: Option<ProfileName>,
}

/// An owner of a lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Owner {
    /// The application id, in Entra, of the owner.
    #[schemars(required, length(min = 1))]
    pub application_id: Option<String>,
}

impl ArmResource for ManagementLock {
    const ARM_TYPE: &'static str = "Microsoft.Authorization/locks";
    const API: ApiVersion = ApiVersion::new("2016-09-01");
}

type Cx = Context<AzureProvider>;

impl ManagementLock {
    fn to_azure(&self) -> Value {
        json!({"properties": camel(json!({"Level": self.level, "Notes": self.notes, "Owners": self.owners}))})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = object(pascal(body["properties"].clone()));
        members.insert("Id".into(), id.to_string().into());
        members.insert("Scope".into(), json!(id.parent().map(|scope| scope.to_string())));
        members.insert("LockName".into(), id.name().into());
        decode(&id, members)
    }
}

impl Resource for ManagementLock {
    const TYPE_NAME: &'static str = "Azure::Authorization::ManagementLock";
    const LIST_BY: &'static [&'static str] = &["Scope"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let scope = scope(self.scope.as_deref())?;
        let name = self.lock_name.get_or_insert_with(|| cx.request.derive_name(260, "-"));
        Ok(scope.provider("Microsoft.Authorization", "locks", name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        // There is no PATCH, and a PUT replaces all: what it leaves out is gone.
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
        let scope = scope(self.scope.as_deref())?;
        let path = format!("{scope}/providers/Microsoft.Authorization/locks?$filter=atScope()");
        let locks = cx.provider.list(&path, Self::API, page).await?;
        let models = own(&locks.items, &scope).map(Self::from_azure).collect::<Result<_>>()?;
        Ok(Page { models, next: locks.next })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
