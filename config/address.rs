use super::chroma_address::ChromaAddress;
use super::postgres_address::PostgresAddress;
use palanquin_engine::contract::PalaceRef;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a palace is, and which backend serves it if that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The backend named; `None` for a bare path.
    pub backend: Option<String>,
    /// Where it is.
    pub place: Place,
}

/// A place a palace can be at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory, absolute, with links resolved as far as it exists.
    Directory(PathBuf),
    /// An object store, as its URI.
    Object(String),
    /// A Postgres database.
    Postgres(PostgresAddress),
    /// A database of a Chroma server.
    ChromaServer(ChromaAddress),
}

/// Text that is no address this version can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("an empty address names no palace")]
    Empty,
    /// A form of another store.
    #[error(
        "{0} addresses are not supported by this version; it knows chroma:PATH, chroma+http://HOST:PORT, lance:PATH, lance:URI, postgres://HOST/DB?palace=ID and bare paths"
    )]
    UnsupportedScheme(String),
    /// The working directory is gone.
    #[error("the path {0} cannot be made absolute")]
    NoWorkingDirectory(String),
    /// No URL.
    #[error("it is no URL: {0}")]
    Malformed(String),
    /// A database is not yet a palace.
    #[error("say which palace of the database: add ?palace=ID (or local_path=DIRECTORY)")]
    NoPalace,
    /// Where it would be shown.
    #[error("a password does not belong in an address's query; use the environment or a password file")]
    PasswordInQuery,
    /// Where it would be shown.
    #[error("credentials for a Chroma server do not belong in its address; use the environment")]
    SecretInAddress,
}

impl Address {
    /// A directory of a backend.
    pub fn directory(backend: &str, path: impl Into<PathBuf>) -> Self {
        Self { backend: Some(backend.to_owned()), place: Place::Directory(path.into()) }
    }

    /// The palace's directory, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Directory(path) => Some(path),
            Place::Object(_) | Place::Postgres(_) | Place::ChromaServer(_) => None,
        }
    }

    /// The reference a backend opens.
    pub fn palace_ref(&self) -> PalaceRef {
        match &self.place {
            Place::Directory(path) => PalaceRef::local(path),
            Place::Object(uri) => PalaceRef { id: uri.clone(), local_path: None, namespace: None },
            Place::Postgres(postgres) => postgres.palace_ref(),
            Place::ChromaServer(server) => server.palace_ref(),
        }
    }

    /// The address in full, with its backend and without secrets.
    pub fn with_backend(&self, backend: &str) -> String {
        match &self.place {
            Place::Directory(path) => format!("{backend}:{}", path.display()),
            Place::Object(uri) => format!("{backend}:{uri}"),
            Place::Postgres(postgres) => postgres.to_string(),
            Place::ChromaServer(server) => server.to_string(),
        }
    }

    /// Whether they are one palace, or one palace's directory lies in the other's.
    pub fn overlaps(&self, other: &Self) -> bool {
        let overlapping = |one: &Path, other: &Path| one.starts_with(other) || other.starts_with(one);
        match (self.directory_written(), other.directory_written()) {
            (Some(one), Some(other)) if overlapping(&one, &other) => true,
            _ => self.place == other.place,
        }
    }

    /// The directory a palace at this address has files in: its own, or that of a database palace's marker and sidecar.
    fn directory_written(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Directory(path) => Some(path.clone()),
            Place::Postgres(postgres) => postgres.local_path.as_deref().and_then(resolved),
            Place::Object(_) | Place::ChromaServer(_) => None,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let place = Place::Postgres(PostgresAddress::parse(text)?);
            return Ok(Self { backend: Some("postgres".to_owned()), place });
        }
        if ChromaAddress::is_meant(text) {
            let place = Place::ChromaServer(ChromaAddress::parse(text)?);
            return Ok(Self { backend: Some("chroma_server".to_owned()), place });
        }
        let (backend, place) = match text.split_once(':') {
            Some((backend, rest)) if is_backend_name(backend) && !rest.starts_with("//") => {
                (Some(backend.to_owned()), rest)
            }
            _ => (None, text),
        };
        let scheme = place.split_once("://").map(|(scheme, _)| scheme);
        let place = match (backend.as_deref(), scheme) {
            (_, None) | (_, Some("file")) => {
                let path = place.strip_prefix("file://").unwrap_or(place);
                if path.is_empty() {
                    return Err(AddressError::Empty);
                }
                let path =
                    resolved(Path::new(path)).ok_or_else(|| AddressError::NoWorkingDirectory(path.to_owned()))?;
                Place::Directory(path)
            }
            (Some("lance"), Some(_)) => Place::Object(place.to_owned()),
            (_, Some(scheme)) => return Err(AddressError::UnsupportedScheme(scheme.to_owned())),
        };
        Ok(Self { backend, place })
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
            None => match &self.place {
                Place::Directory(path) => write!(f, "{}", path.display()),
                Place::Object(uri) => f.write_str(uri),
                Place::Postgres(postgres) => postgres.fmt(f),
                Place::ChromaServer(server) => server.fmt(f),
            },
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
        assert!(address.path().unwrap().ends_with("no-such/palace"));
    }

    #[test]
    fn a_path_may_hold_a_colon() {
        let address: Address = "/tmp/a:b".parse().unwrap();
        assert_eq!((&address.backend, address.path().unwrap().file_name().unwrap().to_str()), (&None, Some("a:b")));
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
        let database: Address = "postgres://db/mem?local_path=/tmp/p/inside".parse().unwrap();
        assert!(outer.overlaps(&database) && !sibling.overlaps(&database));
    }

    #[test]
    fn a_lance_palace_may_lie_in_an_object_store() {
        let address: Address = "lance:s3://bucket/palace".parse().unwrap();
        assert_eq!(address.place, Place::Object("s3://bucket/palace".into()));
        assert_eq!(address.to_string(), "lance:s3://bucket/palace");
        assert_eq!("lance:file:///tmp/p".parse::<Address>().unwrap().to_string(), "lance:/tmp/p");
    }

    #[test]
    fn a_palace_may_be_on_a_chroma_server() {
        let address: Address = "chroma+http://h:8000?database=mem".parse().unwrap();
        assert_eq!(address.backend.as_deref(), Some("chroma_server"));
        assert_eq!((address.to_string().as_str(), address.path()), ("chroma+http://h:8000?database=mem", None));
        assert!(address.overlaps(&"chroma+http://h:8000/?database=mem".parse().unwrap()));
        assert!(!address.overlaps(&"chroma+http://h:8000".parse().unwrap()));
    }

    #[test]
    fn addresses_of_other_stores_are_named_in_the_refusal() {
        for (text, scheme) in [("s3://bucket/p", "s3"), ("chroma+ftp://h:8000", "chroma+ftp"), ("chroma:s3://b", "s3")]
        {
            assert_eq!(text.parse::<Address>(), Err(AddressError::UnsupportedScheme(scheme.into())));
        }
        assert_eq!("lance:".parse::<Address>(), Err(AddressError::Empty));
    }
}
