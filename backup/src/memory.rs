//! How much of the objects under way may be in memory at once, whatever their number and size.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted: small objects take one of these.
const UNIT: u64 = 64 * 1024;

/// An allowance that all copies of a process share.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    units: u32,
    free: Arc<Semaphore>,
}

impl Memory {
    /// An allowance of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX >> 4).max(1);
        Self { units, free: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits until so many bytes are free, and takes them until the permit is dropped. More than there are at all is all.
    pub(crate) async fn take(&self, bytes: u64) -> OwnedSemaphorePermit {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(self.units).clamp(1, self.units);
        self.free.clone().acquire_many_owned(units).await.expect("the semaphore is never closed")
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_more_than_there_is() {
        let memory = Memory::new(4 * UNIT);
        let most = memory.take(3 * UNIT).await;
        let rest = memory.take(1).await;
        assert!(memory.take(1).now_or_never().is_none());
        drop(most);
        assert!(memory.take(3 * UNIT).now_or_never().is_some());
        drop(rest);
        assert!(memory.take(100 * UNIT).now_or_never().is_some(), "more than all is all");
    }
}
