//! An S3 Inventory as a listing: its manifest, and CSV parts of which no more than a piece is in memory.

use std::io::{self, Read};

use azure_core::Bytes;
use flate2::read::MultiGzDecoder;
use futures::{Stream, stream};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{
    bucket::{Entry, created},
    far,
};
use crate::{
    Error, Reason, Result,
    event::decode_key,
    retry::Retries,
    source::{Body, Source},
};

/// How many pieces of a part, or objects, wait for whoever takes them.
const WAITING: usize = 256;
/// A manifest that is longer than this is none.
const LONGEST_MANIFEST: u64 = 64 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    source_bucket: String,
    destination_bucket: String,
    file_format: String,
    file_schema: String,
    files: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    key: String,
}

/// Which column is what.
#[derive(Clone, Debug)]
struct Columns {
    key: usize,
    version: Option<usize>,
    is_latest: Option<usize>,
    is_marker: Option<usize>,
    size: Option<usize>,
    etag: Option<usize>,
    class: Option<usize>,
}

/// The current objects of a bucket by an inventory at `s3://BUCKET/…/manifest.json`, in the inventory's order.
///
/// # Errors
/// `Configuration`: it is no inventory of this bucket that can be read; what else stands in the way of its manifest.
pub(crate) async fn entries<'a>(
    source: &'a Source,
    manifest: &str,
    bucket: &str,
    prefix: &str,
) -> Result<impl Stream<Item = Result<Entry>> + use<'a>> {
    let about = |error: Error| error.about(&format!("reading the inventory {manifest}"));
    let (inventory_bucket, key) = manifest
        .strip_prefix("s3://")
        .and_then(|place| place.split_once('/'))
        .ok_or_else(|| wrong("it must be s3://BUCKET/…/manifest.json"))
        .map_err(about)?;
    let retries = Retries::default();
    let text = retries.run(far(), || whole(source, inventory_bucket, key)).await.map_err(about)?;
    let manifest = Manifest::read(&text, bucket).map_err(about)?;
    let columns = Columns::read(&manifest.file_schema).map_err(about)?;
    let parts = manifest.destination_bucket.rsplit(":::").next().unwrap_or_default().to_owned();
    let prefix = prefix.to_owned();
    let (sender, receiver) = mpsc::channel(WAITING);
    let feed = async move {
        for file in &manifest.files {
            let read = part(source, &parts, &file.key, &columns, &prefix, sender.clone()).await;
            if let Err(error) = read {
                let about = format!("reading s3://{parts}/{} of the inventory", file.key);
                // Nobody listens once the program is interrupted.
                let _ = sender.send(Err(error.about(&about))).await;
                break;
            }
        }
        // Its end is that of the listing.
        drop(sender);
    };
    // The feed is polled whenever an object is asked for, so that nothing runs on when nobody asks.
    let state = (receiver, Box::pin(feed), false);
    Ok(Box::pin(stream::unfold(state, |(mut receiver, mut feed, mut fed)| async move {
        let next = loop {
            tokio::select! {
                biased;
                next = receiver.recv() => break next,
                () = &mut feed, if !fed => fed = true,
            }
        };
        next.map(|next| (next, (receiver, feed, fed)))
    })))
}

impl Manifest {
    fn read(text: &[u8], bucket: &str) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|error| wrong(&format!("it is no manifest of an S3 Inventory: {error}")))?;
        if manifest.file_format != "CSV" {
            return Err(wrong(&format!(
                "its parts are {}, and only CSV is read: configure an inventory with the output format CSV",
                manifest.file_format
            )));
        }
        if manifest.source_bucket != bucket {
            return Err(wrong(&format!("it is of the bucket {}, not of {bucket}", manifest.source_bucket)));
        }
        Ok(manifest)
    }
}

impl Columns {
    fn read(schema: &str) -> Result<Self> {
        let find = |name: &str| schema.split(',').position(|column| column.trim() == name);
        Ok(Self {
            key: find("Key").ok_or_else(|| wrong("its schema has no Key"))?,
            version: find("VersionId"),
            is_latest: find("IsLatest"),
            is_marker: find("IsDeleteMarker"),
            size: find("Size"),
            etag: find("ETag"),
            class: find("StorageClass"),
        })
    }

    /// The object of a row; None if the row is a delete marker, an older version or of another prefix.
    fn entry(&self, row: &csv::StringRecord, prefix: &str) -> Result<Option<Entry>> {
        let get = |column: Option<usize>| row.get(column?).filter(|value| !value.is_empty());
        if get(self.is_latest) == Some("false") || get(self.is_marker) == Some("true") {
            return Ok(None);
        }
        let key = decode_key(row.get(self.key).ok_or_else(|| wrong("a row has no key"))?)?;
        if !key.starts_with(prefix) {
            return Ok(None);
        }
        Ok(Some(Entry {
            key,
            size: get(self.size).and_then(|size| size.parse().ok()).unwrap_or_default(),
            etag: get(self.etag).map(|etag| etag.trim_matches('"').to_owned()),
            version: get(self.version).map(str::to_owned),
            class: get(self.class).unwrap_or("STANDARD").to_owned(),
        }))
    }
}

