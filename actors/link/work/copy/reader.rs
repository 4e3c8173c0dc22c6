use super::{Handed, Key, Run};
use crate::link::work::News;
use futures::TryStreamExt;
use palanquin_engine::contract::{Collection, Error, KeyRange, Result, ScanOrder, ScanRequest};
use palanquin_engine::link::passing;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Scans partitions until none is left or reading is to stop. One handle has one user at a time (§2.5): the first reader
/// has those that were opened with the plan, and what they have learned by then, the others open their own.
pub(super) async fn run(run: Arc<Run>, number: usize, hand_on: mpsc::Sender<Handed>) -> Result<()> {
    let mut sources: HashMap<usize, Arc<dyn Collection>> = HashMap::new();
    while let Some((key, range)) = run.next_partition() {
        if run.halt.is_cancelled() {
            return Ok(());
        }
        let source = match sources.get(&key.0) {
            Some(source) => Arc::clone(source),
            None if number == 0 => Arc::clone(&run.prepared.pairs[key.0].source),
            None => {
                let source = run.prepared.another_source(&run.desk, key.0).await;
                let source = source.map_err(|error| error.in_palace(&run.desk.setup.source.address))?;
                sources.insert(key.0, Arc::clone(&source));
                source
            }
        };
        let from = run.prepared.positions.partition(key.0, key.1);
        let begin = Handed::Begin { key, range: range.clone(), from };
        // Where the writer is gone, its own end says why.
        if hand_on.send(begin).await.is_err() || !partition(&run, key, range, source.as_ref(), &hand_on).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Scans one partition; whether it came to its end.
async fn partition(
    run: &Run,
    key: Key,
    range: KeyRange,
    source: &dyn Collection,
    hand_on: &mpsc::Sender<Handed>,
) -> Result<bool> {
    let (desk, pages) = (&run.desk, &run.pages[key.0]);
    let setup = &desk.setup;
    let name = &run.prepared.pairs[key.0].name;
    let in_context = |error: Error| error.in_palace(&setup.source.address).in_collection(name).in_rows(range.clone());
    let mut left = range.clone();
    'scan: loop {
        let batch_rows = pages.rows();
        let request = ScanRequest { range: left.clone(), order: ScanOrder::ById, batch_rows };
        let mut batches = source.scan_passing(request, &run.prepared.filter);
        loop {
            let began = Instant::now();
            let batch = tokio::select! {
                () = run.halt.cancelled() => return Ok(false),
                batch = batches.try_next() => batch.map_err(in_context)?,
            };
            let took = began.elapsed();
            let Some(batch) = batch else { break 'scan };
            desk.heartbeat.beat();
            let (read, bytes) = (batch.len(), batch.bytes());
            pages.was(read, bytes);
            // Of a page that is filtered, the store has looked at every row.
            let looked_at = if run.prepared.filter.is_all() { read } else { read.max(batch_rows) };
            if let Some(upto) = batch.last_id().map(str::to_owned) {
                left = left.remaining_after(Some(&upto));
                let rows = passing(&run.prepared.filter, batch).map_err(in_context)?;
                let bare = rows.ids_without_vector();
                if !bare.is_empty() {
                    desk.tell(News::WithoutVector { collection: key.0, ids: bare });
                }
                let waits = async {
                    setup.limits.pass(&desk.heartbeat, looked_at, bytes).await;
                    setup.credit.take(rows.bytes()).await
                };
                let held = tokio::select! {
                    () = run.halt.cancelled() => return Ok(false),
                    held = waits => held,
                };
                if hand_on.send(Handed::Rows { key, rows, upto, held }).await.is_err() {
                    return Ok(false);
                }
            }
            tokio::select! {
                () = run.halt.cancelled() => return Ok(false),
                () = setup.limits.was_read(&desk.heartbeat, looked_at, took) => {}
            }
            // A scan begun anew reads again what lies before the last row it gave.
            if read > 0 && pages.calls_for_another(batch_rows) {
                continue 'scan;
            }
        }
    }
    Ok(hand_on.send(Handed::End(key)).await.is_ok())
}
