use super::Phase;
use crate::contract::{EmbedderIdentity, MaintenanceResult, MaintenanceState, Metric};
use serde::{Deserialize, Serialize};

/// What a link did beside carrying rows, for its receipt. It covers every run of the link, as far as the journal knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Time spent in each phase by this run, in the order they were begun.
    pub phases: Vec<PhaseTime>,
    /// What the target could not hold as it was, and was changed.
    pub conversions: Vec<ConvertedRows>,
    /// Rows that came with a vector their collection had lost.
    pub salvaged: Vec<SalvagedRows>,
    /// Rows that were set aside.
    pub dead_letters: Vec<SetAside>,
    /// The target's state before its maintenance after the copy, and after it; empty where there was none.
    pub maintenance_before: MaintenanceState,
    /// See [`maintenance_before`](Self::maintenance_before).
    pub maintenance_after: MaintenanceState,
    /// The maintenance itself.
    pub maintenance: Vec<MaintenanceResult>,
}

/// What a copy has made durable of one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Its name in the source.
    pub name: String,
    /// Its name in the target.
    pub target_name: String,
    /// Rows durable in the target.
    pub rows: u64,
    /// Their bytes as they travelled.
    pub bytes: u64,
    /// Width of its vectors.
    pub dimension: u32,
    /// Its metric.
    pub metric: Metric,
    /// The model recorded with it; `null` if none is known.
    pub identity: Option<EmbedderIdentity>,
}

/// Time spent in a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Which.
    pub phase: Phase,
    /// When it began, milliseconds since the epoch.
    pub began_at_ms: i64,
    /// How long it took, milliseconds.
    pub took_ms: i64,
}

/// Rows of a collection that were converted in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvertedRows {
    /// The collection, by its name in the source.
    pub collection: String,
    /// What was done, as a sentence.
    pub conversion: String,
    /// How many rows.
    pub count: u64,
    /// Their ids, as many as are worth listing.
    pub ids: Vec<String>,
}

/// Rows of a collection whose vector the collection itself had lost, and that were given one that was found elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalvagedRows {
    /// The collection, by its name in the source.
    pub collection: String,
    /// Where their vectors were found, as the store calls that.
    pub origin: String,
    /// Whether it is known that nothing was done to the rows since that was written; if not, the vectors may be of
    /// content the rows had before.
    pub is_current: bool,
    /// How many rows.
    pub count: u64,
    /// Their ids, as many as are worth listing.
    pub ids: Vec<String>,
}

/// A row that was set aside: a dead letter without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The collection, by its name in the source.
    pub collection: String,
    /// Its id.
    pub id: String,
    /// Kind of the refusal.
    pub reason: String,
    /// What the target said, without row content.
    pub detail: String,
}
