use super::{
    Collection, Cursor, EmbedderIdentity, Error, ErrorKind, Health, LogEntry, MaintenanceResult, MaintenanceState,
    Metric, Progress, Result,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// An open palace.
#[async_trait]
pub trait Palace: Send + Sync {
    /// Its collections, by name.
    async fn collections(&self) -> Result<Vec<CollectionInfo>>;

    /// One collection.
    ///
    /// # Errors
    /// `CollectionNotInitialized` if the palace has none of that name.
    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>>;

    /// Makes a collection and stores its identity with it, atomically. Made already with the same incarnation: opened.
    ///
    /// # Errors
    /// `PalaceExists` if one with another incarnation is there; `InvalidRequest` for a name the store cannot hold.
    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>>;

    /// Whether it can do its work. Cheap: never a full scan.
    async fn health(&self) -> Health;

    /// The store's condition in its own terms (§7.3). Cheap enough to be asked every few seconds.
    async fn maintenance_state(&self) -> Result<MaintenanceState>;

    /// Runs an advertised maintenance kind over the palace (§7.3) and returns once it is done and durable. Runs of one
    /// kind are serialised across handles and processes: the second caller learns
    /// [`AlreadyRunning`](super::MaintenanceStatus::AlreadyRunning) at once and must not try again by itself.
    /// Cancelling the future leaves the palace whole; what the store still does for it has ended when [`Self::close`]
    /// returns.
    ///
    /// # Errors
    /// `UnsupportedMaintenanceKind` for a kind that is not advertised.
    async fn run_maintenance(&self, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        let _ = progress;
        Err(Error::new(ErrorKind::UnsupportedMaintenanceKind, format!("no maintenance kind {kind:?}")))
    }

    /// Stores the identity of a collection that is there, instead of any before it; durable when it returns. Whether
    /// that is allowed has been decided by the caller (§1.5).
    ///
    /// # Errors
    /// `UnsupportedCapability` from a store that only reads.
    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        let _ = (collection, identity);
        Err(Error::new(ErrorKind::UnsupportedCapability, "this backend records no embedder identity"))
    }

    /// The palace's migration log, oldest first (§1.5, §8.3).
    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        Ok(Vec::new())
    }

    /// Adds to the migration log; durable when it returns. Entries of others stay as they are.
    ///
    /// # Errors
    /// `UnsupportedCapability` from a store that keeps none.
    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        let _ = entry;
        Err(Error::new(ErrorKind::UnsupportedCapability, "this backend keeps no migration log"))
    }

    /// Told by the consumer the palace was opened for: of each collection it follows, everything up to its cursor is
    /// durable where it went, and the cursors are stored. What the store keeps for that consumer only before the earliest
    /// of them may go. Told once before anything is followed, with the cursors following begins at, and again as they
    /// move.
    async fn confirm(&self, positions: &[(String, Cursor)]) -> Result<()> {
        let _ = positions;
        Ok(())
    }

    /// Lets go of what the handle keeps open (§2.6), and returns once nothing runs any more that was begun through it and
    /// cancelled. What follows answers `BackendClosed`, which
    /// [`enforce`](super::enforce()) sees to.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// What can be told of a collection without reading its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Rows it holds now; an estimate where `supports_estimated_count` is advertised.
    pub rows: u64,
    /// Width of its vectors; `None` until the first write.
    pub dimension: Option<u32>,
    /// Declared metric.
    pub metric: Option<Metric>,
    /// Stored identity.
    pub identity: Option<EmbedderIdentity>,
    /// Changes when the collection is dropped and made again under the same name.
    pub incarnation: Option<String>,
    /// What the store keeps of it beyond that, in the store's words: index settings and metadata of the collection's own.
    /// Its rows do not depend on it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
}

/// A collection to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionSpec {
    /// Its name.
    pub name: String,
    /// Width of its vectors.
    pub dimension: u32,
    /// Metric it will be searched by.
    pub metric: Metric,
    /// Model of its vectors, if known.
    pub identity: Option<EmbedderIdentity>,
    /// Chosen by the caller before anything is written, so that a crash in between leaves no doubt whose it is.
    pub incarnation: String,
    /// The settings of the collection it is a copy of. A backend that does not say
    /// [`keeps_settings`](super::Descriptor::keeps_settings) leaves them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
}
