//! Rows in and out by every operation of §1.

use crate::rows::{
    Written, assert_holds, assert_rows, batch, deletes, got, ids_of, numbered, numbered_row, row, scanned,
};
use crate::world::{DRAWERS, WIDTH, World, assert_refused};
use palanquin_engine::contract::{ChangeBatch, ErrorKind, Metadata, OpenMode, RowUpdates, Selection, WriteMode};
use serde_json::json;

pub(crate) async fn added_rows_come_back_by_every_reading_operation(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..50, WIDTH);
    drawers.add(batch(&rows, WIDTH)).await.unwrap();
    assert_holds(world, drawers.as_ref(), &rows, "after add").await;
}

pub(crate) async fn what_was_written_is_there_for_another_process(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..50, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    drop(drawers);
    world.backend().close_palace(&world.reference("palace")).await.unwrap();
    assert_holds(world, world.drawers_elsewhere("palace").await.as_ref(), &rows, "elsewhere").await;
    let palace = world.open("palace", OpenMode::Read).await.unwrap();
    assert_holds(world, palace.collection(DRAWERS).await.unwrap().as_ref(), &rows, "read again").await;
}

pub(crate) async fn an_upsert_replaces_rows_whole(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
    let replaced = row("row-00001").vector(vec![9.0; WIDTH as usize]);
    drawers.upsert(batch(std::slice::from_ref(&replaced), WIDTH)).await.unwrap();
    let wanted = [numbered_row(0, WIDTH), replaced, numbered_row(2, WIDTH)];
    assert_holds(world, drawers.as_ref(), &wanted, "after replacing").await;
}

pub(crate) async fn adding_what_is_there_is_refused_and_writes_nothing(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..3, WIDTH);
    drawers.add(batch(&rows, WIDTH)).await.unwrap();
    let again = [row("new-a"), numbered_row(1, WIDTH).document("other"), row("new-b")];
    assert_refused(drawers.add(batch(&again, WIDTH)).await, ErrorKind::IdExists, "an id that is there");
    let twice = [row("new-a"), row("new-a").document("again")];
    assert_refused(drawers.add(batch(&twice, WIDTH)).await, ErrorKind::IdExists, "an id that comes twice");
    assert_holds(world, drawers.as_ref(), &rows, "after refused adds").await;
}

pub(crate) async fn of_an_id_given_twice_the_last_row_counts(world: &World) {
    let drawers = world.drawers().await;
    let (first, last) = (numbered_row(1, WIDTH), world.row("row-00001").document("the last"));
    drawers.upsert(batch(&[first.clone(), numbered_row(2, WIDTH), last.clone()], WIDTH)).await.unwrap();
    let wanted = [last.clone(), numbered_row(2, WIDTH)];
    assert_holds(world, drawers.as_ref(), &wanted, "after an upsert").await;
    let changes = ChangeBatch::upserts(batch(&[last, world.row("row-00002"), first.clone()], WIDTH));
    drawers.apply(changes, WriteMode::Upsert).await.unwrap();
    assert_holds(world, drawers.as_ref(), &[first, world.row("row-00002")], "after an apply").await;
}

pub(crate) async fn replaying_a_batch_of_upserts_and_deletes_changes_nothing(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..10, WIDTH), WIDTH)).await.unwrap();
    let rows: Vec<Written> = numbered(5..15, WIDTH).into_iter().map(|row| row.document("replayed")).collect();
    let changes =
        || ChangeBatch { upserts: Some(batch(&rows, WIDTH)), ..deletes(&["row-00000", "row-00001", "absent"]) };
    let wanted: Vec<Written> = numbered(2..5, WIDTH).into_iter().chain(rows.clone()).collect();
    for time in ["once", "twice", "three times"] {
        let applied = drawers.apply(changes(), WriteMode::Upsert).await.unwrap();
        assert_eq!(applied.upserted, 10, "{time}");
        assert_eq!(applied.deleted, if time == "once" { 2 } else { 0 }, "{time}");
        assert_holds(world, drawers.as_ref(), &wanted, time).await;
    }
}

