//! What the Lambda function does with an invocation.
//!
//! - **Messages of a queue**: each is done, fails, or goes on. Only those that failed are returned, so that the queue repeats them
//!   and, after its `maxReceiveCount`, moves them to the dead-letter queue; the log has the reason of each failure.
//! - **Going on**: a message whose time ran out is sent to its queue again, as it is, and done here. So it begins with a
//!   receive count of its own, and an object that takes a hundred invocations is not mistaken for a poison message. What it
//!   staged stays staged. It carries how far it came; without progress in three rounds it fails like any other.
//! - **Tasks of S3 Batch Operations**, with a result for each.
//! - **An event without a queue**: a failure fails the invocation, which Lambda repeats.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    Backup, Error, Outcome, Reason, Result,
    event::{self, Change, Job, Task},
    metrics::Metrics,
};

/// Kept back from the invocation's time, for sending on what is unfinished and for the answer.
const RESERVE: Duration = Duration::from_secs(5);
/// How often a message may go on without progress.
const PATIENCE: u32 = 3;
/// The most characters that S3 Batch Operations takes of a result; a key alone may have as many.
const LONGEST_RESULT: usize = 1024;
/// The attribute of a message that went on.
pub const ATTRIBUTE: &str = "BackupProgress";

/// A batch of messages, none of them read.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<&'a RawValue>,
}

/// Who sent a record.
#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "eventSource")]
    by: String,
}

/// A message of a queue, as Lambda hands it over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Names it in the answer.
    pub message_id: String,
    /// What was sent.
    #[serde(default)]
    pub body: String,
    /// The queue.
    #[serde(rename = "eventSourceARN", default)]
    pub queue_arn: String,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    message_attributes: MessageAttributes,
}

/// Those that somebody gave it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct MessageAttributes {
    /// [`ATTRIBUTE`].
    #[serde(rename = "BackupProgress")]
    progress: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Text {
    string_value: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Attributes {
    sent_timestamp: Option<String>,
    approximate_receive_count: Option<String>,
}

/// How far a message came in the invocations before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Invocations so far.
    pub rounds: u32,
    /// Bytes staged.
    pub staged: u64,
    /// Invocations since there was progress.
    pub idle: u32,
}

impl Progress {
    fn of(message: &Message) -> Self {
        serde_json::from_str(&message.message_attributes.progress.string_value).unwrap_or_default()
    }

    /// After another invocation; None if it has come to nothing too often.
    fn next(self, staged: u64) -> Option<Self> {
        let idle = if staged > self.staged { 0 } else { self.idle + 1 };
        (idle < PATIENCE).then_some(Self { rounds: self.rounds + 1, staged: staged.max(self.staged), idle })
    }
}

/// Where messages are sent again.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends a message to its queue as it is, with how far it came.
    async fn send_on(&self, message: &Message, progress: Progress) -> Result<()>;
}

/// What the function works with.
pub struct Function<'a> {
    /// The copy.
    pub backup: &'a Backup,
    /// Where messages are sent again.
    pub queue: &'a dyn Queue,
    /// How many objects are copied at once.
    pub concurrency: usize,
}

/// What became of a message.
enum Fate {
    Done,
    Failed,
}

