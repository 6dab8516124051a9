//! KMS in one region: the calls that the type makes, with their failures explained.

use super::{
    arn::KeyArn,
    marks::{Candidate, Kind, Marks},
    policy,
};
use crate::provider::{Aws, code_of, explain};
use aws_sdk_kms::{
    Client,
    config::{Config, retry::RetryConfig},
    types::{KeyManagerType, KeyMetadata, KeySpec, KeyState, KeyUsageType, Tag},
};
use cfn_provider::{Error, HandlerErrorCode, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many keys are looked at at once.
const AT_ONCE: usize = 8;

/// KMS in one region.
pub(super) struct Kms {
    client: Client,
    region: String,
}

/// A key's rotation: whether it is rotated, and every how many days.
pub(super) type Rotation = (bool, u32);

/// The default period of rotation, in days.
pub(super) const YEAR: u32 = 365;

impl Kms {
    pub(super) fn new(aws: &Aws, region: &str) -> Self {
        Self { client: aws.kms(region), region: region.to_owned() }
    }

    /// Makes a key. It is asked for once: KMS would make another each time.
    pub(super) async fn create(
        &self,
        kind: &Kind,
        description: Option<&str>,
        tags: &BTreeMap<String, String>,
    ) -> Result<KeyArn> {
        let request = self
            .client
            .create_key()
            .key_spec(KeySpec::from(kind.spec.as_str()))
            .key_usage(KeyUsageType::from(kind.usage.as_str()))
            .multi_region(kind.multi_region)
            .set_description(description.map(str::to_owned))
            .set_tags(Some(to_tags(tags)?));
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let made = request.customize().config_override(once).send().await;
        let made = made.map_err(|error| explain("kms:CreateKey", &self.region, error))?;
        arn_of(&made.key_metadata.ok_or_else(|| self.incomplete("kms:CreateKey"))?)
    }

    /// What KMS says of a key.
    pub(super) async fn describe(&self, key: &str) -> Result<KeyMetadata> {
        let answer = self.client.describe_key().key_id(key).send().await;
        let answer = answer.map_err(|error| explain("kms:DescribeKey", &self.region, error))?;
        answer.key_metadata.ok_or_else(|| self.incomplete("kms:DescribeKey"))
    }

    /// The keys of a region from `page` on, by their ids, and where the next page begins.
    pub(super) async fn keys(&self, page: Option<&str>, limit: i32) -> Result<(Vec<String>, Option<String>)> {
        let answer = self.client.list_keys().limit(limit).set_marker(page.map(str::to_owned)).send().await;
        let answer = answer.map_err(|error| explain("kms:ListKeys", &self.region, error))?;
        let ids = answer.keys.unwrap_or_default().into_iter().filter_map(|key| key.key_id).collect();
        Ok((ids, answer.next_marker.filter(|_| answer.truncated)))
    }

    /// Aliases and the ids of the keys that they point to, of one key or of all.
    pub(super) async fn aliases(&self, key: Option<&KeyArn>) -> Result<BTreeMap<String, String>> {
        let mut aliases = BTreeMap::new();
        let mut page = None;
        loop {
            let request = self.client.list_aliases().limit(100).set_marker(page);
            let answer = request.set_key_id(key.map(|key| key.key_id().to_owned())).send().await;
            let answer = answer.map_err(|error| explain("kms:ListAliases", &self.region, error))?;
            let found = answer.aliases.unwrap_or_default().into_iter();
            aliases.extend(found.filter_map(|alias| Some((alias.alias_name?, alias.target_key_id?))));
            page = answer.next_marker.filter(|_| answer.truncated);
            if page.is_none() {
                return Ok(aliases);
            }
        }
    }

    /// All tags of a key, ours among them.
    pub(super) async fn tags(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let answer = self.client.list_resource_tags().key_id(key).send().await;
        let answer = answer.map_err(|error| explain("kms:ListResourceTags", &self.region, error))?;
        Ok(answer.tags.unwrap_or_default().into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect())
    }

    /// The key policy.
    pub(super) async fn policy(&self, key: &KeyArn) -> Result<Map<String, Value>> {
        let answer = self.client.get_key_policy().key_id(key.key_id()).policy_name("default").send().await;
        let answer = answer.map_err(|error| explain("kms:GetKeyPolicy", &self.region, error))?;
        let text = answer.policy.ok_or_else(|| self.incomplete("kms:GetKeyPolicy"))?;
        serde_json::from_str(&text).map_err(|_| self.incomplete("kms:GetKeyPolicy"))
    }

    /// Whether and how often a symmetric key is rotated.
    pub(super) async fn rotation(&self, key: &KeyArn) -> Result<Rotation> {
        let answer = self.client.get_key_rotation_status().key_id(key.key_id()).send().await;
        let answer = answer.map_err(|error| explain("kms:GetKeyRotationStatus", &self.region, error))?;
        let period = answer.rotation_period_in_days.and_then(|days| u32::try_from(days).ok());
        Ok((answer.key_rotation_enabled, period.unwrap_or(YEAR)))
    }

    /// Puts the key policy.
    pub(super) async fn put_policy(
        &self,
        key: &KeyArn,
        document: &Map<String, Value>,
        bypass_check: bool,
    ) -> Result<()> {
        let request = self
            .client
            .put_key_policy()
            .key_id(key.key_id())
            .policy_name("default")
            .policy(json!(document).to_string());
        let answer = request.bypass_policy_lockout_safety_check(bypass_check).send().await;
        let Err(error) = answer else { return Ok(()) };
        let is_malformed = code_of(&error) == Some("MalformedPolicyDocumentException");
        let mut error = explain("kms:PutKeyPolicy", &self.region, error);
        // KMS does not say which.
        if is_malformed && error.retry().is_some() {
            let named = policy::principals(document).join(", ");
            error.message += &format!("; the policy names {named}: one of them does not exist");
        }
        Err(error)
    }

    pub(super) async fn set_description(&self, key: &KeyArn, text: &str) -> Result<()> {
        let answer = self.client.update_key_description().key_id(key.key_id()).description(text).send().await;
        answer.map(|_| ()).map_err(|error| explain("kms:UpdateKeyDescription", &self.region, error))
    }

    pub(super) async fn set_tags(&self, key: &KeyArn, tags: &BTreeMap<String, String>) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let answer = self.client.tag_resource().key_id(key.key_id()).set_tags(Some(to_tags(tags)?)).send().await;
        answer.map(|_| ()).map_err(|error| explain("kms:TagResource", &self.region, error))
    }

    pub(super) async fn remove_tags(&self, key: &KeyArn, tags: Vec<String>) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let answer = self.client.untag_resource().key_id(key.key_id()).set_tag_keys(Some(tags)).send().await;
        answer.map(|_| ()).map_err(|error| explain("kms:UntagResource", &self.region, error))
    }

    pub(super) async fn set_rotation(&self, key: &KeyArn, (rotated, days): Rotation) -> Result<()> {
        if rotated {
            let days = i32::try_from(days).map_err(Error::internal)?;
            let request = self.client.enable_key_rotation().key_id(key.key_id()).rotation_period_in_days(days);
            let answer = request.send().await;
            return answer.map(|_| ()).map_err(|error| explain("kms:EnableKeyRotation", &self.region, error));
        }
        let answer = self.client.disable_key_rotation().key_id(key.key_id()).send().await;
        answer.map(|_| ()).map_err(|error| explain("kms:DisableKeyRotation", &self.region, error))
    }

    pub(super) async fn enable(&self, key: &KeyArn, enabled: bool) -> Result<()> {
        if enabled {
            let answer = self.client.enable_key().key_id(key.key_id()).send().await;
            return answer.map(|_| ()).map_err(|error| explain("kms:EnableKey", &self.region, error));
        }
        let answer = self.client.disable_key().key_id(key.key_id()).send().await;
        answer.map(|_| ()).map_err(|error| explain("kms:DisableKey", &self.region, error))
    }

    /// Points a new alias to a key; one that does so already is done.
    pub(super) async fn create_alias(&self, alias: &str, key: &KeyArn) -> Result<()> {
        let answer = self.client.create_alias().alias_name(alias).target_key_id(key.key_id()).send().await;
        let Err(error) = answer else { return Ok(()) };
        let error = explain("kms:CreateAlias", &self.region, error);
        if error.code != HandlerErrorCode::AlreadyExists {
            return Err(error);
        }
        match self.aliases(None).await?.remove(alias) {
            Some(target) if target == key.key_id() => Ok(()),
            target => Err(self.taken(alias, target.as_deref())),
        }
    }

    /// Somebody else has an alias.
    pub(super) fn taken(&self, alias: &str, target: Option<&str>) -> Error {
        let target = target.map(|key| format!(" and points to the key {key}")).unwrap_or_default();
        Error::new(
            HandlerErrorCode::AlreadyExists,
            format!(
                "/AliasName: {alias} exists in {}{target}, which is not of this resource; choose another name, import that key, \
                 or delete the alias with `aws kms delete-alias --region {} --alias-name {alias}`",
                self.region, self.region
            ),
        )
    }

    /// Deletes an alias, which may be done already.
    pub(super) async fn delete_alias(&self, alias: &str) -> Result<()> {
        let answer = self.client.delete_alias().alias_name(alias).send().await;
        match answer.map_err(|error| explain("kms:DeleteAlias", &self.region, error)) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn schedule_deletion(&self, key: &KeyArn, days: u32) -> Result<()> {
        let days = i32::try_from(days).map_err(Error::internal)?;
        let request = self.client.schedule_key_deletion().key_id(key.key_id()).pending_window_in_days(days);
        let answer = request.send().await;
        answer.map(|_| ()).map_err(|error| explain("kms:ScheduleKeyDeletion", &self.region, error))
    }

    pub(super) async fn cancel_deletion(&self, key: &KeyArn) -> Result<()> {
        let answer = self.client.cancel_key_deletion().key_id(key.key_id()).send().await;
        answer.map(|_| ()).map_err(|error| explain("kms:CancelKeyDeletion", &self.region, error))
    }

    /// What a create must know of one key.
    pub(super) async fn candidate(&self, key: &str, aliased: bool) -> Result<Candidate> {
        let (metadata, tags) = futures::try_join!(self.describe(key), self.tags(key))?;
        Ok(Candidate {
            arn: arn_of(&metadata)?,
            kind: kind_of(&metadata),
            pending: is_pending(&metadata),
            enabled: metadata.enabled,
            aliased,
            created: metadata.creation_date.map_or(0, |date| date.secs()),
            marks: Marks::of_tags(&tags),
        })
    }

    /// The keys that a create may take up: those that wait for their deletion, and those that no alias points to. KMS has no
    /// search by tag, so every key of customers is described, and of those that come into question the tags are read.
    pub(super) async fn candidates(&self, aliases: &BTreeMap<String, String>) -> Result<Vec<Candidate>> {
        let mut ids = Vec::new();
        let mut page = None;
        loop {
            let (more, next) = self.keys(page.as_deref(), 1_000).await?;
            ids.extend(more);
            page = next;
            if page.is_none() {
                break;
            }
        }
        // What AWS keeps for its own services has an alias that says so.
        ids.retain(|id| !aliases.iter().any(|(alias, target)| target == id && alias.starts_with("alias/aws/")));
        let some = !ids.is_empty();
        let looked: Vec<Result<Option<Candidate>>> = stream::iter(ids)
            .map(|id| async move {
                let aliased = aliases.values().any(|target| *target == id);
                let metadata = self.describe(&id).await?;
                if !is_of_customer(&metadata) || (aliased && !is_pending(&metadata)) {
                    return Ok(None);
                }
                self.candidate(&id, aliased).await.map(Some)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut candidates = Vec::new();
        let (mut seen, mut denied) = (false, None);
        for looked in looked {
            match looked {
                Ok(candidate) => {
                    seen = true;
                    candidates.extend(candidate);
                }
                // A key whose policy leaves its account out is none of ours; one may also be gone since it was listed.
                Err(error) if error.code == HandlerErrorCode::AccessDenied => denied = Some(error),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        match denied {
            Some(error) if some && !seen => Err(error),
            _ => Ok(candidates),
        }
    }

    /// Of these keys the ones that customers have and that do not wait for their deletion.
    pub(super) async fn live(&self, ids: Vec<String>) -> Result<Vec<KeyArn>> {
        let looked = stream::iter(ids).map(|id| async move {
            match self.describe(&id).await {
                Ok(metadata) if is_of_customer(&metadata) && !is_pending(&metadata) => arn_of(&metadata).map(Some),
                Err(error) if error.code != HandlerErrorCode::AccessDenied && !error.is_not_found() => Err(error),
                _ => Ok(None),
            }
        });
        looked.buffered(AT_ONCE).try_filter_map(|arn| async { Ok(arn) }).try_collect().await
    }

    fn incomplete(&self, call: &str) -> Error {
        let message = format!("{call} in {} answered what cannot be read", self.region);
        Error::new(HandlerErrorCode::ServiceInternalError, message)
    }
}

fn to_tags(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>> {
    tags.iter()
        .map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build().map_err(Error::internal))
        .collect()
}

fn arn_of(metadata: &KeyMetadata) -> Result<KeyArn> {
    KeyArn::parse(metadata.arn().unwrap_or_default())
}

fn is_of_customer(metadata: &KeyMetadata) -> bool {
    metadata.key_manager == Some(KeyManagerType::Customer)
}

/// Whether a key waits for its deletion, or for that of its replicas before it.
pub(super) fn is_pending(metadata: &KeyMetadata) -> bool {
    matches!(metadata.key_state, Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion))
}

pub(super) fn kind_of(metadata: &KeyMetadata) -> Kind {
    Kind {
        spec: metadata.key_spec.as_ref().map_or("SYMMETRIC_DEFAULT", KeySpec::as_str).to_owned(),
        usage: metadata.key_usage.as_ref().map_or("ENCRYPT_DECRYPT", KeyUsageType::as_str).to_owned(),
        multi_region: metadata.multi_region.unwrap_or_default(),
    }
}
