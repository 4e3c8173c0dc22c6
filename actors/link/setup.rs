use super::actor::Order;
use super::crew::Crew;
use super::limits::Limits;
use super::salvaged::SalvageCount;
use crate::board::{ActKind, Board};
use crate::credit::Credit;
use crate::engine::Replaced;
use crate::palace::PalaceActor;
use crate::supervise::Monitor;
use actix::Addr;
use palanquin_engine::contract::{Capabilities, CaptureLevel, Conversion, Fidelity, Finding, MaintenanceKind, Metric};
use palanquin_engine::journal::Journal;
use palanquin_engine::link::{Account, Carried, LinkId, LinkSpec, Outcome};
use palanquin_engine::parity::ParityReport;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How a link works.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// Bytes of rows on their way between source and target.
    pub credit_bytes: u64,
    /// Partitions read at once, at most; as many as the two stores take without.
    pub readers: Option<usize>,
    /// Rows read at once, in one short transaction of the source, at most.
    pub batch_rows: usize,
    /// Bytes of the rows read at once, about.
    pub batch_bytes: usize,
    /// Rows of a partition, at most about.
    pub partition_rows: u64,
    /// Rows made durable at once, at most.
    pub commit_rows: usize,
    /// Bytes made durable at once, at most (a batch that is larger goes alone).
    pub commit_bytes: usize,
    /// Longest time rows are kept back to make a larger commit of them.
    pub keep_back_at_most: Duration,
    /// Rows read per second, at most.
    pub max_rows_per_second: Option<u64>,
    /// Bytes of rows read per second, at most.
    pub max_bytes_per_second: Option<u64>,
    /// The scan slows down while one read of the source takes longer than this.
    pub max_source_latency: Option<Duration>,
    /// Rows the target may refuse before the link halts; they are set aside.
    pub max_dead_letters: u64,
    /// Whether rows that would have to be converted are refused instead.
    pub strict: bool,
    /// Time between two looks at a feed that had nothing new.
    pub poll_every: Duration,
    /// Whether a verified copy's target gets its indexes and statistics.
    pub maintain: bool,
    /// Longest time without a sign of life from the work in hand.
    pub patience: Duration,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            credit_bytes: 64 << 20,
            readers: None,
            batch_rows: 1_000,
            batch_bytes: 4 << 20,
            partition_rows: 50_000,
            commit_rows: 10_000,
            commit_bytes: 24 << 20,
            keep_back_at_most: Duration::from_secs(5),
            max_rows_per_second: None,
            max_bytes_per_second: None,
            max_source_latency: None,
            max_dead_letters: 0,
            strict: false,
            poll_every: Duration::from_millis(250),
            maintain: true,
            patience: Duration::from_secs(120),
            seed: 0,
        }
    }
}

impl LinkOptions {
    /// Partitions cut for each reader, so that none is left alone with a long one at the end.
    const PARTITIONS_PER_READER: u64 = 4;
    /// Rows that are not worth another partition.
    const SMALLEST_PARTITION: u64 = 1_000;

    /// Rows of a partition of a collection that has so many and is read by so many readers at once.
    pub fn rows_per_partition(&self, rows: u64, readers: usize) -> u64 {
        let readers = self.readers.map_or(readers, |most| readers.min(most)) as u64;
        let even = rows.div_ceil(Self::PARTITIONS_PER_READER * readers.max(1));
        self.partition_rows.min(even.max(Self::SMALLEST_PARTITION))
    }
}

/// How a link ended, for whoever started it. A halted link that is resumed ends again.
#[derive(Clone, Debug)]
pub struct LinkEnd {
    /// Which.
    pub link: LinkId,
    /// How.
    pub outcome: Outcome,
    /// The comparison, if there was one.
    pub report: Option<Arc<ParityReport>>,
    /// What the operator should look at.
    pub findings: Vec<Finding>,
    /// Rows durable in the target by the copy.
    pub rows: u64,
    /// Whether the copy was complete.
    pub copied: bool,
    /// What is durable in the target by the copy, one entry per collection planned.
    pub carried: Vec<Carried>,
    /// What it did beside.
    pub account: Account,
}

/// The newest order that holds until it is taken back; it outlives the actor's restarts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Arc<Mutex<Option<Order>>>);

impl Standing {
    pub(crate) fn get(&self) -> Option<Order> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a pause until the resumption, and a drain for good.
    pub(crate) fn set(&self, order: Order) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (order, *standing) {
            (_, Some(Order::Drain)) => {}
            (Order::Drain | Order::Act(ActKind::Pause), _) => *standing = Some(order),
            (Order::Act(ActKind::Resume), _) => *standing = None,
            _ => {}
        }
    }
}

/// One end of a link.
#[derive(Clone)]
pub(crate) struct PalaceEnd {
    pub(crate) address: String,
    pub(crate) backend: &'static str,
    pub(crate) capabilities: Capabilities,
    pub(crate) metrics: &'static [Metric],
    pub(crate) maintenance_kinds: &'static [MaintenanceKind],
    pub(crate) capture: Option<CaptureLevel>,
    pub(crate) fidelity: Fidelity,
    pub(crate) conversions: &'static [Conversion],
    pub(crate) keeps_settings: bool,
    pub(crate) readers: usize,
    pub(crate) writers: usize,
    pub(crate) actor: Addr<PalaceActor>,
}

/// What a link actor is built from.
#[derive(Clone)]
pub(crate) struct LinkSetup {
    pub(crate) id: LinkId,
    pub(crate) spec: LinkSpec,
    pub(crate) source: PalaceEnd,
    pub(crate) target: PalaceEnd,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) board: Board,
    pub(crate) credit: Credit,
    pub(crate) limits: Limits,
    pub(crate) options: LinkOptions,
    pub(crate) replaces: Option<Arc<Replaced>>,
    pub(crate) crew: Crew,
    pub(crate) standing: Standing,
    pub(crate) salvaged: SalvageCount,
    pub(crate) restarts: Arc<AtomicU32>,
    pub(crate) monitor: Monitor,
    pub(crate) ended: mpsc::UnboundedSender<LinkEnd>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_gets_several_partitions_that_are_neither_tiny_nor_huge() {
        let options = LinkOptions { partition_rows: 50_000, ..LinkOptions::default() };
        for (rows, readers, wanted) in
            [(0, 2, 1_000), (2_412, 2, 1_000), (100_000, 2, 12_500), (100_000, 4, 6_250), (10_000_000, 4, 50_000)]
        {
            assert_eq!(options.rows_per_partition(rows, readers), wanted, "{rows} rows, {readers} readers");
        }
        let alone = LinkOptions { readers: Some(1), ..options };
        assert_eq!(alone.rows_per_partition(100_000, 4), 25_000);
        let small = LinkOptions { partition_rows: 120, ..options };
        assert_eq!(small.rows_per_partition(500, 4), 120);
    }
}
