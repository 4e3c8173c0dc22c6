//! Palaces on a Chroma server, through its HTTP API (v2), as source and as target.
//!
//! * `backend`, `palace`, `collection`: the engine's contract. A palace is a database of a tenant; `names` says which.
//! * `client`: requests and answers, credentials, TLS, what is tried again and what a failure means.
//! * `replace`: a copy that takes a palace's place, collection by collection.
//! * `settings`: what Chroma, MemPalace and we keep in a collection's own metadata; `log`: the migration log.
//! * `read`: ids first, then rows by lists of ids: an offset would pass over rows where others are deleted.
//! * `write`: what a server can hold, what differs from what is there, and that alone is sent.

mod backend;
mod client;
mod collection;
mod log;
mod names;
mod palace;
mod read;
mod replace;
mod settings;
mod write;

pub use backend::ChromaServerBackend;
pub(crate) use client::{Client, Database};
pub use client::{Credentials, ServerOptions};
pub(crate) use palace::{Addressed, ServerPalace, remarks};
pub(crate) use settings::{DIMENSION, INCARNATION};
pub(crate) use write::refusal;
