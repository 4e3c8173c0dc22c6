use super::Known;
use crate::cli::once;
use crate::exit_code::Exit;
use crate::output;
use crate::registry::Registry;
use clap::Args;
use palanquin_config::{Address, Found};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::{Journal, KnownLink, LinkLock};

/// Arguments of `links remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The link, as `links list` names it
    id: String,
    #[command(flatten)]
    known: Known,
    /// Also where the source cannot be asked to drop what it keeps for the link: drop that by hand then
    #[arg(long)]
    force: bool,
}

impl Remove {
    pub(super) fn run(self) -> Result<Exit> {
        let state = self.known.state()?;
        let work = async {
            let missing = || Error::new(ErrorKind::InvalidRequest, format!("the journal knows no link {:?}", self.id));
            let journal = self.known.journal()?.ok_or_else(missing)?;
            let links = journal.links().await?;
            let link = links.into_iter().find(|known| known.link.0 == self.id).ok_or_else(missing)?;
            let _lock = LinkLock::acquire(&state, &link.spec, &[])?;
            let mut told = Vec::new();
            match release(&link).await {
                Ok(dropped) => told.extend(dropped.into_iter().map(|what| format!("dropped: {what}"))),
                Err(error) if self.force => told.push(format!("left: what the source may keep ({})", error.what())),
                Err(error) => return Err(error),
            }
            let claim = journal.claim(&link.spec).await?;
            journal.forget(&claim.link, claim.epoch).await?;
            told.push(format!("forgotten: link {}; {} stays as it is", link.link, link.spec.target));
            Ok(told)
        };
        let Some(told) = once::run(work)? else { return Ok(Exit::Interrupted) };
        told.iter().for_each(|line| output::print(line));
        Ok(Exit::Verified)
    }
}

async fn release(known: &KnownLink) -> Result<Vec<String>> {
    let address: Address = known.spec.source.parse().map_err(|error: palanquin_config::AddressError| {
        Error::new(ErrorKind::InvalidRequest, error.to_string()).in_palace(&known.spec.source)
    })?;
    let source = Registry::new().source(&Found::from(address))?;
    source.backend.release(&source.palace, &known.link.0).await
}
