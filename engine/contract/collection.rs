use super::reference;
use super::{
    Applied, ChangeBatch, CollectionInfo, Cursor, EmbedderIdentity, Error, ErrorKind, FeedHead, Filter, GetRequest,
    GetResult, KeyRange, Partition, QueryRequest, QueryResult, Result, RowStream, RowUpdates, ScanRequest, Selection,
    WriteMode,
};
use crate::rows::RowBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

/// An open collection. One handle has one user at a time (§2.5).
///
/// What has a default here is made of [`scan`](Self::scan) and [`apply`](Self::apply) by the reference implementation:
/// right for any store, and to be replaced where the store can do it faster or atomically.
#[async_trait]
pub trait Collection: Send + Sync {
    /// What can be told without reading rows; current as of the call.
    async fn info(&self) -> Result<CollectionInfo>;

    /// Rows it holds now, exactly.
    async fn count(&self) -> Result<u64>;

    /// Rows it holds, as nearly as the store knows without counting. Where `supports_estimated_count` is advertised it
    /// is cheaper than [`count`](Self::count).
    async fn estimated_count(&self) -> Result<u64> {
        self.count().await
    }

    /// Cuts the ids into ranges of about `rows_per_partition` rows that together cover every id there can be.
    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>>;

    /// Reads rows. Each row is seen as one committed state; rows changed meanwhile may be seen before or after.
    fn scan(&self, request: ScanRequest) -> RowStream;

    /// Reads the rows that pass the filter, otherwise as [`scan`](Self::scan) does. Rows that do not pass may come too,
    /// and batches may be empty: the store leaves out what it can without reading the whole of it, and whoever asks looks
    /// at what comes. Of [`Filter::All`] it is the scan itself.
    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        let _ = filter;
        self.scan(request)
    }

    /// The greatest id in the range, if any row is in it.
    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>>;

    /// Applies the batch; when it returns, the rows are durable (they survive power loss). Of an id given twice the
    /// last row counts. Replaying a batch in [`WriteMode::Upsert`] changes nothing. Rows are stored as they are: this
    /// is how copies travel, and a copy does not judge.
    ///
    /// Patches are only given to a backend that advertises `supports_update`. They replace the fields they name, each
    /// whole (metadata is not merged), and make no rows: ids that are not there come back as
    /// [`missing`](Applied::missing). No reader sees half of a patched row.
    ///
    /// # Errors
    /// `DimensionMismatch` for vectors of another width; `RowRefused` for a row the store cannot hold. Of a batch that
    /// failed, rows may be there, each whole.
    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied>;

    /// Inserts rows that are not there (§1).
    ///
    /// # Errors
    /// `IdExists` if an id is there already or comes twice; nothing is then written.
    async fn add(&self, rows: RowBatch) -> Result<()> {
        reference::add(self, rows).await
    }

    /// Inserts rows or replaces them whole (§1).
    async fn upsert(&self, rows: RowBatch) -> Result<()> {
        self.apply(ChangeBatch::upserts(rows), WriteMode::Upsert).await.map(drop)
    }

    /// Replaces the given fields of rows that are there and leaves the others as they are; metadata is merged key by
    /// key, and a key given as null is removed. Ids that are not there are passed over. Returns how many rows were
    /// updated. Where `supports_update` is advertised it is one atomic round trip: no reader sees half of it (§1).
    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        reference::update(self, updates).await
    }

    /// Removes the rows of a selection and returns how many there were (§1).
    async fn delete(&self, selection: &Selection) -> Result<u64> {
        reference::delete(self, selection).await
    }

    /// Reads the rows of a selection: ids that were named in the order of their names, others ascending by id (§1).
    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        reference::get(self, request).await
    }

    /// The nearest rows to each vector among those that pass the filter, nearest first, exact unless the operator has
    /// asked for an approximate index (§1). Rows without a vector are never hits.
    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        reference::query(self, request).await
    }

    /// The model a store that embeds by itself uses now (§1.5); `None` from one that only takes vectors.
    async fn effective_embedder_identity(&self) -> Result<Option<EmbedderIdentity>> {
        Ok(None)
    }

    /// Where the feed ends now; `None` from a backend without a feed.
    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        Ok(None)
    }

    /// Changes after `cursor`, net per row; the last batch carries the cursor they lead to (§6). Of a step that is too
    /// large to be held in memory a row may come again in a later batch.
    ///
    /// A row of which the store's log tells only some fields comes as a [`Patch`](super::Patch); fields it does not
    /// tell are those the row had at `cursor`.
    ///
    /// # Errors
    /// `CursorExpired` if the store no longer knows that place, `UnsupportedCapability` without a feed.
    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        let _ = (cursor, batch_rows);
        let error = Error::new(ErrorKind::UnsupportedCapability, "this backend has no feed of changes");
        stream::iter([Err(error)]).boxed()
    }
}
