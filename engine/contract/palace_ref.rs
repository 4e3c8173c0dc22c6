use std::fmt;
use std::path::{Path, PathBuf};

/// Names one palace (§2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PalaceRef {
    /// Isolation and cache key. MemPalace uses the path string as it was given.
    pub id: String,
    /// The directory of a palace that lives on disk.
    pub local_path: Option<PathBuf>,
    /// Tenant or prefix on a server.
    pub namespace: Option<String>,
}

impl PalaceRef {
    /// A palace on disk; its id is the path as given.
    pub fn local(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self { id: path.to_string_lossy().into_owned(), local_path: Some(path.to_owned()), namespace: None }
    }
}

impl fmt::Display for PalaceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} (namespace {namespace})", self.id),
            None => f.write_str(&self.id),
        }
    }
}
