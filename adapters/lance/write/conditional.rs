//! Writes that rest on what was read before: the rows are looked at in one version and committed on top of that version
//! only. Lance lets commits of other rows pass in between. If one of these rows was written, removed or inserted
//! meanwhile, or moved by a compaction, it refuses the commit, nothing of it is seen, and all of it is done anew from
//! what is there now.

use super::check_width;
use crate::collection::{Pinned, TableHandle};
use crate::durability::Durability;
use crate::lookup::any_of;
use crate::{lookup, retry, scan};
use arrow_array::RecordBatch;
use lance::dataset::{MergeInsertBuilder, WhenMatched, WhenNotMatched, WhenNotMatchedBySource};
use lancedb::datafusion::prelude::Expr;
use palanquin_engine::contract::{Applied, ErrorKind, Patch, Result, RowUpdates, Selection};
use palanquin_engine::rows::RowBatch;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

type Turns = tokio::sync::Mutex<()>;

/// Whose turn it is, by table.
static TURNS: LazyLock<Mutex<HashMap<String, Weak<Turns>>>> = LazyLock::new(Mutex::default);

/// Does it until nobody comes between. Those of this process whom somebody came between do it one after the other, and
/// whoever comes then waits for them: without that one writer could come between another for ever.
async fn in_turn<T, F: Future<Output = Result<T>>>(pinned: &Pinned, write: impl Fn() -> F) -> Result<T> {
    let turns = turns(pinned);
    let is_calm = turns.try_lock().is_ok();
    if is_calm {
        match write().await {
            Err(error) if error.kind() == ErrorKind::Busy => {}
            result => return result,
        }
    }
    let _turn = turns.lock().await;
    retry::while_busy(write).await
}

fn turns(pinned: &Pinned) -> Arc<Turns> {
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|_, turn| turn.strong_count() > 0);
    let known = turns.get(pinned.dataset.uri()).and_then(Weak::upgrade);
    known.unwrap_or_else(|| {
        let turn = Arc::default();
        turns.insert(pinned.dataset.uri().to_owned(), Arc::downgrade(&turn));
        turn
    })
}

/// The fields of rows that are there are replaced, in one commit (§1). Returns how many rows there were.
pub(crate) async fn update(handle: &TableHandle, durability: &Durability, updates: &RowUpdates) -> Result<u64> {
    let place = &handle.place;
    let pinned = handle.pin().await?;
    for vector in updates.embeddings().unwrap_or_default() {
        check_width(handle, &pinned.layout, u32::try_from(vector.len()).unwrap_or(u32::MAX))?;
    }
    let updated = in_turn(&pinned, || async {
        let pinned = handle.pin().await?;
        let Some(there) = lookup::by_ids(&pinned, updates.ids()).await? else { return Ok(0) };
        let merged = updates.merged_into(&there).map_err(|error| place.named(error))?;
        let rows = merged.len() as u64;
        merge(&pinned, merged, WhenMatched::UpdateAll, WhenNotMatched::DoNothing).await?;
        Ok(rows)
    });
    let updated = updated.await?;
    if updated > 0 {
        durability.settle().await.map_err(|error| place.not_durable(error))?;
    }
    Ok(updated)
}

/// Inserts rows of which none is there, in one commit (§1). In a table made by others, whose ids may be null, Lance
/// has no key to notice by that another writer inserts the same ids in the same moment.
///
/// # Errors
/// `IdExists`; nothing is then written.
pub(crate) async fn add(handle: &TableHandle, durability: &Durability, rows: RowBatch) -> Result<()> {
    let place = &handle.place;
    let ids: Vec<&str> = rows.ids().iter().flatten().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let distinct: HashSet<&str> = ids.iter().copied().collect();
    if distinct.len() < ids.len() {
        let detail = format!("of {} rows to add, {} ids come twice", ids.len(), ids.len() - distinct.len());
        return Err(place.error(ErrorKind::IdExists, detail));
    }
    let selection = Selection::ids(ids);
    let pinned = handle.pin().await?;
    let added = in_turn(&pinned, || async {
        let pinned = handle.pin().await?;
        check_width(handle, &pinned.layout, rows.dimension())?;
        let there = lookup::count(&pinned, &selection).await?;
        if there > 0 {
            let detail = format!("{there} of the rows to add are there already");
            return Err(place.error(ErrorKind::IdExists, detail));
        }
        merge(&pinned, rows.clone(), WhenMatched::DoNothing, WhenNotMatched::InsertAll).await
    });
    added.await?;
    durability.settle().await.map_err(|error| place.not_durable(error))
}

