use palanquin_engine::contract::{Error, ErrorKind};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio_postgres::error::{DbError, SqlState};

/// The palace and collection a failure is told of.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    palace: Arc<str>,
    collection: Option<Arc<str>>,
}

impl Place {
    pub(crate) fn palace(palace: impl fmt::Display) -> Self {
        Self { palace: palace.to_string().into(), collection: None }
    }

    pub(crate) fn collection(&self, name: &str) -> Self {
        Self { palace: self.palace.clone(), collection: Some(name.into()) }
    }

    pub(crate) fn error(&self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        self.name(Error::new(kind, detail))
    }

    pub(crate) fn io(&self, detail: impl Into<String>, error: io::Error) -> Error {
        self.name(Error::io(detail, error))
    }

    /// Takes an error of the driver; `doing` says what could not be done.
    pub(crate) fn sql(&self, doing: impl Into<String>, error: tokio_postgres::Error) -> Error {
        self.name(of_driver(doing, error))
    }

    /// The same failure, told of this palace and collection.
    pub(crate) fn name(&self, error: Error) -> Error {
        let error = error.in_palace(&self.palace);
        match &self.collection {
            Some(collection) => error.in_collection(&**collection),
            None => error,
        }
    }
}

/// What the server said of a failure, without its DETAIL and CONTEXT: those quote rows.
#[derive(Debug)]
struct Said {
    code: String,
    message: String,
    hint: Option<String>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl StdError for Said {}

/// An error of the driver, its kind read off the SQLSTATE.
pub(crate) fn of_driver(doing: impl Into<String>, error: tokio_postgres::Error) -> Error {
    let mut detail = doing.into();
    let Some(said) = error.as_db_error() else {
        return Error::new(kind_of_driver(&error), detail).with_source(error);
    };
    let kind = kind_of(said);
    if let Some(explained) = explanation(said.code()) {
        detail = format!("{detail}: {explained}");
    }
    let said = Said {
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
        hint: said.hint().map(str::to_owned),
    };
    Error::new(kind, detail).with_source(said)
}

/// Whether a row with the same key is there already.
pub(crate) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// What a SQLSTATE means that by itself tells an operator little.
fn explanation(code: &SqlState) -> Option<&'static str> {
    match *code {
        SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => Some(POOLED),
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            Some("the server only reads; it may be a replica: connect to the primary")
        }
        SqlState::QUERY_CANCELED => Some("it took longer than allowed, or was cancelled on the server"),
        SqlState::LOCK_NOT_AVAILABLE => Some("another session holds a lock on the table"),
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST => Some("something of the operator's, a view say, depends on it"),
        _ => None,
    }
}

/// What it means that a session's state does not stay with its connection.
pub(crate) const POOLED: &str = "a connection pooler hands the server's sessions to others between transactions \
(pgbouncer with pool_mode=transaction does); connect to the server itself, or to a pool with pool_mode=session";

fn kind_of(said: &DbError) -> ErrorKind {
    let code = said.code();
    match *code {
        SqlState::TOO_MANY_CONNECTIONS | SqlState::OUT_OF_MEMORY => ErrorKind::Unavailable,
        SqlState::DISK_FULL | SqlState::CONFIGURATION_LIMIT_EXCEEDED => ErrorKind::StorageFull,
        SqlState::QUERY_CANCELED
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::OBJECT_IN_USE
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED => ErrorKind::Busy,
        SqlState::INSUFFICIENT_PRIVILEGE | SqlState::READ_ONLY_SQL_TRANSACTION => ErrorKind::PermissionDenied,
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST => ErrorKind::InUse,
        SqlState::INVALID_CATALOG_NAME => ErrorKind::PalaceNotFound,
        SqlState::UNDEFINED_TABLE => ErrorKind::CollectionNotInitialized,
        SqlState::UNDEFINED_COLUMN => ErrorKind::UnsupportedFormat,
        SqlState::FEATURE_NOT_SUPPORTED | SqlState::UNDEFINED_FILE => ErrorKind::UnsupportedCapability,
        SqlState::UNIQUE_VIOLATION => ErrorKind::IdExists,
        SqlState::NOT_NULL_VIOLATION | SqlState::PROGRAM_LIMIT_EXCEEDED => ErrorKind::RowRefused,
        SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => ErrorKind::InvalidRequest,
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => ErrorKind::Corrupt,
        _ => match code.code().get(..2) {
            Some("08" | "57" | "58") => ErrorKind::Unavailable,
            Some("28") => ErrorKind::PermissionDenied,
            Some("22") if said.message().contains("dimensions") => ErrorKind::DimensionMismatch,
            Some("22") => ErrorKind::RowRefused,
            _ => ErrorKind::Internal,
        },
    }
}

/// For failures the server did not report: it could not be reached, or not be understood.
fn kind_of_driver(error: &tokio_postgres::Error) -> ErrorKind {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return ErrorKind::PermissionDenied;
        }
        let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match hidden {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    let text = error.to_string();
    if text.starts_with("authentication") {
        ErrorKind::PermissionDenied
    } else if text.starts_with("invalid con") {
        ErrorKind::InvalidRequest
    } else if text.starts_with("error serializing")
        || text.starts_with("error deserializing")
        || text.contains("column")
    {
        ErrorKind::Internal
    } else {
        ErrorKind::Unavailable
    }
}
