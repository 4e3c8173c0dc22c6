//! Rounds of comparison between palaces in memory, on virtual time.

use super::super::{Desk, Done, News, Prepared};
use super::carrying::Digested;
use crate::board::Board;
use crate::credit::Credit;
use crate::link::crew::Shift;
use crate::link::limits::Limits;
use crate::link::setup::{LinkOptions, LinkSetup, PalaceEnd};
use crate::link::work::difference::{Known, difference};
use crate::palace::{PalaceActor, PalaceSetup};
use crate::supervise::{ChildSpec, Heartbeat, Watchdog, spawn};
use futures::TryStreamExt;
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, ErrorKind, KeyRange, Metric, OpenMode, PalaceRef, Result,
    ScanOrder, ScanRequest, WriteMode, enforce,
};
use palanquin_engine::journal::{Carried, Journal, SqliteJournal};
use palanquin_engine::link::{LinkKind, LinkSpec, Phase, Position};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder, RowDigest};
use palanquin_memory::{Fault, Faults, MemoryBackend, Point};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(3_600);
const ROWS: u32 = 60;

/// A source with rows, an empty target, a journal.
struct World {
    source: Arc<MemoryBackend>,
    target: Arc<MemoryBackend>,
    source_faults: Faults,
    target_faults: Faults,
    journal: Arc<SqliteJournal>,
    spec: LinkSpec,
    _state: tempfile::TempDir,
}

/// What a link's work has told, and when.
#[derive(Clone, Default)]
struct Heard {
    rounds: Arc<Mutex<Vec<(Instant, u64, u64)>>>,
    positions: Arc<Mutex<Vec<(usize, usize, Position)>>>,
}

impl Heard {
    /// When each round ended, the rows it read and the changes it made.
    fn rounds(&self) -> Vec<(Instant, u64, u64)> {
        self.rounds.lock().unwrap().clone()
    }

    fn changes(&self) -> Vec<u64> {
        self.rounds().into_iter().map(|(.., changes)| changes).collect()
    }
}

fn reference(name: &str) -> PalaceRef {
    PalaceRef { id: name.into(), local_path: None, namespace: None }
}

fn batch<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str, f32)>) -> RowBatch {
    let mut batch = RowBatchBuilder::with_capacity(8, 2);
    for (id, document, component) in rows {
        let row = Row { id, document: Some(document), metadata: "{}", embedding: Some(&[component, 0.5]) };
        batch.push(row).unwrap();
    }
    batch.finish().unwrap()
}

impl World {
    async fn new() -> Self {
        let (source_faults, target_faults) = (Faults::default(), Faults::default());
        let state = tempfile::tempdir().unwrap();
        let mut spec = LinkSpec::new(LinkKind::Mirror, "memory:source", "memory:target");
        spec.scan_every_ms = Some(EVERY.as_millis() as u64);
        let world = Self {
            source: Arc::new(MemoryBackend::new(source_faults.clone())),
            target: Arc::new(MemoryBackend::new(target_faults.clone())),
            source_faults,
            target_faults,
            journal: Arc::new(SqliteJournal::open(state.path()).unwrap()),
            spec,
            _state: state,
        };
        let ids: Vec<String> = (0..ROWS).map(|i| format!("row-{i:03}")).collect();
        world.put(batch(ids.iter().map(|id| (id.as_str(), "first", 1.0)))).await;
        world
    }

    async fn collection(backend: &MemoryBackend, name: &str) -> Arc<dyn Collection> {
        let spec = CollectionSpec {
            name: "drawers".into(),
            dimension: 2,
            metric: Metric::Cosine,
            identity: None,
            incarnation: "source".into(),
            settings: Default::default(),
        };
        let palace = backend.open(&reference(name), OpenMode::Create.into()).await.unwrap();
        match palace.collection("drawers").await {
            Ok(there) => there,
            Err(_) => palace.create_collection(&spec).await.unwrap(),
        }
    }

    /// Faults are for the link, not for the test's own hand.
    async fn change(&self, change: ChangeBatch) {
        assert!(self.source_faults.are_spent());
        Self::collection(&self.source, "source").await.apply(change, WriteMode::Upsert).await.unwrap();
    }

    async fn put(&self, rows: RowBatch) {
        self.change(ChangeBatch::upserts(rows)).await;
    }

