use super::Standing;
use crate::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, EmbedderIdentity, Error, ErrorKind, FeedHead, Filter,
    GetRequest, GetResult, KeyRange, Palace, Partition, QueryRequest, QueryResult, Result, RowStream, RowUpdates,
    ScanRequest, Selection, WriteMode, token,
};
use crate::rows::RowBatch;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct EnforcedCollection {
    collection: Arc<dyn Collection>,
    name: String,
    palace: Arc<dyn Palace>,
    standing: Arc<Standing>,
    /// Recorded at the next write: nothing is stored yet.
    unrecorded: Mutex<Option<EmbedderIdentity>>,
    /// Width of the vectors, once it is known; it never changes from then on.
    width: Mutex<Option<u32>>,
}

impl EnforcedCollection {
    pub(super) fn new(
        collection: Arc<dyn Collection>,
        name: &str,
        palace: Arc<dyn Palace>,
        standing: Arc<Standing>,
        unrecorded: Option<EmbedderIdentity>,
    ) -> Self {
        let (unrecorded, width) = (Mutex::new(unrecorded), Mutex::new(None));
        Self { collection, name: name.to_owned(), palace, standing, unrecorded, width }
    }

    fn error(&self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        self.standing.error(kind, detail).in_collection(&self.name)
    }

    async fn width(&self) -> Result<Option<u32>> {
        let known = *self.width.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() {
            return Ok(known);
        }
        let width = self.collection.info().await?.dimension;
        *self.width.lock().unwrap_or_else(PoisonError::into_inner) = width;
        Ok(width)
    }

    async fn check_width(&self, given: u32) -> Result<()> {
        match self.width().await? {
            Some(width) if width != given => {
                let detail = format!("vectors of {given} components for a collection of {width}");
                Err(self.error(ErrorKind::DimensionMismatch, detail))
            }
            _ => Ok(()),
        }
    }

    /// Rows that come from a caller, not from another store: what nobody could search is not taken.
    async fn check_rows(&self, rows: &RowBatch) -> Result<()> {
        self.standing.check_writable()?;
        self.check_width(rows.dimension()).await?;
        match rows.rows().find(|row| row.embedding.is_some_and(|vector| !is_finite(vector))) {
            Some(row) => Err(self.error(ErrorKind::RowRefused, not_finite(row.id))),
            None => Ok(()),
        }
    }

    fn check_filter(&self, filter: &Filter) -> Result<()> {
        self.standing.check_open()?;
        let missing = match filter.range_operator() {
            Some(operator) if !self.standing.advertises(token::RANGE_FILTERS) => Some((operator, token::RANGE_FILTERS)),
            _ if filter.reads_metadata() && !self.standing.advertises(token::METADATA_FILTERS) => {
                Some(("metadata", token::METADATA_FILTERS))
            }
            _ => None,
        };
        let Some((operator, token)) = missing else { return Ok(()) };
        let detail = format!(
            "the filter uses {operator}, and backend {} does not advertise {token}",
            self.standing.descriptor.name
        );
        Err(self.error(ErrorKind::UnsupportedFilter, detail))
    }

    fn check_vectors_out(&self, embeddings: bool) -> Result<()> {
        if embeddings && !self.standing.advertises(token::EMBEDDINGS_OUT) {
            return Err(self.standing.unsupported(token::EMBEDDINGS_OUT).in_collection(&self.name));
        }
        Ok(())
    }

    /// Something was written, so what was unknown is recorded (§1.5).
    async fn written(&self) -> Result<()> {
        let unrecorded = self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut identity) = unrecorded else { return Ok(()) };
        if identity.dimension == 0 {
            identity.dimension = self.width().await?.unwrap_or(0);
        }
        // The writer may have been anyone: what has been recorded meanwhile is not replaced.
        let stored = self.collection.info().await?.identity;
        if stored.is_none_or(|stored| stored.model_name.is_empty()) {
            self.palace.record_identity(&self.name, &identity).await?;
        }
        *self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// Batches for as long as the palace is open.
    fn while_open<T: Send + 'static>(&self, batches: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
        let standing = Arc::clone(&self.standing);
        batches.map(move |batch| standing.check_open().and(batch)).boxed()
    }
}

