use crate::connection::{Connector, Server, Session};
use crate::error::Place;
use crate::feed::{self, Feed};
use crate::palace::{PostgresPalace, Standing};
use crate::{read, write};
use async_trait::async_trait;
use deadpool::managed::Object;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, Cursor, ErrorKind, FeedHead, Filter, GetRequest, GetResult,
    KeyRange, Partition, QueryRequest, QueryResult, Result, RowStream, RowUpdates, ScanRequest, Selection, WriteMode,
};
use palanquin_engine::rows::RowBatch;
use std::sync::Arc;

/// One table of rows, and what is needed to speak of it.
pub(crate) struct PostgresCollection {
    palace: Arc<PostgresPalace>,
    standing: Standing,
    table: Arc<Table>,
}

/// What a statement on a table needs to know; what a stream of its rows owns.
pub(crate) struct Table {
    pub(crate) server: Server,
    pub(crate) place: Place,
    /// Its name, quoted and with its schema.
    pub(crate) name: String,
    /// What ids are ordered and compared by.
    pub(crate) ordered_id: &'static str,
    /// Whether the primary key can do that.
    pub(crate) id_is_bytewise: bool,
    /// Width of the vectors; `None` where the column takes any.
    pub(crate) dimension: Option<u32>,
    pub(crate) has_updated_at: bool,
    /// The type `vector` and the function that gives its bytes, quoted and with their schema.
    pub(crate) vector: String,
    pub(crate) vector_send: String,
    /// The schema of pgvector, quoted.
    pub(crate) vector_schema: String,
}

impl Table {
    pub(crate) async fn session(&self) -> Result<Object<Connector>> {
        self.server.session().await.map_err(|error| self.place.name(error))
    }
}

impl PostgresCollection {
    pub(crate) fn new(palace: Arc<PostgresPalace>, standing: Standing, place: Place) -> Self {
        let (relation, schema) = (&standing.relation, &palace.schema);
        let table = Table {
            server: palace.server.clone(),
            place,
            name: schema.qualified(&relation.table),
            ordered_id: relation.ordered_id(),
            id_is_bytewise: relation.id_is_bytewise,
            dimension: relation.dimension,
            has_updated_at: relation.has_updated_at(),
            vector: schema.of_vector("vector"),
            vector_send: schema.of_vector("vector_send"),
            vector_schema: schema.of_vector(""),
        };
        Self { palace, standing, table: Arc::new(table) }
    }

    fn feed(&self) -> Result<Arc<Feed>> {
        let detail = "the server's log is kept for a consumer, and the palace was opened for none";
        self.palace.feed.clone().ok_or_else(|| self.table.place.error(ErrorKind::InvalidRequest, detail))
    }

    fn oid(&self) -> u32 {
        u32::try_from(self.standing.relation.oid).unwrap_or_default()
    }

    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What is recorded and estimated of it.
    pub(crate) async fn describe(&self) -> Result<CollectionInfo> {
        let session = self.table.session().await?;
        let rows = read::estimated_count(&session, &self.table).await?;
        let dimension = read::dimension(&session, &self.table).await?;
        drop(session);
        let identity = match self.standing.identity() {
            Some(identity) => Some(identity.clone()),
            None => self.palace.recorded_in_file(&self.standing.name).await.ok().flatten(),
        };
        Ok(CollectionInfo {
            name: self.standing.name.clone(),
            rows,
            dimension,
            metric: Some(self.standing.metric()),
            identity,
            incarnation: Some(self.standing.incarnation()),
            settings: Default::default(),
        })
    }

    /// The same collection as it stands in the database now.
    async fn now(&self, session: &Session) -> Result<Option<Standing>> {
        crate::palace::find(&self.palace, session, &self.standing.name, &self.table.place).await
    }
}

#[async_trait]
impl Collection for PostgresCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        let session = self.table.session().await?;
        let Some(standing) = self.now(&session).await? else {
            return Err(self.table.place.error(ErrorKind::CollectionNotInitialized, "its table is gone"));
        };
        drop(session);
        Self::new(Arc::clone(&self.palace), standing, self.table.place.clone()).describe().await
    }

    async fn count(&self) -> Result<u64> {
        let session = self.table.session().await?;
        read::count(&session, &self.table).await
    }

    async fn estimated_count(&self) -> Result<u64> {
        let session = self.table.session().await?;
        read::estimated_count(&session, &self.table).await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        read::cut(&self.table, rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        self.scan_passing(request, &Filter::All)
    }

    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        read::scan(Arc::clone(&self.table), request, filter.clone())
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        read::last_id(&self.table, range).await
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        self.palace.check_writable(&self.table.place)?;
        write::apply(&self.table, batch, mode).await
    }

    async fn add(&self, rows: RowBatch) -> Result<()> {
        self.palace.check_writable(&self.table.place)?;
        write::add(&self.table, &rows).await
    }

    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        self.palace.check_writable(&self.table.place)?;
        write::update(&self.table, &updates).await
    }

    async fn delete(&self, selection: &Selection) -> Result<u64> {
        self.palace.check_writable(&self.table.place)?;
        write::delete(&self.table, selection).await
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        read::get(&self.table, request).await
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        read::query(self, self.standing.metric(), request).await
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        let feed = self.feed()?;
        feed.head(&self.palace, &self.standing, &self.table.place).await.map(Some)
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        match self.feed() {
            Ok(feed) => feed::changes_since(feed, Arc::clone(&self.table), self.oid(), cursor.clone(), batch_rows),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}
