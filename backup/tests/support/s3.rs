//! Versioned buckets: GET and HEAD with versions, ranges, conditions and checksums; tags.

mod write;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{Response as Http, request::Parts},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{
    faults::{Faults, through},
    lock, noise, serve, serve_tls,
};

/// What an object consists of.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    /// So many bytes of one pattern, made when they are read.
    Sparse(u64),
}

/// The pattern's period, in bytes.
pub(crate) const PERIOD: usize = 1 << 20;

impl Content {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Sparse(size) => *size,
        }
    }
}

/// One version of an object.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) id: Option<String>,
    pub(crate) content: Content,
    pub(crate) etag: String,
    pub(crate) modified: OffsetDateTime,
    /// Every header of its answer beside the usual ones.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// A delete marker.
    pub(crate) marker: bool,
    /// How S3 refuses to read it: status, code, message.
    pub(crate) refusal: Option<(u16, &'static str, &'static str)>,
}

impl Version {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let etag = Sha256::digest(&bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let mut version = Self {
            id: None,
            content: Content::Bytes(bytes.clone()),
            etag,
            modified: OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap(),
            headers: BTreeMap::from([("content-type".to_owned(), "binary/octet-stream".to_owned())]),
            tags: BTreeMap::new(),
            marker: false,
            refusal: None,
        };
        version.checksum("crc64nvme", &STANDARD.encode(crc_fast::crc64_nvme(&bytes).to_be_bytes()), "FULL_OBJECT");
        version
    }

    pub(crate) fn sparse(size: u64) -> Self {
        Self { content: Content::Sparse(size), headers: BTreeMap::new(), ..Self::new("") }
    }

    /// Replaces the stored checksum.
    pub(crate) fn checksum(&mut self, algorithm: &str, value: &str, kind: &str) {
        self.headers.retain(|name, _| !name.starts_with("x-amz-checksum-"));
        if !algorithm.is_empty() {
            self.headers.insert(format!("x-amz-checksum-{algorithm}"), value.to_owned());
            self.headers.insert("x-amz-checksum-type".to_owned(), kind.to_owned());
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn at(mut self, seconds: i64) -> Self {
        self.modified = OffsetDateTime::from_unix_timestamp(1_767_225_600 + seconds).unwrap();
        self
    }
}

#[derive(Clone)]
pub(crate) struct S3 {
    base: String,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    objects: Mutex<HashMap<(String, String), Vec<Version>>>,
    requests: Mutex<Vec<String>>,
    faults: Faults,
    uploads: write::Uploads,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let served = inner.clone();
        let address = serve(move |request| answer(served.clone(), request)).await;
        Self { base: format!("http://{address}"), inner }
    }

    /// Over HTTPS.
    pub(crate) async fn start_tls(authority: &sandbox::azure::Authority) -> Self {
        let inner = Arc::new(Inner::default());
        let served = inner.clone();
        let address = serve_tls(authority, move |request| answer(served.clone(), request)).await;
        Self { base: format!("https://{address}"), inner }
    }

    pub(crate) fn url(&self) -> String {
        self.base.clone()
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Adds a version, the newest.
    pub(crate) fn put(&self, bucket: &str, key: &str, version: Version) {
        let mut objects = lock(&self.inner.objects);
        let versions = objects.entry((bucket.to_owned(), key.to_owned())).or_default();
        if version.id.is_none() {
            versions.clear();
        }
        versions.push(version);
    }

    /// Removes a version, or everything.
    pub(crate) fn remove(&self, bucket: &str, key: &str, id: Option<&str>) {
        let mut objects = lock(&self.inner.objects);
        if let Some(versions) = objects.get_mut(&(bucket.to_owned(), key.to_owned())) {
            versions.retain(|version| id.is_some() && version.id.as_deref() != id);
        }
    }

    pub(crate) fn change(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Version)) {
        let mut objects = lock(&self.inner.objects);
        change(objects.get_mut(&(bucket.to_owned(), key.to_owned())).unwrap().last_mut().unwrap());
    }

    /// Method and path with query of every request since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.inner.requests))
    }
}

async fn answer(inner: Arc<Inner>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    lock(&inner.requests).push(line.clone());
    let fault = inner.faults.draw(&line);
    let busy = refuse(&line, 503, "SlowDown", "Please reduce your request rate.");
    through(fault, busy, async move { write::serve(&inner, request).await }).await
}

fn refuse(line: &str, status: u16, code: &str, message: &str) -> Response {
    let body = match line.starts_with("HEAD") {
        true => String::new(),
        false => format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"),
    };
    Http::builder().status(status).header("x-amz-request-id", "S3REQUEST").body(Body::from(body)).unwrap()
}

