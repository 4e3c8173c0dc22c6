use crate::collection::{Pinned, TableHandle};
use crate::cursor::Mark;
use crate::error::is_missing;
use crate::scan::{Rebatch, begun_by, id_column, read_failed, row_batch, scanner};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lance::Dataset;
use lance::dataset::ProjectionRequest;
use lance::dataset::delta::DatasetDelta;
use lance::dataset::scanner::DatasetRecordBatchStream;
use lance::dataset::transaction::Operation;
use lancedb::datafusion::prelude::{col, lit};
use palanquin_engine::contract::{ChangeBatch, Cursor, Error, ErrorKind, FeedHead, Result};
use std::collections::HashSet;
use std::sync::Arc;

/// Row ids turned into ids at a time.
const LOOKUP_ROWS: usize = 8192;
/// Transactions read at a time.
const LOG_READERS: usize = 8;

/// Where the feed ends now. `None` for a table without stable row ids: two of its versions cannot be compared.
pub(crate) async fn head(pinned: &Pinned) -> Result<Option<FeedHead>> {
    if !pinned.dataset.manifest().uses_stable_row_ids() {
        return Ok(None);
    }
    let cursor = Mark::of(pinned).await?.cursor();
    let changed_at_ms = Some(pinned.dataset.manifest().timestamp().timestamp_millis());
    Ok(Some(FeedHead { cursor, changed_at_ms }))
}

/// The net difference between the cursor's version and the newest: ids that are gone, and rows that are new or were
/// written again (even with the same values). Nothing if no version was added, one empty batch with the cursor if
/// versions were added that changed no row (compaction, indexes).
///
/// Rows are streamed. The ids that are gone are collected first, because one that was deleted and inserted again is not
/// gone; they are the only thing whose size grows with the change.
///
/// # Errors
/// `CursorExpired` if the version was pruned, belongs to another incarnation or lies ahead, and if something happened
/// in between that Lance's row versions do not tell truly (a restore, an overwrite, a change of the schema).
pub(crate) fn changes_since(
    handle: TableHandle,
    cursor: Cursor,
    batch_rows: usize,
) -> BoxStream<'static, Result<ChangeBatch>> {
    begun_by(async move {
        let changes = Changes::begin(&handle, &cursor, batch_rows).await?;
        let next = |changes: Option<Changes>| async move {
            let Some(mut changes) = changes else { return Ok(None) };
            let batch = changes.next().await?;
            let rest = if changes.told_all { None } else { Some(changes) };
            Ok(Some((batch, rest)))
        };
        Ok(futures::stream::try_unfold(changes, next).boxed())
    })
}

/// A difference between two versions that is being told.
struct Changes {
    pinned: Pinned,
    head: Cursor,
    deleted: Vec<String>,
    rows: Option<DatasetRecordBatchStream>,
    held: Rebatch,
    batch_rows: usize,
    told_all: bool,
}

impl Changes {
    async fn begin(handle: &TableHandle, cursor: &Cursor, batch_rows: usize) -> Result<Option<Self>> {
        let pinned = handle.pin().await?;
        let place = &pinned.place;
        let expired = |detail: String| Err(expired(&pinned, detail));
        if !pinned.dataset.manifest().uses_stable_row_ids() {
            let detail = "the table has no stable row ids, so its versions cannot be compared";
            return Err(place.error(ErrorKind::UnsupportedCapability, detail));
        }
        let Some(base) = Mark::parse(cursor) else {
            return expired(format!("{:?} is no place in a Lance table", cursor.0));
        };
        let head = Mark::of(&pinned).await?;
        if base.version > head.version {
            let detail = format!("the cursor is at version {}, the table only at {}", base.version, head.version);
            return expired(detail);
        }
        let begin = checkout(&pinned, base.version).await?;
        let begin = pinned.at(begin);
        if Mark::of(&begin).await?.incarnation != base.incarnation {
            let detail =
                format!("the table was made again since: it is {}, not {}", head.incarnation, base.incarnation);
            return expired(detail);
        }
        if base.version == head.version {
            return Ok(None);
        }
        check_log(&pinned, base.version).await?;

        let failed = |error| place.store("could not compare the versions", error);
        let delta = pinned.dataset.delta().compared_against_version(base.version).build().map_err(failed)?;
        let deleted = deleted_ids(&pinned, &begin, &delta, base.version).await?;
        let rows = delta.get_upserted_rows().await.map_err(failed)?;
        let batch_rows = batch_rows.max(1);
        Ok(Some(Self {
            head: head.cursor(),
            deleted,
            rows: Some(rows),
            held: Rebatch::new(batch_rows),
            batch_rows,
            told_all: false,
            pinned,
        }))
    }

    /// Deleted ids come first and share the batch in which they end with the first rows, so that a small change is one
    /// batch, and one commit at the other end.
    async fn next(&mut self) -> Result<ChangeBatch> {
        let first_kept = self.deleted.len().saturating_sub(self.batch_rows);
        let deletes = self.deleted.split_off(first_kept);
        let room = self.batch_rows - deletes.len();
        let upserts = if self.deleted.is_empty() && room > 0 {
            self.fill(room).await?;
            let rows = self.held.take(room).map_err(|error| self.failed(error))?;
            rows.map(|rows| row_batch(&self.pinned, &rows)).transpose()?
        } else {
            None
        };
        // One row more than the batch holds tells whether it is the last.
        self.told_all = self.deleted.is_empty() && !self.fill(1).await?;
        let cursor = self.told_all.then(|| self.head.clone());
        Ok(ChangeBatch { upserts, deletes, cursor, ..ChangeBatch::default() })
    }

