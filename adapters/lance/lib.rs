//! Lance palaces: a LanceDB directory with one table per collection, as source and as target.
//!
//! * `backend`, `directory`, `palace`: from a path to an open palace; `sidecar` is MemPalace's file beside the tables.
//! * `layout`: the schema of a table and what its metadata says; everything of it is in the first commit.
//! * `collection`: one table; `cut` and `scan` read a pinned version of it, `write` commits a batch, `feed` tells two
//!   versions apart.
//! * `durability`: Lance does not sync what it writes; this does, before anything is acknowledged.
//! * `state`: what the operator is told of a palace's condition.
//! * `error`: the one place that reads Lance's errors.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout))]

mod backend;
mod collection;
mod cursor;
mod cut;
mod directory;
mod durability;
mod error;
mod feed;
mod layout;
mod lookup;
mod palace;
mod retry;
mod scan;
mod sidecar;
mod state;
mod write;

#[cfg(test)]
mod testing;

pub use backend::LanceBackend;
