use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A structured picture of a store's condition (§7.3), by the store's own terms.
pub type MaintenanceState = BTreeMap<String, Value>;

/// The names of maintenance kinds whose meaning the RFC fixes (§7.3). Others are the backend's own.
pub mod kind {
    /// Refreshes planner or query statistics.
    pub const ANALYZE: &str = "analyze";
    /// Reclaims space, rewrites storage.
    pub const COMPACT: &str = "compact";
    /// Builds or rebuilds secondary indexes.
    pub const REINDEX: &str = "reindex";
}

/// A maintenance kind a backend advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MaintenanceKind {
    /// Its name, as given to `run_maintenance`.
    pub name: &'static str,
    /// What it does to this store and what it costs, in a sentence or two for the operator who is about to run it.
    pub effect: &'static str,
}

/// How a maintenance run ended (§7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceStatus {
    /// This call did it.
    Ran,
    /// Another run of the same kind holds the work; this call did nothing.
    AlreadyRunning,
    /// There was nothing to do.
    Noop,
}

impl fmt::Display for MaintenanceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ran => "ran",
            Self::AlreadyRunning => "already_running",
            Self::Noop => "noop",
        })
    }
}

/// What a maintenance run did (§7.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceResult {
    /// Which kind.
    pub kind: String,
    /// How it ended.
    pub status: MaintenanceStatus,
    /// Figures by the store's own terms, measured, before and after where that tells something.
    pub stats: BTreeMap<String, Value>,
}

impl MaintenanceResult {
    /// It was done, with these figures.
    pub fn ran(kind: &str, stats: BTreeMap<String, Value>) -> Self {
        Self { kind: kind.to_owned(), status: MaintenanceStatus::Ran, stats }
    }

    /// There was nothing to do; the figures say why.
    pub fn noop(kind: &str, stats: BTreeMap<String, Value>) -> Self {
        Self { kind: kind.to_owned(), status: MaintenanceStatus::Noop, stats }
    }

    /// Another run of this kind is under way.
    pub fn already_running(kind: &str) -> Self {
        Self { kind: kind.to_owned(), status: MaintenanceStatus::AlreadyRunning, stats: BTreeMap::new() }
    }
}

/// How far a maintenance run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceStep {
    /// What is being done, such as "compacting mempalace_drawers".
    pub doing: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all, if known.
    pub total: Option<u64>,
}

/// Where a maintenance run tells how far it is. Clones tell the same listener.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(MaintenanceStep) + Send + Sync>);

impl Progress {
    /// Tells `listener`, which must not block.
    pub fn to(listener: impl Fn(MaintenanceStep) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Nobody listens.
    pub fn unheard() -> Self {
        Self::to(drop)
    }

    /// Tells that `done` of `total` steps are done and what comes now.
    pub fn tell(&self, doing: impl Into<String>, done: u64, total: Option<u64>) {
        (self.0)(MaintenanceStep { doing: doing.into(), done, total });
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
