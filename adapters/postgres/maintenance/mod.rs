//! What keeps a table fast, and what the operator is told of a palace's condition.

use crate::palace::PostgresPalace;
use palanquin_engine::contract::{Health, MaintenanceKind, MaintenanceResult, MaintenanceState, Progress, Result};

pub(crate) const KINDS: &[MaintenanceKind] = &[];

pub(crate) async fn health(_p: &PostgresPalace) -> Health { Health::healthy() }
pub(crate) async fn state(_p: &PostgresPalace) -> Result<MaintenanceState> { Ok(MaintenanceState::new()) }
pub(crate) async fn run(_p: &PostgresPalace, _k: &str, _g: &Progress) -> Result<MaintenanceResult> { Ok(MaintenanceResult::already_running("x")) }
