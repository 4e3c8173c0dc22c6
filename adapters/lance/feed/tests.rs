use crate::testing::{DIMENSION, Owned, TestPalace, changes, contents, kind, row, spec, upserts};
use futures::TryStreamExt;
use lancedb::table::OptimizeAction;
use palanquin_engine::contract::{ChangeBatch, Collection, Cursor, ErrorKind, Result, WriteMode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

type Model = BTreeMap<String, Owned>;

async fn head(collection: &dyn Collection) -> Cursor {
    collection.feed_head().await.unwrap().unwrap().cursor
}

async fn try_changes(collection: &dyn Collection, cursor: &Cursor, batch_rows: usize) -> Result<Vec<ChangeBatch>> {
    collection.changes_since(cursor, batch_rows).try_collect().await
}

/// Applies batches to a model as a target would, and checks their form.
fn replay(model: &mut Model, batches: &[ChangeBatch], batch_rows: usize) {
    for (i, batch) in batches.iter().enumerate() {
        assert_eq!(batch.cursor.is_some(), i + 1 == batches.len());
        assert!(batch.rows() <= batch_rows);
        assert!(i == 0 || batch.rows() > 0, "only a change of versions alone is an empty batch");
        for id in &batch.deletes {
            model.remove(id);
        }
        for row in batch.upserts.iter().flat_map(|rows| rows.rows()) {
            model.insert(row.id.to_owned(), Owned::of(row));
        }
    }
}

async fn compact(palace: &TestPalace) {
    let compact = OptimizeAction::Compact { options: Default::default(), remap_options: None };
    palace.table("c").await.optimize(compact).await.unwrap();
}

async fn prune(palace: &TestPalace) {
    let prune = OptimizeAction::Prune {
        older_than: Some(lancedb::table::Duration::zero()),
        delete_unverified: Some(true),
        error_if_tagged_old_versions: Some(false),
    };
    palace.table("c").await.optimize(prune).await.unwrap();
}

#[tokio::test]
async fn the_net_change_from_every_version_to_the_last_is_what_a_model_says() {
    let seed = std::env::var("PALANQUIN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = seed.map_or_else(|| (0..2).map(|_| rand::random()).collect::<Vec<u64>>(), |seed| vec![seed]);
    for seed in seeds {
        println!("PALANQUIN_SEED={seed}");
        random_history(seed).await;
    }
}

async fn random_history(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    let mut model = Model::new();
    let mut history: Vec<(Cursor, Model)> = vec![(head(collection.as_ref()).await, model.clone())];
    for step in 0..30i64 {
        match random.random_range(0..10) {
            0 => compact(&palace).await,
            1..=2 => {
                let fresh: Vec<_> = (0..random.random_range(1..30)).map(|n| row(format!("s{step}-{n}"), n)).collect();
                collection.apply(upserts(&fresh), WriteMode::Append).await.unwrap();
                model.extend(fresh.into_iter().map(|row| (row.id.clone(), row)));
            }
            _ => {
                // From a small set of ids, so that rows are updated, deleted and inserted again.
                let mut pick = |most| -> BTreeSet<String> {
                    (0..random.random_range(0..=most)).map(|_| format!("k{}", random.random_range(0..40))).collect()
                };
                let (written, deleted) = (pick(15), pick(10));
                let written: Vec<_> = written.into_iter().map(|id| row(id, step * 7)).collect();
                let deleted: Vec<&str> = deleted.iter().map(String::as_str).collect();
                collection.apply(changes(&written, &deleted), WriteMode::Upsert).await.unwrap();
                deleted.iter().for_each(|id| drop(model.remove(*id)));
                model.extend(written.into_iter().map(|row| (row.id.clone(), row)));
            }
        }
        history.push((head(collection.as_ref()).await, model.clone()));
    }
    assert_eq!(contents(collection.as_ref()).await, model, "seed {seed}");
    let last = head(collection.as_ref()).await;
    for (i, (cursor, then)) in history.iter().enumerate() {
        for &batch_rows in if i % 3 == 0 { &[1000, 7][..] } else { &[1000] } {
            let batches = try_changes(collection.as_ref(), cursor, batch_rows).await.unwrap();
            assert_eq!(batches.is_empty(), *cursor == last, "seed {seed}, {cursor:?}");
            let mut replayed = then.clone();
            replay(&mut replayed, &batches, batch_rows);
            assert_eq!(replayed, model, "seed {seed}, {cursor:?}");
            if let Some(batch) = batches.last() {
                assert_eq!(batch.cursor.as_ref(), Some(&last), "seed {seed}");
            }
            let gone: BTreeSet<&String> = batches.iter().flat_map(|batch| &batch.deletes).collect();
            let expected: BTreeSet<&String> = then.keys().filter(|id| !model.contains_key(*id)).collect();
            assert_eq!(gone, expected, "seed {seed}, {cursor:?}");
        }
    }
}

#[tokio::test]
async fn a_small_change_is_one_batch_and_none_is_no_batch() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    collection.apply(upserts(&[row("a", 0), row("b", 1), row("c", 2)]), WriteMode::Append).await.unwrap();
    let before = head(collection.as_ref()).await;
    assert!(try_changes(collection.as_ref(), &before, 10).await.unwrap().is_empty());
    for n in 0..20 {
        collection.apply(changes(&[row(format!("new {n}"), n)], &["a"]), WriteMode::Upsert).await.unwrap();
    }
    let batches = try_changes(collection.as_ref(), &before, 100).await.unwrap();
    assert_eq!(batches.len(), 1, "rows of many small fragments travel together");
    assert_eq!((batches[0].rows(), &batches[0].deletes), (21, &vec!["a".to_owned()]));
    assert_eq!(batches[0].cursor, Some(head(collection.as_ref()).await));
}

#[tokio::test]
async fn versions_without_changes_are_one_empty_batch_with_the_cursor() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    for n in 0..3 {
        collection.apply(upserts(&[row(format!("{n}"), n)]), WriteMode::Append).await.unwrap();
    }
    let before = head(collection.as_ref()).await;
    compact(&palace).await;
    let after = head(collection.as_ref()).await;
    assert_ne!(before, after);
    let batches = try_changes(collection.as_ref(), &before, 10).await.unwrap();
    assert_eq!((batches.len(), batches[0].rows(), &batches[0].cursor), (1, 0, &Some(after)));
}

