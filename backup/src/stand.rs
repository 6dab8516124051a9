//! Whether a state of an object is still to be written, or what is there is at least as new.

use std::cmp::Ordering;

use tokio::time::Instant;

use crate::{
    Error, Reason, Result,
    copy::{Backup, Outcome},
    event::Change,
    order::Position,
    record::{self, Record},
    source::Object,
    target::{Blob, Condition},
};

/// What is to be done with a state of an object.
pub(crate) enum Standing {
    /// Write it, if the blob is still as it was seen. An object that was deleted since stays so.
    Write { condition: Condition, tombstone: Option<Position> },
    /// Nothing more.
    Settled(Outcome),
}

impl Backup {
    /// Compares a state of an object with what its blob says.
    pub(crate) async fn stand(
        &self,
        change: &Change,
        object: &Object,
        name: &str,
        deadline: Instant,
    ) -> Result<Standing> {
        let Some((blob, record)) = self.look(change, name, deadline).await? else {
            return Ok(Standing::Write { condition: Condition::Absent, tombstone: None });
        };
        let position = Position { sequencer: change.sequencer.clone(), time: object.modified };
        let tombstone =
            record.tombstone.clone().filter(|tombstone| position.compare(tombstone) != Some(Ordering::Greater));
        let write =
            Standing::Write { condition: Condition::Unchanged(blob.etag.clone()), tombstone: tombstone.clone() };
        let Some(content) = &record.content else { return Ok(write) };
        let order = position.compare(&content.position);
        if content.is(object) && blob.size == object.size {
            // In a bucket without versions, content that was read early has the sequencer of an earlier event.
            let newer = order == Some(Ordering::Greater) && position.sequencer.is_some();
            if !newer && tombstone == record.tombstone {
                return Ok(Standing::Settled(Outcome::Unchanged));
            }
            let mut description = blob.description.clone();
            let latest = if newer { &position } else { &content.position };
            record::amend(&mut description.metadata, Some(latest), tombstone.as_ref());
            self.run(deadline, || self.target.set_metadata(name, &description, &blob.etag)).await?;
            return Ok(Standing::Settled(Outcome::Described));
        }
        let newer = match order {
            Some(order) => order == Ordering::Greater,
            None => self.is_current(change, object, deadline).await?,
        };
        Ok(if newer { write } else { Standing::Settled(Outcome::Superseded) })
    }

    /// The blob and what it says; None if there is none.
    ///
    /// # Errors
    /// `NotOurs`: it is not the copy of this object.
    pub(crate) async fn look(&self, change: &Change, name: &str, deadline: Instant) -> Result<Option<(Blob, Record)>> {
        let Some(blob) = self.run(deadline, || self.target.properties(name)).await? else { return Ok(None) };
        let record = Record::read(&self.policy.describing, name, &blob.description)
            .filter(|record| record.bucket == change.bucket && record.key == change.key);
        match record {
            Some(record) => Ok(Some((blob, record))),
            None => Err(Error::new(
                Reason::NotOurs,
                "a blob of this name is there and is not the copy of this object: give each bucket a container or \
                 BACKUP_PREFIX of its own, or move the blob away",
            )),
        }
    }

    /// What is done after a blob was written.
    ///
    /// Where deletions are carried over, a deletion may have come first and found nothing: then S3 no longer has the object.
    pub(crate) async fn settle(
        &self,
        change: &Change,
        name: &str,
        condition: &Condition,
        outcome: Outcome,
        deadline: Instant,
    ) -> Result<Outcome> {
        use crate::copy::Deletes::Propagate;
        if self.policy.deletes != Propagate
            || *condition != Condition::Absent
            || self.now(change, deadline).await?.is_some()
        {
            return Ok(outcome);
        }
        if let Some((blob, _)) = self.look(change, name, deadline).await? {
            self.run(deadline, || self.target.delete(name, &blob.etag)).await?;
        }
        Ok(Outcome::Deleted)
    }

    /// The object as S3 has it now; None if it has none.
    pub(crate) async fn now(&self, change: &Change, deadline: Instant) -> Result<Option<Object>> {
        let unpinned = Change { version: None, ..change.clone() };
        match self.run(deadline, || self.source.head(&unpinned)).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.reason == Reason::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn is_current(&self, change: &Change, object: &Object, deadline: Instant) -> Result<bool> {
        let now = self.now(change, deadline).await?;
        Ok(now.is_some_and(|now| now.etag == object.etag && now.version == object.version))
    }
}
