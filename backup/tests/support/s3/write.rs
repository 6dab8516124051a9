//! Listings, and writing: whole objects and parts, with checksums and conditions.

use std::{collections::BTreeMap, sync::Mutex};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Response as Http},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Content, Inner, S3, Version, lock, read, refuse};

/// How many objects are on a page.
const PAGE: usize = 10;
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');

#[derive(Default)]
pub(super) struct Uploads(Mutex<BTreeMap<String, Upload>>);

#[derive(Clone)]
struct Upload {
    bucket: String,
    key: String,
    headers: HeaderMap,
    parts: BTreeMap<u32, Bytes>,
}

impl S3 {
    /// The newest version of an object.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Option<Version> {
        lock(&self.inner.objects).get(&(bucket.to_owned(), key.to_owned()))?.last().cloned()
    }

    pub(crate) fn keys(&self, bucket: &str) -> Vec<String> {
        let objects = lock(&self.inner.objects);
        let mut keys: Vec<_> = objects.keys().filter(|(of, _)| of == bucket).map(|(_, key)| key.clone()).collect();
        keys.sort();
        keys
    }

    /// How many parts the uploads have that are not completed.
    pub(crate) fn parts(&self) -> usize {
        lock(&self.inner.uploads.0).values().map(|upload| upload.parts.len()).sum()
    }
}

pub(super) async fn serve(inner: &Inner, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let line = format!("{} {}", head.method, head.uri);
    let path = head.uri.path()[1..].to_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let key = percent_decode_str(key).decode_utf8().unwrap().into_owned();
    let query: BTreeMap<String, String> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), percent_decode_str(value).decode_utf8().unwrap().into_owned()))
        .collect();
    let has = |name: &str| query.contains_key(name);
    match (head.method.as_str(), key.is_empty()) {
        ("GET", true) if has("uploads") => uploads(inner, bucket, &query),
        ("GET", true) => list(inner, bucket, &query),
        ("GET", false) if has("uploadId") => parts(inner, &query["uploadId"]),
        ("PUT" | "POST", false) => {
            let bucket = bucket.to_owned();
            let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
                return refuse(&line, 400, "IncompleteBody", "");
            };
            write(inner, &line, bucket, key, &query, head.headers, body)
        }
        _ => read(inner, &head),
    }
}

fn xml(body: String) -> Response {
    Http::builder()
        .header("content-type", "application/xml")
        .body(Body::from(format!("<?xml version=\"1.0\"?>{body}")))
        .unwrap()
}

fn list(inner: &Inner, bucket: &str, query: &BTreeMap<String, String>) -> Response {
    let objects = lock(&inner.objects);
    let prefix = query.get("prefix").map(String::as_str).unwrap_or_default();
    let mut all: Vec<_> = objects
        .iter()
        .filter(|((of, key), _)| of == bucket && key.starts_with(prefix))
        .flat_map(|((_, key), versions)| {
            versions.iter().enumerate().map(move |(at, version)| (key, at + 1 == versions.len(), version))
        })
        .collect();
    let versions = query.contains_key("versions");
    if !versions {
        all.retain(|(_, latest, version)| *latest && !version.marker);
    }
    all.sort_by_key(|(key, latest, _)| ((*key).clone(), !latest));
    let encode = |key: &str| match query.get("encoding-type").map(String::as_str) {
        Some("url") => utf8_percent_encode(key, ENCODED).to_string().replace("%20", "+"),
        _ => key.to_owned(),
    };
    let marker = query.get("continuation-token").or(query.get("key-marker"));
    let start = marker.map_or(0, |marker| match marker.parse() {
        Ok(at) => at,
        Err(_) => all.iter().position(|(key, ..)| key.as_str() > marker.as_str()).unwrap_or(all.len()),
    });
    let page: String = all
        .iter()
        .skip(start)
        .take(PAGE)
        .map(|(key, latest, version)| {
            let class = version.headers.get("x-amz-storage-class").map_or("STANDARD", String::as_str);
            let common = format!(
                "<Key>{}</Key><LastModified>{}</LastModified>",
                encode(key),
                version.modified.format(&Rfc3339).unwrap()
            );
            let described = format!(
                "<ETag>&quot;{}&quot;</ETag><Size>{}</Size><StorageClass>{class}</StorageClass>",
                version.etag,
                version.content.size()
            );
            let id = version.id.as_deref().unwrap_or("null");
            match (versions, version.marker) {
                (false, _) => format!("<Contents>{common}{described}</Contents>"),
                (true, true) => format!(
                    "<DeleteMarker>{common}<VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest></DeleteMarker>"
                ),
                (true, false) => format!(
                    "<Version>{common}{described}<VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest></Version>"
                ),
            }
        })
        .collect();
    let end = start + PAGE;
    let truncated = end < all.len();
    let encoding = if query.contains_key("encoding-type") { "<EncodingType>url</EncodingType>" } else { "" };
    match versions {
        true => {
            let next = match truncated {
                true => format!(
                    "<NextKeyMarker>{}</NextKeyMarker><NextVersionIdMarker>x</NextVersionIdMarker>",
                    encode(all[end - 1].0)
                ),
                false => String::new(),
            };
            xml(format!(
                "<ListVersionsResult>{encoding}<IsTruncated>{truncated}</IsTruncated>{next}{page}</ListVersionsResult>"
            ))
        }
        false => {
            let next =
                if truncated { format!("<NextContinuationToken>{end}</NextContinuationToken>") } else { String::new() };
            xml(format!(
                "<ListBucketResult>{encoding}<IsTruncated>{truncated}</IsTruncated>{next}{page}</ListBucketResult>"
            ))
        }
    }
}

