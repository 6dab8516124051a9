//! `CrossRegion::S3::Bucket`.

mod access;
mod access_policy;
mod empty;
mod encryption;
mod lifecycle;
mod object_lock;
mod permissions;
mod place;
mod replication;
mod settings;
mod tagging;

use crate::{
    provider::{Aws, code_of},
    region,
};
pub use access::{
    LoggingConfiguration, OwnershipControls, OwnershipControlsRule, PartitionedPrefix, PublicAccessBlockConfiguration,
    SimplePrefix, TargetObjectKeyFormat, VersioningConfiguration,
};
use aws_sdk_s3::{error::BuildError, types as s3};
use cfn_provider::{
    Action, Change, Claim, Context, Error, HandlerErrorCode as Code, Page, Resource, Result, Step, Tag,
    schema::{create_only, not_secret, primary_identifier, read_only, tags, unordered, write_only},
};
pub use encryption::{
    BlockedEncryptionTypes, BucketEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionRule,
};
pub use lifecycle::{
    AbortIncompleteMultipartUpload, LifecycleConfiguration, NoncurrentVersionExpiration, NoncurrentVersionTransition,
    Rule, Transition,
};
pub use object_lock::{DefaultRetention, ObjectLockConfiguration, ObjectLockRule};
pub use place::BucketArn;
use place::{Look, Place};
pub use replication::{
    AccessControlTranslation, EncryptionConfiguration, Metrics, ReplicationConfiguration, ReplicationDestination,
    ReplicationRule, ReplicationRuleAndOperator, ReplicationRuleFilter, ReplicationTime, ReplicationTimeValue,
    SourceSelectionCriteria, Switch,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest name of a bucket.
const LONGEST_NAME: usize = 63;

/// Resource Type definition for CrossRegion::S3::Bucket, an S3 bucket in another region than its stack.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Bucket {
    /// The ARN of the bucket.
    #[schemars(transform = read_only, transform = primary_identifier, regex(pattern = "^arn:aws[a-z-]*:s3:::[A-Za-z0-9._-]{3,255}$"))]
    pub arn: Option<String>,
    /// The bucket's host without its region.
    #[schemars(transform = read_only)]
    pub domain_name: Option<String>,
    /// The bucket's host in its region.
    #[schemars(transform = read_only)]
    pub regional_domain_name: Option<String>,
    /// The region of the bucket: another than the stack's, such as `eu-central-1`. It must be enabled in the account.
    #[schemars(required, transform = create_only, regex(pattern = region::PATTERN))]
    pub region: Option<String>,
    /// The name of the bucket: 3 to 63 lower-case letters, digits, dots and dashes, one for all accounts. If you do not give one, a name is derived from the stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 63), regex(pattern = "^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket_name: Option<String>,
    /// Whether S3 keeps what is overwritten and deleted.
    pub versioning_configuration: Option<VersioningConfiguration>,
    /// The encryption of objects whose upload asks for none. The default is SSE-KMS under the key that AWS manages, with a
    /// bucket key.
    pub bucket_encryption: Option<BucketEncryption>,
    /// What S3 refuses of public access. The default is all of it.
    pub public_access_block_configuration: Option<PublicAccessBlockConfiguration>,
    /// Who owns the objects that others upload. The default is the bucket's owner, without access control lists.
    pub ownership_controls: Option<OwnershipControls>,
    /// Where S3 writes who used the bucket.
    pub logging_configuration: Option<LoggingConfiguration>,
    /// What S3 does with objects as they age.
    pub lifecycle_configuration: Option<LifecycleConfiguration>,
    /// Whether versions can be locked against deletion. It can be turned on later, and never off.
    pub object_lock_enabled: Option<bool>,
    /// How long each new version is locked, where its upload does not say.
    pub object_lock_configuration: Option<ObjectLockConfiguration>,
    /// What S3 copies into other buckets.
    pub replication_configuration: Option<ReplicationConfiguration>,
    /// Whether the bucket's policy refuses connections without TLS. The default is true.
    pub enforce_tls: Option<bool>,
    /// Whether the bucket's policy refuses an upload that names another algorithm or key than the default encryption; one
    /// that names none is taken. The key is named by its ARN. The default is true where the default encryption is SSE-KMS.
    pub enforce_encryption: Option<bool>,
    /// Further statements of the bucket's policy. The names of statements that begin with
    /// CrossRegion are kept for EnforceTls and EnforceEncryption, whose statements are not shown here. S3 writes a list of
    /// one as its item: so should you, that drift detection finds none.
    pub policy_document: Option<Map<String, Value>>,
    /// Whether deleting the bucket also deletes its objects, versions and delete markers. If false, which is the default, a
    /// bucket that holds any is not deleted. What Object Lock keeps stays in any case.
    #[schemars(transform = write_only, transform = not_secret)]
    pub empty_on_delete: Option<bool>,
    /// The tags of the bucket.
    #[schemars(transform = tags, transform = unordered, length(max = 49))]
    pub tags: Option<Vec<Tag>>,
}

