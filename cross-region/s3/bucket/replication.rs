//! Replication from this bucket into others.

use super::{Place, TagFilter, built, number};
use crate::provider::PROPAGATION;
use aws_sdk_s3::types as s3;
use cfn_provider::{Error, HandlerErrorCode as Code, Result, Retry, schema::unordered};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// S3 knows one value for the time within which replication is promised.
const MINUTES: u32 = 15;

/// What S3 copies into other buckets. This bucket and the others must be versioned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationConfiguration {
    /// The ARN of the role by which S3 reads here and writes there.
    #[schemars(required, regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role: Option<String>,
    /// The rules.
    #[schemars(required, transform = unordered, length(min = 1, max = 1_000))]
    pub rules: Option<Vec<ReplicationRule>>,
}

/// A rule: what is copied where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationRule {
    /// The name of the rule, unique in the bucket. If you do not give one, it is made of the rule's place.
    #[schemars(length(min = 1, max = 255))]
    pub id: Option<String>,
    /// Which rule wins where several name the same destination: the highest. If you do not give one, it is the rule's place.
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub priority: Option<u32>,
    /// Whether the rule is followed.
    #[schemars(required, extend("enum" = ["Enabled", "Disabled"]))]
    pub status: Option<String>,
    /// Which objects are copied; all without one.
    pub filter: Option<ReplicationRuleFilter>,
    /// Where they are copied to.
    #[schemars(required)]
    pub destination: Option<ReplicationDestination>,
    /// Whether delete markers are copied. If you do not give it, they are not.
    pub delete_marker_replication: Option<Switch>,
    /// What else is copied.
    pub source_selection_criteria: Option<SourceSelectionCriteria>,
}

/// Which objects are copied: by one of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationRuleFilter {
    /// How their names begin.
    #[schemars(length(max = 1_024))]
    pub prefix: Option<String>,
    /// A tag that they carry.
    pub tag_filter: Option<TagFilter>,
    /// Several of both.
    pub and: Option<ReplicationRuleAndOperator>,
}

/// Objects that fit all of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationRuleAndOperator {
    /// How their names begin.
    #[schemars(length(min = 1, max = 1_024))]
    pub prefix: Option<String>,
    /// The tags that they carry.
    #[schemars(transform = unordered, length(min = 1, max = 10))]
    pub tag_filters: Option<Vec<TagFilter>>,
}

/// Where objects are copied to, and how they are there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationDestination {
    /// The ARN of the bucket.
    #[schemars(required, regex(pattern = "^arn:aws[a-z-]*:s3:::[a-z0-9.-]{3,63}$"))]
    pub bucket: Option<String>,
    /// The account of the bucket. Needed with AccessControlTranslation.
    #[schemars(regex(pattern = "^[0-9]{12}$"))]
    pub account: Option<String>,
    /// The class of the copies; that of the object if you do not give one.
    #[schemars(extend("enum" = ["STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"]))]
    pub storage_class: Option<String>,
    /// Whether the copies belong to the account of the bucket.
    pub access_control_translation: Option<AccessControlTranslation>,
    /// The key of the copies. Needed with SseKmsEncryptedObjects, and only then.
    pub encryption_configuration: Option<EncryptionConfiguration>,
    /// The promise to copy within 15 minutes. Needs Metrics.
    pub replication_time: Option<ReplicationTime>,
    /// Metrics and events of the replication.
    pub metrics: Option<Metrics>,
}

/// Whose the copies are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AccessControlTranslation {
    /// The account of the destination.
    #[schemars(required, extend("enum" = ["Destination"]))]
    pub owner: Option<String>,
}

/// The key of the copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptionConfiguration {
    /// The ARN of a KMS key or alias in the region of the destination.
    #[serde(rename = "ReplicaKmsKeyID")]
    #[schemars(required, regex(pattern = "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+$"))]
    pub replica_kms_key_id: Option<String>,
}

