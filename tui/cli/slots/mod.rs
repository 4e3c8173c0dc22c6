//! `slots`: what the store of a palace keeps of its log for those who follow it. `list` shows it, `drop` gives one up.

mod drop;
mod list;

use crate::exit_code::Exit;
use crate::output::Face;
use clap::{Args, Subcommand};
use palanquin_engine::contract::Result;

/// Arguments of `slots`.
#[derive(Debug, Args)]
pub(super) struct Slots {
    #[command(subcommand)]
    command: SlotsCommand,
}

#[derive(Debug, Subcommand)]
enum SlotsCommand {
    /// The replication slots of a palace's server, and what each keeps on its disk
    List(list::List),
    /// Drop the slot of a link that will not run again; if it does, it compares every row once
    Drop(drop::Drop),
}

impl Slots {
    pub(super) fn face(&self) -> Face {
        super::lines(matches!(&self.command, SlotsCommand::List(list) if list.json))
    }

    pub(super) fn run(self) -> Result<Exit> {
        match self.command {
            SlotsCommand::List(list) => list.run(),
            SlotsCommand::Drop(drop) => drop.run(),
        }
    }
}
