//! The data plane of Blob Storage.

use crate::Result;

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

/// Blob Storage, for the calls of one invocation.
#[derive(Clone, Debug)]
pub struct Blobs {}

impl Blobs {
    /// Something in the container, or nothing if it is empty: not a blob, snapshot, version or soft-deleted blob.
    /// `endpoint` is the account's `properties.primaryEndpoints.blob`. Needs the role "Storage Blob Data Reader".
    pub async fn first_entry(&self, endpoint: &str, container: &str) -> Result<Option<Entry>> {
        let _ = (endpoint, container);
        unimplemented!()
    }
}
