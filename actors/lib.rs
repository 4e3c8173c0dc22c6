//! The actors of Palanquin: what runs, under supervision, and what can be seen of it.
//!
//! [`Engine`] is the way in: it runs one actor per palace and one per link. [`board`] is the way out: one snapshot that
//! every screen reads. Only this crate names actix.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout))]

pub mod board;
mod clock;
mod command;
mod credit;
mod engine;
mod link;
mod palace;
pub mod supervise;

pub use command::Command;
pub use engine::{Engine, EngineError, PalaceSource, Replaced, StartLink};
pub use link::{LinkEnd, LinkOptions, maintenance_after_a_copy};
