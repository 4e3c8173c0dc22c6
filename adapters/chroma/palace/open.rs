use super::blocking::{blocking, unlocked};
use super::collection::ChromaCollection;
use super::counts::{Counts, Of};
use super::{health, maintenance};
use crate::catalog::{self, Entry};
use crate::connection::{Database, sqlite};
use crate::directory::log_of;
use crate::feed::memory::Memories;
use crate::read::range;
use crate::read::session::Session;
use crate::sidecar;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, Condition, Error, ErrorKind, Health, LogEntry, MaintenanceState,
    Palace, Result,
};
use rusqlite::Connection;
use std::sync::{Arc, Mutex};

/// An open Chroma directory: one connection for its system tables, one per collection.
pub(super) struct ChromaPalace {
    database: Database,
    held: Arc<Mutex<Held>>,
    memories: Memories,
    salvaging: bool,
}

/// The palace's own connection, and what was counted by it.
struct Held {
    connection: Connection,
    counts: Counts,
}

impl ChromaPalace {
    /// Opens the database and checks that it is Chroma's, of a version that is known.
    pub(super) fn open(database: Database, memories: Memories, salvaging: bool) -> Result<Self> {
        let opened = database.connect().and_then(|connection| {
            let lock = connection.unchecked_transaction().map_err(sqlite)?;
            database.check_schema(&lock)?;
            drop(lock);
            Ok(connection)
        });
        let connection = opened.map_err(|error| error.in_palace(database.palace()))?;
        let held = Held { connection, counts: Counts::default() };
        Ok(Self { database, held: Arc::new(Mutex::new(held)), memories, salvaging })
    }

    /// Runs `work` on the palace's own connection; it takes the shared lock itself, for as short as it can.
    async fn connected<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database, &Connection, &mut Counts) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.database.clone();
        blocking(&self.held, move |Held { connection, counts }| {
            let worked = database.check_same_file().and_then(|()| work(&database, connection, counts));
            worked.map_err(|error| error.in_palace(database.palace()))
        })
        .await
    }

    async fn entries(&self) -> Result<Vec<Entry>> {
        self.connected(|_, connection, _| catalog::entries(connection)).await
    }

    fn read_only<T>(&self, what: &str) -> Result<T> {
        let detail = format!("a Chroma directory is only read; {what} goes through a Chroma server");
        Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(self.database.palace()))
    }
}

/// A collection's rows, counted under locks of their own.
fn rows_of(database: &Database, entry: &Entry) -> Result<u64> {
    match (&entry.metadata_segment, &entry.vector_segment) {
        (Some(_), Some(_)) => {
            let counted = Session::new(database.clone(), entry.clone()).and_then(|session| range::count(&session));
            counted.map_err(|error| error.in_collection(&entry.name))
        }
        // Reading it will fail; being listed beside others must not.
        _ => Ok(0),
    }
}

/// What can be told of a collection whose rows were counted.
pub(super) fn info_with(database: &Database, entry: Entry, rows: u64) -> CollectionInfo {
    CollectionInfo {
        rows,
        dimension: entry.dimension,
        metric: entry.metric,
        identity: sidecar::identities(database.folder()).remove(&entry.name),
        incarnation: Some(entry.incarnation.unwrap_or(entry.id)),
        name: entry.name,
        settings: entry.settings,
    }
}

#[async_trait]
impl Palace for ChromaPalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.connected(|database, connection, counts| {
            let entries = catalog::entries(connection)?;
            let info = |entry: Entry| {
                let id = entry.id.clone();
                let rows = counts.of(connection, Of::Collection, &id, || rows_of(database, &entry))?;
                Ok(info_with(database, entry, rows))
            };
            entries.into_iter().map(info).collect()
        })
        .await
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        let mut entries = self.entries().await?;
        let Some(at) = entries.iter().position(|entry| entry.name == name) else {
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let detail = match names.as_slice() {
                [] => "the palace has no collections".to_owned(),
                names => format!("no such collection; there are {}", names.join(", ")),
            };
            let error = Error::new(ErrorKind::CollectionNotInitialized, detail);
            return Err(error.in_palace(self.database.palace()).in_collection(name));
        };
        let (database, entry) = (self.database.clone(), entries.swap_remove(at));
        let followed = self.memories.of(database.file(), &entry.id);
        let salvaging = self.salvaging;
        let collection = unlocked(move || ChromaCollection::open(database, entry, followed, salvaging)).await?;
        Ok(Arc::new(collection))
    }

    async fn create_collection(&self, _: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        self.read_only("making a collection")
    }

    async fn health(&self) -> Health {
        let found = self.connected(health::findings).await;
        found.map(Health::from_findings).unwrap_or_else(|error| Health {
            condition: Condition::Unavailable,
            reason: Some(error.to_string()),
            findings: Vec::new(),
        })
    }

    /// What the file beside the database has, behind what a server of the palace has left in it.
    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        self.connected(|database, connection, _| {
            let left = catalog::logged_by_server(connection)?;
            let mut log: Vec<LogEntry> = left.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
            let beside = log_of(database.folder());
            log.extend(beside.map_err(|error| Error::io("the migration log cannot be read", error))?);
            Ok(log)
        })
        .await
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        self.connected(maintenance::state).await
    }
}
