//! The rules every store has in common, kept once, around any backend.
//!
//! [`enforce()`] wraps a backend; palaces and collections it opens come wrapped too. `gate` closes handles, `identity`
//! decides on models, `palace` and `collection` pass on what is allowed.

mod collection;
mod gate;
mod identity;
mod palace;
#[cfg(test)]
mod tests;

use super::{
    Backend, Check, CollectionSpec, Descriptor, Error, ErrorKind, Metric, OpenOptions, Palace, PalaceRef, Purpose,
    Result, Slot, token,
};
use crate::rows::Row;
use async_trait::async_trait;
use gate::{Gate, Gates};
use identity::Warned;
pub use identity::set_embedder;
use palace::EnforcedPalace;
use std::path::Path;
use std::sync::Arc;

/// The backend, with the contract's common rules kept around it. Core uses a backend in no other way; wrapping twice
/// changes nothing.
pub fn enforce(backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
    Arc::new(Enforced { backend, gates: Gates::default(), warned: Warned::default() })
}

struct Enforced {
    backend: Arc<dyn Backend>,
    gates: Gates,
    warned: Warned,
}

/// What is known of an open palace wherever a rule asks.
struct Standing {
    palace: PalaceRef,
    descriptor: Descriptor,
    options: OpenOptions,
    gate: Arc<Gate>,
    warned: Warned,
}

impl Standing {
    fn error(&self, kind: ErrorKind, detail: impl Into<String>) -> Error {
        Error::new(kind, detail).in_palace(&self.palace)
    }

    fn check_open(&self) -> Result<()> {
        self.gate.check().map_err(|error| error.in_palace(&self.palace))
    }

    fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.options.mode.is_writable() {
            return Ok(());
        }
        Err(self.error(ErrorKind::InvalidRequest, "the palace was opened for reading only"))
    }

    fn advertises(&self, token: &str) -> bool {
        self.descriptor.capabilities.has(token)
    }

    fn unsupported(&self, token: &str) -> Error {
        let detail = format!("backend {} does not advertise {token}", self.descriptor.name);
        self.error(ErrorKind::UnsupportedCapability, detail)
    }
}

#[async_trait]
impl Backend for Enforced {
    fn descriptor(&self) -> &Descriptor {
        self.backend.descriptor()
    }

    fn detect(&self, path: &Path) -> bool {
        self.backend.detect(path)
    }

    fn owns(&self, entry: &Path) -> bool {
        self.backend.owns(entry)
    }

    async fn preflight(&self, palace: &PalaceRef, purpose: Purpose) -> Vec<Check> {
        self.backend.preflight(palace, purpose).await
    }

    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        let descriptor = self.backend.descriptor();
        descriptor.check_spec_version()?;
        let capabilities = &descriptor.capabilities;
        let refused = |kind, detail: String| Err(Error::new(kind, detail).in_palace(palace));
        if palace.namespace.is_some() && !capabilities.has(token::NAMESPACE_ISOLATION) {
            let detail = format!("backend {} keeps no namespaces apart", descriptor.name);
            return refused(ErrorKind::UnsupportedCapability, detail);
        }
        let only_local = capabilities.has(token::LOCAL_MODE) && !capabilities.has(token::SERVER_MODE);
        if palace.local_path.is_none() && only_local {
            let detail = format!("a palace of backend {} needs a directory and none is given", descriptor.name);
            return refused(ErrorKind::PalaceNotFound, detail);
        }
        if options.force_model_swap && (options.embedder.is_none() || !options.mode.is_writable()) {
            let detail = "a model swap needs the new model, and a palace opened for writing".to_owned();
            return refused(ErrorKind::InvalidRequest, detail);
        }
        let opened = self.backend.open(palace, options.clone()).await?;
        let standing = Standing {
            palace: palace.clone(),
            descriptor: descriptor.clone(),
            options,
            gate: self.gates.opened(palace),
            warned: self.warned.clone(),
        };
        Ok(Arc::new(EnforcedPalace::new(opened, standing)))
    }

    fn remarks(&self, spec: &CollectionSpec) -> Vec<Check> {
        self.backend.remarks(spec)
    }

    fn refusal(&self, metric: Metric, row: Row<'_>) -> Option<String> {
        self.backend.refusal(metric, row)
    }

    async fn replace(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<()> {
        if target == staging {
            let detail = "a palace cannot be put in its own place";
            return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(target));
        }
        // Handles on what is replaced would speak of what is gone.
        self.gates.close(target);
        self.gates.close(staging);
        self.backend.replace(target, staging).await
    }

    async fn finish_replacing(&self, target: &PalaceRef, staging: &PalaceRef) -> Result<bool> {
        self.gates.close(target);
        self.gates.close(staging);
        self.backend.finish_replacing(target, staging).await
    }

    async fn slots(&self, palace: &PalaceRef) -> Result<Vec<Slot>> {
        self.backend.slots(palace).await
    }

    async fn drop_slot(&self, palace: &PalaceRef, name: &str) -> Result<()> {
        self.backend.drop_slot(palace, name).await
    }

    async fn release(&self, palace: &PalaceRef, consumer: &str) -> Result<Vec<String>> {
        self.backend.release(palace, consumer).await
    }

    async fn close_palace(&self, palace: &PalaceRef) -> Result<()> {
        self.gates.close(palace);
        self.backend.close_palace(palace).await
    }
}