    async fn delete(&self, ids: &[&str]) {
        let deletes = ids.iter().map(|id| (*id).to_owned()).collect();
        self.change(ChangeBatch { deletes, ..ChangeBatch::default() }).await;
    }

    async fn rows(backend: &MemoryBackend, name: &str) -> BTreeMap<String, RowDigest> {
        let scan = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
        let batches: Vec<RowBatch> = Self::collection(backend, name).await.scan(scan).try_collect().await.unwrap();
        batches.iter().flat_map(RowBatch::rows).map(|row| (row.id.to_owned(), RowDigest::of(row))).collect()
    }

    async fn assert_equal(&self) {
        let (source, target) = (Self::rows(&self.source, "source").await, Self::rows(&self.target, "target").await);
        assert_eq!(source, target);
    }

    fn end(&self, name: &str, backend: &Arc<MemoryBackend>, board: &Board) -> PalaceEnd {
        let descriptor = backend.descriptor();
        let setup = PalaceSetup {
            address: format!("memory:{name}"),
            palace: reference(name),
            backend: enforce(Arc::clone(backend) as Arc<dyn Backend>),
            board: board.clone(),
            restarts: Arc::default(),
            monitor: Default::default(),
        };
        PalaceEnd {
            address: setup.address.clone(),
            backend: descriptor.name,
            capabilities: descriptor.capabilities.clone(),
            capture: descriptor.capture,
            fidelity: descriptor.fidelity,
            metrics: descriptor.metrics,
            maintenance_kinds: descriptor.maintenance_kinds,
            conversions: descriptor.conversions,
            keeps_settings: descriptor.keeps_settings,
            readers: descriptor.readers,
            writers: descriptor.writers,
            actor: spawn::<PalaceActor>(ChildSpec::permanent(name, 0), setup, |_| {}),
        }
    }

    /// The link's work, as a process that takes it over would begin it.
    fn desk(&self) -> (Desk, Heard) {
        let (board, _) = Board::new();
        let options = LinkOptions { batch_rows: 7, partition_rows: 25, commit_rows: 15, ..LinkOptions::default() };
        let setup = LinkSetup {
            id: self.spec.id(),
            spec: self.spec.clone(),
            source: self.end("source", &self.source, &board),
            target: self.end("target", &self.target, &board),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            board,
            credit: Credit::of_bytes(8_000),
            options,
            crew: Default::default(),
            standing: Default::default(),
            salvaged: Default::default(),
            limits: Limits::new(None, None, None),
            replaces: None,
            restarts: Arc::default(),
            monitor: Default::default(),
            ended: mpsc::unbounded_channel().0,
        };
        let shift = Shift { generation: 1, stop: CancellationToken::new(), suspect: false };
        let heard = Heard::default();
        let told = heard.clone();
        let tell = Arc::new(move |news| match news {
            News::Round { rows, changes, .. } => {
                told.rounds.lock().unwrap().push((Instant::now(), rows, changes));
            }
            News::Durable { collection, partition, position, .. } => {
                told.positions.lock().unwrap().push((collection, partition, position));
            }
            _ => {}
        });
        (Desk { setup, shift, heartbeat: Heartbeat::default(), tell }, heard)
    }

    /// Checks, copies if that is still to be done, and makes so many rounds.
    async fn mirror(&self, rounds: usize) -> Result<Heard> {
        let (desk, heard) = self.desk();
        let prepared = self.copied(&desk, &heard).await?;
        self.follow(&desk, &prepared, &heard, rounds).await?;
        Ok(heard)
    }

    async fn copied(&self, desk: &Desk, heard: &Heard) -> Result<Arc<Prepared>> {
        let Done::Checked(prepared) = super::super::run(Phase::Checking, desk.clone(), None).await? else {
            panic!("nobody told it to stop")
        };
        if !prepared.is_copied() {
            super::super::run(Phase::Copying, desk.clone(), Some(Arc::clone(&prepared))).await?;
            let positions = std::mem::take(&mut *heard.positions.lock().unwrap());
            self.journal.advance(&self.spec.id(), prepared.epoch, &positions, &[]).await?;
        }
        Ok(prepared)
    }

    async fn follow(&self, desk: &Desk, prepared: &Arc<Prepared>, heard: &Heard, rounds: usize) -> Result<()> {
        let work = super::super::run(Phase::CatchingUp, desk.clone(), Some(Arc::clone(prepared)));
        let until = async {
            while heard.rounds().len() < rounds {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            ended = work => ended.map(drop),
            () = until => Ok(()),
        }
    }
}

fn on_virtual_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(test));
}

