use super::{KeyRange, advice};
use std::error::Error as StdError;
use std::fmt;

/// What every contract call answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was. The kinds the RFC names carry its names ([`ErrorKind::name`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing is there, or it is no place a palace could be.
    PalaceNotFound,
    /// The palace is there, the collection is not.
    CollectionNotInitialized,
    /// A palace or collection is there and must not be.
    PalaceExists,
    /// Something is there and is not a palace of this backend.
    NotAPalace,
    /// A palace in a layout this version does not know.
    UnsupportedFormat,
    /// The store contradicts itself or its own headers.
    Corrupt,
    /// Vectors of another width than the collection's.
    DimensionMismatch,
    /// Vectors of another model than the collection's.
    EmbedderIdentityMismatch,
    /// Asked for something the backend does not advertise.
    UnsupportedCapability,
    /// A filter with an operator that is not implemented (§1.4).
    UnsupportedFilter,
    /// A maintenance kind that is not advertised (§7.3).
    UnsupportedMaintenanceKind,
    /// Rows to be added are there already, or come twice.
    IdExists,
    /// A row the store cannot hold, or that nobody could search: a vector with NaN in it, say.
    RowRefused,
    /// A backend of another major spec version.
    BackendVersionMismatch,
    /// Called after `close`.
    BackendClosed,
    /// The operating system forbids it.
    PermissionDenied,
    /// No space, or a quota.
    StorageFull,
    /// The store is being changed under the read; the next attempt sees it settled.
    Busy,
    /// The store does not answer now.
    Unavailable,
    /// Another process works on it.
    InUse,
    /// Positions recorded elsewhere do not fit this store any more.
    CursorExpired,
    /// The request itself makes no sense.
    InvalidRequest,
    /// A defect of ours, or a failure with no better name.
    Internal,
}

impl ErrorKind {
    /// Stable name, for events, JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::PalaceNotFound => "PalaceNotFound",
            Self::CollectionNotInitialized => "CollectionNotInitialized",
            Self::PalaceExists => "PalaceExists",
            Self::NotAPalace => "NotAPalace",
            Self::UnsupportedFormat => "UnsupportedFormat",
            Self::Corrupt => "Corrupt",
            Self::DimensionMismatch => "DimensionMismatch",
            Self::EmbedderIdentityMismatch => "EmbedderIdentityMismatch",
            Self::UnsupportedCapability => "UnsupportedCapability",
            Self::UnsupportedFilter => "UnsupportedFilter",
            Self::UnsupportedMaintenanceKind => "UnsupportedMaintenanceKind",
            Self::IdExists => "IdExists",
            Self::RowRefused => "RowRefused",
            Self::BackendVersionMismatch => "BackendVersionMismatch",
            Self::BackendClosed => "BackendClosed",
            Self::PermissionDenied => "PermissionDenied",
            Self::StorageFull => "StorageFull",
            Self::Busy => "Busy",
            Self::Unavailable => "Unavailable",
            Self::InUse => "InUse",
            Self::CursorExpired => "CursorExpired",
            Self::InvalidRequest => "InvalidRequest",
            Self::Internal => "Internal",
        }
    }
}

/// A failure: what happened, to which palace and rows, and its source.
///
/// `Display` is the whole sentence for the operator, advice included. It never holds row content; ids may appear as
/// range bounds.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    detail: String,
    palace: Option<String>,
    collection: Option<String>,
    rows: Option<KeyRange>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of this kind; `detail` says what happened, without a full stop.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, detail: detail.into(), palace: None, collection: None, rows: None, source: None }))
    }

    /// A failure of the operating system, with its kind read off the error.
    pub fn io(detail: impl Into<String>, error: std::io::Error) -> Self {
        Self::new(kind_of_io(&error), detail).with_source(error)
    }

    /// Names the palace, unless one is named already.
    pub fn in_palace(mut self, palace: impl fmt::Display) -> Self {
        self.0.palace.get_or_insert_with(|| palace.to_string());
        self
    }

    /// Names the collection, unless one is named already.
    pub fn in_collection(mut self, collection: impl Into<String>) -> Self {
        self.0.collection.get_or_insert_with(|| collection.into());
        self
    }

    /// Names the rows that were under way.
    pub fn in_rows(mut self, rows: KeyRange) -> Self {
        self.0.rows.get_or_insert(rows);
        self
    }

    /// Names the row, unless what happened names it already.
    pub fn of_row(mut self, id: &str) -> Self {
        let shown: String = id.chars().take(200).collect();
        let quoted = format!("{shown:?}");
        if !self.0.detail.contains(&quoted) {
            self.0.detail = format!("row {quoted}: {}", self.0.detail);
        }
        self
    }

    /// Keeps the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind, which alone decides retry and advice.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened and to what, in one line, without advice.
    pub fn what(&self) -> String {
        let mut text = String::new();
        if let Some(palace) = &self.0.palace {
            text.push_str(palace);
            if let Some(collection) = &self.0.collection {
                text.push_str(", collection ");
                text.push_str(collection);
            }
            if let Some(rows) = &self.0.rows {
                text.push_str(&format!(", {rows}"));
            }
            text.push_str(": ");
        }
        text.push_str(&self.0.detail);
        let mut cause = self.0.source.as_deref().map(|cause| cause as &dyn StdError);
        while let Some(error) = cause {
            let line = error.to_string();
            if !text.contains(&line) {
                text.push_str(": ");
                text.push_str(&line);
            }
            cause = error.source();
        }
        text
    }

    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        advice::operator_sentence(self.0.kind)
    }
}

/// The kind an operating system error stands for.
pub(crate) fn kind_of_io(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::PalaceNotFound,
        Io::NotADirectory | Io::InvalidInput | Io::InvalidFilename => ErrorKind::InvalidRequest,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::StorageFull,
        Io::Interrupted | Io::TimedOut | Io::WouldBlock => ErrorKind::Busy,
        _ => ErrorKind::Unavailable,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what(), self.advice())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
