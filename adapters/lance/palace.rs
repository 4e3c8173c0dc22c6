//! An open palace: its tables as collections. `create` makes one, `identity` records whose vectors it holds.

mod create;
mod identity;
#[cfg(test)]
mod tests;

use crate::collection::{LanceCollection, TableHandle};
use crate::durability::{Durability, FileSync};
use crate::error::Place;
use crate::home::store::{CLIENTS, Store};
use crate::home::{Home, sidecar};
use crate::maintenance::{self, Upkeep};
use crate::{layout, state};
use async_trait::async_trait;
use lance::session::Session;
use lancedb::connection::Connection;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, EmbedderIdentity, ErrorKind, Health, LogEntry, MaintenanceResult,
    MaintenanceState, OpenMode, Palace, Progress, Result,
};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes Lance may cache of indices, and of manifests and file footers. Its own defaults are gigabytes, which a copy would
/// slowly fill with footers it has no more use for.
const INDEX_CACHE: usize = 4 << 20;
const METADATA_CACHE: usize = 4 << 20;

/// An open LanceDB database.
pub(crate) struct LancePalace {
    home: Home,
    mode: OpenMode,
    place: Place,
    connection: Connection,
    sync: Arc<dyn FileSync>,
    durability: Mutex<HashMap<String, Durability>>,
    upkeep: Upkeep,
}

impl LancePalace {
    /// Connects to a directory that is there.
    pub(crate) async fn connect(path: PathBuf, mode: OpenMode, place: Place, sync: Arc<dyn FileSync>) -> Result<Self> {
        // An absolute path is never taken for a URL.
        let path = std::path::absolute(&path).map_err(|error| place.io("could not make the path absolute", error))?;
        let Some(address) = path.to_str() else {
            return Err(place.error(ErrorKind::InvalidRequest, "the path is not Unicode, which LanceDB needs"));
        };
        let connection = connect(address, &place).await?;
        Ok(Self::with(Home::Directory(path), mode, place, connection, sync))
    }

    /// Connects to a place in an object store.
    pub(crate) async fn connect_store(
        uri: &str,
        mode: OpenMode,
        place: Place,
        sync: Arc<dyn FileSync>,
    ) -> Result<Self> {
        let connection = connect(uri, &place).await?;
        let store = Store::of(uri, &connection).await;
        let store = store.map_err(|error| place.store("could not reach the object store", error))?;
        Ok(Self::with(Home::Store(store), mode, place, connection, sync))
    }

    fn with(home: Home, mode: OpenMode, place: Place, connection: Connection, sync: Arc<dyn FileSync>) -> Self {
        Self { home, mode, place, connection, sync, durability: Mutex::default(), upkeep: Upkeep::default() }
    }

    pub(crate) fn with_upkeep(self, upkeep: Upkeep) -> Self {
        Self { upkeep, ..self }
    }

    pub(crate) fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// The names of the tables; one that was begun and never committed is none.
    pub(crate) async fn names(&self) -> Result<Vec<String>> {
        let names = self.connection.table_names().execute().await;
        let mut names = names.map_err(|error| self.place.store("could not list the tables", error))?;
        if let Home::Directory(path) = &self.home {
            names.retain(|name| path.join(format!("{name}.lance/_versions")).is_dir());
        }
        Ok(names)
    }

    /// Whether there is a table of that name.
    async fn has(&self, name: &str) -> Result<bool> {
        match &self.home {
            Home::Directory(path) => Ok(path.join(format!("{name}.lance/_versions")).is_dir()),
            Home::Store(_) => Ok(self.names().await?.iter().any(|known| known == name)),
        }
    }

    /// The table's handle, whatever its shape.
    pub(crate) async fn table(&self, name: &str) -> Result<TableHandle> {
        let place = self.place.collection(name);
        let opened = self.connection.open_table(name).execute().await;
        let table = opened.map_err(|error| place.unreadable("could not open the table", error))?;
        Ok(TableHandle::of_rows(table, place))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn durability(&self, name: &str) -> Durability {
        let mut tables = self.durability.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || match &self.home {
            Home::Directory(path) => Durability::new(path, name, self.sync.clone()),
            Home::Store(_) => Durability::of_store(),
        };
        tables.entry(name.to_owned()).or_insert_with(made).clone()
    }

    /// That the name can be one, and that there is a collection of it.
    async fn check_there(&self, name: &str) -> Result<()> {
        let place = self.place.collection(name);
        if let Some(problem) = layout::name_problem(name) {
            return Err(place.error(ErrorKind::InvalidRequest, format!("a collection's name {problem}")));
        }
        if !self.has(name).await? {
            return Err(place.error(ErrorKind::CollectionNotInitialized, "the palace has no such collection"));
        }
        Ok(())
    }

    fn check_writable(&self) -> Result<()> {
        if self.mode.is_writable() {
            return Ok(());
        }
        Err(self.place.error(ErrorKind::InvalidRequest, "the palace was opened for reading only"))
    }

    async fn open_collection(&self, name: &str) -> Result<LanceCollection> {
        self.check_there(name).await?;
        let table = self.table(name).await?;
        let recorded = self.home.recorded_identity(name).await.unwrap_or_else(|error| {
            tracing::warn!(palace = %self.place, %error, "{} cannot be read", sidecar::FILE_NAME);
            None
        });
        LanceCollection::open(name, table, recorded, self.mode.is_writable(), self.durability(name)).await
    }
}

/// Every read of a table handle sees the newest version: a stale handle inserts ids again that others have inserted
/// meanwhile.
pub(crate) async fn connect(address: &str, place: &Place) -> Result<Connection> {
    let caches = Arc::new(Session::new(INDEX_CACHE, METADATA_CACHE, CLIENTS.clone()));
    let connect = lancedb::connect(address).session(caches).read_consistency_interval(Duration::ZERO);
    connect.execute().await.map_err(|error| place.store("could not open the palace", error))
}

#[async_trait]
impl Palace for LancePalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let mut infos = Vec::new();
        for name in self.names().await? {
            let info = match self.open_collection(&name).await {
                Ok(collection) => collection.info().await,
                Err(error) => Err(error),
            };
            infos.push(match info {
                Ok(info) => info,
                // Listed, so that it is not passed over; why it cannot be used is told when it is asked for.
                Err(error) => {
                    tracing::warn!(%error, "a collection cannot be used");
                    state::unusable_collection(self, &name).await
                }
            });
        }
        Ok(infos)
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        Ok(Arc::new(self.open_collection(name).await?))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        self.check_writable().map_err(|error| error.in_collection(&spec.name))?;
        Ok(Arc::new(create::create(self, spec).await?))
    }

    async fn health(&self) -> Health {
        state::health(self).await
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        state::maintenance_state(self).await
    }

    async fn run_maintenance(&self, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        self.check_writable()?;
        maintenance::run(self, kind, progress).await
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.check_writable().map_err(|error| error.in_collection(collection))?;
        identity::record(self, collection, identity).await
    }

    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        identity::migration_log(self).await
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        self.check_writable()?;
        identity::append_to_migration_log(self, entry).await
    }
}
