//! What becomes of changes on their way to a target that cannot hold every row.

use super::Delivery;
use crate::link::work::Prepared;
use crate::link::work::testing::{Told, Weather, World, batch, calm};
use palanquin_engine::contract::{ChangeBatch, Conversion, ErrorKind, Include, Patch, WriteMode};
use palanquin_engine::journal::Journal;
use palanquin_memory::Faults;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const DOCUMENTS: Include = Include { documents: true, ..Include::IDS };

/// Changes of whole fields, as a log tells them.
fn patch(rows: &[(&str, &str)]) -> ChangeBatch {
    let rows = batch(rows.iter().map(|(id, document)| ((*id).to_owned(), *document)));
    ChangeBatch { patches: vec![Patch { rows, fields: DOCUMENTS }], ..ChangeBatch::default() }
}

fn upserts(rows: &[(&str, &str)]) -> ChangeBatch {
    ChangeBatch::upserts(batch(rows.iter().map(|(id, document)| ((*id).to_owned(), *document))))
}

async fn begun(world: &World) -> (Prepared, Delivery) {
    let prepared = world.prepare().await;
    let delivery = Delivery::begin(&world.desk(&Told::default(), false), &prepared).await.unwrap();
    (prepared, delivery)
}

async fn target(world: &World) -> Vec<(String, String)> {
    let rows = world.rows(&world.target, "target", "c").await;
    rows.into_iter().map(|(id, document)| (id, document.unwrap_or_default())).collect()
}

async fn letters(world: &World) -> Vec<String> {
    let kept = world.journal.dead_letters(&world.spec.id()).await.unwrap();
    kept.into_iter().map(|letter| letter.about.id).collect()
}

fn owned<const N: usize>(rows: [(&str, &str); N]) -> Vec<(String, String)> {
    rows.map(|(id, document)| (id.to_owned(), document.to_owned())).to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_patched_row_of_a_filtered_link_is_read_anew_since_only_the_source_knows_whether_it_passes() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.spec.filter = Some(json!({"room": "a"}));
    world.fill("c", batch([("comes-0".to_owned(), "now"), ("leaves".to_owned(), "now")])).await;
    let (prepared, delivery) = begun(&world).await;
    let pair = &prepared.pairs[0];
    let before = upserts(&[("leaves", "passed once"), ("is-gone", "passed once")]);
    pair.target.apply(before, WriteMode::Upsert).await.unwrap();
    let changes = patch(&[("comes-0", "part"), ("leaves", "part"), ("is-gone", "part")]);
    delivery.deliver_changes(pair, changes).await.unwrap();
    assert_eq!(target(&world).await, owned([("comes-0", "now")]));
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_may_not_be_converted_sets_the_whole_row_aside() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.conversions = &Conversion::ALL;
    (world.options.strict, world.options.max_dead_letters) = (true, 5);
    world.fill("c", batch([("a".to_owned(), "now\0")])).await;
    let (prepared, delivery) = begun(&world).await;
    delivery.deliver_changes(&prepared.pairs[0], patch(&[("a", "now\0"), ("is-gone", "\0")])).await.unwrap();
    assert_eq!(letters(&world).await, ["a"]);
    let whole = world.journal.dead_letter(&world.spec.id(), "c", "a").await.unwrap().unwrap();
    assert_eq!((whole.document.as_deref(), whole.embedding), (Some("now\0"), Some(vec![0.5; 4])));
}

#[tokio::test(start_paused = true)]
async fn a_refused_patch_sets_its_row_aside_and_the_other_rows_of_the_batch_arrive() {
    let mut world = World::new(calm(), Weather::new(0, Duration::ZERO, "bad"), Faults::default());
    world.options.max_dead_letters = 5;
    world.fill("c", batch([("a".to_owned(), "bad"), ("b".to_owned(), "fine")])).await;
    let (prepared, delivery) = begun(&world).await;
    let pair = &prepared.pairs[0];
    pair.target.apply(upserts(&[("a", "old"), ("gone", "old")]), WriteMode::Upsert).await.unwrap();
    let mut changes = patch(&[("a", "bad"), ("b", "fine")]);
    changes.upserts = upserts(&[("c", "new")]).upserts;
    changes.deletes = vec!["gone".to_owned()];
    delivery.deliver_changes(pair, changes).await.unwrap();
    assert_eq!(letters(&world).await, ["a"]);
    assert_eq!(target(&world).await, owned([("a", "old"), ("b", "fine"), ("c", "new")]));
}