impl Function<'_> {
    /// Answers an invocation that ends at `deadline`, and counts what it did.
    ///
    /// # Errors
    /// An event without a queue whose changes failed, or one of no known form.
    pub async fn handle(&self, event: &RawValue, deadline: Instant, metrics: &mut Metrics) -> Result<Value> {
        let deadline = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        // A batch may have ten thousand messages: each is read when its turn comes, and not before.
        if let Ok(Batch { records }) = serde_json::from_str(event.get())
            && let Some(first) = records.first()
            && serde_json::from_str::<Sent>(first.get()).is_ok_and(|sent| sent.by == "aws:sqs")
        {
            return self.messages(records, deadline, metrics).await;
        }
        let event: Value = serde_json::from_str(event.get())
            .map_err(|error| Error::new(Reason::Malformed, format!("the event is not JSON: {error}")))?;
        match Job::is_one(&event) {
            true => self.job(Job::parse(event)?, deadline, metrics).await,
            false => self.direct(event, deadline, metrics).await,
        }
    }

    async fn messages(&self, records: Vec<&RawValue>, deadline: Instant, metrics: &mut Metrics) -> Result<Value> {
        let mut failed = Vec::new();
        let mut fates = stream::iter(records)
            .map(|record| async move {
                let mut metrics = Metrics::default();
                let (id, fate) = match serde_json::from_str::<Message>(record.get()) {
                    Ok(message) => {
                        let fate = self.message(&message, deadline, &mut metrics).await;
                        (message.message_id.into(), fate)
                    }
                    Err(error) => {
                        let id = serde_json::from_str::<Value>(record.get()).unwrap_or_default()["messageId"].take();
                        tracing::error!(message_id = ?id, %error, "a record that is no message");
                        metrics.failures += 1;
                        (id, Fate::Failed)
                    }
                };
                (id, fate, metrics)
            })
            .buffer_unordered(self.concurrency.max(1));
        while let Some((id, fate, counted)) = fates.next().await {
            metrics.add(counted);
            if let Fate::Failed = fate {
                failed.push(json!({"itemIdentifier": id}));
            }
        }
        Ok(json!({"batchItemFailures": failed}))
    }

    async fn message(&self, message: &Message, deadline: Instant, metrics: &mut Metrics) -> Fate {
        metrics.oldest = message.age();
        let progress = Progress::of(message);
        let changes = match event::parse(&message.body) {
            Ok(changes) => changes,
            Err(error) => return self.fail(message, None, &error, metrics),
        };
        let mut unfinished: Option<u64> = None;
        for change in &changes {
            let staged = match self.backup.apply(change, deadline).await {
                Ok(outcome) => {
                    log(change, &outcome);
                    metrics.count(&outcome, lag(change));
                    match outcome {
                        Outcome::Unfinished { staged, .. } => Some(staged),
                        _ => None,
                    }
                }
                Err(error) if error.reason == Reason::Deadline => {
                    metrics.unfinished += 1;
                    Some(0)
                }
                Err(error) => return self.fail(message, Some(change), &error, metrics),
            };
            if let Some(staged) = staged {
                unfinished = Some(unfinished.unwrap_or_default() + staged);
            }
        }
        let Some(staged) = unfinished else { return Fate::Done };
        let Some(next) = progress.next(staged) else {
            let stuck = Error::new(
                Reason::Deadline,
                format!(
                    "no progress in {PATIENCE} invocations at {staged} bytes: give the function more time or memory"
                ),
            );
            return self.fail(message, changes.first(), &stuck, metrics);
        };
        match self.queue.send_on(message, next).await {
            Ok(()) => {
                tracing::info!(
                    message_id = message.message_id,
                    rounds = next.rounds,
                    staged,
                    "goes on in another invocation"
                );
                Fate::Done
            }
            Err(error) => self.fail(message, changes.first(), &error, metrics),
        }
    }

    fn fail(&self, message: &Message, change: Option<&Change>, error: &Error, metrics: &mut Metrics) -> Fate {
        metrics.failures += 1;
        tracing::error!(
            message_id = message.message_id,
            received = message.attributes.approximate_receive_count,
            bucket = change.map(|change| change.bucket.as_str()),
            key = change.map(|change| change.key.as_str()),
            version = change.and_then(|change| change.version.as_deref()),
            reason = %error.reason,
            permanent = error.reason.is_permanent(),
            %error,
            "failed"
        );
        Fate::Failed
    }

    async fn direct(&self, event: Value, deadline: Instant, metrics: &mut Metrics) -> Result<Value> {
        for change in event::parse_value(event)? {
            let done = self.backup.apply(&change, deadline).await;
            let outcome = done.inspect_err(|error| {
                metrics.failures += 1;
                tracing::error!(bucket = change.bucket, key = change.key, version = change.version, reason = %error.reason, %error, "failed");
            })?;
            log(&change, &outcome);
            metrics.count(&outcome, lag(&change));
            if let Outcome::Unfinished { staged, total } = outcome {
                let message = format!("{staged} of {total} bytes are staged: Lambda's repetition goes on from there");
                return Err(Error::new(Reason::Deadline, message));
            }
        }
        Ok(Value::Null)
    }

    async fn job(&self, job: Job, deadline: Instant, metrics: &mut Metrics) -> Result<Value> {
        let mut results = Vec::new();
        let mut tasks = stream::iter(&job.tasks)
            .map(|task| async move { (task, self.task(task, deadline).await) })
            .buffered(self.concurrency.max(1));
        while let Some((task, done)) = tasks.next().await {
            let (code, text) = match done {
                Ok(outcome) => {
                    metrics.count(&outcome, None);
                    let unfinished = matches!(outcome, Outcome::Unfinished { .. });
                    (if unfinished { "TemporaryFailure" } else { "Succeeded" }, format!("{outcome:?}"))
                }
                Err(error) => {
                    metrics.failures += 1;
                    tracing::error!(task = task.task_id, reason = %error.reason, %error, "failed");
                    let code = if error.reason.is_permanent() { "PermanentFailure" } else { "TemporaryFailure" };
                    (code, format!("{}: {error}", error.reason))
                }
            };
            let text: String = text.chars().take(LONGEST_RESULT).collect();
            results.push(json!({"taskId": task.task_id, "resultCode": code, "resultString": text}));
        }
        Ok(json!({
            "invocationSchemaVersion": job.invocation_schema_version,
            "treatMissingKeysAs": "TemporaryFailure",
            "invocationId": job.invocation_id,
            "results": results,
        }))
    }

    async fn task(&self, task: &Task, deadline: Instant) -> Result<Outcome> {
        let change = task.change()?;
        let outcome = self.backup.apply(&change, deadline).await?;
        log(&change, &outcome);
        Ok(outcome)
    }
}

impl Message {
    /// How long ago it was sent.
    fn age(&self) -> Option<Duration> {
        let sent = self.attributes.sent_timestamp.as_deref()?.parse().ok()?;
        SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_millis(sent)).ok()
    }

    /// The address of its queue, which follows from the queue's ARN.
    ///
    /// # Errors
    /// `Malformed`: it has no ARN of a queue.
    pub fn queue_url(&self, endpoint: Option<&str>) -> Result<String> {
        let parts: Vec<_> = self.queue_arn.split(':').collect();
        let ["arn", partition, "sqs", region, account, name] = parts[..] else {
            return Err(Error::new(Reason::Malformed, format!("{:?} is not the ARN of a queue", self.queue_arn)));
        };
        let suffix = if partition == "aws-cn" { ".cn" } else { "" };
        Ok(match endpoint {
            Some(endpoint) => format!("{}/{account}/{name}", endpoint.trim_end_matches('/')),
            None => format!("https://sqs.{region}.amazonaws.com{suffix}/{account}/{name}"),
        })
    }
}

fn lag(change: &Change) -> Option<Duration> {
    Duration::try_from(OffsetDateTime::now_utc() - change.time?).ok()
}

fn log(change: &Change, outcome: &Outcome) {
    tracing::info!(
        bucket = change.bucket,
        key = change.key,
        version = change.version,
        sequencer = change.sequencer,
        ?outcome,
        "done"
    );
}
