//! Commands that ask a palace something and end: no engine, no dashboard.

use super::given;
use crate::registry::Registry;
use crate::session;
use clap::Args;
use palanquin_actors::PalaceSource;
use palanquin_config::Given;
use palanquin_engine::contract::{Error, ErrorKind, Result, SelectedBy};

/// A palace that is there.
#[derive(Clone, Debug, Args)]
pub(super) struct There {
    /// The palace: a name of the configuration, a directory, chroma:PATH, lance:PATH or postgres://HOST/DB?palace=ID
    #[arg(value_parser = given)]
    palace: Given,
    /// Its backend, whatever lies there
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
}

impl There {
    /// The palace, and what chose its backend.
    pub(super) fn find(&self) -> Result<(PalaceSource, SelectedBy)> {
        let registry = Registry::new();
        let found = registry.locate(&self.palace)?;
        if let (Some(named), Some(in_address)) = (&self.backend, &found.address.backend)
            && named != in_address
        {
            let detail = format!("--backend says {named}, the address says {in_address}");
            return Err(Error::new(ErrorKind::InvalidRequest, detail));
        }
        registry.found(&found, self.backend.as_deref())
    }
}

/// Runs `work` until it is done; Ctrl-C and SIGTERM cut it off, which leaves a palace whole. `None` if they did.
pub(super) fn run<T>(work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    run_or(work, async { Ok(()) })
}

/// As [`run`]; work that was cut off is followed by `clear_up`, which another signal cuts off.
pub(super) fn run_or<T>(
    work: impl Future<Output = Result<T>>,
    clear_up: impl Future<Output = Result<()>>,
) -> Result<Option<T>> {
    let runtime = session::runtime()?;
    let mut signals = session::signals(&runtime)?;
    runtime.block_on(async {
        tokio::select! {
            done = work => return done.map(Some),
            _ = signals.next() => {}
        }
        tokio::select! {
            cleared = clear_up => cleared.map(|()| None),
            _ = signals.next() => Ok(None),
        }
    })
}
