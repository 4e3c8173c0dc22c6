use crate::LanceBackend;
use crate::maintenance::{KINDS, Upkeep};
use crate::testing::{Owned, Recorder, TestPalace, changes, contents, kind, row, rows, spec, tree, upserts};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, Cursor, ErrorKind, GetRequest, MaintenanceResult,
    MaintenanceStatus, Metric, OpenMode, Palace, PalaceRef, Progress, QueryRequest, Selection, WriteMode, reference,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn upkeep() -> Upkeep {
    Upkeep { grace: Duration::ZERO, vector_index_rows: 500, ..Upkeep::default() }
}

/// A backend for which everything is worth doing.
fn eager() -> LanceBackend {
    LanceBackend::new().with_upkeep(upkeep())
}

async fn run(palace: &dyn Palace, kind: &str) -> MaintenanceResult {
    palace.run_maintenance(kind, &Progress::unheard()).await.unwrap()
}

fn told<'a>(result: &'a MaintenanceResult, collection: &str) -> &'a Value {
    &result.stats["collections"][collection]
}

async fn head(collection: &dyn Collection) -> Cursor {
    collection.feed_head().await.unwrap().unwrap().cursor
}

async fn worn(palace: &TestPalace) -> Arc<dyn Collection> {
    let collection = palace.collection().await;
    for n in 0..8 {
        collection.apply(upserts(&[row(format!("{n}"), n), row("same", n)]), WriteMode::Upsert).await.unwrap();
    }
    collection.apply(changes(&[], &["3"]), WriteMode::Upsert).await.unwrap();
    collection
}

#[tokio::test]
async fn each_kind_does_what_it_says_then_finds_nothing_to_do_and_changes_no_row() {
    let palace = TestPalace::with(eager()).await;
    let collection = worn(&palace).await;
    let before = contents(collection.as_ref()).await;

    let compacted = run(palace.palace.as_ref(), "compact").await;
    assert_eq!(compacted.status, MaintenanceStatus::Ran);
    let of_c = told(&compacted, "c");
    assert_eq!((&of_c["after"]["fragments"], &of_c["after"]["deleted_rows"]), (&json!(1), &json!(0)), "{of_c}");
    assert!(of_c["before"]["fragments"].as_u64().unwrap() > 1, "{of_c}");
    assert_eq!((&of_c["before"]["rows"], &of_c["after"]["rows"]), (&json!(8), &json!(8)));

    let indexed = run(palace.palace.as_ref(), "reindex").await;
    assert_eq!(indexed.status, MaintenanceStatus::Ran);
    assert_eq!(told(&indexed, "c")["after"]["indices"][0]["unindexed_rows"], json!(0), "{indexed:?}");
    assert!(told(&indexed, "c")["vectors"].as_str().unwrap().starts_with("skipped: fewer than 500"), "{indexed:?}");

    let pruned = run(palace.palace.as_ref(), "prune").await;
    assert_eq!(pruned.status, MaintenanceStatus::Ran);
    let of_c = told(&pruned, "c");
    assert_eq!(of_c["after"]["versions"], json!(1), "{of_c}");
    assert_eq!(of_c["versions_removed"].as_u64().unwrap() + 1, of_c["before"]["versions"].as_u64().unwrap());
    assert!(of_c["bytes_removed"].as_u64().unwrap() > 0);

    for kind in KINDS {
        let again = run(palace.palace.as_ref(), kind.name).await;
        assert_eq!(again.status, MaintenanceStatus::Noop, "{again:?}");
        assert!(told(&again, "c")["reason"].is_string() || kind.name == "reindex", "{again:?}");
    }
    assert_eq!(contents(collection.as_ref()).await, before);
    collection.apply(upserts(&[row("new", 1)]), WriteMode::Upsert).await.unwrap();
    let indexed = run(palace.palace.as_ref(), "reindex").await;
    assert_eq!(told(&indexed, "c")["before"]["indices"][0]["unindexed_rows"], json!(1), "{indexed:?}");
    assert_eq!(told(&indexed, "c")["after"]["indices"][0]["unindexed_rows"], json!(0), "{indexed:?}");
}

