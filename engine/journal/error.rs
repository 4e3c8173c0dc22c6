use crate::contract::{Error, ErrorKind};
use crate::link::LinkId;
use std::path::PathBuf;

/// A failure of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its directory or file cannot be used.
    #[error("the journal at {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refuses.
    #[error("the journal at {path}")]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It holds something this version does not understand.
    #[error("the journal at {path} holds {what} this version cannot read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Made by a newer version.
    #[error("the journal at {path} has format {found}, this version knows {known}")]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest one known.
        known: i64,
    },
    /// Another claim has taken the link over.
    #[error("link {0} was taken over by another process")]
    Fenced(LinkId),
    /// A plan is never replaced.
    #[error("link {0} has a plan already")]
    PlanExists(LinkId),
    /// Another process works on the same link or writes to the same target.
    #[error("{what} is in use by process {pid}")]
    Locked {
        /// The link or target.
        what: String,
        /// Who holds it.
        pid: String,
    },
    /// The thread that serves the journal is gone.
    #[error("the journal stopped answering")]
    Gone,
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        let kind = match &error {
            JournalError::Io { source, .. } => match crate::contract::kind_of_io(source) {
                ErrorKind::PalaceNotFound => ErrorKind::InvalidRequest,
                kind => kind,
            },
            JournalError::Sqlite { source, .. } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => ErrorKind::StorageFull,
                Some(rusqlite::ErrorCode::PermissionDenied | rusqlite::ErrorCode::ReadOnly) => {
                    ErrorKind::PermissionDenied
                }
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => ErrorKind::Busy,
                _ => ErrorKind::Internal,
            },
            JournalError::Unreadable { .. } | JournalError::Newer { .. } => ErrorKind::UnsupportedFormat,
            JournalError::Fenced(_) | JournalError::Locked { .. } => ErrorKind::InUse,
            JournalError::PlanExists(_) | JournalError::Gone => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
