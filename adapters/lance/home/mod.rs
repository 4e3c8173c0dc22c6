//! Where a palace lives, and what stands there beside its tables.
//!
//! In a `directory` that are MemPalace's `sidecar` of embedders and the `migration_log`, both replaced `atomic`ally, and
//! locks. An object store (`store`) has no sidecar, keeps the log as an object, and its locks hold within this process.

mod atomic;
pub(crate) mod directory;
pub(crate) mod migration_log;
pub(crate) mod sidecar;
pub(crate) mod store;

use palanquin_engine::contract::{EmbedderIdentity, LogEntry};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use store::Store;

/// A directory or a prefix in an object store.
#[derive(Clone)]
pub(crate) enum Home {
    Directory(PathBuf),
    Store(Arc<Store>),
}

/// A lock, until it is dropped.
#[derive(Debug)]
pub(crate) enum Held {
    File { _file: File },
    Here { _lock: store::Lock },
}

impl Home {
    /// Waits until nobody else makes a collection or replaces a file in the palace, and keeps it so.
    pub(crate) async fn lock(&self) -> io::Result<Held> {
        match self {
            Self::Directory(path) => {
                let path = path.clone();
                let _file = blocking(move || directory::lock(&path)).await?;
                Ok(Held::File { _file })
            }
            Self::Store(store) => Ok(Held::Here { _lock: store.lock("files").await }),
        }
    }

    /// The right to run this kind of maintenance, unless someone has it.
    pub(crate) async fn lock_maintenance(&self, kind: &'static str) -> io::Result<Option<Held>> {
        match self {
            Self::Directory(path) => {
                let path = path.clone();
                let file = blocking(move || directory::try_lock_maintenance(&path, kind)).await?;
                Ok(file.map(|_file| Held::File { _file }))
            }
            Self::Store(store) => Ok(store.try_lock(kind).map(|_lock| Held::Here { _lock })),
        }
    }

    /// What `mempalace_embedder.json` says of a collection.
    pub(crate) async fn recorded_identity(&self, collection: &str) -> io::Result<Option<EmbedderIdentity>> {
        let Self::Directory(path) = self else { return Ok(None) };
        let (path, collection) = (path.clone(), collection.to_owned());
        blocking(move || sidecar::read(&path, &collection)).await
    }

    /// Writes it there, or removes it. The caller holds [`Home::lock`].
    pub(crate) async fn record_identity(&self, of: &str, identity: Option<&EmbedderIdentity>) -> io::Result<()> {
        let Self::Directory(path) = self else { return Ok(()) };
        let (path, of, identity) = (path.clone(), of.to_owned(), identity.cloned());
        blocking(move || sidecar::write(&path, &of, identity.as_ref())).await
    }

    /// The entries of the migration log, oldest first.
    pub(crate) async fn migration_log(&self) -> io::Result<Vec<LogEntry>> {
        let text = match self {
            Self::Directory(path) => {
                let path = path.clone();
                blocking(move || atomic::read(&path, migration_log::FILE_NAME)).await?
            }
            Self::Store(store) => store.read(migration_log::FILE_NAME).await?,
        };
        migration_log::entries(text.as_deref())
    }

    /// Adds an entry; durable when it returns. The caller holds [`Home::lock`].
    pub(crate) async fn append_to_migration_log(&self, entry: &LogEntry) -> io::Result<()> {
        match self {
            Self::Directory(path) => {
                let (path, entry) = (path.clone(), entry.clone());
                blocking(move || {
                    let text = atomic::read(&path, migration_log::FILE_NAME)?;
                    let text = migration_log::with_entry(text.as_deref(), &entry)?;
                    atomic::replace(&path, migration_log::FILE_NAME, &text)
                })
                .await
            }
            Self::Store(store) => {
                let text = store.read(migration_log::FILE_NAME).await?;
                let text = migration_log::with_entry(text.as_deref(), entry)?;
                store.replace(migration_log::FILE_NAME, &text).await
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
