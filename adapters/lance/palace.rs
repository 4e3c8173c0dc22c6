use crate::collection::{LanceCollection, TableHandle};
use crate::durability::{Durability, FileSync};
use crate::error::Place;
use crate::layout;
use crate::{directory, sidecar, state};
use async_trait::async_trait;
use lance::dataset::WriteParams;
use lance::io::ObjectStoreRegistry;
use lance::session::Session;
use lancedb::connection::Connection;
use lancedb::table::WriteOptions;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, EmbedderIdentity, ErrorKind, Health, IdentityState, MaintenanceState,
    OpenMode, Palace, Result,
};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes Lance may cache of indices, and of manifests and file footers. Its own defaults are gigabytes, which a copy would
/// slowly fill with footers it has no more use for.
const INDEX_CACHE: usize = 4 << 20;
const METADATA_CACHE: usize = 4 << 20;

/// An open LanceDB directory.
pub(crate) struct LancePalace {
    path: PathBuf,
    mode: OpenMode,
    place: Place,
    connection: Connection,
    sync: Arc<dyn FileSync>,
    durability: Mutex<HashMap<String, Durability>>,
}

impl LancePalace {
    /// Connects to a directory that is there. Every read of a table handle sees the newest version: a stale handle
    /// inserts ids again that others have inserted meanwhile.
    pub(crate) async fn connect(path: PathBuf, mode: OpenMode, place: Place, sync: Arc<dyn FileSync>) -> Result<Self> {
        // An absolute path is never taken for a URL.
        let path = std::path::absolute(&path).map_err(|error| place.io("could not make the path absolute", error))?;
        let Some(address) = path.to_str() else {
            return Err(place.error(ErrorKind::InvalidRequest, "the path is not Unicode, which LanceDB needs"));
        };
        let caches = Arc::new(Session::new(INDEX_CACHE, METADATA_CACHE, Arc::new(ObjectStoreRegistry::default())));
        let connect = lancedb::connect(address).session(caches).read_consistency_interval(Duration::ZERO);
        let connection = connect.execute().await;
        let connection = connection.map_err(|error| place.store("could not open the directory", error))?;
        Ok(Self { path, mode, place, connection, sync, durability: Mutex::default() })
    }

    /// The names of the tables; one that was begun and never committed is none.
    pub(crate) async fn names(&self) -> Result<Vec<String>> {
        let names = self.connection.table_names().execute().await;
        let mut names = names.map_err(|error| self.place.store("could not list the tables", error))?;
        names.retain(|name| self.path.join(format!("{name}.lance/_versions")).is_dir());
        Ok(names)
    }

