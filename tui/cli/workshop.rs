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
use std::time::Duration;

/// Arguments every such command has.
#[derive(Clone, Debug, Args)]
pub(super) struct Workshop {
    #[command(flatten)]
    state: StateDirectory,
    /// Bytes of rows on their way between source and target, per link
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize(64 << 20))]
    credit: ByteSize,
    /// Partitions read at once, at most [default: what the two stores take]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    readers: Option<u16>,
    /// Read no more rows than this per second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_rows_per_second: Option<u64>,
    /// Read no more bytes of rows than this per second
    #[arg(long, value_name = "SIZE")]
    max_bytes_per_second: Option<ByteSize>,
    /// Slow down while one read of the source takes longer than this, for those who use it meanwhile
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    max_source_latency: Option<u64>,
    /// Set aside so many rows the target refuses before halting; see `palanquin dead-letters`
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_dead_letters: u64,
    /// Convert nothing: rows the target can only hold converted are refused
    #[arg(long)]
    strict: bool,
}

/// Where what survives a crash is kept.
#[derive(Clone, Debug, Args)]
pub(super) struct StateDirectory {
    /// Where the journal is kept [default: $XDG_STATE_HOME/palanquin]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl StateDirectory {
    pub(super) fn path(&self) -> Result<PathBuf> {
        state_directory(self.state.clone(), |name| std::env::var_os(name))
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()))
    }

    pub(super) fn journal(&self) -> Result<SqliteJournal> {
        Ok(SqliteJournal::open(&self.path()?)?)
    }
}

/// A workshop in use.
pub(super) struct Opened {
    pub(super) journal: SqliteJournal,
    pub(super) lock: LinkLock,
    pub(super) session: Session,
    pub(super) state: PathBuf,
}

impl Workshop {
    /// Opens the journal, takes the right to work on the link, and on palaces beyond its own, and starts the engine.
    pub(super) fn open(&self, spec: &LinkSpec, further: &[&str]) -> Result<Opened> {
        let state = self.state.path()?;
        let journal = SqliteJournal::open(&state)?;
        let lock = LinkLock::acquire(&state, spec, further)?;
        logging::start(&state).map_err(|error| Error::io("the log cannot be opened", error))?;
        let session = Session::start(Arc::new(journal.clone()))?;
        Ok(Opened { journal, lock, session, state })
    }

    /// Where the journal is kept.
    pub(super) fn state(&self) -> &StateDirectory {
        &self.state
    }

    pub(super) fn options(&self) -> LinkOptions {
        LinkOptions {
            credit_bytes: self.credit.0,
            readers: self.readers.map(usize::from),
            max_rows_per_second: self.max_rows_per_second,
            max_bytes_per_second: self.max_bytes_per_second.map(|size| size.0),
            max_source_latency: self.max_source_latency.map(Duration::from_millis),
            max_dead_letters: self.max_dead_letters,
            strict: self.strict,
            ..LinkOptions::default()
        }
    }
}

/// Both ends of a link, each with its backend; whether they lie in each other is not asked.
pub(super) fn ends_apart(source: &Found, from: Option<&str>, target: &Found) -> Result<(PalaceSource, PalaceSource)> {
    let registry = Registry::new();
    let (source, written) = (registry.found(source, from)?.0, registry.target(target)?);
    if let Some(path) = target.address.path()
        && path.is_symlink()
        && !path.exists()
    {
        let detail = "the target is a symbolic link that leads nowhere";
        return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(&written.address));
    }
    Ok((source, written))
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
