//! A palace whose database cannot be read where it is without writing there: a write to it was interrupted, or somebody put
//! it into write-ahead mode. SQLite is given a private copy to take up, and the palace stays byte for byte as it is.

use crate::connection::DATABASE;
use crate::layout::files::Stamp;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use rusqlite::Connection;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The files SQLite needs to take a database up.
const FILES: [&str; 3] = ["", "-journal", "-wal"];
/// How a journal ends that names a file of a transaction over several databases.
const SUPER_JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Attempts to copy files nobody writes to meanwhile; two seconds at least.
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// Why a database is not read where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its last write was never finished, and whoever reads it has to roll it back first.
    Interrupted,
    /// Readers write beside it.
    WriteAhead,
}

/// The private copy, in the system's temporary directory and of mode 0700; it goes with its last handle. A process that is
/// killed leaves it.
#[derive(Debug)]
pub(crate) struct Recovered {
    folder: TempDir,
    reason: Reason,
    /// The files as they were when they were copied.
    stamps: [Option<Stamp>; 3],
}

impl Recovered {
    /// Copies the database of the palace in `palace` and has SQLite take it up.
    ///
    /// # Errors
    /// `Busy` while somebody writes to it; `StorageFull` and its like where there is no room for the copy.
    pub(crate) fn of(palace: &Path, reason: Reason) -> Result<Self> {
        let mode = std::fs::Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("palanquin-chroma-").permissions(mode).tempdir();
        let folder = made.map_err(no_room)?;
        for attempt in 1.. {
            let stamps = stamps(palace)?;
            copy(palace, folder.path())?;
            if stamps == self::stamps(palace)? && stamps.iter().flatten().all(Stamp::settled) {
                let recovered = Self { folder, reason, stamps };
                recovered.check_journal()?;
                recovered.take_up()?;
                tracing::info!(?reason, "a palace is read from a private copy of its database");
                return Ok(recovered);
            }
            if attempt >= ATTEMPTS {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let detail = format!("{DATABASE} is being written, and has to be copied to be read");
        Err(Error::new(ErrorKind::Busy, detail))
    }

    /// The database that is read.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join(DATABASE)
    }

    /// Why there is a copy.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// Refuses to read on once the palace is not as it was copied.
    pub(crate) fn check_same(&self, palace: &Path) -> Result<()> {
        if stamps(palace)? == self.stamps {
            return Ok(());
        }
        let detail = format!("{DATABASE} was written since it was copied to be read");
        Err(Error::new(ErrorKind::BackendClosed, detail))
    }

    /// Refuses a journal that names a file of a transaction over several databases: SQLite would look at that file and remove
    /// it, wherever it is. Chroma has one database.
    fn check_journal(&self) -> Result<()> {
        let journal = self.database().with_file_name(format!("{DATABASE}-journal"));
        let failed = |error| Error::io("the copied journal cannot be read", error);
        let mut end = [0; SUPER_JOURNAL.len()];
        match File::open(&journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => {
                let mut file = opened.map_err(failed)?;
                let length = file.metadata().map_err(failed)?.len();
                if length >= end.len() as u64 {
                    file.seek(SeekFrom::End(-(end.len() as i64))).map_err(failed)?;
                    file.read_exact(&mut end).map_err(failed)?;
                }
            }
        }
        if end != SUPER_JOURNAL {
            return Ok(());
        }
        let detail = format!("{DATABASE}-journal is of a write to several databases, which Chroma does not make");
        Err(Error::new(ErrorKind::UnsupportedFormat, detail))
    }

    /// Rolls the interrupted write back, or takes over what is in the log.
    fn take_up(&self) -> Result<()> {
        let open = || {
            let connection = Connection::open(self.database())?;
            connection.pragma_update(None, "journal_mode", "delete")?;
            connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
        };
        open().map(drop).map_err(crate::connection::sqlite)
    }
}

fn stamps(palace: &Path) -> Result<[Option<Stamp>; 3]> {
    let mut stamps = [None; 3];
    for (stamp, end) in stamps.iter_mut().zip(FILES) {
        let of = Stamp::of(&palace.join(format!("{DATABASE}{end}")));
        *stamp = of.map_err(|error| Error::io("cannot look at the database's files", error))?;
    }
    Ok(stamps)
}

fn copy(palace: &Path, folder: &Path) -> Result<()> {
    for end in FILES {
        let name = format!("{DATABASE}{end}");
        let (from, to) = (palace.join(&name), folder.join(&name));
        // Opening a pipe would wait for whoever fills it.
        if from.metadata().is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::new(ErrorKind::NotAPalace, format!("{name} is not a regular file")));
        }
        match std::fs::copy(&from, &to) {
            Ok(_) => {
                // A read-only file is copied as one.
                let mode = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(&to, mode).map_err(no_room)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // One of an earlier attempt.
                match std::fs::remove_file(&to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(no_room(error)),
                    _ => {}
                }
            }
            Err(error) => return Err(no_room(error)),
        }
    }
    Ok(())
}

fn no_room(error: io::Error) -> Error {
    let detail = format!(
        "{DATABASE} has to be copied to be read, for its last write was not finished, and it cannot be copied to {} (TMPDIR \
         names another place); or open the palace once with MemPalace, which takes it up",
        std::env::temp_dir().display()
    );
    Error::io(detail, error)
}
