//! S3, as the backup reads it: pinned to a version, in ranges, with the checksums that S3 stored.
//!
//! Requests are signed and sent one by one, without the SDK's operations around them: for small objects those take four times
//! the CPU of the request itself, and URL libraries that resolve `..` in a path cannot reach every key.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use azure_core::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{
    Error, Reason, Result,
    checksum::{Algorithm, Stored},
    connection::{Answered, Driver},
    event::Change,
    signature::Signer,
    tags::Tags,
    transport::{self, Http, Payload},
};

type Answer = http::Response<Answered>;

/// What a signature leaves as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// The same for a query's value.
const VALUE: &AsciiSet = &PATH.add(b'/');

/// What S3 says of an object besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Bytes of the whole object.
    pub size: u64,
    /// Without its quotes.
    pub etag: String,
    /// None in a bucket without versions; `null` for an object from before it had them.
    pub version: Option<String>,
    /// To the second.
    pub modified: OffsetDateTime,
    /// `STANDARD` where S3 says nothing.
    pub class: String,
    /// Headers that describe the object, by their names in lower case: [`HEADERS`].
    pub headers: BTreeMap<String, String>,
    /// User metadata, by name without `x-amz-meta-`.
    pub user: BTreeMap<String, String>,
    /// How many tags it has.
    pub tag_count: u32,
    /// The checksum that S3 stored.
    pub stored: Option<Stored>,
    /// Whether it is archived and not restored, so that its bytes cannot be read.
    pub archived: bool,
}

/// The headers of an object that are kept.
pub const HEADERS: [&str; 13] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-missing-meta",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-website-redirect-location",
];

/// Reads objects with one role.
#[derive(Debug)]
pub struct Source {
    http: Http,
    credentials: SharedCredentialsProvider,
    region: String,
    endpoint: Option<String>,
    signer: Signer,
}

/// The bytes of an object or of a range of it, as they come.
#[derive(Debug)]
pub struct Body {
    stream: Answered,
    left: u64,
    patience: Duration,
}

impl Body {
    /// The next bytes; None at the end, which is where S3 said that it would be.
    ///
    /// # Errors
    /// `Network`: the connection was cut or has gone silent.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let next = tokio::time::timeout(self.patience, poll_fn(|context| self.poll_next(context))).await;
        next.unwrap_or_else(|_| Err(cut("it has gone silent")))
    }

    /// The same for whoever minds the time.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let next = match ready!(transport::poll_next(&mut self.stream, context)) {
            Ok(next) => next,
            Err(why) => return Poll::Ready(Err(cut(&why))),
        };
        let length = next.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Poll::Ready(match self.left.checked_sub(length) {
            None => Err(cut("it sent more bytes than it said")),
            Some(left) if left > 0 && next.is_none() => Err(cut(&format!("{left} bytes too early"))),
            Some(left) => {
                self.left = left;
                Ok(next)
            }
        })
    }

    /// Bytes that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

impl Source {
    /// Reads buckets of this region where an event names no other.
    ///
    /// `endpoint` replaces AWS's own addresses. Sends nothing.
    pub fn new(
        credentials: SharedCredentialsProvider,
        region: impl Into<String>,
        endpoint: Option<String>,
        http: Http,
    ) -> Self {
        let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Self { http, credentials, region: region.into(), endpoint, signer: Signer::default() }
    }

    /// An object's description and its bytes.
    ///
    /// # Errors
    /// What stands in the way: archived, gone, forbidden, unreachable.
    pub async fn get(&self, change: &Change) -> Result<(Object, Body)> {
        let answer =
            self.send("GET", change, "", &[("x-amz-checksum-mode", "ENABLED".to_owned())], Driver::Task).await?;
        let object = object(&answer, change)?;
        let body = self.body(answer, object.size);
        Ok((object, body))
    }

    /// Bytes `offset..offset + length` of the object that was described.
    ///
    /// # Errors
    /// As [`Source::get`]; `SourceChanged` if it was overwritten since.
    pub async fn range(&self, change: &Change, object: &Object, offset: u64, length: u64) -> Result<Body> {
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let answer = self
            .send("GET", change, "", &[("range", range), ("if-match", format!("\"{}\"", object.etag))], Driver::Reader)
            .await?;
        if answer.status().as_u16() != 206 {
            return Err(Error::new(Reason::SourceRefused, "S3 did not answer with the range that was asked for"));
        }
        // The only word on the size beside the description's own: without a stored checksum nothing else would show that one
        // of them is wrong.
        let total = header(&answer, "content-range").and_then(|range| range.rsplit('/').next()?.parse::<u64>().ok());
        if total != Some(object.size) {
            let message = format!("S3 said that the object has {} bytes, and now {total:?}", object.size);
            return Err(Error::new(Reason::SourceChanged, message));
        }
        Ok(self.body(answer, length))
    }

