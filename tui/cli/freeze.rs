use super::{address, once};
use crate::exit_code::Exit;
use crate::output;
use clap::Args;
use palanquin_config::Address;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::convert::Infallible;

/// Arguments of `freeze`.
#[derive(Debug, Args)]
pub(super) struct Freeze {
    /// The palace's directory
    #[arg(value_parser = address)]
    palace: Address,
}

impl Freeze {
    /// Holds MemPalace's own lock until the command is ended.
    pub(super) fn run(self) -> Result<Exit> {
        let chroma = self.palace.backend.as_deref().is_none_or(|backend| backend == "chroma");
        let Some(path) = self.palace.path().filter(|_| chroma) else {
            let detail = "only a Chroma directory has a lock that MemPalace's writers heed";
            return Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(&self.palace));
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
