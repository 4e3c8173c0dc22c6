//! The actors of Palanquin: what runs, under supervision, and what can be seen of it.

pub mod board;
mod command;

pub use command::Command;