/// Upserts, patches and deletes in one commit: patched rows are read whole, and written on top of what was read.
pub(super) async fn patch(
    handle: &TableHandle,
    upserts: Option<RecordBatch>,
    patches: &[Patch],
    deletes: &[String],
) -> Result<Applied> {
    let place = &handle.place;
    let ids: Vec<String> =
        patches.iter().flat_map(|patch| patch.rows.ids().iter().flatten()).map(str::to_owned).collect();
    let pinned = handle.pin().await?;
    in_turn(&pinned, || async {
        let pinned = handle.pin().await?;
        let there = lookup::by_ids(&pinned, &ids).await?;
        let mut missing: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let mut written = Vec::new();
        if let Some(upserts) = &upserts {
            let failed = |error| place.store("could not take the batch", error);
            let rows = scan::to_row_schema(upserts, pinned.layout.dimension).map_err(failed)?;
            let rows = RowBatch::try_new(rows);
            written.push(rows.map_err(|error| place.store("could not take the batch", error))?);
        }
        if let Some(there) = &there {
            for id in there.ids().iter().flatten() {
                missing.remove(id);
            }
            for patch in patches {
                written.push(patch.merged_into(there).map_err(|error| place.named(error))?);
            }
        }
        let missing: Vec<String> = missing.into_iter().map(str::to_owned).collect();
        written.retain(|rows| !rows.is_empty());
        if written.is_empty() {
            let deleted = super::delete(handle, deletes).await?;
            return Ok(Applied { upserted: 0, deleted, missing });
        }
        let written = RowBatch::concat(&written);
        let written = written.map_err(|error| place.store("could not put the rows together", error))?;
        let upserted = written.len() as u64;
        let gone = (!deletes.is_empty()).then(|| any_of(deletes.iter().map(String::as_str)));
        let deleted = commit(&pinned, written, WhenMatched::UpdateAll, WhenNotMatched::InsertAll, gone).await?;
        Ok(Applied { upserted, deleted, missing })
    })
    .await
}

/// One commit on top of the pinned version, or `Busy`. Never through an index, see [`super::merge`].
async fn merge(pinned: &Pinned, rows: RowBatch, there: WhenMatched, not_there: WhenNotMatched) -> Result<()> {
    commit(pinned, rows, there, not_there, None).await.map(drop)
}

/// [`merge`], with rows removed that are `gone`; returns how many.
async fn commit(
    pinned: &Pinned,
    rows: RowBatch,
    there: WhenMatched,
    not_there: WhenNotMatched,
    gone: Option<Expr>,
) -> Result<u64> {
    let failed = |error| pinned.place.store("could not write the rows", error);
    let rows = scan::to_row_schema(rows.as_record_batch(), pinned.layout.dimension)
        .map_err(|error| pinned.place.store("could not take the batch", error))?;
    let mut merge = MergeInsertBuilder::try_new(pinned.dataset.clone(), vec!["id".to_owned()]).map_err(failed)?;
    merge.when_matched(there).when_not_matched(not_there).use_index(false).conflict_retries(0);
    if let Some(gone) = gone {
        merge.when_not_matched_by_source(WhenNotMatchedBySource::DeleteIf(gone));
    }
    let job = merge.try_build().map_err(failed)?;
    job.execute_batches(vec![rows]).await.map(|(_, done)| done.num_deleted_rows).map_err(failed)
}