#[tokio::test]
async fn an_empty_palace_and_an_empty_collection_have_nothing_to_do() {
    let palace = TestPalace::with(eager()).await;
    for collections in 0..2 {
        if collections > 0 {
            palace.collection().await;
        }
        for kind in KINDS {
            let result = run(palace.palace.as_ref(), kind.name).await;
            assert_eq!(result.status, MaintenanceStatus::Noop, "{result:?}");
        }
    }
    let unknown = palace.palace.run_maintenance("analyze", &Progress::unheard()).await;
    assert_eq!(kind(unknown), ErrorKind::UnsupportedMaintenanceKind);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_run_of_a_kind_learns_at_once_that_one_is_under_way_and_other_kinds_run() {
    let palace = TestPalace::with(eager()).await;
    worn(&palace).await;
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (end, may_end) = std::sync::mpsc::channel::<()>();
    let may_end = Mutex::new(may_end);
    let progress = Progress::to(move |step| {
        begun.send(step.doing).unwrap();
        may_end.lock().unwrap().recv().unwrap();
    });
    let other = palace.again().await;
    let held = palace.palace.clone();
    let held = tokio::spawn(async move { held.run_maintenance("compact", &progress).await });
    let doing = tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    assert_eq!(doing, "compacting c");
    for handle in [&other, &palace.palace] {
        let second = run(handle.as_ref(), "compact").await;
        assert_eq!((second.status, second.stats.len()), (MaintenanceStatus::AlreadyRunning, 0));
        assert_ne!(run(handle.as_ref(), "reindex").await.status, MaintenanceStatus::AlreadyRunning);
    }
    end.send(()).unwrap();
    assert_eq!(held.await.unwrap().unwrap().status, MaintenanceStatus::Ran);
    assert_eq!(run(other.as_ref(), "compact").await.status, MaintenanceStatus::Noop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_dropped_midway_leaves_the_palace_whole_and_the_next_one_free() {
    let palace = TestPalace::with(eager()).await;
    let collection = worn(&palace).await;
    let before = contents(collection.as_ref()).await;
    for polls in (0..10).map(|n| 1 << n) {
        for kind in ["compact", "reindex", "prune"] {
            let progress = Progress::unheard();
            let mut run = palace.palace.run_maintenance(kind, &progress);
            for _ in 0..polls {
                if futures::poll!(&mut run).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(contents(collection.as_ref()).await, before);
    }
    for kind in KINDS {
        assert_ne!(run(palace.palace.as_ref(), kind.name).await.status, MaintenanceStatus::AlreadyRunning);
    }
    assert_eq!(contents(collection.as_ref()).await, before);
}

#[tokio::test]
async fn what_maintenance_wrote_is_on_disk_before_it_returns() {
    let recorder = Arc::new(Recorder::default());
    let palace = TestPalace::with(LanceBackend::with_sync(recorder.clone()).with_upkeep(upkeep())).await;
    worn(&palace).await;
    let mut synced = BTreeSet::new();
    for kind in ["compact", "reindex", "prune"] {
        assert_eq!(run(palace.palace.as_ref(), kind).await.status, MaintenanceStatus::Ran);
        let now = recorder.take();
        synced.extend(now.iter().cloned());
        for path in tree(&palace.directory.path().join("c.lance")) {
            assert!(synced.contains(&path), "{kind}: {path:?}");
            assert!(kind != "prune" || !path.is_dir() || now.contains(&path), "{path:?}");
        }
    }
}

#[tokio::test]
async fn versions_within_the_grace_and_tagged_ones_are_kept() {
    let patient = TestPalace::new().await;
    worn(&patient).await;
    assert_eq!(run(patient.palace.as_ref(), "prune").await.status, MaintenanceStatus::Noop);

    let palace = TestPalace::with(eager()).await;
    let collection = worn(&palace).await;
    let table = palace.table("c").await;
    table.tags().await.unwrap().create("kept", 3).await.unwrap();
    run(palace.palace.as_ref(), "compact").await;
    let pruned = run(palace.palace.as_ref(), "prune").await;
    assert_eq!(told(&pruned, "c")["after"]["versions"], json!(2), "{pruned:?}");
    table.checkout(3).await.unwrap();
    assert_eq!(table.count_rows(None).await.unwrap(), 3);
    assert_eq!(collection.count().await.unwrap(), 8);
}

#[tokio::test]
async fn the_feed_tells_the_truth_across_every_kind_and_a_recorded_identity() {
    let palace = TestPalace::with(LanceBackend::new()).await;
    let collection = worn(&palace).await;
    let (begin, then) = (head(collection.as_ref()).await, contents(collection.as_ref()).await);
    collection.apply(changes(&[row("0", 50), row("new", 51)], &["1"]), WriteMode::Upsert).await.unwrap();
    run(palace.palace.as_ref(), "compact").await;
    collection.apply(changes(&[], &["2"]), WriteMode::Upsert).await.unwrap();
    run(palace.palace.as_ref(), "reindex").await;
    let identity = palanquin_engine::contract::EmbedderIdentity { model_name: "minilm".into(), dimension: 4 };
    palace.palace.record_identity("c", &identity).await.unwrap();
    collection.apply(upserts(&[row("4", 60)]), WriteMode::Upsert).await.unwrap();
    run(palace.palace.as_ref(), "prune").await;

    let batches: Vec<ChangeBatch> = collection.changes_since(&begin, 100).try_collect().await.unwrap();
    let mut replayed = then;
    for batch in &batches {
        batch.deletes.iter().for_each(|id| drop(replayed.remove(id)));
        let upserts = batch.upserts.iter().flat_map(|rows| rows.rows().map(Owned::of));
        replayed.extend(upserts.map(|row| (row.id.clone(), row)));
    }
    assert_eq!(replayed, contents(collection.as_ref()).await);
    assert_eq!(batches.last().unwrap().cursor, Some(head(collection.as_ref()).await));
    let gone: BTreeSet<&str> = batches.iter().flat_map(|batch| &batch.deletes).map(String::as_str).collect();
    assert_eq!(gone, BTreeSet::from(["1", "2"]));

    let eager = eager().open(&PalaceRef::local(palace.directory.path()), OpenMode::Write.into()).await.unwrap();
    assert_eq!(run(eager.as_ref(), "prune").await.status, MaintenanceStatus::Ran);
    let expired = collection.changes_since(&begin, 100).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(expired.kind(), ErrorKind::CursorExpired);
    assert!(expired.what().contains("full comparison"), "{}", expired.what());
}

/// Rows with vectors in all directions, one without any, and some without a vector.
fn many() -> Vec<Owned> {
    let mut given: Vec<_> = (0..900).map(|n| row(format!("{n:04}"), n)).collect();
    for (n, row) in given.iter_mut().enumerate().filter(|(n, _)| n % 9 != 0) {
        let n = n as f32;
        row.embedding = Some(vec![(n * 0.7).sin(), (n * 1.3).cos(), (n * 0.1).sin(), n / 900.0]);
    }
    given[1].embedding = Some(vec![0.0; 4]);
    given
}

/// Searches of an index are approximate; of few rows in few partitions they find everything.
#[tokio::test]
async fn a_large_collection_gets_an_index_of_its_vectors_and_searches_by_it() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Ip] {
        let palace = TestPalace::with(eager()).await;
        let spec = CollectionSpec { metric, ..spec("c", 4) };
        let collection = palace.palace.create_collection(&spec).await.unwrap();
        let mut given = many();
        collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
        let indexed = run(palace.palace.as_ref(), "reindex").await;
        assert_eq!(told(&indexed, "c")["vectors"], json!("built"), "{indexed:?}");
        assert_eq!(run(palace.palace.as_ref(), "reindex").await.status, MaintenanceStatus::Noop);
        given[10].embedding = Some(vec![0.5, 0.25, -0.5, 0.75]);
        let new = Owned { id: "new".into(), ..given[10].clone() };
        collection.apply(changes(&[given[10].clone(), new], &["0020"]), WriteMode::Upsert).await.unwrap();

        let vectors = vec![vec![0.5, 0.25, -0.5, 0.75], vec![0.0; 4], vec![1e30; 4], vec![0.1, 0.2, 0.3, 0.4]];
        let request = QueryRequest::of(vectors, 5);
        let (found, exact) =
            (collection.query(&request).await.unwrap(), reference::query(collection.as_ref(), &request).await.unwrap());
        for (vector, (found, exact)) in found.distances.iter().zip(&exact.distances).enumerate() {
            assert_eq!(found.len(), 5);
            if vector == 1 || vector == 2 {
                assert_eq!(found, exact, "{metric}: what the index cannot search by is searched exactly");
            }
        }
        if metric != Metric::Ip {
            assert_eq!(found.ids[0][..2], ["0010", "new"], "{metric}: rows the index does not know are found too");
        }
        let hits = |ids: &[Vec<String>]| ids.iter().flatten().cloned().collect::<BTreeSet<_>>();
        let common = hits(&found.ids).intersection(&hits(&exact.ids)).count();
        assert!(common * 10 >= hits(&exact.ids).len() * 8, "{metric}: {:?} {:?}", found.ids, exact.ids);
        let request = GetRequest::of(Selection::ids(found.ids.concat()));
        assert_eq!(
            collection.get(&request).await.unwrap(),
            reference::get(collection.as_ref(), &request).await.unwrap()
        );
    }
}

#[tokio::test]
async fn vectors_that_lance_cannot_index_stay_searched_exactly() {
    let palace = TestPalace::with(eager()).await;
    let spec = CollectionSpec { metric: Metric::L2, ..spec("c", 4) };
    let collection = palace.palace.create_collection(&spec).await.unwrap();
    let mut given = many();
    given[2].embedding = Some(vec![1e30; 4]);
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let indexed = run(palace.palace.as_ref(), "reindex").await;
    assert_eq!(told(&indexed, "c")["ids"], json!("built"));
    assert!(told(&indexed, "c")["vectors"].as_str().unwrap().starts_with("skipped: "), "{indexed:?}");
    let request = QueryRequest::of(vec![vec![1e29; 4]], 5);
    let exact = reference::query(collection.as_ref(), &request).await.unwrap();
    assert_eq!((collection.query(&request).await.unwrap(), exact.ids[0][0].as_str()), (exact.clone(), "0000"));
}

#[tokio::test]
async fn a_damaged_collection_is_told_of_and_keeps_no_other_from_its_turn() {
    let palace = TestPalace::with(eager()).await;
    palace.palace.create_collection(&spec("a", 4)).await.unwrap();
    worn(&palace).await;
    for entry in std::fs::read_dir(palace.directory.path().join("a.lance/_versions")).unwrap() {
        std::fs::write(entry.unwrap().path(), "").unwrap();
    }
    let again = palace.again().await;
    let error = again.run_maintenance("compact", &Progress::unheard()).await.unwrap_err();
    assert!(error.what().contains("collection a"), "{}", error.what());
    let state = again.maintenance_state().await.unwrap();
    assert_eq!(state["c"]["fragments"], json!(1));
    assert!(state["a"]["error"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn maintenance_goes_on_under_writers_and_takes_nothing_from_them() {
    let palace = TestPalace::with(eager()).await;
    let collection = worn(&palace).await;
    let writer = palace.again().await.collection("c").await.unwrap();
    let write = async {
        for n in 0..15 {
            writer.upsert(rows(&[row("same", n), row(format!("w{n}"), n)])).await.unwrap();
        }
    };
    let maintain = async {
        for _ in 0..2 {
            for kind in ["compact", "reindex"] {
                match palace.palace.run_maintenance(kind, &Progress::unheard()).await {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.what()),
                }
            }
        }
    };
    tokio::join!(write, maintain);
    let found = contents(collection.as_ref()).await;
    assert_eq!((found.len(), &found["same"]), (8 + 15, &row("same", 14)));
}
