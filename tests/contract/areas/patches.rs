//! Patches: new values for whole fields of rows that are there, as a log tells them (`ChangeBatch::patches`).

use crate::rows::{Written, assert_holds, batch, deletes, numbered, numbered_row, row, scanned};
use crate::world::{WIDTH, World, assert_refused};
use palanquin_engine::contract::{ChangeBatch, Collection, ErrorKind, Include, Patch, WriteMode, token};
use serde_json::json;
use std::sync::Arc;

/// How often each of several writers patches.
const PATCHES: usize = 20;

fn fields(documents: bool, metadatas: bool, embeddings: bool) -> Include {
    Include { documents, metadatas, embeddings, distances: false }
}

fn patches(patches: impl IntoIterator<Item = (Include, Vec<Written>)>) -> ChangeBatch {
    let patch = |(fields, rows): (Include, Vec<Written>)| Patch { rows: batch(&rows, WIDTH), fields };
    ChangeBatch { patches: patches.into_iter().map(patch).collect(), ..ChangeBatch::default() }
}

/// The collection with rows, if the backend takes patches.
async fn patched(world: &World, rows: &[Written]) -> Option<Arc<dyn Collection>> {
    let drawers = world.drawers().await;
    drawers.upsert(batch(rows, WIDTH)).await.unwrap();
    if world.has(token::UPDATE) {
        return Some(drawers);
    }
    let refused = drawers.apply(patches([(fields(true, false, false), vec![row("row-00000")])]), WriteMode::Upsert);
    assert_refused(refused.await, ErrorKind::UnsupportedCapability, "a patch");
    assert_holds(world, drawers.as_ref(), rows, "after a patch that was refused").await;
    None
}

pub(crate) async fn a_patch_replaces_the_fields_it_names_and_no_others(world: &World) {
    let mut wanted = numbered(0..10, WIDTH);
    let Some(drawers) = patched(world, &wanted).await else { return };
    let new = |n: usize| {
        row(format!("row-{n:05}"))
            .document(format!("patched {n}"))
            .metadata(json!({"n": 0.5, "deep": {"list": [1, null]}}))
            .vector([0.25, -0.0, 3.0, n as f32])
    };
    let mut given = Vec::new();
    for (n, wanted) in wanted.iter_mut().enumerate().take(8) {
        let (documents, metadatas, embeddings) = (n & 1 > 0, n & 2 > 0, n & 4 > 0);
        let row = new(n);
        if documents {
            wanted.document.clone_from(&row.document);
        }
        if metadatas {
            wanted.metadata.clone_from(&row.metadata);
        }
        if embeddings {
            wanted.embedding.clone_from(&row.embedding);
        }
        let bare = |kept: bool| kept.then_some(());
        let row = Written {
            document: bare(documents).and(row.document),
            metadata: bare(metadatas).map(|()| row.metadata).unwrap_or_default(),
            embedding: bare(embeddings).and(row.embedding),
            id: row.id,
        };
        given.push((fields(documents, metadatas, embeddings), vec![row]));
    }
    // A field that is there can be taken away.
    given.push((fields(true, true, true), vec![row("row-00008")]));
    wanted[8] = row("row-00008");
    for time in ["once", "twice"] {
        let applied = drawers.apply(patches(given.clone()), WriteMode::Upsert).await.unwrap();
        assert_eq!((applied.upserted, applied.missing), (9, Vec::new()), "{time}");
        assert_holds(world, drawers.as_ref(), &wanted, time).await;
    }
}

