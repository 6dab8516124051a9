//! A container as a whole: its listing with what every blob says of its object, and the bytes of a blob.

use std::num::NonZero;

use azure_core::{Bytes, http::response::AsyncResponseBody};
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlobContainerClientListBlobsOptions, BlobItem, HttpRange, ListBlobsIncludeItem,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::far;
use crate::{
    Error, Reason, Result, name,
    record::{Describing, Description, Record},
    refusal,
    retry::Retries,
    tags::{Keep, Tags},
    target::Target,
};

/// One blob, or one version of it.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// Its name.
    pub(crate) name: String,
    /// Changes with every write.
    pub(crate) etag: String,
    /// Bytes.
    pub(crate) size: u64,
    /// The version, in an account with versions.
    pub(crate) version: Option<String>,
    /// In the archive tier its bytes cannot be read.
    pub(crate) archived: bool,
    /// What it says of its object; None if no backup with this prefix wrote it.
    pub(crate) record: Option<Record>,
}

/// What of a container is listed.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// How objects are described.
    pub(crate) describing: Describing,
    /// Keys begin with this.
    key_prefix: String,
    /// Names begin with one of these.
    prefixes: Vec<String>,
    /// Whether all versions are listed, the older ones of a blob first.
    versions: bool,
    /// Whether index tags are listed.
    tags: bool,
}

impl Listing {
    /// Of the blobs of keys with this prefix.
    pub(crate) fn of_keys(describing: &Describing, key_prefix: &str) -> Self {
        let prefixes = prefixes(&describing.prefix, key_prefix);
        let describing = describing.clone();
        Self { describing, key_prefix: key_prefix.to_owned(), prefixes, versions: false, tags: false }
    }

    /// With what a restoration needs.
    pub(crate) fn with_everything(self, versions: bool) -> Self {
        let tags = self.describing.keep == Keep::Index;
        Self { versions, tags, ..self }
    }

    /// The blobs, in the order of their names.
    pub(crate) fn blobs<'a>(self, target: &'a Target, retries: Retries) -> impl Stream<Item = Result<Copy>> + use<'a> {
        let all = stream::iter(self.prefixes.clone()).map(move |prefix| {
            let listing = self.clone();
            stream::try_unfold(Some(None), move |marker: Option<Option<String>>| {
                let (listing, prefix) = (listing.clone(), prefix.clone());
                async move {
                    let Some(marker) = marker else { return Ok(None) };
                    let page = retries.run(far(), || listing.page(target, &prefix, marker.clone())).await;
                    page.map(Some).map_err(|error| error.about("listing the container"))
                }
            })
            .map_ok(|copies| stream::iter(copies.into_iter().map(Ok)))
            .try_flatten()
        });
        all.flatten().boxed()
    }

    /// Whether a blob that was listed belongs to a key with the prefix.
    fn has(&self, copy: &Copy) -> bool {
        self.key_prefix.is_empty()
            || match &copy.record {
                Some(record) => record.key.starts_with(&self.key_prefix),
                None => name::decode(&self.describing.prefix, &copy.name)
                    .is_some_and(|key| key.starts_with(&self.key_prefix)),
            }
    }

    async fn page(
        &self,
        target: &Target,
        prefix: &str,
        marker: Option<String>,
    ) -> Result<(Vec<Copy>, Option<Option<String>>)> {
        let mut include = vec![ListBlobsIncludeItem::Metadata];
        include.extend(self.versions.then_some(ListBlobsIncludeItem::Versions));
        include.extend(self.tags.then_some(ListBlobsIncludeItem::Tags));
        let options = BlobContainerClientListBlobsOptions {
            include: Some(include),
            prefix: Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()),
            marker,
            ..BlobContainerClientListBlobsOptions::default()
        };
        let pages = target.container().list_blobs(Some(options)).map_err(|error| refusal::read(&error))?.into_pages();
        let mut pages = std::pin::pin!(pages);
        let Some(page) = pages.next().await else { return Ok((Vec::new(), None)) };
        let page = page.and_then(|page| page.into_model()).map_err(|error| refusal::read(&error))?;
        let copies = page.blob_items.into_iter().filter_map(|item| read(item, &self.describing));
        let copies = copies.filter(|copy| self.has(copy)).collect();
        Ok((copies, page.next_marker.filter(|marker| !marker.is_empty()).map(Some)))
    }
}

