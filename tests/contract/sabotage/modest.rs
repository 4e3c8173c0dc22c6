//! The whole suite on a backend that advertises nothing it need not.

use crate::store::Sabotaged;
use palanquin_contract::interpose::Between;
use palanquin_engine::contract::{Capabilities, Descriptor, token};
use std::sync::Arc;

struct Modest;

impl Between for Modest {
    fn descriptor(&self, behind: &Descriptor) -> Descriptor {
        Descriptor {
            capabilities: Capabilities::of([token::EMBEDDINGS_IN]),
            maintenance_kinds: &[],
            capture: None,
            ..behind.clone()
        }
    }
}

palanquin_contract::suite!(Sabotaged::by(Arc::new(Modest)));
