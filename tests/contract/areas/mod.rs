//! The tests, by what they are about; `list` names them all.

pub(crate) mod filters;
mod generated;
mod list;
pub(crate) mod query;
pub(crate) mod round_trip;
pub(crate) mod shapes;
