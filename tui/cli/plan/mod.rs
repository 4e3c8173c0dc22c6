//! `plan`: what a migration would do, found out without writing anything. [`gather`] looks, [`checks`] judges, [`text`]
//! writes it for people.

mod checks;
mod gather;
mod text;

use super::salvage::Salvage;
use super::{address, once};
use crate::exit_code::Exit;
use crate::output::{self, json};
use crate::registry::Registry;
use checks::Standing;
use clap::Args;
pub(crate) use gather::MigrationPlan;
use palanquin_config::Address;
use palanquin_engine::contract::Result;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The palace that would be copied
    #[arg(value_parser = address)]
    source: Address,
    /// The palace that would be made
    #[arg(value_parser = address)]
    target: Address,
    /// Only this collection (repeatable)
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,
    #[command(flatten)]
    salvage: Salvage,
    /// One JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

impl Plan {
    pub(super) fn of(source: Address, target: Address, collections: Vec<String>, salvage: Salvage, json: bool) -> Self {
        Self { source, target, collections, salvage, json }
    }

    /// Prints the plan. Refused if a check says that the migration would be.
    pub(super) fn run(self) -> Result<Exit> {
        let registry = Registry::new();
        let source = self.salvage.of(registry.source(&self.source)?)?;
        let target = registry.target(&self.target)?;
        let asked = gather::Asked {
            source: &source,
            target: &target,
            directory: self.target.path(),
            overlap: self.source.overlaps(&self.target),
            collections: &self.collections,
        };
        let Some(plan) = once::run(gather::gather(asked))? else { return Ok(Exit::Interrupted) };
        output::print(&if self.json { json::plan(&plan) } else { text::of(&plan) });
        let refused = plan.checks.iter().any(|check| check.standing == Standing::Fails);
        Ok(if refused { Exit::Refused } else { Exit::Verified })
    }
}
