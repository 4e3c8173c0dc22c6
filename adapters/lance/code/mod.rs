//! Palaces written by mempalace-code: `<palace>/lance/` with one table of typed columns. Sources only.
//!
//! `columns` makes rows of them; `palace` and `collection` are read like any other, under mempalace-code's own fence: it
//! prunes old versions minutes after a write, and does not while someone holds a shared lock on the palace's directory.

mod collection;
mod columns;
mod palace;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use columns::{layout, row_batch};
pub(crate) use palace::CodePalace;

/// Where mempalace-code keeps the tables of the palace at `path`, if it wrote one there.
pub(crate) fn tables(path: &Path) -> Option<PathBuf> {
    let tables = path.join("lance");
    let is_table = |entry: &std::fs::DirEntry| {
        entry.file_name().to_string_lossy().ends_with(".lance") && entry.path().join("_versions").is_dir()
    };
    let entries = std::fs::read_dir(&tables).ok()?;
    entries.flatten().any(|entry| is_table(&entry)).then_some(tables)
}

/// While it is held no version is pruned.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    _directory: Arc<File>,
}

impl Fence {
    /// Waits while versions are being pruned.
    pub(crate) async fn around(palace: PathBuf) -> io::Result<Self> {
        let locked = tokio::task::spawn_blocking(move || {
            let directory = File::open(palace)?;
            match directory.lock_shared() {
                Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
                _ => Ok(directory),
            }
        });
        let _directory = Arc::new(locked.await.map_err(io::Error::other)??);
        Ok(Self { _directory })
    }
}
