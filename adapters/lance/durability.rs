use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What makes a path survive power loss.
pub(crate) trait FileSync: Send + Sync {
    /// The contents of a file.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk;

impl FileSync for Disk {
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Makes what Lance wrote for one table durable.
///
/// Lance commits by renaming a manifest into place and never syncs: a commit survives the death of the process, not
/// that of the machine. The first [`settle`](Self::settle) syncs everything the table consists of, later ones what has
/// come since; names that vanished (pruned versions) are forgotten.
///
/// An object store acknowledges only what is durable; there is nothing to do there.
#[derive(Clone)]
pub(crate) struct Durability(Option<Files>);

#[derive(Clone)]
struct Files {
    palace: PathBuf,
    table: PathBuf,
    sync: Arc<dyn FileSync>,
    settled: Arc<Mutex<Option<Settled>>>,
}

/// What is known to be durable.
type Settled = HashMap<PathBuf, Stamp>;

/// Tells a file that was replaced under its name; Lance does that to one file only, its version hint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Directory,
    File { inode: u64, bytes: u64, modified: (i64, i64) },
}

impl Durability {
    pub(crate) fn new(palace: &Path, table: &str, sync: Arc<dyn FileSync>) -> Self {
        let table = palace.join(format!("{table}.lance"));
        Self(Some(Files { palace: palace.to_owned(), table, sync, settled: Arc::default() }))
    }

    /// Of a table in an object store.
    pub(crate) fn of_store() -> Self {
        Self(None)
    }

    /// Returns once every file of the table, and every name that leads to it, is durable. After a failure the next
    /// call syncs the same files again.
    pub(crate) async fn settle(&self) -> io::Result<()> {
        self.settle_files(false).await
    }

    /// The same after files were removed: that they are gone is then durable too. A version must not come back without
    /// what it consists of.
    pub(crate) async fn settle_removals(&self) -> io::Result<()> {
        self.settle_files(true).await
    }

    async fn settle_files(&self, removed: bool) -> io::Result<()> {
        let Some(files) = self.0.clone() else { return Ok(()) };
        tokio::task::spawn_blocking(move || files.settle_now(removed)).await.map_err(io::Error::other)?
    }
}

impl Files {
    /// With `removed`, every directory is synced, also where nothing has come.
    fn settle_now(&self, removed: bool) -> io::Result<()> {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Settled::new();
        let known = settled.as_ref();
        self.settle_directory(&self.table, removed, known, &mut next)?;
        if known.is_none() {
            self.sync.sync_directory(&self.palace)?;
            if let Some(parent) = self.palace.parent() {
                sync_readable_directory(self.sync.as_ref(), parent)?;
            }
        }
        *settled = Some(next);
        Ok(())
    }

    /// Children before their directory, so that a name never becomes durable before what it names.
    fn settle_directory(
        &self,
        directory: &Path,
        removed: bool,
        known: Option<&Settled>,
        next: &mut Settled,
    ) -> io::Result<()> {
        let is_known = |path: &Path, stamp| known.and_then(|known| known.get(path)) == Some(&stamp);
        let mut changed = known.is_none() || removed;
        let Some(entries) = unless_gone(fs::read_dir(directory))? else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            let Some(metadata) = unless_gone(fs::symlink_metadata(&path))? else { continue };
            if metadata.is_dir() {
                changed |= !is_known(&path, Stamp::Directory);
                self.settle_directory(&path, removed, known, next)?;
                next.insert(path, Stamp::Directory);
            } else {
                let modified = (metadata.mtime(), metadata.mtime_nsec());
                let stamp = Stamp::File { inode: metadata.ino(), bytes: metadata.len(), modified };
                if !is_known(&path, stamp) {
                    if unless_gone(self.sync.sync_file(&path))?.is_none() {
                        continue;
                    }
                    changed = true;
                }
                next.insert(path, stamp);
            }
        }
        if changed {
            unless_gone(self.sync.sync_directory(directory))?;
        }
        Ok(())
    }
}

/// What is removed meanwhile (a temporary file, a pruned version, an index) needs no sync.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Syncs a directory that is not ours; one we may write into but not read cannot be synced, and need not be.
pub(crate) fn sync_readable_directory(sync: &dyn FileSync, directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    match sync.sync_directory(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Recorder;

    #[tokio::test]
    async fn only_what_is_new_or_replaced_is_synced_again() {
        let palace = tempfile::tempdir().unwrap();
        let versions = palace.path().join("t.lance/_versions");
        fs::create_dir_all(&versions).unwrap();
        fs::write(versions.join("1.manifest"), "one").unwrap();
        fs::write(versions.join("hint"), "1").unwrap();
        let recorder = Arc::new(Recorder::default());
        let durability = Durability::new(palace.path(), "t", recorder.clone());

        durability.settle().await.unwrap();
        let first = recorder.take();
        for path in [versions.join("1.manifest"), versions.join("hint"), versions.clone()] {
            assert!(first.contains(&path), "{path:?}");
        }
        for directory in [palace.path().join("t.lance"), palace.path().into(), palace.path().parent().unwrap().into()] {
            assert!(first.contains(&directory), "{directory:?}");
        }
        durability.settle().await.unwrap();
        assert!(recorder.take().is_empty());

        fs::write(versions.join("2.manifest"), "two").unwrap();
        fs::write(versions.join("hint.new"), "22").unwrap();
        fs::rename(versions.join("hint.new"), versions.join("hint")).unwrap();
        fs::remove_file(versions.join("1.manifest")).unwrap();
        durability.settle().await.unwrap();
        let mut again = recorder.take();
        again.sort();
        assert_eq!(again, [versions.clone(), versions.join("2.manifest"), versions.join("hint")]);
    }

    #[tokio::test]
    async fn a_failed_sync_is_an_error_and_is_tried_again() {
        let palace = tempfile::tempdir().unwrap();
        let table = palace.path().join("t.lance");
        fs::create_dir(&table).unwrap();
        fs::write(table.join("a"), "a").unwrap();
        let recorder = Arc::new(Recorder::default());
        let durability = Durability::new(palace.path(), "t", recorder.clone());
        recorder.fail_next();
        assert_eq!(durability.settle().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        durability.settle().await.unwrap();
        assert!(recorder.take().contains(&table.join("a")));
    }
}
