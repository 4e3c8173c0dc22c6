//! The reference adapter: palaces in memory, with injectable faults.
//!
//! It holds to the contract by the simplest means (one map per collection, one change log), so that other adapters and
//! the engine can be tested against it. Palaces live as long as their [`MemoryBackend`]; nothing is written to disk.

mod backend;
mod collection;
mod faults;

pub use backend::MemoryBackend;
pub use faults::{Fault, Faults, Point};
