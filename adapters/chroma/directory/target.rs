use super::files::{self, Synced};
use super::running::Running;
use crate::connection::is_palace;
use crate::server::{Addressed, Client, Database, ServerOptions, ServerPalace};
use crate::sidecar;
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use palanquin_engine::contract::{
    Applied, ChangeBatch, Collection, CollectionInfo, CollectionSpec, Condition, Cursor, EmbedderIdentity, Error,
    ErrorKind, FeedHead, Filter, GetRequest, GetResult, Health, IdentityState, KeyRange, LogEntry, MaintenanceState,
    OpenMode, Palace, Partition, QueryRequest, QueryResult, Result, RowStream, RowUpdates, ScanRequest, Selection,
    WriteMode,
};
use palanquin_engine::rows::RowBatch;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Chroma's own names: what MemPalace looks into.
const TENANT: &str = "default_tenant";
const DATABASE: &str = "default_database";

/// Opens a palace's directory to read it.
pub(crate) type Reading = dyn Fn() -> Result<Arc<dyn Palace>> + Send + Sync;

/// Opens a directory to write it. What only the files tell, and rows by the thousand, are read from it by `reading`; the server
/// would be asked for them by the page.
///
/// # Errors
/// `PalaceNotFound` where nothing is, unless the mode creates; `NotAPalace` where something else is; `InUse` while
/// MemPalace or another Palanquin writes it; `UnsupportedCapability` without a `chroma` command.
pub(crate) async fn open(
    folder: PathBuf,
    mode: OpenMode,
    shown: String,
    reading: Arc<Reading>,
) -> Result<Arc<dyn Palace>> {
    let named = shown.clone();
    let at = folder.clone();
    let starting = move || {
        prepare(&at, mode)?;
        Running::over(&at)
    };
    let running = blocking(starting).await.map_err(|error| error.in_palace(&named))?;
    let client = Client::new(ServerOptions::of(running.url()));
    let database = Database { tenant: TENANT.to_owned(), name: DATABASE.to_owned() };
    let palace = ServerPalace::new(Addressed { client, database, beside: None, shown: shown.clone() }, mode);
    let home = Arc::new(Home { folder, shown, synced: Synced::default(), reading, _running: running });
    Ok(Arc::new(DirectoryPalace { palace, home }))
}

/// Makes the directory, if that is wanted, and refuses one that holds something else.
fn prepare(folder: &Path, mode: OpenMode) -> Result<()> {
    if is_palace(folder) {
        return Ok(());
    }
    if !is_vacant(folder)? {
        return Err(Error::new(ErrorKind::NotAPalace, "the directory holds something, and no chroma.sqlite3"));
    }
    if mode != OpenMode::Create {
        return Err(Error::new(ErrorKind::PalaceNotFound, "there is no palace at this path"));
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::io("the palace's directory cannot be made", error))
}

/// Whether nothing is at a path, or an empty directory.
pub(super) fn is_vacant(folder: &Path) -> Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Error::new(ErrorKind::NotAPalace, "is a file; a Chroma palace is a directory"))
        }
        Err(error) => Err(Error::io("cannot look at the directory", error)),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, "work on a directory failed").with_source(error)))
}

/// What the palace and its collections share.
struct Home {
    folder: PathBuf,
    shown: String,
    synced: Synced,
    reading: Arc<Reading>,
    /// Ends the server with the last handle.
    _running: Arc<Running>,
}

impl Home {
    /// The directory as whoever only reads it sees it now.
    async fn read(&self) -> Result<Arc<dyn Palace>> {
        let reading = Arc::clone(&self.reading);
        blocking(move || reading()).await
    }

    /// A server does not say that it cannot write because the disk is full.
    fn explained(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Unavailable || !files::is_full(&self.folder) {
            return error;
        }
        let detail = "the disk the palace is on is full, and Chroma cannot write to it";
        Error::new(ErrorKind::StorageFull, detail).with_source(error).in_palace(&self.shown)
    }

    async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let home = Arc::clone(self);
        blocking(move || {
            work(&home).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => Error::new(ErrorKind::Corrupt, doing).with_source(error),
                _ => Error::io(doing, error),
            })
        })
        .await
        .map_err(|error| error.in_palace(&self.shown))
    }
}

struct DirectoryPalace {
    palace: ServerPalace,
    home: Arc<Home>,
}

impl DirectoryPalace {
    fn wrapped(&self, collection: Arc<dyn Collection>, name: &str) -> Arc<dyn Collection> {
        Arc::new(DirectoryCollection { collection, name: name.to_owned(), home: Arc::clone(&self.home) })
    }

    async fn record_in_file(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        let (collection, identity) = (collection.to_owned(), identity.clone());
        let record = move |home: &Home| files::record_identity(&home.folder, &collection, &identity);
        self.home.on_disk("mempalace_embedder.json cannot be written", record).await
    }

    async fn recorded_in_files(&self) -> Result<std::collections::BTreeMap<String, EmbedderIdentity>> {
        let read = |home: &Home| Ok(sidecar::identities(&home.folder));
        self.home.on_disk("mempalace_embedder.json cannot be read", read).await
    }
}

/// The identity recorded in Chroma, else in MemPalace's sidecar.
fn with_recorded(mut info: CollectionInfo, recorded: Option<&EmbedderIdentity>) -> CollectionInfo {
    info.identity = info.identity.or_else(|| recorded.cloned().filter(|identity| !identity.model_name.is_empty()));
    info
}

