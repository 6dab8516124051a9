//! Azure to S3: every object as its blob says that it was.

use std::collections::BTreeMap;

use clap::Args;
use futures::{Stream, StreamExt as _, TryStreamExt as _, future::Either, stream};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Connection, End, Report, Stop,
    backfill::is_hopeless,
    container::{Copy, Listing},
    pace,
    upload::{Put, Upload},
};
use crate::{
    Error, Reason, Result, checksum,
    record::{Content, Record},
    source::Object,
};

/// Bring objects back from Azure to S3 as they were.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bucket that was backed up
    #[arg(long)]
    bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// The bucket to restore to
    #[arg(long)]
    to_bucket: String,
    /// What stands before every key there
    #[arg(long, default_value = "", hide_default_value = true)]
    to_prefix: String,
    /// Restore what S3 had at this time, such as 2026-11-22T00:00:00Z, as far as the container keeps versions
    #[arg(long, value_name = "TIMESTAMP", value_parser = |text: &str| OffsetDateTime::parse(text, &Rfc3339))]
    at: Option<OffsetDateTime>,
    /// Restore objects too whose copies say that they were deleted
    #[arg(long)]
    deleted: bool,
    /// Overwrite what is newer than the copy
    #[arg(long)]
    overwrite: bool,
    /// Encrypt with the KMS keys that the objects had, not with the bucket's default
    #[arg(long)]
    encryption: bool,
    /// Set Object Lock as the objects had it, as far as it has not run out
    #[arg(long)]
    object_lock: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What became of a blob.
enum Fate {
    Restored {
        bytes: u64,
        verified: bool,
    },
    /// The object is there, and the same.
    Unchanged,
    /// Something newer is there.
    Newer(OffsetDateTime),
}

#[derive(Default)]
struct Sums {
    restored: u64,
    bytes: u64,
    unverified: u64,
    unchanged: u64,
    newer: u64,
    failed: u64,
}

pub(crate) async fn run(options: Options, report: &Report, stop: &Stop) -> Result<End> {
    let ends = options.connection.open().await?;
    let backup = &ends.backup;
    let retries = backup.policy.retries;
    let listing = Listing::of_keys(&backup.policy.describing, &options.prefix);
    let blobs = listing.with_everything(options.at.is_some()).blobs(&backup.target, retries);
    let states = match options.at {
        Some(at) => {
            Either::Left(groups(blobs).try_filter_map(move |versions| async move { Ok(state_at(versions, at)) }))
        }
        None => Either::Right(blobs),
    };
    let (bucket, deleted) = (options.bucket.clone(), options.deleted);
    let wanted = states.try_filter_map(move |copy| {
        let wanted = select(copy, &bucket, deleted);
        async { Ok(wanted) }
    });
    let wanted = wanted.inspect_ok(|_| report.known());
    let mut sums = Sums::default();
    let upload = Upload {
        s3: &ends.s3,
        backup,
        bucket: &options.to_bucket,
        encryption: options.encryption,
        object_lock: options.object_lock,
    };
    let work = |(copy, record, content): (Copy, Record, Content)| {
        let (options, upload) = (&options, &upload);
        async move {
            let key = format!("{}{}", options.to_prefix, record.key);
            let fate = one(options, upload, &key, &copy, &record, &content).await;
            (key, fate)
        }
    };
    let done = |(key, fate): (String, Result<Fate>)| {
        let bytes = sums.count(report, &key, fate)?;
        report.done(bytes);
        Ok(bytes)
    };
    let ended = pace::drive(wanted, ends.concurrency, stop, work, done).await;
    let Sums { restored, bytes, unverified, unchanged, newer, failed } = sums;
    let interrupted = stop.is_set();
    let summary = json!({
        "event": "summary", "command": "restore", "bucket": options.bucket, "prefix": options.prefix,
        "to_bucket": options.to_bucket, "to_prefix": options.to_prefix, "restored": restored, "bytes": bytes,
        "unverified": unverified, "unchanged": unchanged, "newer": newer, "failed": failed, "interrupted": interrupted,
        "complete": ended.is_ok() && !interrupted,
    });
    let person = format!(
        "restored {restored} objects ({bytes} bytes, {unverified} of them without a checksum in S3's answer), {unchanged} were \
         there, {newer} are newer there and were left, {failed} failed"
    );
    report.finish(summary, &person);
    ended?;
    Ok(if newer + failed == 0 { End::Good } else { End::Bad })
}

