//! What a bucket holds, and how it is emptied when the template says so.

use super::{Place, built};
use crate::provider::code_of;
use aws_sdk_s3::types as s3;
use aws_smithy_types::date_time::Format;
use cfn_provider::{Error, HandlerErrorCode as Code, Result, Retry};
use std::time::Duration;
use tokio::time::Instant;

/// What of an invocation's time is left for the answer, and for a page that is under way.
const RESERVE: Duration = Duration::from_secs(20);

/// Refuses a bucket that holds anything.
///
/// # Errors
/// `InvalidRequest` with what there is and what to do.
pub(super) async fn refuse_if_not_empty(place: &Place) -> Result<()> {
    let page = page(place).await?;
    let counts = [
        (page.versions().iter().filter(|version| version.is_latest == Some(true)).count(), "object"),
        (page.versions().iter().filter(|version| version.is_latest != Some(true)).count(), "earlier version"),
        (page.delete_markers().len(), "delete marker"),
    ];
    let many = |(count, what): &(usize, &str)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" });
    let held: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(many).collect();
    if held.is_empty() {
        return Ok(());
    }
    let least = if page.is_truncated == Some(true) { "at least " } else { "" };
    Err(Error::invalid_request(format!(
        "the bucket {} in {} still holds {least}{}, which would be lost; move them, or set EmptyOnDelete to true to delete \
         them with it",
        place.name,
        place.region,
        held.join(", ")
    )))
}

/// Deletes versions and delete markers, page by page, while the invocation has time. Returns whether nothing is left.
///
/// # Errors
/// `ResourceConflict` where Object Lock keeps a version, which nothing here goes round; `AccessDenied`; what may pass is
/// transient, and the next attempt goes on where this one ended, since what is deleted is no longer listed.
pub(super) async fn purge(place: &Place, deadline: Instant) -> Result<bool> {
    while Instant::now() + RESERVE < deadline {
        let page = page(place).await?;
        let versions = page.versions.unwrap_or_default().into_iter().map(|version| (version.key, version.version_id));
        let markers = page.delete_markers.unwrap_or_default().into_iter().map(|marker| (marker.key, marker.version_id));
        let held = versions
            .chain(markers)
            .map(|(key, version)| built(s3::ObjectIdentifier::builder().set_key(key).set_version_id(version).build()));
        let held: Vec<s3::ObjectIdentifier> = held.collect::<Result<_>>()?;
        if held.is_empty() {
            return Ok(true);
        }
        let delete = built(s3::Delete::builder().set_objects(Some(held)).quiet(true).build())?;
        let deleted = place.s3.delete_objects().bucket(&place.name).delete(delete).send().await;
        let deleted = deleted.map_err(place.failed("DeleteObjects"))?;
        if let Some(error) = deleted.errors().first() {
            return Err(refused(place, error, deleted.errors().len()).await);
        }
    }
    Ok(false)
}

async fn page(place: &Place) -> Result<aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput> {
    let call = place.s3.list_object_versions().bucket(&place.name).max_keys(1_000);
    call.send().await.map_err(place.failed("ListObjectVersions"))
}

/// Why a version stayed.
async fn refused(place: &Place, error: &s3::Error, more: usize) -> Error {
    let (key, version) = (error.key().unwrap_or_default(), error.version_id());
    let which = version.map(|version| format!(" (version {version})")).unwrap_or_default();
    let others = if more > 1 { format!(", and {} more of the same page", more - 1) } else { String::new() };
    let about = format!("s3:DeleteObjects {} in {}: {key:?}{which}{others}", place.name, place.region);
    let (code, said) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    match code {
        "AccessDenied" => match lock(place, key, version, said).await {
            Some(lock) => Error::new(
                Code::ResourceConflict,
                format!("{about} is locked: {lock}; wait until then, or lift it, and delete again"),
            ),
            None => Error::new(
                Code::AccessDenied,
                format!(
                    "{about}: {said} ({code}); allow s3:DeleteObjectVersion to the execution role, and look for a policy of \
                     the bucket or of the organisation that denies it"
                ),
            ),
        },
        "InternalError" | "ServiceUnavailable" | "SlowDown" => {
            Error::new(Code::ServiceInternalError, format!("{about}: {said} ({code})")).transient(Retry::default())
        }
        _ => Error::new(Code::GeneralServiceException, format!("{about}: {said} ({code})")),
    }
}

/// What keeps a version from being deleted, as far as the execution role may know beside what S3 `said`.
async fn lock(place: &Place, key: &str, version: Option<&str>, said: &str) -> Option<String> {
    let version = || version.map(str::to_owned);
    let hold = place.s3.get_object_legal_hold().bucket(&place.name).key(key).set_version_id(version()).send().await;
    let is_held = hold
        .is_ok_and(|found| found.legal_hold.and_then(|hold| hold.status) == Some(s3::ObjectLockLegalHoldStatus::On));
    let retention = place.s3.get_object_retention().bucket(&place.name).key(key).set_version_id(version()).send().await;
    let retention = match retention {
        Ok(found) => found.retention,
        Err(error) => {
            tracing::debug!(code = ?code_of(&error), "no retention is known of the version");
            None
        }
    };
    let until = retention.and_then(|retention| {
        let until = retention.retain_until_date?.fmt(Format::DateTime).ok()?;
        Some(format!("{} until {until}", retention.mode?.as_str()))
    });
    let parts: Vec<String> = is_held.then(|| "a legal hold".to_owned()).into_iter().chain(until).collect();
    match parts.is_empty() {
        true => said.contains("object lock").then(|| "by Object Lock".to_owned()),
        false => Some(parts.join(", and ")),
    }
}
