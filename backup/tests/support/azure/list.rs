//! Listings, ranges and versions.

use std::{collections::HashMap, sync::Mutex};

use axum::{body::Body, http::Response as Http, response::Response};

use super::{Azure, Blob, Inner, Refused, lock};

/// How many blobs are on a page.
const PAGE: usize = 10;

/// Every blob that ever was, the older ones first, if they are kept.
#[derive(Default)]
pub(super) struct Versions(Mutex<Option<Vec<(String, Blob)>>>);

impl Azure {
    /// Keeps what is overwritten and deleted from now on.
    pub(crate) fn keep_versions(&self) {
        *lock(&self.inner.versions.0) = Some(Vec::new());
    }
}

/// Takes note of what was written.
pub(super) fn remember(inner: &Inner) {
    let blobs = lock(&inner.blobs);
    let mut versions = lock(&inner.versions.0);
    let Some(versions) = versions.as_mut() else { return };
    for (name, slot) in blobs.iter() {
        let Some(blob) = &slot.committed else { continue };
        if !versions.iter().any(|(known, version)| known == name && version.etag == blob.etag) {
            versions.push((name.clone(), blob.clone()));
        }
    }
}

/// A version is named by its ETag.
pub(super) fn version(inner: &Inner, name: &str, id: &str) -> Option<Blob> {
    let versions = lock(&inner.versions.0);
    let mut all = versions.as_ref()?.iter();
    all.find(|(known, blob)| known == name && blob.etag.trim_matches('"') == id).map(|(_, blob)| blob.clone())
}

pub(super) fn list(inner: &Inner, query: &HashMap<String, String>) -> Result<Response, Refused> {
    if query.get("comp").map(String::as_str) != Some("list") {
        return Err((400, "InvalidUri"));
    }
    let include = query.get("include").map(String::as_str).unwrap_or_default();
    let prefix = query.get("prefix").map(String::as_str).unwrap_or_default();
    let mut all: Vec<(String, Blob, bool)> = match include.contains("versions") {
        true => {
            let versions = lock(&inner.versions.0).clone().unwrap_or_default();
            versions.into_iter().map(|(name, blob)| (name, blob, true)).collect()
        }
        false => {
            let blobs = lock(&inner.blobs);
            blobs.iter().filter_map(|(name, slot)| Some((name.clone(), slot.committed.clone()?, false))).collect()
        }
    };
    all.retain(|(name, ..)| name.starts_with(prefix));
    // Stable: versions of a blob stay in the order in which they were written.
    all.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let start = query.get("marker").map_or(0, |marker| marker.parse().unwrap());
    let page: String =
        all.iter().skip(start).take(PAGE).map(|(name, blob, versioned)| item(name, blob, *versioned)).collect();
    let next = if start + PAGE < all.len() { (start + PAGE).to_string() } else { String::new() };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"http://x/\" ContainerName=\"container\">\
         <Blobs>{page}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    );
    Ok(Http::builder().header("content-type", "application/xml").body(Body::from(body)).unwrap())
}

fn item(name: &str, blob: &Blob, versioned: bool) -> String {
    let metadata: String =
        blob.metadata.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escape(value))).collect();
    let tags: String = blob
        .tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{}</Key><Value>{}</Value></Tag>", escape(key), escape(value)))
        .collect();
    let header = |name: &str, tag: &str| match blob.headers.get(name) {
        Some(value) => format!("<{tag}>{}</{tag}>", escape(value)),
        None => format!("<{tag} />"),
    };
    let version = match versioned {
        true => format!("<VersionId>{}</VersionId>", blob.etag.trim_matches('"')),
        false => String::new(),
    };
    format!(
        "<Blob><Name>{}</Name>{version}<Properties><Etag>{}</Etag><Content-Length>{}</Content-Length>{}{}{}{}{}<BlobType>BlockBlob\
         </BlobType><AccessTier>{}</AccessTier></Properties><Metadata>{metadata}</Metadata><Tags><TagSet>{tags}</TagSet></Tags></Blob>",
        escape(name),
        escape(&blob.etag),
        blob.size,
        header("content-type", "Content-Type"),
        header("content-encoding", "Content-Encoding"),
        header("content-language", "Content-Language"),
        header("content-disposition", "Content-Disposition"),
        header("cache-control", "Cache-Control"),
        blob.tier.as_deref().unwrap_or("Hot"),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The bytes of a blob, or of a range of it.
pub(super) fn read(blob: &Blob, range: Option<String>) -> Result<Response, Refused> {
    let answer = Http::builder().header("etag", &blob.etag);
    let Some(range) = range else {
        return Ok(answer.header("content-length", blob.size).body(Body::from(blob.content.clone())).unwrap());
    };
    let (first, last) =
        range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or((400, "InvalidRange"))?;
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap_or(usize::MAX));
    if first >= blob.content.len() {
        return Err((416, "InvalidRange"));
    }
    let end = last.saturating_add(1).min(blob.content.len());
    let answer = answer
        .status(206)
        .header("content-length", end - first)
        .header("content-range", format!("bytes {first}-{}/{}", end - 1, blob.content.len()));
    Ok(answer.body(Body::from(blob.content.slice(first..end))).unwrap())
}
