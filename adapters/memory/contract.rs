//! The contract suite on palaces in memory.

use palanquin_contract::Store;
use palanquin_engine::contract::{Backend, PalaceRef};
use palanquin_memory::{Faults, MemoryBackend, MemoryStorage};
use std::sync::Arc;

#[derive(Default)]
struct InMemory(MemoryStorage);

impl Store for InMemory {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(MemoryBackend::on(self.0.clone(), Faults::default()))
    }

    fn palace(&self, name: &str) -> PalaceRef {
        PalaceRef { id: name.to_owned(), local_path: None, namespace: None }
    }
}

palanquin_contract::suite!(InMemory::default());
