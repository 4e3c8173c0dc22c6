//! The domain of Palanquin: what a palace is, how its rows travel, when a copy is right.
//!
//! * [`contract`]: what a storage backend is and promises (MemPalace RFC 001, marked with its §).
//! * [`rows`]: the Arrow batch every row travels in, its canonical form and its digest.
//! * [`link`]: what a link from one palace to another is, and what it does next.
//! * [`parity`]: the proof that two palaces hold the same rows.
//! * [`receipt`]: what a migration leaves as evidence.
//! * [`journal`]: what survives a crash: links, plans, positions, events.
//!
//! Nothing here knows an actor, a driver or a terminal, and nothing assumes a single process.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod contract;
pub mod journal;
pub mod link;
pub mod parity;
pub mod receipt;
pub mod rows;
