//! Object Lock: versions that nobody can delete before their time.

use super::Place;
use aws_sdk_s3::types as s3;
use cfn_provider::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long S3 locks each new version, where its upload does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ObjectLockConfiguration {
    /// That Object Lock is on, as ObjectLockEnabled of the bucket says.
    #[schemars(extend("enum" = ["Enabled"]))]
    pub object_lock_enabled: Option<String>,
    /// The rule; without one, only what an upload asks to be locked is locked.
    pub rule: Option<ObjectLockRule>,
}

/// The rule of Object Lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ObjectLockRule {
    /// The retention of a new version.
    #[schemars(required)]
    pub default_retention: Option<DefaultRetention>,
}

/// The retention of a new version: by days or by years.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DefaultRetention {
    /// Under `COMPLIANCE` nobody can delete a version early, not even the account's root; under `GOVERNANCE` whoever has
    /// s3:BypassGovernanceRetention can.
    #[schemars(required, extend("enum" = ["COMPLIANCE", "GOVERNANCE"]))]
    pub mode: Option<String>,
    /// How many days.
    #[schemars(range(min = 1, max = 36_500))]
    pub days: Option<u32>,
    /// How many years.
    #[schemars(range(min = 1, max = 100))]
    pub years: Option<u32>,
}

impl ObjectLockConfiguration {
    fn retention(&self) -> Option<&DefaultRetention> {
        self.rule.as_ref()?.default_retention.as_ref()
    }

    /// # Errors
    /// `InvalidRequest` with the pointer and the rule.
    pub(super) fn check(&self) -> Result<()> {
        match self.retention() {
            Some(retention) if retention.days.is_some() == retention.years.is_some() => Err(Error::invalid_request(
                "/ObjectLockConfiguration/Rule/DefaultRetention: takes one of Days and Years, and no more",
            )),
            _ => Ok(()),
        }
    }
}

impl DefaultRetention {
    /// S3 counts a year as 365 days.
    fn length(&self) -> u32 {
        self.days.unwrap_or_default() + 365 * self.years.unwrap_or_default()
    }
}

/// Refuses what S3 cannot do, and what would weaken a promise of compliance.
///
/// S3 would let a default retention shrink, since it holds for versions to come alone. Whoever chose COMPLIANCE chose what
/// nobody can weaken, so that a line of a template must not: who means it, and may, changes the bucket by S3's own command,
/// and then the template.
///
/// # Errors
/// `InvalidRequest` with the pointer and what to do.
pub(super) fn refuse_weaker(
    wanted: (Option<bool>, Option<&ObjectLockConfiguration>),
    current: (Option<bool>, Option<&ObjectLockConfiguration>),
) -> Result<()> {
    if current.0 == Some(true) && wanted.0 != Some(true) {
        return Err(Error::invalid_request(
            "/ObjectLockEnabled: S3 cannot take Object Lock off a bucket; leave it true, and remove the rule of \
             ObjectLockConfiguration to lock no more versions by default, or move to another bucket",
        ));
    }
    let retention = |lock: Option<&ObjectLockConfiguration>| lock.and_then(|lock| lock.retention()).cloned();
    let (after, before) = (retention(wanted.1), retention(current.1));
    let Some(before) = before.filter(|before| before.mode.as_deref() == Some("COMPLIANCE")) else { return Ok(()) };
    let keeps = after.is_some_and(|after| after.mode == before.mode && after.length() >= before.length());
    match keeps {
        true => Ok(()),
        false => Err(Error::invalid_request(format!(
            "/ObjectLockConfiguration/Rule/DefaultRetention: the bucket promises {} days of COMPLIANCE, and this is less; \
             if that is meant, shorten it by `aws s3api put-object-lock-configuration` first",
            before.length()
        ))),
    }
}

pub(super) async fn read(place: &Place) -> Result<(bool, Option<ObjectLockConfiguration>)> {
    let answer = place.s3.get_object_lock_configuration().bucket(&place.name).send().await;
    let found = place.setting("GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", answer)?;
    let found = found.and_then(|found| found.object_lock_configuration);
    let Some(found) = found.filter(|found| found.object_lock_enabled == Some(s3::ObjectLockEnabled::Enabled)) else {
        return Ok((false, None));
    };
    let retention = found.rule.and_then(|rule| rule.default_retention).map(|retention| DefaultRetention {
        mode: retention.mode.map(|mode| mode.as_str().to_owned()),
        days: retention.days.and_then(|days| days.try_into().ok()).filter(|days| *days > 0),
        years: retention.years.and_then(|years| years.try_into().ok()).filter(|years| *years > 0),
    });
    let rule = retention.map(|retention| ObjectLockRule { default_retention: Some(retention) });
    Ok((true, Some(ObjectLockConfiguration { object_lock_enabled: Some("Enabled".into()), rule })))
}

pub(super) async fn apply(
    place: &Place,
    wanted: (Option<bool>, Option<&ObjectLockConfiguration>),
    current: (Option<bool>, Option<&ObjectLockConfiguration>),
) -> Result<()> {
    let is_on = current.0 == Some(true);
    let retention = |lock: Option<&ObjectLockConfiguration>| lock.and_then(|lock| lock.retention()).cloned();
    let after = retention(wanted.1);
    // A rollback cannot turn it off either.
    if wanted.0 != Some(true) && !is_on || is_on && after == retention(current.1) {
        return Ok(());
    }
    let rule = after.map(|retention| {
        let days = |number: Option<u32>| number.and_then(|number| i32::try_from(number).ok());
        let retention = s3::DefaultRetention::builder()
            .set_mode(retention.mode.as_deref().map(Into::into))
            .set_days(days(retention.days))
            .set_years(days(retention.years))
            .build();
        s3::ObjectLockRule::builder().default_retention(retention).build()
    });
    let enabled = s3::ObjectLockEnabled::Enabled;
    let configuration = s3::ObjectLockConfiguration::builder().object_lock_enabled(enabled).set_rule(rule).build();
    let call = place.s3.put_object_lock_configuration().bucket(&place.name).object_lock_configuration(configuration);
    call.send().await.map_err(place.failed("PutObjectLockConfiguration")).map(drop)
}