/// The promise to copy within 15 minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationTime {
    /// Whether it is promised.
    #[schemars(required, extend("enum" = ["Enabled", "Disabled"]))]
    pub status: Option<String>,
    /// The time: 15 minutes.
    pub time: Option<ReplicationTimeValue>,
}

/// Metrics and events of the replication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Metrics {
    /// Whether there are any.
    #[schemars(required, extend("enum" = ["Enabled", "Disabled"]))]
    pub status: Option<String>,
    /// After which time a missing copy is an event: 15 minutes. Only with ReplicationTime.
    pub event_threshold: Option<ReplicationTimeValue>,
}

/// A time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationTimeValue {
    /// Minutes; S3 takes 15.
    #[schemars(required, range(min = 15, max = 15))]
    pub minutes: Option<u32>,
}

/// What else is copied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SourceSelectionCriteria {
    /// Whether objects under KMS keys are copied. Needs EncryptionConfiguration.
    pub sse_kms_encrypted_objects: Option<Switch>,
    /// Whether changes of a copy's metadata come back here.
    pub replica_modifications: Option<Switch>,
}

/// On or off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Switch {
    /// On or off.
    #[schemars(required, extend("enum" = ["Enabled", "Disabled"]))]
    pub status: Option<String>,
}

impl Switch {
    fn is_on(switch: Option<&Self>) -> bool {
        switch.and_then(|switch| switch.status.as_deref()) == Some("Enabled")
    }
}

impl ReplicationConfiguration {
    /// With S3's defaults and our names in place of what the template leaves out, in an order of its own.
    fn effective(&self) -> Self {
        let fifteen = || ReplicationTimeValue { minutes: Some(MINUTES) };
        let mut rules = self.rules.clone().unwrap_or_default();
        for (at, rule) in rules.iter_mut().enumerate() {
            let place = at + 1;
            rule.id.get_or_insert_with(|| format!("rule-{place}"));
            rule.priority.get_or_insert_with(|| u32::try_from(place).unwrap_or(u32::MAX));
            let filter = rule.filter.get_or_insert_default();
            if filter.tag_filter.is_none() && filter.and.is_none() {
                filter.prefix.get_or_insert_default();
            }
            if let Some(tags) = filter.and.as_mut().and_then(|and| and.tag_filters.as_mut()) {
                tags.sort();
            }
            rule.delete_marker_replication.get_or_insert_with(|| Switch { status: Some("Disabled".into()) });
            if let Some(destination) = &mut rule.destination {
                if let Some(time) = &mut destination.replication_time {
                    time.time.get_or_insert_with(fifteen);
                }
                let is_timed = destination.replication_time.as_ref().is_some_and(|time| {
                    time.status.as_deref() == Some("Enabled")
                        || destination.metrics.as_ref().is_some_and(|m| m.status == time.status)
                });
                if let Some(metrics) = destination.metrics.as_mut().filter(|_| is_timed) {
                    metrics.event_threshold.get_or_insert_with(fifteen);
                }
            }
        }
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        Self { role: self.role.clone(), rules: Some(rules) }
    }

    /// # Errors
    /// `InvalidRequest` with the pointer and the rule.
    pub(super) fn check(&self) -> Result<()> {
        let (mut ids, mut priorities) = (BTreeSet::new(), BTreeSet::new());
        for (at, rule) in self.rules.iter().flatten().enumerate() {
            let id = rule.id.clone().unwrap_or_else(|| format!("rule-{}", at + 1));
            let priority = rule.priority.unwrap_or_else(|| u32::try_from(at + 1).unwrap_or(u32::MAX));
            let found = if !ids.insert(id) {
                Some(("/Id", "another rule has this name"))
            } else if !priorities.insert(priority) {
                Some(("/Priority", "another rule has this priority"))
            } else {
                violation(rule)
            };
            if let Some((pointer, why)) = found {
                let at = format!("/ReplicationConfiguration/Rules/{at}{pointer}");
                return Err(Error::invalid_request(format!("{at}: {why}")));
            }
        }
        Ok(())
    }