/// A tag that an object carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TagFilter {
    /// The key of the tag.
    #[schemars(required, length(min = 1, max = 128))]
    pub key: Option<String>,
    /// The value of the tag.
    #[schemars(required, length(max = 256))]
    pub value: Option<String>,
}

impl TagFilter {
    fn to_aws(&self) -> Result<s3::Tag> {
        built(s3::Tag::builder().set_key(self.key.clone()).set_value(self.value.clone()).build())
    }

    fn from_aws(tag: s3::Tag) -> Self {
        Self { key: Some(tag.key), value: Some(tag.value) }
    }
}

/// What deleting a bucket waits for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Wait {
    /// Everything in it to be deleted.
    Emptying,
}

type Cx = Context<Aws>;

/// A body of the SDK. It misses a member only where a model passed its schema without it.
fn built<T>(body: Result<T, BuildError>) -> Result<T> {
    body.map_err(Error::internal)
}

/// A number as S3 takes it. The schema or S3 itself refuses one that does not fit.
fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl Bucket {
    fn object_lock(&self) -> (Option<bool>, Option<&ObjectLockConfiguration>) {
        (self.object_lock_enabled, self.object_lock_configuration.as_ref())
    }

    /// With what others set that no template ever said, and that has no default of ours: an update leaves it alone.
    fn beside(&self, previous: &Self, current: &Self) -> Self {
        fn kept<T: Clone>(wanted: &Option<T>, previous: &Option<T>, current: &Option<T>) -> Option<T> {
            wanted.clone().or_else(|| current.clone().filter(|_| previous.is_none()))
        }
        macro_rules! keep {
            ($($name:ident),*) => {
                Self { $($name: kept(&self.$name, &previous.$name, &current.$name),)* ..self.clone() }
            };
        }
        keep!(
            versioning_configuration,
            logging_configuration,
            lifecycle_configuration,
            object_lock_enabled,
            object_lock_configuration,
            replication_configuration,
            policy_document
        )
    }

    /// The region and the name, which is derived where the template gives none.
    fn named(&self, cx: &Cx) -> Result<(&str, String)> {
        let region = region::other(self.region.as_deref(), &cx.provider)?;
        let name = self.bucket_name.clone().unwrap_or_else(|| cx.request.derive_name(LONGEST_NAME, "-"));
        Ok((region, name))
    }

    /// Makes the bucket, marked as this request's, or finds it so marked.
    async fn make(&self, place: &Place, cx: &Cx) -> Result<()> {
        let tags = tagging::of_new(self, &cx.request)?;
        let configuration = s3::CreateBucketConfiguration::builder().set_tags(Some(tags));
        // The one region that may not be named.
        let configuration = match place.region.as_str() {
            "us-east-1" => configuration,
            region => configuration.location_constraint(region.into()),
        };
        // There a repeated create is no error and says nothing of who made the bucket, so that we must look first.
        let is_there = place.region == "us-east-1" && !matches!(place.look().await?, Look::Nowhere);
        let answer = match is_there {
            true => None,
            false => {
                let call = place.s3.create_bucket().bucket(&place.name);
                let call = call.create_bucket_configuration(configuration.build());
                Some(call.set_object_lock_enabled_for_bucket(self.object_lock_enabled.filter(|on| *on)).send().await)
            }
        };
        match answer {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) if code_of(&error) != Some("BucketAlreadyOwnedByYou") => {
                Err(place.failed("CreateBucket")(error))
            }
            // From this request's token no other can have derived the name.
            _ if place.name == cx.request.derive_name(LONGEST_NAME, "-") => Ok(()),
            _ if tagging::is_ours(place, &cx.request).await? => Ok(()),
            _ => Err(own(place)),
        }
    }
}

