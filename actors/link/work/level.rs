use super::deliver::Delivery;
use super::difference::{Copied, CopyRows, Difference, Known, difference, digests};
use super::{Desk, News, Pair};
use crate::clock::now_ms;
use async_trait::async_trait;
use futures::TryStreamExt;
use palanquin_engine::contract::{
    ChangeBatch, Cursor, Error, KeyRange, Result, RowStream, ScanOrder, ScanRequest, WriteMode,
};
use palanquin_engine::link::{CollectionPlan, Event};

/// Makes a target equal to its source by comparing every row, where the feed no longer knows what has changed. Returns
/// where the feed goes on: what changes under the comparison is replayed from there. Told to stop, it returns `lost`, and
/// the next run compares anew.
///
/// # Errors
/// `expired` itself, where going on could empty a target by mistake: the source's collection is another one now, or has
/// no rows left.
pub(super) async fn level(
    desk: &Desk,
    delivery: &Delivery,
    collection: usize,
    (pair, planned): (&Pair, &CollectionPlan),
    lost: &Cursor,
    expired: Error,
) -> Result<Cursor> {
    let Pair { name, target_name, source, target, .. } = pair;
    let at_source = |error: Error| error.in_palace(&desk.setup.source.address).in_collection(name);
    let at_target = |error: Error| error.in_palace(&desk.setup.target.address).in_collection(target_name);
    if source.info().await.map_err(at_source)?.incarnation != planned.source_incarnation {
        return Err(expired);
    }
    if source.count().await.map_err(at_source)? == 0 && target.count().await.map_err(at_target)? > 0 {
        return Err(expired);
    }
    let Some(head) = source.feed_head().await.map_err(at_source)? else { return Err(expired) };
    desk.setup.board.record(Event {
        who: format!("link {}", desk.setup.id),
        at_ms: now_ms(),
        from: "following".to_owned(),
        to: format!("comparing all of {name}"),
        reason: expired.what(),
        attempt: 0,
        next_try_at_ms: None,
    });
    let request =
        ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: desk.setup.options.batch_rows };
    let mut there =
        Known::of(Target { batches: target.scan(request.clone()), pair, address: &desk.setup.target.address });
    let mut batches = source.scan(request);
    while let Some(batch) = batches.try_next().await.map_err(at_source)? {
        desk.setup.limits.pass(&desk.heartbeat, batch.len(), batch.bytes()).await;
        let _held = desk.setup.credit.take(batch.bytes()).await;
        let (batch, as_copied) = delivery.as_copied(batch).map_err(at_source)?;
        let Difference { upserts, missing: deletes, doubled } =
            difference(batch, as_copied, &mut there).await.map_err(at_source)?;
        apply(desk, delivery, collection, pair, ChangeBatch { deletes: doubled, ..ChangeBatch::default() }).await?;
        apply(desk, delivery, collection, pair, ChangeBatch { upserts, deletes, ..ChangeBatch::default() }).await?;
        if desk.is_stopping() {
            return Ok(lost.clone());
        }
    }
    // Before what is only in the target goes: whether the source is still the one that was read.
    if source.info().await.map_err(at_source)?.incarnation != planned.source_incarnation {
        return Err(expired);
    }
    while let Some(deletes) = there.rest(desk.setup.options.commit_rows).await? {
        apply(desk, delivery, collection, pair, ChangeBatch { deletes, ..ChangeBatch::default() }).await?;
    }
    Ok(head.cursor)
}

async fn apply(desk: &Desk, delivery: &Delivery, collection: usize, pair: &Pair, batch: ChangeBatch) -> Result<()> {
    let changes = batch.rows() as u64;
    if changes > 0 {
        delivery.deliver(pair, pair.target.as_ref(), batch, WriteMode::Upsert).await?;
    }
    desk.tell(News::Followed { collection, changes, cursor: None });
    Ok(())
}

/// What a scan of the target returns.
struct Target<'a> {
    batches: RowStream,
    pair: &'a Pair,
    address: &'a str,
}

#[async_trait]
impl CopyRows for Target<'_> {
    async fn next_page(&mut self) -> Result<Option<Vec<Copied>>> {
        let Some(batch) = self.batches.try_next().await? else { return Ok(None) };
        Ok(Some(digests(batch).await?.into_iter().map(|(id, digest)| (id, Some(digest))).collect()))
    }

    fn named(&self, error: Error) -> Error {
        error.in_palace(self.address).in_collection(&self.pair.target_name)
    }
}
