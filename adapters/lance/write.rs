//! Commits: batches as they come (here), writes that rest on what was read (`conditional`), removals by selection
//! (`remove`). Each is durable before it returns. What many of them leave is joined now and then (`tidy`).

mod conditional;
#[cfg(test)]
mod conditional_tests;
mod remove;
#[cfg(test)]
mod tests;
mod tidy;

use crate::collection::TableHandle;
use crate::durability::Durability;
use crate::layout::Layout;
use crate::lookup::any_of;
use crate::scan;
use arrow_array::{RecordBatch, RecordBatchIterator, UInt32Array};
use arrow_select::take::take_record_batch;
use lancedb::table::NaNVectorBehavior;
use palanquin_engine::contract::{Applied, ChangeBatch, ErrorKind, Patch, Result, WriteMode};
use palanquin_engine::rows::RowBatch;
use std::collections::{HashMap, HashSet};

pub(crate) use conditional::{add, update};
pub(crate) use remove::remove;
pub(crate) use tidy::Tidy;

/// Ids in one delete statement. More go into several commits.
const DELETES_PER_COMMIT: usize = 20_000;

/// Commits a batch and makes it durable before it returns. With upserts or patches it is one commit, deletes included; deletes
/// alone are one commit per [`DELETES_PER_COMMIT`] ids. An empty batch is none.
pub(crate) async fn apply(
    handle: &TableHandle,
    layout: &Layout,
    durability: &Durability,
    batch: ChangeBatch,
    mode: WriteMode,
) -> Result<Applied> {
    let place = &handle.place;
    let upserts = batch.upserts.filter(|rows| !rows.is_empty());
    if let Some(rows) = &upserts {
        check_width(handle, layout, rows.dimension())?;
    }
    let deletes = deletes_of(batch.deletes, upserts.as_ref());
    let patches: Vec<Patch> = batch.patches.into_iter().filter(|patch| !patch.rows.is_empty()).collect();
    for patch in patches.iter().filter(|patch| patch.fields.embeddings) {
        check_width(handle, layout, patch.rows.dimension())?;
    }
    let applied = match upserts {
        upserts if !patches.is_empty() => {
            let upserts = upserts.map(last_of_each_id).transpose();
            let upserts = upserts.map_err(|error| place.store("could not drop repeated ids", error))?;
            conditional::patch(handle, upserts, &patches, &deletes).await?
        }
        None if deletes.is_empty() => return Ok(Applied::default()),
        None => Applied { deleted: delete(handle, &deletes).await?, ..Applied::default() },
        Some(rows) => {
            let rows = last_of_each_id(rows).map_err(|error| place.store("could not drop repeated ids", error))?;
            let rows = scan::to_row_schema(&rows, layout.dimension)
                .map_err(|error| place.store("could not take the batch", error))?;
            let upserted = rows.num_rows() as u64;
            let deleted = match mode {
                WriteMode::Append if deletes.is_empty() => append(handle, rows).await?,
                WriteMode::Append | WriteMode::Upsert => merge(handle, rows, &deletes).await?,
            };
            Applied { upserted, deleted, ..Applied::default() }
        }
    };
    durability.settle().await.map_err(|error| place.not_durable(error))?;
    Ok(applied)
}

fn check_width(handle: &TableHandle, layout: &Layout, width: u32) -> Result<()> {
    if width == layout.dimension {
        return Ok(());
    }
    let detail = format!("vectors of {width} for a collection of {}", layout.dimension);
    Err(handle.place.error(ErrorKind::DimensionMismatch, detail))
}

/// One fragment, in the order of the batch; ids are not looked at.
async fn append(handle: &TableHandle, rows: RecordBatch) -> Result<u64> {
    let added = handle.table.add(rows).on_nan_vectors(NaNVectorBehavior::Keep).write_parallelism(1).execute().await;
    added.map(|_| 0).map_err(|error| handle.place.store("could not append the rows", error))
}

/// Upserts and deletes in one commit. Never through an index: Lance's indexed path does not notice two writers that
/// insert the same id at once.
async fn merge(handle: &TableHandle, rows: RecordBatch, deletes: &[String]) -> Result<u64> {
    let mut merge = handle.table.merge_insert(&["id"]);
    merge.when_matched_update_all(None).when_not_matched_insert_all().use_index(false);
    if !deletes.is_empty() {
        merge.when_not_matched_by_source_delete_expr(any_of(deletes.iter().map(String::as_str)));
    }
    let schema = rows.schema();
    let merged = merge.execute(Box::new(RecordBatchIterator::new([Ok(rows)], schema))).await;
    merged.map(|result| result.num_deleted_rows).map_err(|error| handle.place.store("could not upsert the rows", error))
}

async fn delete(handle: &TableHandle, ids: &[String]) -> Result<u64> {
    let mut deleted = 0;
    for ids in ids.chunks(DELETES_PER_COMMIT) {
        let result = handle.table.delete(&any_of(ids.iter().map(String::as_str))).await;
        deleted += result.map_err(|error| handle.place.store("could not delete the rows", error))?.num_deleted_rows;
    }
    Ok(deleted)
}

/// The ids to delete, each once; an id that is also upserted stays.
fn deletes_of(deletes: Vec<String>, upserts: Option<&RowBatch>) -> Vec<String> {
    if deletes.is_empty() {
        return deletes;
    }
    let kept: HashSet<&str> = upserts.map(|rows| rows.ids().iter().flatten().collect()).unwrap_or_default();
    let mut seen = HashSet::new();
    deletes.into_iter().filter(|id| !kept.contains(id.as_str()) && seen.insert(id.clone())).collect()
}

/// The last row of each id. Lance would insert a new id as often as it is given.
fn last_of_each_id(rows: RowBatch) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let last: HashMap<&str, u32> = rows.ids().iter().flatten().zip(0..).collect();
    if last.len() == rows.len() {
        return Ok(rows.into_record_batch());
    }
    let mut kept: Vec<u32> = last.into_values().collect();
    kept.sort_unstable();
    take_record_batch(rows.as_record_batch(), &UInt32Array::from(kept))
}
