use futures::TryStreamExt;
use palanquin_actors::PalaceSource;
use palanquin_engine::contract::{
    ChangeBatch, Collection, Error, ErrorKind, KeyRange, OpenMode, Result, ScanOrder, ScanRequest, WriteMode,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Rows one change touches, at most.
const ROWS_AT_ONCE: usize = 3;

/// Changes the first collection of a palace a little, again and again, until told to stop: rows are rewritten, added and
/// removed.
pub(super) async fn write(palace: PalaceSource, stop: CancellationToken) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(7);
    let open = palace.backend.open(&palace.palace, OpenMode::Write.into()).await?;
    let collections = open.collections().await?;
    let largest = collections.iter().max_by_key(|collection| collection.rows);
    let Some(info) = largest else { return Ok(()) };
    let collection = open.collection(&info.name).await?;
    let mut written = 0_u32;
    loop {
        let pause = Duration::from_millis(rng.random_range(200..900));
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        written += 1;
        let change = next_change(&collection, written, &mut rng).await?;
        collection.apply(change, WriteMode::Upsert).await?;
    }
}

async fn next_change(collection: &Arc<dyn Collection>, number: u32, rng: &mut StdRng) -> Result<ChangeBatch> {
    let scan = ScanRequest { range: KeyRange::ALL, order: ScanOrder::Any, batch_rows: 1_000 };
    let batches: Vec<RowBatch> = collection.scan(scan).try_collect().await?;
    let rows: Vec<Row<'_>> = batches.iter().flat_map(RowBatch::rows).collect();
    let some: Vec<Row<'_>> = (0..rng.random_range(1..=ROWS_AT_ONCE))
        .filter_map(|_| rows.get(rng.random_range(0..rows.len().max(1))))
        .copied()
        .collect();
    if number.is_multiple_of(7) {
        let deletes = some.iter().map(|row| row.id.to_owned()).collect();
        return Ok(ChangeBatch { deletes, ..ChangeBatch::default() });
    }
    let dimension = batches.first().map_or(0, RowBatch::dimension);
    let mut changed = RowBatchBuilder::with_capacity(some.len(), dimension);
    for row in &some {
        let id = if number.is_multiple_of(3) { format!("{}-note-{number}", row.id) } else { row.id.to_owned() };
        let document = format!("note {number}: {}", row.document.unwrap_or_default());
        let row = Row { id: &id, document: Some(&document), ..*row };
        changed
            .push(row)
            .map_err(|error| Error::new(ErrorKind::Internal, "a row of the demonstration").with_source(error))?;
    }
    let changed = changed.finish();
    changed
        .map(ChangeBatch::upserts)
        .map_err(|error| Error::new(ErrorKind::Internal, "a row of the demonstration").with_source(error))
}
