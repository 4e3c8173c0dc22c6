//! A directory as target: Chroma's own server writes it, started by us on a loopback port for as long as the palace is
//! open, and what MemPalace keeps beside Chroma's files is written as MemPalace does.
//!
//! * `command`: the `chroma` command, and whether it is one we know.
//! * `supervised`: the server's process, which ends with us however we end; `running`: one per directory.
//! * `preflight`: what would stand in the way, told without writing.
//! * `target`: the engine's contract, in front of the server's; `files`: the sidecar, the migration log, and what has to
//!   be synced before anything is durable.

mod command;
mod files;
mod preflight;
mod running;
mod supervised;
mod target;

pub(crate) use files::{MIGRATION_LOG, log_of};
pub(crate) use preflight::preflight;
pub(crate) use target::open;
