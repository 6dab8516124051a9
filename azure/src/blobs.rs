//! The data plane of Blob Storage.

use std::sync::Arc;

use azure_core::http::{Url, pager::PagerOptions};
use azure_storage_blob::{
    BlobContainerClient, BlobContainerClientOptions,
    models::{BlobContainerClientListBlobsOptions, BlobItem, ListBlobsIncludeItem},
};
use futures::TryStreamExt;

use crate::{Error, ErrorKind, Result, call::Call, client::Inner, data_plane};

/// What occupies a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A blob.
    Blob,
    /// A snapshot of a blob.
    Snapshot,
    /// An earlier version of a blob.
    Version,
    /// A soft-deleted blob, which can still be restored.
    Deleted,
}

/// Something in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The blob's name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// Blob Storage, for the calls of one invocation: they share a time limit.
#[derive(Clone, Debug)]
pub struct Blobs {
    inner: Arc<Inner>,
    call: Call,
}

impl Blobs {
    pub(crate) fn new(inner: Arc<Inner>, call: Call) -> Self {
        Self { inner, call }
    }

    /// Something in a container, or nothing if it is empty: neither blob nor snapshot, version or soft-deleted blob.
    ///
    /// `endpoint` is the account's `properties.primaryEndpoints.blob`. The identity needs the role "Storage Blob Data Reader".
    pub async fn first_entry(&self, endpoint: &str, container: &str) -> Result<Option<Entry>> {
        let target = format!("listing container {container}");
        let client = self.container(endpoint, container).map_err(|error| error.about(&target))?;
        let listing = async {
            let options = BlobContainerClientListBlobsOptions {
                include: Some(vec![
                    ListBlobsIncludeItem::Versions,
                    ListBlobsIncludeItem::Snapshots,
                    ListBlobsIncludeItem::Deleted,
                ]),
                maxresults: Some(1),
                method_options: PagerOptions { context: self.call.context(), ..PagerOptions::default() },
                ..BlobContainerClientListBlobsOptions::default()
            };
            // A page may be empty and still name another one; the pager reads on until an item or the end.
            client.list_blobs(Some(options))?.try_next().await
        };
        let explain = |error| data_plane::explain(error, "Storage Blob Data Reader");
        let item = self.call.within(&target, listing).await.map_err(explain)?;
        Ok(item.map(|item| Entry { kind: kind(&item), name: item.name.unwrap_or_default() }))
    }

    fn container(&self, endpoint: &str, container: &str) -> Result<BlobContainerClient> {
        let unusable = || Error::new(ErrorKind::Undecodable, format!("\"{endpoint}\" is not a blob endpoint"));
        let mut url = Url::parse(endpoint).map_err(|_| unusable())?;
        url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().push(container);
        let options = BlobContainerClientOptions {
            client_options: self.inner.options.clone(),
            ..BlobContainerClientOptions::default()
        };
        BlobContainerClient::new(url, Some(self.inner.credential.clone()), Some(options))
            .map_err(|error| Error::from_core(&error))
    }
}

fn kind(item: &BlobItem) -> EntryKind {
    match item {
        BlobItem { deleted: Some(true), .. } => EntryKind::Deleted,
        BlobItem { snapshot: Some(_), .. } => EntryKind::Snapshot,
        BlobItem { version_id: Some(_), is_current_version, .. } if *is_current_version != Some(true) => {
            EntryKind::Version
        }
        _ => EntryKind::Blob,
    }
}
