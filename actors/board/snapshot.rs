use super::MaintenanceRun;
use palanquin_engine::contract::{
    CaptureLevel, EmbedderIdentity, Fidelity, Finding, Health, IdentityState, MaintenanceKind, MaintenanceState,
    MaintenanceStep, Metric,
};
use palanquin_engine::link::{Eta, Event, LinkId, LinkKind, LinkState, Rates};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Everything there is to see, as of [`at_ms`](Self::at_ms). All times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// When it was published.
    pub at_ms: i64,
    /// Palaces, in the order they were registered.
    pub palaces: Vec<Arc<PalaceView>>,
    /// Links, in the order they were started.
    pub links: Vec<Arc<LinkView>>,
    /// Newest events last; older ones fall off.
    pub events: VecDeque<Arc<EventEntry>>,
}

impl Snapshot {
    /// A link by its id.
    pub fn link(&self, id: &LinkId) -> Option<&LinkView> {
        self.links.iter().map(AsRef::as_ref).find(|link| &link.id == id)
    }
}

/// An event and its place in the sequence; a gap in the numbers is events missed.
#[derive(Clone, Debug, Serialize)]
pub struct EventEntry {
    /// Counts from 1.
    pub number: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// How a palace's connection stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Connection {
    /// Being opened.
    Opening,
    /// Open.
    Open,
    /// Failed; tries again by itself.
    Waiting {
        /// What failed.
        reason: String,
        /// When it tries again.
        next_try_at_ms: i64,
    },
    /// Given up.
    Failed {
        /// What failed.
        reason: String,
    },
    /// Closed on the way out.
    Closed,
}

/// One palace.
#[derive(Clone, Debug, Serialize)]
pub struct PalaceView {
    /// Its address.
    pub address: String,
    /// Backend that serves it.
    pub backend: &'static str,
    /// Connection.
    pub connection: Connection,
    /// Last health check, if there was one.
    pub health: Option<Health>,
    /// When it was checked.
    pub checked_at_ms: Option<i64>,
    /// Tokens its backend advertises.
    pub capabilities: Vec<String>,
    /// Maintenance kinds its backend advertises, and what each does to this store.
    pub maintenance_kinds: &'static [MaintenanceKind],
    /// Maintenance runs asked for, oldest first; those that ended long ago fall off.
    pub runs: Vec<MaintenanceRun>,
    /// Metrics its collections can be made with.
    pub metrics: &'static [Metric],
    /// How faithfully vectors come back.
    pub fidelity: Fidelity,
    /// How it can be followed.
    pub capture: Option<CaptureLevel>,
    /// The store's condition in its own terms, as of the last check.
    pub maintenance: MaintenanceState,
    /// Its collections, as of the last check.
    pub collections: Vec<CollectionView>,
    /// Times its actor was restarted.
    pub restarts: u32,
}

/// One collection of a palace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectionView {
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Width of its vectors.
    pub dimension: Option<u32>,
    /// Declared metric.
    pub metric: Option<Metric>,
    /// Stored identity.
    pub identity: Option<EmbedderIdentity>,
    /// How that compares with the other end of its link; `unknown` until both are known.
    pub identity_state: IdentityState,
}

/// Where a figure is heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// More to do than before.
    Growing,
    /// About the same.
    Holding,
    /// Less than before.
    Draining,
}

/// How far a mirror is behind its source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lag {
    /// Rows changed in the source and not yet durable in the target.
    pub rows: u64,
    /// Age of the oldest of them in milliseconds; 0 when there is none.
    pub millis: u64,
    /// Compared with the figure before.
    pub trend: Trend,
    /// When it was measured.
    pub measured_at_ms: i64,
}

/// How a mirror learns of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CaptureView {
    /// The level.
    pub level: CaptureLevel,
    /// Wait between two rounds, where it compares.
    pub interval_ms: Option<u64>,
    /// The last round that ended, where it compares.
    pub last_round: Option<Round>,
}

