use crate::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Conversion, Cursor, EmbedderIdentity, Error, ErrorKind, FeedHead,
    Filter, GetRequest, GetResult, KeyRange, Partition, QueryRequest, QueryResult, Result, RowStream, ScanOrder,
    ScanRequest, WriteMode,
};
use crate::rows::{RowBatch, convert, metadata_without_nul, text_without_nul};
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;

/// Rows read at once where only their number or their last id is wanted.
const BATCH_ROWS: usize = 1_000;

/// A collection of a source as a copy of it is to hold it: only the rows that pass the filter, and those with the target's
/// conversions made. What a copy is compared with; reading only. Rows that cannot be converted show as they are: they
/// are missing in the copy. Its feed is the source's own, unfiltered.
///
/// Where nothing is filtered and nothing converted it is the collection itself.
pub fn as_copied(
    source: Arc<dyn Collection>,
    filter: &Filter,
    conversions: &'static [Conversion],
) -> Arc<dyn Collection> {
    if filter.is_all() && conversions.is_empty() {
        return source;
    }
    Arc::new(AsCopied { source, filter: filter.clone(), conversions })
}

/// The rows of a batch that pass a filter.
///
/// # Errors
/// `Corrupt` for a row whose metadata is no JSON object.
pub fn passing(filter: &Filter, batch: RowBatch) -> Result<RowBatch> {
    if filter.is_all() {
        return Ok(batch);
    }
    let keep = batch.rows().map(|row| filter.matches(row)).collect::<Result<Vec<bool>>>()?;
    if keep.iter().all(|keep| *keep) { Ok(batch) } else { batch.kept(keep).map_err(broken) }
}

struct AsCopied {
    source: Arc<dyn Collection>,
    filter: Filter,
    conversions: &'static [Conversion],
}

impl AsCopied {
    /// Counts, or finds, rows that pass without keeping them.
    async fn fold<T>(
        &self,
        range: &KeyRange,
        order: ScanOrder,
        start: T,
        fold: impl Fn(T, &RowBatch) -> T,
    ) -> Result<T> {
        let mut batches = self.scan(ScanRequest { range: range.clone(), order, batch_rows: BATCH_ROWS });
        let mut folded = start;
        while let Some(batch) = batches.try_next().await? {
            folded = fold(folded, &batch);
        }
        Ok(folded)
    }

    fn converts_text(&self) -> bool {
        self.conversions.contains(&Conversion::NulInText)
    }
}

fn broken(error: crate::rows::RowSchemaError) -> Error {
    Error::new(ErrorKind::Internal, "rows of the source").with_source(error)
}

#[async_trait]
impl Collection for AsCopied {
    async fn info(&self) -> Result<CollectionInfo> {
        self.source.info().await
    }

    async fn count(&self) -> Result<u64> {
        if self.filter.is_all() {
            return self.source.count().await;
        }
        self.fold(&KeyRange::ALL, ScanOrder::Any, 0, |count, batch| count + batch.len() as u64).await
    }

    async fn estimated_count(&self) -> Result<u64> {
        self.source.estimated_count().await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        self.source.cut(rows_per_partition).await
    }

    /// Batches may be empty: rows that do not pass are read too, and whoever waits learns that something goes on.
    fn scan(&self, request: ScanRequest) -> RowStream {
        let (filter, conversions) = (self.filter.clone(), self.conversions);
        let batches = self.source.scan_passing(request, &filter);
        batches
            .map(move |batch| {
                let passing = passing(&filter, batch?)?;
                convert(&passing, conversions).map(|converted| converted.rows).map_err(broken)
            })
            .boxed()
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        if self.filter.is_all() {
            return self.source.last_id(range).await;
        }
        let last = |last: Option<String>, batch: &RowBatch| batch.last_id().map(str::to_owned).or(last);
        self.fold(range, ScanOrder::ById, None, last).await
    }

    async fn apply(&self, _: ChangeBatch, _: WriteMode) -> Result<Applied> {
        Err(Error::new(ErrorKind::UnsupportedCapability, "the source of a copy is only read"))
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        let mut request = request.clone();
        request.selection.filter = request.selection.filter.and(self.filter.clone());
        let mut found = self.source.get(&request).await?;
        if self.converts_text() {
            // An id that cannot be converted leaves the whole row as it is, as in a scan.
            for place in (0..found.ids.len()).filter(|place| !found.ids[*place].contains('\0')) {
                let metadata = found.metadatas.get(place).and_then(metadata_without_nul);
                if let Some(Err(_)) = metadata {
                    continue;
                }
                if let (Some(Ok(without)), Some(metadata)) = (metadata, found.metadatas.get_mut(place)) {
                    *metadata = without;
                }
                if let Some(Some(document)) = found.documents.get_mut(place)
                    && let Some(without) = text_without_nul(document)
                {
                    *document = without;
                }
            }
        }
        Ok(found)
    }

    /// The filter of a search reads the rows as the source has them.
    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        let filter = request.filter.clone().and(self.filter.clone());
        self.source.query(&QueryRequest { filter, ..request.clone() }).await
    }

    async fn effective_embedder_identity(&self) -> Result<Option<EmbedderIdentity>> {
        self.source.effective_embedder_identity().await
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        self.source.feed_head().await
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        self.source.changes_since(cursor, batch_rows)
    }
}
