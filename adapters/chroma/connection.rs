//! The way to `chroma.sqlite3`: what may be opened, read-only connections to it, and what SQLite's failures mean.

use crate::head::read_head;
use crate::recovered::{Reason, Recovered};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::io::ErrorKind as Io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file that makes a directory a palace.
pub(crate) const DATABASE: &str = "chroma.sqlite3";
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Byte of the database's header that says how it is read.
const READ_VERSION_AT: usize = 19;
/// What it says in write-ahead mode.
const WRITE_AHEAD: u8 = 2;
/// How long a read waits for a writer's commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of a connection, in KiB. A copy keeps several connections open, and each fills its cache as the palace grows. A
/// larger one makes no read faster: the operating system holds the same pages.
const CACHE_KIB: i64 = 2 << 10;

/// Chroma's tables that a palace cannot do without.
const TABLES: [&str; 9] = [
    "collection_metadata",
    "collections",
    "databases",
    "embedding_metadata",
    "embeddings",
    "embeddings_queue",
    "max_seq_id",
    "migrations",
    "segments",
];

/// Chroma's migrations: the folder, the oldest version whose tables are read, the newest that is known (chromadb 1.5.9).
const MIGRATIONS: [(&str, i64, i64); 3] = [("embeddings_queue", 1, 2), ("metadb", 2, 6), ("sysdb", 4, 10)];

/// The database of one palace.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    folder: PathBuf,
    palace: String,
    file: (u64, u64),
    recovered: Option<Arc<Recovered>>,
}

impl Database {
    /// The database of the palace in `folder`, told as `palace`, if it is one. One that cannot be read where it is
    /// ([`Reason`]) is copied to be read.
    pub(crate) fn find(folder: &Path, palace: String) -> Result<Self> {
        let find = || {
            let looked = look(folder)?;
            let database =
                Self { folder: folder.to_owned(), palace: palace.clone(), file: looked.file, recovered: None };
            let reason = match looked.write_ahead {
                true => Some(Reason::WriteAhead),
                false => database.was_interrupted().then_some(Reason::Interrupted),
            };
            let Some(reason) = reason else { return Ok(database) };
            Ok(Self { recovered: Some(Arc::new(Recovered::of(folder, reason)?)), ..database })
        };
        find().map_err(|error: Error| error.in_palace(&palace))
    }

    /// Device and inode of the database file in a folder, if it is a palace.
    pub(crate) fn file_in(folder: &Path) -> Result<(u64, u64)> {
        look(folder).map(|looked| looked.file)
    }

    /// Whether there is a rollback journal: a transaction that writes is under way, or was cut off.
    pub(crate) fn has_journal(&self) -> bool {
        self.folder.join(format!("{DATABASE}-journal")).exists()
    }

    /// Whether the last write was cut off, so that SQLite would have to roll it back before anything can be read.
    fn was_interrupted(&self) -> bool {
        let journal = std::fs::metadata(self.folder.join(format!("{DATABASE}-journal")));
        let read = || {
            let connection = read_only(&self.folder.join(DATABASE))?;
            connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
        };
        journal.is_ok_and(|journal| journal.len() > 0)
            && read().is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::ReadOnly))
    }

    /// Why it is read from a private copy, if it is.
    pub(crate) fn recovered(&self) -> Option<Reason> {
        self.recovered.as_ref().map(|recovered| recovered.reason())
    }

    /// The palace's directory.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The palace as its user calls it.
    pub(crate) fn palace(&self) -> &str {
        &self.palace
    }

    /// Device and inode of the file, as it was found.
    pub(crate) fn file(&self) -> (u64, u64) {
        self.file
    }

    /// Opens a read-only connection. `immutable` is never used: it would ignore a writer's locks and its journal.
    pub(crate) fn connect(&self) -> Result<Connection> {
        let path = match &self.recovered {
            Some(recovered) => recovered.database(),
            None => self.folder.join(DATABASE),
        };
        read_only(&path).map_err(|error| match read_head(&path, &mut []) {
            Err(cause) => Error::io(format!("cannot open {DATABASE}"), cause),
            Ok(_) => sqlite(error),
        })
    }

    /// Refuses to read on when another file has taken the database's place.
    pub(crate) fn check_same_file(&self) -> Result<()> {
        match std::fs::metadata(self.folder.join(DATABASE)) {
            Ok(meta) if (meta.dev(), meta.ino()) == self.file => {
                self.recovered.as_ref().map_or(Ok(()), |recovered| recovered.check_same(&self.folder))
            }
            Ok(_) => Err(Error::new(ErrorKind::BackendClosed, format!("{DATABASE} was replaced since it was opened"))),
            Err(error) => Err(Error::io(format!("{DATABASE} was there when it was opened"), error)),
        }
    }

    /// Checks that it is Chroma's, of a version that is known.
    pub(crate) fn check_schema(&self, connection: &Connection) -> Result<()> {
        let there: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
            .and_then(|mut tables| tables.query_map([], |row| row.get(0))?.collect())
            .map_err(sqlite)?;
        let missing: Vec<&str> = TABLES.into_iter().filter(|table| !there.iter().any(|name| name == table)).collect();
        if !missing.is_empty() {
            let detail = format!("{DATABASE} is not Chroma's: it has no table {}", missing.join(", "));
            return Err(Error::new(ErrorKind::NotAPalace, detail));
        }
        let versions: Vec<(String, i64)> = connection
            .prepare("SELECT dir, max(version) FROM migrations GROUP BY dir ORDER BY dir")
            .and_then(|mut versions| versions.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .map_err(sqlite)?;
        let unsupported = |detail| Err(Error::new(ErrorKind::UnsupportedFormat, detail));
        for (folder, version) in &versions {
            match MIGRATIONS.iter().find(|(name, ..)| name == folder) {
                Some((_, _, newest)) if version <= newest => {}
                Some((_, _, newest)) => {
                    return unsupported(format!(
                        "its schema is newer than this version knows: {folder} {version}, known up to {newest}"
                    ));
                }
                None => return unsupported(format!("its schema has a part that is not known: {folder} {version}")),
            }
        }
        for (folder, oldest, _) in MIGRATIONS {
            let version = versions.iter().find(|(name, _)| name == folder).map_or(0, |(_, version)| *version);
            if version < oldest {
                return unsupported(format!("its schema is too old: {folder} {version}, read from {oldest} on"));
            }
        }
        Ok(())
    }
}

fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Refuses a folder that [`is_palace`] would not call one, and says why.
pub(crate) fn check_is_palace(folder: &Path) -> Result<()> {
    look(folder).map(drop)
}

/// Whether `folder` holds a regular `chroma.sqlite3` that starts like an SQLite database.
pub(crate) fn is_palace(folder: &Path) -> bool {
    look(folder).is_ok()
}

/// The database file of a folder.
struct Looked {
    /// Device and inode.
    file: (u64, u64),
    write_ahead: bool,
}

/// Looks at the database file of a folder.
fn look(folder: &Path) -> Result<Looked> {
    let not_a_palace = |detail: String| Error::new(ErrorKind::NotAPalace, detail);
    match std::fs::metadata(folder) {
        Err(error) if error.kind() == Io::NotFound => {
            return Err(Error::new(ErrorKind::PalaceNotFound, "there is nothing at this path"));
        }
        Err(error) if error.kind() == Io::NotADirectory => {
            return Err(Error::new(ErrorKind::PalaceNotFound, "a part of this path is a file"));
        }
        Err(error) => return Err(Error::io("cannot look at the directory", error)),
        Ok(meta) if !meta.is_dir() => return Err(not_a_palace("is a file; a Chroma palace is a directory".into())),
        Ok(_) => {}
    }
    let path = folder.join(DATABASE);
    let meta = match std::fs::metadata(&path) {
        Err(error) if error.kind() == Io::NotFound => {
            let detail = format!("the directory holds no {DATABASE}");
            return Err(Error::new(ErrorKind::PalaceNotFound, detail));
        }
        Err(error) => return Err(Error::io(format!("cannot look at {DATABASE}"), error)),
        Ok(meta) => meta,
    };
    if !meta.is_file() {
        return Err(not_a_palace(format!("{DATABASE} is not a regular file")));
    }
    if meta.len() == 0 {
        return Err(not_a_palace(format!("{DATABASE} is empty")));
    }
    let mut start = [0; READ_VERSION_AT + 1];
    read_head(&path, &mut start).map_err(|error| Error::io(format!("cannot open {DATABASE}"), error))?;
    if !start.starts_with(MAGIC) {
        return Err(not_a_palace(format!("{DATABASE} is not an SQLite database")));
    }
    Ok(Looked { file: (meta.dev(), meta.ino()), write_ahead: start[READ_VERSION_AT] == WRITE_AHEAD })
}

/// Ids that do not ascend though they were asked for in order.
pub(crate) fn out_of_order() -> Error {
    Error::new(ErrorKind::Corrupt, "chroma.sqlite3 is damaged: its index of ids is out of order")
}

/// What a failure of SQLite's means here.
pub(crate) fn sqlite(error: rusqlite::Error) -> Error {
    use rusqlite::Error as E;
    let (kind, detail) = match &error {
        E::SqliteFailure(failure, _) => of_code(*failure),
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(..) => (ErrorKind::Corrupt, "chroma.sqlite3 has a value of another type than Chroma writes"),
        _ => (ErrorKind::Internal, "chroma.sqlite3 could not be queried"),
    };
    Error::new(kind, detail).with_source(error)
}

fn of_code(failure: ffi::Error) -> (ErrorKind, &'static str) {
    match failure.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (ErrorKind::Corrupt, "chroma.sqlite3 is damaged"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SchemaChanged => {
            (ErrorKind::Busy, "chroma.sqlite3 is locked by a writer")
        }
        ErrorCode::ReadOnly => (
            ErrorKind::Unavailable,
            "a write to chroma.sqlite3 was interrupted, and a reader may not roll it back; open the palace anew, \
             which reads a copy of it",
        ),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (ErrorKind::PermissionDenied, "chroma.sqlite3 may not be read")
        }
        ErrorCode::DiskFull => (ErrorKind::StorageFull, "there is no space for SQLite's temporary files"),
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => (ErrorKind::Unavailable, "chroma.sqlite3 cannot be read"),
        ErrorCode::Unknown => (ErrorKind::UnsupportedFormat, "chroma.sqlite3 has other columns than Chroma makes"),
        _ => (ErrorKind::Internal, "chroma.sqlite3 could not be queried"),
    }
}
