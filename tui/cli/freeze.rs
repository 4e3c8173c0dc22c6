use super::{given, once};
use crate::exit_code::Exit;
use crate::output;
use crate::registry::Registry;
use clap::Args;
use palanquin_config::Given;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::convert::Infallible;

/// Arguments of `freeze`.
#[derive(Debug, Args)]
pub(super) struct Freeze {
    /// The palace: a name of the configuration, or its directory
    #[arg(value_parser = given)]
    palace: Given,
}

impl Freeze {
    /// Holds MemPalace's own lock until the command is ended.
    pub(super) fn run(self) -> Result<Exit> {
        let found = Registry::new().locate(&self.palace)?;
        let named = found.address.backend.as_deref().or(found.configured.as_deref());
        let Some(path) = found.address.path().filter(|_| named.is_none_or(|backend| backend == "chroma")) else {
            let detail = "only a Chroma directory has a lock that MemPalace's writers heed";
            return Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(&found.address));
        };
        let frozen = palanquin_chroma::freeze(path)?;
        output::print(&format!(
            "{} is frozen: this user's MemPalace on this machine reads it and refuses to write; Ctrl-C thaws it",
            path.display()
        ));
        once::run(std::future::pending::<Result<Infallible>>())?;
        drop(frozen);
        output::print("thawed");
        Ok(Exit::Verified)
    }
}
