//! The one place where adapters are registered, and a palace's backend is selected.

use palanquin_actors::PalaceSource;
use palanquin_chroma::ChromaBackend;
use palanquin_config::Address;
use palanquin_engine::contract::{Backend, Error, ErrorKind, Result};
use palanquin_lance::LanceBackend;
use std::sync::Arc;

/// Every backend this program has.
pub(crate) struct Registry(Vec<Arc<dyn Backend>>);

impl Registry {
    pub(crate) fn new() -> Self {
        Self(vec![Arc::new(ChromaBackend::new()), Arc::new(LanceBackend::new())])
    }

    /// The palace at an address that is to be read. Its backend is the one named, else `MEMPALACE_BACKEND`, else the one
    /// whose artefacts lie there, else Chroma (§3.3).
    pub(crate) fn source(&self, address: &Address) -> Result<PalaceSource> {
        let named = address.backend.clone().or_else(|| std::env::var("MEMPALACE_BACKEND").ok());
        let backend = match named {
            Some(name) => self.named(&name)?,
            None => match self.0.iter().find(|backend| backend.detect(&address.path)) {
                Some(backend) => Arc::clone(backend),
                None => self.named("chroma")?,
            },
        };
        Ok(palace(address, backend))
    }

    /// The palace at an address that is to be made. Detection is never for new palaces, so the backend must be named.
    pub(crate) fn target(&self, address: &Address) -> Result<PalaceSource> {
        let named = address.backend.clone().or_else(|| std::env::var("MEMPALACE_BACKEND").ok());
        match named {
            Some(name) => Ok(palace(address, self.named(&name)?)),
            None => {
                let detail = format!("say which backend the target is for, as in lance:{}", address.path.display());
                Err(Error::new(ErrorKind::InvalidRequest, detail))
            }
        }
    }

    fn named(&self, name: &str) -> Result<Arc<dyn Backend>> {
        let found = self.0.iter().find(|backend| backend.descriptor().name == name);
        found.map(Arc::clone).ok_or_else(|| {
            let names: Vec<_> = self.0.iter().map(|backend| backend.descriptor().name).collect();
            let detail = format!("there is no backend {name}; there are: {}", names.join(", "));
            Error::new(ErrorKind::InvalidRequest, detail)
        })
    }
}

fn palace(address: &Address, backend: Arc<dyn Backend>) -> PalaceSource {
    PalaceSource { address: address.with_backend(backend.descriptor().name), palace: address.palace_ref(), backend }
}
