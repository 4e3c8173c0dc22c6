//! The configuration file (§4): palaces by name, the backends they are in, and the embedder they are searched with.
//!
//! `file` finds it and reads TOML and the RFC's JSON into one tree; `entries` makes backends, palaces and the embedder of
//! that, with a warning for what it does not know; `secrets` refuses what must not stand in a file; `find` turns a name
//! into an address.

mod entries;
mod error;
mod file;
mod find;
mod secrets;
#[cfg(test)]
mod tests;

pub use entries::{Embedder, PalaceEntry};
pub use error::ConfigurationError;
pub use find::{Found, Given};

use entries::BackendEntry;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the configuration file says; all of it is optional, and without a file there is nothing in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    path: Option<PathBuf>,
    backends: BTreeMap<String, BackendEntry>,
    palaces: BTreeMap<String, PalaceEntry>,
    embedder: Option<Embedder>,
    warnings: Vec<String>,
}

impl Configuration {
    /// Reads the file given (`--config`), else that of `PALANQUIN_CONFIG`, else `config.toml` or `config.json` in
    /// `$XDG_CONFIG_HOME/palanquin` (by default `~/.config/palanquin`). Only the last need not be there.
    ///
    /// # Errors
    /// A file that cannot be read, is no configuration, or holds a secret.
    pub fn load(
        given: Option<&Path>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigurationError> {
        let home = environment("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        match file::locate(given, &environment, home.as_deref())? {
            Some(path) => Self::read(&path, home.as_deref()),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path, home: Option<&Path>) -> Result<Self, ConfigurationError> {
        let tree = file::read(path)?;
        secrets::refuse(path, &tree)?;
        entries::of(path, tree, home)
    }

    /// Where it was read; `None` if there is no file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its palaces, by name.
    pub fn palaces(&self) -> &BTreeMap<String, PalaceEntry> {
        &self.palaces
    }

    /// The type of a backend by its name in the configuration; a name that is none is a type already.
    pub fn backend_type<'a>(&'a self, name: &'a str) -> &'a str {
        self.backends.get(name).map_or(name, |entry| &entry.kind)
    }

    /// The embedder palaces are searched with.
    pub fn embedder(&self) -> Option<&Embedder> {
        self.embedder.as_ref()
    }

    /// What was passed over, a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// That every backend is of a type there is.
    ///
    /// # Errors
    /// Names the entry of another type, and the types there are.
    pub fn check_types(&self, known: &[&str]) -> Result<(), ConfigurationError> {
        let backends = self.backends.iter().map(|(name, entry)| (format!("backends.{name}.type"), entry.kind.as_str()));
        let palaces = self.palaces.iter().filter_map(|(name, entry)| {
            let backend = entry.backend.as_deref()?;
            Some((format!("palaces.{name}.backend"), self.backend_type(backend)))
        });
        for (key, kind) in backends.chain(palaces) {
            if !known.contains(&kind) {
                let fix = format!("name one of backends' entries or one of {}", known.join(", "));
                return Err(self.wrong(key, format!("there is no backend {kind:?}"), fix));
            }
        }
        Ok(())
    }

    fn wrong(&self, key: String, found: impl Into<String>, fix: impl Into<String>) -> ConfigurationError {
        let path = self.path.clone().unwrap_or_default();
        ConfigurationError::Wrong { path, key, found: found.into(), fix: fix.into() }
    }
}
