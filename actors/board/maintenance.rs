use palanquin_engine::contract::{MaintenanceStatus, MaintenanceStep};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A maintenance run an operator asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaintenanceRun {
    /// Counts from 1 for each palace.
    pub number: u64,
    /// Which kind.
    pub kind: String,
    /// When it was asked for.
    pub asked_at_ms: i64,
    /// When it began; `None` while it is queued, and for one that never did.
    pub began_at_ms: Option<i64>,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// How far it is.
    pub state: RunState,
}

impl MaintenanceRun {
    /// Whether it has yet to end.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, RunState::Queued | RunState::Running { .. } | RunState::Cancelling)
    }
}

/// How far a maintenance run is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum RunState {
    /// Waits for the run before it: a palace is maintained by one run at a time.
    Queued,
    /// Being done.
    Running {
        /// The newest step; `None` until the store has told one.
        step: Option<MaintenanceStep>,
    },
    /// An operator has cancelled it; the store is being kept from going on with it.
    Cancelling,
    /// Cancelled; nothing of it runs any more, and the palace is whole.
    Cancelled {
        /// By whom, and how far it was.
        reason: String,
    },
    /// Ended without a failure.
    Ended {
        /// Done, nothing to do, or somebody else is doing it.
        status: MaintenanceStatus,
        /// Figures of the run by the store's own terms.
        stats: BTreeMap<String, Value>,
    },
    /// Failed; the palace is whole.
    Failed {
        /// What happened.
        reason: String,
        /// What to do.
        advice: String,
    },
}