#[test]
fn the_first_round_follows_the_copy_at_once_and_the_others_the_interval() {
    on_virtual_time(async {
        let world = World::new().await;
        let began = Instant::now();
        let heard = world.mirror(3).await.unwrap();
        let rounds = heard.rounds();
        assert!(rounds[0].0 - began < Duration::from_secs(1), "{:?}", rounds[0].0 - began);
        for pair in rounds.windows(2) {
            let apart = pair[1].0 - pair[0].0;
            assert!(apart >= EVERY && apart < EVERY + Duration::from_secs(2), "{apart:?}");
        }
        assert_eq!(rounds.iter().map(|(_, rows, changes)| (*rows, *changes)).collect::<Vec<_>>(), [(60, 0); 3]);
        world.assert_equal().await;
    });
}

#[test]
fn what_was_added_changed_and_removed_is_carried_over_and_the_target_is_not_read_for_it() {
    on_virtual_time(async {
        let world = World::new().await;
        let (desk, heard) = world.desk();
        let prepared = world.copied(&desk, &heard).await.unwrap();
        world.target_faults.inject(Point::Scan, 0, Fault::Panic);
        world.put(batch([("", "new", 1.0), ("row-003", "second", 1.0), ("row-004", "first", -0.0)])).await;
        world.put(batch([("row-030x", "new", 1.0), ("row-999", "new", 1.0)])).await;
        world.delete(&["row-000", "row-010", "row-011", "row-059"]).await;
        world.follow(&desk, &prepared, &heard, 2).await.unwrap();
        assert_eq!(heard.changes(), [9, 0]);
        assert!(!world.target_faults.are_spent(), "the target was read");
        // The fault is where it was meant to be: whoever reads the target meets it.
        let backend = Arc::clone(&world.target);
        assert!(tokio::spawn(async move { World::rows(&backend, "target").await }).await.is_err());
        world.assert_equal().await;
    });
}

#[test]
fn a_write_whose_answer_was_lost_is_made_again_even_if_the_source_went_back_meanwhile() {
    on_virtual_time(async {
        let world = World::new().await;
        assert_eq!(world.mirror(1).await.unwrap().changes(), [0]);
        world.put(batch([("row-005", "second", 1.0)])).await;
        world.delete(&["row-006"]).await;
        world.target_faults.inject(Point::AfterApply, 0, Fault::Fail(ErrorKind::Unavailable));
        world.target_faults.inject(Point::AfterApply, 0, Fault::Fail(ErrorKind::Unavailable));
        for _ in 0..2 {
            assert_eq!(world.mirror(1).await.err().unwrap().kind(), ErrorKind::Unavailable);
        }
        assert!(world.target_faults.are_spent());
        // Back to what the journal knew before the write, while the target holds the second document.
        world.put(batch([("row-005", "first", 1.0), ("row-006", "first", 1.0)])).await;
        assert_eq!(world.mirror(2).await.unwrap().changes(), [2, 0]);
        world.assert_equal().await;
    });
}

#[test]
fn a_row_that_was_written_and_not_recorded_is_removed_if_the_source_has_dropped_it() {
    on_virtual_time(async {
        let world = World::new().await;
        world.mirror(1).await.unwrap();
        world.put(batch([("row-100", "new", 1.0)])).await;
        world.target_faults.inject(Point::AfterApply, 0, Fault::Fail(ErrorKind::Unavailable));
        assert!(world.mirror(1).await.is_err());
        world.delete(&["row-100"]).await;
        assert_eq!(world.mirror(1).await.unwrap().changes(), [1]);
        world.assert_equal().await;
    });
}

#[test]
fn nothing_is_removed_before_the_source_was_read_to_its_end() {
    on_virtual_time(async {
        let world = World::new().await;
        world.mirror(1).await.unwrap();
        world.delete(&["row-000", "row-001"]).await;
        // A batch of the check, then eight of the scan, of which the last fails.
        world.source_faults.inject(Point::Scan, 7, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(world.mirror(1).await.err().unwrap().kind(), ErrorKind::Unavailable);
        assert_eq!(World::rows(&world.target, "target").await.len(), ROWS as usize);
        // Put back before anybody looks again: it was never removed, and is not now.
        world.put(batch([("row-000", "first", 1.0)])).await;
        world.mirror(1).await.unwrap();
        world.assert_equal().await;
    });
}

#[test]
fn a_source_without_rows_does_not_empty_the_target() {
    on_virtual_time(async {
        let world = World::new().await;
        world.mirror(1).await.unwrap();
        let ids: Vec<String> = (0..ROWS).map(|i| format!("row-{i:03}")).collect();
        world.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let error = world.mirror(1).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::CursorExpired, "{error}");
        assert_eq!(World::rows(&world.target, "target").await.len(), ROWS as usize);
    });
}

