use crate::faults::{Faults, Point};
use crate::palace::{COMPACT, MemoryPalace, StoredPalace};
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Capabilities, CaptureLevel, Descriptor, Error, ErrorKind, Fidelity, Metric, OpenMode, OpenOptions, Palace,
    PalaceRef, Replaces, Result, SpecVersion, token,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Palaces by id and namespace; those without a namespace are apart from every namespace.
type Palaces = HashMap<(String, Option<String>), Arc<StoredPalace>>;

/// Where palaces lie. Clones are the same storage.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage(Arc<Mutex<Palaces>>);

impl MemoryStorage {
    /// All that is stored, but for one palace, as text; equal texts mean that nothing was written in between.
    pub fn picture(&self, except: Option<&PalaceRef>) -> String {
        let palaces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let except = except.map(|palace| (palace.id.clone(), palace.namespace.clone()));
        let mut shown: Vec<String> = palaces
            .iter()
            .filter(|(key, _)| Some(*key) != except.as_ref())
            .map(|palace| format!("{palace:?}"))
            .collect();
        shown.sort();
        shown.join("\n")
    }
}

/// A backend on a [`MemoryStorage`].
#[derive(Debug)]
pub struct MemoryBackend {
    descriptor: Descriptor,
    storage: MemoryStorage,
    faults: Faults,
}

impl MemoryBackend {
    /// On a storage of its own; its collections suffer `faults`.
    pub fn new(faults: Faults) -> Self {
        Self::on(MemoryStorage::default(), faults)
    }

    /// On a storage that others may be on too; the collections opened through this one suffer `faults`.
    pub fn on(storage: MemoryStorage, faults: Faults) -> Self {
        let descriptor = Descriptor {
            name: "memory",
            spec_version: SpecVersion::CURRENT,
            capabilities: Capabilities::of([
                token::EMBEDDINGS_IN,
                token::EMBEDDINGS_PASSTHROUGH,
                token::EMBEDDINGS_OUT,
                token::UPDATE,
                token::METADATA_FILTERS,
                token::RANGE_FILTERS,
                token::MIGRATION_EXPORT,
                token::CHANGE_FEED,
                token::SYNC,
                token::NAMESPACE_ISOLATION,
            ]),
            maintenance_kinds: &[COMPACT],
            metrics: &[Metric::Cosine, Metric::L2, Metric::Ip],
            capture: Some(CaptureLevel::Log),
            fidelity: Fidelity::Exact,
            conversions: &[],
            keeps_settings: true,
            replaces: Replaces::Directory,
            readers: 4,
            writers: 4,
        };
        Self { descriptor, storage, faults }
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, _path: &Path) -> bool {
        false
    }

    async fn open(&self, palace: &PalaceRef, options: OpenOptions) -> Result<Arc<dyn Palace>> {
        self.faults.pass(Point::Open).await?;
        let mut palaces = self.storage.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (palace.id.clone(), palace.namespace.clone());
        let stored = match palaces.get(&key) {
            Some(stored) => Arc::clone(stored),
            None if options.mode != OpenMode::Create => {
                return Err(Error::new(ErrorKind::PalaceNotFound, "no such palace").in_palace(palace));
            }
            None => Arc::clone(palaces.entry(key).or_default()),
        };
        Ok(Arc::new(MemoryPalace::new(palace.clone(), stored, self.faults.clone())))
    }
}
