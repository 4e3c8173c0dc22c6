//! The actors of Palanquin: what runs, under supervision, and what can be seen of it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod board;
mod command;
mod supervise;

pub use command::Command;