#[test]
fn waiting_for_the_next_round_is_a_sign_of_life() {
    on_virtual_time(async {
        let world = World::new().await;
        let (desk, heard) = world.desk();
        let prepared = world.copied(&desk, &heard).await.unwrap();
        let mut watchdog = Watchdog::new(desk.heartbeat.clone(), Duration::from_secs(10));
        let stalled = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if let Some(quiet) = watchdog.stalled_for() {
                    return quiet;
                }
            }
        };
        tokio::select! {
            followed = world.follow(&desk, &prepared, &heard, 3) => followed.unwrap(),
            quiet = stalled => panic!("no sign of life for {quiet:?}"),
        }
    });
}

#[test]
fn a_link_keeps_the_capture_level_it_was_begun_with() {
    on_virtual_time(async {
        let mut world = World::new().await;
        world.mirror(1).await.unwrap();
        world.spec.scan_every_ms = None;
        let error = world.mirror(1).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.to_string().contains("--capture scan"), "{error}");
    });
}

#[test]
fn digests_beyond_one_page_are_merged_with_the_source_row_by_row() {
    on_virtual_time(async {
        let world = World::new().await;
        let (desk, _) = world.desk();
        let claim = world.journal.claim(&world.spec).await.unwrap();
        let ids: Vec<String> = (0..12_000).map(|i| format!("{i:05}")).collect();
        let rows = batch(ids.iter().map(|id| (id.as_str(), "d", 1.0)));
        let carried = rows.rows().map(|row| (row.id.to_owned(), Carried::As(RowDigest::of(row)))).collect();
        let digests: &dyn Journal = world.journal.as_ref();
        digests.record_carried(&claim.link, claim.epoch, 0, carried).await.unwrap();
        let mut known = Known::of(Digested::of(&desk.setup, claim.epoch, 0).pages());
        let (mut missing, mut lacking) = (Vec::new(), 0);
        for start in (0..rows.len()).step_by(700).filter(|start| *start != 7_000) {
            let rows = rows.slice(start, 700.min(rows.len() - start));
            let found = difference(rows.clone(), rows, &mut known).await.unwrap();
            missing.extend(found.missing);
            lacking += found.upserts.map_or(0, |rows| rows.len());
        }
        assert_eq!((missing.len(), lacking), (700, 0));
        assert_eq!((missing[0].as_str(), missing[699].as_str()), ("07000", "07699"));
        assert!(known.rest(10).await.unwrap().is_none());
    });
}

#[test]
fn any_changes_and_any_lost_answers_end_in_equal_palaces() {
    for seed in 0..6 {
        on_virtual_time(async {
            let mut rng = StdRng::seed_from_u64(seed);
            let world = World::new().await;
            for _ in 0..4 {
                for _ in 0..rng.random_range(0..25) {
                    let id = format!("row-{:03}", rng.random_range(0..90));
                    if rng.random_bool(0.4) {
                        world.delete(&[&id]).await;
                    } else {
                        let document = if rng.random() { "first" } else { "second" };
                        world.put(batch([(id.as_str(), document, rng.random_range(0..2) as f32)])).await;
                    }
                }
                for _ in 0..rng.random_range(0..3) {
                    let point = if rng.random() { Point::BeforeApply } else { Point::AfterApply };
                    world.target_faults.inject(point, rng.random_range(0..4), Fault::Fail(ErrorKind::Unavailable));
                }
                // Each fault ends one attempt at most.
                let mut attempts = 0;
                while let Err(error) = world.mirror(2).await {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "seed {seed}: {error}");
                    attempts += 1;
                    assert!(attempts < 10, "seed {seed}");
                }
                let source = World::rows(&world.source, "source").await;
                let target = World::rows(&world.target, "target").await;
                assert_eq!(source, target, "seed {seed}");
            }
        });
    }
}
