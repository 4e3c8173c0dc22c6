use palanquin_engine::contract::{Error, ErrorKind};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The palace and collection a failure is told of.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    palace: Arc<str>,
    collection: Option<Arc<str>>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.palace)
    }
}

impl Place {
    pub(crate) fn palace(palace: impl fmt::Display) -> Self {
        Self { palace: palace.to_string().into(), collection: None }
    }

    pub(crate) fn collection(&self, name: &str) -> Self {
        Self { palace: self.palace.clone(), collection: Some(name.into()) }
    }

    pub(crate) fn error(&self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        self.named(Error::new(kind, detail))
    }

    pub(crate) fn io(&self, detail: impl Into<String>, error: io::Error) -> Error {
        self.named(Error::io(detail, error))
    }

    /// Takes an error of lance, lancedb, arrow or datafusion; the kind is read off the whole chain of causes.
    pub(crate) fn store(&self, detail: impl Into<String>, error: impl StdError + Send + Sync + 'static) -> Error {
        self.named(Error::new(kind_of(&error).unwrap_or(ErrorKind::Internal), detail).with_source(error))
    }

    /// The same for opening what is on disk, where an error that says nothing else means that it cannot be read: a
    /// manifest that is empty or cut short, for one.
    pub(crate) fn unreadable(&self, detail: impl Into<String>, error: impl StdError + Send + Sync + 'static) -> Error {
        self.named(Error::new(kind_of(&error).unwrap_or(ErrorKind::Corrupt), detail).with_source(error))
    }

    /// A task of ours that panicked or was aborted with its runtime.
    pub(crate) fn join(&self, detail: impl Into<String>, error: tokio::task::JoinError) -> Error {
        self.named(Error::new(ErrorKind::Internal, detail).with_source(error))
    }

    /// A write that is there and that power loss may undo.
    pub(crate) fn not_durable(&self, error: io::Error) -> Error {
        self.io("it is written and could not be made durable", error)
    }

    /// Names palace and collection in an error that does not yet.
    pub(crate) fn named(&self, error: Error) -> Error {
        let error = error.in_palace(&self.palace);
        match &self.collection {
            Some(collection) => error.in_collection(&**collection),
            None => error,
        }
    }
}

/// Whether the chain of causes ends in something that is not there: a version that was pruned, a file that is gone.
pub(crate) fn is_missing(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::NotFound)
            || matches!(
                cause.downcast_ref::<lance::Error>(),
                Some(
                    lance::Error::NotFound { .. }
                        | lance::Error::DatasetNotFound { .. }
                        | lance::Error::VersionNotFound { .. }
                )
            )
    })
}

/// `None` if nothing in the chain tells.
fn kind_of(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    let of_cause = |kind: fn(&(dyn StdError + 'static)) -> Option<ErrorKind>| causes(error).find_map(kind);
    of_cause(kind_of_ours)
        .or_else(|| of_cause(kind_of_io))
        .or_else(|| of_cause(kind_of_lancedb))
        .or_else(|| of_cause(kind_of_lance))
        .or_else(|| of_cause(kind_of_text))
}

/// An error of our own that came back through a scan it was raised in.
fn kind_of_ours(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    error.downcast_ref::<Error>().map(Error::kind)
}

fn kind_of_io(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    let error = error.downcast_ref::<io::Error>()?;
    match error.kind() {
        // A wrapper says nothing by itself; a missing file means what the layer above makes of it.
        io::ErrorKind::Other | io::ErrorKind::NotFound => None,
        kind => Some(Error::io("", io::Error::from(kind)).kind()),
    }
}

fn kind_of_lancedb(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    match error.downcast_ref::<lancedb::Error>()? {
        lancedb::Error::TableNotFound { .. } => Some(ErrorKind::CollectionNotInitialized),
        lancedb::Error::TableAlreadyExists { .. } => Some(ErrorKind::PalaceExists),
        lancedb::Error::InvalidTableName { .. } => Some(ErrorKind::InvalidRequest),
        lancedb::Error::TableCorrupted { .. } => Some(ErrorKind::Corrupt),
        lancedb::Error::Timeout { .. } => Some(ErrorKind::Busy),
        lancedb::Error::Schema { .. } => Some(ErrorKind::UnsupportedFormat),
        _ => None,
    }
}

fn kind_of_lance(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    match error.downcast_ref::<lance::Error>()? {
        lance::Error::CommitConflict { .. }
        | lance::Error::RetryableCommitConflict { .. }
        | lance::Error::IncompatibleTransaction { .. }
        | lance::Error::TooMuchWriteContention { .. }
        | lance::Error::Timeout { .. } => Some(ErrorKind::Busy),
        lance::Error::DatasetAlreadyExists { .. } => Some(ErrorKind::PalaceExists),
        lance::Error::DatasetNotFound { .. } => Some(ErrorKind::CollectionNotInitialized),
        lance::Error::CorruptFile { .. } | lance::Error::NotFound { .. } => Some(ErrorKind::Corrupt),
        lance::Error::SchemaMismatch { .. }
        | lance::Error::Schema { .. }
        | lance::Error::NotSupported { .. }
        | lance::Error::VersionConflict { .. } => Some(ErrorKind::UnsupportedFormat),
        lance::Error::DiskCapExceeded { .. } => Some(ErrorKind::StorageFull),
        _ => None,
    }
}

/// For errors that crossed a layer which kept only their text.
fn kind_of_text(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    let text = error.to_string();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if says(&["No space left", "StorageFull", "Disk quota exceeded", "QuotaExceeded"]) {
        Some(ErrorKind::StorageFull)
    } else if says(&["Permission denied", "PermissionDenied", "Read-only file system"]) {
        Some(ErrorKind::PermissionDenied)
    } else if says(&["stored metadata is no JSON object"]) {
        Some(ErrorKind::Corrupt)
    } else if says(&["commit conflict", "Too many concurrent writers"]) {
        Some(ErrorKind::Busy)
    } else {
        None
    }
}

/// The error and everything below it.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| cause_of(error))
}

/// An `io::Error` that wraps another error hides it from `source`.
fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner as &(dyn StdError + 'static)),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(Box<dyn StdError + Send + Sync>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a layer")
        }
    }

    impl StdError for Layer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(self.0.as_ref())
        }
    }

    #[test]
    fn a_full_disk_is_found_however_deep_it_lies() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let wrapped = io::Error::other(Layer(Box::new(full)));
        assert_eq!(kind_of(&Layer(Box::new(wrapped))), Some(ErrorKind::StorageFull));
        let text = lancedb::Error::Runtime { message: "write failed: No space left on device (os error 28)".into() };
        assert_eq!(kind_of(&text), Some(ErrorKind::StorageFull));
    }

    #[test]
    fn a_denied_access_and_a_lost_race_are_told_apart() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(kind_of(&Layer(Box::new(denied))), Some(ErrorKind::PermissionDenied));
        let conflict = lance::Error::retryable_commit_conflict_source(3, "preempted".into());
        assert_eq!(kind_of(&lancedb::Error::Lance { source: conflict }), Some(ErrorKind::Busy));
    }

    #[test]
    fn an_error_names_palace_and_collection_and_keeps_its_cause() {
        let place = Place::palace("/p").collection("c");
        let error = place.store("could not write", lancedb::Error::Runtime { message: "odd".into() });
        assert_eq!(error.what(), "/p, collection c: could not write: Runtime error: odd");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