#[tokio::test]
async fn a_row_deleted_and_inserted_again_is_not_deleted() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    collection.apply(upserts(&[row("a", 0), row("b", 1)]), WriteMode::Append).await.unwrap();
    let before = head(collection.as_ref()).await;
    collection.apply(changes(&[], &["a", "b"]), WriteMode::Upsert).await.unwrap();
    collection.apply(upserts(&[row("a", 5)]), WriteMode::Upsert).await.unwrap();
    let batches = try_changes(collection.as_ref(), &before, 10).await.unwrap();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].deletes, ["b"]);
    assert_eq!(batches[0].upserts.as_ref().unwrap().rows().map(Owned::of).collect::<Vec<_>>(), [row("a", 5)]);
}

#[tokio::test]
async fn the_head_tells_incarnation_version_and_time() {
    let palace = TestPalace::new().await;
    let spec = spec("c", DIMENSION);
    let collection = palace.palace.create_collection(&spec).await.unwrap();
    let head = collection.feed_head().await.unwrap().unwrap();
    assert_eq!(head.cursor.0, format!("{}:1", spec.incarnation));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!((now - 60_000..=now).contains(&head.changed_at_ms.unwrap()));
}

#[tokio::test]
async fn a_cursor_of_another_incarnation_is_expired() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    collection.apply(upserts(&[row("a", 0)]), WriteMode::Append).await.unwrap();
    let cursor = head(collection.as_ref()).await;
    palace.connection().await.drop_table("c", &[]).await.unwrap();
    let again = palace.again_to_create().await;
    let again = again.create_collection(&spec("c", DIMENSION)).await.unwrap();
    for n in 0..3 {
        again.apply(upserts(&[row("b", n)]), WriteMode::Upsert).await.unwrap();
        let error = try_changes(again.as_ref(), &cursor, 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CursorExpired, "{}", error.what());
    }
    assert_eq!(kind(try_changes(collection.as_ref(), &cursor, 10).await), ErrorKind::CursorExpired);
}

