use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, EmbedderIdentity, FeedHead, Filter, Finding, GetRequest,
    GetResult, KeyRange, Partition, QueryRequest, QueryResult, Result, RowStream, ScanRequest, Severity, WriteMode,
};
use palanquin_engine::link::{SalvagedRows, passing};
use palanquin_engine::rows::RowBatch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Ids listed, at most.
const LISTED: usize = 100;

/// How many rows a link has read whose vector was salvaged, and whence. Clones count together.
///
/// A reading of a whole collection counts its rows exactly and puts that in the place of what was counted before it;
/// until then a row that was read twice counts twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct SalvageCount(Arc<Mutex<BTreeMap<String, Tally>>>);

/// By origin, and whether the vectors are known to be current.
type Tally = BTreeMap<(Arc<str>, bool), Rows>;

#[derive(Debug, Default)]
struct Rows {
    count: u64,
    ids: Vec<String>,
}

impl SalvageCount {
    /// The collection, which counts what is read of it.
    pub(super) fn around(&self, source: Arc<dyn Collection>, name: &str) -> Arc<dyn Collection> {
        Arc::new(Counted { source, name: name.to_owned(), count: self.clone() })
    }

    /// What was counted.
    pub(super) fn rows(&self) -> Vec<SalvagedRows> {
        let collections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |collection: &String, tally: &Tally| -> Vec<_> {
            let rows = tally.iter().map(|((origin, is_current), rows)| SalvagedRows {
                collection: collection.clone(),
                origin: origin.to_string(),
                is_current: *is_current,
                count: rows.count,
                ids: rows.ids.clone(),
            });
            rows.collect()
        };
        collections.iter().flat_map(|(collection, tally)| of(collection, tally)).collect()
    }

    /// The same for the operator.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.rows().into_iter().map(finding).collect()
    }

    fn add(&self, name: &str, batch: &RowBatch) {
        if !batch.salvaged().is_empty() {
            let mut collections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            tally(collections.entry(name.to_owned()).or_default(), batch);
        }
    }

    fn replace(&self, name: &str, tally: Tally) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), tally);
    }
}

fn tally(tally: &mut Tally, batch: &RowBatch) {
    for one in batch.salvaged() {
        let rows = tally.entry((Arc::clone(&one.origin), one.is_current)).or_default();
        rows.count += 1;
        if rows.ids.len() < LISTED {
            rows.ids.push(batch.ids().value(one.row).to_owned());
        }
    }
}

fn finding(SalvagedRows { collection, origin, is_current, count, ids }: SalvagedRows) -> Finding {
    let standing = if is_current {
        "nothing was done to them since that was written"
    } else {
        "they may have changed since that was written, and the vectors may be of what they were before"
    };
    Finding {
        severity: Severity::Warning,
        name: if is_current { "rows-salvaged" } else { "rows-salvaged-perhaps-stale" }.to_owned(),
        summary: format!(
            "{count} rows of {collection} have lost their vector and are given the one found in {origin}; {standing}"
        ),
        rows: ids,
    }
}

/// A source's collection of which the salvaged rows are counted as they are read.
struct Counted {
    source: Arc<dyn Collection>,
    name: String,
    count: SalvageCount,
}

#[async_trait]
impl Collection for Counted {
    async fn info(&self) -> Result<CollectionInfo> {
        self.source.info().await
    }

    async fn count(&self) -> Result<u64> {
        self.source.count().await
    }

    async fn estimated_count(&self) -> Result<u64> {
        self.source.estimated_count().await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        self.source.cut(rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        self.scan_passing(request, &Filter::All)
    }

    /// Only rows that pass are counted.
    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        let is_whole = request.range == KeyRange::ALL;
        let (name, count, filter) = (self.name.clone(), self.count.clone(), filter.clone());
        let batches = self.source.scan_passing(request, &filter);
        let state = (batches, count, name, filter, Tally::new());
        futures::stream::try_unfold(state, move |(mut batches, count, name, filter, mut all)| async move {
            let Some(batch) = batches.try_next().await? else {
                if is_whole {
                    count.replace(&name, all);
                }
                return Ok(None);
            };
            if !batch.salvaged().is_empty() {
                let passing = passing(&filter, batch.clone())?;
                if is_whole {
                    tally(&mut all, &passing);
                } else {
                    count.add(&name, &passing);
                }
            }
            Ok(Some((batch, (batches, count, name, filter, all))))
        })
        .boxed()
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        self.source.last_id(range).await
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.source.apply(batch, mode).await
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        self.source.get(request).await
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        self.source.query(request).await
    }

    async fn effective_embedder_identity(&self) -> Result<Option<EmbedderIdentity>> {
        self.source.effective_embedder_identity().await
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        self.source.feed_head().await
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        let (name, count) = (self.name.clone(), self.count.clone());
        let batches = self.source.changes_since(cursor, batch_rows);
        batches.inspect_ok(move |batch| batch.upserts.iter().for_each(|rows| count.add(&name, rows))).boxed()
    }
}
