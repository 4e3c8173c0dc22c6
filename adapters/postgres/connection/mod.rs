//! From a connection string to sessions.
//!
//! `dsn` reads the string and `environment` fills in what it leaves out, `tls` makes of `sslmode` what is trusted,
//! `server` keeps a bounded number of sessions, and `lease` is one of them while a stream of rows runs on it.

mod dsn;
mod environment;
mod lease;
mod server;
mod tls;

pub use dsn::{Dsn, SslMode};
pub(crate) use environment::Variables;
pub(crate) use lease::Lease;
pub(crate) use server::{Connector, Server, Session, Timeouts};
