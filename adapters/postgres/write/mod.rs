//! Writing a table.
//!
//! `copy` renders rows for binary COPY, with their metadata by `jsonb`; `apply` puts them straight into the table or
//! through a temporary one; `update` and `delete` are single statements or transactions.

mod apply;
mod copy;
mod delete;
mod jsonb;
mod update;

pub(crate) use apply::{add, apply};
pub(crate) use delete::delete;
pub(crate) use jsonb::{of_value as jsonb_of, to_json as json_of};
pub(crate) use update::update;
