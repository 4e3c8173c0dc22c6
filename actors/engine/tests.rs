//! Links between palaces in memory, with faults where only an adapter can put them.

mod gate;
mod maintenance;
mod mirror;
mod share;

use super::root::Request;
use super::{Engine, PalaceSource, Replaced, StartLink};
use crate::board::{ActKind, Connection, MaintenanceRun, RunState, Snapshot};
use crate::{Command, LinkEnd, LinkOptions};
use palanquin_engine::contract::{
    Backend, ChangeBatch, Collection, CollectionSpec, ErrorKind, KeyRange, LogEntry, MaintenanceStatus, Metric,
    OpenMode, PalaceRef, ScanOrder, ScanRequest, WriteMode,
};
use palanquin_engine::journal::{Journal, SqliteJournal};
use palanquin_engine::link::{LinkId, LinkKind, LinkSpec, LinkState, Outcome, Phase};
use palanquin_engine::parity::Verdict;
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use palanquin_memory::{Fault, Faults, MemoryBackend, Point};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const ROWS: u32 = 500;
const COLLECTION: &str = "mempalace_drawers";

/// A source with rows, an empty target, and a journal that outlives engines.
struct World {
    runtime: Arc<Runtime>,
    source: Arc<MemoryBackend>,
    target: Arc<dyn Backend>,
    journal: Arc<dyn Journal>,
    _state: tempfile::TempDir,
    source_faults: Faults,
    target_faults: Faults,
    credit_bytes: u64,
    max_dead_letters: u64,
    filter: Option<serde_json::Value>,
    renames: BTreeMap<String, String>,
}

fn rows(range: std::ops::Range<u32>, document: &str) -> RowBatch {
    let mut batch = RowBatchBuilder::with_capacity(range.len(), 4);
    for i in range {
        let (id, embedding) = (format!("row-{i:05}"), [i as f32, 0.5, -1.0, 0.0]);
        let row = Row { id: &id, document: Some(document), metadata: r#"{"room":"a"}"#, embedding: Some(&embedding) };
        batch.push(row).unwrap();
    }
    batch.finish().unwrap()
}

impl World {
    fn new() -> Self {
        let runtime =
            Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
        let (source_faults, target_faults) = (Faults::default(), Faults::default());
        let source = Arc::new(MemoryBackend::new(source_faults.clone()));
        let target = Arc::new(MemoryBackend::new(target_faults.clone()));
        let state = tempfile::tempdir().unwrap();
        let journal = Arc::new(SqliteJournal::open(state.path()).unwrap());
        let world = Self {
            runtime,
            source,
            target,
            journal,
            _state: state,
            source_faults,
            target_faults,
            credit_bytes: 64 << 20,
            max_dead_letters: 0,
            filter: None,
            renames: BTreeMap::new(),
        };
        world.change(|collection| async move {
            collection.apply(ChangeBatch::upserts(rows(0..ROWS, "first")), WriteMode::Append).await.unwrap();
        });
        world
    }

    fn change<F: Future<Output = ()>>(&self, change: impl FnOnce(Arc<dyn Collection>) -> F) {
        let spec = CollectionSpec {
            name: COLLECTION.into(),
            dimension: 4,
            metric: Metric::Cosine,
            identity: None,
            incarnation: "source".into(),
            settings: Default::default(),
        };
        self.runtime.block_on(async {
            let palace = self.source.open(&reference("source"), OpenMode::Create.into()).await.unwrap();
            change(palace.create_collection(&spec).await.unwrap()).await;
        });
    }

    fn share(&self, kind: LinkKind) -> LinkSpec {
        LinkSpec { filter: self.filter.clone(), renames: self.renames.clone(), ..Self::spec(kind) }
    }

    fn spec(kind: LinkKind) -> LinkSpec {
        LinkSpec::new(kind, "memory:source", "memory:target")
    }

    fn engine(&self, kind: LinkKind) -> Running {
        self.engine_of(self.share(kind), Arc::clone(&self.target) as Arc<dyn Backend>, None)
    }

    fn engine_of(&self, spec: LinkSpec, target: Arc<dyn Backend>, replaces: Option<Replaced>) -> Running {
        self.engine_between(spec, Arc::clone(&self.source) as Arc<dyn Backend>, target, replaces)
    }

    fn engine_between(
        &self,
        spec: LinkSpec,
        source: Arc<dyn Backend>,
        target: Arc<dyn Backend>,
        replaces: Option<Replaced>,
    ) -> Running {
        let engine = Engine::start(Arc::clone(&self.journal), Arc::clone(&self.runtime)).unwrap();
        let end = |name: &str, backend: Arc<dyn Backend>| PalaceSource {
            address: format!("memory:{name}"),
            palace: reference(name),
            backend,
        };
        let options = LinkOptions {
            credit_bytes: self.credit_bytes,
            batch_rows: 10,
            partition_rows: 120,
            commit_rows: 30,
            poll_every: Duration::from_millis(5),
            patience: Duration::from_secs(3),
            max_dead_letters: self.max_dead_letters,
            ..LinkOptions::default()
        };
        let (source, target) = (end("source", source), end("target", target));
        let (commands, obeyed) = mpsc::unbounded_channel();
        engine.obey(obeyed, &self.runtime);
        let id = spec.id();
        engine.start_link(StartLink { spec, source, target, options, replaces, lock: None }).unwrap();
        Running { engine, commands, id, runtime: Arc::clone(&self.runtime) }
    }

    /// Ids and documents of the target.
    fn copied(&self) -> Vec<(String, String)> {
        self.copied_to(COLLECTION)
    }

    fn copied_to(&self, name: &str) -> Vec<(String, String)> {
        use futures::TryStreamExt;
        self.runtime.block_on(async {
            let palace = self.target.open(&reference("target"), OpenMode::Write.into()).await.unwrap();
            let collection = palace.collection(name).await.unwrap();
            let scan = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1000 };
            let batches: Vec<RowBatch> = collection.scan(scan).try_collect().await.unwrap();
            let rows = batches.iter().flat_map(RowBatch::rows);
            rows.map(|row| (row.id.to_owned(), row.document.unwrap_or_default().to_owned())).collect()
        })
    }
}

