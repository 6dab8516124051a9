//! `CrossRegion::KMS::Key`.
//!
//! A key has no name: KMS makes its ARN, and a second CreateKey makes a second key. So a create is [`Resource::claim`], which
//! makes the key with tags that say whose it is ([`super::marks`]) or finds the one that an earlier try has made, and then
//! [`Resource::create`], which gives it everything else and can be repeated.

use super::{
    arn::KeyArn,
    client::{Kms, Rotation, YEAR, is_pending, kind_of},
    marks::{self, Kind, Marks},
    permissions,
    policy::{self, Lists},
};
use crate::{
    policy::{canonical, same},
    provider::Aws,
    region,
};
use aws_sdk_kms::types::{KeyMetadata, MultiRegionKeyType};
use cfn_provider::{
    Action, Change, Claim, Context, Error, HandlerErrorCode, Never, Page, Resource, Result, Retry, Step, Tag,
    schema::{create_only, not_secret, primary_identifier, read_only, tags, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// Resource Type definition for CrossRegion::KMS::Key, a key of AWS KMS in another region than the stack's, with its alias and
/// its policy. A deleted key waits for its deletion for PendingWindowInDays; a key that is created under its alias meanwhile is
/// that key again, with all that it has encrypted. To find it, a create looks at every key of the region: kms:ListKeys,
/// kms:ListAliases and a kms:DescribeKey for each.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Key {
    /// The ARN of the key.
    #[schemars(transform = read_only, transform = primary_identifier, regex(pattern = "^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$"))]
    pub arn: Option<String>,
    /// The id of the key, which is the last part of its ARN.
    #[schemars(transform = read_only)]
    pub key_id: Option<String>,
    /// The ARN of the alias.
    #[schemars(transform = read_only, regex(pattern = "^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:alias/.+$"))]
    pub alias_arn: Option<String>,
    /// The region that the key is in: another than the stack's.
    #[schemars(required, transform = create_only, regex(pattern = region::PATTERN))]
    pub region: Option<String>,
    /// The alias, which begins with alias/ and not with alias/aws/: letters, digits, _, - and /. A new name takes the place of
    /// the old one.
    #[schemars(length(max = 256), regex(pattern = "^alias/[a-zA-Z0-9/_-]+$"))]
    pub alias_name: Option<String>,
    /// What the key is for.
    #[schemars(length(max = 8192))]
    pub description: Option<String>,
    /// Whether the key can be used; true by default.
    pub enabled: Option<bool>,
    /// Whether KMS makes new key material from time to time; false by default, and only for SYMMETRIC_DEFAULT.
    pub enable_key_rotation: Option<bool>,
    /// Every how many days, with EnableKeyRotation; 365 by default.
    #[schemars(range(min = 90, max = 2560))]
    pub rotation_period_in_days: Option<u32>,
    /// The kind of key: SYMMETRIC_DEFAULT, the default and what S3 takes; RSA_2048, _3072, _4096; ECC_NIST_P256, _P384, _P521,
    /// _EDWARDS25519; ECC_SECG_P256K1; HMAC_224, _256, _384, _512; ML_DSA_44, _65, _87; or in China SM2.
    #[schemars(transform = create_only, regex(pattern = SPECS))]
    pub key_spec: Option<String>,
    /// What the key can do; ENCRYPT_DECRYPT by default.
    #[schemars(transform = create_only, extend("enum" = [
        "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"
    ]))]
    pub key_usage: Option<String>,
    /// Whether the key can be replicated into other regions; false by default.
    #[schemars(transform = create_only)]
    pub multi_region: Option<bool>,
    /// For how many days a deleted key can be brought back, 30 by default.
    #[schemars(transform = write_only, transform = not_secret, range(min = 7, max = 30))]
    pub pending_window_in_days: Option<u32>,
    /// The ARNs of who may manage the key without using it. Since they may change the key policy, they can allow themselves more.
    /// The key policy is made of this list and KeyUsers, and leaves the account in it, so that IAM policies work.
    #[schemars(transform = unordered, length(min = 1), inner(regex(pattern = "^arn:[a-z-]+:(iam|sts)::[0-9]{12}:.+$")))]
    pub key_administrators: Option<Vec<String>>,
    /// The ARNs of who may use the key, and allow AWS's services to use it for them.
    #[schemars(transform = unordered, length(min = 1), inner(regex(pattern = "^arn:[a-z-]+:(iam|sts)::[0-9]{12}:.+$")))]
    pub key_users: Option<Vec<String>>,
    /// The key policy itself, in place of KeyAdministrators and KeyUsers.
    pub key_policy: Option<Map<String, Value>>,
    /// Whether a key policy is taken that would not let its author change it again; false by default.
    #[schemars(transform = write_only, transform = not_secret)]
    pub bypass_policy_lockout_safety_check: Option<bool>,
    /// The tags of the key.
    #[schemars(transform = tags, length(max = 46))]
    pub tags: Option<Vec<Tag>>,
    #[serde(skip)]
    known: Known,
}