    /// Reads until so many rows are held; whether they are.
    async fn fill(&mut self, rows: usize) -> Result<bool> {
        while self.held.held_rows() < rows {
            let Some(stream) = &mut self.rows else { return Ok(false) };
            match stream.try_next().await {
                Ok(Some(batch)) => self.held.push(batch),
                Ok(None) => self.rows = None,
                Err(error) => return Err(read_failed(&self.pinned, error).await),
            }
        }
        Ok(true)
    }

    fn failed(&self, error: arrow_schema::ArrowError) -> Error {
        self.pinned.place.store("could not put the changes together", error)
    }
}

/// What was changed since cannot be told from the feed any more.
fn expired(pinned: &Pinned, detail: String) -> Error {
    let detail = format!("{detail}: a full comparison is needed to find what changed since");
    pinned.place.error(ErrorKind::CursorExpired, detail)
}

/// The version a cursor stands for.
async fn checkout(pinned: &Pinned, version: u64) -> Result<Arc<Dataset>> {
    if version == pinned.dataset.version_id() {
        return Ok(pinned.dataset.clone());
    }
    match pinned.dataset.checkout_version(version).await {
        Ok(dataset) => Ok(Arc::new(dataset)),
        Err(error) if is_missing(&error) => {
            Err(expired(pinned, format!("version {version} was pruned")).with_source(error))
        }
        Err(error) => Err(pinned.place.store(format!("could not open version {version}"), error)),
    }
}

/// Refuses a stretch of the transaction log in which something happened whose rows do not carry its version.
async fn check_log(pinned: &Pinned, base: u64) -> Result<()> {
    let head = pinned.dataset.version_id();
    let read = |version| async move { (version, pinned.dataset.read_transaction_by_version(version).await) };
    let mut log = futures::stream::iter(base + 1..=head).map(read).buffered(LOG_READERS);
    while let Some((version, transaction)) = log.next().await {
        let expired = |detail| Err(expired(pinned, detail));
        match transaction {
            Ok(Some(transaction)) if is_told_by_row_versions(&transaction.operation) => {}
            Ok(Some(transaction)) => {
                return expired(format!("version {version} was made by {}", transaction.operation.name()));
            }
            Ok(None) => return expired(format!("version {version} does not say what made it")),
            Err(error) if is_missing(&error) => {
                return expired(format!("version {version} was pruned, so what it did is not known"));
            }
            Err(error) => return Err(pinned.place.store("could not read the transaction log", error)),
        }
    }
    Ok(())
}

/// What is known to leave row ids and row versions true. A restore brings rows back with the versions they had; an
/// overwrite and whatever changes the schema make another table of it.
fn is_told_by_row_versions(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Append { .. }
            | Operation::Update { .. }
            | Operation::Delete { .. }
            | Operation::Rewrite { .. }
            | Operation::ReserveFragments { .. }
            | Operation::CreateIndex { .. }
            | Operation::UpdateConfig { .. }
    )
}

/// The ids, as they were at the base version, of rows that are gone, without those inserted again since.
async fn deleted_ids(pinned: &Pinned, begin: &Pinned, delta: &DatasetDelta, base: u64) -> Result<Vec<String>> {
    let failed = |error| pinned.place.store("could not find the deleted rows", error);
    let mut row_ids: Vec<u64> = Vec::new();
    let mut gone = delta.get_deleted_row_ids().await.map_err(failed)?;
    loop {
        match gone.try_next().await {
            Ok(Some(batch)) => row_ids.extend(batch.column(0).as_primitive::<UInt64Type>().values()),
            Ok(None) => break,
            Err(error) => return Err(read_failed(begin, error).await),
        }
    }
    if row_ids.is_empty() {
        return Ok(Vec::new());
    }
    row_ids.sort_unstable();
    let mut ids = HashSet::with_capacity(row_ids.len());
    for row_ids in row_ids.chunks(LOOKUP_ROWS) {
        let column = ProjectionRequest::from_columns(["id"], begin.dataset.schema());
        let batch = match begin.dataset.take_rows(row_ids, column).await {
            Ok(batch) => batch,
            Err(error) => return Err(read_failed(begin, error).await),
        };
        if batch.num_rows() != row_ids.len() {
            let detail =
                format!("of {} deleted rows only {} are found where they were", row_ids.len(), batch.num_rows());
            return Err(pinned.place.error(ErrorKind::Corrupt, detail));
        }
        ids.extend(id_column(begin, &batch)?.iter().flatten().map(str::to_owned));
    }
    let mut scanner = scanner(pinned);
    scanner.filter_expr(col("_row_created_at_version").gt(lit(base))).project(&["id"]).map_err(failed)?;
    let mut inserted = scanner.try_into_stream().await.map_err(failed)?;
    loop {
        match inserted.try_next().await {
            Ok(Some(batch)) => {
                for id in id_column(pinned, &batch)?.iter().flatten() {
                    ids.remove(id);
                }
            }
            Ok(None) => break,
            Err(error) => return Err(read_failed(pinned, error).await),
        }
    }
    let mut ids: Vec<String> = ids.into_iter().collect();
    ids.sort_unstable();
    Ok(ids)
}

#[cfg(test)]
mod tests;
