use super::{Backend, Error, ErrorKind, Result};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The backend of a palace nobody has said anything about (§3.3).
pub const DEFAULT_BACKEND: &str = "chroma";

/// What was said about a palace's backend, by whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackendChoice<'a> {
    /// On the command line, by `--backend` or in the palace's address.
    pub explicit: Option<&'a str>,
    /// `backend` of the palace in the configuration.
    pub configured: Option<&'a str>,
    /// `MEMPALACE_BACKEND`.
    pub environment: Option<&'a str>,
    /// The palace's directory, where one is given.
    pub path: Option<&'a Path>,
}

/// What decided (§3.3), in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectedBy {
    /// The command line.
    Explicit,
    /// The configuration.
    Configuration,
    /// The environment.
    Environment,
    /// What lies on disk.
    Detection,
    /// Nothing was said.
    Default,
}

impl fmt::Display for SelectedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "named on the command line",
            Self::Configuration => "named in the configuration",
            Self::Environment => "named in MEMPALACE_BACKEND",
            Self::Detection => "detected from what lies on disk",
            Self::Default => "the default",
        })
    }
}

/// The backend of a palace by the five steps of §3.3: explicit, configured, environment, detected, `chroma`. Detection
/// only reads; it is asked only where a path is given and nothing above it chose.
///
/// # Errors
/// `InvalidRequest` for a name no backend has, or where what lies on disk is recognised by more than one.
pub fn select_backend(
    backends: &[Arc<dyn Backend>],
    choice: BackendChoice<'_>,
) -> Result<(Arc<dyn Backend>, SelectedBy)> {
    let by_name = |name: &str, by: SelectedBy| {
        let found = backends.iter().find(|backend| backend.descriptor().name == name);
        found.map(|backend| (Arc::clone(backend), by)).ok_or_else(|| {
            let known: Vec<_> = backends.iter().map(|backend| backend.descriptor().name).collect();
            let detail = format!("there is no backend {name:?} ({by}); there are: {}", known.join(", "));
            Error::new(ErrorKind::InvalidRequest, detail)
        })
    };
    // An empty variable is an unset one, as everywhere in a shell.
    let said = [
        (choice.explicit, SelectedBy::Explicit),
        (choice.configured, SelectedBy::Configuration),
        (choice.environment.filter(|name| !name.is_empty()), SelectedBy::Environment),
    ];
    if let Some((name, by)) = said.into_iter().find_map(|(name, by)| name.map(|name| (name, by))) {
        return by_name(name, by);
    }
    let Some(path) = choice.path else { return by_name(DEFAULT_BACKEND, SelectedBy::Default) };
    let found: Vec<_> = backends.iter().filter(|backend| backend.detect(path)).collect();
    match found.as_slice() {
        [] => by_name(DEFAULT_BACKEND, SelectedBy::Default),
        [one] => Ok((Arc::clone(one), SelectedBy::Detection)),
        several => {
            let names: Vec<_> = several.iter().map(|backend| backend.descriptor().name).collect();
            let detail = format!("{} holds palaces of {}: name the backend", path.display(), names.join(" and "));
            Err(Error::new(ErrorKind::InvalidRequest, detail))
        }
    }
}

#[cfg(test)]
mod tests;
