//! The feed of changes (§6): net per row, from any cursor, on to a copy that equals the store.

use crate::rows::{Model, Written, assert_rows, batch, deletes, model_of, numbered, numbered_row, row, scanned};
use crate::world::{DRAWERS, WIDTH, World, assert_refused, seeded};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    ChangeBatch, Collection, CollectionSpec, Cursor, ErrorKind, Filter, Include, Progress, Result, RowUpdates,
    Selection, WriteMode, token,
};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The collection, if the backend has a feed.
async fn followed(world: &World) -> Option<Arc<dyn Collection>> {
    if world.has(token::CHANGE_FEED) {
        return Some(world.drawers().await);
    }
    println!("not advertised: a feed");
    None
}

async fn head(collection: &dyn Collection) -> Cursor {
    collection.feed_head().await.expect("a head").expect("supports_change_feed promises one").cursor
}

async fn changes(collection: &dyn Collection, cursor: &Cursor, batch_rows: usize) -> Result<Vec<ChangeBatch>> {
    collection.changes_since(cursor, batch_rows).try_collect().await
}

/// Applies what came after the cursor to the model, and moves the cursor on.
async fn follow(collection: &dyn Collection, cursor: &mut Cursor, model: &mut Model, batch_rows: usize) {
    let batches = changes(collection, cursor, batch_rows).await.expect("changes");
    let mut seen = BTreeSet::new();
    let last = batches.len().saturating_sub(1);
    for (at, changes) in batches.into_iter().enumerate() {
        assert!(changes.rows() <= batch_rows, "{} rows in a batch of at most {batch_rows}", changes.rows());
        assert_eq!(changes.cursor.is_some(), at == last, "the last batch alone carries the cursor they lead to");
        if changes.emptied {
            model.clear();
        }
        for id in changes.deletes {
            assert!(seen.insert(id.clone()), "{id} comes twice: changes are net per row");
            model.remove(&id);
        }
        let rows = changes.upserts.map(|rows| crate::rows::written(&rows)).unwrap_or_default();
        for row in rows {
            assert!(seen.insert(row.id.clone()), "{} comes twice: changes are net per row", row.id);
            model.insert(row.id.clone(), row);
        }
        for patch in changes.patches {
            for row in crate::rows::written(&patch.rows) {
                assert!(seen.insert(row.id.clone()), "{} comes twice: changes are net per row", row.id);
                patch_one(collection, model, row, patch.fields).await;
            }
        }
        if let Some(next) = changes.cursor {
            *cursor = next;
        }
    }
}

/// As core does it: what is not there to be patched is fetched whole.
async fn patch_one(collection: &dyn Collection, model: &mut Model, row: Written, fields: Include) {
    match model.get_mut(&row.id) {
        Some(there) => {
            if fields.documents {
                there.document = row.document;
            }
            if fields.metadatas {
                there.metadata = row.metadata;
            }
            if fields.embeddings {
                there.embedding = row.embedding;
            }
        }
        None => {
            let there = scanned(collection).await.into_iter().find(|there| there.id == row.id);
            model.extend(there.map(|there| (there.id.clone(), there)));
        }
    }
}

async fn assert_equal(world: &World, collection: &dyn Collection, model: &Model, when: &str) {
    let copy: Vec<Written> = model.values().cloned().collect();
    assert_rows(world, &copy, &scanned(collection).await, when);
}

pub(crate) async fn each_change_comes_once_as_the_row_is_now(world: &World) {
    let Some(drawers) = followed(world).await else { return };
    drawers.upsert(batch(&numbered(0..10, WIDTH), WIDTH)).await.unwrap();
    let start = head(drawers.as_ref()).await;
    let (mut cursor, mut model) = (start.clone(), model_of(&numbered(0..10, WIDTH)));
    drawers.upsert(batch(&[numbered_row(1, WIDTH).document("once"), numbered_row(20, WIDTH)], WIDTH)).await.unwrap();
    drawers.upsert(batch(&[numbered_row(1, WIDTH).document("twice")], WIDTH)).await.unwrap();
    let ids = vec!["row-00002".to_owned()];
    drawers.update(RowUpdates::try_new(ids, Some(vec![None]), None, None).unwrap()).await.unwrap();
    drawers.delete(&Selection::ids(["row-00003"])).await.unwrap();
    drawers.delete(&Selection::ids(["row-00004"])).await.unwrap();
    let made = |id: &str| match world.limits().rows_without_vector {
        true => row(id),
        false => row(id).vector(vec![1.0; WIDTH as usize]),
    };
    drawers.add(batch(&[made("row-00004").document("again")], WIDTH)).await.unwrap();
    drawers.add(batch(&[made("came and went")], WIDTH)).await.unwrap();
    drawers.delete(&Selection::ids(["came and went"])).await.unwrap();
    follow(drawers.as_ref(), &mut cursor, &mut model, 100).await;
    assert_equal(world, drawers.as_ref(), &model, "after following").await;
    let batches = changes(drawers.as_ref(), &start, 100).await.unwrap();
    let touched: BTreeSet<String> = batches
        .iter()
        .flat_map(|batch| {
            let rows = batch.upserts.iter().chain(batch.patches.iter().map(|patch| &patch.rows));
            rows.flat_map(crate::rows::ids_in).chain(batch.deletes.iter().cloned())
        })
        .filter(|id| id != "came and went")
        .collect();
    let wanted = ["row-00001", "row-00002", "row-00003", "row-00004", "row-00020"].map(str::to_owned);
    assert_eq!(touched, wanted.into(), "what was not touched does not come");
}

