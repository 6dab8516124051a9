//! What S3 does with objects as they age.

mod rules;

use super::{Place, TagFilter, built, number};
use aws_sdk_s3::types as s3;
use aws_smithy_types::date_time::{DateTime, Format};
use cfn_provider::{Error, Result, schema::unordered};
pub(super) use rules::{check, warnings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a day is written: its midnight in UTC.
const DAY: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00Z$";

/// The rules by which objects move to cheaper storage and expire. Those of the template are all that there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LifecycleConfiguration {
    /// The rules.
    #[schemars(required, transform = unordered, length(min = 1, max = 1_000))]
    pub rules: Option<Vec<Rule>>,
    /// From which size on objects move to other classes. If you do not give it, it is 128 KiB for all.
    #[schemars(extend("enum" = ["all_storage_classes_128K", "varies_by_storage_class"]))]
    pub transition_default_minimum_object_size: Option<String>,
}

/// A rule: what happens to which objects. It needs one action at least.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    /// The name of the rule, unique in the bucket. If you do not give one, it is made of the rule's place.
    #[schemars(length(min = 1, max = 255))]
    pub id: Option<String>,
    /// Whether the rule is followed.
    #[schemars(required, extend("enum" = ["Enabled", "Disabled"]))]
    pub status: Option<String>,
    /// How the names of its objects begin; all without one.
    #[schemars(length(max = 1_024))]
    pub prefix: Option<String>,
    /// The tags that its objects carry, all of them.
    #[schemars(transform = unordered, length(min = 1, max = 10))]
    pub tag_filters: Option<Vec<TagFilter>>,
    /// Its objects are larger than so many bytes.
    #[schemars(range(min = 1))]
    pub object_size_greater_than: Option<u64>,
    /// Its objects are smaller than so many bytes.
    #[schemars(range(min = 1))]
    pub object_size_less_than: Option<u64>,
    /// The moves of current versions to other classes.
    #[schemars(transform = unordered, length(min = 1, max = 6))]
    pub transitions: Option<Vec<Transition>>,
    /// Days after which a current version expires: in a versioned bucket a delete marker takes its place.
    #[schemars(range(min = 1))]
    pub expiration_in_days: Option<u32>,
    /// The day on which current versions expire, as `2030-01-31T00:00:00Z`.
    #[schemars(regex(pattern = DAY))]
    pub expiration_date: Option<String>,
    /// Whether a delete marker goes under which no versions are left.
    pub expired_object_delete_marker: Option<bool>,
    /// The moves of versions that are no longer current.
    #[schemars(transform = unordered, length(min = 1, max = 6))]
    pub noncurrent_version_transitions: Option<Vec<NoncurrentVersionTransition>>,
    /// When versions that are no longer current go.
    pub noncurrent_version_expiration: Option<NoncurrentVersionExpiration>,
    /// When uploads go that were never finished.
    pub abort_incomplete_multipart_upload: Option<AbortIncompleteMultipartUpload>,
}

/// A move of current versions, by age or on a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Transition {
    /// The class that they move to.
    #[schemars(required, extend("enum" = ["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]))]
    pub storage_class: Option<String>,
    /// Days after they were made.
    pub transition_in_days: Option<u32>,
    /// The day, as `2030-01-31T00:00:00Z`.
    #[schemars(regex(pattern = DAY))]
    pub transition_date: Option<String>,
}

/// A move of versions that are no longer current.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct NoncurrentVersionTransition {
    /// The class that they move to.
    #[schemars(required, extend("enum" = ["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]))]
    pub storage_class: Option<String>,
    /// Days after they ceased to be current.
    #[schemars(required)]
    pub transition_in_days: Option<u32>,
    /// How many of the newest stay where they are.
    #[schemars(range(min = 1, max = 100))]
    pub newer_noncurrent_versions: Option<u32>,
}

/// When versions that are no longer current go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct NoncurrentVersionExpiration {
    /// Days after they ceased to be current.
    #[schemars(required, range(min = 1))]
    pub noncurrent_days: Option<u32>,
    /// How many of the newest stay all the same.
    #[schemars(range(min = 1, max = 100))]
    pub newer_noncurrent_versions: Option<u32>,
}

/// When uploads go that were never finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AbortIncompleteMultipartUpload {
    /// Days after they began.
    #[schemars(required, range(min = 1))]
    pub days_after_initiation: Option<u32>,
}

