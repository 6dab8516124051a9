//! A large object, block by block: several at once, a fixed amount in memory, and nothing twice.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use azure_core::{Bytes, http::Body, stream::SeekableStream};
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::{
    Error, Reason, Result,
    block::{Id, Plan},
    checksum::{Algorithm, Sum, Summer},
    copy::Backup,
    event::Change,
    feed::feed,
    source::Object,
};

/// How many blocks are under way at once, if memory allows.
const PARALLEL: usize = 16;
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
        let plan = &Plan::new(change, object, self.policy.block, self.policy.buffer)?;
        let mut staged = match anew {
            true => BTreeMap::new(),
            false => plan.found(&self.run(deadline, || self.target.uncommitted(name)).await?),
        };
        let missing: Vec<_> = plan.blocks().filter(|(offset, _)| !staged.contains_key(offset)).collect();
        let address = &self.address(change, object).await;
        let mut blocks = stream::iter(missing)
            .map(|(offset, length)| async move {
                let block =
                    self.block(change, object, name, plan, address.as_deref(), offset, length, deadline).await?;
                Ok::<_, Error>((offset, block))
            })
            .buffer_unordered(PARALLEL);
        while let Some(block) = blocks.next().await {
            match block {
                Ok((offset, block)) => _ = staged.insert(offset, block),
                Err(error) if error.reason == Reason::Deadline => {
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

    /// Stages one block, in the way that fits it.
    #[allow(clippy::too_many_arguments)]
    async fn block(
        &self,
        change: &Change,
        object: &Object,
        name: &str,
        plan: &Plan,
        address: Option<&str>,
        offset: u64,
        length: u64,
        deadline: Instant,
    ) -> Result<(Id, Sum)> {
        if let Some(address) = address
            && !self.cannot_pull.load(Ordering::Relaxed)
        {
            let pulled = self.run(deadline, || self.pull(name, plan, address, offset, length)).await;
            match pulled {
                Err(error) if error.reason == Reason::CannotPull => {
                    tracing::warn!(%error, "streaming from now on");
                    self.cannot_pull.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        match plan.buffered {
            true => self.run(deadline, || self.send(change, object, name, plan, offset, length)).await,
            false => self.run(deadline, || self.stream(change, object, name, plan, offset, length)).await,
        }
    }

    /// From memory: Azure is told the checksum and refuses what does not have it.
    async fn send(
        &self,
        change: &Change,
        object: &Object,
        name: &str,
        plan: &Plan,
        offset: u64,
        length: u64,
    ) -> Result<(Id, Sum)> {
        let _memory = self.memory.take(length).await;
        let mut body = self.source.range(change, object, offset, length).await?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let mut summer = Summer::new(object.stored.as_ref(), false);
        while let Some(piece) = body.next().await? {
            summer.update(&piece);
            bytes.extend_from_slice(&piece);
        }
        let (sum, _) = summer.finish();
        let id = plan.data(offset, &sum);
        self.target.stage(name, &id, bytes.into(), sum.crc64).await?;
        Ok((id, sum))
    }

    /// As it comes: Azure says what arrived, and that is compared with what was sent.
    async fn stream(
        &self,
        change: &Change,
        object: &Object,
        name: &str,
        plan: &Plan,
        offset: u64,
        length: u64,
    ) -> Result<(Id, Sum)> {
        let id = plan.streamed(offset);
        let mut body = self.source.range(change, object, offset, length).await?;
        let (pieces, sent) = feed(length);
        let receive = async move {
            let mut summer = Summer::new(object.stored.as_ref(), false);
            while let Some(piece) = body.next().await? {
                summer.update(&piece);
                if pieces.send(piece).await.is_err() {
                    // Azure hung up, and says why.
                    std::future::pending::<()>().await;
                }
            }
            Ok(summer.finish().0)
        };
        let sent: Box<dyn SeekableStream> = Box::new(sent);
        let (arrived, sum) = tokio::try_join!(self.target.stage_stream(name, &id, length, Body::from(sent)), receive)?;
        self.note(name, plan, offset, arrived, sum).await?;
        Ok((id, sum))
    }

    /// By Azure itself: what it says arrived goes into the sum, which is compared with S3's.
    async fn pull(&self, name: &str, plan: &Plan, address: &str, offset: u64, length: u64) -> Result<(Id, Sum)> {
        let id = plan.streamed(offset);
        let crc64 = self.target.stage_from_url(name, &id, address, offset, length).await?;
        let sum = Sum { crc64, crc32: 0, length };
        self.note(name, plan, offset, crc64, sum).await?;
        Ok((id, sum))
    }

    async fn note(&self, name: &str, plan: &Plan, offset: u64, arrived: u64, sum: Sum) -> Result<()> {
        if arrived != sum.crc64 {
            return Err(Error::new(Reason::Checksum, "the bytes that arrived in Azure are not those that were sent"));
        }
        let crc64 = crc_fast::crc64_nvme(NOTE);
        self.target.stage(name, &plan.note(offset, &sum), Bytes::from_static(NOTE), crc64).await
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