pub(crate) async fn a_patch_of_an_absent_row_makes_none_and_says_so(world: &World) {
    let rows = numbered(0..3, WIDTH);
    let Some(drawers) = patched(world, &rows).await else { return };
    let absent = |id: &str| numbered_row(9, WIDTH).metadata(json!({})).named(id);
    let given = [
        (
            fields(true, false, false),
            vec![absent("absent-a"), numbered_row(1, WIDTH).document("patched"), absent("absent-b")],
        ),
        (fields(false, true, true), vec![absent("absent-c")]),
    ];
    let applied = drawers.apply(patches(given), WriteMode::Upsert).await.unwrap();
    let mut missing = applied.missing;
    missing.sort();
    assert_eq!(missing, ["absent-a", "absent-b", "absent-c"]);
    let wanted = [rows[0].clone(), rows[1].clone().document("patched"), rows[2].clone()];
    assert_holds(world, drawers.as_ref(), &wanted, "after patches of absent rows").await;
    let only = patches([(fields(true, true, true), vec![absent("absent-d")])]);
    let applied =
        drawers.apply(ChangeBatch { deletes: vec!["row-00000".into()], ..only }, WriteMode::Upsert).await.unwrap();
    assert_eq!((applied.missing, applied.deleted), (vec!["absent-d".to_owned()], 1));
    assert_holds(world, drawers.as_ref(), &wanted[1..], "after a patch of nothing that is there").await;
}

pub(crate) async fn deletes_upserts_and_patches_of_one_batch_are_all_applied(world: &World) {
    let Some(drawers) = patched(world, &numbered(0..20, WIDTH)).await else { return };
    let upserts: Vec<Written> = numbered(15..25, WIDTH).into_iter().map(|row| row.document("upserted")).collect();
    let changes = || ChangeBatch {
        upserts: Some(batch(&upserts, WIDTH)),
        deletes: deletes(&["row-00000", "row-00001", "absent"]).deletes,
        ..patches([(fields(false, true, false), vec![row("row-00005").metadata(json!({"patched": true}))])])
    };
    let mut wanted = numbered(2..15, WIDTH);
    wanted[3] = wanted[3].clone().metadata(json!({"patched": true}));
    wanted.extend(upserts.clone());
    for time in ["once", "twice"] {
        let applied = drawers.apply(changes(), WriteMode::Upsert).await.unwrap();
        assert_eq!((applied.upserted, applied.missing), (11, Vec::new()), "{time}");
        assert_eq!(applied.deleted, if time == "once" { 2 } else { 0 }, "{time}");
        assert_holds(world, drawers.as_ref(), &wanted, time).await;
    }
}

pub(crate) async fn a_patch_of_another_width_is_refused(world: &World) {
    let rows = numbered(0..3, WIDTH);
    let Some(drawers) = patched(world, &rows).await else { return };
    let wide = Patch { rows: batch(&numbered(0..1, WIDTH + 1), WIDTH + 1), fields: fields(false, false, true) };
    let refused = drawers.apply(ChangeBatch { patches: vec![wide], ..ChangeBatch::default() }, WriteMode::Upsert).await;
    assert_refused(refused, ErrorKind::DimensionMismatch, "a wider vector");
    assert_holds(world, drawers.as_ref(), &rows, "after a patch that was refused").await;
}

pub(crate) async fn patches_of_different_fields_do_not_undo_each_other(world: &World) {
    let Some(_) = patched(world, &numbered(0..1, WIDTH)).await else { return };
    let writer = |drawers: Arc<dyn Collection>, fields: Include, row: fn(usize) -> Written| {
        tokio::spawn(async move {
            for n in 1..=PATCHES {
                let applied = drawers.apply(patches([(fields, vec![row(n)])]), WriteMode::Upsert).await.unwrap();
                assert_eq!(applied.missing, Vec::<String>::new());
                tokio::task::yield_now().await;
            }
        })
    };
    let elsewhere = || world.drawers_elsewhere("palace");
    let writers = [
        writer(elsewhere().await, fields(true, false, false), |n| row("row-00000").document(n.to_string())),
        writer(elsewhere().await, fields(false, true, false), |n| row("row-00000").metadata(json!({"n": n}))),
        writer(elsewhere().await, fields(false, false, true), |n| row("row-00000").vector([n as f32; WIDTH as usize])),
    ];
    for writer in writers {
        writer.await.unwrap();
    }
    let rows = scanned(world.drawers_elsewhere("palace").await.as_ref()).await;
    let wanted = row("row-00000")
        .document(PATCHES.to_string())
        .metadata(json!({"n": PATCHES}))
        .vector([PATCHES as f32; WIDTH as usize]);
    crate::rows::assert_rows(world, &rows, &[wanted], "after writers of each field");
}
