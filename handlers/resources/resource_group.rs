//! `Azure::Resources::ResourceGroup`.

use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    residency::DataResidency,
    translate::{answered_id, decode, retagged, tags_from_azure},
};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{
    Change, Context, Error, HandlerErrorCode, Page, Resource, Result, Step, Tag,
    schema::{create_only, primary_identifier, read_only, tags, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Resource Type definition for Azure::Resources::ResourceGroup, the container that every other Azure resource lives in.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceGroup {
    /// The ARM id of the resource group.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The name of the resource group: 1 to 90 letters, digits and `-_.()`; it may not end in a period. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 1, max = 90), regex(pattern = r"^[A-Za-z0-9._()-]*[A-Za-z0-9_()-]$"))]
    pub resource_group_name: Option<String>,
    /// The Azure region of the group's metadata, as in `az account list-locations`: `australiaeast`.
    #[schemars(required, transform = create_only, regex(pattern = "^[a-z0-9]+$"))]
    pub location: Option<String>,
    pub(crate) data_residency: Option<DataResidency>,
    /// The tags of the resource group.
    #[schemars(transform = tags)]
    pub tags: Option<Vec<Tag>>,
    /// Whether deleting the resource group also deletes what it still holds. If false, which is the default, a group that
    /// holds resources is not deleted.
    #[schemars(transform = write_only)]
    pub empty_on_delete: Option<bool>,
    profile: Option<ProfileName>,
}

impl ArmResource for ResourceGroup {
    const ARM_TYPE: &'static str = "Microsoft.Resources/resourceGroups";
    const API: ApiVersion = ApiVersion::RESOURCES;
}

type Cx = Context<AzureProvider>;

/// What a resource group waits for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Wait {
    /// Azure deletes what is in the group, then the group.
    Deleting,
}

/// How often to look at a group that is being deleted where Azure does not say.
const POLL: Duration = Duration::from_secs(15);

impl ResourceGroup {
    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = Map::new();
        members.insert("Id".into(), id.to_string().into());
        members.insert("ResourceGroupName".into(), id.name().into());
        members.insert("Location".into(), body["location"].clone());
        let group: Self = decode(&id, members)?;
        Ok(Self { tags: Some(tags_from_azure(body)), ..group })
    }

    async fn refuse_if_not_empty(id: &Id<Self>, cx: &Cx) -> Result<()> {
        let looked = cx.provider.find(&format!("{id}/resources"), Self::API, |_| true).await;
        let (held, is_cut) = looked.map_err(|mut error| {
            if error.code == HandlerErrorCode::AccessDenied {
                error.message.push_str("; or set EmptyOnDelete to true to delete it, whatever it holds");
            }
            error.while_doing("looking whether the group is empty")
        })?;
        if held.is_empty() {
            return Ok(());
        }
        let names = held.iter().take(5).filter_map(|item| item["id"].as_str()?.parse::<ResourceId>().ok());
        let names: Vec<String> = names.map(|id| format!("{} {}", id.resource_type(), id.name())).collect();
        let more = if is_cut || held.len() > names.len() { " and more" } else { "" };
        Err(Error::invalid_request(format!(
            "the resource group still holds {}{more}, and deleting it would delete them; delete or move them, or set \
             EmptyOnDelete to true to delete them with the group",
            names.join(", ")
        )))
    }
}

impl Resource for ResourceGroup {
    const TYPE_NAME: &'static str = "Azure::Resources::ResourceGroup";
    const TIMEOUT_MINUTES: u32 = 120;
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Wait;

    fn check(&self) -> Result<()> {
        match &self.data_residency {
            Some(residency) => residency.check_location("/Location", self.location.as_deref()),
            None => Ok(()),
        }
    }

    fn identify(&mut self, cx: &Cx) -> Result<Self::Id> {
        let name = self.resource_group_name.get_or_insert_with(|| cx.request.derive_name(90, "-"));
        Ok(ResourceId::group(cx.provider.subscription_id(), name).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        let body = json!({"location": self.location, "tags": cx.request.desired_tags(self.tags.as_deref())});
        cx.provider.put(&id.to_string(), Self::API, &body).await?;
        Ok(Step::Done)
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        Self::from_azure(&cx.provider.get(&id.to_string(), Self::API).await?)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Wait>> {
        let target = retagged(&cx.request, self.tags.as_deref(), &change, |group| group.tags.as_deref());
        if Some(Tag::list(target.clone())) != change.current.tags {
            cx.provider.patch(&id.to_string(), Self::API, &json!({"tags": target})).await?;
        }
        Ok(Step::Done)
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        if self.empty_on_delete != Some(true) {
            Self::refuse_if_not_empty(id, cx).await?;
        }
        let answer = cx.provider.delete(&id.to_string(), Self::API).await?;
        let after = answer.operation.and_then(|operation| operation.retry_after).unwrap_or(POLL);
        Ok(Step::Wait { on: Wait::Deleting, after })
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let path = format!("/subscriptions/{}/resourcegroups", cx.provider.subscription_id());
        let groups = cx.provider.list(&path, Self::API, page).await?;
        Ok(Page { models: groups.items.iter().map(Self::from_azure).collect::<Result<_>>()?, next: groups.next })
    }

    async fn resume(Wait::Deleting: Wait, id: &Self::Id, cx: &Cx) -> Result<Step<Wait>> {
        match cx.provider.get(&id.to_string(), Self::API).await {
            Err(error) if error.is_not_found() => Ok(Step::Done),
            Err(error) => Err(error),
            Ok(group) if group["properties"]["provisioningState"] == "Deleting" => {
                Ok(Step::Wait { on: Wait::Deleting, after: POLL })
            }
            Ok(_) => Err(Error::new(
                HandlerErrorCode::ResourceConflict,
                "Azure began to delete the group and gave up, usually because a lock or a policy protects something in \
                 it; the group's activity log in the portal names it",
            )),
        }
    }
}
