//! Keeping a table that takes many small commits quick to write to. Each leaves a small fragment, and the next one looks
//! through all of them; so now and then the writer joins them.

use crate::collection::TableHandle;
use crate::durability::Durability;
use crate::retry;
use lance::dataset::optimize::{CompactionOptions, compact_files};
use palanquin_engine::contract::Result;
use std::sync::atomic::{AtomicU32, Ordering};

/// Commits between two looks.
const COMMITS: u32 = 48;
/// So many small fragments are worth joining.
const FRAGMENTS: usize = 32;
/// Live rows below which a fragment is small.
const SMALL: usize = 50_000;
/// Share of a large fragment's rows that may be dead.
const DEAD: f32 = 0.5;
/// Rows rewritten at a time, which bounds the memory.
const BATCH_ROWS: usize = 1_000;
const ATTEMPTS: u32 = 2;

/// Counts the commits of one open table.
#[derive(Debug, Default)]
pub(crate) struct Tidy(AtomicU32);

impl Tidy {
    /// Notes a commit, and joins small fragments when that is due. That they could not be joined is told in the log alone.
    ///
    /// # Errors
    /// If the table is not durable: rows that were are then in new files, which must not be lost with the power.
    pub(crate) async fn after_commit(&self, handle: &TableHandle, durability: &Durability) -> Result<()> {
        if !(self.0.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(COMMITS) {
            return Ok(());
        }
        match join_small(handle).await {
            Ok(joined) => tracing::debug!(joined, "small fragments were joined"),
            Err(error) => tracing::info!(%error, "small fragments were not joined"),
        }
        // Also after a failure: an attempt whose answer was lost may have put the new files in place.
        durability.settle().await.map_err(|error| handle.place.not_durable(error))
    }
}

/// How many fragments became fewer ones.
async fn join_small(handle: &TableHandle) -> Result<usize> {
    let options = CompactionOptions {
        target_rows_per_fragment: SMALL,
        materialize_deletions_threshold: DEAD,
        num_threads: Some(1),
        batch_size: Some(BATCH_ROWS),
        ..CompactionOptions::default()
    };
    retry::at_most(ATTEMPTS, || async {
        let mut dataset = handle.newest().await?.as_ref().clone();
        let small = dataset.fragments().iter().filter(|one| one.num_rows().is_none_or(|rows| rows < SMALL)).count();
        if small < FRAGMENTS {
            return Ok(0);
        }
        let done = compact_files(&mut dataset, options.clone(), None).await;
        let done = done.map_err(|error| handle.place.store("could not join small fragments", error))?;
        Ok(done.fragments_removed)
    })
    .await
}
