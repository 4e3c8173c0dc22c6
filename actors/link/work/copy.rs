use super::{Desk, Done, News, Pair, Prepared};
use crate::credit::Held;
use crate::supervise::Exit;
use futures::TryStreamExt;
use palanquin_engine::contract::{ChangeBatch, Error, ErrorKind, KeyRange, Result, ScanOrder, ScanRequest, WriteMode};
use palanquin_engine::link::{Plan, Position, Positions};
use palanquin_engine::rows::RowBatch;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// Batches on their way; their bytes are bounded by credit, this only bounds their number.
const HANDS: usize = 64;

/// What the source driver hands to the target driver.
enum Handed {
    Begin {
        collection: usize,
        partition: usize,
        range: KeyRange,
        from: Position,
    },
    Rows(RowBatch, Held),
    /// The next batch waits for credit: what is held must become durable, or both would wait for ever.
    Flush,
    End,
}

/// Carries every partition that is not finished. The source driver and the target driver run side by side; when either
/// ends, the other comes to an end by itself, so that nothing is cut off in the middle of a commit.
pub(super) async fn run(desk: &Desk, prepared: Arc<Prepared>) -> Result<Done> {
    let (hand_on, handed) = mpsc::channel(HANDS);
    let target = TargetDriver {
        desk: desk.clone(),
        pairs: prepared.pairs.clone(),
        under_way: None,
        held: Vec::new(),
        found_empty: None,
    };
    let target = AbortOnDropHandle::new(tokio::spawn(target.run(handed)));
    let source = AbortOnDropHandle::new(tokio::spawn(scan(desk.clone(), prepared, hand_on)));
    let written = ended("the target driver", target.await);
    if written.is_err() {
        source.abort();
        return written.map(|()| Done::Copied);
    }
    ended("the source driver", source.await)?;
    Ok(if desk.is_stopping() { Done::Stopped } else { Done::Copied })
}

/// The end of a driver; its panic is an error like any other.
fn ended(driver: &str, end: Result<Result<()>, JoinError>) -> Result<()> {
    end.unwrap_or_else(|error| {
        let exit = match error.try_into_panic() {
            Ok(payload) => Exit::of_panic(&*payload),
            Err(error) => Exit::Failed(error.to_string()),
        };
        Err(Error::new(ErrorKind::Internal, format!("{driver} {exit}")))
    })
}

