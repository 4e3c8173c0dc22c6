//! The running engine: an actor system on its own thread, with a root actor that starts palaces and links, passes the
//! operator's commands on, and decides what a child's end means for others.
//!
//! Drivers run on the shared tokio runtime given to [`Engine::start`]; the thread of the actors only takes decisions.

mod handle;
mod root;

pub use handle::{Engine, EngineError, PalaceSource, Replaced, StartLink};

#[cfg(test)]
mod tests;