    /// Whether a rule copies into the bucket of this ARN.
    pub(super) fn copies_into(&self, arn: &str) -> bool {
        let mut destinations = self.rules.iter().flatten().filter_map(|rule| rule.destination.as_ref());
        destinations.any(|destination| destination.bucket.as_deref() == Some(arn))
    }
}

/// The first thing that S3 would refuse of a rule, and why.
fn violation(rule: &ReplicationRule) -> Option<(&'static str, &'static str)> {
    let filter = rule.filter.clone().unwrap_or_default();
    if [filter.prefix.is_some(), filter.tag_filter.is_some(), filter.and.is_some()].iter().filter(|is| **is).count() > 1
    {
        return Some(("/Filter", "takes one of Prefix, TagFilter and And"));
    }
    let tags = filter.and.as_ref().and_then(|and| and.tag_filters.as_ref()).map_or(0, Vec::len);
    if filter.and.as_ref().is_some_and(|and| tags + usize::from(and.prefix.is_some()) < 2) {
        return Some(("/Filter/And", "is for two conditions or more"));
    }
    if Switch::is_on(rule.delete_marker_replication.as_ref()) && (filter.tag_filter.is_some() || tags > 0) {
        return Some(("/DeleteMarkerReplication", "delete markers have no tags, so a rule by tags cannot copy them"));
    }
    let criteria = rule.source_selection_criteria.as_ref();
    if criteria.is_some_and(|c| c.sse_kms_encrypted_objects.is_none() && c.replica_modifications.is_none()) {
        return Some(("/SourceSelectionCriteria", "is empty"));
    }
    let destination = rule.destination.as_ref()?;
    let takes_encrypted = criteria.is_some_and(|criteria| criteria.sse_kms_encrypted_objects.is_some());
    match (takes_encrypted, destination.encryption_configuration.is_some()) {
        (true, false) => {
            return Some((
                "/Destination",
                "SseKmsEncryptedObjects needs EncryptionConfiguration/ReplicaKmsKeyID, the key of the copies",
            ));
        }
        (false, true) => {
            let why =
                "needs SourceSelectionCriteria/SseKmsEncryptedObjects, without which no object under a key is copied";
            return Some(("/Destination/EncryptionConfiguration", why));
        }
        _ => {}
    }
    if destination.access_control_translation.is_some() && destination.account.is_none() {
        return Some(("/Destination/AccessControlTranslation", "needs Account, to which the copies shall belong"));
    }
    let status = |of: Option<&Option<String>>| of.and_then(|status| status.as_deref()) == Some("Enabled");
    let time = destination.replication_time.as_ref();
    let metrics = destination.metrics.as_ref();
    if time.is_some() && metrics.is_none() {
        return Some(("/Destination/ReplicationTime", "needs Metrics"));
    }
    let (is_promised, is_measured) =
        (status(time.map(|time| &time.status)), status(metrics.map(|metrics| &metrics.status)));
    if is_promised && !is_measured {
        return Some(("/Destination/Metrics/Status", "is Enabled where ReplicationTime is"));
    }
    if !is_promised && is_measured && metrics.is_some_and(|metrics| metrics.event_threshold.is_some()) {
        return Some(("/Destination/Metrics/EventThreshold", "is only for an enabled ReplicationTime"));
    }
    None
}

pub(super) async fn read(place: &Place) -> Result<Option<ReplicationConfiguration>> {
    let answer = place.s3.get_bucket_replication().bucket(&place.name).send().await;
    let found = place.setting("GetBucketReplication", "ReplicationConfigurationNotFoundError", answer)?;
    let found = found.and_then(|found| found.replication_configuration);
    Ok(found.map(|found| ReplicationConfiguration {
        role: Some(found.role),
        rules: Some(found.rules.into_iter().map(from_aws).collect()),
    }))
}