impl Sums {
    fn count(&mut self, report: &Report, key: &str, fate: Result<Fate>) -> Result<u64> {
        match fate {
            Ok(Fate::Restored { bytes, verified }) => {
                self.restored += 1;
                self.bytes += bytes;
                self.unverified += u64::from(!verified);
                return Ok(bytes);
            }
            Ok(Fate::Unchanged) => self.unchanged += 1,
            Ok(Fate::Newer(modified)) => {
                self.newer += 1;
                let modified = modified.format(&Rfc3339).unwrap_or_default();
                let person = format!("newer      {key:?}: the bucket has one of {modified}; --overwrite replaces it");
                report.finding(&json!({"event": "newer", "key": key, "modified": modified}), &person);
            }
            Err(error) => {
                self.failed += 1;
                report.failure(key, &error);
                if is_hopeless(error.reason) {
                    return Err(error);
                }
            }
        }
        Ok(0)
    }
}

/// A blob that is to be restored; None if it is not of this bucket, or its object was deleted.
fn select(copy: Copy, bucket: &str, deleted: bool) -> Option<(Copy, Record, Content)> {
    let record = copy.record.clone().filter(|record| record.bucket == bucket)?;
    let content = record.content.clone()?;
    (deleted || record.tombstone.is_none()).then_some((copy, record, content))
}

/// The versions of each blob together, as they are listed one after the other.
fn groups(copies: impl Stream<Item = Result<Copy>>) -> impl Stream<Item = Result<Vec<Copy>>> {
    let state = (Box::pin(copies.peekable()), Vec::<Copy>::new());
    stream::try_unfold(state, |(mut copies, mut group)| async move {
        loop {
            let next = copies.as_mut().peek().await;
            let belongs = match (next, group.first()) {
                (None, None) => return Ok(None),
                (Some(Err(_)), _) | (Some(Ok(_)), None) => true,
                (Some(Ok(copy)), Some(first)) => copy.name == first.name,
                (None, Some(_)) => false,
            };
            if !belongs {
                return Ok(Some((group, (copies, Vec::new()))));
            }
            group.extend(copies.next().await.transpose()?);
        }
    })
}

/// The version that is what S3 had at a time; None if S3 had none, or no version of that time is kept.
///
/// What counts is when S3 wrote and deleted the object, which is on every version, not when it was copied. Of several versions
/// with the same content, the last one describes it best. Versions are listed with the older ones first.
fn state_at(versions: Vec<Copy>, at: OffsetDateTime) -> Option<Copy> {
    let tombstones: Vec<_> =
        versions.iter().filter_map(|copy| Some(copy.record.as_ref()?.tombstone.as_ref()?.time)).collect();
    let written = |copy: &Copy| Some(copy.record.as_ref()?.content.as_ref()?.position.time);
    let newest =
        versions.into_iter().filter(|copy| written(copy).is_some_and(|time| time <= at)).reduce(|one, other| {
            match written(&other) >= written(&one) {
                true => other,
                false => one,
            }
        })?;
    let since = written(&newest)?;
    let was_deleted = tombstones.iter().any(|deleted| (since..=at).contains(deleted));
    let mut newest = newest;
    if !was_deleted && let Some(record) = &mut newest.record {
        // It was deleted later than the time that is asked for.
        record.tombstone = None;
    }
    if was_deleted
        && let Some(record) = &mut newest.record
        && record.tombstone.is_none()
    {
        record.tombstone = record.content.as_ref().map(|content| content.position.clone());
    }
    Some(newest)
}

