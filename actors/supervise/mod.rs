//! Supervision, in OTP's words, on actix's contexts.
//!
//! [`spawn`] runs a [`Worker`] in a future that survives its panics: it takes the [`Exit`], asks the [`ChildSpec`] whether
//! to restart, waits out the backoff and restarts the same actor, at the same address, with the same mailbox, rebuilt
//! from its spec. Every step is a [`Transition`] told to the parent. Past the restart intensity the child is given up,
//! and the parent decides what that means for those that depend on it.
//!
//! `actix::Supervisor` is not used: it does not survive a panic, has no backoff and no limit.

mod exit;
mod heartbeat;
mod policy;
mod supervised;

pub use exit::{Exit, Monitor};
pub use heartbeat::{Heartbeat, Watchdog};
pub use policy::{ChildSpec, Intensity, Restart};
pub use supervised::{Step, Transition, Worker, spawn};