    /// An object's description.
    ///
    /// # Errors
    /// As [`Source::get`], without S3's own words: the answer to a HEAD has none.
    pub async fn head(&self, change: &Change) -> Result<Object> {
        let answer =
            self.send("HEAD", change, "", &[("x-amz-checksum-mode", "ENABLED".to_owned())], Driver::Task).await?;
        object(&answer, change)
    }

    /// An object's tags.
    ///
    /// # Errors
    /// As [`Source::get`]. It takes the permissions `s3:GetObjectTagging` and `s3:GetObjectVersionTagging`.
    pub async fn tags(&self, change: &Change) -> Result<Tags> {
        let answer = self.send("GET", change, "tagging", &[], Driver::Task).await?;
        let body = self.all(answer).await?;
        let tagging: Tagging = azure_core::xml::from_xml(&body).map_err(|error| {
            Error::new(Reason::SourceRefused, format!("S3's list of tags is not readable: {error}"))
        })?;
        Ok(tagging.set.tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    /// An address from which anybody can read the object without credentials, for this long.
    ///
    /// # Errors
    /// `SourceForbidden`: no credentials.
    pub async fn presign(&self, change: &Change, valid: Duration) -> Result<String> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(valid);
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let mut request = self.request("GET", change, "", &[])?;
        let identity: Identity = self.credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region(change))
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| unsendable(&error))?
            .into();
        let uri = request.uri().to_string();
        let signable = SignableRequest::new("GET", uri, std::iter::empty(), SignableBody::UnsignedPayload)
            .map_err(|error| unsendable(&error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| unsendable(&error))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request.uri().to_string())
    }

    async fn send(
        &self,
        method: &'static str,
        change: &Change,
        resource: &str,
        headers: &[(&'static str, String)],
        driver: Driver,
    ) -> Result<Answer> {
        let mut request = self.request(method, change, resource, headers)?;
        let credentials = self.credentials().await?;
        self.signer
            .sign(&mut request, &credentials, self.region(change), SystemTime::now())
            .map_err(|error| unsendable(&error))?;
        let unreachable = |why| Error::new(Reason::Network, format!("S3 is not reachable: {why}"));
        let answer = self.http.send(request, driver).await.map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let request_id = header(&answer, "x-amz-request-id").unwrap_or_default().to_owned();
        let retry_after = header(&answer, "retry-after").and_then(|after| after.parse().ok()).map(Duration::from_secs);
        let is_marker = header(&answer, "x-amz-delete-marker") == Some("true");
        let body = self.all(answer).await.unwrap_or_default();
        let said: Refusal = azure_core::xml::from_xml(&body).unwrap_or_default();
        Err(Error { retry_after, ..refused(status, &said, is_marker, &request_id, change) })
    }

    fn request(
        &self,
        method: &'static str,
        change: &Change,
        resource: &str,
        headers: &[(&'static str, String)],
    ) -> Result<http::Request<Payload>> {
        let region = self.region(change);
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let bucket = &change.bucket;
        let base = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}"),
            // The certificate of the virtual host does not cover a dot.
            None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com{suffix}/{bucket}"),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}"),
        };
        let version =
            change.version.as_ref().map(|version| format!("versionId={}", utf8_percent_encode(version, VALUE)));
        let query = [(!resource.is_empty()).then(|| resource.to_owned()), version];
        let query = query.into_iter().flatten().collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        let uri = format!("{base}/{}{mark}{query}", utf8_percent_encode(&change.key, PATH));
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.body(Payload::default()).map_err(|error| unsendable(&error))
    }

    async fn credentials(&self) -> Result<Credentials> {
        self.credentials.provide_credentials().await.map_err(|error| {
            Error::new(Reason::SourceForbidden, format!("there are no AWS credentials: {}", root_cause(&error)))
        })
    }

    fn region<'a>(&'a self, change: &'a Change) -> &'a str {
        change.region.as_deref().unwrap_or(&self.region)
    }

    fn body(&self, answer: Answer, length: u64) -> Body {
        Body { stream: answer.into_body(), left: length, patience: self.http.patience() }
    }

    async fn all(&self, answer: Answer) -> Result<Vec<u8>> {
        transport::all(answer.into_body(), self.http.patience()).await.map_err(|why| cut(&why))
    }
}

/// A header's value; None if there is none, or it is no text.
fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    std::str::from_utf8(answer.headers().get(name)?.as_bytes()).ok()
}