fn uploads(inner: &Inner, bucket: &str, query: &BTreeMap<String, String>) -> Response {
    let uploads = lock(&inner.uploads.0);
    let prefix = query.get("prefix").map(String::as_str).unwrap_or_default();
    let all: String = uploads
        .iter()
        .filter(|(_, upload)| upload.bucket == bucket && upload.key.starts_with(prefix))
        .map(|(id, upload)| {
            format!(
                "<Upload><Key>{}</Key><UploadId>{id}</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated>\
                 <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm></Upload>",
                upload.key
            )
        })
        .collect();
    xml(format!("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{all}</ListMultipartUploadsResult>"))
}

fn parts(inner: &Inner, id: &str) -> Response {
    let uploads = lock(&inner.uploads.0);
    let Some(upload) = uploads.get(id) else { return refuse("GET", 404, "NoSuchUpload", "") };
    let all: String = upload
        .parts
        .iter()
        .map(|(number, bytes)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{number}&quot;</ETag><Size>{}</Size>\
                 <ChecksumCRC64NVME>{}</ChecksumCRC64NVME></Part>",
                bytes.len(),
                crc(bytes)
            )
        })
        .collect();
    xml(format!("<ListPartsResult><IsTruncated>false</IsTruncated>{all}</ListPartsResult>"))
}

fn crc(bytes: &[u8]) -> String {
    STANDARD.encode(crc_fast::crc64_nvme(bytes).to_be_bytes())
}

fn write(
    inner: &Inner,
    line: &str,
    bucket: String,
    key: String,
    query: &BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let with_checksum = |bytes: &[u8], etag: &str| {
        Http::builder()
            .header("etag", format!("\"{etag}\""))
            .header("x-amz-checksum-crc64nvme", crc(bytes))
            .body(Body::empty())
            .unwrap()
    };
    if let (Some(id), Some(number)) = (query.get("uploadId"), query.get("partNumber")) {
        let mut uploads = lock(&inner.uploads.0);
        let Some(upload) = uploads.get_mut(id) else { return refuse(line, 404, "NoSuchUpload", "") };
        let answer = with_checksum(&body, number);
        upload.parts.insert(number.parse().unwrap(), body);
        return answer;
    }
    if query.contains_key("uploads") {
        let mut uploads = lock(&inner.uploads.0);
        let id = format!("upload{}", uploads.len());
        uploads.insert(id.clone(), Upload { bucket, key, headers, parts: BTreeMap::new() });
        return xml(format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        ));
    }
    let (content, described, etag) = match query.get("uploadId") {
        None => (body, headers.clone(), None),
        Some(id) => {
            let uploads = lock(&inner.uploads.0);
            let Some(upload) = uploads.get(id) else { return refuse(line, 404, "NoSuchUpload", "") };
            let last = upload.parts.keys().last().copied().unwrap_or_default();
            if upload.parts.iter().any(|(number, part)| *number != last && part.len() < 5 << 20) {
                return refuse(line, 400, "EntityTooSmall", "");
            }
            let all: Vec<u8> = upload.parts.values().flatten().copied().collect();
            (all.into(), upload.headers.clone(), Some(format!("0123-{last}")))
        }
    };
    if header("x-amz-checksum-crc64nvme").is_some_and(|told| told != crc(&content)) {
        return refuse(line, 400, "BadDigest", "The checksum did not match.");
    }
    let mut objects = lock(&inner.objects);
    let versions = objects.entry((bucket, key)).or_default();
    let there = versions.last().filter(|version| !version.marker).map(|version| version.etag.clone());
    let holds = match (header("if-none-match"), header("if-match")) {
        (Some(_), _) => there.is_none(),
        (_, Some(etag)) => there.as_deref() == Some(etag.trim_matches('"')),
        _ => true,
    };
    if !holds {
        return refuse(line, 412, "PreconditionFailed", "");
    }
    let mut version = Version { modified: OffsetDateTime::now_utc(), ..Version::new(content.clone()) };
    version.etag = etag.unwrap_or(version.etag);
    let kept = [
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-storage-class",
        "x-amz-website-redirect-location",
        "x-amz-object-lock-mode",
        "x-amz-server-side-encryption",
    ];
    for (name, value) in &described {
        if kept.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-") {
            version.headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let tagging = described.get("x-amz-tagging").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let pairs = tagging.split('&').filter_map(|pair| pair.split_once('='));
    version.tags = pairs.map(|(key, value)| (decode(key), decode(value))).collect();
    let etag = version.etag.clone();
    versions.clear();
    versions.push(version);
    match query.get("uploadId") {
        None => with_checksum(&content, &etag),
        Some(id) => {
            lock(&inner.uploads.0).remove(id);
            xml(format!(
                "<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag><ChecksumCRC64NVME>{}</ChecksumCRC64NVME>\
                 </CompleteMultipartUploadResult>",
                crc(&content)
            ))
        }
    }
}

impl Content {
    /// The bytes, where they are kept.
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Sparse(_) => Bytes::new(),
        }
    }
}
