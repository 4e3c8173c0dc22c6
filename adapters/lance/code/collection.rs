use super::palace::only_read;
use crate::collection::TableHandle;
use crate::maintenance::figures;
use crate::{cut, feed, scan};
use async_trait::async_trait;
use futures::stream::BoxStream;
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, FeedHead, Filter, KeyRange, Partition, Result, RowStream,
    ScanOrder, ScanRequest, WriteMode,
};
use serde_json::Value;

/// A table of mempalace-code. What is asked of it beyond a copy is answered from scans: its metadata is in columns,
/// and what they stand for is known only row by row.
pub(super) struct CodeCollection {
    name: String,
    handle: TableHandle,
}

impl CodeCollection {
    /// # Errors
    /// `UnsupportedFormat` for a table of another shape.
    pub(super) async fn open(name: &str, handle: TableHandle) -> Result<Self> {
        handle.pin().await?;
        Ok(Self { name: name.to_owned(), handle })
    }

    pub(super) async fn figures(&self) -> Result<Value> {
        let pinned = self.handle.pin().await?;
        figures(&pinned.dataset, &pinned.place).await
    }
}

#[async_trait]
impl Collection for CodeCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        let pinned = self.handle.pin().await?;
        let rows = pinned.dataset.count_rows(None).await;
        let rows = rows.map_err(|error| pinned.place.store("could not count the rows", error))? as u64;
        let layout = pinned.layout;
        let (name, dimension) = (self.name.clone(), Some(layout.dimension));
        let first = pinned.dataset.read_transaction_by_version(1).await.ok().flatten();
        let incarnation = first.map(|made| made.uuid);
        Ok(CollectionInfo {
            name,
            rows,
            dimension,
            metric: layout.metric,
            identity: layout.identity,
            incarnation,
            settings: Default::default(),
        })
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.info().await?.rows)
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        cut::cut(&self.handle.pin().await?, rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        match request.order {
            ScanOrder::ById => scan::ordered(self.handle.clone(), request, Filter::All),
            ScanOrder::Any => scan::streamed(self.handle.clone(), request, Filter::All),
        }
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        scan::last_id(&self.handle.pin().await?, range).await
    }

    async fn apply(&self, _batch: ChangeBatch, _mode: WriteMode) -> Result<Applied> {
        Err(only_read(&self.handle.place))
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        feed::head(&self.handle.pin().await?).await
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        feed::changes_since(self.handle.clone(), cursor.clone(), batch_rows)
    }
}
