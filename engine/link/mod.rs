//! A link carries one palace to another: what it is, what it has done, what it does next.
//!
//! [`LinkSpec`] says what was asked for. [`Plan`] fixes the partitions, once. [`Positions`] say how far each has
//! durably gone. [`gate`] decides whether the copy may be made and what it may be called. [`Machine`] decides what happens
//! next from a [`LinkState`] and an input, without I/O and without a clock; the actors do what it says. What a link carries
//! of a collection, and as what, is told by [`as_copied()`]. [`Meter`] turns acknowledgements into rates and an ETA.

mod account;
mod as_copied;
mod backoff;
mod event;
pub mod gate;
mod machine;
mod meter;
mod plan;
mod position;
mod spec;
mod state;

pub use account::{Account, Carried, ConvertedRows, PhaseTime, SalvagedRows, SetAside};
pub use as_copied::{as_copied, passing};
pub use backoff::Backoff;
pub use event::Event;
pub use machine::{Effect, Failure, Input, Machine, Outcome, Work};
pub use meter::{Eta, Meter, Rates};
pub use plan::{CollectionPlan, Plan};
pub use position::{Position, Positions};
pub use spec::{LinkId, LinkKind, LinkSpec, Overrides};
pub use state::{LinkState, Phase};
