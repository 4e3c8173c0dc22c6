use lance::io::{ObjectStore, ObjectStoreParams, ObjectStoreRegistry};
use lancedb::connection::Connection;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// The stores a palace's URI can name: scheme, and the cargo feature without which it is not built.
const SCHEMES: [(&str, Option<&str>); 5] =
    [("memory", None), ("s3", Some("aws")), ("gs", Some("gcs")), ("az", Some("azure")), ("file", None)];

/// Where a palace without a directory lives, by its id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// `file://`: a directory after all.
    Path(&'a str),
    /// An object store this build can reach.
    Uri(&'a str),
    /// One it cannot, for want of a cargo feature.
    Missing { scheme: &'static str, feature: &'static str },
    /// No address of ours.
    Unknown,
}

/// Reads a palace's id as an address.
pub(crate) fn address(id: &str) -> Address<'_> {
    let Some((scheme, rest)) = id.split_once("://") else { return Address::Unknown };
    let Some((scheme, feature)) = SCHEMES.iter().find(|(known, _)| *known == scheme) else { return Address::Unknown };
    match feature {
        _ if *scheme == "file" => Address::Path(rest.strip_prefix("localhost").unwrap_or(rest)),
        Some(feature) if !is_built(feature) => Address::Missing { scheme, feature },
        _ if rest.trim_matches('/').is_empty() => Address::Unknown,
        _ => Address::Uri(id.trim_end_matches('/')),
    }
}

fn is_built(feature: &str) -> bool {
    match feature {
        "aws" => cfg!(feature = "aws"),
        "gcs" => cfg!(feature = "gcs"),
        "azure" => cfg!(feature = "azure"),
        _ => false,
    }
}

/// The clients of all object stores. Weakly held by themselves; what is in memory lives as long as a [`Store`].
pub(crate) static CLIENTS: LazyLock<Arc<ObjectStoreRegistry>> = LazyLock::new(Arc::default);

/// The stores of this process, by URI: handles on one palace share their locks, and what `memory://` holds stays until
/// the process ends.
static STORES: LazyLock<Mutex<HashMap<String, Arc<Store>>>> = LazyLock::new(Mutex::default);

/// A palace in an object store.
pub(crate) struct Store {
    uri: String,
    /// Keeps what is in memory alive: the client is shared with every connection to the URI.
    _connection: Connection,
    files: Arc<ObjectStore>,
    locks: Mutex<HashMap<&'static str, Arc<tokio::sync::Mutex<()>>>>,
}

/// A lock within this process.
pub(crate) type Lock = OwnedMutexGuard<()>;

impl Store {
    /// The store behind a URI that `connection` is connected to.
    pub(crate) async fn of(uri: &str, connection: &Connection) -> lance::Result<Arc<Self>> {
        if let Some(store) = stores().get(uri) {
            return Ok(store.clone());
        }
        let (files, _) = ObjectStore::from_uri_and_params(CLIENTS.clone(), uri, &ObjectStoreParams::default()).await?;
        let store = Self { uri: uri.to_owned(), _connection: connection.clone(), files, locks: Mutex::default() };
        Ok(stores().entry(uri.to_owned()).or_insert_with(|| Arc::new(store)).clone())
    }

    fn named(&self, lock: &'static str) -> Arc<tokio::sync::Mutex<()>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).entry(lock).or_default().clone()
    }

    pub(super) async fn lock(&self, name: &'static str) -> Lock {
        self.named(name).lock_owned().await
    }

    pub(super) fn try_lock(&self, name: &'static str) -> Option<Lock> {
        self.named(name).try_lock_owned().ok()
    }

    /// An object beside the tables; `None` without it.
    pub(super) async fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = ObjectStore::extract_path_from_uri(CLIENTS.clone(), &self.uri_of(name)).map_err(io::Error::other)?;
        if !self.files.exists(&path).await.map_err(io::Error::other)? {
            return Ok(None);
        }
        let text = self.files.read_one_all(&path).await.map_err(io::Error::other)?;
        Ok(Some(text.to_vec()))
    }

    pub(super) async fn replace(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let path = ObjectStore::extract_path_from_uri(CLIENTS.clone(), &self.uri_of(name)).map_err(io::Error::other)?;
        self.files.put(&path, text).await.map(drop).map_err(io::Error::other)
    }

    fn uri_of(&self, name: &str) -> String {
        format!("{}/{name}", self.uri)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

fn stores() -> MutexGuard<'static, HashMap<String, Arc<Store>>> {
    STORES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_address_only_with_a_scheme_of_ours() {
        for id in ["", "p", "/a/b", "memory:", "http://x/y", "s3", "memory://", "memory:///"] {
            assert_eq!(address(id), Address::Unknown, "{id:?}");
        }
        assert_eq!(address("memory://a/b/"), Address::Uri("memory://a/b"));
        assert_eq!(address("file:///a/b"), Address::Path("/a/b"));
        assert_eq!(address("file://localhost/a/b"), Address::Path("/a/b"));
    }

    #[test]
    fn what_is_not_built_in_is_told_by_the_feature_that_is_missing() {
        for (id, feature) in [("s3://bucket/p", "aws"), ("gs://bucket/p", "gcs"), ("az://bucket/p", "azure")] {
            match address(id) {
                Address::Missing { feature: missing, .. } => assert_eq!((missing, is_built(feature)), (feature, false)),
                found => assert_eq!((found, is_built(feature)), (Address::Uri(id), true)),
            }
        }
    }
}
