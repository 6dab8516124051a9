//! One container: block blobs with blocks, conditions, checksums, metadata, tags and tiers, as strict as Azure is.

mod list;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::Response as Http,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::StreamExt as _;
use percent_encoding::percent_decode_str;

use super::{
    faults::{Faults, through},
    http, lock, serve, serve_tls,
};

/// A committed blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) etag: String,
    pub(crate) content: Bytes,
    /// Its size, also where the content was not kept.
    pub(crate) size: u64,
    pub(crate) crc64: u64,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) tier: Option<String>,
    /// How many times it was written.
    pub(crate) writes: u32,
}

#[derive(Clone, Debug)]
struct Block {
    content: Bytes,
    size: u64,
    crc64: u64,
}

#[derive(Debug, Default)]
struct Slot {
    committed: Option<Blob>,
    uncommitted: BTreeMap<Vec<u8>, Block>,
}

#[derive(Clone)]
pub(crate) struct Azure {
    base: String,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    blobs: Mutex<HashMap<String, Slot>>,
    requests: Mutex<Vec<String>>,
    faults: Faults,
    etags: AtomicU64,
    versions: list::Versions,
    /// Blobs that are refused, by name.
    refusals: Mutex<HashMap<String, Refused>>,
    /// Whether the bytes of blocks are thrown away.
    discard: std::sync::atomic::AtomicBool,
    /// How many blocks more arrive with a wrong bit.
    flips: AtomicU64,
    mute: AtomicBool,
    /// Whether it can read from other addresses.
    reaches: std::sync::atomic::AtomicBool,
}

impl Azure {
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

