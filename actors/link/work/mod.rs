//! The work of a link, one file per phase; each is a task of the shared runtime that reports to the link's actor.
//!
//! [`check`] opens both ends and makes or takes up the plan; [`copy`] carries partitions; [`follow`] carries changes, and
//! [`level`] compares every row where the feed has lost its place; [`scan`] follows a source without
//! a feed by comparison; [`joined`] makes commits of a feed's batches; all of them apply through [`deliver`];
//! [`gate`] asks whether the copy may be made and has the target say of which model it is; [`verify`] compares both ends;
//! [`record`] leaves the migration's record in the target; [`maintain`] builds its indexes. Work stops at the next durable
//! position when its shift says so.

mod check;
mod copy;
mod deliver;
mod difference;
mod follow;
mod gate;
mod joined;
mod level;
mod maintain;
mod record;
mod scan;
#[cfg(test)]
mod testing;
mod verify;

use super::crew::Shift;
use super::setup::LinkSetup;
use crate::credit::Held;
use crate::supervise::Heartbeat;
pub(super) use check::Prepared;
pub use maintain::maintenance_after_a_copy;
pub(super) use maintain::{Upkeep, maintenance_failed};
use palanquin_engine::contract::{Collection, Conversion, Cursor, Error, ErrorKind, Finding, MaintenanceStep, Result};
use palanquin_engine::link::{ConvertedRows, Phase, Position, SetAside};
use palanquin_engine::parity::{End, ParityReport};
use std::sync::Arc;

/// What work tells the actor while it goes on.
#[derive(Debug)]
pub(super) enum News {
    /// A partition is durable up to here; the credit of its batches comes back with the news.
    Durable { collection: usize, partition: usize, position: Position, rows: u64, _held: Vec<Held> },
    /// Changes of a feed are durable; `cursor` if that completed a step.
    Followed { collection: usize, changes: u64, cursor: Option<Cursor> },
    /// How far a feed is behind: rows read and not yet durable, and when the oldest of them was changed.
    Behind { rows: u64, since_ms: Option<i64> },
    /// A round of comparison is done: rows read, changes applied, when it began and how long it took.
    Round { rows: u64, changes: u64, began_at_ms: i64, took_ms: u64 },
    /// Every feed's end has been reached.
    CaughtUp,
    /// Rows the target refused were set aside.
    SetAside(Vec<SetAside>),
    /// Rows that had been set aside have arrived, or are gone.
    Released { collection: String, ids: Vec<String> },
    /// All the rows that were converted, by this run and earlier ones.
    Converted(Vec<ConvertedRows>),
    /// Rows the source has no vector for.
    WithoutVector { collection: usize, ids: Vec<String> },
    /// So many rows of one end have been compared.
    Compared { end: End, rows: u64 },
    /// The comparison was finished and nothing can be concluded from it; a failure follows.
    Inconclusive(Arc<ParityReport>),
    /// Something the operator should look at.
    Found(Finding),
    /// Maintenance after the copy: which kind is run, and how far it is.
    Maintaining { kind: &'static str, step: Option<MaintenanceStep> },
}

/// How work ended, if it did not fail.
#[derive(Debug)]
pub(super) enum Done {
    Checked(Arc<Prepared>),
    Copied,
    Verified(Arc<ParityReport>),
    Maintained(Upkeep),
    Stopped,
}

/// A collection on both ends.
#[derive(Clone)]
pub(super) struct Pair {
    /// Its name in the source.
    pub(super) name: String,
    pub(super) target_name: String,
    /// Width of its vectors.
    pub(super) dimension: u32,
    /// As it is.
    pub(super) source: Arc<dyn Collection>,
    /// As the target is to hold it: filtered and converted. What a comparison reads.
    pub(super) as_copied: Arc<dyn Collection>,
    pub(super) target: Arc<dyn Collection>,
}

/// What every work is given.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) setup: LinkSetup,
    pub(super) shift: Shift,
    pub(super) heartbeat: Heartbeat,
    pub(super) tell: Arc<dyn Fn(News) + Send + Sync>,
}

impl Desk {
    fn tell(&self, news: News) {
        self.heartbeat.beat();
        (self.tell)(news);
    }

    /// The conversions that are made for the target's sake; with `--strict` none.
    fn conversions_made(&self) -> &'static [Conversion] {
        if self.setup.options.strict { &[] } else { self.setup.target.conversions }
    }

    fn is_stopping(&self) -> bool {
        self.shift.stop.is_cancelled()
    }
}

/// Does the work of a phase. `prepared` is what checking found; every other phase needs it.
pub(super) async fn run(phase: Phase, desk: Desk, prepared: Option<Arc<Prepared>>) -> Result<Done> {
    match (phase, prepared) {
        (Phase::Checking, _) => check::run(&desk).await,
        (Phase::Copying, Some(prepared)) => copy::run(&desk, prepared).await,
        (Phase::CatchingUp | Phase::Live, Some(prepared)) => match desk.setup.spec.scan_every() {
            Some(every) => scan::run(&desk, &prepared, every).await,
            None => follow::run(&desk, &prepared).await,
        },
        (Phase::Verifying, Some(prepared)) => verify::run(&desk, &prepared).await,
        (Phase::Maintaining, Some(_)) => maintain::run(&desk).await,
        (phase, None) => {
            Err(Error::new(ErrorKind::Internal, format!("{} began before anything was checked", phase.word())))
        }
    }
}
