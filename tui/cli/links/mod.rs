//! `links`: the links the journal of this machine knows. `list` shows them, `remove` forgets one and drops what its
//! source keeps for it.

mod list;
mod remove;

pub(crate) use list::Listed;

use crate::exit_code::Exit;
use crate::output::Face;
use clap::{Args, Subcommand};
use palanquin_config::state_directory;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::{Journal, KnownLink, SqliteJournal};
use std::path::PathBuf;

/// Arguments of `links`.
#[derive(Debug, Args)]
pub(super) struct Links {
    #[command(subcommand)]
    command: LinksCommand,
}

#[derive(Debug, Subcommand)]
enum LinksCommand {
    /// Every link, how far it is and when it last ran
    List(list::List),
    /// Forget a link, its plan and positions, and drop what its source keeps for it; both palaces stay as they are
    Remove(remove::Remove),
}

impl Links {
    pub(super) fn face(&self) -> Face {
        super::lines(matches!(&self.command, LinksCommand::List(list) if list.json))
    }

    pub(super) fn run(self) -> Result<Exit> {
        match self.command {
            LinksCommand::List(list) => list.run(),
            LinksCommand::Remove(remove) => remove.run(),
        }
    }
}

/// Where links are known.
#[derive(Clone, Debug, Args)]
pub(super) struct Known {
    /// Where the journal is kept [default: $XDG_STATE_HOME/palanquin]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Known {
    pub(super) fn state(&self) -> Result<PathBuf> {
        state_directory(self.state.clone(), |name| std::env::var_os(name))
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()))
    }

    /// The journal, if there is one.
    fn journal(&self) -> Result<Option<SqliteJournal>> {
        let state = self.state()?;
        if state.join("journal.sqlite3").exists() { Ok(Some(SqliteJournal::open(&state)?)) } else { Ok(None) }
    }

    /// Every link the journal knows; none without a journal.
    pub(super) async fn links(&self) -> Result<Vec<KnownLink>> {
        match self.journal()? {
            Some(journal) => Ok(journal.links().await?),
            None => Ok(Vec::new()),
        }
    }
}