fn read(item: BlobItem, describing: &Describing) -> Option<Copy> {
    let name = item.name?;
    let properties = item.properties.unwrap_or_default();
    let headers = [
        ("cache-control", properties.cache_control),
        ("content-disposition", properties.content_disposition),
        ("content-encoding", properties.content_encoding),
        ("content-language", properties.content_language),
        ("content-type", properties.content_type),
    ];
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let tags: Tags = item
        .blob_tags
        .and_then(|tags| tags.blob_tag_set)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect();
    let description = Description {
        headers: headers.filter(|(_, value)| !value.is_empty()).collect(),
        metadata: item.metadata.and_then(|metadata| metadata.values).unwrap_or_default().into_iter().collect(),
        tags,
        tier: None,
    };
    Some(Copy {
        record: Record::read(describing, &name, &description),
        etag: properties.etag.map(|etag| etag.to_string()).unwrap_or_default(),
        size: properties.content_length.unwrap_or_default(),
        version: item.version_id,
        archived: properties.access_tier.is_some_and(|tier| tier.as_ref() == "Archive"),
        name,
    })
}

/// What the names of all keys with a prefix begin with.
///
/// How the end of the prefix is written depends on what follows it in a key; what is written in one way whatever follows is
/// what they share. Keys whose names are too long are listed by hash.
fn prefixes(blob_prefix: &str, key_prefix: &str) -> Vec<String> {
    if key_prefix.is_empty() {
        return vec![blob_prefix.to_owned()];
    }
    let names = ["", "x", "/", "./"].map(|rest| name::encode(blob_prefix, &format!("{key_prefix}{rest}")));
    if names.iter().any(|written| name::is_hashed(blob_prefix, written)) {
        return vec![blob_prefix.to_owned()];
    }
    let mut shared = names[0].clone();
    while !names.iter().all(|name| name.starts_with(&shared)) {
        shared.pop();
    }
    // Half of an escape is none.
    let shared = shared.trim_end_matches('!').to_owned();
    match shared.as_str() == blob_prefix {
        true => vec![shared],
        false => vec![shared, format!("{blob_prefix}!!")],
    }
}

/// Bytes of a blob as they come.
pub(crate) struct Reading {
    body: AsyncResponseBody,
    left: u64,
}

impl Reading {
    /// Bytes `offset..offset + length` of the blob as it was listed. Not for empty ranges.
    ///
    /// # Errors
    /// `Conflict`: it was overwritten since; what else stands in the way.
    pub(crate) async fn begin(target: &Target, copy: &Copy, offset: u64, length: u64) -> Result<Self> {
        let blob = target.container().blob_client(&copy.name);
        let blob = match &copy.version {
            Some(version) => blob.with_version(version).map_err(|error| refusal::read(&error))?,
            None => blob,
        };
        let options = BlobClientDownloadOptions {
            if_match: Some(copy.etag.as_str().into()).filter(|_| !copy.etag.is_empty()),
            range: Some(HttpRange::new(offset, length)),
            parallel: NonZero::new(1),
            // One request: what is behind it is asked for by us.
            partition_size: NonZero::new(usize::try_from(length).unwrap_or(usize::MAX)),
            ..BlobClientDownloadOptions::default()
        };
        let answer = blob.download(Some(options)).await.map_err(|error| refusal::read(&error))?;
        Ok(Self { body: answer.body, left: length })
    }

    /// The next bytes; None at the end.
    ///
    /// # Errors
    /// `Network`: the connection was cut.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.body.next().await {
            Some(Ok(bytes)) => {
                let more = || Error::new(Reason::Network, "Azure sent more bytes than were asked for");
                self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(more)?;
                Ok(Some(bytes))
            }
            Some(Err(error)) => Err(refusal::read(&error)),
            None if self.left == 0 => Ok(None),
            None => Err(Error::new(
                Reason::Network,
                format!("the connection to Azure was cut {} bytes too early", self.left),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_shared_beginning_of_names() {
        for (prefix, expected) in [
            ("", vec!["p/"]),
            ("logs", vec!["p/logs", "p/!!"]),
            ("logs/", vec!["p/logs", "p/!!"]),
            ("logs/2026", vec!["p/logs/2026", "p/!!"]),
            ("a.", vec!["p/a", "p/!!"]),
            ("/", vec!["p/!2F", "p/!!"]),
            ("a//", vec!["p/a/!2F", "p/!!"]),
        ] {
            assert_eq!(prefixes("p/", prefix), expected, "{prefix:?}");
        }
    }

    proptest! {
        #[test]
        fn no_key_with_the_prefix_is_missed(key in "[ab./!\\\\é]{0,12}", at in 0usize..13) {
            let at = (0..=at.min(key.len())).rev().find(|at| key.is_char_boundary(*at)).unwrap();
            let name = name::encode("p/", &key);
            let listed = prefixes("p/", &key[..at]);
            prop_assert!(listed.iter().any(|prefix| name.starts_with(prefix)), "{} {:?}", name, listed);
        }
    }
}
