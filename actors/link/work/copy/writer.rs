use super::commit_size::CommitSize;
use super::{Handed, Key, Run};
use crate::credit::Held;
use crate::link::work::News;
use palanquin_engine::contract::{ChangeBatch, Collection, Error, ErrorKind, KeyRange, Result, WriteMode};
use palanquin_engine::link::Position;
use palanquin_engine::rows::RowBatch;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Makes durable what its readers hand on, until they are gone. As with readers, the first has the handles there are.
pub(super) async fn run(run: Arc<Run>, number: usize, handed: mpsc::Receiver<Handed>) -> Result<()> {
    let setup = &run.desk.setup;
    let size = CommitSize::new(&setup.options, setup.credit.total(), run.writers);
    let writer = Writer { number, targets: HashMap::new(), under_way: BTreeMap::new(), since: None, size, run };
    writer.run(handed).await
}

struct Writer {
    run: Arc<Run>,
    number: usize,
    /// One handle has one user at a time (§2.5).
    targets: HashMap<usize, Arc<dyn Collection>>,
    under_way: BTreeMap<Key, UnderWay>,
    /// Since when something is kept back.
    since: Option<Instant>,
    size: CommitSize,
}

/// A partition being written.
struct UnderWay {
    range: KeyRange,
    position: Position,
    /// Greatest id that was there before: an earlier run wrote it and had no time to record it.
    occupied_upto: Option<String>,
    kept: Vec<(RowBatch, Held)>,
    /// The id up to which it has been read.
    upto: Option<String>,
    has_ended: bool,
}

impl UnderWay {
    fn has_news(&self) -> bool {
        self.has_ended || self.upto.is_some()
    }

    /// Whether none of the rows kept back can be there.
    fn is_beyond_what_was_there(&self) -> bool {
        let first = self.kept.iter().find(|(batch, _)| !batch.is_empty()).map(|(batch, _)| batch.ids().value(0));
        first > self.occupied_upto.as_deref()
    }
}

impl Writer {
    async fn run(mut self, mut handed: mpsc::Receiver<Handed>) -> Result<()> {
        loop {
            let run = Arc::clone(&self.run);
            let due = self.since.map(|since| since + run.desk.setup.options.keep_back_at_most);
            tokio::select! {
                biased;
                next = handed.recv() => match next {
                    Some(next) => self.take(next).await?,
                    // The readers are gone: what they handed on is still made durable.
                    None => return self.commit().await,
                },
                () = run.desk.setup.credit.is_wanted(), if due.is_some() => self.commit().await?,
                () = until(due), if due.is_some() => self.commit().await?,
            }
        }
    }

    async fn take(&mut self, handed: Handed) -> Result<()> {
        match handed {
            Handed::Begin { key, range, from } => {
                let occupied_upto = self.occupied_upto(key.0, &range).await?;
                let (kept, upto, has_ended) = (Vec::new(), None, false);
                self.under_way.insert(key, UnderWay { range, position: from, occupied_upto, kept, upto, has_ended });
            }
            Handed::Rows { key, rows, upto, held } => {
                if let Some(under_way) = self.under_way.get_mut(&key) {
                    under_way.kept.push((rows, held));
                    under_way.upto = Some(upto);
                }
                self.since.get_or_insert_with(Instant::now);
                let kept = || self.under_way.values().flat_map(|under_way| &under_way.kept);
                let (rows, bytes) =
                    kept().fold((0, 0), |(rows, bytes), (batch, _)| (rows + batch.len(), bytes + batch.bytes()));
                if self.size.is_reached(rows, bytes) {
                    self.commit().await?;
                }
            }
            Handed::End(key) => {
                if let Some(under_way) = self.under_way.get_mut(&key) {
                    under_way.has_ended = true;
                }
                self.since.get_or_insert_with(Instant::now);
            }
        }
        Ok(())
    }

    /// The greatest id of a range that an earlier run has written. A collection that was empty when this run came to it
    /// has none, which spares a look at every row written since.
    async fn occupied_upto(&mut self, collection: usize, range: &KeyRange) -> Result<Option<String>> {
        let target = self.target(collection).await?;
        let in_context = |error: Error| self.in_context(collection, error);
        let look = || async { target.count().await.map(|count| count == 0) };
        let found_empty = *self.run.found_empty[collection].get_or_try_init(look).await.map_err(in_context)?;
        if found_empty && !self.run.desk.shift.suspect {
            return Ok(None);
        }
        target.last_id(range).await.map_err(in_context)
    }

