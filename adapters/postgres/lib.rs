//! Postgres palaces: MemPalace's tables in a database with the extension pgvector, as source and as target.
//!
//! * `backend`, `palace`: from a reference and [`PostgresOptions`] to an open palace; `collection` is one table of it.
//! * `connection`: where the server is, how it is trusted, and a bounded number of sessions with it.
//! * `layout`: the names and shapes MemPalace gives its tables, its files beside them, and the record we keep of both.
//! * `read`, `write`: rows by binary COPY, selections and searches in SQL; `filter` says what SQL can say of a filter.
//! * `preflight`: what only the server can tell of whether work would go through.
//! * `maintenance`: vacuum, statistics, the vector index; what the operator is told of a palace's condition.
//! * `feed`: the change log, by logical decoding.
//! * `error`: the one place that reads SQLSTATEs.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout))]

mod backend;
mod collection;
mod connection;
mod error;
mod feed;
mod filter;
mod layout;
mod maintenance;
mod palace;
mod preflight;
mod read;
mod statement;
mod write;

pub use backend::{PostgresBackend, PostgresOptions};
pub use connection::{Dsn, SslMode};
