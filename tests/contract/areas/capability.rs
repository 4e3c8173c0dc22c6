//! What is advertised holds, and what is not is refused by name (§2).

use crate::rows::{batch, numbered, row, scanned};
use crate::world::{DRAWERS, WIDTH, World, assert_refused};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    CaptureLevel, Collection, Cursor, ErrorKind, GetRequest, Include, OpenMode, Progress, QueryRequest, Selection,
    kind, token,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) async fn what_a_backend_says_of_itself_fits_together(world: &World) {
    let it = world.descriptor();
    assert!(!it.name.is_empty() && it.name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-'), "a name");
    assert!(world.has(token::EMBEDDINGS_IN), "§1.5: every backend accepts given vectors");
    let follows = |one: &str, other: &str| assert!(!world.has(one) || world.has(other), "{one} promises {other}");
    follows(token::SYNC, token::CHANGE_FEED);
    follows(token::MIGRATION_EXPORT, token::EMBEDDINGS_OUT);
    follows(token::RANGE_FILTERS, token::METADATA_FILTERS);
    let follows_log = matches!(it.capture, Some(CaptureLevel::Log | CaptureLevel::Version));
    assert_eq!(follows_log, world.has(token::CHANGE_FEED), "a feed, and {:?} as capture level", it.capture);
    assert!(!it.metrics.is_empty(), "it declares its metric");
    let metrics: BTreeSet<&str> = it.metrics.iter().map(|metric| metric.name()).collect();
    assert_eq!(metrics.len(), it.metrics.len(), "each metric once");
    let kinds: BTreeSet<&str> = it.maintenance_kinds.iter().map(|kind| kind.name).collect();
    assert_eq!(kinds.len(), it.maintenance_kinds.len(), "each maintenance kind once");
    for kind in it.maintenance_kinds {
        assert!(!kind.name.trim().is_empty() && !kind.effect.trim().is_empty(), "{kind:?} says what it does");
    }
    let (one, other) = (world.another_process(), world.store().backend());
    for again in [one.descriptor(), other.descriptor()] {
        assert_eq!(again.capabilities, it.capabilities, "capabilities belong to the backend, never to one palace");
    }
    world.drawers().await;
    assert_eq!(world.descriptor().capabilities, one.descriptor().capabilities, "an open palace changes none");
}

pub(crate) async fn vectors_are_given_out_or_the_wish_is_refused(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&numbered(0..3, WIDTH), WIDTH)).await.unwrap();
    let get = GetRequest { include: Include::ALL, ..GetRequest::of(Selection::default()) };
    let query = QueryRequest { include: Include::ALL, ..QueryRequest::of(vec![vec![1.0; WIDTH as usize]], 3) };
    let (got, found) = (drawers.get(&get).await, drawers.query(&query).await);
    if !world.has(token::EMBEDDINGS_OUT) {
        assert_refused(got.map(drop), ErrorKind::UnsupportedCapability, "get");
        return assert_refused(found.map(drop), ErrorKind::UnsupportedCapability, "query");
    }
    let (got, found) = (got.unwrap().embeddings.unwrap(), found.unwrap().embeddings.unwrap());
    assert!(got.iter().all(Option::is_some) && found[0].iter().all(Option::is_some), "every row has its vector");
}

pub(crate) async fn without_a_feed_nothing_can_be_followed(world: &World) {
    if world.has(token::CHANGE_FEED) {
        let head = world.drawers().await.feed_head().await.unwrap();
        return assert!(head.is_some(), "supports_change_feed, and the feed has no head");
    }
    let drawers = world.drawers().await;
    assert_eq!(drawers.feed_head().await.unwrap(), None);
    let changes: Result<Vec<_>, _> = drawers.changes_since(&Cursor("0".into()), 10).try_collect().await;
    assert_refused(changes.map(drop), ErrorKind::UnsupportedCapability, "changes_since");
}

pub(crate) async fn a_maintenance_kind_that_is_not_advertised_is_refused_by_name(world: &World) {
    let rows = numbered(0..5, WIDTH);
    world.drawers().await.upsert(batch(&rows, WIDTH)).await.unwrap();
    let advertised: Vec<&str> = world.descriptor().maintenance_kinds.iter().map(|kind| kind.name).collect();
    let kinds = [kind::ANALYZE, kind::COMPACT, kind::REINDEX, "", "no_such_kind", "Compact", "compact ", "*"];
    for mode in [OpenMode::Write, OpenMode::Read] {
        let palace = world.open("palace", mode).await.unwrap();
        for kind in kinds.into_iter().filter(|kind| !advertised.contains(kind)) {
            let refused = palace.run_maintenance(kind, &Progress::unheard()).await;
            assert_refused(refused.map(drop), ErrorKind::UnsupportedMaintenanceKind, kind);
        }
    }
    // The adapter itself refuses too, for one that is asked without core in between.
    let bare = world.store().backend().open(&world.reference("palace"), OpenMode::Write.into()).await.unwrap();
    let refused = bare.run_maintenance("no_such_kind", &Progress::unheard()).await;
    assert_refused(refused.map(drop), ErrorKind::UnsupportedMaintenanceKind, "asked directly");
}

