use crate::faults::{Faults, Point};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, CollectionSpec, Cursor, Error, ErrorKind, FeedHead, KeyRange,
    Partition, Result, RowStream, ScanRequest, WriteMode,
};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Debug)]
struct Stored {
    document: Option<String>,
    metadata: String,
    embedding: Option<Vec<f32>>,
}

#[derive(Debug, Default)]
struct Content {
    rows: BTreeMap<String, Stored>,
    /// Id touched by each change, in order; change `n` is at index `n - 1`.
    log: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct MemoryCollection {
    spec: Arc<CollectionSpec>,
    content: Arc<Mutex<Content>>,
    faults: Faults,
}

impl MemoryCollection {
    pub(crate) fn new(spec: CollectionSpec, faults: Faults) -> Self {
        Self { spec: Arc::new(spec), content: Arc::default(), faults }
    }

    pub(crate) fn describe(&self) -> CollectionInfo {
        CollectionInfo {
            name: self.spec.name.clone(),
            rows: self.content().rows.len() as u64,
            dimension: Some(self.spec.dimension),
            metric: Some(self.spec.metric),
            identity: self.spec.identity.clone(),
            incarnation: Some(self.spec.incarnation.clone()),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batch<'a>(&self, rows: impl ExactSizeIterator<Item = (&'a String, &'a Stored)>) -> Result<RowBatch> {
        let mut batch = RowBatchBuilder::with_capacity(rows.len(), self.spec.dimension);
        for (id, stored) in rows {
            let row = Row {
                id,
                document: stored.document.as_deref(),
                metadata: &stored.metadata,
                embedding: stored.embedding.as_deref(),
            };
            batch.push(row).map_err(|error| Error::new(ErrorKind::Internal, "a stored row").with_source(error))?;
        }
        batch.finish().map_err(|error| Error::new(ErrorKind::Internal, "a stored row").with_source(error))
    }

    /// The next batch of a range, and what remains of it.
    fn page(&self, range: &KeyRange, rows: usize) -> Result<Option<RowBatch>> {
        let content = self.content();
        let page: Vec<_> = within(&content.rows, range).take(rows.max(1)).collect();
        if page.is_empty() { Ok(None) } else { self.batch(page.into_iter()).map(Some) }
    }
}

fn within<'a>(
    rows: &'a BTreeMap<String, Stored>,
    range: &KeyRange,
) -> impl DoubleEndedIterator<Item = (&'a String, &'a Stored)> {
    let after = range.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let upto = range.upto.as_deref().map_or(Bound::Unbounded, Bound::Included);
    let ordered = range.after.as_deref() < range.upto.as_deref() || range.upto.is_none();
    ordered.then(|| rows.range::<str, _>((after, upto))).into_iter().flatten()
}

#[async_trait]
impl Collection for MemoryCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        Ok(self.describe())
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.content().rows.len() as u64)
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        let content = self.content();
        let ids: Vec<&String> = content.rows.keys().collect();
        let mut partitions: Vec<Partition> = Vec::new();
        for chunk in ids.chunks(rows_per_partition.max(1) as usize) {
            let after = partitions.last().and_then(|partition| partition.range.upto.clone());
            let upto = chunk.last().map(|id| (*id).clone());
            partitions.push(Partition { range: KeyRange { after, upto }, rows: chunk.len() as u64 });
        }
        match partitions.last_mut() {
            Some(last) => last.range.upto = None,
            None => partitions.push(Partition { range: KeyRange::ALL, rows: 0 }),
        }
        Ok(partitions)
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        let state = (self.clone(), request.range, request.batch_rows);
        stream::try_unfold(state, |(collection, range, batch_rows)| async move {
            collection.faults.pass(Point::Scan).await?;
            let Some(batch) = collection.page(&range, batch_rows)? else { return Ok(None) };
            let rest = range.remaining_after(batch.last_id());
            Ok(Some((batch, (collection, rest, batch_rows))))
        })
        .boxed()
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        Ok(within(&self.content().rows, range).next_back().map(|(id, _)| id.clone()))
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.faults.pass(Point::BeforeApply).await?;
        let mut applied = Applied::default();
        {
            let mut content = self.content();
            for id in &batch.deletes {
                if content.rows.remove(id).is_some() {
                    content.log.push(id.clone());
                    applied.deleted += 1;
                }
            }
            for row in batch.upserts.iter().flat_map(RowBatch::rows) {
                if mode == WriteMode::Append && content.rows.contains_key(row.id) {
                    return Err(Error::new(ErrorKind::Corrupt, "an appended row is there already"));
                }
                let stored = Stored {
                    document: row.document.map(str::to_owned),
                    metadata: row.metadata.to_owned(),
                    embedding: row.embedding.map(<[f32]>::to_vec),
                };
                content.rows.insert(row.id.to_owned(), stored);
                content.log.push(row.id.to_owned());
                applied.upserted += 1;
            }
        }
        self.faults.pass(Point::AfterApply).await?;
        Ok(applied)
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        Ok(Some(FeedHead { cursor: Cursor(self.content().log.len().to_string()), changed_at_ms: None }))
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        let batches = || {
            let content = self.content();
            let expired = || Error::new(ErrorKind::CursorExpired, format!("no change has number {}", cursor.0));
            let from: usize = cursor.0.parse().map_err(|_| expired())?;
            let touched: BTreeSet<&String> = content.log.get(from..).ok_or_else(expired)?.iter().collect();
            let mut batches = Vec::new();
            for chunk in touched.into_iter().collect::<Vec<_>>().chunks(batch_rows.max(1)) {
                let (kept, gone): (Vec<&String>, Vec<&String>) =
                    chunk.iter().partition(|id| content.rows.contains_key(id.as_str()));
                let kept: Vec<_> = kept.into_iter().filter_map(|id| content.rows.get_key_value(id)).collect();
                let upserts = if kept.is_empty() { None } else { Some(self.batch(kept.into_iter())?) };
                batches.push(ChangeBatch { upserts, deletes: gone.into_iter().cloned().collect(), cursor: None });
            }
            if let Some(last) = batches.last_mut() {
                last.cursor = Some(Cursor(content.log.len().to_string()));
            }
            Ok(batches)
        };
        match batches() {
            Ok(batches) => stream::iter(batches.into_iter().map(Ok)).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}
