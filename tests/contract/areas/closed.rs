//! After `close` every call is `BackendClosed` (§2.6).

use crate::rows::{assert_holds, batch, deletes, numbered, scanned};
use crate::world::{DRAWERS, WIDTH, World, assert_refused, model};
use futures::{StreamExt, TryStreamExt};
use palanquin_engine::contract::{
    Collection, Condition, Cursor, ErrorKind, GetRequest, KeyRange, LogEntry, OpenMode, Palace, Progress, QueryRequest,
    Result, RowUpdates, ScanOrder, ScanRequest, Selection, WriteMode,
};

#[track_caller]
fn closed<T>(result: Result<T>, what: &str) {
    assert_refused(result.map(drop), ErrorKind::BackendClosed, what);
}

async fn assert_palace_closed(world: &World, palace: &dyn Palace) {
    closed(palace.collections().await, "collections");
    closed(palace.collection(DRAWERS).await, "collection");
    closed(palace.collection("absent").await, "collection of an absent one");
    closed(palace.create_collection(&world.spec("other", WIDTH)).await, "create_collection");
    closed(palace.maintenance_state().await, "maintenance_state");
    for kind in ["analyze", "compact", "reindex", "no such kind"] {
        closed(palace.run_maintenance(kind, &Progress::unheard()).await, kind);
    }
    closed(palace.record_identity(DRAWERS, &model("m", WIDTH)).await, "record_identity");
    closed(palace.migration_log().await, "migration_log");
    let entry = LogEntry::embedder_set(DRAWERS, None, &model("m", WIDTH));
    closed(palace.append_to_migration_log(&entry).await, "append_to_migration_log");
    assert_eq!(palace.health().await.condition, Condition::Unavailable, "a closed handle does not answer");
    palace.close().await.expect("closing twice is fine");
}

async fn assert_collection_closed(collection: &dyn Collection) {
    let rows = || batch(&numbered(0..1, WIDTH), WIDTH);
    closed(collection.info().await, "info");
    closed(collection.count().await, "count");
    closed(collection.estimated_count().await, "estimated_count");
    closed(collection.cut(10).await, "cut");
    for order in [ScanOrder::ById, ScanOrder::Any] {
        let request = ScanRequest { range: KeyRange::ALL, order, batch_rows: 10 };
        closed(collection.scan(request).try_collect::<Vec<_>>().await, "scan");
    }
    closed(collection.last_id(&KeyRange::ALL).await, "last_id");
    closed(collection.apply(deletes(&["row-00000"]), WriteMode::Upsert).await, "apply");
    closed(collection.add(rows()).await, "add");
    closed(collection.upsert(rows()).await, "upsert");
    let updates = RowUpdates::try_new(vec!["row-00000".into()], Some(vec![None]), None, None).unwrap();
    closed(collection.update(updates).await, "update");
    closed(collection.delete(&Selection::ids(["row-00000"])).await, "delete");
    closed(collection.get(&GetRequest::of(Selection::default())).await, "get");
    closed(collection.query(&QueryRequest::of(vec![vec![1.0; WIDTH as usize]], 1)).await, "query");
    closed(collection.query(&QueryRequest::of(Vec::new(), 1)).await, "an empty query");
    closed(collection.effective_embedder_identity().await, "effective_embedder_identity");
    closed(collection.feed_head().await, "feed_head");
    let cursor = Cursor("anything".into());
    closed(collection.changes_since(&cursor, 10).try_collect::<Vec<_>>().await, "changes_since");
}

pub(crate) async fn a_closed_handle_answers_so_to_every_call_and_others_go_on(world: &World) {
    let rows = numbered(0..3, WIDTH);
    let (palace, other) = (world.palace("palace").await, world.palace("palace").await);
    let drawers = palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
    let others = other.collection(DRAWERS).await.unwrap();
    palace.close().await.unwrap();
    assert_palace_closed(world, palace.as_ref()).await;
    assert_collection_closed(drawers.as_ref()).await;
    assert_holds(world, others.as_ref(), &rows, "through another handle of the same palace").await;
    others.upsert(batch(&numbered(3..4, WIDTH), WIDTH)).await.unwrap();
    let again = world.open("palace", OpenMode::Read).await.unwrap();
    assert_holds(world, again.collection(DRAWERS).await.unwrap().as_ref(), &numbered(0..4, WIDTH), "reopened").await;
}

pub(crate) async fn closing_a_palace_closes_every_handle_on_it_and_no_other(world: &World) {
    let rows = numbered(0..3, WIDTH);
    let palaces = [world.palace("palace").await, world.palace("palace").await];
    let (mut handles, neighbour) = (Vec::new(), world.drawers_of("neighbour").await);
    for palace in &palaces {
        handles.push(palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap());
    }
    handles[0].upsert(batch(&rows, WIDTH)).await.unwrap();
    neighbour.upsert(batch(&rows, WIDTH)).await.unwrap();
    let elsewhere = world.drawers_elsewhere("palace").await;
    world.backend().close_palace(&world.reference("palace")).await.unwrap();
    for (palace, handle) in palaces.iter().zip(&handles) {
        assert_palace_closed(world, palace.as_ref()).await;
        assert_collection_closed(handle.as_ref()).await;
    }
    assert_holds(world, neighbour.as_ref(), &rows, "of another palace").await;
    assert_holds(world, elsewhere.as_ref(), &rows, "of another process").await;
    world.backend().close_palace(&world.reference("palace")).await.expect("closing twice is fine");
    assert_holds(world, world.drawers().await.as_ref(), &rows, "reopened").await;
}

pub(crate) async fn a_stream_that_was_begun_says_so_too(world: &World) {
    let palace = world.palace("palace").await;
    let drawers = palace.create_collection(&world.spec(DRAWERS, WIDTH)).await.unwrap();
    drawers.upsert(batch(&numbered(0..50, WIDTH), WIDTH)).await.unwrap();
    let request = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 10 };
    let mut begun = drawers.scan(request.clone());
    let mut untouched = drawers.scan(request);
    assert_eq!(begun.next().await.expect("a batch").unwrap().len(), 10);
    palace.close().await.unwrap();
    closed(begun.next().await.expect("not the end, which would pass for all rows"), "a scan that was begun");
    closed(untouched.next().await.expect("not the end, which would pass for no rows"), "a scan not yet polled");
    assert_eq!(scanned(world.drawers().await.as_ref()).await.len(), 50);
}