async fn whole(source: &Source, bucket: &str, key: &str) -> Result<Vec<u8>> {
    let (object, mut body) = source.get(&created(bucket, key)).await?;
    if object.size > LONGEST_MANIFEST {
        return Err(wrong("it is too long for a manifest"));
    }
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// Reads one part and sends its objects on. Unpacking and parsing block, so they have a thread of their own.
async fn part(
    source: &Source,
    bucket: &str,
    key: &str,
    columns: &Columns,
    prefix: &str,
    entries: mpsc::Sender<Result<Entry>>,
) -> Result<()> {
    let retries = Retries::default();
    let part = created(bucket, key);
    let (_, mut body) = retries.run(far(), || source.get(&part)).await?;
    let (sender, pieces) = mpsc::channel(4);
    let (columns, prefix) = (columns.clone(), prefix.to_owned());
    let packed = key.ends_with(".gz");
    let parsing = tokio::task::spawn_blocking(move || {
        let pieces = Pieces { pieces, current: Bytes::new() };
        let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(pieces)) } else { Box::new(pieces) };
        parse(reader, &columns, &prefix, &entries)
    });
    let fetching = fetch(&mut body, sender);
    let (fetched, parsed) = tokio::join!(fetching, parsing);
    fetched?;
    parsed.map_err(|error| wrong(&format!("its parser ended: {error}")))?
}

async fn fetch(body: &mut Body, sender: mpsc::Sender<Bytes>) -> Result<()> {
    while let Some(bytes) = body.next().await? {
        if sender.send(bytes).await.is_err() {
            // The parser says why it ended.
            break;
        }
    }
    Ok(())
}

fn parse(reader: impl Read, columns: &Columns, prefix: &str, entries: &mpsc::Sender<Result<Entry>>) -> Result<()> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
    for row in rows.records() {
        let row = row.map_err(|error| wrong(&format!("it is damaged: {error}")))?;
        if let Some(entry) = columns.entry(&row, prefix)?
            && entries.blocking_send(Ok(entry)).is_err()
        {
            break;
        }
    }
    Ok(())
}

/// What arrives, for those who read and wait.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(bytes) => self.current = bytes,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

fn wrong(what: &str) -> Error {
    Error::new(Reason::Configuration, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(format: &str, bucket: &str) -> Vec<u8> {
        serde_json::json!({
            "sourceBucket": bucket, "destinationBucket": "arn:aws:s3:::inventories", "version": "2016-11-30",
            "fileFormat": format, "fileSchema": "Bucket, Key, Size", "files": [{"key": "data/1.csv.gz", "size": 1}],
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(Manifest::read(&manifest("CSV", "b"), "b").is_ok());
        for (text, expected) in [
            (manifest("Parquet", "b"), "parts are Parquet, and only CSV"),
            (manifest("ORC", "b"), "parts are ORC, and only CSV"),
            (manifest("CSV", "other"), "of the bucket other, not of b"),
            (b"{}".to_vec(), "no manifest of an S3 Inventory"),
        ] {
            let error = Manifest::read(&text, "b").unwrap_err();
            assert_eq!(error.reason, Reason::Configuration);
            assert!(error.message.contains(expected), "{error}");
        }
        assert!(Columns::read("Bucket, Size").is_err());
    }

    #[test]
    fn rows() {
        let columns = Columns::read(
            "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
        )
        .unwrap();
        let row = |key, latest, marker| {
            csv::StringRecord::from(vec!["b", key, "v1", latest, marker, "7", "d", "e", "GLACIER"])
        };
        let entry = columns.entry(&row("a%2Fb+%2B", "true", "false"), "a/").unwrap().unwrap();
        assert_eq!((entry.key.as_str(), entry.size, entry.version.as_deref()), ("a/b +", 7, Some("v1")));
        assert_eq!((entry.etag.as_deref(), entry.class.as_str()), (Some("e"), "GLACIER"));
        for skipped in [row("a%2Fb", "false", "false"), row("a%2Fb", "true", "true"), row("c", "true", "false")] {
            assert_eq!(columns.entry(&skipped, "a/").unwrap(), None);
        }
        let few = Columns::read("Bucket, Key").unwrap();
        let entry = few.entry(&csv::StringRecord::from(vec!["b", "k"]), "").unwrap().unwrap();
        assert_eq!((entry.size, entry.etag, entry.version), (0, None, None));
    }
}
