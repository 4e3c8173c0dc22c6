//! The contract suite on a real Chroma server, each test in a tenant of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod tenant;

use palanquin_chroma::{ChromaServerBackend, ServerOptions};
use palanquin_contract::{Limits, Store};
use palanquin_engine::contract::{Backend, Metadata, PalaceRef};
use serde_json::Value;
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
        Limits { largest_batch: 40_000, rows_without_vector: false, holds, ..Limits::default() }
    }

    async fn picture(&self, except: Option<&PalaceRef>) -> Option<String> {
        Some(self.0.picture(except.map(|palace| palace.id.as_str())).await)
    }

    fn unreachable(&self) -> Option<Arc<dyn Backend>> {
        let options = ServerOptions { retries: 0, ..ServerOptions::of("http://127.0.0.1:1") };
        Some(Arc::new(ChromaServerBackend::new(options)))
    }
}

/// What the server keeps of metadata as it is, told by its own answers and not by the adapter.
fn holds(metadata: &Metadata) -> bool {
    let scalar = |value: &Value| match value {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap();
            Some(2).filter(|_| float != 0.0 || float.is_sign_positive())
        }
        Value::Number(number) => number.as_i64().map(|_| 3),
        Value::String(_) => Some(0),
        Value::Bool(_) => Some(1),
        _ => None,
    };
    metadata.iter().all(|(key, value)| {
        let kept = match value {
            Value::Array(members) => {
                let kinds: Vec<Option<i32>> = members.iter().map(scalar).collect();
                !kinds.is_empty() && kinds[0].is_some() && kinds.iter().all(|kind| *kind == kinds[0])
            }
            value => scalar(value).is_some(),
        };
        kept && !key.is_empty() && !key.starts_with(['#', '$'])
    })
}

palanquin_contract::suite!(Scratch(Tenant::new()));
