//! Something between a caller and a backend: all answers are the backend's but those that are replaced.
//!
//! Implement [`Between`] with the few methods that shall answer otherwise, and wrap a backend with [`interpose`]. The
//! suite does so to try what every adapter must stand (a server that embeds by itself, another spec version); its own
//! tests do so to break backends in ways that it must notice.

mod backend;
mod collection;
mod palace;

pub use backend::interpose;

use async_trait::async_trait;
use futures::stream::BoxStream;
use palanquin_engine::contract::{
    Applied, Backend, ChangeBatch, Collection, CollectionInfo, CollectionSpec, Cursor, Descriptor, EmbedderIdentity,
    FeedHead, Filter, GetRequest, GetResult, KeyRange, LogEntry, MaintenanceResult, MaintenanceState, OpenOptions,
    Palace, PalaceRef, Partition, Progress, QueryRequest, QueryResult, Result, RowStream, RowUpdates, ScanRequest,
    Selection, WriteMode,
};
use palanquin_engine::rows::RowBatch;
use std::sync::Arc;

/// Answers in place of a backend, of its palaces and of their collections. Each method is given what it stands in front
/// of, and passes on to it unless it is replaced.
#[async_trait]
#[allow(missing_docs, reason = "each is the contract's method of that name")]
pub trait Between: Send + Sync + 'static {
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        behind.clone()
    }

    async fn open(&self, behind: &dyn Backend, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        behind.open(palace, options).await
    }

    async fn collections(&self, behind: &dyn Palace) -> Result<Vec<CollectionInfo>> {
        behind.collections().await
    }

    async fn collection(&self, behind: &dyn Palace, name: &str) -> Result<Arc<dyn Collection>> {
        behind.collection(name).await
    }

    async fn create_collection(&self, behind: &dyn Palace, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        behind.create_collection(spec).await
    }

    async fn maintenance_state(&self, behind: &dyn Palace) -> Result<MaintenanceState> {
        behind.maintenance_state().await
    }

    async fn run_maintenance(&self, behind: &dyn Palace, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        behind.run_maintenance(kind, progress).await
    }

    async fn record_identity(&self, behind: &dyn Palace, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        behind.record_identity(collection, identity).await
    }

    async fn append_to_migration_log(&self, behind: &dyn Palace, entry: &LogEntry) -> Result<()> {
        behind.append_to_migration_log(entry).await
    }

    async fn confirm(&self, behind: &dyn Palace, positions: &[(String, Cursor)]) -> Result<()> {
        behind.confirm(positions).await
    }

    async fn info(&self, behind: &dyn Collection) -> Result<CollectionInfo> {
        behind.info().await
    }

    async fn count(&self, behind: &dyn Collection) -> Result<u64> {
        behind.count().await
    }

    async fn estimated_count(&self, behind: &dyn Collection) -> Result<u64> {
        behind.estimated_count().await
    }

    async fn cut(&self, behind: &dyn Collection, rows_per_partition: u64) -> Result<Vec<Partition>> {
        behind.cut(rows_per_partition).await
    }

    fn scan(&self, behind: &dyn Collection, request: ScanRequest) -> RowStream {
        behind.scan(request)
    }

    /// Where nothing is filtered, whatever stands between scans stands here too.
    fn scan_passing(&self, behind: &dyn Collection, request: ScanRequest, filter: &Filter) -> RowStream {
        if filter.is_all() { self.scan(behind, request) } else { behind.scan_passing(request, filter) }
    }

    async fn last_id(&self, behind: &dyn Collection, range: &KeyRange) -> Result<Option<String>> {
        behind.last_id(range).await
    }

    async fn apply(&self, behind: &dyn Collection, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        behind.apply(batch, mode).await
    }

    async fn add(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        behind.add(rows).await
    }

    async fn upsert(&self, behind: &dyn Collection, rows: RowBatch) -> Result<()> {
        behind.upsert(rows).await
    }

    async fn update(&self, behind: &dyn Collection, updates: RowUpdates) -> Result<u64> {
        behind.update(updates).await
    }

    async fn delete(&self, behind: &dyn Collection, selection: &Selection) -> Result<u64> {
        behind.delete(selection).await
    }

    async fn get(&self, behind: &dyn Collection, request: &GetRequest) -> Result<GetResult> {
        behind.get(request).await
    }

    async fn query(&self, behind: &dyn Collection, request: &QueryRequest) -> Result<QueryResult> {
        behind.query(request).await
    }

    async fn effective_embedder_identity(&self, behind: &dyn Collection) -> Result<Option<EmbedderIdentity>> {
        behind.effective_embedder_identity().await
    }

    async fn feed_head(&self, behind: &dyn Collection) -> Result<Option<FeedHead>> {
        behind.feed_head().await
    }

    fn changes_since(
        &self,
        behind: &dyn Collection,
        cursor: &Cursor,
        batch_rows: usize,
    ) -> BoxStream<'static, Result<ChangeBatch>> {
        behind.changes_since(cursor, batch_rows)
    }
}
