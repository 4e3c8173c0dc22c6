use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes of rows a link may have on their way between source and target. This is backpressure: a batch waits here before
/// it is handed on, and its credit comes back when it is durable.
#[derive(Clone, Debug)]
pub(crate) struct Credit {
    semaphore: Arc<Semaphore>,
    total: u32,
    /// How many wait for credit.
    waiting: Arc<watch::Sender<usize>>,
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
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total, waiting: Arc::default() }
    }

    /// Waits until so many bytes are free. A batch larger than the budget takes all of it and travels alone. Who waits
    /// longest is served first, so a large batch is not passed over for small ones.
    pub(crate) async fn take(&self, bytes: usize) -> Held {
        if let Some(held) = self.take_now(bytes) {
            return held;
        }
        let _waiting = Waiting::begin(&self.waiting);
        Held { _permit: Arc::clone(&self.semaphore).acquire_many_owned(self.wanted(bytes)).await.ok() }
    }

    /// Waits until somebody waits for credit. Whoever keeps batches back to join them must give them up then, or both
    /// would wait for ever.
    pub(crate) async fn is_wanted(&self) {
        // The sender is this very budget's.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    /// Whether somebody waits for credit now.
    pub(crate) fn is_short(&self) -> bool {
        *self.waiting.borrow() > 0
    }

    fn wanted(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total)
    }

    /// Takes the credit if it is free at once and nobody waits for it.
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

/// That somebody waits, for as long as it lives.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
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

    #[tokio::test]
    async fn that_somebody_waits_is_told_until_they_are_served_or_give_up() {
        let credit = Credit::of_bytes(100);
        let first = credit.take(60).await;
        assert!(credit.is_wanted().now_or_never().is_none());
        let mut second = Box::pin(credit.take(60));
        assert!(futures::poll!(&mut second).is_pending());
        credit.is_wanted().await;
        drop(second);
        assert!(!credit.is_short());
        let mut third = Box::pin(credit.take(100));
        assert!(futures::poll!(&mut third).is_pending());
        drop(first);
        let _third = third.await;
        assert!(!credit.is_short());
    }

    #[tokio::test]
    async fn a_large_batch_is_not_passed_over_for_small_ones() {
        let credit = Credit::of_bytes(100);
        let first = credit.take(60).await;
        let mut large = Box::pin(credit.take(90));
        assert!(futures::poll!(&mut large).is_pending());
        let mut small = Box::pin(credit.take(10));
        assert!(futures::poll!(&mut small).is_pending(), "it came later");
        drop(first);
        let _large = large.await;
        let _small = small.await;
    }
}