pub(crate) async fn a_batch_deletes_before_it_upserts(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..2, WIDTH), WIDTH)).await.unwrap();
    let kept = world.row("row-00000").document("deleted and put again");
    let changes = ChangeBatch {
        upserts: Some(batch(std::slice::from_ref(&kept), WIDTH)),
        ..deletes(&["row-00000", "row-00001"])
    };
    drawers.apply(changes, WriteMode::Upsert).await.unwrap();
    assert_holds(world, drawers.as_ref(), &[kept], "after the batch").await;
}

pub(crate) async fn appended_rows_are_there(world: &World) {
    let drawers = world.drawers().await;
    for range in [0..10, 10..20, 20..21] {
        let changes = ChangeBatch::upserts(batch(&numbered(range, WIDTH), WIDTH));
        drawers.apply(changes, WriteMode::Append).await.unwrap();
    }
    assert_holds(world, drawers.as_ref(), &numbered(0..21, WIDTH), "after appending").await;
}

pub(crate) async fn an_empty_batch_is_no_error_and_no_change(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..2, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    drawers.add(batch(&[], WIDTH)).await.unwrap();
    drawers.upsert(batch(&[], WIDTH)).await.unwrap();
    for changes in [deletes(&[]), ChangeBatch::upserts(batch(&[], WIDTH))] {
        let applied = drawers.apply(changes, WriteMode::Upsert).await.unwrap();
        assert_eq!((applied.upserted, applied.deleted), (0, 0));
    }
    assert_holds(world, drawers.as_ref(), &rows, "after empty batches").await;
}

pub(crate) async fn deleted_rows_are_in_no_answer(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..20, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    let gone = ids_of(&rows[..10]);
    let deleted = drawers.delete(&Selection::ids(gone.iter().chain([&"absent".to_owned()]))).await.unwrap();
    assert_eq!(deleted, 10, "rows that were there are counted, others not");
    assert_holds(world, drawers.as_ref(), &rows[10..], "after the delete").await;
    assert!(got(world, drawers.as_ref(), Selection::ids(gone.clone())).await.unwrap().is_empty());
    let vector = rows[0].embedding.clone().unwrap();
    let found = drawers.query(&palanquin_engine::contract::QueryRequest::of(vec![vector], 20)).await.unwrap();
    assert!(found.ids[0].iter().all(|id| !gone.contains(id)), "a query finds a deleted row: {:?}", found.ids);
    assert_eq!(found.ids[0].len(), 10);
    assert_eq!(drawers.delete(&Selection::ids(gone)).await.unwrap(), 0, "the second time nothing is there");
}

pub(crate) async fn a_delete_that_selects_nothing_in_particular_is_refused(world: &World) {
    use palanquin_engine::contract::Filter;
    let drawers = world.drawers().await;
    let rows = numbered(0..3, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    for filter in [Filter::All, Filter::And(Vec::new()), Filter::And(vec![Filter::All])] {
        let refused = drawers.delete(&Selection::filter(filter.clone())).await;
        assert_refused(refused, ErrorKind::InvalidRequest, filter);
    }
    assert_eq!(drawers.delete(&Selection::ids([] as [&str; 0])).await.unwrap(), 0, "no ids are no rows");
    assert_holds(world, drawers.as_ref(), &rows, "after refused deletes").await;
}

pub(crate) async fn rows_are_got_in_the_order_their_ids_were_named(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..5, WIDTH);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    let named = ["row-00003", "absent", "row-00001", "row-00003", "row-00004"];
    let found = got(world, drawers.as_ref(), Selection::ids(named)).await.unwrap();
    assert_eq!(ids_of(&found), ["row-00003", "row-00001", "row-00004"], "each once, in the order first named");
    assert!(got(world, drawers.as_ref(), Selection::ids([] as [&str; 0])).await.unwrap().is_empty());
}

