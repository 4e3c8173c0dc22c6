use super::DELETES_PER_COMMIT;
use crate::collection::TableHandle;
use crate::durability::Durability;
use crate::lookup::{any_of, is_any, of_filter};
use lancedb::datafusion::logical_expr::Expr;
use lancedb::datafusion::prelude::lit;
use palanquin_engine::contract::{Result, Selection};

/// Removes the rows of a selection and returns how many there were (§1): one commit, or one per
/// [`DELETES_PER_COMMIT`] of the ids that were named. A row that another writer changes meanwhile is looked at again, so
/// that none goes that does not pass. Nothing to remove is no commit.
pub(crate) async fn remove(handle: &TableHandle, durability: &Durability, selection: &Selection) -> Result<u64> {
    let place = &handle.place;
    let filter = of_filter(&selection.filter);
    let mut removed = 0;
    match selection.distinct_ids() {
        None => removed += commit(handle, filter.unwrap_or_else(|| lit(true))).await?,
        Some(ids) => {
            for ids in ids.chunks(DELETES_PER_COMMIT) {
                let named = any_of(ids.iter().copied());
                removed += commit(handle, filter.clone().into_iter().fold(named, Expr::and)).await?;
            }
        }
    }
    if removed > 0 {
        durability.settle().await.map_err(|error| place.not_durable(error))?;
    }
    Ok(removed)
}

async fn commit(handle: &TableHandle, wanted: Expr) -> Result<u64> {
    if !is_any(&handle.pin().await?, Some(wanted.clone())).await? {
        return Ok(0);
    }
    let removed = handle.table.delete(&wanted).await;
    let removed = removed.map_err(|error| handle.place.store("could not delete the rows", error))?;
    Ok(removed.num_deleted_rows)
}