#[tokio::test]
async fn a_pruned_or_future_version_and_nonsense_are_expired() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    for n in 0..4 {
        collection.apply(upserts(&[row("a", n)]), WriteMode::Upsert).await.unwrap();
    }
    let cursor = head(collection.as_ref()).await;
    collection.apply(upserts(&[row("a", 9)]), WriteMode::Upsert).await.unwrap();
    prune(&palace).await;
    let error = try_changes(collection.as_ref(), &cursor, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorExpired);
    assert!(error.what().contains("pruned"), "{}", error.what());

    let (incarnation, _) = cursor.0.split_once(':').unwrap();
    let future = Cursor(format!("{incarnation}:4711"));
    assert_eq!(kind(try_changes(collection.as_ref(), &future, 10).await), ErrorKind::CursorExpired);
    let nonsense = Cursor("seq 12".into());
    assert_eq!(kind(try_changes(collection.as_ref(), &nonsense, 10).await), ErrorKind::CursorExpired);
}

#[tokio::test]
async fn a_restore_in_between_is_expired_before_and_fine_after() {
    let palace = TestPalace::new().await;
    let collection = palace.collection().await;
    collection.apply(upserts(&[row("a", 0)]), WriteMode::Append).await.unwrap();
    collection.apply(upserts(&[row("a", 1)]), WriteMode::Upsert).await.unwrap();
    let cursor = head(collection.as_ref()).await;
    let table = palace.table("c").await;
    table.checkout(2).await.unwrap();
    table.restore().await.unwrap();
    let error = try_changes(collection.as_ref(), &cursor, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorExpired);
    assert!(error.what().contains("Restore"), "{}", error.what());
    let cursor = head(collection.as_ref()).await;
    collection.apply(upserts(&[row("b", 2)]), WriteMode::Upsert).await.unwrap();
    assert_eq!(try_changes(collection.as_ref(), &cursor, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_table_made_by_others_is_followed_and_told_from_one_made_again() {
    let palace = TestPalace::new().await;
    let connection = palace.connection().await;
    let schema = palanquin_engine::rows::row_schema(DIMENSION);
    let make = || {
        let option = ("new_table_enable_stable_row_ids", "true");
        connection.create_empty_table("c", schema.clone()).storage_option(option.0, option.1).execute()
    };
    make().await.unwrap();
    let collection = palace.palace.collection("c").await.unwrap();
    let made = head(collection.as_ref()).await;
    collection.apply(upserts(&[row("a", 0)]), WriteMode::Append).await.unwrap();
    assert_eq!(try_changes(collection.as_ref(), &made, 10).await.unwrap()[0].rows(), 1);
    connection.drop_table("c", &[]).await.unwrap();
    make().await.unwrap();
    let again = palace.again().await.collection("c").await.unwrap();
    again.apply(upserts(&[row("b", 0)]), WriteMode::Append).await.unwrap();
    assert_eq!(kind(try_changes(again.as_ref(), &made, 10).await), ErrorKind::CursorExpired);
}

#[tokio::test]
async fn a_table_whose_versions_cannot_be_compared_has_no_feed() {
    let palace = TestPalace::new().await;
    let schema = palanquin_engine::rows::row_schema(DIMENSION);
    palace.connection().await.create_empty_table("c", schema).execute().await.unwrap();
    let collection = palace.palace.collection("c").await.unwrap();
    assert_eq!(collection.feed_head().await.unwrap(), None);
    let error = try_changes(collection.as_ref(), &Cursor("x:1".into()), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedCapability);
}
