//! A migration whose server goes away in each of its phases, by order or as in a crash, ends with the same rows at both
//! ends.

use crate::own_server::OwnServer;
use crate::palace::{batch, numbered, rows_of, spec};
use crate::way::{Cut, Way};
use async_trait::async_trait;
use palanquin_actors::{Engine, LinkOptions, PalaceSource, StartLink};
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{
    Applied, Backend, ChangeBatch, Collection, Error, OpenMode, OpenOptions, Palace, PalaceRef, Result, RowStream,
    ScanRequest, WriteMode,
};
use palanquin_engine::journal::SqliteJournal;
use palanquin_engine::link::{LinkKind, LinkSpec, Outcome};
use palanquin_memory::{Faults, MemoryBackend};
use palanquin_postgres::{Dsn, PostgresBackend, PostgresOptions};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

const ROWS: u32 = 6_000;
const WIDTH: usize = 16;

/// Where in a migration the server goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Check,
    BeforeACommit,
    /// While rows are on their way and being committed.
    InACommit,
    AfterACommit,
    Verify,
}

/// Stops the server at one point of the target's work and starts it again.
struct Outage {
    server: Arc<OwnServer>,
    how: &'static str,
    phase: Phase,
    commits: AtomicU32,
    struck: AtomicU32,
}

impl Outage {
    fn strikes(&self, phase: Phase) -> bool {
        phase == self.phase && self.struck.fetch_add(1, Ordering::SeqCst) == 0
    }

    fn stop(&self) {
        tokio::task::block_in_place(|| self.server.stop(self.how));
    }

    fn restart(&self) {
        tokio::task::block_in_place(|| self.server.restart());
    }
}

#[async_trait]
impl Between for Outage {
    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        if !self.strikes(Phase::Check) {
            return behind.open(palace, options).await;
        }
        self.stop();
        let opened = behind.open(palace, options).await;
        self.restart();
        opened
    }

    async fn apply(&self, behind: &dyn Collection, rows: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        // The third commit: some rows are there, and others are not.
        if self.commits.fetch_add(1, Ordering::SeqCst) < 2 {
            return behind.apply(rows, mode).await;
        }
        if self.strikes(Phase::BeforeACommit) {
            self.stop();
            let applied = behind.apply(rows, mode).await;
            self.restart();
            return applied;
        }
        if self.strikes(Phase::InACommit) {
            let server = Arc::clone(&self.server);
            let how = self.how;
            let stopping = tokio::task::spawn_blocking(move || server.stop(how));
            let applied = behind.apply(rows, mode).await;
            stopping.await.unwrap();
            self.restart();
            return applied;
        }
        if self.strikes(Phase::AfterACommit) {
            behind.apply(rows, mode).await?;
            self.stop();
            self.restart();
            // What an answer that was lost looks like.
            return Err(Error::new(palanquin_engine::contract::ErrorKind::Unavailable, "the answer was lost"));
        }
        behind.apply(rows, mode).await
    }

    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        // The target is only read to be verified.
        if self.strikes(Phase::Verify) {
            self.stop();
            let server = Arc::clone(&self.server);
            let stream = behind.scan(request);
            return Box::pin(futures::stream::once(async move {
                let error = futures::TryStreamExt::try_collect::<Vec<_>>(stream).await.expect_err("the server is gone");
                tokio::task::spawn_blocking(move || server.restart()).await.unwrap();
                Err(error)
            }));
        }
        behind.scan(request)
    }
}

fn reference(id: &str) -> PalaceRef {
    PalaceRef { id: id.into(), local_path: None, namespace: None }
}

fn on(dsn: &str) -> Arc<dyn Backend> {
    Arc::new(PostgresBackend::new(PostgresOptions::of(Dsn::parse(dsn).unwrap())))
}