async fn scan(desk: Desk, prepared: Arc<Prepared>, hand_on: mpsc::Sender<Handed>) -> Result<()> {
    let Prepared { plan, positions, pairs, .. } = prepared.as_ref();
    for (collection, partition, range) in unfinished(plan, positions) {
        let from = positions.partition(collection, partition);
        let begin = Handed::Begin { collection, partition, range: range.clone(), from };
        if hand_on.send(begin).await.is_err() {
            return Ok(());
        }
        let Pair { source, name, .. } = &pairs[collection];
        let request =
            ScanRequest { range: range.clone(), order: ScanOrder::ById, batch_rows: desk.setup.options.batch_rows };
        let mut batches = source.scan(request);
        let in_context =
            |error: Error| error.in_palace(&desk.setup.source.address).in_collection(name).in_rows(range.clone());
        loop {
            let batch = tokio::select! {
                () = desk.shift.stop.cancelled() => return Ok(()),
                batch = batches.try_next() => batch.map_err(in_context)?,
            };
            let Some(batch) = batch else { break };
            desk.heartbeat.beat();
            let bare = batch.ids_without_vector();
            if !bare.is_empty() {
                desk.tell(News::WithoutVector { collection, ids: bare });
            }
            let held = match desk.setup.credit.take_now(batch.bytes()) {
                Some(held) => held,
                None => {
                    if hand_on.send(Handed::Flush).await.is_err() {
                        return Ok(());
                    }
                    tokio::select! {
                        () = desk.shift.stop.cancelled() => return Ok(()),
                        held = desk.setup.credit.take(batch.bytes()) => held,
                    }
                }
            };
            // The target driver is gone: its own end says why.
            if hand_on.send(Handed::Rows(batch, held)).await.is_err() {
                return Ok(());
            }
        }
        if hand_on.send(Handed::End).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What remains of each partition that is not finished.
fn unfinished<'a>(plan: &'a Plan, positions: &'a Positions) -> impl Iterator<Item = (usize, usize, KeyRange)> + 'a {
    plan.collections.iter().enumerate().flat_map(move |(c, collection)| {
        collection.partitions.iter().enumerate().filter_map(move |(p, partition)| {
            let position = positions.partition(c, p);
            (!position.done).then(|| (c, p, partition.range.remaining_after(position.upto.as_deref())))
        })
    })
}

struct TargetDriver {
    desk: Desk,
    pairs: Vec<Pair>,
    under_way: Option<UnderWay>,
    held: Vec<(RowBatch, Held)>,
    /// The collection being written, and whether this run found it empty.
    found_empty: Option<(usize, bool)>,
}

/// The partition being written.
struct UnderWay {
    collection: usize,
    partition: usize,
    position: Position,
    /// Greatest id that was there before: an earlier run wrote it and had no time to record it.
    occupied_upto: Option<String>,
}

impl TargetDriver {
    async fn run(mut self, mut handed: mpsc::Receiver<Handed>) -> Result<()> {
        while let Some(next) = handed.recv().await {
            match next {
                Handed::Begin { collection, partition, range, from } => {
                    let occupied_upto = self.occupied_upto(collection, &range).await?;
                    self.under_way = Some(UnderWay { collection, partition, position: from, occupied_upto });
                }
                Handed::Rows(batch, held) => {
                    self.held.push((batch, held));
                    if self.is_full() {
                        self.commit(false).await?;
                    }
                }
                Handed::Flush => self.commit(false).await?,
                Handed::End => self.commit(true).await?,
            }
        }
        // The source driver stopped: what it handed on is still made durable.
        self.commit(false).await
    }

    /// The greatest id of a range that an earlier run has written. A collection that was empty when this run came to it
    /// has none, which spares a look at every row written since.
    async fn occupied_upto(&mut self, collection: usize, range: &KeyRange) -> Result<Option<String>> {
        let target = &self.pairs[collection].target;
        let found_empty = match self.found_empty {
            Some((known, empty)) if known == collection => empty,
            _ => target.count().await? == 0,
        };
        self.found_empty = Some((collection, found_empty));
        if found_empty && !self.desk.shift.suspect { Ok(None) } else { target.last_id(range).await }
    }

    fn is_full(&self) -> bool {
        let options = &self.desk.setup.options;
        let rows: usize = self.held.iter().map(|(batch, _)| batch.len()).sum();
        let bytes: usize = self.held.iter().map(|(batch, _)| batch.bytes()).sum();
        // Half the credit at most, so that the source can read on while a commit is under way.
        let enough = options.commit_bytes.min(self.desk.setup.credit.total() as usize / 2);
        rows >= options.commit_rows || bytes >= enough
    }

    /// Makes what is held durable and reports it.
    async fn commit(&mut self, done: bool) -> Result<()> {
        let Some(under_way) = &mut self.under_way else { return Ok(()) };
        let (batches, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().unzip();
        let rows: u64 = batches.iter().map(|batch| batch.len() as u64).sum();
        if rows == 0 && !done {
            return Ok(());
        }
        let position = &mut under_way.position;
        let Pair { target, name, .. } = &self.pairs[under_way.collection];
        if rows > 0 {
            let bytes: usize = batches.iter().map(RowBatch::bytes).sum();
            let upto = batches.last().and_then(RowBatch::last_id).map(str::to_owned);
            let first = batches.first().and_then(|batch| batch.rows().next()).map(|row| row.id.to_owned());
            let written = KeyRange { after: position.upto.clone(), upto: upto.clone() };
            let in_context = |error: Error| {
                error.in_palace(&self.desk.setup.target.address).in_collection(name).in_rows(written.clone())
            };
            let mode = if !self.desk.shift.suspect && first > under_way.occupied_upto {
                WriteMode::Append
            } else {
                WriteMode::Upsert
            };
            let joined = RowBatch::concat(&batches).map_err(|error| {
                in_context(Error::new(ErrorKind::Internal, "batches do not fit together").with_source(error))
            })?;
            drop(batches);
            target.apply(ChangeBatch::upserts(joined), mode).await.map_err(in_context)?;
            *position = Position { upto, rows: position.rows + rows, bytes: position.bytes + bytes as u64, done };
        }
        position.done = done;
        self.desk.tell(News::Durable {
            collection: under_way.collection,
            partition: under_way.partition,
            position: position.clone(),
            rows,
            _held: held,
        });
        Ok(())
    }
}
