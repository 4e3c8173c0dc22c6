use crate::LanceBackend;
use crate::testing::{DIMENSION, Recorder, TestPalace, changes, contents, kind, row, rows, spec, tree, upserts};
use lancedb::index::Index;
use palanquin_engine::contract::{Applied, ChangeBatch, Collection, ErrorKind, WriteMode};
use std::collections::BTreeMap;
use std::sync::Arc;

const AWKWARD: [&str; 8] = ["it's", "''", "\"; DROP TABLE c; --", "ä\u{0301}🙂", "\u{202e}x", " ", "\n\t", "a\u{0}b"];

#[tokio::test]
async fn rows_come_back_as_they_were_given() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let mut given = vec![row("full", 0), row("no document", 1), row("no metadata", 2), row("no vector", 3)];
    given.extend(AWKWARD.iter().zip(4..).map(|(id, n)| row(*id, n)));
    given[0].document = Some(String::new());
    given[0].embedding = Some(vec![f32::NAN, f32::INFINITY, f32::MIN_POSITIVE, -0.0]);
    let bits =
        |row: &crate::testing::Owned| row.embedding.clone().map(|v| v.iter().map(|c| c.to_bits()).collect::<Vec<_>>());
    for mode in [WriteMode::Append, WriteMode::Upsert] {
        let applied = collection.apply(upserts(&given), mode).await.unwrap();
        assert_eq!(applied, Applied { upserted: given.len() as u64, deleted: 0, ..Applied::default() });
        let found = contents(collection.as_ref()).await;
        assert_eq!(found.len(), given.len());
        for row in &given {
            let back = &found[&row.id];
            assert_eq!((&back.document, &back.metadata), (&row.document, &row.metadata));
            assert_eq!(bits(back), bits(row));
        }
    }
    assert_eq!(collection.count().await.unwrap(), given.len() as u64);
}

#[tokio::test]
async fn replaying_a_batch_changes_nothing() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let given: Vec<_> = (0..500).map(|n| row(format!("id {n}"), n)).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let before = contents(collection.as_ref()).await;
    for _ in 0..2 {
        collection.apply(upserts(&given[100..300]), WriteMode::Upsert).await.unwrap();
        assert_eq!(contents(collection.as_ref()).await, before);
    }
    let batch = changes(&given[..10], &["id 10", "absent"]);
    assert_eq!(collection.apply(batch.clone(), WriteMode::Upsert).await.unwrap().deleted, 1);
    assert_eq!(collection.apply(batch, WriteMode::Upsert).await.unwrap().deleted, 0);
    assert_eq!(collection.count().await.unwrap(), 499);
}

/// Fragments of the newest version: opened anew, since a table that is kept open does not look for one.
async fn fragments(palace: &TestPalace) -> usize {
    palace.table("c").await.dataset().unwrap().get().await.unwrap().fragments().len()
}

#[tokio::test]
async fn a_table_that_takes_many_small_commits_stays_in_few_fragments_and_keeps_every_row() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let given: Vec<_> = (0..40).map(|n| row(format!("row {n}"), 0)).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let mut expected: BTreeMap<_, _> = given.into_iter().map(|row| (row.id.clone(), row)).collect();
    let mut most = 0;
    for n in 1..=200 {
        let changed: Vec<_> = (0..3).map(|k| row(format!("row {}", n % 37 + k), n)).collect();
        let gone = format!("new {}", n - 150);
        let new = row(format!("new {n}"), n);
        let batch = [changed, vec![new]].concat();
        collection.apply(changes(&batch, &[&gone]), WriteMode::Upsert).await.unwrap();
        expected.remove(&gone);
        expected.extend(batch.into_iter().map(|row| (row.id.clone(), row)));
        most = most.max(fragments(&palace).await);
    }
    assert_eq!(contents(collection.as_ref()).await, expected);
    assert!(most < 100, "{most} fragments after as many as 200 commits");
}

