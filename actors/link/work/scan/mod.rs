//! Following by comparison (capture level `scan`): every so often each row of the source is read and compared with what
//! was last carried over.
//!
//! The journal holds a digest of each row as the *source* returned it, so that a round need not read the target
//! ([`carrying`] keeps them true while rows are written, the first copy included). Both sides arrive in the order of
//! their ids and are [compared](difference()), a page of each in memory. A round applies what is new or changed as it goes; what
//! the source has no more is only noted, and removed once the whole source has been read and is still the same one.

mod carrying;
#[cfg(test)]
mod tests;

use super::deliver::Delivery;
use super::difference::{Known, difference};
use super::{Desk, Done, News, Pair, Prepared};
use crate::clock::now_ms;
use crate::credit::Held;
pub(super) use carrying::{Carrying, Digested};
use futures::TryStreamExt;
use palanquin_engine::contract::{ChangeBatch, Error, ErrorKind, KeyRange, Result, ScanOrder, ScanRequest, WriteMode};
use palanquin_engine::rows::RowBatch;
use std::time::Duration;
use tokio::time::Instant;

/// A sign of life while nothing is due comes at least so often.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// Compares, waits, compares again, until told to stop. The first round follows the copy at once.
pub(super) async fn run(desk: &Desk, prepared: &Prepared, every: Duration) -> Result<Done> {
    let delivery = Delivery::begin(desk, prepared).await?;
    let mut caught_up = false;
    while !desk.is_stopping() {
        let (began, began_at_ms) = (Instant::now(), now_ms());
        let (mut rows, mut changes) = (0, 0);
        for index in 0..prepared.pairs.len() {
            let Some(round) = Round::of(desk, prepared, &delivery, index).compare().await? else {
                return Ok(Done::Stopped);
            };
            rows += round.rows;
            changes += round.changes;
        }
        desk.tell(News::Round { rows, changes, began_at_ms, took_ms: began.elapsed().as_millis() as u64 });
        if !caught_up {
            caught_up = true;
            desk.tell(News::CaughtUp);
        }
        wait(desk, every).await;
    }
    Ok(Done::Stopped)
}

/// Waits so long, or until told to stop; it goes on being alive meanwhile.
async fn wait(desk: &Desk, every: Duration) {
    let due = Instant::now() + every;
    while !desk.is_stopping() && Instant::now() < due {
        desk.heartbeat.beat();
        tokio::select! {
            () = desk.shift.stop.cancelled() => {}
            () = tokio::time::sleep_until(due.min(Instant::now() + BEAT_EVERY)) => {}
        }
    }
}

/// One comparison of one collection.
struct Round<'a> {
    desk: &'a Desk,
    prepared: &'a Prepared,
    delivery: &'a Delivery,
    collection: usize,
    digested: Digested,
    rows: u64,
    changes: u64,
    /// Rows to be applied, and the credit they hold.
    pending: Vec<(RowBatch, Held)>,
}

impl<'a> Round<'a> {
    fn of(desk: &'a Desk, prepared: &'a Prepared, delivery: &'a Delivery, collection: usize) -> Self {
        let digested = Digested::of(&desk.setup, prepared.epoch, collection);
        Self { desk, prepared, delivery, collection, digested, rows: 0, changes: 0, pending: Vec::new() }
    }

