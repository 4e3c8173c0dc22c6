//! The tests, by what they are about; `list` names them all.

pub(crate) mod batches;
pub(crate) mod capability;
pub(crate) mod closed;
pub(crate) mod feed;
pub(crate) mod filters;
mod generated;
pub(crate) mod identity;
pub(crate) mod isolation;
pub(crate) mod lifecycle;
mod list;
pub(crate) mod maintenance;
pub(crate) mod patches;
pub(crate) mod query;
pub(crate) mod round_trip;
pub(crate) mod scan;
pub(crate) mod server_embedder;
pub(crate) mod shapes;
pub(crate) mod update;
pub(crate) mod values;
