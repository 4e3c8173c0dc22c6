//! Copies under virtual time between palaces in memory, whose answers take as long as a seed says.

use crate::link::LinkOptions;
use crate::link::work::testing::{FOR_EVER, Told, Weather, World, batch, calm, numbered};
use crate::link::work::{Done, Prepared};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{
    Collection, Conversion, ErrorKind, Filter, GetRequest, KeyRange, QueryRequest, RowStream, ScanOrder, ScanRequest,
    Selection,
};
use palanquin_engine::journal::Journal;
use palanquin_engine::link::{Positions, passing};
use palanquin_engine::rows::RowBatch;
use palanquin_memory::{Fault, Faults, Point};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn partitions_are_read_and_written_at_once_and_every_row_arrives() {
    let slow = || Weather::new(3, Duration::from_millis(200), "");
    let (source, target) = (slow(), slow());
    let world = World::new(Arc::clone(&source), Arc::clone(&target), Faults::default());
    world.fill("c", numbered(0..1_000)).await;
    let (done, told) = world.run().await;
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    world.assert_equal("c").await;
    assert_eq!((source.reading.most(), target.writing.most()), (4, 2));
    let positions = told.positions.lock().unwrap();
    assert_eq!((positions.partitions_done(), positions.rows()), (17, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_one_writer_never_gets_two() {
    let (source, target) = (calm(), Weather::new(4, Duration::from_millis(50), ""));
    let mut world = World::new(source, Arc::clone(&target), Faults::default());
    (world.readers, world.writers) = (4, 1);
    world.fill("c", numbered(0..1_000)).await;
    world.fill("d", numbered(0..500)).await;
    assert!(matches!(world.run().await.0, Ok(Done::Copied)));
    assert_eq!(target.writing.most(), 1);
    world.assert_equal("c").await;
    world.assert_equal("d").await;
}

/// Every combination a seed comes up with ends, whatever waits for what: credit for a few rows and rows larger than all
/// of it, more readers than writers and the other way round, commits larger than the credit.
#[tokio::test(start_paused = true)]
async fn no_mix_of_readers_writers_credit_and_row_sizes_waits_for_ever() {
    const SEED: u64 = 2_026;
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let documents: Vec<String> = [1, 100, 3_000, 40_000].iter().map(|size| "x".repeat(*size)).collect();
    for round in 0..40 {
        let mut weather = |most: u64| Weather::new(rng.random(), Duration::from_millis(rng.random_range(0..most)), "");
        let (source, target) = (weather(100), weather(1_000));
        let mut world = World::new(source, target, Faults::default());
        (world.readers, world.writers) = (rng.random_range(1..6), rng.random_range(1..6));
        world.options = LinkOptions {
            credit_bytes: *[1, 2_000, 20_000, 200_000].choose(&mut rng).unwrap(),
            batch_rows: rng.random_range(1..40),
            batch_bytes: *[1, 4_000, 1 << 20].choose(&mut rng).unwrap(),
            commit_rows: *[1, 30, 10_000].choose(&mut rng).unwrap(),
            partition_rows: rng.random_range(1..80),
            // Nothing but the wait for credit makes a commit before the end.
            keep_back_at_most: FOR_EVER * 2,
            ..world.options
        };
        for name in ["c", "d"].iter().take(rng.random_range(1..3)) {
            let rows = rng.random_range(0..200);
            let rows = batch((0..rows).map(|i| (format!("{i:04}"), documents.choose(&mut rng).unwrap().as_str())));
            world.fill(name, rows).await;
        }
        let (readers, writers, options) = (world.readers, world.writers, world.options);
        println!("round {round}: {readers} readers, {writers} writers, {options:?}");
        let (done, _) = world.run().await;
        assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
        world.assert_equal("c").await;
    }
}

/// Cut off at any moment, with several partitions under way; answers of the target are lost, others never come. Memory's
/// own append refuses an id that is there, so an unsound append fails the test.
#[tokio::test(start_paused = true)]
async fn a_copy_cut_off_at_any_moment_is_continued_on_the_same_plan_without_loss_or_an_unsound_append() {
    const SEED: u64 = 1_989;
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    for round in 0..60 {
        let faults = Faults::default();
        let mut weather = || Weather::new(rng.random(), Duration::from_millis(40), "");
        let (source, target) = (weather(), weather());
        let mut world = World::new(source, target, faults.clone());
        (world.readers, world.writers) = (rng.random_range(1..5), rng.random_range(1..4));
        world.fill("c", numbered(0..600)).await;
        let plan = world.prepare().await.plan;
        let mut runs = 0;
        loop {
            runs += 1;
            assert!(runs < 100, "round {round}");
            let told = Told::default();
            let prepared = Arc::new(world.prepare().await);
            assert_eq!(prepared.plan, plan, "planned once");
            let point = if rng.random() { Point::AfterApply } else { Point::BeforeApply };
            faults.inject(point, rng.random_range(2..12), Fault::Fail(ErrorKind::Unavailable));
            // What a run that was killed wrote can no longer arrive; one that was cut off may still write.
            let desk = world.desk(&told, rng.random_bool(0.3));
            let moment = Duration::from_millis(rng.random_range(1..400));
            let done = timeout(moment, super::run(&desk, Arc::clone(&prepared))).await;
            // Positions reach the journal late, or not at all.
            if rng.random_bool(0.7) {
                world.record(&prepared, &told).await;
            }
            match done {
                Ok(Ok(Done::Copied)) => break,
                Ok(Err(error)) => assert_eq!(error.kind(), ErrorKind::Unavailable, "round {round}: {error}"),
                Ok(other) => panic!("round {round}: {other:?}"),
                Err(_) => {}
            }
        }
        world.assert_equal("c").await;
    }
}

#[tokio::test(start_paused = true)]
async fn rows_a_target_refuses_are_set_aside_before_any_position_passes_them() {
    let target = Weather::new(5, Duration::from_millis(5), "bad");
    let mut world = World::new(calm(), target, Faults::default());
    world.options.max_dead_letters = 10;
    world.options.partition_rows = 30;
    let bad = [0, 7, 8, 29, 30, 99];
    world.fill("c", batch((0..100).map(|i| (format!("{i:03}"), if bad.contains(&i) { "bad" } else { "d" })))).await;
    let (done, told) = world.run().await;
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    assert_eq!(told.positions.lock().unwrap().rows(), 94, "rows that arrived");
    let kept = world.journal.dead_letters(&world.spec.id()).await.unwrap();
    let ids: Vec<String> = kept.into_iter().map(|letter| letter.about.id).collect();
    assert_eq!(ids, bad.map(|i| format!("{i:03}")));
    assert_eq!(world.rows(&world.target, "target", "c").await.len(), 94);
    let whole = world.journal.dead_letter(&world.spec.id(), "c", "007").await.unwrap().unwrap();
    assert_eq!((whole.document.as_deref(), whole.embedding), (Some("bad"), Some(vec![0.5; 4])));
    assert_eq!(whole.about.reason, "RowRefused");
}

#[tokio::test(start_paused = true)]
async fn one_row_too_many_halts_the_copy_and_is_named_and_a_higher_limit_goes_on() {
    let mut world = World::new(calm(), Weather::new(5, Duration::ZERO, "bad"), Faults::default());
    (world.readers, world.writers) = (1, 1);
    world.fill("c", batch((0..100).map(|i| (format!("{i:03}"), if i % 25 == 3 { "bad" } else { "d" })))).await;
    let (done, _) = world.run().await;
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RowRefused);
    assert!(error.what().contains("\"003\""), "{error}");
    assert_eq!(world.journal.dead_letters(&world.spec.id()).await.unwrap(), [], "none may be set aside");
    world.options.max_dead_letters = 2;
    let error = world.run().await.0.unwrap_err();
    assert!(error.what().contains("\"053\""), "{error}");
    world.options.max_dead_letters = 4;
    let (done, told) = world.run().await;
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    assert_eq!(world.journal.dead_letters(&world.spec.id()).await.unwrap().len(), 4);
    assert_eq!(world.rows(&world.target, "target", "c").await.len(), 96);
    assert!(told.moved.load(Ordering::SeqCst) > 0);
}

#[tokio::test(start_paused = true)]
async fn a_filtered_copy_holds_what_passes_under_its_new_name_and_positions_pass_the_rest() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.spec.filter = Some(serde_json::json!({"room": "a"}));
    world.spec.renames.insert("c".to_owned(), "renamed".to_owned());
    world.fill("c", numbered(0..500)).await;
    let (done, told) = world.run().await;
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    let target = world.rows(&world.target, "target", "renamed").await;
    assert!(target.len() == 50 && target.keys().all(|id| id.ends_with('0')));
    let positions = told.positions.lock().unwrap().clone();
    assert_eq!((positions.rows(), positions.partitions_done()), (50, 9));
    let prepared = world.prepare().await;
    assert_eq!(prepared.pairs[0].as_copied.count().await.unwrap(), 50);
    assert_eq!(prepared.pairs[0].as_copied.last_id(&KeyRange::ALL).await.unwrap().as_deref(), Some("row-00490"));
}

/// A store that leaves out what does not pass, and remembers how it was asked.
#[derive(Default)]
struct LeavesOut {
    filtered: AtomicUsize,
    whole: AtomicUsize,
}

#[async_trait]
impl Between for LeavesOut {
    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        self.whole.fetch_add(1, Ordering::SeqCst);
        behind.scan(request)
    }

    fn scan_passing(&self, behind: &dyn Collection, request: ScanRequest, filter: &Filter) -> RowStream {
        self.filtered.fetch_add(1, Ordering::SeqCst);
        let filter = filter.clone();
        behind.scan(request).map(move |batch| passing(&filter, batch?)).boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_leaves_out_what_does_not_pass_of_copies_and_of_what_they_are_compared_with() {
    let mut world = World::new(calm(), calm(), Faults::default());
    let asked = Arc::new(LeavesOut::default());
    world.fill("c", numbered(0..500)).await;
    world.source = interpose(Arc::clone(&world.source), Arc::clone(&asked) as Arc<dyn Between>);
    world.spec.filter = Some(serde_json::json!({"room": "a"}));
    let (done, told) = world.run().await;
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    assert_eq!(world.rows(&world.target, "target", "c").await.len(), 50);
    assert_eq!(told.positions.lock().unwrap().partitions_done(), 9);
    let copied = asked.filtered.load(Ordering::SeqCst);
    assert!(copied >= 9, "{copied} scans of 9 partitions");
    assert_eq!(world.prepare().await.pairs[0].as_copied.count().await.unwrap(), 50);
    assert_eq!(asked.filtered.load(Ordering::SeqCst), copied + 1);
    assert_eq!(asked.whole.load(Ordering::SeqCst), 0, "nothing was read whole");
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_nothing_passes_comes_to_its_end() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.spec.filter = Some(serde_json::json!({"room": "nowhere"}));
    world.fill("c", numbered(0..500)).await;
    let (done, told) = world.run().await;
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    assert_eq!(told.positions.lock().unwrap().partitions_done(), 9);
    assert!(world.rows(&world.target, "target", "c").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_target_forces_is_converted_counted_once_and_what_nothing_makes_fit_is_set_aside() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.conversions = &Conversion::ALL;
    world.options.max_dead_letters = 1;
    let rows = [("a", "plain"), ("b", "x\0y"), ("c\0", "plain"), ("d", "\0")];
    world.fill("c", batch(rows.map(|(id, document)| (id.to_owned(), document)))).await;
    for _ in 0..2 {
        let (done, _) = world.run().await;
        assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
        let converted = world.journal.converted(&world.spec.id()).await.unwrap();
        assert_eq!((converted[0].count, converted[0].ids.as_slice()), (2, ["b".to_owned(), "d".to_owned()].as_slice()));
        // All of it once more, as after a crash before the first position was stored.
        let claim = world.journal.claim(&world.spec).await.unwrap();
        let kept = world.journal.dead_letters(&claim.link).await.unwrap();
        assert_eq!(kept.iter().map(|letter| letter.about.id.as_str()).collect::<Vec<_>>(), ["c\0"]);
        let prepared = Prepared { positions: Positions::default(), ..world.prepare().await };
        let desk = world.desk(&Told::default(), true);
        assert!(matches!(super::run(&desk, Arc::new(prepared)).await, Ok(Done::Copied)));
    }
    let target = world.rows(&world.target, "target", "c").await;
    let documents: Vec<_> = target.into_iter().map(|(id, document)| (id, document.unwrap())).collect();
    assert_eq!(documents, [("a", "plain"), ("b", "x␀y"), ("d", "␀")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_a_copy_is_compared_with_is_filtered_and_converted_however_it_is_read() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.conversions = &Conversion::ALL;
    world.spec.filter = Some(serde_json::json!({"room": "a"}));
    let rows = [("a-0", "x\0y"), ("b", "\0"), ("c-0", "plain"), ("d\0-0", "\0")];
    world.fill("c", batch(rows.map(|(id, document)| (id.to_owned(), document)))).await;
    let prepared = world.prepare().await;
    let as_copied = &prepared.pairs[0].as_copied;
    let expected = [("a-0", "x␀y"), ("c-0", "plain"), ("d\0-0", "\0")];
    let scan = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 2 };
    let batches: Vec<RowBatch> = as_copied.scan(scan).try_collect().await.unwrap();
    let scanned: Vec<_> = batches.iter().flat_map(RowBatch::rows).map(|row| (row.id, row.document.unwrap())).collect();
    assert_eq!(scanned, expected);
    let named = GetRequest::of(Selection::ids(rows.map(|(id, _)| id)));
    let got = as_copied.get(&named).await.unwrap();
    let got: Vec<_> =
        got.ids.iter().map(String::as_str).zip(got.documents.iter().flatten().map(String::as_str)).collect();
    assert_eq!(got, expected);
    let found = as_copied.query(&QueryRequest::of(vec![vec![0.5; 4]], 10)).await.unwrap();
    assert_eq!((as_copied.count().await.unwrap(), found.ids[0].len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_strict_copy_converts_nothing_and_sets_aside_what_it_would_have_to() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.conversions = &Conversion::ALL;
    world.options.strict = true;
    world.fill("c", batch([("a".to_owned(), "plain"), ("b".to_owned(), "\0")])).await;
    let error = world.run().await.0.unwrap_err();
    assert!(error.kind() == ErrorKind::RowRefused && error.what().contains("--strict"), "{error}");
    world.options.max_dead_letters = 1;
    assert!(matches!(world.run().await.0, Ok(Done::Copied)));
    assert_eq!(world.journal.converted(&world.spec.id()).await.unwrap(), []);
    let kept = world.journal.dead_letter(&world.spec.id(), "c", "b").await.unwrap().unwrap();
    assert_eq!(kept.document.as_deref(), Some("\0"), "as the source has it");
    assert_eq!(world.rows(&world.target, "target", "c").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limited_copy_takes_as_long_as_its_rate_says_and_shows_signs_of_life() {
    let mut world = World::new(calm(), calm(), Faults::default());
    world.options.max_rows_per_second = Some(2);
    world.options.batch_rows = 1_000;
    world.fill("c", numbered(0..200)).await;
    let told = Told::default();
    let desk = world.desk(&told, false);
    let mut watchdog = crate::supervise::Watchdog::new(desk.heartbeat.clone(), Duration::from_secs(10));
    let began = Instant::now();
    let prepared = Arc::new(world.prepare().await);
    let mut copy = Box::pin(super::run(&desk, prepared));
    let mut halfway = 0;
    let done = loop {
        tokio::select! {
            done = &mut copy => break done,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                assert!(watchdog.stalled_for().is_none());
                if began.elapsed() > Duration::from_secs(50) && halfway == 0 {
                    halfway = told.positions.lock().unwrap().rows();
                }
            }
        }
    };
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    let seconds = began.elapsed().as_secs();
    assert!((98..=105).contains(&seconds), "{seconds}");
    assert!((60..=110).contains(&halfway), "{halfway}: rows are not kept back for a full commit");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_copy_makes_durable_what_it_has_read_and_cuts_off_nothing() {
    let weather = || Weather::new(9, Duration::from_millis(100), "");
    let (source, target) = (weather(), weather());
    let world = World::new(source, Arc::clone(&target), Faults::default());
    world.fill("c", numbered(0..2_000)).await;
    let told = Told::default();
    let desk = world.desk(&told, false);
    let prepared = Arc::new(world.prepare().await);
    let copy = super::run(&desk, Arc::clone(&prepared));
    let stop = async {
        while told.moved.load(Ordering::SeqCst) < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        desk.shift.stop.cancel();
    };
    let (done, ()) = tokio::join!(copy, stop);
    assert!(matches!(done, Ok(Done::Stopped)), "{done:?}");
    assert_eq!(target.writing.now(), 0);
    let there = world.rows(&world.target, "target", "c").await.len() as u64;
    assert_eq!(told.positions.lock().unwrap().rows(), there, "every row that is there is recorded");
    assert!(there < 2_000 && !world.target_storage.picture(None).is_empty());
}

/// Peers lose rows here: ranges cut anew on resume, positions stored before the rows are durable, an empty source that
/// panics, documents that are empty, the last batch alone kept.
#[tokio::test(start_paused = true)]
async fn an_empty_collection_one_row_and_empty_documents_are_copied_as_they_are() {
    let world = World::new(calm(), calm(), Faults::default());
    world.fill("c", batch([])).await;
    world.fill("d", batch([("only".to_owned(), "")])).await;
    let (done, told) = world.run().await;
    assert!(matches!(done, Ok(Done::Copied)), "{done:?}");
    assert_eq!(told.positions.lock().unwrap().partitions_done(), 2);
    world.assert_equal("c").await;
    let only = world.rows(&world.target, "target", "d").await;
    assert_eq!(only.get("only"), Some(&Some(String::new())));
}

#[tokio::test(start_paused = true)]
async fn a_position_never_passes_what_the_target_has_not_called_durable() {
    let faults = Faults::default();
    let world = World::new(calm(), Weather::new(1, Duration::from_millis(30), ""), faults.clone());
    world.fill("c", numbered(0..600)).await;
    faults.inject(Point::BeforeApply, 6, Fault::Fail(ErrorKind::StorageFull));
    let (done, told) = world.run().await;
    assert_eq!(done.unwrap_err().kind(), ErrorKind::StorageFull);
    let there = world.rows(&world.target, "target", "c").await;
    let plan = world.prepare().await.plan;
    let positions = told.positions.lock().unwrap().clone();
    assert!(positions.rows() > 0);
    for (collection, partition, position) in positions.partitions() {
        let range = &plan.collections[collection].partitions[partition].range;
        let done = |id: &String| range.contains(id) && (position.done || Some(id) <= position.upto.as_ref());
        let missing = (0..600).map(|i| format!("row-{i:05}")).find(|id| done(id) && !there.contains_key(id));
        assert_eq!(missing, None);
    }
}
