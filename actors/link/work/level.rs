use super::deliver::Delivery;
use super::{Desk, News, Pair};
use crate::clock::now_ms;
use futures::TryStreamExt;
use palanquin_engine::contract::{
    ChangeBatch, Cursor, Error, ErrorKind, KeyRange, Result, RowStream, ScanOrder, ScanRequest, WriteMode,
};
use palanquin_engine::link::{CollectionPlan, Event};
use palanquin_engine::rows::{RowBatch, RowBatchBuilder, RowDigest};

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
    let mut there = Digests { batches: target.scan(request.clone()), read: Vec::new().into_iter().peekable() };
    let mut batches = source.scan(request);
    while let Some(batch) = batches.try_next().await.map_err(at_source)? {
        let _held = desk.setup.credit.take(batch.bytes()).await;
        let (batch, as_copied) = delivery.as_copied(batch).map_err(at_source)?;
        let changes = difference(&batch, &as_copied, &mut there).await.map_err(at_target)?;
        apply(desk, delivery, collection, pair, changes).await?;
        if desk.is_stopping() {
            return Ok(lost.clone());
        }
    }
    // Before what is only in the target goes: whether the source is still the one that was read.
    if source.info().await.map_err(at_source)?.incarnation != planned.source_incarnation {
        return Err(expired);
    }
    loop {
        let mut deletes = Vec::new();
        while deletes.len() < desk.setup.options.commit_rows
            && let Some((id, _)) = there.next().await.map_err(at_target)?
        {
            deletes.push(id);
        }
        if deletes.is_empty() {
            return Ok(head.cursor);
        }
        apply(desk, delivery, collection, pair, ChangeBatch { deletes, ..ChangeBatch::default() }).await?;
    }
}

async fn apply(desk: &Desk, delivery: &Delivery, collection: usize, pair: &Pair, batch: ChangeBatch) -> Result<()> {
    let changes = batch.rows() as u64;
    if changes > 0 {
        delivery.deliver(pair, pair.target.as_ref(), batch, WriteMode::Upsert).await?;
    }
    desk.tell(News::Followed { collection, changes, cursor: None });
    Ok(())
}

/// What the target lacks of a batch, has otherwise than `as_copied`, or has between its rows.
async fn difference(batch: &RowBatch, as_copied: &RowBatch, there: &mut Digests) -> Result<ChangeBatch> {
    let broken = |error| Error::new(ErrorKind::Internal, "rows of the source").with_source(error);
    let mut upserts = RowBatchBuilder::with_capacity(batch.len(), batch.dimension());
    let mut deletes = Vec::new();
    let mut lacking = 0;
    for i in 0..batch.len() {
        let (one, copied) = (batch.slice(i, 1), as_copied.slice(i, 1));
        let (Some(row), Some(copied)) = (one.rows().next(), copied.rows().next()) else { continue };
        while there.peek().await?.is_some_and(|(id, _)| id.as_str() < row.id) {
            deletes.extend(there.next().await?.map(|(id, _)| id));
        }
        let same = match there.peek().await? {
            Some((id, digest)) if id == row.id => {
                let same = *digest == RowDigest::of(copied);
                there.next().await?;
                same
            }
            _ => false,
        };
        if !same {
            upserts.push(row).map_err(broken)?;
            lacking += 1;
        }
    }
    let upserts = if lacking == 0 { None } else { Some(upserts.finish().map_err(broken)?) };
    Ok(ChangeBatch { upserts, deletes, ..ChangeBatch::default() })
}

/// Ids and digests of a scan, in its order.
struct Digests {
    batches: RowStream,
    read: std::iter::Peekable<std::vec::IntoIter<(String, RowDigest)>>,
}

impl Digests {
    async fn peek(&mut self) -> Result<Option<&(String, RowDigest)>> {
        while self.read.peek().is_none() {
            let Some(batch) = self.batches.try_next().await? else { return Ok(None) };
            let digests: Vec<_> = batch.rows().map(|row| (row.id.to_owned(), RowDigest::of(row))).collect();
            self.read = digests.into_iter().peekable();
        }
        Ok(self.read.peek())
    }

    async fn next(&mut self) -> Result<Option<(String, RowDigest)>> {
        self.peek().await?;
        Ok(self.read.next())
    }
}
