//! Deletions, and changes of what describes an object.

use std::{cmp::Ordering, collections::BTreeMap};

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    Result,
    copy::{Backup, Deletes, Outcome, pinned},
    event::Change,
    order::Position,
    record::{self, Record},
    tags::Tags,
    target::Condition,
    transport::Pieces,
};

impl Backup {
    /// The object was deleted.
    pub(crate) async fn delete(&self, change: &Change, name: &str, deadline: Instant) -> Result<Outcome> {
        if self.policy.deletes == Deletes::Retain {
            return Ok(Outcome::Retained);
        }
        let position =
            Position { sequencer: change.sequencer.clone(), time: change.time.unwrap_or_else(OffsetDateTime::now_utc) };
        let Some((blob, record)) = self.look(change, name, deadline).await? else {
            return self.bury(change, name, position, deadline).await;
        };
        let known = record.tombstone.iter().chain(record.content.as_ref().map(|content| &content.position));
        if known.into_iter().any(|known| position.compare(known).is_some_and(Ordering::is_le)) {
            return Ok(Outcome::Superseded);
        }
        match self.policy.deletes {
            Deletes::Retain => Ok(Outcome::Retained),
            Deletes::Propagate => {
                self.run(deadline, || self.target.delete(name, &blob.etag)).await?;
                Ok(Outcome::Deleted)
            }
            Deletes::Tombstone => {
                let mut description = blob.description.clone();
                record::amend(&mut description.metadata, None, Some(&position));
                self.run(deadline, || self.target.set_metadata(name, &description, &blob.etag)).await?;
                Ok(Outcome::Tombstoned)
            }
        }
    }

    /// The object was deleted before it was copied: an empty blob keeps the tombstone until its bytes come, if they do.
    async fn bury(&self, change: &Change, name: &str, position: Position, deadline: Instant) -> Result<Outcome> {
        if self.policy.deletes == Deletes::Propagate {
            return Ok(Outcome::Deleted);
        }
        let record = Record {
            bucket: change.bucket.clone(),
            key: change.key.clone(),
            content: None,
            tombstone: Some(position),
            headers: BTreeMap::new(),
            user: BTreeMap::new(),
            tags: Tags::new(),
        };
        let description = record.describe(&self.policy.describing)?;
        self.run(deadline, || self.target.put(name, Pieces::default(), 0, &description, &Condition::Absent)).await?;
        Ok(Outcome::Tombstoned)
    }

    /// One version was deleted for good, which may bring back an older one, or take the marker off the newest.
    pub(crate) async fn delete_version(&self, change: &Change, name: &str, deadline: Instant) -> Result<Outcome> {
        if self.policy.deletes == Deletes::Retain {
            return Ok(Outcome::Retained);
        }
        match self.now(change, deadline).await? {
            Some(object) => {
                let restored = Change { size: Some(object.size), ..pinned(change, &object).into_owned() };
                self.copy(&restored, name, false, deadline).await
            }
            None => self.delete(change, name, deadline).await,
        }
    }

    /// The object's tags or its storage class changed: its blob is told, or written if it is not there.
    pub(crate) async fn describe(&self, change: &Change, name: &str, deadline: Instant) -> Result<Outcome> {
        let seen = self.look(change, name, deadline).await?;
        let object = self.run(deadline, || self.source.head(change)).await?;
        let held = seen.and_then(|(blob, record)| {
            let content = record.content.clone().filter(|content| content.is(&object))?;
            Some((blob, record, content))
        });
        let Some((blob, mut record, mut content)) = held else {
            return match object.archived {
                // There is nothing to copy it from, and its own event says so.
                true => Ok(Outcome::Ignored),
                false => self.copy(change, name, false, deadline).await,
            };
        };
        let change = pinned(change, &object);
        record.tags = self.tags(&change, &object, deadline).await?;
        content.class = object.class;
        record.content = Some(content);
        let description = record.describe(&self.policy.describing)?;
        let etag = match description.metadata == blob.description.metadata {
            true => blob.etag,
            false => self.run(deadline, || self.target.set_metadata(name, &description, &blob.etag)).await?,
        };
        if !description.tags.is_empty() || blob.tag_count > 0 {
            self.run(deadline, || self.target.set_tags(name, &description.tags, &etag)).await?;
        }
        if let Some(tier) = description.tier
            && blob.description.tier != Some(tier)
        {
            self.run(deadline, || self.target.set_tier(name, tier)).await?;
        }
        Ok(Outcome::Described)
    }
}
