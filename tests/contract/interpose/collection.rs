use super::Between;
use async_trait::async_trait;
use futures::stream::BoxStream;
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, EmbedderIdentity, FeedHead, Filter, GetRequest,
    GetResult, KeyRange, Partition, QueryRequest, QueryResult, Result, RowStream, RowUpdates, ScanRequest, Selection,
    WriteMode,
};
use palanquin_engine::rows::RowBatch;
use std::sync::Arc;

pub(super) struct InterposedCollection {
    pub(super) behind: Arc<dyn Collection>,
    pub(super) between: Arc<dyn Between>,
}

#[async_trait]
impl Collection for InterposedCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        self.between.info(self.behind.as_ref()).await
    }

    async fn count(&self) -> Result<u64> {
        self.between.count(self.behind.as_ref()).await
    }

    async fn estimated_count(&self) -> Result<u64> {
        self.between.estimated_count(self.behind.as_ref()).await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        self.between.cut(self.behind.as_ref(), rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        self.between.scan(self.behind.as_ref(), request)
    }

    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        self.between.scan_passing(self.behind.as_ref(), request, filter)
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        self.between.last_id(self.behind.as_ref(), range).await
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.between.apply(self.behind.as_ref(), batch, mode).await
    }

    async fn add(&self, rows: RowBatch) -> Result<()> {
        self.between.add(self.behind.as_ref(), rows).await
    }

    async fn upsert(&self, rows: RowBatch) -> Result<()> {
        self.between.upsert(self.behind.as_ref(), rows).await
    }

    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        self.between.update(self.behind.as_ref(), updates).await
    }

    async fn delete(&self, selection: &Selection) -> Result<u64> {
        self.between.delete(self.behind.as_ref(), selection).await
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        self.between.get(self.behind.as_ref(), request).await
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        self.between.query(self.behind.as_ref(), request).await
    }

    async fn effective_embedder_identity(&self) -> Result<Option<EmbedderIdentity>> {
        self.between.effective_embedder_identity(self.behind.as_ref()).await
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        self.between.feed_head(self.behind.as_ref()).await
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        self.between.changes_since(self.behind.as_ref(), cursor, batch_rows)
    }
}
