use crate::dashboard::model::{Frozen, Model};
use std::sync::Arc;

/// Holds the view still, or shows what is now. Data goes on arriving either way.
pub(super) fn toggle(model: &mut Model) {
    model.frozen = match model.frozen {
        Some(_) => None,
        None => Some(Frozen { snapshot: Arc::clone(&model.live), at_ms: model.now_ms, updates: 0 }),
    };
}
