//! What the contract suite cannot ask for: servers that stop, rights that lack, palaces of MemPalace's own making.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cancel;
mod cuts;
#[path = "../database.rs"]
mod database;
mod exchange;
mod faults;
mod feed;
mod full_disk;
mod maintenance;
mod mempalace;
mod migration;
mod own_server;
mod palace;
mod pooler;
mod preflight;
mod standby;
mod way;
