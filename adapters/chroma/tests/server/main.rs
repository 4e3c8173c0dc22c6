//! Chroma servers that fail: real ones that are killed, fake ones that refuse, break off and lie; and what is sent when
//! little has changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod directory;
mod fake;
mod faults;
mod full_disk;
mod lies;
mod own_server;
mod replace;
mod rows;
#[path = "../tenant.rs"]
mod tenant;
