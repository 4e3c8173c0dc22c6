//! `supports_update` (§1): one atomic round trip.

use crate::rows::{Written, batch, row, scanned};
use crate::world::{WIDTH, World};
use palanquin_engine::contract::{Collection, GetRequest, Include, RowUpdates, Selection, token};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;

const ROWS: usize = 8;
const UPDATES: usize = 60;
/// Readers may be slow to start; the writer goes on until they have read, but not for ever.
const MOST_UPDATES: usize = 20_000;

fn ids() -> Vec<String> {
    (0..ROWS).map(|n| format!("row-{n}")).collect()
}

/// Every row with this number in each of its fields.
fn stamped(number: usize) -> Vec<Written> {
    let stamp = |id| row(id).document(number.to_string()).metadata(json!({"n": number}));
    ids().into_iter().map(|id| stamp(id).vector([number as f32; WIDTH as usize])).collect()
}

fn updates_to(number: usize) -> RowUpdates {
    let metadata = json!({"n": number}).as_object().unwrap().clone();
    let vectors = vec![vec![number as f32; WIDTH as usize]; ROWS];
    RowUpdates::try_new(ids(), Some(vec![Some(number.to_string()); ROWS]), Some(vec![metadata; ROWS]), Some(vectors))
        .unwrap()
}

/// The number all fields of a row agree on.
fn number_of(row: &Written, vectors: bool) -> usize {
    let by_document: usize = row.document.as_deref().unwrap().parse().unwrap();
    assert_eq!(row.metadata["n"].as_u64(), Some(by_document as u64), "half an update: {row:?}");
    if vectors {
        assert_eq!(row.embedding.as_ref().unwrap(), &[by_document as f32; WIDTH as usize], "half an update: {row:?}");
    }
    by_document
}

/// What a reader holds to.
#[derive(Clone, Copy)]
struct Promise {
    vectors: bool,
    atomic: bool,
}

/// What the writer and the readers know of each other.
#[derive(Default)]
struct Meeting {
    done: AtomicBool,
    reads: AtomicUsize,
}

impl Meeting {
    async fn has_read(&self) {
        self.reads.fetch_add(1, Ordering::AcqRel);
        tokio::task::yield_now().await;
    }
}

/// Reads until the writer is done, by `get`: one answer shows one state.
async fn keep_getting(drawers: Arc<dyn Collection>, meeting: Arc<Meeting>, promise: Promise) {
    let include = Include { embeddings: promise.vectors, ..Include::ALL };
    let request = GetRequest { include, ..GetRequest::of(Selection::ids(ids())) };
    let mut last = 0;
    while !meeting.done.load(Ordering::Acquire) {
        let found = drawers.get(&request).await.unwrap();
        assert_eq!(found.ids, ids(), "every row is there at every moment");
        let vectors = found.embeddings.unwrap_or(vec![None; ROWS]);
        let fields = found.ids.into_iter().zip(found.documents).zip(found.metadatas.into_iter().zip(vectors));
        let numbers: Vec<usize> = fields
            .map(|((id, document), (metadata, embedding))| Written { id, document, metadata, embedding })
            .map(|row| number_of(&row, promise.vectors))
            .collect();
        if promise.atomic {
            assert!(numbers.iter().all(|number| *number == numbers[0]), "half an update: {numbers:?}");
            assert!(numbers[0] >= last, "an update was seen and is undone: {} after {last}", numbers[0]);
            last = numbers[0];
        }
        meeting.has_read().await;
    }
}

/// Reads until the writer is done, by `scan`: each row is seen as one state.
async fn keep_scanning(drawers: Arc<dyn Collection>, meeting: Arc<Meeting>, promise: Promise) {
    while !meeting.done.load(Ordering::Acquire) {
        let rows = scanned(drawers.as_ref()).await;
        assert_eq!(rows.len(), ROWS, "every row is there at every moment");
        for row in rows {
            number_of(&row, promise.vectors);
        }
        meeting.has_read().await;
    }
}

pub(crate) async fn no_reader_sees_half_of_an_update(world: &World) {
    let drawers = world.drawers().await;
    drawers.upsert(batch(&stamped(0), WIDTH)).await.unwrap();
    let (meeting, passthrough) = (Arc::new(Meeting::default()), world.has(token::EMBEDDINGS_PASSTHROUGH));
    let by_scan = Promise { vectors: passthrough, atomic: false };
    let by_get = Promise { vectors: passthrough && world.has(token::EMBEDDINGS_OUT), atomic: world.has(token::UPDATE) };
    let mut readers = Vec::new();
    for _ in 0..2 {
        let (one, other) = (world.drawers_elsewhere("palace").await, world.drawers_elsewhere("palace").await);
        readers.push(tokio::spawn(keep_getting(one, Arc::clone(&meeting), by_get)));
        readers.push(tokio::spawn(keep_scanning(other, Arc::clone(&meeting), by_scan)));
    }
    let (mut number, wanted_reads) = (0, 2 * UPDATES);
    let wants_more = |number| {
        let unread = meeting.reads.load(Ordering::Acquire) < wanted_reads && number < MOST_UPDATES;
        number < UPDATES || unread
    };
    // A reader that has ended has seen something wrong.
    while wants_more(number) && !readers.iter().any(JoinHandle::is_finished) {
        number += 1;
        assert_eq!(drawers.update(updates_to(number)).await.unwrap(), ROWS as u64);
        tokio::task::yield_now().await;
    }
    meeting.done.store(true, Ordering::Release);
    for reader in readers {
        reader.await.expect("what readers saw");
    }
    assert!(scanned(drawers.as_ref()).await.iter().all(|row| number_of(row, passthrough) == number));
}

async fn count_up(drawers: Arc<dyn Collection>, update: impl Fn(usize) -> RowUpdates) {
    for number in 1..=UPDATES {
        drawers.update(update(number)).await.unwrap();
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn updates_of_different_fields_do_not_undo_each_other(world: &World) {
    if !world.has(token::UPDATE) {
        return println!("not advertised: the default update reads, merges and writes");
    }
    world.drawers().await.upsert(batch(&stamped(0), WIDTH)).await.unwrap();
    let one = || vec!["row-0".to_owned()];
    let documents = count_up(world.drawers_elsewhere("palace").await, move |number| {
        RowUpdates::try_new(one(), Some(vec![Some(number.to_string())]), None, None).unwrap()
    });
    let metadata = count_up(world.drawers_elsewhere("palace").await, move |number| {
        let metadata = json!({"n": number}).as_object().unwrap().clone();
        RowUpdates::try_new(one(), None, Some(vec![metadata]), None).unwrap()
    });
    let other_key = count_up(world.drawers_elsewhere("palace").await, move |number| {
        let metadata = json!({"other": number}).as_object().unwrap().clone();
        RowUpdates::try_new(one(), None, Some(vec![metadata]), None).unwrap()
    });
    let vectors = count_up(world.drawers_elsewhere("palace").await, move |number| {
        RowUpdates::try_new(one(), None, None, Some(vec![vec![number as f32; WIDTH as usize]])).unwrap()
    });
    let writers = [tokio::spawn(documents), tokio::spawn(metadata), tokio::spawn(other_key), tokio::spawn(vectors)];
    for writer in writers {
        writer.await.unwrap();
    }
    let rows = scanned(world.drawers_elsewhere("palace").await.as_ref()).await;
    assert_eq!(number_of(&rows[0], world.has(token::EMBEDDINGS_PASSTHROUGH)), UPDATES, "an update was undone");
    assert_eq!(rows[0].metadata["other"], UPDATES, "an update was undone");
}
