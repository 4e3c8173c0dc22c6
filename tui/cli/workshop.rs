//! What a command that runs links works with: journal, lock, log and session.

use crate::logging;
use crate::registry::Registry;
use crate::session::Session;
use clap::Args;
use palanquin_actors::{LinkOptions, PalaceSource};
use palanquin_config::{ByteSize, Found, state_directory};
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
}

impl Workshop {
    /// Opens the journal, takes the right to work on the link, and on palaces beyond its own, and starts the engine.
    pub(super) fn open(&self, spec: &LinkSpec, further: &[&str]) -> Result<Opened> {
        let state = state_directory(self.state.clone(), |name| std::env::var_os(name))
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()))?;
        let journal = SqliteJournal::open(&state)?;
        let lock = LinkLock::acquire(&state, spec, further)?;
        logging::start(&state).map_err(|error| Error::io("the log cannot be opened", error))?;
        let session = Session::start(Arc::new(journal.clone()))?;
        Ok(Opened { journal, lock, session })
    }

    /// Where the journal is kept, if that was said.
    pub(super) fn state(&self) -> Option<PathBuf> {
        self.state.clone()
    }

    pub(super) fn options(&self) -> LinkOptions {
        LinkOptions { credit_bytes: self.credit.0, ..LinkOptions::default() }
    }
}

/// Both ends of a link, each with its backend; whether they lie in each other is not asked.
pub(super) fn ends_apart(source: &Found, from: Option<&str>, target: &Found) -> Result<(PalaceSource, PalaceSource)> {
    let registry = Registry::new();
    Ok((registry.found(source, from)?.0, registry.target(target)?))
}

/// Both ends of a link, each with its backend, told apart; `from` is the source's, if it was named.
pub(super) fn ends(source: &Found, from: Option<&str>, target: &Found) -> Result<(PalaceSource, PalaceSource)> {
    let (read, written) = ends_apart(source, from, target)?;
    if source.address.overlaps(&target.address) {
        let detail = "the target is the source, or one lies inside the other";
        return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(&written.address));
    }
    Ok((read, written))
}