pub(crate) async fn where_nothing_changed_nothing_comes(world: &World) {
    let Some(drawers) = followed(world).await else { return };
    for _ in 0..2 {
        let cursor = head(drawers.as_ref()).await;
        let batches = changes(drawers.as_ref(), &cursor, 10).await.unwrap();
        assert_eq!(batches.iter().map(ChangeBatch::rows).sum::<usize>(), 0);
        drawers.upsert(batch(&numbered(0..10, WIDTH), WIDTH)).await.unwrap();
    }
}

pub(crate) async fn a_cursor_taken_before_the_first_row_leads_to_all_of_them(world: &World) {
    let Some(drawers) = followed(world).await else { return };
    let (mut cursor, mut model) = (head(drawers.as_ref()).await, Model::new());
    drawers.apply(ChangeBatch::upserts(batch(&numbered(0..250, WIDTH), WIDTH)), WriteMode::Append).await.unwrap();
    drawers.apply(deletes(&["row-00007"]), WriteMode::Upsert).await.unwrap();
    follow(drawers.as_ref(), &mut cursor, &mut model, 100).await;
    assert_equal(world, drawers.as_ref(), &model, "after following in batches").await;
    let elsewhere = world.drawers_elsewhere("palace").await;
    drawers.upsert(batch(&numbered(300..310, WIDTH), WIDTH)).await.unwrap();
    follow(elsewhere.as_ref(), &mut cursor, &mut model, 3).await;
    assert_equal(world, elsewhere.as_ref(), &model, "a cursor is good in another process").await;
}

pub(crate) async fn following_from_an_older_cursor_is_right_too(world: &World) {
    let Some(drawers) = followed(world).await else { return };
    let mut checkpoints = Vec::new();
    for n in 0..6 {
        checkpoints.push((head(drawers.as_ref()).await, model_of(&scanned(drawers.as_ref()).await)));
        let rows: Vec<Written> =
            numbered(n * 3..n * 3 + 6, WIDTH).into_iter().map(|row| row.document(n.to_string())).collect();
        drawers.upsert(batch(&rows, WIDTH)).await.unwrap();
        drawers.delete(&Selection::ids([format!("row-{:05}", n * 3 + 1)])).await.unwrap();
    }
    for (n, (cursor, model)) in checkpoints.into_iter().enumerate() {
        let (mut moved, mut copy) = (cursor.clone(), model);
        follow(drawers.as_ref(), &mut moved, &mut copy, 4).await;
        assert_equal(world, drawers.as_ref(), &copy, &format!("from checkpoint {n}")).await;
        // The same changes again, onto what they led to: an overlap is harmless.
        let mut again = cursor;
        follow(drawers.as_ref(), &mut again, &mut copy, 100).await;
        assert_equal(world, drawers.as_ref(), &copy, &format!("from checkpoint {n}, twice")).await;
        assert_eq!(
            changes(drawers.as_ref(), &moved, 10).await.unwrap().iter().map(ChangeBatch::rows).sum::<usize>(),
            0
        );
    }
}

pub(crate) async fn a_cursor_of_no_place_in_this_feed_has_expired(world: &World) {
    let Some(drawers) = followed(world).await else { return };
    drawers.upsert(batch(&numbered(0..10, WIDTH), WIDTH)).await.unwrap();
    let other = CollectionSpec { incarnation: "another incarnation".into(), ..world.spec(DRAWERS, WIDTH) };
    let other = world.palace("other").await.create_collection(&other).await.unwrap();
    other.upsert(batch(&numbered(0..10, WIDTH), WIDTH)).await.unwrap();
    let foreign = head(other.as_ref()).await;
    let own = head(drawers.as_ref()).await;
    let nonsense = ["", "0:", "x", "-1", "18446744073709551616", "null", "{}", "'; DROP TABLE rows; --", "🙂"];
    let nonsense = nonsense.map(|text| Cursor(text.to_owned()));
    for cursor in nonsense.into_iter().chain([foreign, Cursor(format!("{}0", own.0)), Cursor(format!("x{}", own.0))]) {
        let followed = changes(drawers.as_ref(), &cursor, 10).await;
        assert_refused(followed.map(drop), ErrorKind::CursorExpired, cursor);
    }
    assert!(changes(drawers.as_ref(), &own, 10).await.is_ok(), "its own is good");
}