fn read(inner: &Inner, request: &Parts) -> Response {
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let line = format!("{} {}", request.method, request.uri);
    let query = request.uri.query().unwrap_or_default();
    let signed = header("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 Credential=id/"));
    if !signed && !query.contains("X-Amz-Signature=") {
        return refuse(&line, 403, "AccessDenied", "unsigned");
    }
    let (bucket, key) = request.uri.path()[1..].split_once('/').unwrap();
    let key = percent_decode_str(key).decode_utf8().unwrap().into_owned();
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let objects = lock(&inner.objects);
    let versions = objects.get(&(bucket.to_owned(), key)).map(Vec::as_slice).unwrap_or_default();
    let id = parameter("versionId").map(|id| percent_decode_str(id).decode_utf8().unwrap().into_owned());
    let found = match &id {
        None => versions.last().filter(|version| !version.marker),
        Some(id) => versions.iter().find(|version| version.id.as_ref() == Some(id)),
    };
    let Some(version) = found else {
        let code = if id.is_some() { "NoSuchVersion" } else { "NoSuchKey" };
        return refuse(&line, 404, code, "The specified key does not exist.");
    };
    if version.marker {
        return refuse(&line, 405, "MethodNotAllowed", "a delete marker");
    }
    let is_head = request.method == "HEAD";
    match version.refusal {
        // An archived object can be described.
        Some((_, "InvalidObjectState", _)) if is_head => {}
        Some((status, code, message)) => return refuse(&line, status, code, message),
        None => {}
    }
    if query.split('&').any(|part| part == "tagging") {
        let tags = version.tags.iter().map(|(key, value)| {
            let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
            format!("<Tag><Key>{}</Key><Value>{}</Value></Tag>", escape(key), escape(value))
        });
        let body = format!("<?xml version=\"1.0\"?><Tagging><TagSet>{}</TagSet></Tagging>", tags.collect::<String>());
        return Http::builder().body(Body::from(body)).unwrap();
    }
    if header("if-match").is_some_and(|etag| etag.trim_matches('"') != version.etag) {
        return refuse(&line, 412, "PreconditionFailed", "the object is another one");
    }
    let size = version.content.size();
    let (first, last, status) = match header("range") {
        None => (0, size, 200),
        Some(range) => {
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (first.parse().unwrap(), (last.parse::<u64>().unwrap() + 1).min(size), 206)
        }
    };
    let mut answer = Http::builder()
        .status(status)
        .header("etag", format!("\"{}\"", version.etag))
        .header("last-modified", version.modified.format(&Rfc2822).unwrap().replace("+0000", "GMT"))
        .header("content-length", last - first);
    if status == 206 {
        answer = answer.header("content-range", format!("bytes {first}-{}/{size}", last - 1));
    }
    if let Some(id) = &version.id {
        answer = answer.header("x-amz-version-id", id);
    }
    if !version.tags.is_empty() {
        answer = answer.header("x-amz-tagging-count", version.tags.len());
    }
    let with_checksums = header("x-amz-checksum-mode").is_some() && status == 200;
    for (name, value) in &version.headers {
        if with_checksums || !name.starts_with("x-amz-checksum-") {
            answer = answer.header(name, value.as_bytes());
        }
    }
    let body = match &version.content {
        _ if is_head => Body::empty(),
        Content::Bytes(bytes) => Body::from(bytes.slice(first as usize..last as usize)),
        Content::Sparse(_) => Body::from_stream(pattern(first, last)),
    };
    answer.body(body).unwrap()
}

/// The pattern from one offset to another.
fn pattern(first: u64, last: u64) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    static PATTERN: std::sync::LazyLock<Bytes> = std::sync::LazyLock::new(|| noise(7, 0, PERIOD).into());
    const PIECE: u64 = 64 << 10;
    futures::stream::unfold(first, move |at| async move {
        if at == last {
            return None;
        }
        let within = (at % PERIOD as u64) as usize;
        let length = PIECE.min(last - at).min((PERIOD - within) as u64);
        Some((Ok(PATTERN.slice(within..within + length as usize)), at + length))
    })
}

/// CRC64NVME of so many bytes of the pattern.
pub(crate) fn pattern_crc(size: u64) -> u64 {
    let whole = noise(7, 0, PERIOD);
    let algorithm = crc_fast::CrcAlgorithm::Crc64Nvme;
    let (mut sum, mut power, mut length) = (0, crc_fast::crc64_nvme(&whole), PERIOD as u64);
    let mut periods = size / PERIOD as u64;
    // Doubling: as for powers.
    while periods > 0 {
        if periods & 1 == 1 {
            sum = crc_fast::checksum_combine(algorithm, sum, power, length);
        }
        power = crc_fast::checksum_combine(algorithm, power, power, length);
        length *= 2;
        periods >>= 1;
    }
    let rest = &whole[..(size % PERIOD as u64) as usize];
    crc_fast::checksum_combine(algorithm, sum, crc_fast::crc64_nvme(rest), rest.len() as u64)
}