/// Every KeySpec of CreateKey; not an enumeration, against which `cfn validate` warns where AWS may add to it.
const SPECS: &str = "^(SYMMETRIC_DEFAULT|RSA_(2048|3072|4096)|ECC_(NIST_(P256|P384|P521|EDWARDS25519)|SECG_P256K1)|\
                     HMAC_(224|256|384|512)|ML_DSA_(44|65|87)|SM2)$";

/// What READ knows of a key beside its model.
#[derive(Clone, Debug, Default)]
struct Known {
    aliases: Vec<String>,
    tags: BTreeMap<String, String>,
    policy: Map<String, Value>,
}

type Cx = Context<Aws>;

/// How long KMS may take to show a key everywhere that it has made.
const VISIBLE: Duration = Duration::from_secs(120);
const PENDING_WINDOW: u32 = 30;

impl Key {
    fn kind(&self) -> Kind {
        Kind {
            spec: self.key_spec.clone().unwrap_or_else(|| "SYMMETRIC_DEFAULT".into()),
            usage: self.key_usage.clone().unwrap_or_else(|| "ENCRYPT_DECRYPT".into()),
            multi_region: self.multi_region.unwrap_or_default(),
        }
    }

    /// The key as it is, of which KMS has said `metadata`.
    async fn look(id: &KeyArn, metadata: &KeyMetadata, kms: &Kms) -> Result<Self> {
        let kind = kind_of(metadata);
        let rotation =
            async { if kind.spec == "SYMMETRIC_DEFAULT" { kms.rotation(id).await } else { Ok((false, YEAR)) } };
        let (aliases, tags, document, (rotated, period)) =
            futures::try_join!(kms.aliases(Some(id)), kms.tags(id.key_id()), kms.policy(id), rotation)?;
        let aliases: Vec<String> = aliases.into_keys().collect();
        let ours = Marks::of_tags(&tags).alias.filter(|alias| aliases.contains(alias));
        let alias_name = ours.or_else(|| aliases.first().cloned());
        let lists = Lists::of_policy(&document, id, &kind.spec, &kind.usage);
        let key_policy = if lists.is_some() { None } else { Some(document.clone()) };
        let lists = lists.unwrap_or_default();
        let visible = tags.iter().filter(|(key, _)| !key.starts_with(marks::PREFIX) && !key.starts_with("aws:"));
        let visible = visible.map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Self {
            arn: Some(id.to_string()),
            key_id: Some(id.key_id().to_owned()),
            alias_arn: alias_name
                .as_ref()
                .map(|name| format!("arn:{}:kms:{}:{}:{name}", id.partition(), id.region(), id.account())),
            region: Some(id.region().to_owned()),
            alias_name,
            description: metadata.description.clone().filter(|text| !text.is_empty()),
            enabled: Some(metadata.enabled),
            enable_key_rotation: Some(rotated),
            rotation_period_in_days: rotated.then_some(period),
            key_spec: Some(kind.spec),
            key_usage: Some(kind.usage),
            multi_region: Some(kind.multi_region),
            pending_window_in_days: None,
            key_administrators: lists.administrators,
            key_users: lists.users,
            key_policy,
            bypass_policy_lockout_safety_check: None,
            tags: Some(Tag::list(visible)),
            known: Known { aliases, tags, policy: document },
        })
    }

    /// Whether the key shall be enabled: what the template says, KMS's default where it says it no more, else as it is.
    fn enabled(&self, previous: &Self, current: &Self) -> bool {
        self.enabled.unwrap_or(previous.enabled.is_some() || current.enabled != Some(false))
    }

    fn is_rotated(&self) -> Rotation {
        (self.enable_key_rotation == Some(true), self.rotation_period_in_days.unwrap_or(YEAR))
    }

    /// The rotation that the key shall have, where it has another.
    fn new_rotation(&self, previous: &Self, current: &Self) -> Option<Rotation> {
        let kept = |of: Option<bool>, now: Option<bool>| if of.is_some() { None } else { now };
        let rotated = self.enable_key_rotation.or(kept(previous.enable_key_rotation, current.enable_key_rotation));
        let period = self.rotation_period_in_days.or(match previous.rotation_period_in_days {
            Some(_) => None,
            None => current.rotation_period_in_days,
        });
        let wanted = (rotated == Some(true), period.unwrap_or(YEAR));
        let is_the_same = wanted.0 == current.is_rotated().0 && (!wanted.0 || wanted.1 == current.is_rotated().1);
        (!is_the_same).then_some(wanted)
    }

    /// The key policy that the key shall have, where it has another.
    fn new_policy(&self, id: &KeyArn, previous: &Self, current: &Self) -> Option<Map<String, Value>> {
        let says = |key: &Self| key.key_policy.is_some() || key.key_administrators.is_some() || key.key_users.is_some();
        let wanted = match &self.key_policy {
            Some(document) => document.clone(),
            None if says(self) || says(previous) => {
                let Kind { spec, usage, .. } = current.kind();
                let lists = Lists { administrators: self.key_administrators.clone(), users: self.key_users.clone() };
                lists.to_policy(id, &spec, &usage)
            }
            None => return None,
        };
        (!same(&wanted, &current.known.policy)).then_some(wanted)
    }

    /// The tags to set and those to remove, of ours the alias.
    fn new_tags(&self, previous: &Self, current: &Self, cx: &Cx) -> (BTreeMap<String, String>, Vec<String>) {
        let mut wanted =
            cx.request.updated_tags(self.tags.as_deref(), previous.tags.as_deref(), current.tags.as_deref());
        wanted.retain(|key, _| !key.starts_with(marks::PREFIX));
        let had = &current.known.tags;
        let kept = Marks { alias: self.alias_name.clone(), ..Marks::of_tags(had) };
        wanted.extend(kept.into_tags());
        let gone = had.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with("aws:")).cloned().collect();
        wanted.retain(|key, value| had.get(key) != Some(value));
        (wanted, gone)
    }

    /// Makes the key what the template says: a name that is taken and a policy that is wrong before what always works, and
    /// what ends the old state last.
    async fn bring(&self, id: &KeyArn, previous: &Self, current: &Self, kms: &Kms, cx: &Cx) -> Result<()> {
        let known = &current.known;
        let enabled = self.enabled(previous, current);
        let rotation = self.new_rotation(previous, current);
        if let Some(alias) = self.alias_name.as_ref().filter(|alias| !known.aliases.contains(alias)) {
            kms.create_alias(alias, id).await?;
        }
        if let Some(document) = self.new_policy(id, previous, current) {
            kms.put_policy(id, &document, self.bypass_policy_lockout_safety_check == Some(true)).await?;
        }
        let mut is_enabled = current.enabled == Some(true);
        if !is_enabled && (enabled || rotation.is_some()) {
            kms.enable(id, true).await?;
            is_enabled = true;
        }
        let description = match &self.description {
            None if previous.description.is_none() => None,
            wanted => Some(wanted.as_deref().unwrap_or_default()),
        };
        if let Some(text) = description.filter(|text| *text != current.description.as_deref().unwrap_or_default()) {
            kms.set_description(id, text).await?;
        }
        let (set, gone) = self.new_tags(previous, current, cx);
        kms.set_tags(id, &set).await?;
        kms.remove_tags(id, gone).await?;
        if let Some(rotation) = rotation {
            kms.set_rotation(id, rotation).await?;
        }
        let old =
            [previous.alias_name.as_ref(), Marks::of_tags(&known.tags).alias.as_ref()].map(Option::<&String>::cloned);
        for alias in known.aliases.iter().filter(|alias| Some(*alias) != self.alias_name.as_ref()) {
            if old.contains(&Some(alias.clone())) {
                kms.delete_alias(alias).await?;
            }
        }
        if is_enabled && !enabled {
            kms.enable(id, false).await?;
        }
        if known.tags.contains_key(marks::UNOWNED) {
            kms.remove_tags(id, vec![marks::UNOWNED.to_owned()]).await?;
        }
        Ok(())
    }

    /// Creates in a claimed key what it lacks.
    async fn finish(&self, id: &KeyArn, kms: &Kms, cx: &Cx) -> Result<()> {
        let metadata = kms.describe(id.key_id()).await?;
        if is_pending(&metadata) {
            kms.cancel_deletion(id).await?;
        }
        let mut current = Self::look(id, &metadata, kms).await?;
        let marks = Marks::of_request(&cx.request, self.alias_name.as_deref());
        if Marks::of_tags(&current.known.tags).request != marks.request {
            let marks = marks.into_tags();
            kms.set_tags(id, &marks).await?;
            current.known.tags.extend(marks);
        }
        self.bring(id, &current, &current, kms, cx).await
    }

    fn refuse_kind(&self) -> Result<()> {
        let Kind { spec, usage, .. } = self.kind();
        let usages: &[&str] = match spec.split('_').next().unwrap_or_default() {
            "SYMMETRIC" => &["ENCRYPT_DECRYPT"],
            "HMAC" => &["GENERATE_VERIFY_MAC"],
            "RSA" => &["ENCRYPT_DECRYPT", "SIGN_VERIFY"],
            "ECC" if spec.starts_with("ECC_NIST_P") => &["SIGN_VERIFY", "KEY_AGREEMENT"],
            "SM2" => &["ENCRYPT_DECRYPT", "SIGN_VERIFY", "KEY_AGREEMENT"],
            _ => &["SIGN_VERIFY"],
        };
        if !usages.contains(&usage.as_str()) {
            return Err(Error::invalid_request(format!(
                "/KeyUsage: a key of the KeySpec {spec} is for {}, not for {usage}",
                usages.join(" or ")
            )));
        }
        if self.enable_key_rotation == Some(true) && spec != "SYMMETRIC_DEFAULT" {
            return Err(Error::invalid_request(format!(
                "/EnableKeyRotation: KMS rotates symmetric keys for encryption alone, and {spec} is none"
            )));
        }
        if self.rotation_period_in_days.is_some() && self.enable_key_rotation != Some(true) {
            return Err(Error::invalid_request("/RotationPeriodInDays: needs EnableKeyRotation true"));
        }
        Ok(())
    }
}

