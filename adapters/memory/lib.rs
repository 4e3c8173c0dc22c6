//! The reference adapter: palaces in memory, with injectable faults.
//!
//! It holds to the contract by the simplest means (one map per collection, one log of changes beside it, one lock around
//! both), so that other adapters and the engine can be tested against it. Palaces live as long as their
//! [`MemoryStorage`]; nothing is written to disk. Several [`MemoryBackend`]s on one storage stand for several processes.

mod backend;
mod collection;
mod content;
mod faults;
mod palace;

pub use backend::{MemoryBackend, MemoryStorage};
pub use faults::{Fault, Faults, Point};
