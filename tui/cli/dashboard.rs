use super::{Face, given};
use crate::exit_code::Exit;
use crate::logging;
use crate::output;
use crate::registry::Registry;
use crate::session::Session;
use clap::Args;
use palanquin_config::{Given, state_directory};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::SqliteJournal;
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of `dashboard`.
#[derive(Debug, Args)]
pub(super) struct Dashboard {
    /// The palaces to watch: names of the configuration, directories, chroma:PATH, lance:PATH or
    /// postgres://HOST/DB?palace=ID
    #[arg(value_parser = given, required = true)]
    palaces: Vec<Given>,
    /// Where the log is kept [default: $XDG_STATE_HOME/palanquin]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Look only: the dashboard's acts are switched off
    #[arg(long)]
    read_only: bool,
    /// No characters beyond ASCII
    #[arg(long)]
    ascii: bool,
}

impl Dashboard {
    pub(super) fn run(self) -> Result<Exit> {
        let face = Face { json: false, plain: false, read_only: self.read_only, ascii: self.ascii }.choose();
        if !matches!(face, output::Face::Dashboard { .. }) {
            let detail = "a dashboard needs a terminal; `palanquin inspect` prints the same facts";
            return Err(Error::new(ErrorKind::InvalidRequest, detail));
        }
        let registry = Registry::new();
        let palaces: Result<Vec<_>> =
            self.palaces.iter().map(|palace| registry.source(&registry.locate(palace)?)).collect();
        let state = state_directory(self.state, |name| std::env::var_os(name))
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()))?;
        let journal = SqliteJournal::open(&state)?;
        logging::start(&state).map_err(|error| Error::io("the log cannot be opened", error))?;
        let mut session = Session::start(Arc::new(journal))?;
        for palace in palaces? {
            session.show_palace(palace)?;
        }
        session.show_until_left(face, "palaces");
        session.close();
        Ok(Exit::Verified)
    }
}