impl LifecycleConfiguration {
    /// With S3's defaults and our names in place of what the template leaves out, in an order of its own.
    fn effective(&self) -> Self {
        let mut rules: Vec<Rule> = self.rules.clone().unwrap_or_default();
        for (at, rule) in rules.iter_mut().enumerate() {
            rule.id.get_or_insert_with(|| format!("rule-{}", at + 1));
            rule.prefix.get_or_insert_with(String::new);
            rule.tag_filters.iter_mut().for_each(|tags| tags.sort());
            let late = |days: Option<u32>, date: &Option<String>| (days, date.clone());
            let moves = rule.transitions.iter_mut();
            moves.for_each(|moves| moves.sort_by_key(|to| late(to.transition_in_days, &to.transition_date)));
            let moves = rule.noncurrent_version_transitions.iter_mut();
            moves.for_each(|moves| moves.sort_by_key(|to| to.transition_in_days));
        }
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let size = self.transition_default_minimum_object_size.clone();
        Self {
            rules: Some(rules),
            transition_default_minimum_object_size: size.or_else(|| Some("all_storage_classes_128K".into())),
        }
    }
}

pub(super) async fn read(place: &Place) -> Result<Option<LifecycleConfiguration>> {
    let answer = place.s3.get_bucket_lifecycle_configuration().bucket(&place.name).send().await;
    let found = place.setting("GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration", answer)?;
    let Some(found) = found.filter(|found| !found.rules().is_empty()) else { return Ok(None) };
    let size = found.transition_default_minimum_object_size.map(|size| size.as_str().to_owned());
    let rules = found.rules.unwrap_or_default().into_iter().map(from_aws).collect::<Result<_>>()?;
    Ok(Some(LifecycleConfiguration { rules: Some(rules), transition_default_minimum_object_size: size }))
}

pub(super) async fn apply(
    place: &Place,
    wanted: Option<&LifecycleConfiguration>,
    current: Option<&LifecycleConfiguration>,
) -> Result<()> {
    let Some(wanted) = wanted.map(LifecycleConfiguration::effective) else {
        return match current {
            Some(_) => {
                let call = place.s3.delete_bucket_lifecycle().bucket(&place.name);
                call.send().await.map_err(place.failed("DeleteBucketLifecycle")).map(drop)
            }
            None => Ok(()),
        };
    };
    if current.map(LifecycleConfiguration::effective).as_ref() == Some(&wanted) {
        return Ok(());
    }
    let rules = wanted.rules.unwrap_or_default().iter().map(to_aws).collect::<Result<_>>()?;
    let configuration = built(s3::BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build())?;
    let size = wanted.transition_default_minimum_object_size.as_deref().map(Into::into);
    let call = place.s3.put_bucket_lifecycle_configuration().bucket(&place.name);
    let call = call.lifecycle_configuration(configuration).set_transition_default_minimum_object_size(size);
    call.send().await.map_err(place.failed("PutBucketLifecycleConfiguration")).map(drop)
}

fn to_aws(rule: &Rule) -> Result<s3::LifecycleRule> {
    let tags = rule.tag_filters.iter().flatten().map(TagFilter::to_aws).collect::<Result<Vec<_>>>()?;
    let prefix = rule.prefix.clone().filter(|prefix| !prefix.is_empty());
    let (more, less) = (rule.object_size_greater_than.map(bytes), rule.object_size_less_than.map(bytes));
    let conditions =
        tags.len() + [prefix.is_some(), more.is_some(), less.is_some()].into_iter().filter(|is| *is).count();
    let filter = s3::LifecycleRuleFilter::builder();
    // One condition stands alone; several need an And; a rule for everything has the empty prefix.
    let filter = match conditions {
        0 => filter.prefix(""),
        1 => filter
            .set_prefix(prefix)
            .set_tag(tags.into_iter().next())
            .set_object_size_greater_than(more)
            .set_object_size_less_than(less),
        _ => filter.and(
            s3::LifecycleRuleAndOperator::builder()
                .set_prefix(prefix)
                .set_tags(Some(tags).filter(|tags| !tags.is_empty()))
                .set_object_size_greater_than(more)
                .set_object_size_less_than(less)
                .build(),
        ),
    };
    let is_expiring = rule.expiration_in_days.is_some()
        || rule.expiration_date.is_some()
        || rule.expired_object_delete_marker.is_some();
    let expiration = s3::LifecycleExpiration::builder()
        .set_days(rule.expiration_in_days.map(number))
        .set_date(date(rule.expiration_date.as_deref())?)
        .set_expired_object_delete_marker(rule.expired_object_delete_marker)
        .build();
    let transitions = rule.transitions.iter().flatten().map(|to| {
        Ok(s3::Transition::builder()
            .set_storage_class(to.storage_class.as_deref().map(Into::into))
            .set_days(to.transition_in_days.map(number))
            .set_date(date(to.transition_date.as_deref())?)
            .build())
    });
    let noncurrent = rule.noncurrent_version_transitions.iter().flatten().map(|to| {
        s3::NoncurrentVersionTransition::builder()
            .set_storage_class(to.storage_class.as_deref().map(Into::into))
            .set_noncurrent_days(to.transition_in_days.map(number))
            .set_newer_noncurrent_versions(to.newer_noncurrent_versions.map(number))
            .build()
    });
    let rule = s3::LifecycleRule::builder()
        .set_id(rule.id.clone())
        .set_status(rule.status.as_deref().map(Into::into))
        .filter(filter.build())
        .set_expiration(is_expiring.then_some(expiration))
        .set_transitions(some(transitions.collect::<Result<_>>()?))
        .set_noncurrent_version_transitions(some(noncurrent.collect()))
        .set_noncurrent_version_expiration(rule.noncurrent_version_expiration.as_ref().map(|expiration| {
            s3::NoncurrentVersionExpiration::builder()
                .set_noncurrent_days(expiration.noncurrent_days.map(number))
                .set_newer_noncurrent_versions(expiration.newer_noncurrent_versions.map(number))
                .build()
        }))
        .set_abort_incomplete_multipart_upload(rule.abort_incomplete_multipart_upload.as_ref().map(|abort| {
            s3::AbortIncompleteMultipartUpload::builder()
                .set_days_after_initiation(abort.days_after_initiation.map(number))
                .build()
        }));
    built(rule.build())
}

