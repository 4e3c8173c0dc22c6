use crate::rows::{Written, row};
use crate::{Limits, Store};
use palanquin_engine::contract::{
    Backend, Collection, CollectionSpec, Descriptor, EmbedderIdentity, Error, ErrorKind, Fidelity, Metadata, Metric,
    OpenMode, OpenOptions, Palace, PalaceRef, Result, enforce,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::fmt::Debug;
use std::sync::Arc;

/// The collection most tests use.
pub(crate) const DRAWERS: &str = "mempalace_drawers";
/// Width of its vectors, where the test does not care.
pub(crate) const WIDTH: u32 = 4;

/// What a test works with: the store, and a backend on it as core uses it.
pub(crate) struct World {
    store: Box<dyn Store>,
    backend: Arc<dyn Backend>,
    /// Who follows feeds: one consumer for each palace of the test.
    consumer: String,
}

impl World {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        let backend = enforce(store.backend());
        let consumer = format!("suite_{:012x}", rand::random::<u64>() >> 16);
        Self { store, backend, consumer }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.store.limits()
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// A row with nothing but an id; with a vector too where the store holds none without.
    pub(crate) fn row(&self, id: impl Into<String>) -> Written {
        let bare = row(id);
        if self.limits().rows_without_vector { bare } else { bare.vector([1.0; WIDTH as usize]) }
    }

    /// The rows as the store can hold them: without the metadata it cannot, with a vector if they must have one.
    pub(crate) fn fitted(&self, rows: Vec<Written>) -> Vec<Written> {
        let limits = self.limits();
        let fit = |mut row: Written| {
            row.metadata.retain(|key, value| (limits.holds)(&Metadata::from_iter([(key.clone(), value.clone())])));
            if !limits.rows_without_vector {
                row.embedding.get_or_insert_with(|| vec![1.0; WIDTH as usize]);
            }
            row
        };
        rows.into_iter().map(fit).collect()
    }

    /// A backend on the same storage that shares nothing else.
    pub(crate) fn another_process(&self) -> Arc<dyn Backend> {
        enforce(self.store.backend())
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        self.backend.descriptor()
    }

    pub(crate) fn has(&self, token: &str) -> bool {
        self.descriptor().capabilities.has(token)
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.descriptor().fidelity == Fidelity::Exact
    }

    pub(crate) fn metric(&self) -> Metric {
        *self.descriptor().metrics.first().expect("a backend declares at least one metric")
    }

    pub(crate) fn reference(&self, name: &str) -> PalaceRef {
        self.store.palace(name)
    }

    /// A palace of that name, made if it is not there.
    pub(crate) async fn palace(&self, name: &str) -> Arc<dyn Palace> {
        self.open(name, OpenMode::Create).await.expect("a palace can be made")
    }

    pub(crate) async fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn Palace>> {
        self.backend.open(&self.reference(name), self.options(name, mode)).await
    }

    pub(crate) fn options(&self, name: &str, mode: OpenMode) -> OpenOptions {
        let consumer = format!("{} of {name}", self.consumer);
        OpenOptions { consumer: Some(consumer), ..mode.into() }
    }

    pub(crate) async fn open_with(
        &self,
        name: &str,
        mode: OpenMode,
        embedder: &EmbedderIdentity,
    ) -> Result<Arc<dyn Palace>> {
        let options = OpenOptions { mode, embedder: Some(embedder.clone()), force_model_swap: false, consumer: None };
        self.backend.open(&self.reference(name), options).await
    }

    pub(crate) fn spec(&self, name: &str, width: u32) -> CollectionSpec {
        CollectionSpec {
            name: name.to_owned(),
            dimension: width,
            metric: self.metric(),
            identity: None,
            incarnation: format!("incarnation-of-{}", name.len()),
            settings: Default::default(),
        }
    }

    /// The collection `mempalace_drawers` of the palace `palace`, made if it is not there.
    pub(crate) async fn drawers(&self) -> Arc<dyn Collection> {
        self.drawers_of("palace").await
    }

    pub(crate) async fn drawers_of(&self, palace: &str) -> Arc<dyn Collection> {
        self.wide_drawers_of(palace, WIDTH).await
    }

    pub(crate) async fn wide_drawers_of(&self, palace: &str, width: u32) -> Arc<dyn Collection> {
        let palace = self.palace(palace).await;
        palace.create_collection(&self.spec(DRAWERS, width)).await.expect("a collection can be made")
    }

    /// The drawers of a palace as another process finds them.
    pub(crate) async fn drawers_elsewhere(&self, palace: &str) -> Arc<dyn Collection> {
        self.palace_elsewhere(palace).await.collection(DRAWERS).await.expect("the collection is there for others")
    }

    pub(crate) async fn palace_elsewhere(&self, palace: &str) -> Arc<dyn Palace> {
        let backend = self.another_process();
        let options = self.options(palace, OpenMode::Write);
        backend.open(&self.reference(palace), options).await.expect("the palace is there for others")
    }
}

/// Random numbers of a seed that is printed, and taken from `PALANQUIN_SEED` to repeat a failure.
pub(crate) fn seeded(default: u64) -> StdRng {
    let seed = std::env::var("PALANQUIN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
    println!("seed {seed}; PALANQUIN_SEED={seed} repeats it");
    StdRng::seed_from_u64(seed)
}

/// The kind of the failure that was expected.
#[track_caller]
pub(crate) fn refusal<T>(result: Result<T>, what: impl Debug) -> Error {
    match result {
        Ok(_) => panic!("{what:?}: accepted, and it must be refused"),
        Err(error) => error,
    }
}

/// That it was refused, and how.
#[track_caller]
pub(crate) fn assert_refused<T>(result: Result<T>, kind: ErrorKind, what: impl Debug) {
    let error = refusal(result, &what);
    assert_eq!(error.kind(), kind, "{what:?}: {error}");
}

pub(crate) fn model(name: &str, dimension: u32) -> EmbedderIdentity {
    EmbedderIdentity { model_name: name.to_owned(), dimension }
}
