//! Who gets at a bucket at all: public access blocked, ownership, versions kept, access logged.

use super::{Place, built};
use aws_sdk_s3::types as s3;
use cfn_provider::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What S3 refuses of public access. A member that is not given is true.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct PublicAccessBlockConfiguration {
    /// Whether public access control lists are refused.
    pub block_public_acls: Option<bool>,
    /// Whether public policies are refused.
    pub block_public_policy: Option<bool>,
    /// Whether public access control lists that are there are ignored.
    pub ignore_public_acls: Option<bool>,
    /// Whether a public policy that is there serves nobody but this account and AWS's services.
    pub restrict_public_buckets: Option<bool>,
}

impl PublicAccessBlockConfiguration {
    fn effective(wanted: Option<&Self>) -> Self {
        let or_true = |member: fn(&Self) -> Option<bool>| Some(wanted.and_then(member).unwrap_or(true));
        Self {
            block_public_acls: or_true(|block| block.block_public_acls),
            block_public_policy: or_true(|block| block.block_public_policy),
            ignore_public_acls: or_true(|block| block.ignore_public_acls),
            restrict_public_buckets: or_true(|block| block.restrict_public_buckets),
        }
    }
}

pub(super) async fn read_block(place: &Place) -> Result<Option<PublicAccessBlockConfiguration>> {
    let answer = place.s3.get_public_access_block().bucket(&place.name).send().await;
    let found = place.setting("GetPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration", answer)?;
    let found = found.and_then(|found| found.public_access_block_configuration);
    // Where nothing is set, nothing is blocked.
    let is = |member: fn(&s3::PublicAccessBlockConfiguration) -> Option<bool>| {
        Some(found.as_ref().and_then(member).unwrap_or_default())
    };
    Ok(Some(PublicAccessBlockConfiguration {
        block_public_acls: is(|block| block.block_public_acls),
        block_public_policy: is(|block| block.block_public_policy),
        ignore_public_acls: is(|block| block.ignore_public_acls),
        restrict_public_buckets: is(|block| block.restrict_public_buckets),
    }))
}

pub(super) async fn apply_block(
    place: &Place,
    wanted: Option<&PublicAccessBlockConfiguration>,
    current: Option<&PublicAccessBlockConfiguration>,
) -> Result<()> {
    let wanted = PublicAccessBlockConfiguration::effective(wanted);
    if current == Some(&wanted) {
        return Ok(());
    }
    let configuration = s3::PublicAccessBlockConfiguration::builder()
        .set_block_public_acls(wanted.block_public_acls)
        .set_block_public_policy(wanted.block_public_policy)
        .set_ignore_public_acls(wanted.ignore_public_acls)
        .set_restrict_public_buckets(wanted.restrict_public_buckets)
        .build();
    let call = place.s3.put_public_access_block().bucket(&place.name);
    let answer = call.public_access_block_configuration(configuration).send().await;
    answer.map_err(place.failed("PutPublicAccessBlock")).map(drop)
}

/// Who owns the objects that others upload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct OwnershipControls {
    /// The one rule.
    #[schemars(required, length(min = 1, max = 1))]
    pub rules: Option<Vec<OwnershipControlsRule>>,
}

/// The rule of ownership.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct OwnershipControlsRule {
    /// `BucketOwnerEnforced`, which is the default here, turns access control lists off.
    #[schemars(required, extend("enum" = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]))]
    pub object_ownership: Option<String>,
}

impl OwnershipControls {
    fn of(ownership: &str) -> Self {
        Self { rules: Some(vec![OwnershipControlsRule { object_ownership: Some(ownership.to_owned()) }]) }
    }

    fn ownership(&self) -> Option<&str> {
        self.rules.as_ref()?.first()?.object_ownership.as_deref()
    }
}

pub(super) async fn read_ownership(place: &Place) -> Result<Option<OwnershipControls>> {
    let answer = place.s3.get_bucket_ownership_controls().bucket(&place.name).send().await;
    let found = place.setting("GetBucketOwnershipControls", "OwnershipControlsNotFoundError", answer)?;
    let rules = found.and_then(|found| found.ownership_controls).map(|found| found.rules).unwrap_or_default();
    Ok(rules.first().map(|rule| OwnershipControls::of(rule.object_ownership.as_str())))
}

pub(super) async fn apply_ownership(
    place: &Place,
    wanted: Option<&OwnershipControls>,
    current: Option<&OwnershipControls>,
) -> Result<()> {
    let wanted = wanted.and_then(OwnershipControls::ownership).unwrap_or("BucketOwnerEnforced");
    if current.and_then(OwnershipControls::ownership) == Some(wanted) {
        return Ok(());
    }
    let rule = s3::OwnershipControlsRule::builder().object_ownership(wanted.into()).build();
    let controls = s3::OwnershipControls::builder().rules(built(rule)?).build();
    let call = place.s3.put_bucket_ownership_controls().bucket(&place.name);
    let answer = call.ownership_controls(built(controls)?).send().await;
    answer.map_err(place.failed("PutBucketOwnershipControls")).map(drop)
}

/// Whether S3 keeps what is overwritten and deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct VersioningConfiguration {
    /// A bucket that has once been versioned can only be suspended, which is also what taking this property out does.
    #[schemars(required, extend("enum" = ["Enabled", "Suspended"]))]
    pub status: Option<String>,
}