/// Migrates a palace in memory to the target; how it ended, and what both ends hold.
fn migrate(
    runtime: &Arc<Runtime>,
    target: Arc<dyn Backend>,
    plain: Arc<dyn Backend>,
) -> (Outcome, Vec<Value>, Vec<Value>) {
    let source = Arc::new(MemoryBackend::new(Faults::default()));
    let filled = Arc::clone(&source);
    runtime.block_on(async {
        let palace = filled.open(&reference("source"), OpenMode::Create.into()).await.unwrap();
        let drawers = palace.create_collection(&spec("mempalace_drawers", WIDTH as u32)).await.unwrap();
        drawers.apply(batch(&numbered(0..ROWS, WIDTH)), WriteMode::Append).await.unwrap();
    });
    let state = tempfile::tempdir().unwrap();
    let journal = Arc::new(SqliteJournal::open(state.path()).unwrap());
    let mut engine = Engine::start(journal, Arc::clone(runtime)).unwrap();
    let end = |name: &str, backend: Arc<dyn Backend>| PalaceSource {
        address: name.to_owned(),
        palace: reference(name),
        backend,
    };
    let options = LinkOptions { partition_rows: 2_000, batch_rows: 250, commit_rows: 500, ..LinkOptions::default() };
    let spec = LinkSpec::new(LinkKind::Migrate, "source", "target");
    let (from, to) = (end("source", Arc::clone(&source) as _), end("target", target));
    engine.start_link(StartLink { spec, source: from, target: to, options, replaces: None, lock: None }).unwrap();
    let ended = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(240), engine.next_end()).await.expect("it ends within four minutes")
    });
    engine.shut_down();
    let read = |backend: Arc<dyn Backend>, id: &'static str| async move {
        let palace = backend.open(&reference(id), OpenMode::Read.into()).await.unwrap();
        rows_of(palace.collection("mempalace_drawers").await.unwrap().as_ref()).await
    };
    let (given, found) = runtime.block_on(async { (read(source, "source").await, read(plain, "target").await) });
    (ended.unwrap().outcome, given, found)
}

fn runtime() -> Arc<Runtime> {
    Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap())
}

fn check_outages(phases: &[Phase]) {
    for &phase in phases {
        for how in ["immediate", "fast"] {
            let (runtime, server) = (runtime(), Arc::new(OwnServer::start()));
            let dsn = server.dsn();
            let outage =
                Arc::new(Outage { server, how, phase, commits: AtomicU32::default(), struck: AtomicU32::default() });
            let target = interpose(on(&dsn), Arc::clone(&outage) as _);
            let (outcome, given, found) = migrate(&runtime, target, on(&dsn));
            assert!(outage.struck.load(Ordering::SeqCst) > 0, "{phase:?}, {how}: it never came so far");
            assert_eq!(outcome, Outcome::Verified, "{phase:?}, {how}");
            assert_eq!(given.len(), ROWS as usize);
            assert_eq!(found, given, "{phase:?}, {how}");
        }
    }
}

#[test]
fn a_server_that_goes_away_while_the_ends_are_checked_or_compared_is_waited_for() {
    check_outages(&[Phase::Check, Phase::Verify]);
}

#[test]
fn a_server_that_goes_away_around_a_commit_loses_and_doubles_nothing() {
    check_outages(&[Phase::BeforeACommit, Phase::InACommit, Phase::AfterACommit]);
}

#[test]
fn a_way_that_is_cut_in_rows_and_in_the_answer_to_a_commit_loses_and_doubles_nothing() {
    // The first commits make the palace and its collection; those after them are of rows.
    for cut in [Cut::AfterSent(50_000), Cut::AnswerToCommit(0), Cut::AnswerToCommit(1), Cut::AnswerToCommit(4)] {
        let (runtime, server) = (runtime(), OwnServer::start());
        let way = runtime.block_on(Way::to(&server.dsn()));
        way.cut(cut);
        let (outcome, given, found) = migrate(&runtime, on(way.dsn()), on(&server.dsn()));
        assert_eq!((outcome, way.cuts()), (Outcome::Verified, 1), "{cut:?}");
        assert_eq!(found, given, "{cut:?}");
    }
}