impl Resource for Key {
    const TYPE_NAME: &'static str = "CrossRegion::KMS::Key";
    const LIST_BY: &'static [&'static str] = &["Region"];
    type Provider = Aws;
    type Id = KeyArn;
    type Wait = Never;

    fn permissions(action: Action) -> &'static [&'static str] {
        permissions::of(action)
    }

    fn normalized(mut self) -> Self {
        self.description = self.description.filter(|text| !text.is_empty());
        self.key_policy = self.key_policy.as_ref().map(canonical);
        self
    }

    fn check(&self) -> Result<()> {
        if self.alias_name.as_deref().is_some_and(|alias| alias.starts_with("alias/aws/")) {
            return Err(Error::invalid_request("/AliasName: names that begin with alias/aws/ are AWS's own"));
        }
        if self.key_policy.is_some() && (self.key_administrators.is_some() || self.key_users.is_some()) {
            return Err(Error::invalid_request(
                "/KeyPolicy: the policy is either given or made of KeyAdministrators and KeyUsers, not both",
            ));
        }
        if self.key_policy.as_ref().is_some_and(|document| document.get("Id").is_some_and(|id| id == policy::ID)) {
            return Err(Error::invalid_request(format!(
                "/KeyPolicy/Id: {} is that of the policies made of KeyAdministrators and KeyUsers; choose another, or none",
                policy::ID
            )));
        }
        let reserved = |tag: &Tag| tag.key.starts_with("aws:") || tag.key.starts_with(marks::PREFIX);
        if let Some(at) = self.tags.as_deref().unwrap_or_default().iter().position(reserved) {
            return Err(Error::invalid_request(format!(
                "/Tags/{at}/Key: keys that begin with aws: are AWS's own, and those with {} this type's",
                marks::PREFIX
            )));
        }
        self.refuse_kind()
    }

    fn identify(&mut self, _: &Cx) -> Result<KeyArn> {
        KeyArn::parse(self.arn.as_deref().unwrap_or_default())
    }

    async fn claim(&self, cx: &Cx) -> Result<Option<Claim<KeyArn>>> {
        let region = region::other(self.region.as_deref(), &cx.provider)?;
        let kms = Kms::new(&cx.provider, region);
        let (marks, kind) = (Marks::of_request(&cx.request, self.alias_name.as_deref()), self.kind());
        let aliases = kms.aliases(None).await?;
        let candidates = match self.alias_name.as_deref().and_then(|alias| Some((alias, aliases.get(alias)?))) {
            Some((alias, target)) => match kms.candidate(target, true).await {
                Ok(holder) if holder.is_of(&marks) || holder.pending => vec![holder],
                Err(error) if error.retry().is_some() => return Err(error),
                _ => return Err(kms.taken(alias, Some(target))),
            },
            None => kms.candidates(&aliases).await?,
        };
        if let Some(found) = marks::choose(&candidates, &marks, &kind, marks::now()) {
            tracing::info!("taking up {}, which was made for this", found.arn);
            let finished = found.is_of(&marks) && found.is_finished();
            return Ok(Some(Claim { id: found.arn.clone(), found: finished }));
        }
        if let Some(alias) = self.alias_name.as_deref().filter(|alias| aliases.contains_key(*alias)) {
            return Err(kms.taken(alias, aliases.get(alias).map(String::as_str)));
        }
        let mut tags = cx.request.desired_tags(self.tags.as_deref());
        tags.retain(|key, _| !key.starts_with(marks::PREFIX));
        tags.extend(marks.into_tags());
        let id = kms.create(&kind, self.description.as_deref(), &tags).await?;
        Ok(Some(Claim { id, found: false }))
    }

    async fn create(&self, id: &KeyArn, cx: &Cx) -> Result<Step<Never>> {
        match self.finish(id, &Kms::new(&cx.provider, id.region()), cx).await {
            // It is there: this very request has claimed it.
            Err(error) if error.is_not_found() => Err(Error::new(HandlerErrorCode::NotStabilized, error.message)
                .transient(Retry { after: None, within: Some(VISIBLE) })),
            finished => finished.map(|()| Step::Done),
        }
    }

    async fn read(id: &KeyArn, cx: &Cx) -> Result<Self> {
        let kms = Kms::new(&cx.provider, id.region());
        let metadata = kms.describe(id.key_id()).await?;
        if is_pending(&metadata) {
            return Err(Error::not_found("the key waits for its deletion"));
        }
        Self::look(id, &metadata, &kms).await
    }

    async fn update(&self, id: &KeyArn, change: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        let Change { current, previous } = &change;
        let stays_disabled = current.enabled == Some(false) && !self.enabled(previous, current);
        if stays_disabled && self.new_rotation(previous, current).is_some() {
            return Err(Error::invalid_request(
                "/EnableKeyRotation: KMS changes the rotation of a key that is enabled; set Enabled to true first",
            ));
        }
        self.bring(id, previous, current, &Kms::new(&cx.provider, id.region()), cx).await?;
        Ok(Step::Done)
    }

    async fn delete(&self, id: &KeyArn, cx: &Cx) -> Result<Step<Never>> {
        let kms = Kms::new(&cx.provider, id.region());
        let metadata = kms.describe(id.key_id()).await?;
        if is_pending(&metadata) {
            return Ok(Step::Done);
        }
        refuse_replicas(&metadata)?;
        let current = Self::look(id, &metadata, &kms).await?;
        let marks = Marks { alias: current.alias_name.clone(), unowned_since: Some(marks::now()), ..Marks::default() };
        kms.set_tags(id, &marks.into_tags()).await?;
        if let Some(alias) = &current.alias_name {
            kms.delete_alias(alias).await?;
        }
        kms.schedule_deletion(id, self.pending_window_in_days.unwrap_or(PENDING_WINDOW)).await?;
        Ok(Step::Done)
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        const PAGE: i32 = 100;
        let kms = Kms::new(&cx.provider, self.region.as_deref().unwrap_or_default());
        let (ids, next) = kms.keys(page, PAGE).await?;
        let models = kms.live(ids).await?.into_iter().map(|arn| Self {
            region: Some(arn.region().to_owned()),
            key_id: Some(arn.key_id().to_owned()),
            arn: Some(arn.to_string()),
            ..Self::default()
        });
        Ok(Page { models: models.collect(), next })
    }

    async fn resume(wait: Never, _: &KeyArn, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}

/// KMS deletes a key of several regions after its replicas, which nobody would notice here.
fn refuse_replicas(metadata: &KeyMetadata) -> Result<()> {
    let Some(regions) = &metadata.multi_region_configuration else { return Ok(()) };
    let replicas: Vec<&str> = regions.replica_keys().iter().filter_map(|replica| replica.region()).collect();
    if regions.multi_region_key_type != Some(MultiRegionKeyType::Primary) || replicas.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        HandlerErrorCode::ResourceConflict,
        format!("the key has replicas in {}, which must be deleted before it", replicas.join(", ")),
    ))
}