/// The name is taken by a bucket of the same account.
fn own(place: &Place) -> Error {
    Error::new(
        Code::AlreadyExists,
        format!(
            "{} in {}: this account has a bucket of that name; import it into the stack, or give it another name or none",
            place.name, place.region
        ),
    )
}

/// The name is taken, or hidden: whose is it?
async fn taken(place: &Place) -> Error {
    let mine = place.s3.list_buckets().prefix(&place.name).send().await;
    match mine {
        Ok(mine) if mine.buckets().iter().any(|bucket| bucket.name.as_deref() == Some(&place.name)) => own(place),
        // A HEAD has no words for why; a list has, of a region that is not enabled for one.
        Err(error) if !matches!(code_of(&error), Some("AccessDenied")) => place.failed("ListBuckets")(error),
        _ => Error::new(
            Code::AlreadyExists,
            format!(
                "{} in {}: bucket names are one for all accounts, and another account has this one; choose another, or none \
                 to have one made",
                place.name, place.region
            ),
        ),
    }
}

/// What S3 says of names beside their letters.
fn check_name(name: &str) -> Result<()> {
    let refused = |why: &str| Err(Error::invalid_request(format!("/BucketName: {name} {why}")));
    if name.contains("..") {
        return refused("has two dots side by side");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return refused("looks like an IP address");
    }
    if let Some(kept) = ["xn--", "sthree-", "amzn-s3-demo-"].into_iter().find(|kept| name.starts_with(kept)) {
        return refused(&format!("begins with {kept}, which S3 keeps for itself"));
    }
    let ends = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    match ends.into_iter().find(|kept| name.ends_with(kept)) {
        Some(kept) => refused(&format!("ends in {kept}, which S3 keeps for itself")),
        None => Ok(()),
    }
}