pub(super) async fn remove(place: &Place) -> Result<()> {
    let call = place.s3.delete_bucket_replication().bucket(&place.name);
    call.send().await.map_err(place.failed("DeleteBucketReplication")).map(drop)
}

pub(super) async fn apply(
    place: &Place,
    wanted: Option<&ReplicationConfiguration>,
    current: Option<&ReplicationConfiguration>,
) -> Result<()> {
    let Some(wanted) = wanted.map(ReplicationConfiguration::effective) else { return Ok(()) };
    if current.map(ReplicationConfiguration::effective).as_ref() == Some(&wanted) {
        return Ok(());
    }
    let rules = wanted.rules.unwrap_or_default().iter().map(to_aws).collect::<Result<_>>()?;
    let configuration = s3::ReplicationConfiguration::builder().set_role(wanted.role).set_rules(Some(rules)).build();
    let call = place.s3.put_bucket_replication().bucket(&place.name).replication_configuration(built(configuration)?);
    let answer = call.send().await.map_err(place.failed("PutBucketReplication"));
    answer.map(drop).map_err(|error| match error.code {
        // The role may have been made a moment ago, and is not known everywhere.
        Code::AccessDenied => error.transient(Retry { after: None, within: Some(PROPAGATION) }),
        _ => error,
    })
}

fn to_aws(rule: &ReplicationRule) -> Result<s3::ReplicationRule> {
    let filter = rule.filter.clone().unwrap_or_default();
    let and = filter.and.map(|and| {
        let tags =
            and.tag_filters.map(|tags| tags.iter().map(TagFilter::to_aws).collect::<Result<Vec<_>>>()).transpose()?;
        Ok(s3::ReplicationRuleAndOperator::builder().set_prefix(and.prefix).set_tags(tags).build())
    });
    let filter = s3::ReplicationRuleFilter::builder()
        .set_prefix(filter.prefix)
        .set_tag(filter.tag_filter.as_ref().map(TagFilter::to_aws).transpose()?)
        .set_and(and.transpose()?)
        .build();
    let status = |switch: &Option<Switch>| switch.as_ref().and_then(|switch| switch.status.clone());
    let criteria = rule.source_selection_criteria.as_ref().map(|criteria| {
        let encrypted = status(&criteria.sse_kms_encrypted_objects)
            .map(|status| built(s3::SseKmsEncryptedObjects::builder().status(status.as_str().into()).build()));
        let modified = status(&criteria.replica_modifications)
            .map(|status| built(s3::ReplicaModifications::builder().status(status.as_str().into()).build()));
        Ok(s3::SourceSelectionCriteria::builder()
            .set_sse_kms_encrypted_objects(encrypted.transpose()?)
            .set_replica_modifications(modified.transpose()?)
            .build())
    });
    let markers = status(&rule.delete_marker_replication);
    let markers = s3::DeleteMarkerReplication::builder().set_status(markers.as_deref().map(Into::into)).build();
    let rule = s3::ReplicationRule::builder()
        .set_id(rule.id.clone())
        .set_priority(rule.priority.map(number))
        .set_status(rule.status.as_deref().map(Into::into))
        .filter(filter)
        .delete_marker_replication(markers)
        .set_source_selection_criteria(criteria.transpose()?)
        .destination(destination_to_aws(rule.destination.clone().unwrap_or_default())?);
    built(rule.build())
}

