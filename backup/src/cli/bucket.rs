//! A bucket as a whole: its listing, and what S3's refusals mean to a program that lists and writes.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::EncodingType,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::far;
use crate::{
    Error, Reason, Result,
    event::{Change, Kind, decode_key},
    retry::Retries,
    source::root_cause,
};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key, decoded.
    pub(crate) key: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Without its quotes; None where an inventory has none.
    pub(crate) etag: Option<String>,
    /// The version, where the listing says.
    pub(crate) version: Option<String>,
    /// The storage class.
    pub(crate) class: String,
}

impl Entry {
    /// The object as if it had just been written.
    pub(crate) fn change(&self, bucket: &str) -> Change {
        Change { version: self.version.clone(), size: Some(self.size), ..created(bucket, &self.key) }
    }
}

/// That there is an object, of which nothing else is known.
pub(crate) fn created(bucket: &str, key: &str) -> Change {
    Change {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: None,
        sequencer: None,
        kind: Kind::Created,
        size: None,
        region: None,
        time: None,
    }
}

/// What a listing begins with and goes on from.
struct Place {
    key: Option<String>,
    version: Option<String>,
}

/// The objects of a bucket under a prefix, in the order of their keys. `versions`: the current version of each is listed, with
/// its id, which takes a listing of all versions.
pub(crate) fn list(
    client: Client,
    retries: Retries,
    bucket: String,
    prefix: String,
    versions: bool,
) -> impl Stream<Item = Result<Entry>> {
    let first = Some(Place { key: None, version: None });
    stream::try_unfold(first, move |place| {
        let (client, bucket, prefix) = (client.clone(), bucket.clone(), prefix.clone());
        async move {
            let Some(place) = place else { return Ok(None) };
            let page = match versions {
                true => retries.run(far(), || list_versions(&client, &bucket, &prefix, &place)).await,
                false => retries.run(far(), || list_objects(&client, &bucket, &prefix, &place)).await,
            };
            page.map(Some).map_err(|error| error.about(&format!("listing s3://{bucket}/{prefix}")))
        }
    })
    .map_ok(|entries| stream::iter(entries.into_iter().map(Ok)))
    .try_flatten()
    .boxed()
}

type Page = (Vec<Entry>, Option<Place>);

async fn list_objects(client: &Client, bucket: &str, prefix: &str, place: &Place) -> Result<Page> {
    let answer = client
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .encoding_type(EncodingType::Url)
        .set_continuation_token(place.key.clone())
        .send()
        .await
        .map_err(|error| refused(&error, LIST))?;
    let encoded = answer.encoding_type() == Some(&EncodingType::Url);
    let entries = answer.contents().iter().filter_map(|object| {
        Some(Entry {
            key: object.key()?.to_owned(),
            size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            etag: object.e_tag().map(unquoted),
            version: None,
            class: object.storage_class().map_or("STANDARD", |class| class.as_str()).to_owned(),
        })
    });
    let entries = entries.map(|entry| decoded(entry, encoded)).collect::<Result<_>>()?;
    let next = answer.next_continuation_token().filter(|_| answer.is_truncated() == Some(true));
    Ok((entries, next.map(|token| Place { key: Some(token.to_owned()), version: None })))
}

async fn list_versions(client: &Client, bucket: &str, prefix: &str, place: &Place) -> Result<Page> {
    let answer = client
        .list_object_versions()
        .bucket(bucket)
        .prefix(prefix)
        .encoding_type(EncodingType::Url)
        .set_key_marker(place.key.clone())
        .set_version_id_marker(place.version.clone())
        .send()
        .await
        .map_err(|error| refused(&error, LIST_VERSIONS))?;
    let encoded = answer.encoding_type() == Some(&EncodingType::Url);
    let current = answer.versions().iter().filter(|version| version.is_latest() == Some(true));
    let entries = current.filter_map(|version| {
        Some(Entry {
            key: version.key()?.to_owned(),
            size: version.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            etag: version.e_tag().map(unquoted),
            // What is from before the bucket had versions is read without one.
            version: version.version_id().filter(|id| *id != "null").map(str::to_owned),
            class: version.storage_class().map_or("STANDARD", |class| class.as_str()).to_owned(),
        })
    });
    let entries = entries.map(|entry| decoded(entry, encoded)).collect::<Result<_>>()?;
    let next = match (answer.is_truncated(), answer.next_key_marker()) {
        (Some(true), Some(key)) => Some(Place {
            key: Some(if encoded { decode_key(key)? } else { key.to_owned() }),
            version: answer.next_version_id_marker().map(str::to_owned),
        }),
        _ => None,
    };
    Ok((entries, next))
}

/// Keys that XML cannot carry come URL-encoded, if the service does as it is asked.
fn decoded(entry: Entry, encoded: bool) -> Result<Entry> {
    match encoded {
        true => Ok(Entry { key: decode_key(&entry.key)?, ..entry }),
        false => Ok(entry),
    }
}

fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

const LIST: &str = "it takes the permission s3:ListBucket";
const LIST_VERSIONS: &str = "it takes the permission s3:ListBucketVersions";

/// What S3's answer means, with what may be missing where it is forbidden.
pub(crate) fn refused<E: ProvideErrorMetadata + std::error::Error + 'static>(
    error: &SdkError<E, HttpResponse>,
    permission: &str,
) -> Error {
    let SdkError::ServiceError(refusal) = error else {
        return match is_without_credentials(error) {
            true => Error::new(Reason::SourceForbidden, format!("there are no AWS credentials: {}", root_cause(error))),
            false => Error::new(Reason::Network, format!("S3 is not reachable: {}", root_cause(error))),
        };
    };
    let status = refusal.raw().status().as_u16();
    let code = refusal.err().code().unwrap_or("no code");
    let (reason, advice) = match (status, code) {
        (_, "NoSuchBucket") => (Reason::SourceRefused, "the bucket does not exist"),
        (_, "BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch") => {
            (Reason::Checksum, "the bytes that arrived do not have the checksum that was recorded")
        }
        (409, "ConditionalRequestConflict") | (412, _) => {
            (Reason::Conflict, "somebody else wrote the object meanwhile")
        }
        (404, _) => (Reason::Gone, "it is not there"),
        (401 | 403, _) => (Reason::SourceForbidden, permission),
        (301 | 307, _) | (400, "AuthorizationHeaderMalformed") => {
            (Reason::SourceRefused, "the bucket is in another region: say --region")
        }
        (429 | 503, _) => (Reason::Throttled, "S3 asks to slow down"),
        (408 | 500.., _) | (400, "RequestTimeout" | "InternalError" | "SlowDown") => (Reason::Unavailable, "S3 failed"),
        _ => (Reason::SourceRefused, "S3 refused the request"),
    };
    let said = refusal.err().message().unwrap_or_default();
    let request_id = refusal.raw().headers().get("x-amz-request-id").unwrap_or_default();
    Error::new(reason, format!("{advice}: {said} (HTTP {status}, {code}, request id {request_id})"))
}

fn is_without_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.into_iter().any(|cause| cause.is::<CredentialsError>())
}
