use async_trait::async_trait;
use palanquin_contract::Store;
use palanquin_contract::interpose::{Between, interpose};
use palanquin_engine::contract::{Backend, PalaceRef};
use palanquin_memory::{Faults, MemoryBackend, MemoryStorage};
use std::sync::Arc;

/// Palaces in memory, with something in front of them.
pub(crate) struct Sabotaged {
    storage: MemoryStorage,
    between: Option<Arc<dyn Between>>,
}

impl Sabotaged {
    pub(crate) fn by(between: Arc<dyn Between>) -> Self {
        Self { storage: MemoryStorage::default(), between: Some(between) }
    }

    pub(crate) fn not_at_all() -> Self {
        Self { storage: MemoryStorage::default(), between: None }
    }
}

#[async_trait]
impl Store for Sabotaged {
    fn backend(&self) -> Arc<dyn Backend> {
        let backend = Arc::new(MemoryBackend::on(self.storage.clone(), Faults::default()));
        match &self.between {
            Some(between) => interpose(backend, Arc::clone(between)),
            None => backend,
        }
    }

    fn palace(&self, name: &str) -> PalaceRef {
        PalaceRef { id: name.to_owned(), local_path: None, namespace: None }
    }

    async fn picture(&self, except: Option<&PalaceRef>) -> Option<String> {
        Some(self.storage.picture(except))
    }
}