pub(crate) async fn an_update_changes_the_given_fields_and_no_others(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..4, WIDTH), WIDTH)).await.unwrap();
    let mut wanted = numbered(0..4, WIDTH);
    let ids = |n: usize| vec![format!("row-{n:05}")];
    let document = RowUpdates::try_new(ids(0), Some(vec![Some("new".into())]), None, None).unwrap();
    assert_eq!(drawers.update(document).await.unwrap(), 1);
    wanted[0].document = Some("new".into());
    let none = RowUpdates::try_new(ids(1), Some(vec![None]), None, None).unwrap();
    assert_eq!(drawers.update(none).await.unwrap(), 1);
    wanted[1].document = None;
    let vector = RowUpdates::try_new(ids(2), None, None, Some(vec![vec![5.0; WIDTH as usize]])).unwrap();
    assert_eq!(drawers.update(vector).await.unwrap(), 1);
    wanted[2].embedding = Some(vec![5.0; WIDTH as usize]);
    let nested = json!({"added": [1, {"a": null}]});
    let added = if (world.limits().holds)(nested.as_object().unwrap()) { nested["added"].clone() } else { json!("x") };
    let new = json!({"n": 2.5, "added": added, "wing": null});
    let metadata = RowUpdates::try_new(ids(3), None, Some(vec![new.as_object().unwrap().clone()]), None).unwrap();
    assert_eq!(drawers.update(metadata).await.unwrap(), 1);
    wanted[3] = wanted[3].clone().metadata(json!({"n": 2.5, "added": added}));
    assert_holds(world, drawers.as_ref(), &wanted, "merged key by key, a null removes").await;
}

pub(crate) async fn an_update_of_absent_rows_makes_none(world: &World) {
    let drawers = world.drawers().await;
    let rows = numbered(0..2, WIDTH);
    let absent = |ids: &[&str]| {
        let documents = ids.iter().map(|id| Some(format!("new of {id}"))).collect();
        RowUpdates::try_new(ids.iter().map(|id| (*id).to_owned()).collect(), Some(documents), None, None).unwrap()
    };
    assert_eq!(drawers.update(absent(&["absent"])).await.unwrap(), 0, "in an empty collection");
    assert_eq!(drawers.count().await.unwrap(), 0);
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    assert_eq!(drawers.update(absent(&["absent", "row-00001", "zzz"])).await.unwrap(), 1);
    let wanted = [rows[0].clone(), rows[1].clone().document("new of row-00001")];
    assert_holds(world, drawers.as_ref(), &wanted, "after updates").await;
    assert_eq!(drawers.update(absent(&[])).await.unwrap(), 0, "no ids");
}

pub(crate) async fn an_update_of_an_id_given_twice_takes_the_last_values(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..2, WIDTH), WIDTH)).await.unwrap();
    let ids = vec!["row-00000".to_owned(), "row-00001".to_owned(), "row-00000".to_owned()];
    let documents = ["first", "other", "last"].map(|text| Some(text.to_owned())).to_vec();
    let updates = RowUpdates::try_new(ids, Some(documents), Some(vec![Metadata::new(); 3]), None).unwrap();
    assert_eq!(drawers.update(updates).await.unwrap(), 2, "two rows were updated");
    let wanted = [numbered_row(0, WIDTH).document("last"), numbered_row(1, WIDTH).document("other")];
    assert_rows(world, &scanned(drawers.as_ref()).await, &wanted, "after the update");
}

pub(crate) async fn the_estimate_is_the_count_unless_it_is_advertised_as_one(world: &World) {
    let drawers = world.drawers().await;
    for range in [0..0, 0..7, 7..40] {
        drawers.upsert(batch(&numbered(range.clone(), WIDTH), WIDTH)).await.unwrap();
        assert_eq!(drawers.count().await.unwrap(), range.end as u64);
        if !world.has(palanquin_engine::contract::token::ESTIMATED_COUNT) {
            assert_eq!(drawers.estimated_count().await.unwrap(), range.end as u64, "§1: estimated_count is count");
            assert_eq!(drawers.info().await.unwrap().rows, range.end as u64);
        }
    }
}
