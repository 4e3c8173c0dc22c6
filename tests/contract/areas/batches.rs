//! Large batches (§7.1).

use crate::rows::{assert_rows, batch, deletes, numbered, row, scanned};
use crate::world::{DRAWERS, WIDTH, World};
use palanquin_engine::contract::{ChangeBatch, QueryRequest, RowUpdates, Selection, WriteMode};

pub(crate) async fn ten_thousand_rows_go_in_at_once_by_every_operation(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..10_000, WIDTH);
    drawers.add(batch(&rows, WIDTH)).await.unwrap();
    assert_eq!(drawers.count().await.unwrap(), 10_000);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    assert_rows(world, &scanned(drawers.as_ref()).await, &rows, "10 000 rows added and upserted");
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let documents = (0..10_000).map(|n| Some(format!("new {n}"))).collect();
    let updated = drawers.update(RowUpdates::try_new(ids.clone(), Some(documents), None, None).unwrap()).await.unwrap();
    assert_eq!(updated, 10_000);
    let wanted: Vec<_> = rows.into_iter().enumerate().map(|(n, row)| row.document(format!("new {n}"))).collect();
    assert_rows(world, &scanned(drawers.as_ref()).await, &wanted, "10 000 rows updated");
    let found = drawers.query(&QueryRequest::of(vec![vec![1.0; WIDTH as usize]; 2], 10_001)).await.unwrap();
    assert_eq!(found.ids.iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 10_000], "as many hits as rows");
    let gone: Vec<String> = ids.into_iter().step_by(2).collect();
    assert_eq!(drawers.delete(&Selection::ids(gone)).await.unwrap(), 5_000);
    let left: Vec<_> = wanted.into_iter().skip(1).step_by(2).collect();
    assert_rows(world, &scanned(drawers.as_ref()).await, &left, "5 000 rows deleted by their ids");
}

pub(crate) async fn the_largest_batch_goes_in_and_out_again(world: &World) {
    let count = world.limits().largest_batch;
    let palace = world.palace("palace").await;
    let drawers = palace.create_collection(&world.spec(DRAWERS, 2)).await.unwrap();
    let rows: Vec<_> = (0..count).map(|n| row(format!("{n:08}")).document("d").vector([n as f32, 1.0])).collect();
    let applied = drawers.apply(ChangeBatch::upserts(batch(&rows, 2)), WriteMode::Append).await.unwrap();
    assert_eq!(applied.upserted, count as u64);
    assert_rows(world, &scanned(drawers.as_ref()).await, &rows, "appended at once");
    let again = drawers.apply(ChangeBatch::upserts(batch(&rows[count / 2..], 2)), WriteMode::Upsert).await.unwrap();
    assert_eq!(again.upserted, (count - count / 2) as u64);
    assert_eq!(drawers.count().await.unwrap(), count as u64);
    let ids: Vec<&str> = rows[..count - 1].iter().map(|row| row.id.as_str()).collect();
    let applied = drawers.apply(deletes(&ids), WriteMode::Upsert).await.unwrap();
    assert_eq!(applied.deleted, count as u64 - 1);
    assert_rows(world, &scanned(drawers.as_ref()).await, &rows[count - 1..], "all but the last deleted at once");
}
