//! What the contract suite cannot see from outside: the order of things, and stores that fail half-way.

use super::enforce;
use crate::contract::{
    Applied, Backend, Capabilities, ChangeBatch, Collection, CollectionInfo, CollectionSpec, Condition, Descriptor,
    EmbedderIdentity, Error, ErrorKind, Fidelity, Health, KeyRange, LogEntry, MaintenanceKind, MaintenanceResult,
    MaintenanceState, Metric, OpenMode, OpenOptions, Palace, PalaceRef, Partition, Progress, Replaces, Result,
    RowStream, ScanRequest, SpecVersion, WriteMode, kind, token,
};
use async_trait::async_trait;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A store without rows that notes what is asked of it, and fails where it is told to.
#[derive(Clone)]
struct Noting(Arc<Noted>);

struct Noted {
    descriptor: Descriptor,
    calls: Mutex<Vec<String>>,
    /// Calls that fail, by their first word.
    failing: Mutex<Vec<&'static str>>,
    collections: Mutex<BTreeMap<String, CollectionInfo>>,
}

struct NotingCollection(Noting, String);

impl Noting {
    fn new() -> Self {
        let descriptor = Descriptor {
            name: "noting",
            spec_version: SpecVersion::CURRENT,
            capabilities: Capabilities::of([token::EMBEDDINGS_IN]),
            maintenance_kinds: &[MaintenanceKind { name: kind::REINDEX, effect: "Notes that it was asked for." }],
            metrics: &[Metric::L2],
            capture: None,
            fidelity: Fidelity::Exact,
            conversions: &[],
            keeps_settings: false,
            replaces: Replaces::Directory,
            readers: 1,
            writers: 1,
        };
        let (calls, failing, collections) = Default::default();
        Self(Arc::new(Noted { descriptor, calls, failing, collections }))
    }

    fn with(self, name: &str, identity: Option<EmbedderIdentity>, dimension: u32) -> Self {
        let (rows, metric, incarnation) = (0, Some(Metric::L2), Some("i".to_owned()));
        let info = CollectionInfo {
            name: name.to_owned(),
            rows,
            dimension: Some(dimension),
            metric,
            identity,
            incarnation,
            settings: Default::default(),
        };
        self.0.collections.lock().unwrap().insert(name.to_owned(), info);
        self
    }

    fn note(&self, call: &str) -> Result<()> {
        self.0.calls.lock().unwrap().push(call.to_owned());
        match self.0.failing.lock().unwrap().iter().any(|failing| call.starts_with(failing)) {
            true => Err(Error::new(ErrorKind::Unavailable, "told to fail")),
            false => Ok(()),
        }
    }

    fn fail(&self, calls: &[&'static str]) {
        *self.0.failing.lock().unwrap() = calls.to_vec();
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.calls.lock().unwrap())
    }

    fn identity(&self, name: &str) -> Option<EmbedderIdentity> {
        self.0.collections.lock().unwrap()[name].identity.clone()
    }

    async fn open(&self, model: &str, force_model_swap: bool) -> Arc<dyn Palace> {
        let options =
            OpenOptions { mode: OpenMode::Write, embedder: Some(identity(model, 4)), force_model_swap, consumer: None };
        enforce(Arc::new(self.clone())).open(&PalaceRef::local("p"), options).await.unwrap()
    }
}

#[async_trait]
impl Backend for Noting {
    fn descriptor(&self) -> &Descriptor {
        &self.0.descriptor
    }

    fn detect(&self, _path: &Path) -> bool {
        false
    }

    async fn open(&self, _palace: &PalaceRef, _options: OpenOptions) -> Result<Arc<dyn Palace>> {
        self.note("open").map(|()| Arc::new(self.clone()) as Arc<dyn Palace>)
    }
}

#[async_trait]
impl Palace for Noting {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        Ok(self.0.collections.lock().unwrap().values().cloned().collect())
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        Ok(Arc::new(NotingCollection(self.clone(), name.to_owned())))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        self.collection(&spec.name).await
    }

    async fn health(&self) -> Health {
        Health::healthy()
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        Ok(MaintenanceState::new())
    }

    async fn run_maintenance(&self, kind: &str, _progress: &Progress) -> Result<MaintenanceResult> {
        self.note(kind).map(|()| MaintenanceResult::ran(kind, MaintenanceState::new()))
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.note(&format!("record {collection} {identity}"))?;
        self.0.collections.lock().unwrap().get_mut(collection).unwrap().identity = Some(identity.clone());
        Ok(())
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        self.note(&format!("log {}", entry.kind))
    }
}

