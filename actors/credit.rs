use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of rows a link may have on their way between source and target. This is backpressure: a batch waits here before
/// it is handed on, and its credit comes back when it is durable.
#[derive(Clone, Debug)]
pub(crate) struct Credit {
    semaphore: Arc<Semaphore>,
    total: u32,
}

/// Credit held by a batch; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Credit {
    /// A budget of so many bytes, at most 4 GiB.
    pub(crate) fn of_bytes(total: u64) -> Self {
        let total = u32::try_from(total).unwrap_or(u32::MAX).max(1);
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until so many bytes are free. A batch larger than the budget takes all of it and travels alone.
    pub(crate) async fn take(&self, bytes: usize) -> Held {
        Held { _permit: Arc::clone(&self.semaphore).acquire_many_owned(self.wanted(bytes)).await.ok() }
    }

    fn wanted(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total)
    }

    /// Takes the credit if it is free at once.
    pub(crate) fn take_now(&self, bytes: usize) -> Option<Held> {
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(self.wanted(bytes)).ok()?;
        Some(Held { _permit: Some(permit) })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        u64::from(self.total).saturating_sub(self.semaphore.available_permits() as u64)
    }

    /// The budget.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn no_credit_no_batch_until_some_comes_back() {
        let credit = Credit::of_bytes(100);
        let first = credit.take(60).await;
        assert!(credit.take(60).now_or_never().is_none());
        assert_eq!(credit.used(), 60);
        drop(first);
        assert!(credit.take(60).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_budget_travels_alone() {
        let credit = Credit::of_bytes(100);
        let huge = credit.take(1_000).await;
        assert!(credit.take(1).now_or_never().is_none());
        drop(huge);
        assert_eq!(credit.used(), 0);
    }
}
