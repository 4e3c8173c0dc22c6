//! Reading a table.
//!
//! `scan` streams rows as they are by binary COPY, decoded by `row`; `cut`, `count` tell where and how many they are;
//! `get` and `query` answer selections and searches, with what `filter` can say of them in SQL.

mod count;
mod cut;
mod get;
mod query;
mod row;
mod scan;

pub(crate) use count::{count, dimension, estimated_count};
pub(crate) use cut::{cut, last_id};
pub(crate) use get::{Columns, Found, get};
pub(crate) use query::{query, vector_literal};
pub(crate) use row::{Malformed, Sent, push};
pub(crate) use scan::scan;

use crate::collection::Table;
use crate::statement::literal;
use palanquin_engine::contract::KeyRange;

/// The ids of a range as a condition; as literals, for COPY takes no parameters.
fn within(table: &Table, range: &KeyRange) -> String {
    let id = table.ordered_id;
    let bound = |operator: &str, bound: &Option<String>| match bound {
        // No id holds a NUL, so none lies between a bound with one and what stands before it there.
        Some(bound) => format!("{id} {operator} {}", literal(bound.split('\0').next().unwrap_or(bound))),
        None => "true".to_owned(),
    };
    format!("{} AND {}", bound(">", &range.after), bound("<=", &range.upto))
}
