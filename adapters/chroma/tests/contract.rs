//! The contract suite on a real Chroma server, each test in a tenant of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod holds;
mod tenant;

use palanquin_chroma::{ChromaServerBackend, ServerOptions};
use palanquin_contract::{Limits, Store};
use palanquin_engine::contract::{Backend, PalaceRef};
use std::sync::Arc;
use tenant::Tenant;

struct Scratch(Tenant);

#[async_trait::async_trait]
impl Store for Scratch {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(ChromaServerBackend::new(self.0.options()))
    }

    fn palace(&self, name: &str) -> PalaceRef {
        PalaceRef { id: name.to_owned(), local_path: None, namespace: None }
    }

    fn limits(&self) -> Limits {
        Limits { largest_batch: 40_000, rows_without_vector: false, holds: holds::holds, ..Limits::default() }
    }

    async fn picture(&self, except: Option<&PalaceRef>) -> Option<String> {
        Some(self.0.picture(except.map(|palace| palace.id.as_str())).await)
    }

    fn unreachable(&self) -> Option<Arc<dyn Backend>> {
        let options = ServerOptions { retries: 0, ..ServerOptions::of("http://127.0.0.1:1") };
        Some(Arc::new(ChromaServerBackend::new(options)))
    }
}

palanquin_contract::suite!(Scratch(Tenant::new()));
