//! A large object, block by block: several at once, a fixed amount in memory, and nothing twice.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use azure_core::Bytes;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::{
    Error, Reason, Result,
    block::{Attempt, Id, MIB, Plan},
    checksum::{Algorithm, Sum, Summer},
    copy::Backup,
    event::Change,
    feed::feed,
    source::Object,
    transport::Pieces,
};

/// How many blocks are under way at once, if memory allows.
const PARALLEL: usize = 8;
/// What a streamed block has in memory: what was read ahead, TLS, and what its two sockets buffer, which is the function's memory
/// too.
const STREAM: u64 = 3 * MIB;
/// How long Azure may take to fetch an object's blocks.
const VALID: Duration = Duration::from_secs(3600);
/// The longest address that Azure fetches from.
const LONGEST_ADDRESS: usize = 2048;
/// What a note has for bytes.
const NOTE: &[u8] = b"\n";

/// How far staging came.
pub(crate) enum Staged {
    /// To the end.
    All { ids: Vec<Vec<u8>>, sum: Sum },
    /// The time was over.
    Part { staged: u64 },
}

/// One large object on its way.
struct Transfer<'a> {
    backup: &'a Backup,
    change: &'a Change,
    object: &'a Object,
    name: &'a str,
    plan: &'a Plan,
    /// Where Azure is to fetch the object; none if it is to be streamed.
    address: Option<String>,
    deadline: Instant,
}

impl Backup {
    /// Stages what is not staged yet, or `anew` all of it.
    pub(crate) async fn stage(
        &self,
        change: &Change,
        object: &Object,
        name: &str,
        anew: bool,
        deadline: Instant,
    ) -> Result<Staged> {
        let plan = &Plan::new(change, object, self.policy.block)?;
        let mut staged = match anew {
            true => BTreeMap::new(),
            false => plan.found(&self.run(deadline, || self.target.uncommitted(name)).await?),
        };
        let missing: Vec<_> = plan.blocks().filter(|(offset, _)| !staged.contains_key(offset)).collect();
        let address = self.address(change, object).await;
        let transfer = &Transfer { backup: self, change, object, name, plan, address, deadline };
        let mut blocks = stream::iter(missing)
            .map(|(offset, length)| async move { Ok((offset, transfer.block(offset, length).await?)) })
            .buffer_unordered(PARALLEL);
        while let Some(block) = blocks.next().await {
            match block {
                Ok((offset, block)) => _ = staged.insert(offset, block),
                Err(Error { reason: Reason::Deadline, .. }) => {
                    let staged = staged.values().map(|(_, sum)| sum.length).sum();
                    return Ok(Staged::Part { staged });
                }
                Err(error) => return Err(error),
            }
        }
        let stored = object.stored.as_ref();
        let sum = staged.values().fold(Sum::EMPTY, |all, (_, sum)| all.append(*sum, stored));
        Ok(Staged::All { ids: staged.into_values().map(|(id, _)| id.to_vec()).collect(), sum })
    }

    /// Where Azure is to fetch the object; None if it is to be streamed.
    async fn address(&self, change: &Change, object: &Object) -> Option<String> {
        let comparable = object.stored.as_ref().is_none_or(|stored| stored.algorithm == Algorithm::Crc64Nvme);
        if !self.policy.pull || !comparable || self.cannot_pull.load(Ordering::Relaxed) {
            return None;
        }
        let address = self.source.presign(change, VALID).await.ok()?;
        (address.len() <= LONGEST_ADDRESS).then_some(address)
    }
}

impl Transfer<'_> {
    /// Stages one block, in the way that fits it.
    async fn block(&self, offset: u64, length: u64) -> Result<(Id, Sum)> {
        let backup = self.backup;
        if let Some(address) = &self.address
            && !backup.cannot_pull.load(Ordering::Relaxed)
        {
            let pulled = backup.run(self.deadline, || self.pull(address, offset, length)).await;
            match pulled {
                Err(error) if error.reason == Reason::CannotPull => {
                    tracing::warn!(%error, "streaming from now on");
                    backup.cannot_pull.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        if !backup.cannot_stream.load(Ordering::Relaxed) {
            let streamed = backup.run(self.deadline, || self.stream(offset, length)).await;
            match streamed {
                Err(error) if error.reason == Reason::CannotStream => {
                    tracing::warn!(%error, "sending blocks from memory from now on");
                    backup.cannot_stream.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        backup.run(self.deadline, || self.send(offset, length)).await
    }

    /// From memory: Azure is told the checksum and refuses what does not have it.
    async fn send(&self, offset: u64, length: u64) -> Result<(Id, Sum)> {
        let _memory = self.backup.memory.take(length).await;
        let mut body = self.backup.source.range(self.change, self.object, offset, length).await?;
        let mut bytes = Pieces::default();
        let mut summer = Summer::new(self.object.stored.as_ref(), false);
        while let Some(piece) = body.next().await? {
            summer.update(&piece);
            bytes.push(piece);
        }
        let (sum, _) = summer.finish();
        let id = self.plan.data(offset, &sum);
        self.backup.target.stage(self.name, &id, bytes, sum.crc64).await?;
        Ok((id, sum))
    }

    /// As it comes: Azure says what arrived, and that is compared with what was sent.
    async fn stream(&self, offset: u64, length: u64) -> Result<(Id, Sum)> {
        let _memory = self.backup.memory.take(STREAM).await;
        let attempt = attempt();
        let id = self.plan.streamed(offset, attempt);
        let body = self.backup.source.range(self.change, self.object, offset, length).await?;
        let (body, passed) = feed(body, Summer::new(self.object.stored.as_ref(), false));
        let arrived = self.backup.target.stage_stream(self.name, &id, body).await?;
        let cut = || Error::new(Reason::Network, "Azure answered before it had all bytes");
        let sum = *passed.get().ok_or_else(cut)?;
        self.note(offset, attempt, arrived, sum).await?;
        Ok((id, sum))
    }

    /// By Azure itself: what it says arrived goes into the sum, which is compared with S3's.
    async fn pull(&self, address: &str, offset: u64, length: u64) -> Result<(Id, Sum)> {
        let attempt = attempt();
        let id = self.plan.streamed(offset, attempt);
        let crc64 = self.backup.target.stage_from_url(self.name, &id, address, offset, length).await?;
        let sum = Sum { crc64, crc32: 0, length };
        self.note(offset, attempt, crc64, sum).await?;
        Ok((id, sum))
    }

    async fn note(&self, offset: u64, attempt: Attempt, arrived: u64, sum: Sum) -> Result<()> {
        if arrived != sum.crc64 {
            return Err(Error::new(Reason::Checksum, "the bytes that arrived in Azure are not those that were sent"));
        }
        if self.plan.is_one_block() {
            return Ok(());
        }
        let (id, crc64) = (self.plan.note(offset, attempt, &sum), crc_fast::crc64_nvme(NOTE));
        self.backup.target.stage(self.name, &id, Bytes::from_static(NOTE).into(), crc64).await
    }
}

fn attempt() -> Attempt {
    let mut attempt = Attempt::default();
    attempt.copy_from_slice(&azure_core::Uuid::new_v4().as_bytes()[..size_of::<Attempt>()]);
    attempt
}