/// Restores one object, if the bucket does not have it or something newer.
async fn one(
    options: &Options,
    upload: &Upload<'_>,
    key: &str,
    copy: &Copy,
    record: &Record,
    content: &Content,
) -> Result<Fate> {
    if copy.archived {
        let message = "the blob is in the archive tier: move it to another tier (az storage blob set-tier), wait until it has \
                       arrived there, and run this again";
        return Err(Error::new(Reason::Archived, message));
    }
    let about = format!("restoring {} to s3://{}/{key}", copy.name, options.to_bucket);
    let mut again = true;
    loop {
        let there = upload.there(key).await?;
        let replaced = match &there {
            None => None,
            Some(there) if is_same(there, copy, record, content) => return Ok(Fate::Unchanged),
            Some(there) if there.modified > content.position.time && !options.overwrite => {
                return Ok(Fate::Newer(there.modified));
            }
            Some(there) => Some(there.etag.clone()),
        };
        let put = Put { key, copy, record, content, replaced };
        match upload.put(&put).await {
            Ok(verified) => return Ok(Fate::Restored { bytes: copy.size, verified }),
            // Somebody wrote the object since it was looked at.
            Err(error) if error.reason == Reason::Conflict && again => again = false,
            Err(error) => return Err(error.about(&about)),
        }
    }
}

/// Whether the bucket has the object already: the same bytes, described in the same way.
fn is_same(there: &Object, copy: &Copy, record: &Record, content: &Content) -> bool {
    let same_bytes = match there.stored.as_ref().filter(|stored| stored.full_object) {
        Some(stored) if stored.algorithm == checksum::Algorithm::Crc64Nvme => {
            stored.value == checksum::to_s3(content.crc64)
        }
        _ => there.etag == content.etag,
    };
    let described = |headers: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let own = |name: &str| !name.starts_with("x-amz-") || name == "x-amz-website-redirect-location";
        let own = headers.iter().filter(|(name, _)| own(name));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    same_bytes
        && there.size == copy.size
        && there.class == content.class
        && usize::try_from(there.tag_count) == Ok(record.tags.len())
        && there.user == record.user
        && described(&there.headers) == described(&record.headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checksum::Checked, order::Position};

    fn time(minute: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000 + 60 * minute).unwrap()
    }

    fn version(id: &str, written: Option<i64>, deleted: Option<i64>) -> Copy {
        let position = |minute| Position { sequencer: None, time: time(minute) };
        let content = written.map(|minute| Content {
            version: None,
            etag: id.to_owned(),
            position: position(minute),
            class: "STANDARD".to_owned(),
            crc64: 0,
            checked: Checked::Computed,
        });
        let record = Record {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            content,
            tombstone: deleted.map(position),
            headers: BTreeMap::new(),
            user: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        Copy {
            name: "k".to_owned(),
            etag: id.to_owned(),
            size: 0,
            version: Some(id.to_owned()),
            archived: false,
            record: Some(record),
        }
    }

    #[test]
    fn a_point_in_time() {
        // Written at 10, described anew, deleted at 20, written again at 30.
        let history = || {
            vec![
                version("1", Some(10), None),
                version("2", Some(10), None),
                version("3", Some(10), Some(20)),
                version("4", Some(30), None),
            ]
        };
        let restored = |minute| {
            let state = state_at(history(), time(minute)).and_then(|copy| select(copy, "b", false));
            state.map(|(copy, ..)| copy.etag)
        };
        for (minute, expected) in
            [(9, None), (10, Some("3")), (19, Some("3")), (20, None), (29, None), (30, Some("4")), (99, Some("4"))]
        {
            assert_eq!(restored(minute).as_deref(), expected, "at {minute}");
        }
        let deleted = state_at(history(), time(25)).and_then(|copy| select(copy, "b", true));
        assert_eq!(deleted.unwrap().0.etag, "3", "asked for with --deleted");
        assert!(state_at(vec![version("1", None, Some(5))], time(9)).is_none(), "never copied");
        // Copied late, in the wrong order: S3's time counts.
        let disordered = vec![version("1", Some(30), None), version("2", Some(10), None)];
        assert_eq!(state_at(disordered, time(40)).unwrap().etag, "1");
    }

    #[tokio::test]
    async fn versions_of_a_blob_come_together() {
        let mut others = vec![version("1", Some(1), None), version("2", Some(2), None), version("3", Some(3), None)];
        others[2].name = "l".to_owned();
        let all: Vec<_> = groups(stream::iter(others.into_iter().map(Ok))).try_collect().await.unwrap();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }
}
