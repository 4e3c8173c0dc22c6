//! `get`, `query` and what `update` and `delete` need to find rows (§1), on one pinned version.
//!
//! `pushdown` makes of a filter an expression that Lance evaluates inside its scan, with the evaluator every backend
//! answers by. `select` finds the addresses of the rows of a selection, in the order they are to be told in; `fields`
//! takes columns of them by address. `get` is the two together, `nearest` measures distances on the way, `approximate` asks the index of the vectors.

mod approximate;
mod fields;
mod get;
mod nearest;
mod pushdown;
mod select;
#[cfg(test)]
mod tests;

pub(crate) use get::get;
pub(crate) use nearest::query;
pub(crate) use pushdown::{addresses_passing, any_of, of_filter};
pub(crate) use select::{by_ids, count, is_any};
