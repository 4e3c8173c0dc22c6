//! Palanquin carries MemPalace palaces between storage backends.
//!
//! [`cli`] holds the commands, [`session`] runs an engine behind one of three faces (the [`dashboard`], plain lines, JSON
//! lines from [`output`]), [`registry`] is where adapters are registered, [`configuration`] what the file says,
//! [`exit_code`] the one table of exit codes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cli;
mod configuration;
mod dashboard;
mod exit_code;
mod format;
mod logging;
mod output;
mod registry;
mod session;

use std::process::ExitCode;

fn main() -> ExitCode {
    palanquin_allocator::give_memory_back();
    cli::run().into()
}
