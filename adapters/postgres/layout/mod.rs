//! Where MemPalace keeps a palace, and what we keep beside it.
//!
//! `names` makes table names of a reference, by MemPalace's algorithm; `table` looks at a table and makes one; `marker`
//! and `sidecar` are MemPalace's files in the palace's directory; `registry` is our own record in the database: true
//! names, incarnations, metrics, identities and the migration log.

pub(crate) mod marker;
mod names;
pub(crate) mod registry;
pub(crate) mod sidecar;
mod table;

pub(crate) use names::{Names, index_name, key_name, lock_key};
pub(crate) use table::{Relation, Schema, create};
