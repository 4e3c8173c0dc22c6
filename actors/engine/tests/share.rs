//! Links that carry a part of a palace, under other names, to targets that cannot hold every row.

use super::*;
use async_trait::async_trait;
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{Applied, Conversion, Descriptor, Error, Finding, Result};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

/// A target that refuses rows whose document is `bad`, forces conversions, and has not heard of anything else.
struct Picky(&'static [Conversion]);

#[async_trait]
impl Between for Picky {
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        Descriptor { conversions: self.0, ..behind.clone() }
    }

    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let is_bad = batch.upserts.iter().flat_map(RowBatch::rows).any(|row| row.document == Some("bad"));
        match is_bad {
            true => Err(Error::new(ErrorKind::RowRefused, "a row that does not fit")),
            false => behind.apply(batch, mode).await,
        }
    }
}

/// A target that has a row written to its source, where the copy has been already, while it takes the first rows.
struct Meddling(Arc<MemoryBackend>, AtomicBool);

#[async_trait]
impl Between for Meddling {
    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        if !self.1.swap(true, Ordering::SeqCst) {
            let source = self.0.open(&reference("source"), OpenMode::Write.into()).await?;
            let collection = source.collection(COLLECTION).await?;
            let mut row = RowBatchBuilder::with_capacity(1, 4);
            row.push(Row { id: "before-all", document: None, metadata: "{}", embedding: None }).unwrap();
            collection.apply(ChangeBatch::upserts(row.finish().unwrap()), WriteMode::Upsert).await?;
        }
        behind.apply(batch, mode).await
    }
}

impl World {
    fn picky(conversions: &'static [Conversion]) -> Self {
        let mut world = Self::new();
        world.target = interpose(Arc::clone(&world.target), Arc::new(Picky(conversions)));
        world
    }

    fn upsert(&self, rows: &[(&str, &str, serde_json::Value)]) {
        let mut batch = RowBatchBuilder::with_capacity(rows.len(), 4);
        for (id, document, metadata) in rows {
            let metadata = metadata.to_string();
            let embedding = Some(&[0.25, 0.5, -1.0, 0.0][..]);
            batch.push(Row { id, document: Some(document), metadata: &metadata, embedding }).unwrap();
        }
        let batch = batch.finish().unwrap();
        self.change(|collection| async move {
            collection.apply(ChangeBatch::upserts(batch), WriteMode::Upsert).await.unwrap();
        });
    }

    fn delete(&self, id: &str) {
        let deletes = vec![id.to_owned()];
        self.change(|collection| async move {
            let batch = ChangeBatch { deletes, ..ChangeBatch::default() };
            collection.apply(batch, WriteMode::Upsert).await.unwrap();
        });
    }

    fn lossless(&self) -> bool {
        self.runtime.block_on(async {
            let palace = self.target.open(&reference("target"), OpenMode::Write.into()).await.unwrap();
            palace.migration_log().await.unwrap()[0].details["lossless"].as_bool().unwrap()
        })
    }
}

fn follows(world: &World, running: &Running, id: &str, document: Option<&str>) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let found = world.copied().into_iter().find(|(there, _)| there == id).map(|(_, document)| document);
        if found.as_deref() == document {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{id} is {found:?}, not {document:?}: {}", running.reasons());
        std::thread::yield_now();
    }
}

fn finding<'a>(findings: &'a [Finding], name: &str) -> Option<&'a Finding> {
    findings.iter().find(|finding| finding.name == name)
}

#[test]
fn a_filtered_mirror_follows_rows_into_and_out_of_its_filter() {
    let mut world = World::new();
    world.filter = Some(json!({"room": {"$ne": "b"}}));
    world.upsert(&[("x-out", "never", json!({"room": "b"})), ("x-leaves", "first", json!({"room": "a"}))]);
    let mut running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    assert_eq!(world.copied().len(), ROWS as usize + 1);
    world.upsert(&[
        ("x-leaves", "second", json!({"room": "b"})),
        ("x-comes", "second", json!({"room": "c"})),
        ("x-passes-by", "second", json!({"room": "b"})),
    ]);
    follows(&world, &running, "x-leaves", None);
    follows(&world, &running, "x-comes", Some("second"));
    world.upsert(&[("x-out", "now", json!({}))]);
    follows(&world, &running, "x-out", Some("now"));
    world.delete("x-comes");
    follows(&world, &running, "x-comes", None);
    assert_eq!(world.copied().len(), ROWS as usize + 1);
    running.engine.drain();
    assert_eq!(running.end().outcome, Outcome::Interrupted);
    running.engine.shut_down();
}

#[test]
fn a_filtered_migration_is_verified_for_what_passes_and_never_called_lossless() {
    let mut world = World::new();
    world.filter = Some(json!({"room": "b"}));
    world.upsert(&[("x", "d", json!({"room": "b"})), ("y", "d", json!({"room": "c"}))]);
    world.renames.insert(COLLECTION.to_owned(), "elsewhere".to_owned());
    let mut running = world.engine(LinkKind::Migrate);
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Verified, "{}", running.reasons());
    let report = end.report.unwrap();
    assert_eq!((report.collections[0].name.as_str(), report.equal_rows()), (COLLECTION, 1));
    assert!(report.not_compared.iter().any(|text| text.contains("filter")), "{:?}", report.not_compared);
    assert_eq!(world.copied_to("elsewhere"), [("x".to_owned(), "d".to_owned())]);
    assert!(!world.lossless());
    running.engine.shut_down();

    let world = World::new();
    let mut running = world.engine(LinkKind::Migrate);
    assert_eq!(running.end().outcome, Outcome::Verified);
    assert!(world.lossless());
    running.engine.shut_down();
}

