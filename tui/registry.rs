//! The one place where adapters are registered, and a palace's backend is selected.

use palanquin_actors::PalaceSource;
use palanquin_chroma::ChromaBackend;
use palanquin_config::Address;
use palanquin_engine::contract::{
    Backend, BackendChoice, Error, ErrorKind, Result, SelectedBy, enforce, select_backend,
};
use palanquin_lance::LanceBackend;
use std::sync::Arc;

/// Every backend this program has.
pub(crate) struct Registry(Vec<Arc<dyn Backend>>);

impl Registry {
    pub(crate) fn new() -> Self {
        let backends: [Arc<dyn Backend>; 2] = [Arc::new(ChromaBackend::new()), Arc::new(LanceBackend::new())];
        Self(backends.map(enforce).to_vec())
    }

    /// Every backend, in the order they were registered.
    pub(crate) fn backends(&self) -> &[Arc<dyn Backend>] {
        &self.0
    }

    /// The palace at an address that is to be read, and what chose its backend (§3.3).
    pub(crate) fn found(&self, address: &Address, backend: Option<&str>) -> Result<(PalaceSource, SelectedBy)> {
        let environment = std::env::var("MEMPALACE_BACKEND").ok();
        let choice = BackendChoice {
            explicit: backend.or(address.backend.as_deref()),
            configured: None,
            environment: environment.as_deref(),
            path: address.path(),
        };
        let (backend, by) = select_backend(&self.0, choice)?;
        Ok((palace(address, backend), by))
    }

    /// The palace at an address that is to be read.
    pub(crate) fn source(&self, address: &Address) -> Result<PalaceSource> {
        self.found(address, None).map(|(palace, _)| palace)
    }

    /// The palace at an address that is to be made. Detection is never for new palaces, and neither is the default of a
    /// backend that cannot be written: the backend must be named.
    pub(crate) fn target(&self, address: &Address) -> Result<PalaceSource> {
        let environment = std::env::var("MEMPALACE_BACKEND").ok().filter(|name| !name.is_empty());
        if address.backend.is_none() && environment.is_none() {
            let detail = format!("say which backend the target is for, as in lance:{address}");
            return Err(Error::new(ErrorKind::InvalidRequest, detail));
        }
        self.source(address)
    }
}

fn palace(address: &Address, backend: Arc<dyn Backend>) -> PalaceSource {
    PalaceSource { address: address.with_backend(backend.descriptor().name), palace: address.palace_ref(), backend }
}