#[tokio::test(start_paused = true)]
async fn a_patch_of_a_dead_letter_brings_the_row_whole() {
    let mut world = World::new(calm(), Weather::new(0, Duration::ZERO, "bad"), Faults::default());
    world.options.max_dead_letters = 5;
    world.fill("c", batch([("a".to_owned(), "bad")])).await;
    let (prepared, delivery) = begun(&world).await;
    let pair = &prepared.pairs[0];
    delivery.deliver_changes(pair, upserts(&[("a", "bad")])).await.unwrap();
    assert_eq!(letters(&world).await, ["a"]);
    world.fill("c", batch([("a".to_owned(), "corrected")])).await;
    delivery.deliver_changes(pair, patch(&[("a", "corrected")])).await.unwrap();
    assert_eq!(letters(&world).await, [""; 0]);
    assert_eq!(target(&world).await, owned([("a", "corrected")]));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_known_to_the_next_run_and_counts_once() {
    let mut world = World::new(calm(), Weather::new(0, Duration::ZERO, "bad"), Faults::default());
    world.options.max_dead_letters = 1;
    world.fill("c", batch([("a".to_owned(), "bad")])).await;
    for _ in 0..3 {
        let (prepared, delivery) = begun(&world).await;
        delivery.deliver_changes(&prepared.pairs[0], upserts(&[("a", "bad"), ("b", "fine")])).await.unwrap();
    }
    let (prepared, delivery) = begun(&world).await;
    let error = delivery.deliver_changes(&prepared.pairs[0], upserts(&[("c", "bad")])).await.unwrap_err();
    assert!(error.kind() == ErrorKind::RowRefused && error.what().contains("\"c\""), "{error}");
    assert_eq!(letters(&world).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_refused_though_it_was_converted_is_kept_as_the_source_has_it() {
    let mut world = World::new(calm(), Weather::new(0, Duration::ZERO, "b␀d"), Faults::default());
    world.conversions = &Conversion::ALL;
    world.options.max_dead_letters = 1;
    world.fill("c", batch([])).await;
    let (prepared, delivery) = begun(&world).await;
    delivery.deliver_changes(&prepared.pairs[0], upserts(&[("a", "b\0d"), ("b", "\0")])).await.unwrap();
    let kept = world.journal.dead_letter(&world.spec.id(), "c", "a").await.unwrap().unwrap();
    assert_eq!(kept.document.as_deref(), Some("b\0d"));
    let converted = world.journal.converted(&world.spec.id()).await.unwrap();
    assert_eq!(converted[0].ids, ["b"]);
    assert_eq!(target(&world).await, owned([("b", "␀")]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_nothing_but_refused_rows_is_given_up_as_soon_as_there_are_too_many() {
    let weather = Weather::new(0, Duration::ZERO, "bad");
    let world = World::new(calm(), Arc::clone(&weather), Faults::default());
    world.fill("c", batch([])).await;
    let (prepared, delivery) = begun(&world).await;
    let rows: Vec<(String, &str)> = (0..4_096).map(|i| (format!("{i:04}"), "bad")).collect();
    let changes = ChangeBatch::upserts(batch(rows));
    let error = delivery.deliver_changes(&prepared.pairs[0], changes).await.unwrap_err();
    assert!(error.what().contains("\"0000\""), "the first: {error}");
    let attempts = weather.seed.load(Ordering::Relaxed);
    assert!(attempts <= 1 + 2 * 12, "{attempts} attempts for one row of 4,096");
}
