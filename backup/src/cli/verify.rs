//! S3 against Azure.
//!
//! Both listings are merged ([`merge`]); what agrees there is equal. Whatever does not is asked for by itself, on both sides, before
//! it is a finding: an object that was written between the two listings, or a name that stands elsewhere in its listing, is none.

use std::fmt;

use clap::Args;
use futures::TryStreamExt as _;
use serde_json::json;

use super::{
    Connection, End, Report, Stop,
    backfill::{is_hopeless, is_there},
    bucket::{self, Entry, created},
    connect::Ends,
    container::{Copy, Listing, Reading},
    far,
    merge::{self, Pair},
    pace,
    requeue::Requeue,
};
use crate::{
    Error, Reason, Result,
    checksum::{self, Summer},
    name,
    record::Record,
    target::Blob,
};

/// Compare S3 with Azure: missing, extra, different.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The bucket
    #[arg(long)]
    bucket: String,
    /// Only keys that begin with this
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// List versions, and compare their ids too
    #[arg(long)]
    versions: bool,
    /// Read every object and every blob back and compare their bytes by CRC64
    #[arg(long)]
    read: bool,
    /// Blobs whose objects were deleted are no difference, as with BACKUP_DELETES=retain
    #[arg(long)]
    allow_extra: bool,
    /// Send what is missing or different to the queue of the Lambda function, which copies it
    #[arg(long, value_name = "QUEUE_URL")]
    requeue: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// S3 has an object, Azure has no copy.
    Missing,
    /// Azure has a blob, S3 has no object.
    Extra,
    /// The blob is not the copy of what S3 has now.
    Different,
}

/// How both sides compare.
#[derive(Clone, Debug)]
enum Verdict {
    Equal,
    /// The object was deleted, and the copy says so.
    Tombstone,
    /// The object or the blob is archived, so that its bytes cannot be read.
    Unread,
    Finding(Finding),
}

/// A difference.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// The key; None for a blob whose name tells none.
    pub(crate) key: Option<String>,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) version: Option<String>,
    pub(crate) detail: String,
}

/// What both sides have of a key at this moment.
struct Now {
    entry: Option<Entry>,
    blob: Option<(Blob, Option<Record>)>,
}

#[derive(Default)]
struct Sums {
    equal: u64,
    tombstones: u64,
    missing: u64,
    extra: u64,
    different: u64,
    unread: u64,
    failed: u64,
    requeued: u64,
}

pub(crate) async fn run(options: Options, report: &Report, stop: &Stop) -> Result<End> {
    let ends = options.connection.open().await?;
    let backup = &ends.backup;
    let retries = backup.policy.retries;
    let describing = &backup.policy.describing;
    let copies = Listing::of_keys(describing, &options.prefix).blobs(&backup.target, retries);
    let entries =
        bucket::list(ends.s3.clone(), retries, options.bucket.clone(), options.prefix.clone(), options.versions);
    let pairs = merge::pairs(&describing.prefix, entries, copies).inspect_ok(|_| report.known());
    let requeue = options.requeue.as_deref().map(|url| Requeue::new(&ends.aws, url, &options.bucket));
    let mut sums = Sums::default();
    let work = |pair: Pair| async {
        let name = pair.name.clone();
        let judged = compare(&ends, &options, pair).await;
        let sent = match (&requeue, &judged) {
            (Some(requeue), Ok((Verdict::Finding(finding), _))) => requeue.send(finding).await,
            _ => Ok(false),
        };
        (name, judged, sent)
    };
    let done = |(name, judged, sent): (String, Result<(Verdict, u64)>, Result<bool>)| {
        let mut bytes = 0;
        let error = match judged {
            Ok((verdict, read)) => {
                bytes = read;
                if let Some(finding) = sums.count(verdict, options.allow_extra) {
                    report.finding(&finding.machine(), &finding.to_string());
                }
                sums.requeued += u64::from(matches!(sent, Ok(true)));
                sent.err()
            }
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            sums.failed += 1;
            report.failure(&name, &error);
            if is_hopeless(error.reason) {
                return Err(error);
            }
        }
        report.done(bytes);
        Ok(bytes)
    };
    let ended = pace::drive(pairs, ends.concurrency, stop, work, done).await;
    let Sums { equal, tombstones, missing, extra, different, unread, failed, requeued } = sums;
    let interrupted = stop.is_set();
    let complete = ended.is_ok() && !interrupted && failed == 0;
    let summary = json!({
        "event": "summary", "command": "verify", "bucket": options.bucket, "prefix": options.prefix, "equal": equal,
        "tombstones": tombstones, "missing": missing, "extra": extra, "different": different, "unread": unread,
        "failed": failed, "requeued": requeued, "interrupted": interrupted, "complete": complete,
    });
    let mut person = format!(
        "{equal} equal, {tombstones} deleted and marked so, {missing} missing, {extra} extra, {different} different, {unread} \
         archived and not read, {failed} could not be compared"
    );
    if requeue.is_some() {
        person.push_str(&format!(", {requeued} sent to the queue"));
    }
    report.finish(summary, &person);
    ended?;
    if failed > 0 {
        let message = format!("{failed} objects could not be compared: what stands in the way is above");
        return Err(Error::new(Reason::Unavailable, message));
    }
    let extra = if options.allow_extra { 0 } else { extra };
    Ok(if missing + extra + different == 0 { End::Good } else { End::Bad })
}

