//! The contract suite on palaces in memory.

use async_trait::async_trait;
use palanquin_contract::Store;
use palanquin_engine::contract::{Backend, PalaceRef};
use palanquin_memory::{Faults, MemoryBackend, MemoryStorage};
use std::sync::Arc;

#[derive(Default)]
struct InMemory(MemoryStorage);

#[async_trait]
impl Store for InMemory {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(MemoryBackend::on(self.0.clone(), Faults::default()))
    }

    fn palace(&self, name: &str) -> PalaceRef {
        PalaceRef { id: name.to_owned(), local_path: None, namespace: None }
    }

    async fn picture(&self, except: Option<&PalaceRef>) -> Option<String> {
        Some(self.0.picture(except))
    }
}

palanquin_contract::suite!(InMemory::default());