fn reference(name: &str) -> PalaceRef {
    PalaceRef { id: name.into(), local_path: None, namespace: None }
}

struct Running {
    engine: Engine,
    commands: mpsc::UnboundedSender<Command>,
    id: LinkId,
    runtime: Arc<Runtime>,
}

impl Running {
    fn end(&mut self) -> LinkEnd {
        let next = async { tokio::time::timeout(Duration::from_secs(60), self.engine.next_end()).await };
        self.runtime.block_on(next).expect("the link ends within a minute").unwrap()
    }

    fn wait_until(&self, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut board = self.engine.board();
        let wait = async {
            tokio::time::timeout(Duration::from_secs(60), board.wait_for(|snapshot| wanted(snapshot)))
                .await
                .expect("it shows within a minute")
                .unwrap()
                .clone()
        };
        self.runtime.block_on(wait)
    }

    fn act(&self, kind: ActKind) {
        self.commands.send(Command::Act { link: self.id.clone(), kind }).unwrap();
    }

    fn reasons(&self) -> String {
        let board = self.engine.board();
        let events = board.borrow().events.clone();
        events.iter().map(|entry| format!("{}: {}\n", entry.event.who, entry.event.reason)).collect()
    }
}

#[track_caller]
fn assert_copied_after(fault: impl FnOnce(&World), reason: &str) {
    let world = World::new();
    fault(&world);
    let mut running = world.engine(LinkKind::Migrate);
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Verified, "{}", running.reasons());
    assert!(running.reasons().contains(reason), "{}", running.reasons());
    assert!(world.source_faults.are_spent() && world.target_faults.are_spent());
    running.engine.shut_down();
    assert_eq!(world.copied().len(), ROWS as usize);
}

