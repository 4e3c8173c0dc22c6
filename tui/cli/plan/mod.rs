//! `plan`: what a migration would do, found out without writing anything. [`gather`] looks, [`checks`] judges, [`text`]
//! writes it for people.

mod checks;
mod gather;
mod text;

use super::share::Share;
use super::{address, once};
use crate::exit_code::Exit;
use crate::output::{self, json};
use crate::registry::Registry;
use checks::Standing;
use clap::Args;
pub(crate) use gather::MigrationPlan;
use palanquin_config::Address;
use palanquin_engine::contract::Result;
use palanquin_engine::link::{LinkKind, LinkSpec};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The palace that would be copied
    #[arg(value_parser = address)]
    source: Address,
    /// The palace that would be made
    #[arg(value_parser = address)]
    target: Address,
    #[command(flatten)]
    share: Share,
    /// One JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl Plan {
    pub(super) fn of(source: Address, target: Address, share: Share, json: bool) -> Self {
        Self { source, target, share, json }
    }

    /// Prints the plan. Refused if a check says that the migration would be.
    pub(super) fn run(self) -> Result<Exit> {
        let registry = Registry::new();
        let source = registry.source(&self.source)?;
        let target = registry.target(&self.target)?;
        let spec = LinkSpec::new(LinkKind::Migrate, source.address.as_str(), target.address.as_str());
        let spec = self.share.apply(spec)?;
        let asked = gather::Asked {
            source: &source,
            target: &target,
            directory: self.target.path(),
            overlap: self.source.overlaps(&self.target),
            spec: &spec,
        };
        let Some(plan) = once::run(gather::gather(asked))? else { return Ok(Exit::Interrupted) };
        output::print(&if self.json { json::plan(&plan) } else { text::of(&plan) });
        let refused = plan.checks.iter().any(|check| check.standing == Standing::Fails);
        Ok(if refused { Exit::Refused } else { Exit::Verified })
    }
}
