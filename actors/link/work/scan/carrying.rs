use crate::link::setup::LinkSetup;
use crate::link::work::difference::{Copied, CopyRows, digests};
use async_trait::async_trait;
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, GetRequest, GetResult, KeyRange, Partition, QueryRequest,
    QueryResult, Result, RowStream, ScanRequest, WriteMode,
};
use palanquin_engine::journal::{Carried, Journal};
use palanquin_engine::link::LinkId;
use palanquin_engine::rows::RowDigest;
use std::sync::Arc;

/// Rows of the journal read at once.
const PAGE: usize = 5_000;

/// What the journal knows of the rows of one collection of a link.
#[derive(Clone)]
pub(in crate::link::work) struct Digested {
    journal: Arc<dyn Journal>,
    link: LinkId,
    epoch: u64,
    collection: usize,
}

impl Digested {
    pub(in crate::link::work) fn of(setup: &LinkSetup, epoch: u64, collection: usize) -> Self {
        Self { journal: Arc::clone(&setup.journal), link: setup.id.clone(), epoch, collection }
    }

    pub(super) async fn after(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, Option<RowDigest>)>> {
        Ok(self.journal.carried_after(&self.link, self.collection, after, limit).await?)
    }

    /// Whether anything was carried over.
    pub(super) async fn is_any(&self) -> Result<bool> {
        Ok(!self.after(None, 1).await?.is_empty())
    }

    /// Notes rows the source has no more.
    pub(super) async fn missing(&self, ids: Vec<String>) -> Result<()> {
        self.record(ids.into_iter().map(|id| (id, Carried::Missing)).collect()).await
    }

    pub(super) async fn missing_ids(&self, limit: usize) -> Result<Vec<String>> {
        Ok(self.journal.missing(&self.link, self.collection, limit).await?)
    }

    pub(super) async fn forget_missing(&self) -> Result<()> {
        Ok(self.journal.forget_missing(&self.link, self.epoch, self.collection).await?)
    }

    /// All of it, by the page.
    pub(super) fn pages(&self) -> Pages {
        Pages { digested: self.clone(), upto: None }
    }

    async fn record(&self, rows: Vec<(String, Carried)>) -> Result<()> {
        Ok(self.journal.record_carried(&self.link, self.epoch, self.collection, rows).await?)
    }
}

/// What was carried over, in the order of ids.
pub(super) struct Pages {
    digested: Digested,
    /// Last id of the pages read.
    upto: Option<String>,
}

#[async_trait]
impl CopyRows for Pages {
    async fn next_page(&mut self) -> Result<Option<Vec<Copied>>> {
        let page = self.digested.after(self.upto.as_deref(), PAGE).await?;
        self.upto = page.last().map(|(id, _)| id.clone()).or_else(|| self.upto.take());
        Ok((!page.is_empty()).then_some(page))
    }
}

/// A target's collection of which the journal knows what it was given.
///
/// Before a batch is applied, its rows become unknown; once it is durable, their digests are recorded. A program killed
/// in between finds unknown rows, which the next round carries again: never a digest of what the target does not hold.
pub(in crate::link::work) struct Carrying {
    target: Arc<dyn Collection>,
    digested: Digested,
}

impl Carrying {
    pub(in crate::link::work) fn to(target: Arc<dyn Collection>, digested: Digested) -> Arc<dyn Collection> {
        Arc::new(Self { target, digested })
    }
}

#[async_trait]
impl Collection for Carrying {
    async fn info(&self) -> Result<CollectionInfo> {
        self.target.info().await
    }

    async fn count(&self) -> Result<u64> {
        self.target.count().await
    }

    async fn estimated_count(&self) -> Result<u64> {
        self.target.estimated_count().await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        self.target.cut(rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        self.target.scan(request)
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        self.target.last_id(range).await
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let upserts = match &batch.upserts {
            Some(rows) => digests(rows.clone()).await?,
            None => Vec::new(),
        };
        let patched = batch.patches.iter().flat_map(|patch| patch.rows.ids().iter().flatten()).map(str::to_owned);
        let touched = upserts.iter().map(|(id, _)| id).chain(&batch.deletes).cloned().chain(patched);
        let unknown: Vec<_> = touched.map(|id| (id, Carried::Unknown)).collect();
        let removed: Vec<_> = batch.deletes.iter().map(|id| (id.clone(), Carried::Removed)).collect();
        self.digested.record(unknown).await?;
        let applied = self.target.apply(batch, mode).await?;
        let carried = upserts.into_iter().map(|(id, digest)| (id, Carried::As(digest)));
        self.digested.record(removed.into_iter().chain(carried).collect()).await?;
        Ok(applied)
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        self.target.get(request).await
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        self.target.query(request).await
    }
}
