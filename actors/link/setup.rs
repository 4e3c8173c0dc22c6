use super::actor::Order;
use super::crew::Crew;
use crate::board::{ActKind, Board};
use crate::credit::Credit;
use crate::palace::PalaceActor;
use crate::supervise::Monitor;
use actix::Addr;
use palanquin_engine::contract::{Capabilities, Fidelity, Finding};
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
    /// Rows read at once, in one short transaction of the source.
    pub batch_rows: usize,
    /// Rows of a partition.
    pub partition_rows: u64,
    /// Rows made durable at once, at most.
    pub commit_rows: usize,
    /// Bytes made durable at once, at most (a batch that is larger goes alone).
    pub commit_bytes: usize,
    /// Time between two looks at a feed that had nothing new.
    pub poll_every: Duration,
    /// Longest time without a sign of life from the work in hand.
    pub patience: Duration,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            credit_bytes: 64 << 20,
            batch_rows: 1_000,
            partition_rows: 50_000,
            commit_rows: 10_000,
            commit_bytes: 24 << 20,
            poll_every: Duration::from_millis(250),
            patience: Duration::from_secs(120),
            seed: 0,
        }
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
    pub(crate) fidelity: Fidelity,
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
    pub(crate) options: LinkOptions,
    pub(crate) crew: Crew,
    pub(crate) standing: Standing,
    pub(crate) restarts: Arc<AtomicU32>,
    pub(crate) monitor: Monitor,
    pub(crate) ended: mpsc::UnboundedSender<LinkEnd>,
}
