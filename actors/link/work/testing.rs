//! What tests of the work run on: palaces in memory whose answers take as long as a seed says, under virtual time.

use crate::board::Board;
use crate::credit::Credit;
use crate::link::crew::Shift;
use crate::link::limits::Limits;
use crate::link::salvaged::SalvageCount;
use crate::link::work::{Desk, Done, News, Pair, Prepared};
use crate::link::{LinkOptions, LinkSetup, PalaceEnd};
use crate::palace::PalaceActor;
use crate::supervise::{Heartbeat, Monitor};
use actix::AsyncContext;
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{
    Applied, Backend, Capabilities, ChangeBatch, Collection, CollectionSpec, Conversion, Error, ErrorKind, Fidelity,
    Filter, KeyRange, Metric, OpenMode, Palace, PalaceRef, Result, RowStream, ScanOrder, ScanRequest, WriteMode, token,
};
use palanquin_engine::journal::{Journal, SqliteJournal};
use palanquin_engine::link::{CollectionPlan, LinkKind, LinkSpec, Plan, Position, Positions, as_copied};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use palanquin_memory::{Faults, MemoryBackend, MemoryStorage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Far beyond what any copy here takes, in virtual time: a deadlock ends here.
pub(super) const FOR_EVER: Duration = Duration::from_secs(24 * 3600);
pub(super) const DIMENSION: u32 = 4;

/// A store that takes its time and refuses rows whose document says so.
pub(super) struct Weather {
    pub(super) seed: AtomicU64,
    pub(super) slowest: Duration,
    pub(super) reading: Gauge,
    pub(super) writing: Gauge,
    pub(super) refuses: &'static str,
}

/// A store in that weather.
pub(super) struct Slow(Arc<Weather>);

/// How many are at it, and how many were at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

pub(super) struct AtIt(Gauge);

impl Gauge {
    pub(super) fn enter(&self) -> AtIt {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        AtIt(self.clone())
    }

    pub(super) fn now(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    pub(super) fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Drop for AtIt {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Weather {
    pub(super) fn new(seed: u64, slowest: Duration, refuses: &'static str) -> Arc<Self> {
        let (reading, writing) = Default::default();
        Arc::new(Self { seed: AtomicU64::new(seed), slowest, reading, writing, refuses })
    }

    /// How long the next answer takes.
    pub(super) fn next(&self) -> Duration {
        let mut rng = StdRng::seed_from_u64(self.seed.fetch_add(1, Ordering::Relaxed));
        self.slowest.mul_f64(rng.random_range(0.0..1.0))
    }
}

#[async_trait]
impl Between for Slow {
    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        let weather = Arc::clone(&self.0);
        let at_it = weather.reading.enter();
        let batches = behind.scan(request);
        batches
            .then(move |batch| {
                let (time, _) = (weather.next(), &at_it);
                async move {
                    tokio::time::sleep(time).await;
                    batch
                }
            })
            .boxed()
    }

    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let weather = &self.0;
        let _at_it = weather.writing.enter();
        tokio::time::sleep(weather.next()).await;
        let refused = |row: Row<'_>| !weather.refuses.is_empty() && row.document == Some(weather.refuses);
        if let Some(rows) = &batch.upserts
            && let Some(place) = rows.rows().position(refused)
        {
            // As stores do that write a row after the other: those before it are there.
            behind.apply(ChangeBatch::upserts(rows.slice(0, place)), mode).await?;
            return Err(Error::new(ErrorKind::RowRefused, "a row that does not fit"));
        }
        if batch.patches.iter().flat_map(|patch| patch.rows.rows()).any(refused) {
            return Err(Error::new(ErrorKind::RowRefused, "a patch that does not fit"));
        }
        behind.apply(batch, mode).await
    }
}

/// Two palaces, a journal, and what one run of a copy needs.
pub(super) struct World {
    pub(super) source: Arc<dyn Backend>,
    pub(super) target: Arc<dyn Backend>,
    pub(super) target_storage: MemoryStorage,
    pub(super) journal: Arc<SqliteJournal>,
    _state: tempfile::TempDir,
    pub(super) spec: LinkSpec,
    pub(super) options: LinkOptions,
    pub(super) readers: usize,
    pub(super) writers: usize,
    pub(super) conversions: &'static [Conversion],
}

/// What a run told.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) positions: Arc<Mutex<Positions>>,
    pub(super) set_aside: Arc<Mutex<Vec<String>>>,
    pub(super) moved: Arc<AtomicUsize>,
}

pub(super) fn reference(name: &str) -> PalaceRef {
    PalaceRef { id: name.into(), local_path: None, namespace: None }
}

pub(super) fn spec_of(name: &str) -> CollectionSpec {
    CollectionSpec {
        name: name.to_owned(),
        dimension: DIMENSION,
        metric: Metric::Cosine,
        identity: None,
        incarnation: format!("{name} of the source"),
        settings: Default::default(),
    }
}

pub(super) fn batch<'a>(rows: impl IntoIterator<Item = (String, &'a str)>) -> RowBatch {
    let mut batch = RowBatchBuilder::with_capacity(16, DIMENSION);
    for (id, document) in rows {
        let room = if id.ends_with('0') { r#"{"room":"a"}"# } else { r#"{"room":"b"}"# };
        batch.push(Row { id: &id, document: Some(document), metadata: room, embedding: Some(&[0.5; 4]) }).unwrap();
    }
    batch.finish().unwrap()
}

impl World {
    pub(super) fn new(source: Arc<Weather>, target: Arc<Weather>, faults: Faults) -> Self {
        let storage = MemoryStorage::default();
        let target_backend = MemoryBackend::on(storage.clone(), faults);
        let state = tempfile::tempdir().unwrap();
        Self {
            source: interpose(Arc::new(MemoryBackend::new(Faults::default())), Arc::new(Slow(source))),
            target: interpose(Arc::new(target_backend), Arc::new(Slow(target))),
            target_storage: storage,
            journal: Arc::new(SqliteJournal::open(state.path()).unwrap()),
            _state: state,
            spec: LinkSpec::new(LinkKind::Migrate, "memory:source", "memory:target"),
            options: LinkOptions { partition_rows: 60, batch_rows: 10, commit_rows: 40, ..LinkOptions::default() },
            readers: 4,
            writers: 2,
            conversions: &[],
        }
    }

    pub(super) async fn fill(&self, name: &str, rows: RowBatch) {
        let palace = self.source.open(&reference("source"), OpenMode::Create.into()).await.unwrap();
        let collection = palace.create_collection(&spec_of(name)).await.unwrap();
        collection.apply(ChangeBatch::upserts(rows), WriteMode::Upsert).await.unwrap();
    }

    /// The plan is made by the first run and taken from the journal by later ones.
    pub(super) async fn prepare(&self) -> Prepared {
        let source = self.source.open(&reference("source"), OpenMode::Read.into()).await.unwrap();
        let target = self.target.open(&reference("target"), OpenMode::Create.into()).await.unwrap();
        let claim = self.journal.claim(&self.spec).await.unwrap();
        let plan = match claim.plan {
            Some(plan) => plan,
            None => {
                let plan = self.plan(source.as_ref()).await;
                self.journal.store_plan(&claim.link, claim.epoch, &plan).await.unwrap();
                plan
            }
        };
        let filter = self.spec.filter.as_ref().map_or(Filter::All, |filter| Filter::parse(filter).unwrap());
        let mut pairs = Vec::new();
        for planned in &plan.collections {
            let name = planned.source_name();
            let from = SalvageCount::default().around(source.collection(name).await.unwrap(), name);
            pairs.push(Pair {
                name: name.to_owned(),
                target_name: planned.spec.name.clone(),
                dimension: planned.spec.dimension,
                as_copied: as_copied(Arc::clone(&from), &filter, self.conversions),
                source: from,
                target: target.create_collection(&planned.spec).await.unwrap(),
            });
        }
        let (dead_letters, converted) = Default::default();
        let (epoch, positions) = (claim.epoch, claim.positions);
        Prepared { epoch, plan, positions, pairs, source, target, filter, dead_letters, converted }
    }

    async fn plan(&self, source: &dyn Palace) -> Plan {
        let mut collections = Vec::new();
        for info in source.collections().await.unwrap() {
            let from = source.collection(&info.name).await.unwrap();
            let mut spec = spec_of(self.spec.target_name(&info.name));
            spec.incarnation = format!("{} of the target", info.name);
            let renamed_from = (spec.name != info.name).then_some(info.name);
            let partitions = from.cut(self.options.partition_rows).await.unwrap();
            let source_incarnation = info.incarnation;
            collections.push(CollectionPlan { spec, renamed_from, source_incarnation, partitions, feed_from: None });
        }
        Plan { collections, without_dimension: Vec::new() }
    }

    pub(super) fn desk(&self, told: &Told, suspect: bool) -> Desk {
        let end = |readers, writers, conversions| PalaceEnd {
            address: "memory:end".to_owned(),
            backend: "memory",
            capabilities: Capabilities::of([token::UPDATE]),
            capture: None,
            fidelity: Fidelity::Exact,
            metrics: &[],
            maintenance_kinds: &[],
            conversions,
            keeps_settings: true,
            readers,
            writers,
            // Nobody is there: copying asks no actor.
            actor: actix::Context::<PalaceActor>::new().address(),
        };
        let options = self.options;
        let setup = LinkSetup {
            id: self.spec.id(),
            spec: self.spec.clone(),
            source: end(self.readers, 1, &[]),
            target: end(1, self.writers, self.conversions),
            journal: Arc::clone(&self.journal) as Arc<dyn Journal>,
            board: Board::new().0,
            credit: Credit::of_bytes(options.credit_bytes),
            limits: Limits::new(options.max_rows_per_second, options.max_bytes_per_second, options.max_source_latency),
            options,
            crew: Default::default(),
            standing: Default::default(),
            replaces: None,
            salvaged: Default::default(),
            restarts: Default::default(),
            monitor: Monitor::default(),
            ended: tokio::sync::mpsc::unbounded_channel().0,
        };
        let told = told.clone();
        let tell = move |news| match news {
            News::Durable { collection, partition, position, .. } => {
                told.moved.fetch_add(1, Ordering::SeqCst);
                told.positions.lock().unwrap().advance(collection, partition, position);
            }
            News::SetAside(letters) => {
                told.set_aside.lock().unwrap().extend(letters.into_iter().map(|letter| letter.id));
            }
            _ => {}
        };
        let shift = Shift { generation: 1, stop: CancellationToken::new(), suspect };
        Desk { setup, shift, heartbeat: Heartbeat::default(), tell: Arc::new(tell) }
    }

    /// One run to its end, as positions of earlier runs have it; what it told is in the journal afterwards.
    pub(super) async fn run(&self) -> (Result<Done>, Told) {
        let told = Told::default();
        let prepared = Arc::new(self.prepare().await);
        let desk = self.desk(&told, false);
        let done = timeout(FOR_EVER, super::copy::run(&desk, Arc::clone(&prepared))).await.expect("no deadlock");
        self.record(&prepared, &told).await;
        (done, told)
    }

    pub(super) async fn record(&self, prepared: &Prepared, told: &Told) {
        let positions: Vec<(usize, usize, Position)> =
            told.positions.lock().unwrap().partitions().map(|(c, p, position)| (c, p, position.clone())).collect();
        self.journal.advance(&self.spec.id(), prepared.epoch, &positions, &[]).await.unwrap();
    }

    pub(super) async fn rows(
        &self,
        backend: &Arc<dyn Backend>,
        palace: &str,
        name: &str,
    ) -> BTreeMap<String, Option<String>> {
        let open = backend.open(&reference(palace), OpenMode::Write.into()).await.unwrap();
        let scan = ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 1_000 };
        let batches: Vec<RowBatch> = open.collection(name).await.unwrap().scan(scan).try_collect().await.unwrap();
        let rows = batches.iter().flat_map(RowBatch::rows);
        rows.map(|row| (row.id.to_owned(), row.document.map(str::to_owned))).collect()
    }

    pub(super) async fn assert_equal(&self, name: &str) {
        let (source, target) =
            (self.rows(&self.source, "source", name).await, self.rows(&self.target, "target", name).await);
        assert_eq!(source.len(), target.len(), "rows");
        assert!(source == target);
    }
}

pub(super) fn calm() -> Arc<Weather> {
    Weather::new(0, Duration::ZERO, "")
}

pub(super) fn numbered(rows: std::ops::Range<u32>) -> RowBatch {
    batch(rows.map(|i| (format!("row-{i:05}"), "d")))
}