async fn median(world: &World, times: usize, mut call: impl AsyncFnMut()) -> (Duration, u64) {
    let (mut took, before) = (Vec::with_capacity(times), world.store().rows_read().unwrap_or(0));
    for _ in 0..times {
        let start = Instant::now();
        call().await;
        took.push(start.elapsed());
    }
    took.sort();
    (took[times / 2], world.store().rows_read().unwrap_or(0) - before)
}

/// Cheaper is told by the rows the store read, where it says so; else by time, generously: a median of many calls on
/// many rows of less than half of the count's.
pub(crate) async fn an_estimate_that_is_advertised_is_near_and_cheaper_than_counting(world: &World) {
    if !world.has(token::ESTIMATED_COUNT) {
        return println!("not advertised: estimated_count is count");
    }
    let drawers = world.drawers().await;
    assert!(drawers.estimated_count().await.unwrap() <= 100, "of an empty collection");
    for range in [0..20_000, 20_000..40_000] {
        drawers.upsert(batch(&numbered(range, WIDTH), WIDTH)).await.unwrap();
    }
    for kind in world.descriptor().maintenance_kinds {
        let palace = world.palace("palace").await;
        palace.run_maintenance(kind.name, &Progress::unheard()).await.unwrap();
    }
    let estimate = drawers.estimated_count().await.unwrap();
    assert!((20_000..=80_000).contains(&estimate), "{estimate} for 40 000 rows");
    let (counting, read_by_count) = median(world, 31, async || drop(drawers.count().await.unwrap().to_string())).await;
    let estimating = async || drop(drawers.estimated_count().await.unwrap().to_string());
    let (estimating, read_by_estimate) = median(world, 31, estimating).await;
    match world.store().rows_read() {
        Some(_) => assert!(
            read_by_estimate * 2 < read_by_count,
            "the estimate read {read_by_estimate} rows, the count {read_by_count}"
        ),
        None => assert!(estimating * 2 < counting, "an estimate takes {estimating:?}, a count {counting:?}"),
    }
}

async fn write_in_turn(drawers: Arc<dyn Collection>, writer: usize) {
    for turn in 0..20 {
        let rows: Vec<_> = (0..30).map(|n| row(format!("{n:02}")).document(format!("{writer}-{turn}"))).collect();
        let rows: Vec<_> = rows.into_iter().map(|row| row.vector(vec![writer as f32; WIDTH as usize])).collect();
        let mut attempts = 0;
        while let Err(error) = drawers.upsert(batch(&rows, WIDTH)).await {
            // A conflict may be answered as `Busy`, which is tried again; nothing else may come of one.
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            attempts += 1;
            assert!(attempts < 1_000, "a writer is never let in: {error}");
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) async fn writers_in_conflict_leave_whole_rows_and_no_row_twice(world: &World) {
    world.drawers().await;
    let mut writers = Vec::new();
    for writer in 0..4 {
        let drawers = world.drawers_elsewhere("palace").await;
        writers.push(tokio::spawn(write_in_turn(drawers, writer)));
    }
    for writer in writers {
        writer.await.expect("a writer");
    }
    let palace = world.palace_elsewhere("palace").await;
    let drawers = palace.collection(DRAWERS).await.unwrap();
    let rows = scanned(drawers.as_ref()).await;
    assert_eq!(rows.len(), 30, "30 ids, each once");
    assert_eq!(drawers.count().await.unwrap(), 30);
    for row in rows {
        let document = row.document.expect("a document");
        let writer: usize = document.split('-').next().unwrap().parse().unwrap();
        assert!(document.ends_with("-19"), "the last turn of some writer is what stays: {document}");
        let vector = row.embedding.unwrap_or_default();
        let whole = !world.has(token::EMBEDDINGS_PASSTHROUGH) || vector == [writer as f32; WIDTH as usize];
        assert!(whole, "the document of one writer and the vector of another");
    }
}