impl Resource for Bucket {
    const TYPE_NAME: &'static str = "CrossRegion::S3::Bucket";
    const LIST_BY: &'static [&'static str] = &["Region"];
    /// A thousand versions are deleted with a call; a bucket of many millions takes its time.
    const TIMEOUT_MINUTES: u32 = 720;
    type Provider = Aws;
    type Id = BucketArn;
    type Wait = Wait;

    fn permissions(action: Action) -> &'static [&'static str] {
        permissions::of(action)
    }

    fn warnings(&self) -> Vec<String> {
        self.lifecycle_configuration.as_ref().map(lifecycle::warnings).unwrap_or_default()
    }

    fn check(&self) -> Result<()> {
        let refused = |why: &str| Err(Error::invalid_request(why));
        if let Some(name) = &self.bucket_name {
            check_name(name)?;
        }
        if let Some(encryption) = &self.bucket_encryption {
            encryption.check(self.region.as_deref())?;
        }
        if let Some(lifecycle) = &self.lifecycle_configuration {
            lifecycle::check(lifecycle)?;
        }
        let is_versioned = VersioningConfiguration::is_enabled(self.versioning_configuration.as_ref());
        if self.object_lock_enabled == Some(true) && !is_versioned {
            return refused("/ObjectLockEnabled: needs /VersioningConfiguration/Status to be Enabled");
        }
        if let Some(lock) = &self.object_lock_configuration {
            if self.object_lock_enabled != Some(true) {
                return refused("/ObjectLockConfiguration: needs ObjectLockEnabled to be true");
            }
            lock.check()?;
        }
        if let Some(replication) = &self.replication_configuration {
            if !is_versioned {
                return refused("/ReplicationConfiguration: needs /VersioningConfiguration/Status to be Enabled");
            }
            replication.check()?;
            let arn = |name| BucketArn::new(self.region.as_deref().unwrap_or_default(), name).to_string();
            if self.bucket_name.as_deref().is_some_and(|name| replication.copies_into(&arn(name))) {
                return refused("/ReplicationConfiguration: a bucket cannot be copied into itself");
            }
        }
        self.policy_document.as_ref().map_or(Ok(()), access_policy::check)
    }

    fn identify(&mut self, cx: &Cx) -> Result<BucketArn> {
        let (region, name) = self.named(cx)?;
        let id = BucketArn::new(region, &name);
        self.bucket_name = Some(name);
        Ok(id)
    }

    /// Claims nothing, since the name makes the identifier: it only asks, before CloudFormation knows the identifier and
    /// may delete what carries it, whether another account has the name.
    async fn claim(&self, cx: &Cx) -> Result<Option<Claim<BucketArn>>> {
        let (region, name) = self.named(cx)?;
        let place = Place::new(&cx.provider, region, &name);
        match place.look().await? {
            Look::Forbidden => Err(taken(&place).await),
            Look::Nowhere | Look::In(_) => Ok(None),
        }
    }

    async fn create(&self, id: &BucketArn, cx: &Cx) -> Result<Step<Wait>> {
        let region = region::other(self.region.as_deref(), &cx.provider)?;
        let place = Place::new(&cx.provider, region, id.name()?);
        self.make(&place, cx).await?;
        let current = settings::read(&place, self.policy_document.as_ref()).await?;
        settings::apply(&place, self, None, &current, &cx.request).await?;
        Ok(Step::Done)
    }

    async fn read(id: &BucketArn, cx: &Cx) -> Result<Self> {
        let place = Place::find(&cx.provider, id).await?;
        settings::read(&place, cx.request.properties.get("PolicyDocument").and_then(Value::as_object)).await
    }

    async fn update(&self, id: &BucketArn, change: Change<Self>, cx: &Cx) -> Result<Step<Wait>> {
        let wanted = self.beside(&change.previous, &change.current);
        if !cx.request.rollback {
            object_lock::refuse_weaker(wanted.object_lock(), change.current.object_lock())?;
        }
        let place = Place::new(&cx.provider, change.current.region.as_deref().unwrap_or_default(), id.name()?);
        settings::apply(&place, &wanted, Some(&change.previous), &change.current, &cx.request).await?;
        Ok(Step::Done)
    }

    async fn delete(&self, id: &BucketArn, cx: &Cx) -> Result<Step<Wait>> {
        let place = Place::find(&cx.provider, id).await?;
        match self.empty_on_delete == Some(true) {
            true => empty_and_delete(&place, cx).await,
            false => {
                empty::refuse_if_not_empty(&place).await?;
                remove(&place).await.map(|()| Step::Done)
            }
        }
    }

    async fn list(&self, page: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let region = self.region.as_deref().unwrap_or_default();
        let place = Place::new(&cx.provider, region, "");
        let call = place.s3.list_buckets().bucket_region(region).max_buckets(1_000);
        let found = call.set_continuation_token(page.map(str::to_owned)).send().await;
        let found = found.map_err(place.failed("ListBuckets"))?;
        let models = found.buckets.unwrap_or_default().into_iter().filter_map(|bucket| bucket.name).map(|name| Self {
            arn: Some(BucketArn::new(region, &name).to_string()),
            region: Some(region.to_owned()),
            bucket_name: Some(name),
            ..Self::default()
        });
        Ok(Page { models: models.collect(), next: found.continuation_token })
    }

    async fn resume(wait: Wait, id: &BucketArn, cx: &Cx) -> Result<Step<Wait>> {
        let Wait::Emptying = wait;
        match Place::find(&cx.provider, id).await {
            Ok(place) => empty_and_delete(&place, cx).await,
            Err(error) if error.is_not_found() => Ok(Step::Done),
            Err(error) => Err(error),
        }
    }
}

async fn empty_and_delete(place: &Place, cx: &Cx) -> Result<Step<Wait>> {
    let again = Step::Wait { on: Wait::Emptying, after: Duration::from_secs(1) };
    if !empty::purge(place, cx.request.deadline).await? {
        return Ok(again);
    }
    match remove(place).await {
        // Somebody is still writing.
        Err(error) if error.code == Code::ResourceConflict => Ok(again),
        removed => removed.map(|()| Step::Done),
    }
}

/// Deletes the empty bucket; one that is gone is.
async fn remove(place: &Place) -> Result<()> {
    match place.s3.delete_bucket().bucket(&place.name).send().await {
        Ok(_) => Ok(()),
        Err(error) if code_of(&error) == Some("NoSuchBucket") => Ok(()),
        Err(error) => Err(place.failed("DeleteBucket")(error)),
    }
}