fn from_aws(rule: s3::LifecycleRule) -> Result<Rule> {
    let filter = rule.filter;
    let and = filter.as_ref().and_then(|filter| filter.and.clone());
    let alone = filter.as_ref().and_then(|filter| filter.tag.clone());
    let tags: Vec<s3::Tag> =
        and.as_ref().and_then(|and| and.tags.clone()).unwrap_or_default().into_iter().chain(alone).collect();
    let of_filter = filter.as_ref();
    let size = |in_and: Option<i64>, alone: Option<i64>| {
        // S3 answers 0 for a size that was not given.
        in_and.or(alone).and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0)
    };
    let prefix = and.as_ref().and_then(|and| and.prefix.clone()).or_else(|| of_filter.and_then(|f| f.prefix.clone()));
    #[allow(deprecated, reason = "rules of before 2016 have their prefix outside of the filter")]
    let prefix = prefix.or(rule.prefix).unwrap_or_default();
    let expiration = rule.expiration;
    let transitions = rule.transitions.unwrap_or_default().into_iter().map(|to| {
        Ok(Transition {
            storage_class: to.storage_class.map(|class| class.as_str().to_owned()),
            transition_in_days: to.days.and_then(|days| days.try_into().ok()),
            transition_date: to.date.as_ref().map(text).transpose()?,
        })
    });
    let noncurrent =
        rule.noncurrent_version_transitions.unwrap_or_default().into_iter().map(|to| NoncurrentVersionTransition {
            storage_class: to.storage_class.map(|class| class.as_str().to_owned()),
            transition_in_days: to.noncurrent_days.and_then(|days| days.try_into().ok()),
            newer_noncurrent_versions: to.newer_noncurrent_versions.and_then(|count| count.try_into().ok()),
        });
    Ok(Rule {
        id: rule.id,
        status: Some(rule.status.as_str().to_owned()),
        prefix: Some(prefix),
        tag_filters: some(tags.into_iter().map(TagFilter::from_aws).collect()),
        object_size_greater_than: size(
            and.as_ref().and_then(|and| and.object_size_greater_than),
            of_filter.and_then(|filter| filter.object_size_greater_than),
        ),
        object_size_less_than: size(
            and.as_ref().and_then(|and| and.object_size_less_than),
            of_filter.and_then(|filter| filter.object_size_less_than),
        ),
        transitions: some(transitions.collect::<Result<_>>()?),
        expiration_in_days: expiration.as_ref().and_then(|expiration| expiration.days).and_then(|d| d.try_into().ok()),
        expiration_date: expiration.as_ref().and_then(|expiration| expiration.date.as_ref()).map(text).transpose()?,
        expired_object_delete_marker: expiration.and_then(|expiration| expiration.expired_object_delete_marker),
        noncurrent_version_transitions: some(noncurrent.collect()),
        noncurrent_version_expiration: rule.noncurrent_version_expiration.map(|expiration| {
            NoncurrentVersionExpiration {
                noncurrent_days: expiration.noncurrent_days.and_then(|days| days.try_into().ok()),
                newer_noncurrent_versions: expiration.newer_noncurrent_versions.and_then(|count| count.try_into().ok()),
            }
        }),
        abort_incomplete_multipart_upload: rule.abort_incomplete_multipart_upload.map(|abort| {
            AbortIncompleteMultipartUpload {
                days_after_initiation: abort.days_after_initiation.and_then(|days| days.try_into().ok()),
            }
        }),
    })
}

/// A list that a model has only where it holds something.
fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    Some(items).filter(|items| !items.is_empty())
}

fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn date(text: Option<&str>) -> Result<Option<DateTime>> {
    let parse = |text| DateTime::from_str(text, Format::DateTime);
    text.map(parse).transpose().map_err(|_| Error::invalid_request("/LifecycleConfiguration: there is no such day"))
}

fn text(date: &DateTime) -> Result<String> {
    date.fmt(Format::DateTime).map_err(Error::internal)
}