#[test]
fn a_migration_copies_every_row_and_proves_it() {
    let world = World::new();
    let mut running = world.engine(LinkKind::Migrate);
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Verified);
    let report = end.report.unwrap();
    assert_eq!((report.verdict(), report.equal_rows()), (Verdict::Equal, u64::from(ROWS)));
    let snapshot = running.wait_until(|snapshot| snapshot.links[0].state == LinkState::Done { verified: true });
    let link = &snapshot.links[0];
    assert_eq!((link.rows_done, link.partitions_done), (u64::from(ROWS), link.partitions_total));
    assert_eq!(link.credit_used, 0);
    running.engine.shut_down();
}

#[test]
fn a_panic_of_the_source_driver_is_survived_and_told() {
    let fault = |world: &World| world.source_faults.inject(Point::Scan, 12, Fault::Panic);
    assert_copied_after(fault, "the source driver panicked: an injected panic at Scan");
}

#[test]
fn a_panic_of_the_target_driver_is_survived_and_told() {
    for point in [Point::BeforeApply, Point::AfterApply] {
        let fault = |world: &World| world.target_faults.inject(point, 5, Fault::Panic);
        assert_copied_after(fault, &format!("the target driver panicked: an injected panic at {point:?}"));
    }
}

#[test]
fn a_batch_whose_answer_was_lost_is_not_copied_twice() {
    let fault = |world: &World| world.target_faults.inject(Point::AfterApply, 7, Fault::Fail(ErrorKind::Unavailable));
    assert_copied_after(fault, "an injected fault at AfterApply");
}

#[test]
fn a_driver_that_hangs_is_cut_off_and_the_link_recovers() {
    let fault = |world: &World| world.target_faults.inject(Point::BeforeApply, 3, Fault::Hang);
    assert_copied_after(fault, "no sign of life for 3 s");
}

#[test]
fn a_panic_of_the_links_actor_is_survived_and_told() {
    let world = World::new();
    // Keeps the copy under way until the actor has been restarted.
    world.source_faults.inject(Point::Scan, 9, Fault::Hang);
    let mut running = world.engine(LinkKind::Migrate);
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.rows_done > 0));
    running.engine.request(Request::Crash(running.id.clone()));
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Verified, "{}", running.reasons());
    assert!(running.reasons().contains("panicked: an injected panic in the link's actor"), "{}", running.reasons());
    assert_eq!(running.wait_until(|_| true).links[0].restarts, 1);
    running.engine.shut_down();
    assert_eq!(world.copied().len(), ROWS as usize);
}

#[test]
fn a_panic_while_a_palace_is_opened_restarts_it_and_its_link() {
    let fault = |world: &World| world.source_faults.inject(Point::Open, 0, Fault::Panic);
    assert_copied_after(fault, "supervisor of palace memory:source: panicked: an injected panic at Open");
}

#[test]
fn a_full_disk_halts_the_link_and_resuming_finishes_it() {
    let world = World::new();
    world.target_faults.inject(Point::BeforeApply, 4, Fault::Fail(ErrorKind::StorageFull));
    let mut running = world.engine(LinkKind::Migrate);
    assert!(matches!(running.end().outcome, Outcome::Halted(failure) if failure.kind == ErrorKind::StorageFull));
    running.act(ActKind::Resume);
    assert_eq!(running.end().outcome, Outcome::Verified);
    running.engine.shut_down();
}

#[test]
fn a_drained_link_is_continued_by_the_next_engine_without_planning_anew() {
    let world = World::new();
    world.source_faults.inject(Point::Scan, 20, Fault::Fail(ErrorKind::Unavailable));
    let mut running = world.engine(LinkKind::Migrate);
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.rows_done > 0));
    running.engine.drain();
    let end = running.end();
    assert_eq!(end.outcome, Outcome::Interrupted);
    running.engine.shut_down();
    let claim = world.runtime.block_on(world.journal.claim(&World::spec(LinkKind::Migrate))).unwrap();
    assert!(claim.positions.rows() > 0 && claim.positions.rows() < u64::from(ROWS));

    let mut running = world.engine(LinkKind::Migrate);
    assert_eq!(running.end().outcome, Outcome::Verified);
    running.engine.shut_down();
    let after = world.runtime.block_on(world.journal.claim(&World::spec(LinkKind::Migrate))).unwrap();
    assert_eq!(after.plan, claim.plan);
    assert_eq!(world.copied().len(), ROWS as usize);
}