#[test]
fn two_collections_are_not_copied_onto_one_name_and_nothing_is_written() {
    for (from, to, kind) in [
        (COLLECTION, "other", ErrorKind::InvalidRequest),
        ("nowhere", "elsewhere", ErrorKind::CollectionNotInitialized),
    ] {
        let mut world = World::new();
        world.runtime.block_on(async {
            let palace = world.source.open(&reference("source"), OpenMode::Write.into()).await.unwrap();
            let spec = CollectionSpec {
                name: "other".into(),
                dimension: 4,
                metric: Metric::L2,
                identity: None,
                incarnation: "another".into(),
                settings: Default::default(),
            };
            palace.create_collection(&spec).await.unwrap();
        });
        world.renames.insert(from.to_owned(), to.to_owned());
        let mut running = world.engine(LinkKind::Migrate);
        let outcome = running.end().outcome;
        assert!(matches!(&outcome, Outcome::Halted(failure) if failure.kind == kind), "{outcome:?}");
        running.engine.shut_down();
        let there = world.runtime.block_on(world.target.open(&reference("target"), OpenMode::Write.into()));
        assert_eq!(there.err().unwrap().kind(), ErrorKind::PalaceNotFound);
    }
}

#[test]
fn a_copy_with_dead_letters_is_never_equal_and_says_which_rows_are_missing() {
    let mut world = World::picky(&[]);
    world.max_dead_letters = 5;
    world.upsert(&[("x-1", "bad", json!({})), ("x-2", "bad", json!({}))]);
    let mut running = world.engine(LinkKind::Migrate);
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Different, "{}", running.reasons());
    let ids: Vec<_> = end.account.dead_letters.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!((ids, end.rows), (vec!["x-1", "x-2"], u64::from(ROWS)));
    assert_eq!(finding(&end.findings, "dead-letters").unwrap().rows, ["x-1", "x-2"]);
    let missing =
        end.report.unwrap().collections[0].differences.iter().map(|row| row.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(missing, ["x-1", "x-2"]);
    assert_eq!(running.wait_until(|_| true).links[0].dead_letters, 2);
    running.engine.shut_down();
}

#[test]
fn a_source_that_changes_under_the_copy_is_told_and_the_copy_is_not_called_lossless() {
    let mut world = World::new();
    let meddling = Meddling(Arc::clone(&world.source), AtomicBool::new(false));
    world.target = interpose(Arc::clone(&world.target), Arc::new(meddling));
    let mut running = world.engine(LinkKind::Migrate);
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Different, "{}", running.reasons());
    let report = end.report.unwrap();
    let ids: Vec<_> = report.collections[0].differences.iter().map(|row| row.id()).collect();
    assert_eq!(ids, ["before-all"]);
    assert!(!world.lossless());
    running.engine.shut_down();
}

#[test]
fn a_copy_that_may_set_nothing_aside_halts_and_names_the_row() {
    let world = World::picky(&[]);
    world.upsert(&[("x-1", "bad", json!({}))]);
    let mut running = world.engine(LinkKind::Migrate);
    let Outcome::Halted(failure) = running.end().outcome else { panic!("{}", running.reasons()) };
    assert!(failure.kind == ErrorKind::RowRefused && failure.reason.contains("\"x-1\""), "{failure:?}");
    running.engine.shut_down();
}

#[test]
fn a_mirror_sets_a_refused_row_aside_goes_on_and_takes_it_back_when_it_is_corrected() {
    let mut world = World::picky(&[]);
    world.max_dead_letters = 5;
    let mut running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    world.upsert(&[("x-1", "bad", json!({})), ("x-2", "good", json!({})), ("x-3", "bad", json!({}))]);
    running.wait_until(|snapshot| snapshot.links[0].dead_letters == 2);
    follows(&world, &running, "x-2", Some("good"));
    world.upsert(&[("x-1", "corrected", json!({}))]);
    running.wait_until(|snapshot| snapshot.links[0].dead_letters == 1);
    follows(&world, &running, "x-1", Some("corrected"));
    world.delete("x-3");
    running.wait_until(|snapshot| snapshot.links[0].dead_letters == 0);
    assert_eq!(world.runtime.block_on(world.journal.dead_letters(&running.id)).unwrap(), []);
    running.engine.drain();
    assert_eq!(running.end().outcome, Outcome::Interrupted);
    running.engine.shut_down();
}

#[test]
fn converted_rows_are_equal_to_what_they_were_converted_from_and_are_told() {
    let world = World::picky(&Conversion::ALL);
    world.upsert(&[("x-1", "a\0b", json!({"k\0": "v"}))]);
    let mut running = world.engine(LinkKind::Migrate);
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Verified, "{}", running.reasons());
    assert_eq!((end.account.conversions[0].count, end.account.conversions[0].ids.as_slice()), (1, &["x-1".into()][..]));
    assert_eq!(finding(&end.findings, "converted-rows").unwrap().rows, ["x-1"]);
    running.engine.shut_down();
    assert!(!world.lossless());
    assert!(world.copied().contains(&("x-1".to_owned(), "a␀b".to_owned())));
}