impl VersioningConfiguration {
    pub(super) fn is_enabled(versioning: Option<&Self>) -> bool {
        versioning.and_then(|versioning| versioning.status.as_deref()) == Some("Enabled")
    }
}

pub(super) async fn read_versioning(place: &Place) -> Result<Option<VersioningConfiguration>> {
    let answer = place.s3.get_bucket_versioning().bucket(&place.name).send().await;
    let found = answer.map_err(place.failed("GetBucketVersioning"))?;
    Ok(found.status.map(|status| VersioningConfiguration { status: Some(status.as_str().to_owned()) }))
}

pub(super) async fn apply_versioning(
    place: &Place,
    wanted: Option<&VersioningConfiguration>,
    current: Option<&VersioningConfiguration>,
) -> Result<()> {
    let suspended = VersioningConfiguration { status: Some("Suspended".into()) };
    let wanted = wanted.or_else(|| current.is_some().then_some(&suspended));
    let Some(status) = wanted.filter(|wanted| current != Some(*wanted)).and_then(|wanted| wanted.status.as_deref())
    else {
        return Ok(());
    };
    let configuration = s3::VersioningConfiguration::builder().status(status.into()).build();
    let call = place.s3.put_bucket_versioning().bucket(&place.name).versioning_configuration(configuration);
    call.send().await.map_err(place.failed("PutBucketVersioning")).map(drop)
}

/// Where S3 writes who used the bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LoggingConfiguration {
    /// The bucket of the logs, in the same region and account. Its policy must let logging.s3.amazonaws.com write. If you do
    /// not give one, the logs go into this bucket itself.
    #[schemars(length(min = 3, max = 63))]
    pub destination_bucket_name: Option<String>,
    /// What the names of the logs begin with.
    pub log_file_prefix: Option<String>,
    /// How the logs are named.
    pub target_object_key_format: Option<TargetObjectKeyFormat>,
}

/// How logs are named: one of both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TargetObjectKeyFormat {
    /// The prefix, the time and a random text.
    pub simple_prefix: Option<SimplePrefix>,
    /// Folders of account, region, bucket and day after the prefix.
    pub partitioned_prefix: Option<PartitionedPrefix>,
}

/// The prefix, the time and a random text. It has no members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimplePrefix {}

/// Folders of account, region, bucket and day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct PartitionedPrefix {
    /// Whose day: that of what is logged, or that of the log.
    #[schemars(extend("enum" = ["EventTime", "DeliveryTime"]))]
    pub partition_date_source: Option<String>,
}

pub(super) async fn read_logging(place: &Place) -> Result<Option<LoggingConfiguration>> {
    let answer = place.s3.get_bucket_logging().bucket(&place.name).send().await;
    let found = answer.map_err(place.failed("GetBucketLogging"))?;
    Ok(found.logging_enabled.map(|logging| LoggingConfiguration {
        destination_bucket_name: Some(logging.target_bucket),
        log_file_prefix: Some(logging.target_prefix),
        target_object_key_format: logging.target_object_key_format.map(|format| TargetObjectKeyFormat {
            simple_prefix: format.simple_prefix.map(|_| SimplePrefix {}),
            partitioned_prefix: format.partitioned_prefix.map(|prefix| PartitionedPrefix {
                partition_date_source: prefix.partition_date_source.map(|source| source.as_str().to_owned()),
            }),
        }),
    }))
}

pub(super) async fn apply_logging(
    place: &Place,
    wanted: Option<&LoggingConfiguration>,
    current: Option<&LoggingConfiguration>,
) -> Result<()> {
    let wanted = wanted.map(|wanted| LoggingConfiguration {
        destination_bucket_name: Some(wanted.destination_bucket_name.clone().unwrap_or_else(|| place.name.clone())),
        log_file_prefix: Some(wanted.log_file_prefix.clone().unwrap_or_default()),
        target_object_key_format: wanted.target_object_key_format.clone(),
    });
    if wanted.as_ref() == current {
        return Ok(());
    }
    let status = s3::BucketLoggingStatus::builder();
    let status = match wanted {
        Some(wanted) => status.logging_enabled(to_aws(wanted)?),
        None => status,
    };
    let call = place.s3.put_bucket_logging().bucket(&place.name).bucket_logging_status(status.build());
    call.send().await.map_err(place.failed("PutBucketLogging")).map(drop)
}

fn to_aws(logging: LoggingConfiguration) -> Result<s3::LoggingEnabled> {
    let format = logging.target_object_key_format.map(|format| {
        let partitioned = format.partitioned_prefix.map(|prefix| {
            let source = prefix.partition_date_source.as_deref().map(Into::into);
            s3::PartitionedPrefix::builder().set_partition_date_source(source).build()
        });
        let simple = format.simple_prefix.map(|_| s3::SimplePrefix::builder().build());
        s3::TargetObjectKeyFormat::builder().set_partitioned_prefix(partitioned).set_simple_prefix(simple).build()
    });
    let enabled = s3::LoggingEnabled::builder()
        .set_target_bucket(logging.destination_bucket_name)
        .set_target_prefix(logging.log_file_prefix)
        .set_target_object_key_format(format);
    built(enabled.build())
}
