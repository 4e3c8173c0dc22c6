use palanquin_engine::contract::PalaceRef;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a palace is: a bare path, whose backend is detected, or `backend:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The backend named; `None` for a bare path.
    pub backend: Option<String>,
    /// The palace's directory, absolute, with links resolved as far as it exists.
    pub path: PathBuf,
}

/// Text that is no address this version can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("an empty address names no palace")]
    Empty,
    /// A form of another store.
    #[error("{0} addresses are not supported by this version; it knows chroma:PATH, lance:PATH and bare paths")]
    UnsupportedScheme(String),
    /// The working directory is gone.
    #[error("the path {0} cannot be made absolute")]
    NoWorkingDirectory(String),
}

impl Address {
    /// The reference a backend opens.
    pub fn palace_ref(&self) -> PalaceRef {
        PalaceRef::local(&self.path)
    }

    /// The address in full, with its backend.
    pub fn with_backend(&self, backend: &str) -> String {
        format!("{backend}:{}", self.path.display())
    }

    /// Whether one palace's directory is, or lies in, the other's.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.path.starts_with(&other.path) || other.path.starts_with(&self.path)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (backend, path) = match text.split_once(':') {
            Some((scheme, _)) if text.contains("://") => {
                return Err(AddressError::UnsupportedScheme(scheme.to_owned()));
            }
            Some((backend, path)) if is_backend_name(backend) => (Some(backend.to_owned()), path),
            _ => (None, text),
        };
        if path.is_empty() {
            return Err(AddressError::Empty);
        }
        let path = resolved(Path::new(path)).ok_or_else(|| AddressError::NoWorkingDirectory(path.to_owned()))?;
        Ok(Self { backend, path })
    }
}

/// A path with a colon in it is a path; a backend's name has letters, digits, `_` and `-` only.
fn is_backend_name(text: &str) -> bool {
    text.len() > 1 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Absolute, with links resolved as far as the path exists, so that one palace has one address.
fn resolved(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut missing = Vec::new();
    let mut there = absolute.as_path();
    loop {
        if let Ok(real) = there.canonicalize() {
            return Some(missing.iter().rev().fold(real, |path, part| path.join(part)));
        }
        missing.push(there.file_name()?.to_owned());
        there = there.parent()?;
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.backend {
            Some(backend) => f.write_str(&self.with_backend(backend)),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_may_be_named_before_the_path() {
        let address: Address = "lance:/tmp/no-such/palace".parse().unwrap();
        assert_eq!(address.backend.as_deref(), Some("lance"));
        assert!(address.path.ends_with("no-such/palace"));
    }

    #[test]
    fn a_path_may_hold_a_colon() {
        let address: Address = "/tmp/a:b".parse().unwrap();
        assert_eq!((address.backend, address.path.file_name().unwrap().to_str()), (None, Some("a:b")));
    }

    #[test]
    fn one_palace_has_one_address_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let direct: Address = folder.path().join("new").to_str().unwrap().parse().unwrap();
        let through: Address = link.join("new").to_str().unwrap().parse().unwrap();
        assert_eq!(direct, through);
    }

    #[test]
    fn a_target_inside_its_source_overlaps() {
        let outer: Address = "/tmp/p".parse().unwrap();
        let inner: Address = "lance:/tmp/p/lance".parse().unwrap();
        let sibling: Address = "lance:/tmp/p2".parse().unwrap();
        assert!(outer.overlaps(&inner) && inner.overlaps(&outer) && outer.overlaps(&outer));
        assert!(!outer.overlaps(&sibling));
    }

    #[test]
    fn addresses_of_other_stores_are_named_in_the_refusal() {
        for (text, scheme) in [("postgres://h/db?palace=p", "postgres"), ("chroma+http://h:8000", "chroma+http")] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::UnsupportedScheme(scheme.into())));
        }
        assert_eq!("lance:".parse::<Address>(), Err(AddressError::Empty));
    }
}