#[async_trait]
impl Collection for NotingCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        Ok(self.0.0.collections.lock().unwrap()[&self.1].clone())
    }

    async fn count(&self) -> Result<u64> {
        Ok(0)
    }

    async fn cut(&self, _rows_per_partition: u64) -> Result<Vec<Partition>> {
        Ok(vec![Partition { range: KeyRange::ALL, rows: 0 }])
    }

    fn scan(&self, _request: ScanRequest) -> RowStream {
        futures::stream::empty().boxed()
    }

    async fn last_id(&self, _range: &KeyRange) -> Result<Option<String>> {
        Ok(None)
    }

    async fn apply(&self, _batch: ChangeBatch, _mode: WriteMode) -> Result<Applied> {
        self.0.note("apply").map(|()| Applied::default())
    }
}

fn identity(model: &str, dimension: u32) -> EmbedderIdentity {
    EmbedderIdentity { model_name: model.to_owned(), dimension }
}

async fn write(collection: &dyn Collection) -> Result<Applied> {
    let changes = ChangeBatch { deletes: vec!["a".to_owned()], ..ChangeBatch::default() };
    collection.apply(changes, WriteMode::Upsert).await
}

#[tokio::test]
async fn an_unknown_model_is_recorded_after_the_first_write_and_only_once() {
    let store = Noting::new().with("c", None, 4);
    let collection = store.open("m", false).await.collection("c").await.unwrap();
    write(collection.as_ref()).await.unwrap();
    write(collection.as_ref()).await.unwrap();
    assert_eq!(store.calls(), ["open", "apply", "record c m (4)", "apply"]);
}

#[tokio::test]
async fn a_model_that_could_not_be_recorded_is_recorded_with_the_next_write() {
    let store = Noting::new().with("c", None, 4);
    let collection = store.open("m", false).await.collection("c").await.unwrap();
    store.fail(&["record"]);
    assert_eq!(write(collection.as_ref()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.fail(&["apply"]);
    assert_eq!(write(collection.as_ref()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.fail(&[]);
    store.calls();
    write(collection.as_ref()).await.unwrap();
    assert_eq!(store.calls(), ["apply", "record c m (4)"]);
}

#[tokio::test]
async fn a_swap_that_could_not_be_logged_is_not_made() {
    let store = Noting::new().with("c", Some(identity("before", 4)), 4);
    store.fail(&["log"]);
    let opened = store.open("m", true).await.collection("c").await;
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(store.identity("c"), Some(identity("before", 4)));
    store.fail(&[]);
    store.calls();
    store.open("m", true).await.collection("c").await.unwrap();
    assert_eq!(store.calls(), ["open", "log model_swap", "record c m (4)"], "logged first");
}

#[tokio::test]
async fn a_reindex_records_what_was_unknown_and_swaps_nothing() {
    for force in [false, true] {
        let store = Noting::new().with("unknown", None, 4).with("nameless", Some(identity("", 4)), 4);
        let store = store.with("other", Some(identity("other", 4)), 4).with("wide", None, 5);
        let palace = store.open("m", force).await;
        let result = palace.run_maintenance(kind::REINDEX, &Progress::unheard()).await;
        result.expect("it ran, whatever else the palace holds");
        assert_eq!(store.identity("unknown"), Some(identity("m", 4)));
        assert_eq!(store.identity("nameless"), Some(identity("m", 4)));
        assert_eq!(store.identity("other"), Some(identity("other", 4)));
        assert_eq!(store.identity("wide"), None);
        assert!(!store.calls().iter().any(|call| call.starts_with("log")));
    }
}

#[tokio::test]
async fn a_closed_or_reading_handle_asks_nothing_of_the_store() {
    let store = Noting::new().with("c", None, 4);
    let backend = enforce(Arc::new(store.clone()));
    let reading = backend.open(&PalaceRef::local("p"), OpenMode::Read.into()).await.unwrap();
    let collection = reading.collection("c").await.unwrap();
    store.calls();
    assert_eq!(write(collection.as_ref()).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let refused = reading.run_maintenance(kind::REINDEX, &Progress::unheard()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
    backend.close_palace(&PalaceRef::local("p")).await.unwrap();
    assert_eq!(write(collection.as_ref()).await.unwrap_err().kind(), ErrorKind::BackendClosed);
    assert_eq!(reading.health().await.condition, Condition::Unavailable);
    assert_eq!(store.calls(), [] as [&str; 0]);
}

#[tokio::test]
async fn wrapping_twice_changes_nothing() {
    let store = Noting::new().with("c", None, 4);
    let backend = enforce(enforce(Arc::new(store.clone())));
    let embedder = Some(identity("m", 4));
    let options = OpenOptions { mode: OpenMode::Write, embedder, force_model_swap: false, consumer: None };
    let palace = backend.open(&PalaceRef::local("p"), options).await.unwrap();
    let collection = palace.collection("c").await.unwrap();
    write(collection.as_ref()).await.unwrap();
    assert_eq!(store.calls(), ["open", "apply", "record c m (4)"]);
    palace.close().await.unwrap();
    assert_eq!(write(collection.as_ref()).await.unwrap_err().kind(), ErrorKind::BackendClosed);
}
