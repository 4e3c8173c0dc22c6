//! Chroma palaces: a directory as Chroma 0.5 to 1.5 leaves it, read without Chroma and never written; and a Chroma
//! server, read and written.
//!
//! * `server`: a server's palaces; [`ChromaServerBackend`] speaks to it.
//! * `directory`: a directory as target, written by a Chroma server of ours for as long as it is open.
//! * `palace`: the engine's contract; [`ChromaBackend`] opens a directory.
//! * `connection`, `catalog`, `sidecar`: `chroma.sqlite3` and what it and MemPalace say of the collections.
//! * `recovered`: that file, where it cannot be read in its place.
//! * `head`: the first bytes of that file; `writer_lock`: the lock MemPalace takes to write.
//! * `layout`: the files of a vector segment, every one of them untrusted.
//! * `feed`: what changed since a cursor.
//! * `read`: rows, put together from tables, index and log, while a MemPalace may be writing all three.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

mod beside;
mod catalog;
mod connection;
mod directory;
mod feed;
mod head;
mod layout;
mod palace;
mod read;
mod recovered;
mod server;
mod settings;
mod sidecar;
mod writer_lock;

pub use palace::ChromaBackend;
pub use server::{ChromaServerBackend, Credentials, ServerOptions};
pub use writer_lock::{Freeze, freeze};