fn destination_to_aws(destination: ReplicationDestination) -> Result<s3::Destination> {
    let minutes = |time: Option<ReplicationTimeValue>| {
        let minutes = time.and_then(|time| time.minutes).map(number);
        minutes.map(|minutes| s3::ReplicationTimeValue::builder().minutes(minutes).build())
    };
    let owner = destination.access_control_translation.and_then(|translation| translation.owner);
    let owner = owner.map(|owner| built(s3::AccessControlTranslation::builder().owner(owner.as_str().into()).build()));
    let key = destination.encryption_configuration.map(|encryption| {
        s3::EncryptionConfiguration::builder().set_replica_kms_key_id(encryption.replica_kms_key_id).build()
    });
    let time = destination.replication_time.map(|time| {
        let status = time.status.as_deref().map(Into::into);
        built(s3::ReplicationTime::builder().set_status(status).set_time(minutes(time.time)).build())
    });
    let metrics = destination.metrics.map(|metrics| {
        let status = metrics.status.as_deref().map(Into::into);
        built(s3::Metrics::builder().set_status(status).set_event_threshold(minutes(metrics.event_threshold)).build())
    });
    let destination = s3::Destination::builder()
        .set_bucket(destination.bucket)
        .set_account(destination.account)
        .set_storage_class(destination.storage_class.as_deref().map(Into::into))
        .set_access_control_translation(owner.transpose()?)
        .set_encryption_configuration(key)
        .set_replication_time(time.transpose()?)
        .set_metrics(metrics.transpose()?);
    built(destination.build())
}

fn from_aws(rule: s3::ReplicationRule) -> ReplicationRule {
    let switch = |status: &str| Some(Switch { status: Some(status.to_owned()) });
    // A rule of the first version has its prefix outside of the filter.
    #[allow(deprecated, reason = "so do rules that were made before 2018")]
    let prefix = rule.prefix;
    let filter = rule.filter.map(|filter| ReplicationRuleFilter {
        prefix: filter.prefix,
        tag_filter: filter.tag.map(TagFilter::from_aws),
        and: filter.and.map(|and| ReplicationRuleAndOperator {
            prefix: and.prefix.filter(|prefix| !prefix.is_empty()),
            tag_filters: and.tags.map(|tags| tags.into_iter().map(TagFilter::from_aws).collect()),
        }),
    });
    ReplicationRule {
        id: rule.id,
        priority: rule.priority.and_then(|priority| priority.try_into().ok()),
        status: Some(rule.status.as_str().to_owned()),
        filter: filter
            .or_else(|| prefix.map(|prefix| ReplicationRuleFilter { prefix: Some(prefix), ..Default::default() })),
        destination: rule.destination.map(destination_from_aws),
        delete_marker_replication: rule
            .delete_marker_replication
            .and_then(|markers| markers.status)
            .and_then(|status| switch(status.as_str())),
        source_selection_criteria: rule.source_selection_criteria.map(|criteria| SourceSelectionCriteria {
            sse_kms_encrypted_objects: criteria.sse_kms_encrypted_objects.and_then(|of| switch(of.status.as_str())),
            replica_modifications: criteria.replica_modifications.and_then(|of| switch(of.status.as_str())),
        }),
    }
}

fn destination_from_aws(destination: s3::Destination) -> ReplicationDestination {
    let minutes = |time: Option<s3::ReplicationTimeValue>| {
        let minutes = time.and_then(|time| time.minutes).and_then(|minutes| minutes.try_into().ok());
        minutes.map(|minutes| ReplicationTimeValue { minutes: Some(minutes) })
    };
    ReplicationDestination {
        bucket: Some(destination.bucket),
        account: destination.account,
        storage_class: destination.storage_class.map(|class| class.as_str().to_owned()),
        access_control_translation: destination
            .access_control_translation
            .map(|translation| AccessControlTranslation { owner: Some(translation.owner.as_str().to_owned()) }),
        encryption_configuration: destination
            .encryption_configuration
            .map(|encryption| EncryptionConfiguration { replica_kms_key_id: encryption.replica_kms_key_id }),
        replication_time: destination
            .replication_time
            .map(|time| ReplicationTime { status: Some(time.status.as_str().to_owned()), time: minutes(time.time) }),
        metrics: destination.metrics.map(|metrics| Metrics {
            status: Some(metrics.status.as_str().to_owned()),
            event_threshold: minutes(metrics.event_threshold),
        }),
    }
}
