//! One change from S3 to Azure: look, decide, copy, verify, record.
//!
//! A blob is only ever written under a condition: that there is none, or that it is still the one that was looked at. So it does
//! not matter who else works on the same key, how often an event comes or where a process before was killed: whoever finds
//! something else than expected looks again.

use std::{borrow::Cow, sync::atomic::AtomicBool};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    Error, Reason, Result,
    block::MIB,
    checksum::{self, Checked, Sum, Summer},
    event::{Change, Kind},
    memory::Memory,
    name,
    record::{Describing, Record},
    retry::Retries,
    source::{self, Object, Source},
    stand::Standing,
    tags::Tags,
    target::{Condition, Target},
    transfer::Staged,
    transport::Pieces,
};

/// How often a copy looks again because somebody else wrote the blob or the object meanwhile.
const ROUNDS: u32 = 6;

/// What a deletion in S3 does to the copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletes {
    /// Nothing.
    #[default]
    Retain,
    /// The copy stays and says that the object was deleted, and when.
    Tombstone,
    /// The copy is deleted, as far as the account's versions and soft delete let go of it.
    Propagate,
}

/// What is done how.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How objects are described.
    pub describing: Describing,
    /// What a deletion does.
    pub deletes: Deletes,
    /// Whether Azure is to fetch large objects from S3 by itself.
    pub pull: bool,
    /// Objects up to this size are one request.
    pub small: u64,
    /// The size of a block, unless an object needs larger ones.
    pub block: u64,
    /// How much of all objects may be in memory at once.
    pub memory: u64,
    /// How calls are repeated.
    pub retries: Retries,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            describing: Describing::default(),
            deletes: Deletes::default(),
            pull: false,
            small: 4 * MIB,
            block: 16 * MIB,
            memory: 24 * MIB,
            retries: Retries::default(),
        }
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object is in Azure.
    Copied {
        /// Its size.
        bytes: u64,
        /// What its checksum was compared with.
        checked: Checked,
    },
    /// It was there already.
    Unchanged,
    /// A newer state of it was there already.
    Superseded,
    /// Its bytes were there already; what the blob says of it is new.
    Described,
    /// Its copy was deleted.
    Deleted,
    /// Its copy says that it was deleted.
    Tombstoned,
    /// It was deleted, and its copy stays as it is.
    Retained,
    /// The event is none that a backup takes note of.
    Ignored,
    /// The time is over; what was staged stays staged, and the same change again goes on from there.
    Unfinished {
        /// Bytes staged by now.
        staged: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// A source, a target, and how the one is copied to the other.
#[derive(Debug)]
pub struct Backup {
    /// S3.
    pub source: Source,
    /// The container.
    pub target: Target,
    /// What is done how.
    pub policy: Policy,
    pub(crate) memory: Memory,
    /// Azure was found unable to fetch from S3 by itself.
    pub(crate) cannot_pull: AtomicBool,
    /// It was found not to say what arrived.
    pub(crate) cannot_stream: AtomicBool,
}

/// A small object, read.
struct Whole {
    object: Object,
    bytes: Pieces,
    sum: Sum,
    sha256: Option<[u8; 32]>,
    _memory: OwnedSemaphorePermit,
}

enum Fetched {
    Whole(Box<Whole>),
    Large(Object),
}

impl Backup {
    /// Sends nothing.
    pub fn new(source: Source, target: Target, policy: Policy) -> Self {
        let memory = Memory::new(policy.memory);
        Self {
            source,
            target,
            policy,
            memory,
            cannot_pull: AtomicBool::new(false),
            cannot_stream: AtomicBool::new(false),
        }
    }

    /// Carries a change over, and returns by the deadline.
    ///
    /// # Errors
    /// What stands in the way, and to which object. The same change again goes on from what was reached.
    pub async fn apply(&self, change: &Change, deadline: Instant) -> Result<Outcome> {
        let name = name::encode(&self.policy.describing.prefix, &change.key);
        let mut round = 0;
        loop {
            let attempt = async {
                match &change.kind {
                    Kind::Created => self.copy(change, &name, round == 0, deadline).await,
                    Kind::Described => Box::pin(self.describe(change, &name, deadline)).await,
                    Kind::Deleted => Box::pin(self.delete(change, &name, deadline)).await,
                    Kind::VersionDeleted => Box::pin(self.delete_version(change, &name, deadline)).await,
                    Kind::Other(_) => Ok(Outcome::Ignored),
                }
            };
            let error = match attempt.await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            round += 1;
            let again = matches!(error.reason, Reason::Conflict | Reason::BlocksLost | Reason::SourceChanged);
            if !again || round == ROUNDS {
                return Err(error.about(&format!("copying s3://{}/{} to {name}", change.bucket, change.key)));
            }
            tracing::debug!(key = change.key, reason = %error.reason, round, "looking again");
        }
    }

    /// Copies the object as it is now. `unseen`: whether to begin as if there were no blob, which is the common case.
    pub(crate) async fn copy(&self, change: &Change, name: &str, unseen: bool, deadline: Instant) -> Result<Outcome> {
        let object = if change.size.is_some_and(|size| size > self.policy.small) {
            self.run(deadline, || self.source.head(change)).await?
        } else {
            match self.run(deadline, || self.fetch(change)).await? {
                Fetched::Whole(whole) => return self.put(change, name, *whole, unseen, deadline).await,
                Fetched::Large(object) => object,
            }
        };
        if object.archived {
            return Err(Error::new(Reason::Archived, source::ARCHIVED));
        }
        Box::pin(self.assemble(change, name, object, deadline)).await
    }

    async fn fetch(&self, change: &Change) -> Result<Fetched> {
        let (object, mut body) = self.source.get(change).await?;
        if object.size > self.policy.small {
            return Ok(Fetched::Large(object));
        }
        let memory = self.memory.take(object.size).await;
        let mut bytes = Pieces::default();
        let mut summer = Summer::new(object.stored.as_ref(), true);
        while let Some(piece) = body.next().await? {
            summer.update(&piece);
            bytes.push(piece);
        }
        let (sum, sha256) = summer.finish();
        Ok(Fetched::Whole(Box::new(Whole { object, bytes, sum, sha256, _memory: memory })))
    }

    async fn put(&self, change: &Change, name: &str, whole: Whole, unseen: bool, deadline: Instant) -> Result<Outcome> {
        let Whole { object, bytes, sum, sha256, _memory } = whole;
        let checked = verify(&object, &sum, sha256)?;
        let change = &pinned(change, &object);
        let tags = self.tags(change, &object, deadline).await?;
        let mut record = Record::new(change, object.clone(), tags, sum.crc64, checked);
        let mut standing = match unseen {
            true => Standing::Write { condition: Condition::Absent, tombstone: None },
            false => Box::pin(self.stand(change, &object, name, deadline)).await?,
        };
        let mut unseen = unseen;
        loop {
            let (condition, tombstone) = match standing {
                Standing::Settled(outcome) => return Ok(outcome),
                Standing::Write { condition, tombstone } => (condition, tombstone),
            };
            record.tombstone = tombstone;
            let description = record.describe(&self.policy.describing)?;
            let written =
                self.run(deadline, || self.target.put(name, bytes.clone(), sum.crc64, &description, &condition)).await;
            match written {
                Ok(()) => {
                    let copied = Outcome::Copied { bytes: object.size, checked };
                    return self.settle(change, name, &condition, copied, deadline).await;
                }
                // There is a blob after all: the bytes are still at hand.
                Err(error) if error.reason == Reason::Conflict && unseen => {
                    unseen = false;
                    standing = Box::pin(self.stand(change, &object, name, deadline)).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn assemble(&self, change: &Change, name: &str, object: Object, deadline: Instant) -> Result<Outcome> {
        let change = &pinned(change, &object);
        let (condition, tombstone) = match Box::pin(self.stand(change, &object, name, deadline)).await? {
            Standing::Settled(outcome) => return Ok(outcome),
            Standing::Write { condition, tombstone } => (condition, tombstone),
        };
        let tags = self.tags(change, &object, deadline).await?;
        let mut record = Record::new(change, object.clone(), tags, 0, Checked::NotComparable);
        record.tombstone = tombstone;
        // What cannot be described need not be transferred.
        record.describe(&self.policy.describing)?;

        let mut staged = self.stage(change, &object, name, false, deadline).await?;
        if let Staged::All { sum, .. } = &staged
            && let Err(error) = verify(&object, sum, None)
        {
            // Perhaps a block from before is not what it says: this time none of them counts.
            tracing::warn!(key = change.key, %error, "staging every block again");
            staged = self.stage(change, &object, name, true, deadline).await?;
        }
        let (ids, sum) = match staged {
            Staged::All { ids, sum } => (ids, sum),
            Staged::Part { staged } => return Ok(Outcome::Unfinished { staged, total: object.size }),
        };
        let checked = verify(&object, &sum, None)?;
        if let Some(content) = &mut record.content {
            content.crc64 = sum.crc64;
            content.checked = checked;
        }
        let description = record.describe(&self.policy.describing)?;
        self.run(deadline, || self.target.commit(name, ids.clone(), &description, &condition)).await?;
        let copied = Outcome::Copied { bytes: object.size, checked };
        self.settle(change, name, &condition, copied, deadline).await
    }

    /// The object's tags, asked for only if it has some.
    pub(crate) async fn tags(&self, change: &Change, object: &Object, deadline: Instant) -> Result<Tags> {
        match object.tag_count {
            0 => Ok(Tags::new()),
            _ => self.run(deadline, || self.source.tags(change)).await,
        }
    }

    pub(crate) async fn run<T, F: Future<Output = Result<T>>>(
        &self,
        deadline: Instant,
        call: impl FnMut() -> F,
    ) -> Result<T> {
        self.policy.retries.run(deadline, call).await
    }
}

/// The same change, of the version that S3 answered with.
pub(crate) fn pinned<'a>(change: &'a Change, object: &Object) -> Cow<'a, Change> {
    match change.version == object.version {
        true => Cow::Borrowed(change),
        false => Cow::Owned(Change { version: object.version.clone(), ..change.clone() }),
    }
}

fn verify(object: &Object, sum: &Sum, sha256: Option<[u8; 32]>) -> Result<Checked> {
    checksum::check(object.stored.as_ref(), sum, sha256).map_err(|computed| {
        let stored = object.stored.as_ref().map(|stored| stored.value.as_str()).unwrap_or_default();
        let message = format!(
            "the bytes that S3 sent have the checksum {computed}, and S3 stored {stored}: nothing was written; if this \
             repeats, the object is damaged in S3"
        );
        Error::new(Reason::Damaged, message)
    })
}
