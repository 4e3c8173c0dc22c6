use crate::AddressError;
use palanquin_engine::contract::{Error, ErrorKind};
use std::path::PathBuf;

/// A configuration that cannot be used, or a palace that cannot be found by it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// No file, or none that can be read.
    #[error("{path}: it cannot be read; check the path given with {by}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What named it.
        by: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Neither TOML nor JSON.
    #[error("{path}, line {line}: {found}; correct the line")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong there.
        found: String,
    },
    /// An entry that makes no sense.
    #[error("{path}, {key}: {found}; {fix}")]
    Wrong {
        /// Which.
        path: PathBuf,
        /// The entry, as `palaces.work.backend`.
        key: String,
        /// What is wrong with it.
        found: String,
        /// What to do.
        fix: String,
    },
    /// Something that must not stand in a file.
    #[error("{path}, {key}: a secret does not belong in a file; {fix}")]
    Secret {
        /// Which.
        path: PathBuf,
        /// The entry.
        key: String,
        /// Where it belongs.
        fix: String,
    },
    /// An address that is none.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl From<ConfigurationError> for Error {
    fn from(error: ConfigurationError) -> Self {
        let kind = match &error {
            ConfigurationError::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                ErrorKind::PermissionDenied
            }
            _ => ErrorKind::InvalidRequest,
        };
        let detail = match &error {
            ConfigurationError::Unreadable { .. } => error.to_string(),
            error => format!("configuration: {error}"),
        };
        Self::new(kind, detail).with_source(error)
    }
}