fn object(answer: &Answer, change: &Change) -> Result<Object> {
    let header = |name: &str| header(answer, name);
    let unreadable = |what: &str| Error::new(Reason::SourceRefused, format!("S3's answer has no readable {what}"));
    let class = header("x-amz-storage-class").unwrap_or("STANDARD").to_owned();
    let restored = header("x-amz-restore").is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
    let archived = matches!(class.as_str(), "GLACIER" | "DEEP_ARCHIVE") && !restored;
    let mut user = BTreeMap::new();
    let mut headers = BTreeMap::new();
    for (name, value) in answer.headers() {
        // What is not kept must at least be readable, or something would be lost in silence.
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| unreadable(name.as_str()))?;
        if let Some(name) = name.as_str().strip_prefix("x-amz-meta-") {
            user.insert(name.to_owned(), value.to_owned());
        } else if HEADERS.contains(&name.as_str()) {
            headers.insert(name.as_str().to_owned(), value.to_owned());
        }
    }
    let stored = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let value = header(algorithm.header())?.to_owned();
        // Before S3 named the type, only a composite one had the number of parts behind it.
        let full_object = header("x-amz-checksum-type").map_or(!value.contains('-'), |kind| kind == "FULL_OBJECT");
        Some(Stored { algorithm, value, full_object })
    });
    Ok(Object {
        size: header("content-length")
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| unreadable("Content-Length"))?,
        etag: header("etag").map(|etag| etag.trim_matches('"').to_owned()).ok_or_else(|| unreadable("ETag"))?,
        version: header("x-amz-version-id").map(str::to_owned).or_else(|| change.version.clone()),
        modified: header("last-modified")
            .and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok())
            .ok_or_else(|| unreadable("Last-Modified"))?,
        class,
        headers,
        user,
        tag_count: header("x-amz-tagging-count").and_then(|count| count.parse().ok()).unwrap_or_default(),
        stored,
        archived: archived || header("x-amz-archive-status").is_some(),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Tagging {
    #[serde(rename = "TagSet")]
    set: TagSet,
}

#[derive(Deserialize)]
struct TagSet {
    #[serde(rename = "Tag", default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// The one table from S3's answers to what can be done about them.
fn refused(status: u16, said: &Refusal, is_marker: bool, request_id: &str, change: &Change) -> Error {
    let (reason, advice) = match (status, said.code.as_str()) {
        (_, "InvalidObjectState") => (Reason::Archived, ARCHIVED),
        (404, "NoSuchBucket") => {
            (Reason::SourceRefused, "the bucket does not exist: look at where the event comes from")
        }
        (404, _) | (405, _) => (Reason::Gone, "nothing is left to copy"),
        (400, "InvalidRequest") if said.message.contains("Server Side Encryption") => {
            (Reason::CustomerKey, CUSTOMER_KEY)
        }
        (400, "") if !is_marker => (Reason::CustomerKey, CUSTOMER_KEY),
        (403, "RequestTimeTooSkewed") => (Reason::SourceRefused, "the clock is wrong"),
        (401 | 403, _) => (
            Reason::SourceForbidden,
            "give the role s3:GetObject, s3:GetObjectVersion, s3:GetObjectTagging and s3:GetObjectVersionTagging on the bucket's \
             objects, s3:ListBucket on the bucket, and kms:Decrypt on the key that encrypts them",
        ),
        (412, _) => (Reason::SourceChanged, "it was overwritten while it was read"),
        (429, _) | (503, _) => (Reason::Throttled, "S3 asks to slow down"),
        (408 | 500.., _) => (Reason::Unavailable, "S3 failed"),
        (400, "RequestTimeout" | "InternalError" | "SlowDown") => (Reason::Unavailable, "S3 failed"),
        (301 | 307, _) | (400, "AuthorizationHeaderMalformed") => {
            (Reason::SourceRefused, "the bucket is in another region: set AWS_REGION")
        }
        _ => (Reason::SourceRefused, "S3 refused the request"),
    };
    let object = match &change.version {
        Some(version) => format!("s3://{}/{} (version {version})", change.bucket, change.key),
        None => format!("s3://{}/{}", change.bucket, change.key),
    };
    let code = if said.code.is_empty() { "no code" } else { said.code.as_str() };
    Error::new(reason, format!("{object}: {advice} (HTTP {status}, {code}, request id {request_id})"))
}

pub(crate) const ARCHIVED: &str =
    "it is archived: restore it (aws s3api restore-object); the event of its restoration copies it";
const CUSTOMER_KEY: &str = "S3 does not read it for us without more in the request, as for objects under a customer's own key \
                            (SSE-C): copy it onto itself with SSE-KMS or SSE-S3, which needs that key, and it is backed up";

fn unsendable(error: &dyn std::error::Error) -> Error {
    Error::new(Reason::SourceRefused, format!("the request to S3 cannot be made: {}", root_cause(error)))
}

fn cut(why: &str) -> Error {
    Error::new(Reason::Network, format!("the connection to S3 was cut: {why}"))
}

/// The deepest cause's own words: the layers above it repeat themselves.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
