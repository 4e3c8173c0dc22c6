use super::{ATTEMPTS, Did, Job};
use crate::retry;
use lance::dataset::optimize::{CompactionOptions, compact_files, plan_compaction};
use palanquin_engine::contract::Result;
use serde_json::{Map, json};

/// Merges small fragments and writes those without deletions that have many. A writer that changes rows of the same
/// fragments meanwhile wins; it is then planned and done anew.
pub(super) async fn compact(job: &Job<'_>) -> Result<Did> {
    let place = &job.handle.place;
    let options = CompactionOptions::default();
    let compacted = retry::at_most(ATTEMPTS, || async {
        let mut dataset = job.handle.newest().await?.as_ref().clone();
        let plan = plan_compaction(&dataset, &options).await;
        if plan.map_err(|error| place.store("could not plan the compaction", error))?.num_tasks() == 0 {
            return Ok(None);
        }
        let compacted = compact_files(&mut dataset, options.clone(), None).await;
        compacted.map(Some).map_err(|error| place.store("could not compact the table", error))
    });
    let done = compacted.await?;
    // Also where nothing is left to do: an attempt whose answer was lost may have done it.
    job.durability.settle().await.map_err(|error| place.not_durable(error))?;
    let Some(metrics) = done else {
        return Ok(Did::nothing("no two small fragments can be joined, and few rows are deleted"));
    };
    let figures = Map::from_iter([
        ("fragments_removed".to_owned(), json!(metrics.fragments_removed)),
        ("fragments_added".to_owned(), json!(metrics.fragments_added)),
    ]);
    Ok(Did { ran: true, figures })
}
