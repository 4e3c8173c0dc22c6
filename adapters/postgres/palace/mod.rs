//! An open palace: `open` finds or makes it, `collections` lists and makes what is in it, `replace` puts one in another's
//! place.

mod collections;
mod open;
mod replace;

pub(crate) use collections::{Standing, WIDEST, find, standings};
pub(crate) use open::{NO_SCHEMA, Opening, REPLICA};
pub(crate) use replace::replace;

use crate::connection::Server;
use crate::error::Place;
use crate::feed::Feed;
use crate::layout::{Names, Schema, registry, sidecar};
use crate::maintenance;
use async_trait::async_trait;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, Cursor, EmbedderIdentity, ErrorKind, Health, LogEntry,
    MaintenanceResult, MaintenanceState, OpenMode, Palace, Progress, Result,
};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

/// The tables of one palace.
pub(crate) struct PostgresPalace {
    pub(crate) names: Names,
    pub(crate) schema: Schema,
    pub(crate) server: Server,
    pub(crate) place: Place,
    pub(crate) local_path: Option<PathBuf>,
    pub(crate) mode: OpenMode,
    pub(crate) index_memory_mib: Option<u32>,
    /// Whether our own tables have been seen; they are never removed.
    pub(crate) registered: AtomicBool,
    /// The change log, for the consumer it was opened for.
    pub(crate) feed: Option<Arc<Feed>>,
}

impl PostgresPalace {
    /// Whether our own tables are there, which another program can make at any time.
    pub(crate) async fn is_registered(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        if !self.registered.load(Ordering::Relaxed) {
            let table = self.schema.qualified("palanquin_collections");
            let found = client.query_typed_one("SELECT to_regclass($1) IS NOT NULL", &[(&table, Type::TEXT)]).await?;
            self.registered.store(found.get(0), Ordering::Relaxed);
        }
        Ok(self.registered.load(Ordering::Relaxed))
    }

    pub(crate) fn check_writable(&self, place: &Place) -> Result<()> {
        if self.mode.is_writable() {
            return Ok(());
        }
        Err(place.error(ErrorKind::InvalidRequest, "the palace was opened for reading only"))
    }

    /// What `mempalace_embedder.json` says of a collection, if there is a directory.
    pub(crate) async fn recorded_in_file(&self, collection: &str) -> Result<Option<EmbedderIdentity>> {
        let Some(path) = self.local_path.clone() else { return Ok(None) };
        let name = collection.to_owned();
        let read = tokio::task::spawn_blocking(move || sidecar::read(&path, &name)).await;
        read.map_err(io::Error::other).flatten().map_err(|error| self.file_error("read", collection, error))
    }

    pub(crate) async fn record_in_file(&self, collection: &str, identity: Option<&EmbedderIdentity>) -> Result<()> {
        let Some(path) = self.local_path.clone() else { return Ok(()) };
        let (name, identity) = (collection.to_owned(), identity.cloned());
        let write = move || sidecar::write(&path, &name, identity.as_ref());
        let written = tokio::task::spawn_blocking(write).await;
        written.map_err(io::Error::other).flatten().map_err(|error| self.file_error("update", collection, error))
    }

    fn file_error(&self, doing: &str, collection: &str, error: io::Error) -> palanquin_engine::contract::Error {
        let place = self.place.collection(collection);
        let detail = format!("could not {doing} {}", sidecar::FILE_NAME);
        match error.kind() {
            io::ErrorKind::InvalidData => place.error(ErrorKind::Corrupt, detail).with_source(error),
            _ => place.io(detail, error),
        }
    }
}

/// The palace behind its handle, so that collections can hold on to it.
pub(crate) struct Handle(pub(crate) Arc<PostgresPalace>);

#[async_trait]
impl Palace for Handle {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        collections::list(&self.0).await
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        Ok(Arc::new(collections::open(&self.0, name).await?))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        Ok(Arc::new(collections::create(&self.0, spec).await?))
    }

    async fn health(&self) -> Health {
        maintenance::health(&self.0).await
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        maintenance::state(&self.0).await
    }

    async fn run_maintenance(&self, kind: &str, progress: &Progress) -> Result<MaintenanceResult> {
        self.0.check_writable(&self.0.place)?;
        maintenance::run(&self.0, kind, progress).await
    }

    async fn record_identity(&self, collection: &str, identity: &EmbedderIdentity) -> Result<()> {
        self.0.check_writable(&self.0.place)?;
        collections::record_identity(&self.0, collection, identity).await
    }

    async fn confirm(&self, positions: &[(String, Cursor)]) -> Result<()> {
        if let Some(feed) = &self.0.feed {
            feed.confirm(positions);
        }
        Ok(())
    }

    async fn migration_log(&self) -> Result<Vec<LogEntry>> {
        let palace = &self.0;
        let session = palace.server.session().await.map_err(|error| palace.place.name(error))?;
        let failed = |error| palace.place.sql("could not read the migration log", error);
        if !palace.is_registered(&session).await.map_err(failed)? {
            return Ok(Vec::new());
        }
        let entries = registry::log(&session, &palace.schema, &palace.names.prefix).await.map_err(failed)?;
        let corrupt = |error| {
            palace.place.error(ErrorKind::Corrupt, "an entry of the migration log is malformed").with_source(error)
        };
        entries.iter().map(|entry| serde_json::from_str(entry).map_err(corrupt)).collect()
    }

    async fn append_to_migration_log(&self, entry: &LogEntry) -> Result<()> {
        let palace = &self.0;
        palace.check_writable(&palace.place)?;
        let failed = |error| palace.place.sql("could not add to the migration log", error);
        let text = serde_json::to_string(entry)
            .map_err(|error| palace.place.error(ErrorKind::Internal, "a log entry").with_source(error))?;
        let mut session = palace.server.session().await.map_err(|error| palace.place.name(error))?;
        let transaction = session.transaction().await.map_err(failed)?;
        registry::lock(&transaction, "registry").await.map_err(failed)?;
        registry::ensure(&transaction, &palace.schema).await.map_err(failed)?;
        registry::append_to_log(&transaction, &palace.schema, &palace.names.prefix, &text).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn close(&self) -> Result<()> {
        self.0.server.stopped().await.map_err(|error| self.0.place.name(error))
    }
}