    fn pair(&self) -> &'a Pair {
        &self.prepared.pairs[self.collection]
    }

    fn at_source(&self, error: Error) -> Error {
        error.in_palace(&self.desk.setup.source.address).in_collection(&self.pair().name)
    }

    /// Makes the target equal to what the source returns; `None` if it was told to stop on the way. What was applied until
    /// then stays, and the next round finds the rest.
    async fn compare(mut self) -> Result<Option<Self>> {
        self.refuse_another_source().await?;
        self.digested.forget_missing().await?;
        let request = ScanRequest {
            range: KeyRange::ALL,
            order: ScanOrder::ById,
            batch_rows: self.desk.setup.options.batch_rows,
        };
        let mut known = Known::of(self.digested.pages());
        let mut batches = self.pair().source.scan(request);
        while let Some(batch) = batches.try_next().await.map_err(|error| self.at_source(error))? {
            self.desk.heartbeat.beat();
            self.desk.setup.limits.pass(&self.desk.heartbeat, batch.len(), batch.bytes()).await;
            let held = match self.desk.setup.credit.take_now(batch.bytes()) {
                Some(held) => held,
                None => {
                    // What is held must become durable, or this batch would wait for ever.
                    self.flush().await?;
                    self.desk.setup.credit.take(batch.bytes()).await
                }
            };
            self.rows += batch.len() as u64;
            let (batch, as_copied) = self.delivery.as_copied(batch).map_err(|error| self.at_source(error))?;
            let found = difference(batch, as_copied, &mut known).await.map_err(|error| self.at_source(error))?;
            self.note_missing(found.missing).await?;
            if let Some(upserts) = found.upserts {
                self.pending.push((upserts, held));
            }
            if self.is_full() {
                self.flush().await?;
            }
            if self.desk.is_stopping() {
                return Ok(None);
            }
        }
        self.flush().await?;
        while let Some(missing) = known.rest(self.desk.setup.options.commit_rows).await? {
            self.note_missing(missing).await?;
        }
        self.remove_missing().await?;
        Ok(Some(self))
    }

    /// Halts where going on could empty the target by mistake: the source's collection is another one now, or it is said
    /// to hold no row while rows of it were carried over.
    async fn refuse_another_source(&self) -> Result<()> {
        let (pair, planned) = (self.pair(), &self.prepared.plan.collections[self.collection]);
        let info = pair.source.info().await.map_err(|error| self.at_source(error))?;
        let expired = |detail| Err(self.at_source(Error::new(ErrorKind::CursorExpired, detail)));
        if info.incarnation != planned.source_incarnation {
            return expired("the source's collection was dropped and made again since the copy began");
        }
        if self.digested.is_any().await? && pair.source.count().await.map_err(|error| self.at_source(error))? == 0 {
            return expired("the source has no rows left, and the target is not emptied on its word alone");
        }
        Ok(())
    }

    async fn note_missing(&self, ids: Vec<String>) -> Result<()> {
        if ids.is_empty() { Ok(()) } else { self.digested.missing(ids).await }
    }

    fn is_full(&self) -> bool {
        let options = &self.desk.setup.options;
        let rows: usize = self.pending.iter().map(|(batch, _)| batch.len()).sum();
        let bytes: usize = self.pending.iter().map(|(batch, _)| batch.bytes()).sum();
        rows >= options.commit_rows || bytes >= options.commit_bytes
    }

    /// Makes what is new or changed durable.
    async fn flush(&mut self) -> Result<()> {
        let (batches, _held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending).into_iter().unzip();
        if batches.is_empty() {
            return Ok(());
        }
        let joined = RowBatch::concat(&batches)
            .map_err(|error| Error::new(ErrorKind::Internal, "batches do not fit together").with_source(error))?;
        drop(batches);
        self.apply(ChangeBatch::upserts(joined)).await
    }

    async fn apply(&mut self, batch: ChangeBatch) -> Result<()> {
        let changes = batch.rows() as u64;
        let pair = self.pair();
        self.delivery.deliver(pair, pair.target.as_ref(), batch, WriteMode::Upsert).await?;
        self.changes += changes;
        self.desk.tell(News::Followed { collection: self.collection, changes, cursor: None });
        Ok(())
    }

    /// Removes what the source has no more: it has been read to its end, and is looked at once more before.
    async fn remove_missing(&mut self) -> Result<()> {
        let limit = self.desk.setup.options.commit_rows;
        let mut ids = self.digested.missing_ids(limit).await?;
        if ids.is_empty() {
            return Ok(());
        }
        self.refuse_another_source().await?;
        if self.rows == 0 {
            let detail = "the source returned no rows, and the target is not emptied on its word alone";
            return Err(self.at_source(Error::new(ErrorKind::CursorExpired, detail)));
        }
        while !ids.is_empty() {
            self.apply(ChangeBatch { deletes: ids, ..ChangeBatch::default() }).await?;
            ids = self.digested.missing_ids(limit).await?;
        }
        Ok(())
    }
}
