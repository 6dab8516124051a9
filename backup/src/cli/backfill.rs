//! What was there before the events.

use clap::Args;
use futures::{Stream, StreamExt as _, TryStreamExt as _, future::Either};
use serde_json::json;

use super::{
    Connection, End, Report, Stop,
    bucket::{self, Entry},
    connect::Ends,
    container::{Copy, Listing},
    far, inventory,
    merge::{self, Pair},
    pace,
};
use crate::{Outcome, Reason, Result, checksum::Checked, name, record::Record};

/// Copy what was there before the events; a second run copies nothing that is there.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bucket
    #[arg(long)]
    bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// List versions, and copy the current one of each object by its id
    #[arg(long)]
    versions: bool,
    /// Take the objects from an S3 Inventory (CSV) instead of listing the bucket: s3://BUCKET/…/manifest.json
    #[arg(long, value_name = "URL", conflicts_with = "versions")]
    inventory: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// An object and what is known of its copy.
struct Work {
    entry: Entry,
    copy: Known,
}

enum Known {
    /// As the container's listing has it; None: it has none.
    Listed(Option<Box<Copy>>),
    /// Nothing: it is to be asked for.
    Unknown,
}

#[derive(Default)]
struct Sums {
    copied: u64,
    bytes: u64,
    unverified: u64,
    unchanged: u64,
    archived: u64,
    failed: u64,
}

pub(crate) async fn run(options: Options, report: &Report, stop: &Stop) -> Result<End> {
    let ends = options.connection.open().await?;
    let work = works(&ends, &options).await?.inspect_ok(|_| report.known());
    let bucket = options.bucket.as_str();
    let mut sums = Sums::default();
    let copy = |work: Work| async { (work.entry.key.clone(), one(&ends, bucket, work).await) };
    let done = |(key, outcome): (String, Result<Outcome>)| {
        let bytes = sums.count(report, &key, outcome)?;
        report.done(bytes);
        Ok(bytes)
    };
    let ended = pace::drive(work, ends.concurrency, stop, copy, done).await;
    let Sums { copied, bytes, unverified, unchanged, archived, failed } = sums;
    let interrupted = stop.is_set();
    let summary = json!({
        "event": "summary", "command": "backfill", "bucket": bucket, "prefix": options.prefix, "copied": copied, "bytes": bytes,
        "unverified": unverified, "unchanged": unchanged, "archived": archived, "failed": failed,
        "interrupted": interrupted, "complete": ended.is_ok() && !interrupted,
    });
    let person = format!(
        "copied {copied} objects ({bytes} bytes, {unverified} of them without a checksum of S3 to compare), {unchanged} were \
         there, {archived} are archived, {failed} failed"
    );
    report.finish(summary, &person);
    ended?;
    Ok(if archived + failed == 0 { End::Good } else { End::Bad })
}

impl Sums {
    /// Counts what became of an object, and returns how many bytes were copied.
    ///
    /// # Errors
    /// What will not go better with the next object.
    fn count(&mut self, report: &Report, key: &str, outcome: Result<Outcome>) -> Result<u64> {
        match outcome {
            Ok(Outcome::Copied { bytes, checked }) => {
                self.copied += 1;
                self.bytes += bytes;
                self.unverified += u64::from(!matches!(checked, Checked::Against(_)));
                return Ok(bytes);
            }
            Ok(_) => self.unchanged += 1,
            // It was deleted since it was listed.
            Err(error) if error.reason == Reason::Gone => self.unchanged += 1,
            Err(error) => {
                match error.reason {
                    Reason::Archived => self.archived += 1,
                    _ => self.failed += 1,
                }
                report.failure(key, &error);
                if is_hopeless(error.reason) {
                    return Err(error);
                }
            }
        }
        Ok(0)
    }
}

/// Whether the next object will fail for the same reason.
pub(crate) fn is_hopeless(reason: Reason) -> bool {
    matches!(reason, Reason::ContainerMissing | Reason::Unauthenticated | Reason::Full | Reason::Configuration)
}

async fn works<'a>(ends: &'a Ends, options: &Options) -> Result<impl Stream<Item = Result<Work>> + use<'a>> {
    if let Some(manifest) = &options.inventory {
        let entries = inventory::entries(&ends.backup.source, manifest, &options.bucket, &options.prefix).await?;
        return Ok(Either::Left(entries.map_ok(|entry| Work { entry, copy: Known::Unknown })));
    }
    let backup = &ends.backup;
    let retries = backup.policy.retries;
    let (bucket, prefix) = (options.bucket.clone(), options.prefix.clone());
    let copies = Listing::of_keys(&backup.policy.describing, &prefix).blobs(&backup.target, retries);
    let entries = bucket::list(ends.s3.clone(), retries, bucket, prefix, options.versions);
    let pairs = merge::pairs(&backup.policy.describing.prefix, entries, copies);
    // Blobs without an object are verify's.
    let works = pairs.try_filter_map(|Pair { entry, copy, .. }| async {
        Ok(entry.map(|entry| Work { entry, copy: Known::Listed(copy.map(Box::new)) }))
    });
    Ok(Either::Right(works.boxed_local()))
}

async fn one(ends: &Ends, bucket: &str, work: Work) -> Result<Outcome> {
    let Work { entry, copy } = work;
    let (record, size) = match copy {
        Known::Listed(copy) => copy.map_or((None, 0), |copy| (copy.record, copy.size)),
        Known::Unknown => {
            let describing = &ends.backup.policy.describing;
            let name = name::encode(&describing.prefix, &entry.key);
            let blob = ends.backup.run(far(), || ends.backup.target.properties(&name)).await?;
            blob.map_or((None, 0), |blob| (Record::read(describing, &name, &blob.description), blob.size))
        }
    };
    if record.is_some_and(|record| is_there(&entry, bucket, &record, size)) {
        return Ok(Outcome::Unchanged);
    }
    ends.backup.apply(&entry.change(bucket), far()).await
}

/// Whether a blob with this record is the copy of the object that was listed, and the object not deleted since.
pub(crate) fn is_there(entry: &Entry, bucket: &str, record: &Record, size: u64) -> bool {
    let Some(content) = &record.content else { return false };
    record.bucket == bucket
        && record.tombstone.is_none()
        && size == entry.size
        && entry.etag.as_ref().is_some_and(|etag| *etag == content.etag)
        && entry.version.as_ref().is_none_or(|version| content.version.as_ref() == Some(version))
}
