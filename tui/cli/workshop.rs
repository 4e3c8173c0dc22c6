//! What a command that runs links works with: journal, lock, log and session.

use crate::logging;
use crate::registry::Registry;
use crate::session::Session;
use clap::Args;
use palanquin_actors::{LinkOptions, PalaceSource};
use palanquin_config::{Address, ByteSize, state_directory};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::{LinkLock, SqliteJournal};
use palanquin_engine::link::LinkSpec;
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments every such command has.
#[derive(Clone, Debug, Args)]
pub(super) struct Workshop {
    /// Where the journal is kept [default: $XDG_STATE_HOME/palanquin]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Bytes of rows on their way between source and target, per link
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize(64 << 20))]
    credit: ByteSize,
}

/// A workshop in use.
pub(super) struct Opened {
    pub(super) journal: SqliteJournal,
    pub(super) lock: LinkLock,
    pub(super) session: Session,
    pub(super) state: PathBuf,
}

/// The state directory: the one given, or the user's.
pub(super) fn state(given: Option<PathBuf>) -> Result<PathBuf> {
    state_directory(given, |name| std::env::var_os(name))
        .map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()))
}

impl Workshop {
    /// Opens the journal, takes the right to work on the link, and on palaces beyond its own, and starts the engine.
    pub(super) fn open(&self, spec: &LinkSpec, further: &[&str]) -> Result<Opened> {
        let state = state(self.state.clone())?;
        let journal = SqliteJournal::open(&state)?;
        let lock = LinkLock::acquire(&state, spec, further)?;
        logging::start(&state).map_err(|error| Error::io("the log cannot be opened", error))?;
        let session = Session::start(Arc::new(journal.clone()))?;
        Ok(Opened { journal, lock, session, state })
    }

    pub(super) fn options(&self) -> LinkOptions {
        LinkOptions { credit_bytes: self.credit.0, ..LinkOptions::default() }
    }
}

/// Both ends of a link, found and told apart.
pub(super) fn ends(source: &Address, target: &Address) -> Result<(PalaceSource, PalaceSource)> {
    let registry = Registry::new();
    let (read, written) = (registry.source(source)?, registry.target(target)?);
    if source.overlaps(target) {
        let detail = "the target is the source, or one lies inside the other";
        return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(&written.address));
    }
    Ok((read, written))
}
