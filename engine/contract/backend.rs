use super::{
    Capabilities, CaptureLevel, EmbedderIdentity, Fidelity, Health, KeyRange, MaintenanceState, Metric, PalaceRef,
    Result, SpecVersion,
};
use crate::rows::RowBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// What a backend says of itself (§2). It belongs to the backend, never to one palace.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// Name in addresses and configuration.
    pub name: &'static str,
    /// Contract version it was written against.
    pub spec_version: SpecVersion,
    /// Advertised tokens.
    pub capabilities: Capabilities,
    /// Advertised maintenance kinds (§7.3).
    pub maintenance_kinds: &'static [&'static str],
    /// How its palaces can be followed; `None` if only by comparison.
    pub capture: Option<CaptureLevel>,
    /// How faithfully vectors come back.
    pub fidelity: Fidelity,
}

/// A kind of store. Construction does no I/O (§2.6).
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What it says of itself.
    fn descriptor(&self) -> &Descriptor;

    /// Whether `path` holds this backend's artefacts (§3.3). Reads a few bytes at most; any failure is "no".
    fn detect(&self, path: &Path) -> bool;

    /// Opens a palace. Opening different palaces concurrently is safe (§2.5).
    ///
    /// # Errors
    /// `PalaceNotFound` where nothing is, unless `mode` creates; `NotAPalace` where something else is.
    async fn open(&self, palace: &PalaceRef, mode: OpenMode) -> Result<Arc<dyn Palace>>;
}

/// What a palace is opened for (§2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To be read; nothing in it is ever written.
    Read,
    /// To be read and written; it must be there.
    Write,
    /// To be read and written; made, with mode 0700, if it is not there.
    Create,
}

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
    /// `PalaceExists` if one with another incarnation is there.
    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>>;

    /// Whether it can do its work. Cheap: never a full scan.
    async fn health(&self) -> Health;

    /// The store's condition in its own terms (§7.3).
    async fn maintenance_state(&self) -> Result<MaintenanceState>;
}

/// What can be told of a collection without reading its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Rows it holds now.
    pub rows: u64,
    /// Width of its vectors; `None` until the first write.
    pub dimension: Option<u32>,
    /// Declared metric.
    pub metric: Option<Metric>,
    /// Stored identity.
    pub identity: Option<EmbedderIdentity>,
    /// Changes when the collection is dropped and made again under the same name.
    pub incarnation: Option<String>,
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
}

/// Rows in ascending byte order of their ids, or as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanOrder {
    /// Ascending by id.
    ById,
    /// Whatever is cheapest.
    Any,
}

/// Which rows to read, and how many at once.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// The ids wanted.
    pub range: KeyRange,
    /// Order of the rows.
    pub order: ScanOrder,
    /// Upper bound of rows in a batch.
    pub batch_rows: usize,
}

/// Batches as they are read; it owns what it needs and reads no further than it is polled.
pub type RowStream = BoxStream<'static, Result<RowBatch>>;

/// A share of a collection: one range and about how many rows it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its ids.
    pub range: KeyRange,
    /// Rows when it was cut.
    pub rows: u64,
}

/// A place in a collection's feed; opaque outside its adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Where a feed ends now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedHead {
    /// Cursor of the newest change.
    pub cursor: Cursor,
    /// When the newest change was made, if the store says; milliseconds since the epoch.
    pub changed_at_ms: Option<i64>,
}

/// Changes to be applied together: deletes first, then upserts.
#[derive(Clone, Debug)]
pub struct ChangeBatch {
    /// Rows to insert or replace; ids are distinct.
    pub upserts: Option<RowBatch>,
    /// Ids to remove; absent ones are ignored.
    pub deletes: Vec<String>,
    /// Once this batch is durable the feed has gone this far. `None` while more batches of the same step follow.
    pub cursor: Option<Cursor>,
}

impl ChangeBatch {
    /// Rows to insert or replace, nothing else.
    pub fn upserts(rows: RowBatch) -> Self {
        Self { upserts: Some(rows), deletes: Vec::new(), cursor: None }
    }

    /// How many rows it touches.
    pub fn rows(&self) -> usize {
        self.upserts.as_ref().map_or(0, RowBatch::len) + self.deletes.len()
    }
}

/// How a batch meets what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// The caller vouches that none of the ids is in the collection; the store's fastest path.
    Append,
    /// Ids that are there are replaced.
    Upsert,
}

/// What applying a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted or replaced.
    pub upserted: u64,
    /// Rows removed.
    pub deleted: u64,
}

/// An open collection. One handle has one writer at a time (§2.5).
#[async_trait]
pub trait Collection: Send + Sync {
    /// What can be told without reading rows; current as of the call.
    async fn info(&self) -> Result<CollectionInfo>;

    /// Rows it holds now.
    async fn count(&self) -> Result<u64>;

    /// Cuts the ids into ranges of about `rows_per_partition` rows that together cover every id there can be.
    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>>;

    /// Reads rows. Each row is seen as one committed state; rows changed meanwhile may be seen before or after.
    fn scan(&self, request: ScanRequest) -> RowStream;

    /// The greatest id in the range, if any row is in it.
    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>>;

    /// Applies the batch; when it returns, the rows are durable (they survive power loss). Replaying a batch in
    /// [`WriteMode::Upsert`] changes nothing.
    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied>;

    /// Where the feed ends now; `None` from a backend without a feed.
    async fn feed_head(&self) -> Result<Option<FeedHead>>;

    /// Changes after `cursor`, net per row; the last batch carries the cursor they lead to (§6).
    ///
    /// # Errors
    /// `CursorExpired` if the store no longer knows that place, `UnsupportedCapability` without a feed.
    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>>;
}