impl Sums {
    fn count(&mut self, verdict: Verdict, allow_extra: bool) -> Option<Finding> {
        let finding = match verdict {
            Verdict::Equal => {
                self.equal += 1;
                return None;
            }
            Verdict::Tombstone => {
                self.tombstones += 1;
                return None;
            }
            Verdict::Unread => {
                self.unread += 1;
                return None;
            }
            Verdict::Finding(finding) => finding,
        };
        match finding.kind {
            Kind::Missing => self.missing += 1,
            Kind::Extra => self.extra += 1,
            Kind::Different => self.different += 1,
        }
        Some(finding).filter(|finding| finding.kind != Kind::Extra || !allow_extra)
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
        }
    }
}

impl Finding {
    fn machine(&self) -> serde_json::Value {
        json!({
            "event": "finding", "kind": self.kind.name(), "key": self.key, "blob": self.name, "version": self.version,
            "size": self.size, "detail": self.detail,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_deref().unwrap_or(&self.name);
        write!(f, "{:9}  {key:?}: {}", self.kind.name(), self.detail)
    }
}

/// Compares what the listings say; if that leaves a question, what both services say now. Returns how many bytes were read.
async fn compare(ends: &Ends, options: &Options, pair: Pair) -> Result<(Verdict, u64)> {
    let bucket = options.bucket.as_str();
    let Pair { name, entry, copy } = pair;
    let agree = match (&entry, &copy) {
        (Some(entry), Some(copy)) => {
            copy.record.as_ref().is_some_and(|record| is_there(entry, bucket, record, copy.size))
        }
        _ => false,
    };
    if agree && !options.read {
        return Ok((Verdict::Equal, 0));
    }
    let describing = &ends.backup.policy.describing;
    let recorded = copy.as_ref().and_then(|copy| copy.record.as_ref()).map(|record| record.key.clone());
    let key = entry.map(|entry| entry.key).or(recorded).or_else(|| name::decode(&describing.prefix, &name));
    let Some(key) = key else {
        let size = copy.map(|copy| copy.size).unwrap_or_default();
        return Ok((extra(None, &name, size, "no backup with this prefix wrote it"), 0));
    };
    let now = look(ends, options, &key, &name).await?;
    let verdict = judge(bucket, &key, &name, &now);
    match (&verdict, now) {
        (Verdict::Equal, Now { entry: Some(entry), blob: Some((blob, Some(record))) }) if options.read => {
            read(ends, bucket, &name, entry, &blob, &record).await
        }
        _ => Ok((verdict, 0)),
    }
}

async fn look(ends: &Ends, options: &Options, key: &str, name: &str) -> Result<Now> {
    let backup = &ends.backup;
    let change = created(&options.bucket, key);
    let (object, blob) =
        tokio::try_join!(backup.now(&change, far()), backup.run(far(), || backup.target.properties(name)))?;
    let entry = object.map(|object| Entry {
        key: key.to_owned(),
        size: object.size,
        etag: Some(object.etag),
        version: object.version.filter(|version| options.versions && version != "null"),
        class: object.class,
    });
    let blob = blob.map(|blob| {
        let record = Record::read(&backup.policy.describing, name, &blob.description);
        (blob, record)
    });
    Ok(Now { entry, blob })
}

fn judge(bucket: &str, key: &str, name: &str, now: &Now) -> Verdict {
    let finding = |kind, size, version: Option<&String>, detail: String| {
        let key = Some(key.to_owned());
        Verdict::Finding(Finding { kind, key, name: name.to_owned(), size, version: version.cloned(), detail })
    };
    match (&now.entry, &now.blob) {
        // It was there when it was listed, and is gone from both: they agree.
        (None, None) => Verdict::Equal,
        (None, Some((_, Some(record)))) if record.bucket == bucket && record.tombstone.is_some() => Verdict::Tombstone,
        (None, Some((blob, Some(record)))) if record.bucket == bucket => {
            extra(Some(key), name, blob.size, "S3 has no such object: it was deleted")
        }
        (None, Some((blob, Some(record)))) => {
            extra(Some(key), name, blob.size, &format!("it is the copy of an object of the bucket {}", record.bucket))
        }
        (None, Some((blob, None))) => extra(Some(key), name, blob.size, "no backup with this prefix wrote it"),
        (Some(entry), None) => {
            finding(Kind::Missing, entry.size, entry.version.as_ref(), "Azure has no copy".to_owned())
        }
        (Some(entry), Some((blob, Some(record)))) if is_there(entry, bucket, record, blob.size) => Verdict::Equal,
        (Some(entry), Some((blob, record))) => {
            let detail = difference(entry, bucket, blob, record.as_ref());
            finding(Kind::Different, entry.size, entry.version.as_ref(), detail)
        }
    }
}

fn extra(key: Option<&str>, name: &str, size: u64, detail: &str) -> Verdict {
    let (key, name) = (key.map(str::to_owned), name.to_owned());
    Verdict::Finding(Finding { kind: Kind::Extra, key, name, size, version: None, detail: detail.to_owned() })
}

/// Why a blob is not the copy of what S3 has.
fn difference(entry: &Entry, bucket: &str, blob: &Blob, record: Option<&Record>) -> String {
    let Some(record) = record else {
        return "a blob of this name is there, which no backup with this prefix wrote".to_owned();
    };
    if record.bucket != bucket {
        return format!("the blob is the copy of an object of the bucket {}", record.bucket);
    }
    let Some(content) = &record.content else { return "the blob is only the mark that it was deleted".to_owned() };
    let etag = entry.etag.as_deref().unwrap_or_default();
    if content.etag != etag {
        return format!("S3 has another state of it: ETag {etag}, copied is {}", content.etag);
    }
    if blob.size != entry.size {
        return format!("the blob has {} bytes, the object {}", blob.size, entry.size);
    }
    match &entry.version {
        Some(version) if content.version.as_ref() != Some(version) => {
            let copied = content.version.as_deref().unwrap_or("none");
            format!("S3 has another version of it: {version}, copied is {copied}")
        }
        _ => "the copy says that the object was deleted, and S3 has it".to_owned(),
    }
}

/// Reads both sides back and compares their bytes.
async fn read(
    ends: &Ends,
    bucket: &str,
    name: &str,
    entry: Entry,
    blob: &Blob,
    record: &Record,
) -> Result<(Verdict, u64)> {
    let backup = &ends.backup;
    let Some(content) = &record.content else { return Ok((Verdict::Equal, 0)) };
    if blob.description.tier == Some(crate::tier::Tier::Archive) {
        return Ok((Verdict::Unread, 0));
    }
    let change = created(bucket, &entry.key);
    let in_s3 = backup.run(far(), || async {
        let (object, mut body) = backup.source.get(&change).await?;
        if object.etag != content.etag {
            return Err(Error::new(Reason::SourceChanged, "it was overwritten while it was read: verify again"));
        }
        let mut summer = Summer::new(None, true);
        while let Some(bytes) = body.next().await? {
            summer.update(&bytes);
        }
        Ok(summer.finish().0)
    });
    let copy = Copy {
        name: name.to_owned(),
        etag: blob.etag.clone(),
        size: blob.size,
        version: None,
        archived: false,
        record: None,
    };
    let in_azure = backup.run(far(), || async {
        let mut summer = Summer::new(None, true);
        if copy.size > 0 {
            let mut reading = Reading::begin(&backup.target, &copy, 0, copy.size).await?;
            while let Some(bytes) = reading.next().await? {
                summer.update(&bytes);
            }
        }
        Ok(summer.finish().0)
    });
    let (in_s3, in_azure) = match tokio::try_join!(in_s3, in_azure) {
        Err(error) if error.reason == Reason::Archived => return Ok((Verdict::Unread, 0)),
        read => read?,
    };
    let bytes = in_s3.length + in_azure.length;
    if in_s3 == in_azure && in_s3.crc64 == content.crc64 {
        return Ok((Verdict::Equal, bytes));
    }
    let detail = format!(
        "the bytes differ: CRC64NVME in S3 {}, in Azure {}, recorded {}; delete the blob before it is copied again, since its \
         record says that it is there",
        checksum::to_s3(in_s3.crc64),
        checksum::to_s3(in_azure.crc64),
        checksum::to_s3(content.crc64)
    );
    let finding = Finding {
        kind: Kind::Different,
        key: Some(entry.key),
        name: name.to_owned(),
        size: entry.size,
        version: entry.version,
        detail,
    };
    Ok((Verdict::Finding(finding), bytes))
}
