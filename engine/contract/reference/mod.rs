//! The operations of §1 made of nothing but `scan` and `apply`: the defaults of a collection, and what a store's own
//! way of answering is measured by.

mod read;
mod search;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::delete;
pub use read::get;
pub use search::{distance, query};
pub(super) use write::{add, update};

/// Rows read at a time.
const BATCH_ROWS: usize = 1_000;