#[tokio::test]
async fn upserts_and_deletes_are_one_commit_and_touch_no_other_row() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let ids: Vec<String> = (0..50).map(|n| format!("row {n}")).chain(AWKWARD.map(String::from)).collect();
    let given: Vec<_> = ids.iter().map(|id| row(id, 0)).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let mut expected: BTreeMap<_, _> = given.iter().map(|row| (row.id.clone(), row.clone())).collect();

    let table = palace.table("c").await;
    let before = table.version().await.unwrap();
    let written = [row("row 1", 10), row("new", 11), row("row 2", 12)];
    let mut deletes = vec!["row 3", "absent", "row 3", "row 1"];
    deletes.extend(AWKWARD);
    let applied = collection.apply(changes(&written, &deletes), WriteMode::Upsert).await.unwrap();
    assert_eq!(applied, Applied { upserted: 3, deleted: 1 + AWKWARD.len() as u64, ..Applied::default() });
    table.checkout_latest().await.unwrap();
    assert_eq!(table.version().await.unwrap(), before + 1);

    expected.extend(written.iter().map(|row| (row.id.clone(), row.clone())));
    expected.remove("row 3");
    AWKWARD.iter().for_each(|id| drop(expected.remove(*id)));
    assert_eq!(contents(collection.as_ref()).await, expected, "the upsert of \"row 1\" wins over its delete");
}

#[tokio::test]
async fn deletes_alone_remove_exactly_the_listed_rows() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let given: Vec<_> = AWKWARD.iter().map(|id| row(*id, 0)).chain([row("stays", 1)]).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let applied = collection.apply(changes(&[], &AWKWARD), WriteMode::Upsert).await.unwrap();
    assert_eq!(applied, Applied { upserted: 0, deleted: AWKWARD.len() as u64, ..Applied::default() });
    assert_eq!(contents(collection.as_ref()).await.into_keys().collect::<Vec<_>>(), ["stays"]);
}

#[tokio::test]
async fn the_last_row_of_an_id_wins_within_a_batch() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    for (mode, n) in [(WriteMode::Append, 0), (WriteMode::Upsert, 10)] {
        let repeated = [row("a", n), row("b", n + 1), row("a", n + 2), row("a", n + 4)];
        assert_eq!(collection.apply(upserts(&repeated), mode).await.unwrap().upserted, 2);
        let found = contents(collection.as_ref()).await;
        assert_eq!(found["a"], row("a", n + 4));
        assert_eq!(found["b"], row("b", n + 1));
    }
}

#[tokio::test]
async fn an_empty_batch_is_no_commit() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let before = collection.feed_head().await.unwrap();
    let empty = ChangeBatch { upserts: Some(rows(&[])), deletes: Vec::new(), ..ChangeBatch::default() };
    assert_eq!(collection.apply(empty, WriteMode::Upsert).await.unwrap(), Applied::default());
    assert_eq!(collection.feed_head().await.unwrap(), before);
}

#[tokio::test]
async fn vectors_of_another_width_are_refused() {
    let palace = TestPalace::new().await;
    let collection = palace.palace.create_collection(&spec("c", DIMENSION + 1)).await.unwrap();
    assert_eq!(kind(collection.apply(upserts(&[row("a", 0)]), WriteMode::Upsert).await), ErrorKind::DimensionMismatch);
    assert_eq!(collection.count().await.unwrap(), 0);
}