#[async_trait]
impl Palace for DirectoryPalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let recorded = self.recorded_in_files().await?;
        let infos = self.palace.collections().await?;
        Ok(infos
            .into_iter()
            .map(|info| (recorded.get(&info.name), info))
            .map(|(of, info)| with_recorded(info, of))
            .collect())
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        let collection = self.palace.collection(name).await?;
        let (stored, recorded) = (collection.info().await?.identity, self.recorded_in_files().await?.remove(name));
        if EmbedderIdentity::compare(stored.as_ref(), recorded.as_ref()) == IdentityState::KnownMismatch
            && let (Some(stored), Some(recorded)) = (stored, recorded)
        {
            let detail = format!("the collection says it is of {stored}, {} names {recorded}", sidecar::FILE);
            let error = Error::new(ErrorKind::EmbedderIdentityMismatch, detail);
            return Err(error.in_palace(&self.home.shown).in_collection(name));
        }
        Ok(self.wrapped(collection, name))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        let made = self.palace.create_collection(spec).await?;
        if let Some(identity) = made.info().await?.identity {
            self.record_in_file(&spec.name, &identity).await?;
        }
        Ok(self.wrapped(made, &spec.name))
    }

    async fn health(&self) -> Health {
        let served = self.palace.health().await;
        match self.home.read().await {
            Ok(read) if served.condition == Condition::Healthy => read.health().await,
            _ => served,
        }
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        self.home.read().await?.maintenance_state().await
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.palace.record_identity(collection, identity).await?;
        self.record_in_file(collection, identity).await
    }

    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        self.home.on_disk("the migration log cannot be read", |home| files::log_of(&home.folder)).await
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        let entry = entry.clone();
        let append = move |home: &Home| files::append_to_log(&home.folder, &entry);
        self.home.on_disk("the migration log cannot be written", append).await
    }
}

/// A collection of the server's, whose writes are durable once its vector files are synced too.
struct DirectoryCollection {
    collection: Arc<dyn Collection>,
    name: String,
    home: Arc<Home>,
}

impl DirectoryCollection {
    /// The collection as whoever only reads the directory sees it now.
    async fn read(&self) -> Result<Arc<dyn Collection>> {
        self.home.read().await?.collection(&self.name).await
    }

    /// A stream of what is read from the files.
    fn streamed<T: Send + 'static>(
        &self,
        begin: impl FnOnce(&dyn Collection) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let (home, name) = (Arc::clone(&self.home), self.name.clone());
        let begun = async move { Ok::<_, Error>(begin(home.read().await?.collection(&name).await?.as_ref())) };
        stream::once(begun).try_flatten().boxed()
    }

    /// Chroma commits to its database before it answers, and writes its vector files beside, unsynced, by when it next
    /// reads: so it is made to read first.
    async fn settled<T>(&self, written: Option<String>, answer: Result<T>) -> Result<T> {
        let answer = answer.map_err(|error| self.home.explained(error))?;
        let read = match written {
            Some(id) => Some(id),
            None => self.collection.last_id(&KeyRange::ALL).await?,
        };
        if let Some(id) = read {
            let include = palanquin_engine::contract::Include::ALL;
            let request = GetRequest { include, ..GetRequest::of(Selection::ids([id])) };
            self.collection.get(&request).await.map_err(|error| self.home.explained(error))?;
        }
        let sync = |home: &Home| home.synced.sync(&home.folder);
        let synced = self.home.on_disk("the vector files cannot be synced", sync).await;
        synced.map_err(|error| error.in_collection(&self.name))?;
        Ok(answer)
    }
}

#[async_trait]
impl Collection for DirectoryCollection {
    async fn info(&self) -> Result<CollectionInfo> {
        let (folder, name) = (self.home.folder.clone(), self.name.clone());
        let recorded = blocking(move || Ok(sidecar::identities(&folder).remove(&name))).await?;
        Ok(with_recorded(self.collection.info().await?, recorded.as_ref()))
    }

    async fn count(&self) -> Result<u64> {
        self.read().await?.count().await
    }

    async fn cut(&self, rows_per_partition: u64) -> Result<Vec<Partition>> {
        self.read().await?.cut(rows_per_partition).await
    }

    fn scan(&self, request: ScanRequest) -> RowStream {
        self.streamed(move |collection| collection.scan(request))
    }

    fn scan_passing(&self, request: ScanRequest, filter: &Filter) -> RowStream {
        let filter = filter.clone();
        self.streamed(move |collection| collection.scan_passing(request, &filter))
    }

    async fn feed_head(&self) -> Result<Option<FeedHead>> {
        self.read().await?.feed_head().await
    }

    fn changes_since(&self, cursor: &Cursor, batch_rows: usize) -> BoxStream<'static, Result<ChangeBatch>> {
        let cursor = cursor.clone();
        self.streamed(move |collection| collection.changes_since(&cursor, batch_rows))
    }

    async fn last_id(&self, range: &KeyRange) -> Result<Option<String>> {
        self.collection.last_id(range).await
    }

    async fn apply(&self, batch: ChangeBatch, mode: WriteMode) -> Result<Applied> {
        let written = batch.upserts.as_ref().and_then(RowBatch::last_id).map(str::to_owned);
        self.settled(written, self.collection.apply(batch, mode).await).await
    }

    async fn add(&self, rows: RowBatch) -> Result<()> {
        let written = rows.last_id().map(str::to_owned);
        self.settled(written, self.collection.add(rows).await).await
    }

    async fn update(&self, updates: RowUpdates) -> Result<u64> {
        let written = updates.ids().last().cloned();
        self.settled(written, self.collection.update(updates).await).await
    }

    async fn delete(&self, selection: &Selection) -> Result<u64> {
        self.settled(None, self.collection.delete(selection).await).await
    }

    async fn get(&self, request: &GetRequest) -> Result<GetResult> {
        self.collection.get(request).await
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryResult> {
        self.collection.query(request).await
    }
}