    pub(crate) fn container_url(&self) -> String {
        format!("{}/container", self.base)
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Refuses every request for this blob.
    pub(crate) fn refuse(&self, name: &str, status: u16, code: &'static str) {
        lock(&self.inner.refusals).insert(name.to_owned(), (status, code));
    }

    pub(crate) fn allow(&self) {
        lock(&self.inner.refusals).clear();
    }

    pub(crate) fn discard(&self) {
        self.inner.discard.store(true, Ordering::Relaxed);
    }

    /// Lets it read from other addresses.
    pub(crate) fn reach(&self) {
        self.inner.reaches.store(true, Ordering::Relaxed);
    }

    /// Answers no longer say which CRC64 arrived, as Azurite's do not.
    pub(crate) fn mute(&self) {
        self.inner.mute.store(true, Ordering::Relaxed);
    }

    /// The next so many blocks arrive with a flipped bit.
    pub(crate) fn flip(&self, count: u64) {
        self.inner.flips.store(count, Ordering::Relaxed);
    }

    pub(crate) fn blob(&self, name: &str) -> Option<Blob> {
        lock(&self.inner.blobs).get(name)?.committed.clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let blobs = lock(&self.inner.blobs);
        blobs.iter().filter(|(_, slot)| slot.committed.is_some()).map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn put(&self, name: &str, blob: Blob) {
        lock(&self.inner.blobs).entry(name.to_owned()).or_default().committed = Some(blob);
    }

    pub(crate) fn uncommitted(&self, name: &str) -> usize {
        lock(&self.inner.blobs).get(name).map_or(0, |slot| slot.uncommitted.len())
    }

    /// Loses the uncommitted blocks of a blob, as another writer's commit does.
    pub(crate) fn lose_blocks(&self, name: &str) {
        if let Some(slot) = lock(&self.inner.blobs).get_mut(name) {
            slot.uncommitted.clear();
        }
    }

    /// Method and path with query of every request since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.inner.requests))
    }
}

type Refused = (u16, &'static str);

async fn answer(inner: Arc<Inner>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    lock(&inner.requests).push(line.clone());
    let fault = inner.faults.draw(&line);
    through(fault, refuse(503, "ServerBusy"), async {
        match serve_one(&inner, request).await {
            Ok(answer) => {
                list::remember(&inner);
                answer
            }
            Err((status, code)) => refuse(status, code),
        }
    })
    .await
}

fn refuse(status: u16, code: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>refused.\nRequestId:r\nTime:t</Message></Error>"
    );
    Http::builder()
        .status(status)
        .header("x-ms-error-code", code)
        .header("x-ms-request-id", "AZUREREQUEST")
        .header("content-type", "application/xml")
        .body(Body::from(body))
        .unwrap()
}

async fn serve_one(inner: &Inner, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let query: HashMap<String, String> = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), percent_decode_str(value).decode_utf8().unwrap().into_owned()))
        .collect();
    if parts.uri.path() == "/container" {
        return list::list(inner, &query);
    }
    let name = parts.uri.path().strip_prefix("/container/").ok_or((400, "InvalidUri"))?;
    let name = percent_decode_str(name).decode_utf8().unwrap().into_owned();
    check_name(&name)?;
    let range = || header("x-ms-range").or_else(|| header("range"));
    if let Some(id) = query.get("versionid") {
        let version = list::version(inner, &name, id).ok_or((404, "BlobNotFound"))?;
        return list::read(&version, range());
    }
    if let Some(refused) = lock(&inner.refusals).get(&name) {
        return Err(*refused);
    }
    let pulled = match header("x-ms-copy-source") {
        Some(address) => Some(pull(inner, &address, &header("x-ms-source-range").unwrap()).await?),
        None => None,
    };
    let (content, size, crc64) = receive(inner, body).await?;
    if header("content-length").is_some_and(|length| length.parse() != Ok(size)) {
        return Err((400, "InvalidHeaderValue"));
    }
    let (content, size, mut crc64) = pulled.unwrap_or((content, size, crc64));
    let flips = &inner.flips;
    if query.get("comp").is_some_and(|comp| comp == "block")
        && flips.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    {
        crc64 ^= 1;
    }
    let computed = STANDARD.encode(crc64.to_le_bytes());
    if header("x-ms-content-crc64").is_some_and(|told| told != computed) {
        return Err((400, "Crc64Mismatch"));
    }
    let mut blobs = lock(&inner.blobs);
    let slot = blobs.entry(name).or_default();
    let condition = |slot: &Slot| match (&slot.committed, header("if-match"), header("if-none-match")) {
        (Some(_), _, Some(_)) => Err((409, "BlobAlreadyExists")),
        (None, Some(_), _) => Err((412, "ConditionNotMet")),
        (Some(blob), Some(etag), _) if blob.etag != etag => Err((412, "ConditionNotMet")),
        _ => Ok(()),
    };
    let etag = || format!("\"0x{:X}\"", inner.etags.fetch_add(1, Ordering::Relaxed) + 0x8D0);
    let done = |status: u16, etag: &str| {
        let answer = Http::builder().status(status).header("etag", etag).header("content-length", 0);
        let answer = match inner.mute.load(Ordering::Relaxed) {
            true => answer,
            false => answer.header("x-ms-content-crc64", &computed),
        };
        answer.body(Body::empty()).unwrap()
    };
    match (parts.method.as_str(), query.get("comp").map(String::as_str).unwrap_or_default()) {
        ("PUT", "") => {
            if header("x-ms-blob-type").as_deref() != Some("BlockBlob") {
                return Err((400, "MissingRequiredHeader"));
            }
            condition(slot)?;
            let blob = describe(&parts.headers, etag())?;
            let writes = slot.committed.as_ref().map_or(0, |blob| blob.writes) + 1;
            let blob = Blob { content, size, crc64, writes, ..blob };
            let etag = blob.etag.clone();
            *slot = Slot { committed: Some(blob), uncommitted: BTreeMap::new() };
            Ok(done(201, &etag))
        }
        ("PUT", "block") => {
            let id = STANDARD.decode(&query["blockid"]).map_err(|_| (400, "InvalidQueryParameterValue"))?;
            let same = slot.uncommitted.keys().all(|other| other.len() == id.len());
            if id.is_empty() || id.len() > 64 || !same {
                return Err((400, "InvalidBlobOrBlock"));
            }
            if size == 0 {
                return Err((400, "InvalidHeaderValue"));
            }
            if slot.uncommitted.len() >= 100_000 {
                return Err((409, "BlockCountExceedsLimit"));
            }
            slot.uncommitted.insert(id, Block { content, size, crc64 });
            Ok(done(201, "\"block\""))
        }
        ("GET", "blocklist") => {
            if slot.committed.is_none() && slot.uncommitted.is_empty() {
                return Err((404, "BlobNotFound"));
            }
            let blocks: String = slot
                .uncommitted
                .iter()
                .map(|(id, block)| {
                    format!("<Block><Name>{}</Name><Size>{}</Size></Block>", STANDARD.encode(id), block.size)
                })
                .collect();
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><UncommittedBlocks>{blocks}</UncommittedBlocks></BlockList>"
            );
            Ok(Http::builder().header("content-type", "application/xml").body(Body::from(body)).unwrap())
        }
        ("PUT", "blocklist") => {
            condition(slot)?;
            let blob = describe(&parts.headers, etag())?;
            let text = String::from_utf8(content.to_vec()).unwrap();
            let ids: Vec<_> = text.split("<Uncommitted>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
            if ids.len() > 50_000 {
                return Err((400, "BlockListTooLong"));
            }
            let mut all = Vec::new();
            let (mut size, mut crc64) = (0, 0);
            for id in ids {
                let id = STANDARD.decode(id).map_err(|_| (400, "InvalidXmlDocument"))?;
                let block = slot.uncommitted.get(&id).ok_or((400, "InvalidBlockList"))?;
                all.extend_from_slice(&block.content);
                let algorithm = crc_fast::CrcAlgorithm::Crc64Nvme;
                crc64 = crc_fast::checksum_combine(algorithm, crc64, block.crc64, block.size);
                size += block.size;
            }
            let writes = slot.committed.as_ref().map_or(0, |blob| blob.writes) + 1;
            let blob = Blob { content: all.into(), size, crc64, writes, ..blob };
            let etag = blob.etag.clone();
            *slot = Slot { committed: Some(blob), uncommitted: BTreeMap::new() };
            Ok(done(201, &etag))
        }
        ("HEAD" | "GET", "") => {
            condition(slot)?;
            let blob = slot.committed.as_ref().ok_or((404, "BlobNotFound"))?;
            if parts.method == "GET" && range().is_some() {
                return list::read(blob, range());
            }
            let mut answer = Http::builder().header("etag", &blob.etag).header("content-length", blob.size);
            for (name, value) in &blob.headers {
                answer = answer.header(name, value);
            }
            for (name, value) in &blob.metadata {
                answer = answer.header(format!("x-ms-meta-{name}"), value);
            }
            if !blob.tags.is_empty() {
                answer = answer.header("x-ms-tag-count", blob.tags.len());
            }
            answer = answer.header("x-ms-access-tier", blob.tier.as_deref().unwrap_or("Hot"));
            let body = if parts.method == "HEAD" { Body::empty() } else { Body::from(blob.content.clone()) };
            Ok(answer.body(body).unwrap())
        }
        ("PUT", "metadata") => {
            condition(slot)?;
            let metadata = metadata(&parts.headers)?;
            let blob = slot.committed.as_mut().ok_or((404, "BlobNotFound"))?;
            if blob.tier.as_deref() == Some("Archive") {
                return Err((409, "BlobArchived"));
            }
            blob.metadata = metadata;
            blob.etag = etag();
            let etag = blob.etag.clone();
            Ok(done(200, &etag))
        }
        ("PUT", "tags") => {
            let blob = slot.committed.as_mut().ok_or((404, "BlobNotFound"))?;
            if header("x-ms-blob-if-match").is_some_and(|etag| etag != blob.etag) {
                return Err((412, "ConditionNotMet"));
            }
            let text = String::from_utf8(content.to_vec()).unwrap();
            let part = |text: &str, tag: &str| {
                let rest = text.split(&format!("<{tag}>")).nth(1).unwrap_or_default();
                rest.split("</").next().unwrap_or_default().to_owned()
            };
            blob.tags = text.split("<Tag>").skip(1).map(|tag| (part(tag, "Key"), part(tag, "Value"))).collect();
            check_tags(&blob.tags)?;
            Ok(Http::builder().status(204).body(Body::empty()).unwrap())
        }
        ("PUT", "tier") => {
            let blob = slot.committed.as_mut().ok_or((404, "BlobNotFound"))?;
            blob.tier = header("x-ms-access-tier");
            Ok(Http::builder().status(200).body(Body::empty()).unwrap())
        }
        ("DELETE", "") => {
            if slot.committed.is_none() {
                return Err((404, "BlobNotFound"));
            }
            condition(slot)?;
            slot.committed = None;
            Ok(Http::builder().status(202).body(Body::empty()).unwrap())
        }
        _ => Err((400, "UnsupportedRequest")),
    }
}