async fn race(with_deletes: bool, index: bool) {
    let palace = TestPalace::new().await;
    let first = palace.collection().await;
    first.apply(upserts(&[row("seed", 0)]), WriteMode::Append).await.unwrap();
    if index {
        palace.table("c").await.create_index(&["id"], Index::BTree(Default::default())).execute().await.unwrap();
    }
    let mut handles: Vec<Arc<dyn Collection>> = vec![first.clone()];
    for _ in 0..2 {
        handles.push(palace.again().await.collection("c").await.unwrap());
    }
    let mut expected = 1;
    for round in 0..6 {
        let given: Vec<_> = (0..5).map(|n| row(format!("{round}/{n}"), n)).collect();
        let deletes: &[&str] = if with_deletes { &["absent"] } else { &[] };
        let writes = handles.iter().map(|handle| handle.apply(changes(&given, deletes), WriteMode::Upsert));
        for written in futures::future::join_all(writes).await {
            written.unwrap();
        }
        expected += 5;
        assert_eq!(contents(first.as_ref()).await.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_the_same_new_ids_make_no_duplicates() {
    race(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_the_same_new_ids_with_deletes_make_no_duplicates() {
    race(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_on_the_ids_does_not_bring_duplicates_back() {
    race(false, true).await;
}

#[tokio::test]
async fn everything_on_disk_is_synced_before_a_write_returns() {
    let recorder = Arc::new(Recorder::default());
    let palace = TestPalace::with(LanceBackend::with_sync(recorder.clone())).await;
    let mut synced = std::collections::HashSet::new();
    let mut check = |step: &str| {
        synced.extend(recorder.take());
        for path in tree(palace.directory.path()) {
            assert!(synced.contains(&path), "{step}: {path:?}");
        }
        assert!(synced.contains(palace.directory.path()), "{step}");
        assert!(synced.contains(palace.directory.path().parent().unwrap()), "{step}");
    };
    let collection = palace.collection().await;
    check("create");
    let given: Vec<_> = (0..100).map(|n| row(format!("{n}"), n)).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    check("append");
    collection.apply(upserts(&given[50..]), WriteMode::Upsert).await.unwrap();
    check("upsert");
    collection.apply(changes(&given[..5], &["90", "91"]), WriteMode::Upsert).await.unwrap();
    check("upsert and delete");
    collection.apply(changes(&[], &["92"]), WriteMode::Upsert).await.unwrap();
    check("delete");
    palace.table("c").await.optimize(lancedb::table::OptimizeAction::All).await.unwrap();
    collection.apply(upserts(&given[..1]), WriteMode::Upsert).await.unwrap();
    check("after a compaction by another");
}

#[tokio::test]
async fn a_write_that_could_not_be_made_durable_is_not_acknowledged() {
    let recorder = Arc::new(Recorder::default());
    let palace = TestPalace::with(LanceBackend::with_sync(recorder.clone())).await;
    let collection = palace.collection().await;
    recorder.fail_next();
    let batch = upserts(&[row("a", 0)]);
    assert_eq!(kind(collection.apply(batch.clone(), WriteMode::Upsert).await), ErrorKind::StorageFull);
    collection.apply(batch, WriteMode::Upsert).await.unwrap();
    assert_eq!(contents(collection.as_ref()).await.len(), 1);
}

#[tokio::test]
async fn a_write_after_which_fragments_were_joined_is_acknowledged_once_those_are_durable() {
    // Of the same commits, one that joins syncs its own files first and the joined ones then.
    let (mut own, mut joining) = (0, None);
    for is_failing in [false, true] {
        let recorder = Arc::new(Recorder::default());
        let palace = TestPalace::with(LanceBackend::with_sync(recorder.clone())).await;
        let collection = palace.collection().await;
        for n in 0..60 {
            let before = fragments(&palace).await;
            recorder.take();
            if is_failing && joining == Some(n) {
                recorder.fail_after(own);
                let refused = collection.apply(upserts(&[row(format!("{n}"), n)]), WriteMode::Upsert).await;
                assert_eq!(kind(refused), ErrorKind::StorageFull);
                assert!(fragments(&palace).await < before, "it had joined them by then");
            }
            collection.apply(upserts(&[row(format!("{n}"), n)]), WriteMode::Upsert).await.unwrap();
            if fragments(&palace).await < before && joining.is_none() {
                joining = Some(n);
                assert!(recorder.paths().len() > own, "the joined files were synced");
            }
            if joining.is_none() {
                own = recorder.paths().len();
            }
        }
        assert_eq!(contents(collection.as_ref()).await.len(), 60);
    }
    assert!(joining.is_some(), "so many commits make it join");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_dropped_midway_leaves_the_handle_usable() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let given: Vec<_> = (0..200).map(|n| row(format!("{n}"), n)).collect();
    // Far enough apart to fall into reading, writing, committing and syncing, whichever machine runs it.
    for polls in (0..16).map(|n| 1 << n) {
        let mut write = collection.apply(upserts(&given), WriteMode::Upsert);
        for _ in 0..polls {
            if futures::poll!(&mut write).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    collection.apply(upserts(&given), WriteMode::Upsert).await.unwrap();
    assert_eq!(contents(collection.as_ref()).await.len(), given.len());
}

#[tokio::test]
async fn many_ids_can_be_deleted_at_once() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let given: Vec<_> = (0..30_000).map(|n| row(format!("{n:06}"), n)).collect();
    collection.apply(upserts(&given), WriteMode::Append).await.unwrap();
    let ids: Vec<&str> = given.iter().map(|row| row.id.as_str()).collect();
    let applied = collection.apply(changes(&given[..2], &ids[10_000..20_000]), WriteMode::Upsert).await.unwrap();
    assert_eq!(applied.deleted, 10_000);
    let applied = collection.apply(changes(&[], &ids[5..]), WriteMode::Upsert).await.unwrap();
    assert_eq!(applied.deleted, 30_000 - 10_000 - 5);
    assert_eq!(contents(collection.as_ref()).await.len(), 5);
}
