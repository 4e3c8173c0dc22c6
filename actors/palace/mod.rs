//! One actor per palace: it owns the connection, hands it to whoever asks, and shows the palace's condition.
//!
//! The actor decides; opening and checking run as tasks of the shared runtime, and their panics restart the actor.

mod actor;
mod runs;
mod view;

pub(crate) use actor::{Cancel, Compare, Connect, Maintain, PalaceActor, PalaceSetup, Shutdown, Watch};
