//! What MemPalace and we keep beside Chroma's files, and what of Chroma's has to be synced.

use crate::sidecar;
use palanquin_engine::contract::{EmbedderIdentity, LogEntry};
use rustix::fs::statvfs;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where the migration log of a palace in a directory is (§8.3).
pub(crate) const MIGRATION_LOG: &str = ".mempalace-migration.json";

/// Records a collection's model in MemPalace's sidecar; what else is in it stays. Durable when it returns. The file is
/// read and replaced: two writers at once lose one of their entries.
///
/// # Errors
/// `InvalidData` for a file that is not MemPalace's: it is not overwritten.
pub(super) fn record_identity(palace: &Path, collection: &str, identity: &EmbedderIdentity) -> io::Result<()> {
    let mut entries = object(palace, sidecar::FILE)?;
    let entry = json!({"model_name": identity.model_name, "dimension": identity.dimension});
    if entries.get(collection) == Some(&entry) {
        return Ok(());
    }
    entries.insert(collection.to_owned(), entry);
    replace(palace, sidecar::FILE, &Value::Object(entries))
}

/// The palace's migration log: `{"schema": 1, "log": [...]}`. What is no entry is passed over.
///
/// # Errors
/// `InvalidData` for a file that is none.
pub(crate) fn log_of(palace: &Path) -> io::Result<Vec<LogEntry>> {
    let mut file = object(palace, MIGRATION_LOG)?;
    let lone = LogEntry::of_lone_record(&file);
    let log = list_of(&mut file)?.drain(..);
    Ok(lone.into_iter().chain(log.filter_map(|entry| serde_json::from_value(entry).ok())).collect())
}

/// Adds to the migration log; everything else in the file stays as it is. Durable when it returns.
///
/// # Errors
/// `InvalidData` for a file that is none: it is not overwritten.
pub(super) fn append_to_log(palace: &Path, entry: &LogEntry) -> io::Result<()> {
    let mut file = object(palace, MIGRATION_LOG)?;
    list_of(&mut file)?.push(serde_json::to_value(entry)?);
    file.entry("schema").or_insert_with(|| json!(1));
    replace(palace, MIGRATION_LOG, &Value::Object(file))
}

fn list_of(file: &mut Map<String, Value>) -> io::Result<&mut Vec<Value>> {
    let log = file.entry("log").or_insert_with(|| json!([]));
    log.as_array_mut().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its log is not a list"))
}

fn object(palace: &Path, name: &str) -> io::Result<Map<String, Value>> {
    match fs::read(palace.join(name)) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(error) => Err(error),
    }
}

/// Replaces a file, with mode 0600: whoever reads it finds the old contents or the new.
fn replace(palace: &Path, name: &str, contents: &Value) -> io::Result<()> {
    let temporary = palace.join(format!(".{}.{}", name.trim_start_matches('.'), uuid::Uuid::new_v4()));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(contents)?)?;
        file.sync_all()?;
        fs::rename(&temporary, palace.join(name))?;
        File::open(palace)?.sync_all()
    };
    let written = write();
    if written.is_err() {
        // What is left of a failed attempt; the error to report is the attempt's.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// Whether the palace's disk has less room left than a write may take.
pub(super) fn is_full(palace: &Path) -> bool {
    const ENOUGH: u64 = 16 << 20;
    statvfs(palace).is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) < ENOUGH)
}

/// Which files were synced, and as what: Chroma syncs its database and not its vectors.
#[derive(Default)]
pub(super) struct Synced(Mutex<HashMap<PathBuf, Seen>>);

type Seen = (u64, u64, i64, i64);

impl Synced {
    /// Syncs every file of the palace's vector folders that has changed since it was synced, and the folders.
    pub(super) fn sync(&self, palace: &Path) -> io::Result<()> {
        let mut synced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut folders_changed = false;
        for entry in fs::read_dir(palace)? {
            let folder = entry?.path();
            if !folder.is_dir() {
                continue;
            }
            let mut changed = false;
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                // Replaced meanwhile: its successor is seen next time, and only what was there before a write counts.
                let Ok(meta) = fs::metadata(&path) else { continue };
                let seen = (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
                if synced.get(&path) == Some(&seen) || !meta.is_file() {
                    continue;
                }
                File::open(&path)?.sync_all()?;
                synced.insert(path, seen);
                changed = true;
            }
            if changed {
                File::open(&folder)?.sync_all()?;
                folders_changed = true;
            }
        }
        if folders_changed { File::open(palace)?.sync_all() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_others_are_kept_and_a_damaged_file_is_not_overwritten() {
        let palace = tempfile::tempdir().unwrap();
        let path = palace.path().join(sidecar::FILE);
        fs::write(&path, r#"{"mempalace_closets": {"model_name": "minilm", "later": [1]}}"#).unwrap();
        let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 384 };
        record_identity(palace.path(), "mempalace_drawers", &identity).unwrap();
        assert_eq!(sidecar::identities(palace.path())["mempalace_drawers"], identity);
        assert!(fs::read_to_string(&path).unwrap().contains("later"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::write(&path, "[").unwrap();
        let error = record_identity(palace.path(), "c", &identity).unwrap_err();
        assert_eq!((error.kind(), fs::read(&path).unwrap()), (io::ErrorKind::InvalidData, b"[".to_vec()));
    }

    #[test]
    fn the_log_grows_and_keeps_what_it_does_not_know() {
        let palace = tempfile::tempdir().unwrap();
        assert!(log_of(palace.path()).unwrap().is_empty());
        let identity = EmbedderIdentity { model_name: "minilm".into(), dimension: 4 };
        let entry = LogEntry::embedder_set("c", None, &identity);
        append_to_log(palace.path(), &entry).unwrap();
        append_to_log(palace.path(), &entry).unwrap();
        assert_eq!(log_of(palace.path()).unwrap(), [entry.clone(), entry.clone()]);
        fs::write(palace.path().join(MIGRATION_LOG), r#"{"log": {}}"#).unwrap();
        assert_eq!(append_to_log(palace.path(), &entry).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
