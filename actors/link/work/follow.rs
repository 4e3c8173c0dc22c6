use super::deliver::Delivery;
use super::joined::Joined;
use super::level::level;
use super::{Desk, Done, News, Pair, Prepared};
use crate::clock::now_ms;
use futures::TryStreamExt;
use palanquin_engine::contract::{
    ChangeBatch, Cursor, Error, ErrorKind, GetRequest, Include, Result, Selection, WriteMode,
};

/// Replays what changed since the copy began, then follows, until told to stop.
pub(super) async fn run(desk: &Desk, prepared: &Prepared) -> Result<Done> {
    let mut cursors = Vec::new();
    for (index, planned) in prepared.plan.collections.iter().enumerate() {
        let cursor = prepared.positions.feed(index).cloned().or_else(|| planned.feed_from.clone());
        cursors.push(cursor.ok_or_else(|| {
            Error::new(ErrorKind::UnsupportedCapability, "the source had no feed when the link was planned")
                .in_palace(&desk.setup.source.address)
        })?);
    }
    let delivery = Delivery::begin(desk, prepared).await?;
    // The journal holds these, and they are the whole of what this link follows.
    let names = prepared.pairs.iter().map(|pair| pair.name.clone());
    prepared.source.confirm(&names.zip(cursors.iter().cloned()).collect::<Vec<_>>()).await?;
    let mut caught_up = false;
    while !desk.is_stopping() {
        let mut moved = false;
        for (index, (pair, cursor)) in prepared.pairs.iter().zip(&mut cursors).enumerate() {
            moved |= match step(desk, &delivery, index, pair, cursor).await {
                Err(error) if error.kind() == ErrorKind::CursorExpired => {
                    let planned = &prepared.plan.collections[index];
                    *cursor = level(desk, &delivery, index, (pair, planned), cursor, error).await?;
                    desk.tell(News::Followed { collection: index, changes: 0, cursor: Some(cursor.clone()) });
                    true
                }
                stepped => stepped?,
            };
        }
        if !moved {
            if !caught_up {
                caught_up = true;
                desk.tell(News::CaughtUp);
            }
            desk.tell(News::Behind { rows: 0, since_ms: None });
            tokio::select! {
                () = desk.shift.stop.cancelled() => {}
                () = tokio::time::sleep(desk.setup.options.poll_every) => {}
            }
        }
    }
    Ok(Done::Stopped)
}

/// Applies what one feed has beyond `cursor`; whether there was anything.
async fn step(desk: &Desk, delivery: &Delivery, collection: usize, pair: &Pair, cursor: &mut Cursor) -> Result<bool> {
    let Pair { name, source, .. } = pair;
    let at_source = |error: Error| error.in_palace(&desk.setup.source.address).in_collection(name);
    let Some(head) = source.feed_head().await.map_err(at_source)? else { return Ok(false) };
    if head.cursor == *cursor {
        return Ok(false);
    }
    let since_ms = head.changed_at_ms.unwrap_or_else(now_ms);
    let mut writing = Writing { desk, delivery, collection, pair, cursor, joined: Joined::default(), since_ms };
    let mut batches = source.changes_since(writing.cursor, desk.setup.options.batch_rows);
    let mut moved = false;
    while let Some(batch) = batches.try_next().await.map_err(at_source)? {
        moved = true;
        writing.take(batch).await?;
        if desk.is_stopping() {
            break;
        }
    }
    writing.commit().await?;
    Ok(moved)
}

/// What has been read of a feed and is joined into commits: a store takes few large ones better than many small ones.
struct Writing<'a> {
    desk: &'a Desk,
    delivery: &'a Delivery,
    collection: usize,
    pair: &'a Pair,
    cursor: &'a mut Cursor,
    joined: Joined,
    since_ms: i64,
}

impl Writing<'_> {
    fn at_target(&self, error: Error) -> Error {
        error.in_palace(&self.desk.setup.target.address).in_collection(&self.pair.name)
    }

    async fn take(&mut self, batch: ChangeBatch) -> Result<()> {
        let (options, credit) = (&self.desk.setup.options, &self.desk.setup.credit);
        if batch.emptied || !self.joined.has_room_for(&batch) {
            self.commit().await?;
        }
        let bytes = Joined::bytes_of(&batch);
        let held = match credit.take_now(bytes) {
            Some(held) => held,
            None => {
                self.commit().await?;
                credit.take(bytes).await
            }
        };
        if batch.emptied {
            self.empty().await?;
        }
        if batch.rows() == 0 && batch.cursor.is_none() {
            self.desk.tell(News::Followed { collection: self.collection, changes: 0, cursor: None });
            return Ok(());
        }
        self.joined.push(batch, held);
        // Half the credit at most, so that the source can be read on while a commit is under way.
        let enough = options.commit_bytes.min(credit.total() as usize / 2);
        if self.joined.rows() >= options.commit_rows || self.joined.bytes() >= enough {
            self.commit().await?;
        }
        Ok(())
    }

    /// Makes what is joined durable and reports it.
    async fn commit(&mut self) -> Result<()> {
        let joined = std::mem::take(&mut self.joined);
        let (changes, since_ms) = (joined.rows() as u64, joined.changed_at_ms().unwrap_or(self.since_ms));
        let (batch, _held) = joined.into_batch()?;
        let reached = batch.cursor.clone();
        if changes > 0 {
            self.desk.tell(News::Behind { rows: changes, since_ms: Some(since_ms) });
            self.delivery.deliver_changes(self.pair, batch).await?;
        }
        if changes == 0 && reached.is_none() {
            return Ok(());
        }
        if let Some(reached) = &reached {
            *self.cursor = reached.clone();
        }
        self.desk.tell(News::Followed { collection: self.collection, changes, cursor: reached });
        Ok(())
    }

    /// Removes every row of the target, as the source's were. What is read meanwhile sees some of them gone.
    async fn empty(&self) -> Result<()> {
        let limit = Some(self.desk.setup.options.commit_rows);
        let request = GetRequest { include: Include::IDS, limit, ..GetRequest::of(Selection::default()) };
        loop {
            let found = self.pair.target.get(&request).await.map_err(|error| self.at_target(error))?;
            if found.ids.is_empty() {
                return self.delivery.release_all(self.pair).await;
            }
            let changes = found.ids.len() as u64;
            let batch = ChangeBatch { deletes: found.ids, ..ChangeBatch::default() };
            self.delivery.deliver(self.pair, self.pair.target.as_ref(), batch, WriteMode::Upsert).await?;
            self.desk.tell(News::Followed { collection: self.collection, changes, cursor: None });
        }
    }
}
