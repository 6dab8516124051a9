//! `Azure::Storage::ImmutabilityPolicy`.
//!
//! Azure answers a deleted policy, and one that never was, with a state of its own: `Deleted` counts as absent.

use super::{Cx, blob_container::BlobContainer};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    translate::{answered_id, camel, decode, object, pascal, patch},
};
use azure_client::ApiVersion;
use cfn_provider::{
    Change, Error, HandlerErrorCode, Never, Page, Resource, Result, Step,
    schema::{create_only, primary_identifier, read_only, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Resource Type definition for Azure::Storage::ImmutabilityPolicy, the time for which the blobs of a container can be
/// neither overwritten nor deleted. Locking it is for ever: a locked policy can be extended, at most five times, and neither
/// shortened nor deleted, and its container can only be deleted once it is empty; give a locked one the DeletionPolicy
/// Retain. Object replication into the container fails for blobs that it would have to overwrite or delete.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ImmutabilityPolicy {
    /// The ARM id of the policy.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the container: `!Ref` of an Azure::Storage::BlobContainer.
    #[schemars(required, transform = create_only)]
    pub container_id: Option<String>,
    /// For how many days after it was made a blob stays as it is.
    #[schemars(required, range(min = 1, max = 146_000))]
    pub immutability_period_since_creation_in_days: Option<u32>,
    /// Whether append blobs may still grow. Excludes AllowProtectedAppendWritesAll. Fixed once the policy is locked.
    pub allow_protected_append_writes: Option<bool>,
    /// Whether append blobs and block blobs may still grow. Excludes AllowProtectedAppendWrites. Fixed once the policy is
    /// locked.
    pub allow_protected_append_writes_all: Option<bool>,
    /// Whether the policy can still be taken back (Unlocked, which it is at first) or binds everybody (Locked). What is
    /// locked stays locked.
    #[schemars(extend("enum" = ["Unlocked", "Locked"]))]
    pub state: Option<String>,
    /// Must be true for State to become Locked, since nobody, Azure's support included, can undo that.
    #[schemars(transform = write_only)]
    pub lock_irrevocably: Option<bool>,
    profile: Option<ProfileName>,
}

impl ArmResource for ImmutabilityPolicy {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies";
    const API: ApiVersion = ApiVersion::STORAGE;
}

const LOCKED: &str = "Locked";
/// The member that a PUT needs and `extend` changes.
const PERIOD: &str = "immutabilityPeriodSinceCreationInDays";

fn is(policy: &Value, state: &str) -> bool {
    policy["properties"]["state"].as_str().is_some_and(|is| is.eq_ignore_ascii_case(state))
}

/// The policy at `id`, or `None` where there is none.
async fn find(id: &Id<ImmutabilityPolicy>, cx: &Cx) -> Result<Option<Value>> {
    match cx.provider.get(&id.to_string(), ImmutabilityPolicy::API).await {
        Ok(policy) if is(&policy, "Deleted") => Ok(None),
        Ok(policy) => Ok(Some(policy)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The entity tag without which Azure neither locks, extends nor deletes.
fn etag(policy: &Value) -> &str {
    policy["etag"].as_str().unwrap_or_default()
}

impl ImmutabilityPolicy {
    fn to_azure(&self) -> Value {
        json!({"properties": camel(json!({
            "ImmutabilityPeriodSinceCreationInDays": self.immutability_period_since_creation_in_days,
            "AllowProtectedAppendWrites": self.allow_protected_append_writes,
            "AllowProtectedAppendWritesAll": self.allow_protected_append_writes_all,
        }))})
    }

    fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let mut members = Map::from_iter([
            ("AllowProtectedAppendWrites".to_owned(), false.into()),
            ("AllowProtectedAppendWritesAll".to_owned(), false.into()),
        ]);
        members.extend(object(pascal(body["properties"].clone())));
        members.insert("Id".into(), id.to_string().into());
        members.insert("ContainerId".into(), id.parent().map(|container| container.to_string()).into());
        decode(&id, members)
    }

    fn is_to_be_locked(&self) -> bool {
        self.state.as_deref() == Some(LOCKED)
    }

    fn check_acknowledged(&self) -> Result<()> {
        if self.is_to_be_locked() && self.lock_irrevocably != Some(true) {
            return Err(Error::invalid_request(
                "/LockIrrevocably: must be true for /State to become Locked; a locked policy can never be shortened or \
                 deleted, by nobody",
            ));
        }
        Ok(())
    }

    /// Brings the policy to what the template says, from wherever an earlier attempt left it.
    async fn bring(&self, id: &Id<Self>, previous: &Self, cx: &Cx) -> Result<Step<Never>> {
        let found = find(id, cx).await?;
        if let Some(policy) = found.as_ref().filter(|policy| is(policy, LOCKED)) {
            return self.extend(id, policy, cx).await;
        }
        self.check_acknowledged()?;
        let policy = match found {
            Some(policy) => self.change(id, policy, previous, cx).await?,
            None => cx.provider.put(&id.to_string(), Self::API, &self.to_azure()).await?.body,
        };
        if self.is_to_be_locked() {
            cx.provider.matching(etag(&policy)).post(&format!("{id}/lock"), Self::API, &Value::Null).await?;
        }
        Ok(Step::Done)
    }

    /// Changes an unlocked policy, and returns it as it then is.
    async fn change(&self, id: &Id<Self>, policy: Value, previous: &Self, cx: &Cx) -> Result<Value> {
        let current = Self::from_azure(&policy)?.to_azure();
        let defaults =
            json!({"properties": {"allowProtectedAppendWrites": false, "allowProtectedAppendWritesAll": false}});
        let Some(mut body) = patch(&self.to_azure(), &previous.to_azure(), &current, &defaults, &[]) else {
            return Ok(policy);
        };
        body["properties"][PERIOD] = self.immutability_period_since_creation_in_days.into();
        Ok(cx.provider.matching(etag(&policy)).put(&id.to_string(), Self::API, &body).await?.body)
    }

    /// All that can be done with a locked policy.
    async fn extend(&self, id: &Id<Self>, policy: &Value, cx: &Cx) -> Result<Step<Never>> {
        let current = Self::from_azure(policy)?;
        let fixed = |pointer: &str, why: &str| {
            Err(Error::new(HandlerErrorCode::NotUpdatable, format!("{pointer}: the policy is locked, {why}")))
        };
        if self.state.is_some() && !self.is_to_be_locked() {
            return fixed("/State", "and nobody can unlock it");
        }
        for (pointer, wanted, is) in [
            ("/AllowProtectedAppendWrites", self.allow_protected_append_writes, current.allow_protected_append_writes),
            (
                "/AllowProtectedAppendWritesAll",
                self.allow_protected_append_writes_all,
                current.allow_protected_append_writes_all,
            ),
        ] {
            if wanted.is_some() && wanted != is {
                return fixed(pointer, "so this can no longer change");
            }
        }
        let (wanted, is) = (
            self.immutability_period_since_creation_in_days.unwrap_or_default(),
            current.immutability_period_since_creation_in_days.unwrap_or_default(),
        );
        if wanted < is {
            let why = format!("so its {is} days can only be extended");
            return fixed("/ImmutabilityPeriodSinceCreationInDays", &why);
        }
        if wanted > is {
            let body = json!({"properties": {PERIOD: wanted}});
            cx.provider.matching(etag(policy)).post(&format!("{id}/extend"), Self::API, &body).await?;
        }
        Ok(Step::Done)
    }
}

/// Reads `ContainerId`.
fn container(container_id: Option<&str>) -> Result<Id<BlobContainer>> {
    Id::parse(container_id.unwrap_or_default()).map_err(|error| error.while_doing("/ContainerId"))
}

impl Resource for ImmutabilityPolicy {
    const TYPE_NAME: &'static str = "Azure::Storage::ImmutabilityPolicy";
    const LIST_BY: &'static [&'static str] = &["ContainerId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        match (self.allow_protected_append_writes, self.allow_protected_append_writes_all) {
            (Some(true), Some(true)) => Err(Error::invalid_request(
                "/AllowProtectedAppendWritesAll: excludes AllowProtectedAppendWrites; set one of them",
            )),
            _ => Ok(()),
        }
    }

    fn identify(&mut self, _: &Cx) -> Result<Self::Id> {
        self.check_acknowledged()?;
        Ok(container(self.container_id.as_deref())?.child("immutabilityPolicies", "default").into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        self.bring(id, self, cx).await
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        let policy = cx.provider.get(&id.to_string(), Self::API).await?;
        if is(&policy, "Deleted") {
            return Err(Error::not_found(format!("the container of {id} has no immutability policy")));
        }
        Self::from_azure(&policy)
    }

    async fn update(&self, id: &Self::Id, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        self.bring(id, &change.previous, cx).await
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        let Some(policy) = find(id, cx).await? else { return Ok(Step::Done) };
        if is(&policy, LOCKED) {
            return Err(Error::new(
                HandlerErrorCode::ResourceConflict,
                "the policy is locked, so nobody can delete it; retain it (DeletionPolicy: Retain), and delete its \
                 container once every blob's time is over and the container is empty",
            ));
        }
        cx.provider.matching(etag(&policy)).delete(&id.to_string(), Self::API).await?;
        Ok(Step::Done)
    }

    /// Azure has no list of these: a container has one or none.
    async fn list(&self, _: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let id: Self::Id = container(self.container_id.as_deref())?.child("immutabilityPolicies", "default").into();
        let found = find(&id, cx).await?;
        Ok(Page { models: found.iter().map(Self::from_azure).collect::<Result<_>>()?, next: None })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
