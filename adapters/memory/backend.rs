use crate::collection::MemoryCollection;
use crate::faults::{Faults, Point};
use async_trait::async_trait;
use palanquin_engine::contract::{
    Backend, Capabilities, CaptureLevel, Collection, CollectionInfo, CollectionSpec, Descriptor, Error, ErrorKind,
    Fidelity, Health, MaintenanceState, Metric, OpenMode, OpenOptions, Palace, PalaceRef, Result, SpecVersion, token,
};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Palaces in memory, by their id.
#[derive(Debug)]
pub struct MemoryBackend {
    descriptor: Descriptor,
    palaces: Mutex<HashMap<String, Arc<MemoryPalace>>>,
    faults: Faults,
}

#[derive(Debug, Default)]
pub(crate) struct MemoryPalace {
    id: String,
    collections: Mutex<BTreeMap<String, Arc<MemoryCollection>>>,
    faults: Faults,
}

impl MemoryBackend {
    /// No palace yet; its collections suffer `faults`.
    pub fn new(faults: Faults) -> Self {
        let descriptor = Descriptor {
            name: "memory",
            spec_version: SpecVersion::CURRENT,
            capabilities: Capabilities::of([
                token::EMBEDDINGS_IN,
                token::EMBEDDINGS_PASSTHROUGH,
                token::EMBEDDINGS_OUT,
                token::MIGRATION_EXPORT,
                token::CHANGE_FEED,
            ]),
            maintenance_kinds: &[],
            metrics: &[Metric::Cosine, Metric::L2, Metric::Ip],
            capture: Some(CaptureLevel::Log),
            fidelity: Fidelity::Exact,
        };
        Self { descriptor, palaces: Mutex::default(), faults }
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
        let mut palaces = self.palaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = palaces.get(&palace.id) {
            return Ok(Arc::clone(found) as Arc<dyn Palace>);
        }
        if options.mode != OpenMode::Create {
            return Err(Error::new(ErrorKind::PalaceNotFound, "no such palace").in_palace(palace));
        }
        let made = Arc::new(MemoryPalace {
            id: palace.id.clone(),
            collections: Mutex::default(),
            faults: self.faults.clone(),
        });
        palaces.insert(palace.id.clone(), Arc::clone(&made));
        Ok(made)
    }
}

#[async_trait]
impl Palace for MemoryPalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let collections = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(collections.values().map(|collection| collection.describe()).collect())
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        let collections = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        match collections.get(name) {
            Some(found) => Ok(Arc::clone(found) as Arc<dyn Collection>),
            None => {
                Err(Error::new(ErrorKind::CollectionNotInitialized, format!("no collection {name}"))
                    .in_palace(&self.id))
            }
        }
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        let mut collections = self.collections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = collections.get(&spec.name) {
            return if found.describe().incarnation.as_ref() == Some(&spec.incarnation) {
                Ok(Arc::clone(found) as Arc<dyn Collection>)
            } else {
                Err(Error::new(ErrorKind::PalaceExists, format!("collection {} is there", spec.name))
                    .in_palace(&self.id))
            };
        }
        let made = Arc::new(MemoryCollection::new(spec.clone(), self.faults.clone()));
        collections.insert(spec.name.clone(), Arc::clone(&made));
        Ok(made)
    }

    async fn health(&self) -> Health {
        Health::healthy()
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        Ok(MaintenanceState::new())
    }
}
