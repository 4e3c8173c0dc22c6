use super::deliver::Delivery;
use super::level::level;
use super::{Desk, Done, News, Pair, Prepared};
use crate::clock::now_ms;
use futures::TryStreamExt;
use palanquin_engine::contract::{Cursor, Error, ErrorKind, Result};

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
    let since_ms = Some(head.changed_at_ms.unwrap_or_else(now_ms));
    let mut batches = source.changes_since(cursor, desk.setup.options.batch_rows);
    let mut moved = false;
    while let Some(batch) = batches.try_next().await.map_err(at_source)? {
        moved = true;
        let (changes, reached) = (batch.rows() as u64, batch.cursor.clone());
        let _held = match &batch.upserts {
            Some(rows) => Some(desk.setup.credit.take(rows.bytes()).await),
            None => None,
        };
        if changes > 0 {
            desk.tell(News::Behind { rows: changes, since_ms });
            delivery.deliver_changes(pair, batch).await?;
        }
        if let Some(reached) = &reached {
            *cursor = reached.clone();
        }
        desk.tell(News::Followed { collection, changes, cursor: reached });
        if desk.is_stopping() {
            break;
        }
    }
    Ok(moved)
}
