//! What the contract suite cannot ask for: servers that stop, rights that lack, palaces of MemPalace's own making.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../database.rs"]
mod database;
mod faults;
mod feed;
mod maintenance;
mod mempalace;
mod own_server;
mod palace;