fn is_finite(vector: &[f32]) -> bool {
    vector.iter().all(|component| component.is_finite())
}

fn not_finite(id: &str) -> String {
    format!("the vector of row {id:?} has a component that is infinite or not a number (NaN)")
}

fn failed<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::iter([Err(error)]).boxed()
}

#[async_trait]
impl Collection for EnforcedCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        self.standing.check_open()?;
        self.collection.info().await
    }

    async fn count(&self) -> Result<u64> {
        self.standing.check_open()?;
        self.collection.count().await
    }

    async fn estimated_count(&self) -> Result<u64> {
        self.standing.check_open()?;
        self.collection.estimated_count().await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        self.standing.check_open()?;
        self.collection.cut(rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        match self.standing.check_open() {
            Ok(()) => self.while_open(self.collection.scan(request)),
            Err(error) => failed(error),
        }
    }

    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        match self.standing.check_open() {
            Ok(()) => self.while_open(self.collection.scan_passing(request, filter)),
            Err(error) => failed(error),
        }
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        self.standing.check_open()?;
        self.collection.last_id(range).await
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.standing.check_writable()?;
        if let Some(rows) = &batch.upserts {
            self.check_width(rows.dimension()).await?;
        }
        if !batch.patches.is_empty() && !self.standing.advertises(token::UPDATE) {
            return Err(self.standing.unsupported(token::UPDATE).in_collection(&self.name));
        }
        for patch in batch.patches.iter().filter(|patch| patch.fields.embeddings) {
            self.check_width(patch.rows.dimension()).await?;
        }
        if batch.emptied {
            return Err(self.error(ErrorKind::InvalidRequest, "a batch that empties the source cannot be applied"));
        }
        let applied = self.collection.apply(batch, mode).await?;
        self.written().await?;
        Ok(applied)
    }

    async fn add(&self, rows: RowBatch) -> Result<()> {
        self.check_rows(&rows).await?;
        self.collection.add(rows).await?;
        self.written().await
    }

    async fn upsert(&self, rows: RowBatch) -> Result<()> {
        self.check_rows(&rows).await?;
        self.collection.upsert(rows).await?;
        self.written().await
    }

    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        self.standing.check_writable()?;
        for (id, vector) in updates.ids().iter().zip(updates.embeddings().unwrap_or_default()) {
            self.check_width(u32::try_from(vector.len()).unwrap_or(u32::MAX)).await?;
            if !is_finite(vector) {
                return Err(self.error(ErrorKind::RowRefused, not_finite(id)));
            }
        }
        let updated = self.collection.update(updates).await?;
        self.written().await?;
        Ok(updated)
    }

    async fn delete(&self, selection: &Selection) -> Result<u64> {
        self.standing.check_writable()?;
        self.check_filter(&selection.filter)?;
        if selection.ids.is_none() && selection.filter.is_all() {
            return Err(self.error(ErrorKind::InvalidRequest, "a delete needs ids or a filter"));
        }
        let deleted = self.collection.delete(selection).await?;
        self.written().await?;
        Ok(deleted)
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        self.check_filter(&request.selection.filter)?;
        self.check_vectors_out(request.include.embeddings)?;
        self.collection.get(request).await
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        self.check_filter(&request.filter)?;
        self.check_vectors_out(request.include.embeddings)?;
        for vector in &request.embeddings {
            self.check_width(u32::try_from(vector.len()).unwrap_or(u32::MAX)).await?;
            if !is_finite(vector) {
                let detail = "a vector to search for has a component that is infinite or not a number (NaN)";
                return Err(self.error(ErrorKind::InvalidRequest, detail));
            }
        }
        self.collection.query(request).await
    }

    async fn effective_embedder_identity(&self) -> Result<Option<EmbedderIdentity>> {
        self.standing.check_open()?;
        self.collection.effective_embedder_identity().await
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        self.standing.check_open()?;
        if self.standing.advertises(token::CHANGE_FEED) { self.collection.feed_head().await } else { Ok(None) }
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        if let Err(error) = self.standing.check_open() {
            return failed(error);
        }
        if !self.standing.advertises(token::CHANGE_FEED) {
            return failed(self.standing.unsupported(token::CHANGE_FEED).in_collection(&self.name));
        }
        self.while_open(self.collection.changes_since(cursor, batch_rows))
    }
}