    async fn target(&mut self, collection: usize) -> Result<Arc<dyn Collection>> {
        if let Some(target) = self.targets.get(&collection) {
            return Ok(Arc::clone(target));
        }
        let pair = &self.run.prepared.pairs[collection];
        let target = match self.number {
            0 => Ok(Arc::clone(&pair.target)),
            _ => self.run.prepared.target.collection(&pair.target_name).await,
        };
        let target = target.map_err(|error| self.in_context(collection, error))?;
        self.targets.insert(collection, Arc::clone(&target));
        Ok(target)
    }

    fn in_context(&self, collection: usize, error: Error) -> Error {
        let name = &self.run.prepared.pairs[collection].target_name;
        error.in_palace(&self.run.desk.setup.target.address).in_collection(name)
    }

    /// Makes what is kept back durable and reports it.
    async fn commit(&mut self) -> Result<()> {
        self.since = None;
        let collections: BTreeSet<usize> =
            self.under_way.iter().filter(|(_, under_way)| under_way.has_news()).map(|((c, _), _)| *c).collect();
        for collection in collections {
            for mode in [WriteMode::Append, WriteMode::Upsert] {
                self.commit_in(collection, mode).await?;
            }
        }
        Ok(())
    }

    /// Those partitions of a collection whose rows can be written in that mode: together, as one batch.
    async fn commit_in(&mut self, collection: usize, mode: WriteMode) -> Result<()> {
        let suspect = self.run.desk.shift.suspect;
        let mode_of = |under_way: &UnderWay| {
            if !suspect && under_way.is_beyond_what_was_there() { WriteMode::Append } else { WriteMode::Upsert }
        };
        let of_collection = (collection, 0)..=(collection, usize::MAX);
        let (mut batches, mut reports) = (Vec::new(), Vec::new());
        for (key, under_way) in self.under_way.range_mut(of_collection) {
            if !under_way.has_news() || mode_of(under_way) != mode {
                continue;
            }
            let mut report = Report { key: *key, rows: 0, bytes: 0, held: Vec::new() };
            for (batch, held) in std::mem::take(&mut under_way.kept) {
                report.rows += batch.len() as u64;
                report.bytes += batch.bytes() as u64;
                report.held.push(held);
                if !batch.is_empty() {
                    batches.push(batch);
                }
            }
            reports.push(report);
        }
        let refused = if batches.is_empty() { Vec::new() } else { self.deliver(collection, batches, mode).await? };
        for Report { key, rows, bytes, held } in reports {
            let Some(under_way) = self.under_way.get_mut(&key) else { continue };
            let aside = refused.iter().filter(|id| under_way.range.contains(id)).count() as u64;
            let (done, position) = (under_way.has_ended, &mut under_way.position);
            let rows = rows.saturating_sub(aside);
            *position = Position {
                upto: under_way.upto.take().or_else(|| position.upto.take()),
                rows: position.rows + rows,
                bytes: position.bytes + bytes,
                done,
            };
            let (collection, partition) = key;
            let position = position.clone();
            self.run.desk.tell(News::Durable { collection, partition, position, rows, _held: held });
            if done {
                self.under_way.remove(&key);
            }
        }
        Ok(())
    }

    /// Writes the batches; the ids of the rows that were set aside.
    async fn deliver(&mut self, collection: usize, batches: Vec<RowBatch>, mode: WriteMode) -> Result<Vec<String>> {
        let target = self.target(collection).await?;
        let pair = &self.run.prepared.pairs[collection];
        let joined = RowBatch::concat(&batches).map_err(|error| {
            let error = Error::new(ErrorKind::Internal, "batches do not fit together").with_source(error);
            self.in_context(collection, error)
        })?;
        drop(batches);
        let (began, bytes) = (Instant::now(), joined.bytes());
        let refused = self.run.delivery.deliver(pair, target.as_ref(), ChangeBatch::upserts(joined), mode).await?;
        self.size.took(bytes, began.elapsed());
        Ok(refused)
    }
}

/// What becomes of a partition once its rows are durable.
struct Report {
    key: Key,
    rows: u64,
    bytes: u64,
    held: Vec<Held>,
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