#[test]
fn small_batches_do_not_keep_the_credit_a_large_one_waits_for() {
    let mut world = World::new();
    let large = rows(10..20, &"long ".repeat(2_000));
    world.credit_bytes = large.bytes() as u64;
    world.change(|collection| async move {
        collection.apply(ChangeBatch::upserts(large), WriteMode::Upsert).await.unwrap();
    });
    let mut running = world.engine(LinkKind::Migrate);
    assert_eq!(running.end().outcome, Outcome::Verified);
    assert!(!running.reasons().contains("no sign of life"), "{}", running.reasons());
    running.engine.shut_down();
}

#[test]
fn a_finished_copy_is_not_copied_over() {
    let world = World::new();
    let mut running = world.engine(LinkKind::Migrate);
    assert_eq!(running.end().outcome, Outcome::Verified);
    running.engine.shut_down();
    let mut again = world.engine(LinkKind::Migrate);
    assert!(matches!(again.end().outcome, Outcome::Halted(failure) if failure.kind == ErrorKind::PalaceExists));
    again.engine.shut_down();
}

#[test]
fn an_actor_that_does_not_stop_is_left_behind_and_told() {
    let world = World::new();
    let running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    running.engine.request(Request::Deafen(running.id.clone()));
    let board = running.engine.board();
    running.engine.shut_down();
    let snapshot = board.borrow().clone();
    let told = snapshot.events.iter().find(|entry| entry.event.to == "left behind").expect("it is told");
    assert_eq!(told.event.who, format!("supervisor of link {}", running.id));
    assert!(snapshot.palaces.iter().all(|palace| palace.connection == Connection::Closed));
}

#[test]
fn a_palace_can_be_watched_without_a_link_and_shows_itself_once_it_is_there() {
    let world = World::new();
    let engine = Engine::start(Arc::clone(&world.journal), Arc::clone(&world.runtime)).unwrap();
    world.source_faults.inject(Point::Open, 0, Fault::Panic);
    let backend = Arc::clone(&world.source) as Arc<dyn Backend>;
    engine.show_palace(PalaceSource { address: "memory:source".into(), palace: reference("source"), backend }).unwrap();
    let mut board = engine.board();
    let open = world.runtime.block_on(async {
        let shown = board.wait_for(|snapshot| snapshot.palaces.iter().any(|palace| palace.checked_at_ms.is_some()));
        tokio::time::timeout(Duration::from_secs(60), shown).await.expect("it shows within a minute").unwrap().clone()
    });
    assert_eq!(open.palaces[0].connection, Connection::Open);
    assert_eq!(open.palaces[0].collections[0].rows, u64::from(ROWS));
    assert_eq!(open.palaces[0].restarts, 1);
    engine.shut_down();
}

#[test]
fn a_migration_leaves_its_record_in_the_target_once() {
    let world = World::new();
    let mut running = world.engine(LinkKind::Migrate);
    assert_eq!(running.end().outcome, Outcome::Verified);
    running.engine.shut_down();
    let log = world.runtime.block_on(async {
        let palace = world.target.open(&reference("target"), OpenMode::Read.into()).await.unwrap();
        palace.migration_log().await.unwrap()
    });
    let records: Vec<_> = log.iter().filter_map(LogEntry::as_migration).collect();
    let [record] = records.as_slice() else { panic!("{log:?}") };
    assert_eq!((record.rows, record.lossless, record.verified), (u64::from(ROWS), true, true));
    assert_eq!((record.source_backend.as_str(), record.source.as_str()), ("memory", "memory:source"));
    assert_eq!(record.collections[0].name, COLLECTION);
}