pub(crate) async fn a_cursor_survives_maintenance_or_has_expired_by_name(world: &World) {
    let Some(drawers) = followed(world).await else { return };
    let palace = world.palace_elsewhere("palace").await;
    for kind in world.descriptor().maintenance_kinds {
        let mut cursors = Vec::new();
        for n in 0..4 {
            cursors.push((head(drawers.as_ref()).await, model_of(&scanned(drawers.as_ref()).await)));
            drawers.upsert(batch(&numbered(n..n + 20, WIDTH), WIDTH)).await.unwrap();
            drawers.delete(&Selection::ids([format!("row-{n:05}")])).await.unwrap();
        }
        let (newest, at_newest) = (head(drawers.as_ref()).await, model_of(&scanned(drawers.as_ref()).await));
        palace.run_maintenance(kind.name, &Progress::unheard()).await.unwrap();
        drawers.upsert(batch(&[numbered_row(99, WIDTH)], WIDTH)).await.unwrap();
        let (mut moved, mut copy) = (newest, at_newest);
        follow(drawers.as_ref(), &mut moved, &mut copy, 7).await;
        assert_equal(world, drawers.as_ref(), &copy, &format!("from just before {}", kind.name)).await;
        for (n, (cursor, mut copy)) in cursors.into_iter().enumerate() {
            match changes(drawers.as_ref(), &cursor, 7).await {
                Err(error) => assert_eq!(error.kind(), ErrorKind::CursorExpired, "{}: {error}", kind.name),
                Ok(_) => {
                    let mut moved = cursor;
                    follow(drawers.as_ref(), &mut moved, &mut copy, 7).await;
                    assert_equal(world, drawers.as_ref(), &copy, &format!("{}, checkpoint {n}", kind.name)).await;
                }
            }
        }
    }
}

async fn one_step(drawers: &dyn Collection, rng: &mut StdRng, step: usize) {
    let ids: Vec<usize> = (0..rng.random_range(1..8)).map(|_| rng.random_range(0..40)).collect();
    let names: Vec<String> = ids.iter().map(|n| format!("row-{n:05}")).collect();
    let distinct: BTreeSet<usize> = ids.into_iter().collect();
    let rows: Vec<Written> =
        distinct.into_iter().map(|n| numbered_row(n, WIDTH).document(format!("step {step}"))).collect();
    match rng.random_range(0..6) {
        0 | 1 => drawers.upsert(batch(&rows, WIDTH)).await.unwrap(),
        2 => assert!(drawers.delete(&Selection::ids(names.clone())).await.unwrap() <= names.len() as u64),
        3 => {
            let documents = Some(vec![Some(format!("updated at {step}")); names.len()]);
            let updates = RowUpdates::try_new(names.clone(), documents, None, None).unwrap();
            assert!(drawers.update(updates).await.unwrap() <= names.len() as u64);
        }
        4 => {
            let gone = names.into_iter().filter(|id| rows.iter().all(|row| row.id != *id)).chain(["absent".into()]);
            let deletes = gone.chain([format!("row-{:05}", rng.random_range(40..50))]).collect();
            let changes = ChangeBatch { upserts: Some(batch(&rows, WIDTH)), deletes, ..ChangeBatch::default() };
            drawers.apply(changes, WriteMode::Upsert).await.unwrap();
        }
        _ => {
            let filter = Selection::filter(Filter::DocumentContains(format!("step {}", step.saturating_sub(3))));
            drawers.delete(&filter).await.unwrap();
        }
    }
}

pub(crate) async fn a_random_history_followed_equals_the_store_at_every_checkpoint(world: &World) {
    let Some(drawers) = followed(world).await else { return };
    let mut rng = seeded(0xfeed);
    let palace = world.palace_elsewhere("palace").await;
    let kinds = world.descriptor().maintenance_kinds;
    let (mut cursor, mut model) = (head(drawers.as_ref()).await, Model::new());
    for checkpoint in 0..25 {
        for step in 0..rng.random_range(0..8) {
            one_step(drawers.as_ref(), &mut rng, checkpoint * 10 + step).await;
        }
        if !kinds.is_empty() && rng.random_bool(0.2) {
            let kind = kinds[rng.random_range(0..kinds.len())];
            palace.run_maintenance(kind.name, &Progress::unheard()).await.unwrap();
        }
        follow(drawers.as_ref(), &mut cursor, &mut model, rng.random_range(1..20)).await;
        assert_equal(world, drawers.as_ref(), &model, &format!("checkpoint {checkpoint}")).await;
    }
}
