//! The contract suite on a directory as target.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use palanquin_chroma::ChromaBackend;
use palanquin_contract::{Limits, Store};
use palanquin_engine::contract::{Backend, PalaceRef};
use std::sync::Arc;
use tempfile::TempDir;

#[path = "holds.rs"]
mod holds;

struct Scratch(TempDir);

#[async_trait::async_trait]
impl Store for Scratch {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(ChromaBackend::new())
    }

    fn palace(&self, name: &str) -> PalaceRef {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let directory = format!("{:016x}", hasher.finish());
        PalaceRef { id: name.to_owned(), ..PalaceRef::local(self.0.path().join(directory)) }
    }

    fn limits(&self) -> Limits {
        Limits { largest_batch: 5_000, rows_without_vector: false, holds: holds::holds, ..Limits::default() }
    }
}

palanquin_contract::suite!(Scratch(tempfile::tempdir().unwrap()));