/// The bytes behind an address, where it can be reached.
async fn pull(inner: &Inner, address: &str, range: &str) -> Result<(Bytes, u64, u64), Refused> {
    if !inner.reaches.load(Ordering::Relaxed) || address.len() > 2048 {
        return Err((404, "CannotVerifyCopySource"));
    }
    let request = http().get(address).header("range", range);
    let answer =
        request.send().await.and_then(reqwest::Response::error_for_status).map_err(|_| (500, "InternalError"))?;
    let content = answer.bytes().await.map_err(|_| (500, "InternalError"))?;
    let crc64 = crc_fast::crc64_nvme(&content);
    Ok((content.clone(), content.len() as u64, crc64))
}

/// The bytes of a request, or only how many and their checksum.
async fn receive(inner: &Inner, body: Body) -> Result<(Bytes, u64, u64), Refused> {
    let discard = inner.discard.load(Ordering::Relaxed);
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let mut content = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| (400, "IncompleteBody"))?;
        digest.update(&piece);
        // A list of blocks is needed even so.
        if !discard || content.len() + piece.len() < 4 << 20 && piece.first() == Some(&b'<') {
            content.extend_from_slice(&piece);
        }
    }
    Ok((content.into(), digest.get_amount(), digest.finalize()))
}

fn check_name(name: &str) -> Result<(), Refused> {
    let refused = name.chars().count() > 1024
        || name.split('/').count() > 254
        || name.ends_with(['.', '/', '\\'])
        || name.chars().any(char::is_control);
    if refused { Err((400, "InvalidResourceName")) } else { Ok(()) }
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refused> {
    let fits = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b" +-./:=_".contains(&b));
    match tags.len() <= 10 && tags.iter().all(|(key, value)| fits(key) && fits(value) && !key.is_empty()) {
        true => Ok(()),
        false => Err((400, "InvalidTag")),
    }
}

fn metadata(headers: &axum::http::HeaderMap) -> Result<BTreeMap<String, String>, Refused> {
    let mut metadata = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("x-ms-meta-") else { continue };
        let mut letters = name.bytes();
        let starts = letters.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !starts || !letters.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err((400, "InvalidMetadata"));
        }
        let value = value.to_str().map_err(|_| (400, "InvalidMetadata"))?;
        if value.is_empty() || metadata.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err((400, "InvalidMetadata"));
        }
    }
    match metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 8192 {
        true => Ok(metadata),
        false => Err((400, "MetadataTooLarge")),
    }
}

fn describe(headers: &axum::http::HeaderMap, etag: String) -> Result<Blob, Refused> {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let names = ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type"];
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let tags = header("x-ms-tags").unwrap_or_default();
    let tags = tags.split('&').filter_map(|pair| pair.split_once('='));
    let tags = tags.map(|(key, value)| (decode(key), decode(value))).collect();
    check_tags(&tags)?;
    Ok(Blob {
        etag,
        headers: names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), header(&format!("x-ms-blob-{name}"))?)))
            .collect(),
        metadata: metadata(headers)?,
        tags,
        tier: header("x-ms-access-tier"),
        ..Blob::default()
    })
}
