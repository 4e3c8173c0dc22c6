use crate::code::{self, Fence};
use crate::durability::Durability;
use crate::error::Place;
use crate::home::sidecar;
use crate::layout::Layout;
use crate::write::Tidy;
use crate::{cut, feed, lookup, scan, write};
use arrow_schema::Schema;
use async_trait::async_trait;
use futures::stream::BoxStream;
use lance::Dataset;
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, EmbedderIdentity, ErrorKind, FeedHead, Filter,
    GetRequest, GetResult, IdentityState, KeyRange, Partition, QueryRequest, QueryResult, Result, RowStream,
    RowUpdates, ScanOrder, ScanRequest, Selection, WriteMode,
};
use palanquin_engine::rows::RowBatch;
use std::path::PathBuf;
use std::sync::Arc;

/// One table and what is needed to speak of it.
#[derive(Clone)]
pub(crate) struct TableHandle {
    pub(crate) table: lancedb::Table,
    pub(crate) place: Place,
    /// The palace's directory, of a table that mempalace-code wrote.
    code: Option<PathBuf>,
}

/// A version of the table that does not move while it is read.
#[derive(Clone)]
pub(crate) struct Pinned {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) layout: Layout,
    pub(crate) place: Place,
    /// Keeps mempalace-code from pruning the version.
    _fence: Option<Fence>,
}

impl Pinned {
    /// Another version of the same table.
    pub(crate) fn at(&self, dataset: Arc<Dataset>) -> Self {
        Self { dataset, ..self.clone() }
    }
}

impl TableHandle {
    /// A table of rows in our columns.
    pub(crate) fn of_rows(table: lancedb::Table, place: Place) -> Self {
        Self { table, place, code: None }
    }

    /// A table of mempalace-code in the palace at this path.
    pub(crate) fn of_code(table: lancedb::Table, place: Place, palace: PathBuf) -> Self {
        Self { table, place, code: Some(palace) }
    }

    /// The newest version. About 40 µs if there is none newer than the last one seen.
    pub(crate) async fn newest(&self) -> Result<Arc<Dataset>> {
        let Some(dataset) = self.table.dataset() else {
            return Err(self.place.error(ErrorKind::Internal, "the table is not a local one"));
        };
        dataset.get().await.map_err(|error| self.place.unreadable("could not read the newest version", error))
    }

    /// The newest version, with its layout as of that version.
    pub(crate) async fn pin(&self) -> Result<Pinned> {
        let _fence = match &self.code {
            Some(palace) => {
                let fence = Fence::around(palace.clone()).await;
                Some(fence.map_err(|error| self.place.io("could not lock the palace for reading", error))?)
            }
            None => None,
        };
        let dataset = self.newest().await?;
        let schema = Schema::from(dataset.schema());
        let layout = if self.code.is_some() { code::layout(&schema) } else { Layout::read(&schema) };
        let layout = layout.map_err(|problem| {
            self.place.error(ErrorKind::UnsupportedFormat, format!("not a table of rows: {problem}"))
        })?;
        Ok(Pinned { dataset, layout, place: self.place.clone(), _fence })
    }
}

/// An open table.
pub(crate) struct LanceCollection {
    name: String,
    handle: TableHandle,
    layout: Layout,
    recorded: Option<EmbedderIdentity>,
    /// For a table that carries no incarnation of ours: the transaction that made it, if it is still known.
    first_transaction: Option<String>,
    writable: bool,
    durability: Durability,
    tidy: Tidy,
}

impl LanceCollection {
    /// Takes a table that holds rows in our columns, whoever made it.
    ///
    /// # Errors
    /// `UnsupportedFormat` for another shape; `EmbedderIdentityMismatch` if the sidecar's model or width is not the
    /// store's.
    pub(crate) async fn open(
        name: &str,
        handle: TableHandle,
        recorded: Option<EmbedderIdentity>,
        writable: bool,
        durability: Durability,
    ) -> Result<Self> {
        let pinned = handle.pin().await?;
        let layout = pinned.layout;
        let stored = layout.stored_identity();
        if let Some(recorded) = &recorded
            && EmbedderIdentity::compare(Some(&stored), Some(recorded)) == IdentityState::KnownMismatch
        {
            let detail = format!("the store was made for {stored}, {} names {recorded}", sidecar::FILE_NAME);
            return Err(handle.place.error(ErrorKind::EmbedderIdentityMismatch, detail));
        }
        let first_transaction = match &layout.incarnation {
            Some(_) => None,
            None => pinned.dataset.read_transaction_by_version(1).await.ok().flatten().map(|made| made.uuid),
        };
        Ok(Self {
            name: name.to_owned(),
            handle,
            layout,
            recorded,
            first_transaction,
            writable,
            durability,
            tidy: Tidy::default(),
        })
    }

    fn check_writable(&self) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(self.handle.place.error(ErrorKind::InvalidRequest, "the palace was opened for reading only"))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

#[async_trait]
impl Collection for LanceCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        let Pinned { dataset, layout, place, .. } = self.handle.pin().await?;
        let rows = dataset.count_rows(None).await.map_err(|error| place.store("could not count the rows", error))?;
        Ok(CollectionInfo {
            name: self.name.clone(),
            rows: rows as u64,
            dimension: Some(layout.dimension),
            metric: layout.metric,
            identity: layout.identity.or_else(|| self.recorded.clone()),
            incarnation: layout.incarnation.or_else(|| self.first_transaction.clone()),
            settings: Default::default(),
        })
    }

    async fn count(&self) -> Result<u64> {
        let rows = self.handle.table.count_rows(None).await;
        rows.map(|rows| rows as u64).map_err(|error| self.handle.place.store("could not count the rows", error))
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        cut::cut(&self.handle.pin().await?, rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        self.scan_passing(request, &Filter::All)
    }

    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        match request.order {
            ScanOrder::ById => scan::ordered(self.handle.clone(), request, filter.clone()),
            ScanOrder::Any => scan::streamed(self.handle.clone(), request, filter.clone()),
        }
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        scan::last_id(&self.handle.pin().await?, range).await
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.check_writable()?;
        let applied = write::apply(&self.handle, &self.layout, &self.durability, batch, mode).await?;
        // Who loads appends few large batches; who follows makes many small commits.
        if mode == WriteMode::Upsert && applied.upserted + applied.deleted > 0 {
            self.tidy.after_commit(&self.handle, &self.durability).await?;
        }
        Ok(applied)
    }

    async fn add(&self, rows: RowBatch) -> Result<()> {
        self.check_writable()?;
        write::add(&self.handle, &self.durability, rows).await
    }

    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        self.check_writable()?;
        write::update(&self.handle, &self.durability, &updates).await
    }

    async fn delete(&self, selection: &Selection) -> Result<u64> {
        self.check_writable()?;
        write::remove(&self.handle, &self.durability, selection).await
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        lookup::get(&self.handle.pin().await?, request).await
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        lookup::query(&self.handle.pin().await?, request).await
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        feed::head(&self.handle.pin().await?).await
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        feed::changes_since(self.handle.clone(), cursor.clone(), batch_rows)
    }
}