    /// The table's handle, whatever its shape.
    pub(crate) async fn table(&self, name: &str) -> Result<lancedb::Table> {
        let opened = self.connection.open_table(name).execute().await;
        opened.map_err(|error| self.place.collection(name).unreadable("could not open the table", error))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What `mempalace_embedder.json` says of a collection.
    pub(crate) async fn recorded_identity(&self, name: &str) -> io::Result<Option<EmbedderIdentity>> {
        let (path, name) = (self.path.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || sidecar::read(&path, &name)).await.map_err(io::Error::other)?
    }

    async fn record_identity(&self, name: &str, identity: Option<&EmbedderIdentity>) -> Result<()> {
        let (path, of, identity) = (self.path.clone(), name.to_owned(), identity.cloned());
        let written = tokio::task::spawn_blocking(move || sidecar::write(&path, &of, identity.as_ref())).await;
        written.map_err(io::Error::other).flatten().map_err(|error| {
            let place = self.place.collection(name);
            let detail = format!("could not update {}", sidecar::FILE_NAME);
            match error.kind() {
                io::ErrorKind::InvalidData => place.error(ErrorKind::Corrupt, format!("{detail}: {error}")),
                _ => place.io(detail, error),
            }
        })
    }

    async fn open_collection(&self, name: &str) -> Result<LanceCollection> {
        let place = self.place.collection(name);
        if let Some(problem) = layout::name_problem(name) {
            return Err(place.error(ErrorKind::InvalidRequest, format!("a collection's name {problem}")));
        }
        if !self.path.join(format!("{name}.lance/_versions")).is_dir() {
            return Err(place.error(ErrorKind::CollectionNotInitialized, "the palace has no such collection"));
        }
        let table = self.table(name).await?;
        let recorded = self.recorded_identity(name).await.unwrap_or_else(|error| {
            tracing::warn!(palace = %self.path.display(), %error, "{} cannot be read", sidecar::FILE_NAME);
            None
        });
        let writable = self.mode != OpenMode::Read;
        LanceCollection::open(name, table, recorded, writable, place, self.durability(name)).await
    }

    fn durability(&self, name: &str) -> Durability {
        let mut tables = self.durability.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Durability::new(&self.path, name, self.sync.clone());
        tables.entry(name.to_owned()).or_insert_with(made).clone()
    }

    /// Makes the table; one that another made meanwhile is not an error here.
    async fn create_table(&self, spec: &CollectionSpec) -> Result<()> {
        let place = self.place.collection(&spec.name);
        let write = WriteParams { enable_stable_row_ids: true, ..WriteParams::default() };
        let made = self
            .connection
            .create_empty_table(&spec.name, layout::table_schema(spec))
            .write_options(WriteOptions { lance_write_params: Some(write) })
            .execute()
            .await;
        match made {
            Ok(table) => self.give_back(TableHandle { table, place }, spec).await,
            Err(lancedb::Error::TableAlreadyExists { .. }) => Ok(()),
            Err(error) => Err(place.store("could not make the table", error)),
        }
    }

    /// Lance looks twice whether a table is there, and a table made by another program between the two looks is
    /// overwritten, in a version after its own. That version is undone: the table is the other's.
    async fn give_back(&self, handle: TableHandle, spec: &CollectionSpec) -> Result<()> {
        let made = handle.pin().await?;
        let version = made.dataset.version_id();
        if version == 1 || made.layout.incarnation.as_ref() != Some(&spec.incarnation) {
            return Ok(());
        }
        tracing::warn!(palace = %self.path.display(), table = spec.name, "another program made the same table just now");
        let failed = |error| handle.place.store("could not give an overwritten table back", error);
        let mut before = made.dataset.checkout_version(version - 1).await.map_err(failed)?;
        before.restore().await.map_err(failed)
    }

    /// Held while a collection is made: two creations at once must not both find nothing there.
    async fn lock(&self) -> Result<File> {
        let path = self.path.clone();
        let locked = tokio::task::spawn_blocking(move || directory::lock(&path)).await;
        locked.map_err(io::Error::other).flatten().map_err(|error| self.place.io("could not lock the palace", error))
    }
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
        let place = self.place.collection(&spec.name);
        if self.mode == OpenMode::Read {
            return Err(place.error(ErrorKind::InvalidRequest, "the palace was opened for reading only"));
        }
        if let Some(problem) = spec_problem(spec) {
            return Err(place.error(ErrorKind::InvalidRequest, problem));
        }
        let _lock = self.lock().await?;
        let is_there = match self.open_collection(&spec.name).await {
            Ok(there) => {
                check_incarnation(&there, spec, &place)?;
                true
            }
            Err(error) if error.kind() == ErrorKind::CollectionNotInitialized => false,
            Err(error) => return Err(error),
        };
        if !is_there {
            // An entry of an earlier collection of this name would contradict the new one.
            let recorded = self.recorded_identity(&spec.name).await.ok().flatten();
            if recorded != spec.identity {
                self.record_identity(&spec.name, None).await?;
            }
            self.create_table(spec).await?;
        }
        let durability = self.durability(&spec.name);
        durability.settle().await.map_err(|error| place.io("could not make the new table durable", error))?;
        // A creation that was told it succeeded may still have lost; what is there now decides.
        let collection = self.open_collection(&spec.name).await?;
        check_incarnation(&collection, spec, &place)?;
        if let Some(identity) = &spec.identity {
            self.record_identity(&spec.name, Some(identity)).await?;
        }
        Ok(Arc::new(collection))
    }

    async fn health(&self) -> Health {
        state::health(self).await
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        state::maintenance_state(self).await
    }
}

fn spec_problem(spec: &CollectionSpec) -> Option<String> {
    if let Some(problem) = layout::name_problem(&spec.name) {
        return Some(format!("a collection's name {problem}"));
    }
    if spec.dimension == 0 || i32::try_from(spec.dimension).is_err() {
        return Some(format!("vectors cannot have {} components", spec.dimension));
    }
    if spec.incarnation.is_empty() || spec.incarnation.contains(':') {
        return Some("the incarnation is empty or contains ':'".to_owned());
    }
    let stated = spec.identity.as_ref().map_or(0, |identity| identity.dimension);
    (stated != 0 && stated != spec.dimension)
        .then(|| format!("vectors of {} components cannot be of a model of {stated}", spec.dimension))
}

fn check_incarnation(there: &LanceCollection, spec: &CollectionSpec, place: &Place) -> Result<()> {
    let layout = there.layout();
    if layout.incarnation.as_ref() != Some(&spec.incarnation) {
        return Err(place.error(ErrorKind::PalaceExists, "a collection of this name is there already"));
    }
    if layout.dimension != spec.dimension {
        let detail = format!("the collection was made for vectors of {}, not {}", layout.dimension, spec.dimension);
        return Err(place.error(ErrorKind::DimensionMismatch, detail));
    }
    let identities = EmbedderIdentity::compare(layout.identity.as_ref(), spec.identity.as_ref());
    if let (IdentityState::KnownMismatch, Some(stored), Some(asked)) = (identities, &layout.identity, &spec.identity) {
        let detail = format!("the collection was made for {stored}, not {asked}");
        return Err(place.error(ErrorKind::EmbedderIdentityMismatch, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
