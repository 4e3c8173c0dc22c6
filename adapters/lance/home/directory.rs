use super::{atomic, migration_log, sidecar};
use crate::code;
use crate::durability::{FileSync, sync_readable_directory};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How the files begin that runs of maintenance lock.
const MAINTENANCE_LOCK: &str = ".palanquin-";

/// What lies at a palace's path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing, or an empty directory, or one with nothing but the traces of an interrupted creation.
    Vacant,
    /// At least one table, or the record of what was migrated there, which may have been a palace without a row.
    Palace,
    /// A palace of mempalace-code, with its tables there.
    Code(PathBuf),
    /// A file, or a directory of something else; what was found.
    Other(String),
}

/// Looks at a path without opening anything in it.
pub(crate) fn look(path: &Path) -> io::Result<Standing> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Vacant),
        Err(error) => return Err(error),
    };
    if !metadata.is_dir() {
        return Ok(Standing::Other("it is a file".to_owned()));
    }
    let (mut stranger, mut has_record) = (None, false);
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".lance") && entry.path().is_dir() {
            if entry.path().join("_versions").is_dir() {
                return Ok(Standing::Palace);
            }
        } else if name == migration_log::FILE_NAME {
            has_record = true;
        } else if !stands_beside_tables(&name) {
            stranger.get_or_insert_with(|| name.into_owned());
        }
    }
    if let Some(tables) = code::tables(path) {
        return Ok(Standing::Code(tables));
    }
    Ok(match stranger {
        Some(name) => Standing::Other(format!("it holds {name:?} and no Lance table")),
        None if has_record => Standing::Palace,
        None => Standing::Vacant,
    })
}

/// Files that stand beside the tables of a palace and may be there before the first of them.
fn stands_beside_tables(name: &str) -> bool {
    let is_file = |file| name == file || atomic::is_temporary(name, file);
    is_file(sidecar::FILE_NAME) || is_file(migration_log::FILE_NAME) || name.starts_with(MAINTENANCE_LOCK)
}

/// Whether an entry of a palace's directory is part of the palace.
pub(crate) fn is_ours(entry: &Path) -> bool {
    let Some(name) = entry.file_name().map(|name| name.to_string_lossy()) else { return false };
    (name.ends_with(".lance") && entry.is_dir()) || stands_beside_tables(&name)
}

/// Makes the directory, and its parents as needed, with mode 0700 (§2.4); durable when it returns. One that is there
/// is left as it is.
pub(crate) fn make(path: &Path, sync: &dyn FileSync) -> io::Result<()> {
    let mut made: Vec<PathBuf> = Vec::new();
    let mut ancestor = Some(path);
    while let Some(missing) = ancestor.filter(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists()) {
        made.push(missing.to_owned());
        ancestor = missing.parent();
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for directory in made {
        sync.sync_directory(&directory)?;
        if let Some(parent) = directory.parent() {
            sync_readable_directory(sync, parent)?;
        }
    }
    Ok(())
}

/// Waits until no other Palanquin makes a collection in the palace, and keeps it so while the file is held. Where the
/// file system has no locks there is none.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let directory = File::open(path)?;
    match directory.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(directory),
    }
}

/// The right to run a kind of maintenance in the palace while the file is held; `None` if someone has it. The file
/// that is locked is made at the first run and stays, empty. Where the file system has no locks nobody is kept out.
pub(crate) fn try_lock_maintenance(path: &Path, kind: &str) -> io::Result<Option<File>> {
    let path = path.join(format!("{MAINTENANCE_LOCK}{kind}.lock"));
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Some(file)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The kind of maintenance a file of that name is locked for.
pub(crate) fn maintenance_of_lock(name: &str) -> Option<&str> {
    name.strip_prefix(MAINTENANCE_LOCK)?.strip_suffix(".lock")
}

/// Whether files can be made in the directory. Permission bits do not tell (read-only mounts, access lists, quotas), so
/// it makes one and removes it.
pub(crate) fn probe_writable(path: &Path) -> io::Result<()> {
    let probe = path.join(atomic::temporary_name(sidecar::FILE_NAME));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Recorder;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_lies_at_a_path_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(look(path).unwrap(), Standing::Vacant);
        assert_eq!(look(&path.join("nothing")).unwrap(), Standing::Vacant);
        fs::write(path.join(sidecar::FILE_NAME), "{}").unwrap();
        fs::create_dir_all(path.join("half.lance/data")).unwrap();
        assert_eq!(look(path).unwrap(), Standing::Vacant);
        fs::write(path.join(migration_log::FILE_NAME), "[]").unwrap();
        assert_eq!(look(path).unwrap(), Standing::Palace);
        fs::write(path.join("chroma.sqlite3"), "").unwrap();
        assert!(matches!(look(path).unwrap(), Standing::Other(found) if found.contains("chroma.sqlite3")));
        assert!(matches!(look(&path.join("chroma.sqlite3")).unwrap(), Standing::Other(_)));
        assert_eq!(look(&path.join("chroma.sqlite3/below")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        fs::create_dir(path.join("half.lance/_versions")).unwrap();
        assert_eq!(look(path).unwrap(), Standing::Palace);
    }

    #[test]
    fn what_is_no_part_of_a_palace_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for part in ["drawers.lance", "rooms"] {
            fs::create_dir(path.join(part)).unwrap();
        }
        fs::write(path.join("letters.lance"), "").unwrap();
        let parts = ["drawers.lance", sidecar::FILE_NAME, migration_log::FILE_NAME, ".palanquin-prune.lock"];
        let others = ["rooms", "letters.lance", "knowledge_graph.sqlite3", "chroma.sqlite3", "absent.lance"];
        assert!(parts.iter().all(|part| is_ours(&path.join(part))));
        assert!(!others.iter().any(|other| is_ours(&path.join(other))));
    }

    #[test]
    fn made_directories_are_private_and_durable() {
        let directory = tempfile::tempdir().unwrap();
        let palace = directory.path().join("a/b");
        let recorder = Recorder::default();
        make(&palace, &recorder).unwrap();
        for made in [palace.clone(), directory.path().join("a")] {
            assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
            assert!(recorder.paths().contains(&made));
        }
        assert!(recorder.paths().contains(&directory.path().to_owned()));
        recorder.take();
        make(&palace, &recorder).unwrap();
        assert!(recorder.take().is_empty());
    }
}
