//! Lance palaces: a LanceDB directory with one table per collection, as source and as target.
//!
//! * `backend`, `palace`: from a reference to an open palace; `home` is what stands beside the tables, in a directory or
//!   in an object store.
//! * `code`: palaces of mempalace-code, which are only read.
//! * `layout`: the schema of a table and what its metadata says; everything of it is in the first commit.
//! * `collection`: one table. `cut` and `scan` read a pinned version of it, `lookup` finds rows in one, `write` commits,
//!   `feed` tells two versions apart.
//! * `durability`: Lance does not sync what it writes; this does, before anything is acknowledged. `retry` does again what
//!   another writer came between.
//! * `maintenance`: the kinds of maintenance; `state`: what the operator is told of a palace's condition;
//!   `preflight`: what stands in the way of a copy.
//! * `error`: the one place that reads Lance's errors.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout))]

mod backend;
mod code;
mod collection;
mod cursor;
mod cut;
mod durability;
mod error;
mod feed;
mod home;
mod layout;
mod lookup;
mod maintenance;
mod palace;
mod preflight;
mod retry;
mod scan;
mod state;
mod write;

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod testing;

pub use backend::LanceBackend;
