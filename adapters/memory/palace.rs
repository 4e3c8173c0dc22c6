use crate::collection::MemoryCollection;
use crate::content::StoredCollection;
use crate::faults::{Faults, Point};
use async_trait::async_trait;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, EmbedderIdentity, Error, ErrorKind, Health, LogEntry, MaintenanceKind,
    MaintenanceResult, MaintenanceState, Palace, PalaceRef, Progress, Result, kind,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The one thing here that grows without use.
pub(crate) const COMPACT: MaintenanceKind = MaintenanceKind {
    name: kind::COMPACT,
    effect: "Drops from each log of changes what a later change of the same row has superseded; no cursor is lost.",
};

/// What is stored of a palace.
#[derive(Debug, Default)]
pub(crate) struct StoredPalace {
    collections: Mutex<BTreeMap<String, Arc<StoredCollection>>>,
    migration_log: Mutex<Vec<LogEntry>>,
    /// Maintenance kinds under way.
    running: Mutex<HashSet<String>>,
}

/// A handle on a palace.
#[derive(Debug)]
pub(crate) struct MemoryPalace {
    palace: PalaceRef,
    stored: Arc<StoredPalace>,
    faults: Faults,
}

/// That a maintenance kind is under way, for as long as it lives.
struct Running<'a>(&'a StoredPalace, &'a str);

impl StoredPalace {
    fn collections(&self) -> MutexGuard<'_, BTreeMap<String, Arc<StoredCollection>>> {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn migration_log(&self) -> MutexGuard<'_, Vec<LogEntry>> {
        self.migration_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start<'a>(&'a self, kind: &'a str) -> Option<Running<'a>> {
        self.running().insert(kind.to_owned()).then(|| Running(self, kind))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running().remove(self.1);
    }
}

impl MemoryPalace {
    pub(crate) fn new(palace: PalaceRef, stored: Arc<StoredPalace>, faults: Faults) -> Self {
        Self { palace, stored, faults }
    }

    fn find(&self, name: &str) -> Result<Arc<StoredCollection>> {
        self.stored.collections().get(name).map(Arc::clone).ok_or_else(|| {
            Error::new(ErrorKind::CollectionNotInitialized, "the palace has no such collection")
                .in_palace(&self.palace)
                .in_collection(name)
        })
    }

    fn handle(&self, stored: Arc<StoredCollection>) -> Arc<dyn Collection> {
        Arc::new(MemoryCollection::new(stored, self.faults.clone()))
    }

    fn compact(&self, progress: &Progress) -> MaintenanceResult {
        let collections: Vec<_> = self.stored.collections().values().map(Arc::clone).collect();
        let total = collections.len() as u64;
        let (mut before, mut dropped) = (0, 0);
        for (done, collection) in (0..).zip(&collections) {
            progress.tell(format!("compacting {}", collection.name()), done, Some(total));
            let changes = &mut collection.content().changes;
            before += changes.kept();
            dropped += changes.drop_superseded();
        }
        let stats = figures([("changes_before", before), ("changes_after", before - dropped)]);
        match dropped {
            0 => MaintenanceResult::noop(kind::COMPACT, stats),
            _ => MaintenanceResult::ran(kind::COMPACT, stats),
        }
    }
}

fn figures<const N: usize>(figures: [(&str, usize); N]) -> MaintenanceState {
    figures.into_iter().map(|(name, figure)| (name.to_owned(), figure.into())).collect()
}

#[async_trait]
impl Palace for MemoryPalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        Ok(self.stored.collections().values().map(|collection| collection.describe()).collect())
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        self.find(name).map(|found| self.handle(found))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        let mut collections = self.stored.collections();
        let made = || Arc::new(StoredCollection::new(spec.clone()));
        let stored = Arc::clone(collections.entry(spec.name.clone()).or_insert_with(made));
        drop(collections);
        if stored.describe().incarnation.as_ref() != Some(&spec.incarnation) {
            let error = Error::new(ErrorKind::PalaceExists, "the palace has a collection of that name");
            return Err(error.in_palace(&self.palace).in_collection(&spec.name));
        }
        Ok(self.handle(stored))
    }

    async fn health(&self) -> Health {
        Health::healthy()
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        let collections = self.stored.collections();
        let (mut rows, mut kept, mut superseded) = (0, 0, 0);
        for collection in collections.values() {
            let content = collection.content();
            rows += content.rows.len();
            kept += content.changes.kept();
            superseded += content.changes.superseded();
        }
        let figures =
            [("collections", collections.len()), ("rows", rows), ("changes", kept), ("changes_superseded", superseded)];
        Ok(self::figures(figures))
    }

    async fn run_maintenance(&self, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        if kind != kind::COMPACT {
            let error = Error::new(ErrorKind::UnsupportedMaintenanceKind, format!("no maintenance kind {kind:?}"));
            return Err(error.in_palace(&self.palace));
        }
        let Some(_running) = self.stored.start(kind) else { return Ok(MaintenanceResult::already_running(kind)) };
        progress.tell("looking for rows that were deleted", 0, None);
        self.faults.pass(Point::Maintain).await?;
        Ok(self.compact(progress))
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.find(collection)?.content().identity = Some(identity.clone());
        Ok(())
    }

    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        Ok(self.stored.migration_log().clone())
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        self.stored.migration_log().push(entry.clone());
        Ok(())
    }
}
