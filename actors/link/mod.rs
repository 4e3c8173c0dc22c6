//! One actor per link. It holds the link's [`Machine`](palanquin_engine::link::Machine) and ledger and takes the decisions;
//! the work itself ([`work`]) runs as tasks of the shared runtime, which report to it.
//!
//! A batch's way: a source driver scans, takes credit, hands on; a target driver applies and reports *durable*; the
//! actor folds the report into the ledger; the journal stores it. Work belongs to a [`Crew`](crew::Crew) that outlives
//! the actor's restarts: new work begins only when the old has ended.

mod actor;
mod crew;
mod ledger;
mod limits;
mod salvaged;
mod setup;
mod view;
mod work;

pub(crate) use actor::{Cascade, LinkActor, Order, PalaceLost};
pub(crate) use limits::Limits;
pub use setup::{LinkEnd, LinkOptions};
pub(crate) use setup::{LinkSetup, PalaceEnd};
pub use work::maintenance_after_a_copy;