/// One comparison of every row of the source with what was carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Round {
    /// Rows of the source that were read.
    pub rows: u64,
    /// Rows written to the target or removed from it.
    pub changes: u64,
    /// When it began; what changed later is for the next one.
    pub began_at_ms: i64,
    /// How long it took.
    pub took_ms: u64,
}

/// What the comparison of both ends has found so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParityView {
    /// Rows of the source compared.
    pub source_rows: u64,
    /// Rows of the target compared.
    pub target_rows: u64,
    /// Rows to compare on both ends together.
    pub total_rows: u64,
    /// Rows missing, extra or different; known when it has ended.
    pub differences: Option<u64>,
    /// The verdict in a few words, when it has ended.
    pub verdict: Option<String>,
}

/// Maintenance of a link's target after the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MaintenanceView {
    /// The kind that is run.
    pub kind: &'static str,
    /// How far it is; `None` until the store has told.
    pub step: Option<MaintenanceStep>,
}

/// Something the operator can have a link do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActKind {
    /// Stop working until resumed.
    Pause,
    /// Go on.
    Resume,
}

/// How far an act has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "word", content = "reason", rename_all = "lowercase")]
pub enum ActStatus {
    /// Accepted, not yet in force.
    Queued,
    /// In force.
    Done,
    /// Not possible now.
    Refused(String),
}

/// The newest act on a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Act {
    /// What was asked.
    pub kind: ActKind,
    /// When.
    pub at_ms: i64,
    /// How far it has come.
    pub status: ActStatus,
}

/// What sets the pace of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limiter {
    /// The source is read as fast as it gives.
    Source,
    /// Rows wait for the target.
    Target,
    /// The operator's limit of rows per second.
    RowsPerSecond,
    /// The operator's limit of bytes per second.
    BytesPerSecond,
    /// Consideration for a source whose reads have become slow.
    SourceLatency,
}

/// One link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkView {
    /// Its id.
    pub id: LinkId,
    /// What it is for.
    pub kind: LinkKind,
    /// Address of the source.
    pub source: String,
    /// Address of the target.
    pub target: String,
    /// Where it is.
    pub state: LinkState,
    /// Since when.
    pub since_ms: i64,
    /// Rows durable in the target by the copy.
    pub rows_done: u64,
    /// Rows to be copied; `None` until the plan is made, and where a filter leaves some of the planned rows out: nobody
    /// knows how many before they are read.
    pub rows_total: Option<u64>,
    /// Whether a filter leaves rows out.
    pub is_filtered: bool,
    /// Bytes of the rows done.
    pub bytes_done: u64,
    /// Partitions finished.
    pub partitions_done: usize,
    /// Partitions planned.
    pub partitions_total: usize,
    /// Rows per second.
    pub rates: Rates,
    /// When the copy will be done, or why that is not known.
    pub eta: Eta,
    /// Changes applied since the copy (mirror).
    pub changes_applied: u64,
    /// How it learns of changes (mirror); `None` from a source that has no feed, without leave to compare instead.
    pub capture: Option<CaptureView>,
    /// How far behind (mirror, after the copy).
    pub lag: Option<Lag>,
    /// Bytes of credit in use.
    pub credit_used: u64,
    /// Bytes of credit in all.
    pub credit_total: u64,
    /// What sets its pace now, while it copies.
    pub limiter: Option<Limiter>,
    /// Rows the target refused and that were set aside.
    pub dead_letters: u64,
    /// Rows that were converted.
    pub converted: u64,
    /// Failures in a row.
    pub attempt: u32,
    /// Times its actor was restarted.
    pub restarts: u32,
    /// The comparison of both ends, once begun.
    pub parity: Option<ParityView>,
    /// The maintenance after the copy, while it is under way.
    pub maintenance: Option<MaintenanceView>,
    /// What the operator should look at.
    pub findings: Vec<Finding>,
    /// The newest act on it.
    pub act: Option<Act>,
}