#[test]
fn maintenance_is_run_in_turn_and_told_while_the_link_goes_on() {
    let world = World::new();
    let running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    for kind in ["compact", "polish"] {
        let command = Command::Maintain { palace: "memory:target".into(), kind: kind.into() };
        running.commands.send(command).unwrap();
    }
    let snapshot = running.wait_until(|snapshot| {
        let target = snapshot.palaces.iter().find(|palace| palace.address == "memory:target");
        target.is_some_and(|palace| palace.runs.len() == 2 && !palace.runs.iter().any(MaintenanceRun::is_under_way))
    });
    let runs = &snapshot.palaces.iter().find(|palace| palace.address == "memory:target").unwrap().runs;
    let RunState::Ended { status: first, .. } = &runs[0].state else { panic!("{runs:?}") };
    assert!(matches!(first, MaintenanceStatus::Ran | MaintenanceStatus::Noop), "{runs:?}");
    let RunState::Failed { reason, .. } = &runs[1].state else { panic!("{runs:?}") };
    assert!(reason.contains("no maintenance kind \"polish\""), "{reason}");
    assert_eq!(snapshot.links[0].state, live);
    running.engine.shut_down();
}

#[test]
fn a_run_that_is_cancelled_ends_says_where_it_was_and_gives_way_to_the_next() {
    let world = World::new();
    let running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    world.target_faults.inject(Point::Maintain, 0, Fault::Hang);
    let palace = || "memory:target".to_owned();
    let runs = |snapshot: &Snapshot| {
        let target = snapshot.palaces.iter().find(|known| known.address == palace());
        target.map(|known| known.runs.clone()).unwrap_or_default()
    };
    let send = |command| running.commands.send(command).unwrap();
    send(Command::Maintain { palace: palace(), kind: "compact".into() });
    send(Command::Maintain { palace: palace(), kind: "polish".into() });
    running.wait_until(|snapshot| {
        runs(snapshot).first().is_some_and(|run| matches!(&run.state, RunState::Running { step: Some(_) }))
    });
    send(Command::CancelMaintenance { palace: palace(), run: 2 });
    send(Command::CancelMaintenance { palace: palace(), run: 1 });
    let snapshot = running
        .wait_until(|snapshot| runs(snapshot).iter().all(|run| !run.is_under_way() && run.ended_at_ms.is_some()));
    let reasons: Vec<_> = runs(&snapshot)
        .into_iter()
        .map(|run| match run.state {
            RunState::Cancelled { reason } => reason,
            state => panic!("{state:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        ["by the operator, while looking for rows that were deleted", "by the operator, before it began"]
    );
    let told = |to: &str| snapshot.events.iter().any(|entry| entry.event.to == to);
    assert!(told("compact cancelled") && told("polish cancelled"), "{:?}", snapshot.events);
    // What it held it holds no more.
    send(Command::Maintain { palace: palace(), kind: "compact".into() });
    let snapshot = running
        .wait_until(|snapshot| runs(snapshot).get(2).is_some_and(|run| matches!(&run.state, RunState::Ended { .. })));
    let RunState::Ended { status, .. } = &runs(&snapshot)[2].state else { panic!() };
    assert_ne!(*status, MaintenanceStatus::AlreadyRunning);
    assert_eq!(snapshot.links[0].state, live, "the link goes on");
    running.engine.shut_down();
}

#[test]
fn the_programs_end_cuts_a_run_off_before_the_palace_is_closed() {
    let world = World::new();
    let mut running = world.engine(LinkKind::Mirror);
    let live = LinkState::Working { phase: Phase::Live };
    running.wait_until(|snapshot| snapshot.links.first().is_some_and(|link| link.state == live));
    world.target_faults.inject(Point::Maintain, 0, Fault::Hang);
    running.commands.send(Command::Maintain { palace: "memory:target".into(), kind: "compact".into() }).unwrap();
    running.wait_until(|snapshot| {
        let palace = snapshot.palaces.iter().find(|palace| palace.address == "memory:target");
        palace
            .and_then(|palace| palace.runs.first())
            .is_some_and(|run| matches!(run.state, RunState::Running { step: Some(_) }))
    });
    let board = running.engine.board();
    running.engine.drain();
    running.end();
    running.engine.shut_down();
    let snapshot = board.borrow().clone();
    let palace = snapshot.palaces.iter().find(|palace| palace.address == "memory:target").unwrap();
    assert!(matches!(palace.runs[0].state, RunState::Cancelled { .. }), "{:?}", palace.runs);
    assert_eq!(palace.connection, Connection::Closed);
}
