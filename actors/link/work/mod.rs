//! The work of a link, one file per phase; each is a task of the shared runtime that reports to the link's actor.
//!
//! [`check`] opens both ends and makes or takes up the plan; [`copy`] carries partitions; [`follow`] carries changes, and
//! [`level`] compares every row where the feed has lost its place; [`joined`] makes commits of a feed's batches, and
//! [`whole`] fetches rows of which a feed tells only a part;
//! [`verify`] compares both ends; [`record`] leaves the migration's record in the target. Work stops at the next durable position when its shift says so.

mod check;
mod copy;
mod follow;
mod joined;
mod level;
mod record;
mod verify;
mod whole;

use super::crew::Shift;
use super::setup::LinkSetup;
use crate::credit::Held;
use crate::supervise::Heartbeat;
pub(super) use check::Prepared;
use palanquin_engine::contract::{Collection, Cursor, Error, ErrorKind, Result};
use palanquin_engine::link::{Phase, Position};
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
    /// Every feed's end has been reached.
    CaughtUp,
    /// Rows the source has no vector for.
    WithoutVector { collection: usize, ids: Vec<String> },
    /// So many rows of one end have been compared.
    Compared { end: End, rows: u64 },
}

/// How work ended, if it did not fail.
#[derive(Debug)]
pub(super) enum Done {
    Checked(Arc<Prepared>),
    Copied,
    Verified(Arc<ParityReport>),
    Stopped,
}

/// A collection on both ends.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) source: Arc<dyn Collection>,
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

    fn is_stopping(&self) -> bool {
        self.shift.stop.is_cancelled()
    }
}

/// Does the work of a phase. `prepared` is what checking found; every other phase needs it.
pub(super) async fn run(phase: Phase, desk: Desk, prepared: Option<Arc<Prepared>>) -> Result<Done> {
    match (phase, prepared) {
        (Phase::Checking, _) => check::run(&desk).await,
        (Phase::Copying, Some(prepared)) => copy::run(&desk, prepared).await,
        (Phase::CatchingUp | Phase::Live, Some(prepared)) => follow::run(&desk, &prepared).await,
        (Phase::Verifying, Some(prepared)) => verify::run(&desk, &prepared).await,
        (phase, None) => {
            Err(Error::new(ErrorKind::Internal, format!("{} began before anything was checked", phase.word())))
        }
    }
}
