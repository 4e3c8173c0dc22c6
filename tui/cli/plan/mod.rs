//! `plan`: what a migration would do, found out without writing anything. [`gather`] looks, [`checks`] judges, [`gaps`]
//! names what the target cannot that the source can, [`text`] writes it for people.

mod checks;
mod gaps;
mod gather;
mod text;

use super::allowances::Allowances;
use super::salvage::Salvage;
use super::share::Share;
use super::workshop::{StateDirectory, ends_apart};
use super::{given, once, overwrite};
use crate::exit_code::Exit;
use crate::output::{self, json};
use crate::registry::Registry;
use clap::Args;
pub(crate) use gather::MigrationPlan;
use palanquin_config::{Found, Given};
use palanquin_engine::contract::{Result, Standing};
use palanquin_engine::link::{LinkKind, LinkSpec};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// The palace that would be copied
    #[arg(value_parser = given)]
    source: Given,
    /// The palace that would be made
    #[arg(value_parser = given)]
    target: Given,
    #[command(flatten)]
    share: Share,
    #[command(flatten)]
    salvage: Salvage,
    #[command(flatten)]
    allowances: Allowances,
    #[command(flatten)]
    state: StateDirectory,
    /// One JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

/// What is to be planned, but for its ends.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// What part of the palace.
    pub(super) share: Share,
    /// Whether lost vectors would be looked for.
    pub(super) salvage: Salvage,
    /// What would be allowed.
    pub(super) allowances: Allowances,
    /// Where the journal is kept.
    pub(super) state: StateDirectory,
    /// Whether it is told as JSON.
    pub(super) json: bool,
}

impl Plan {
    /// Prints the plan. Refused if a check says that the migration would be.
    pub(super) fn run(self) -> Result<Exit> {
        let registry = Registry::new();
        let (source, target) = (registry.locate(&self.source)?, registry.locate(&self.target)?);
        let Self { share, salvage, allowances, state, json, .. } = self;
        Question { share, salvage, allowances, state, json }.about(&source, None, &target)
    }
}

impl Question {
    /// Prints the plan for these ends; `from` is the source's backend, if it was named.
    pub(super) fn about(self, found: &Found, from: Option<&str>, to: &Found) -> Result<Exit> {
        let (source, target) = ends_apart(found, from, to)?;
        let source = self.salvage.of(source)?;
        let request = LinkSpec::new(LinkKind::Migrate, source.address.as_str(), target.address.as_str());
        let spec = self.allowances.in_spec(self.share.apply(request)?);
        let asked = gather::Asked {
            source: &source,
            target: &target,
            directory: to.address.path(),
            overlap: found.address.overlaps(&to.address),
            irreplaceable: overwrite::refusal(to, &target),
            spec: &spec,
            state: &self.state,
        };
        let Some(plan) = once::run(gather::gather(asked))? else { return Ok(Exit::Interrupted) };
        output::print(&if self.json { json::plan(&plan) } else { text::of(&plan) });
        let refused = plan.checks.iter().any(|planned| planned.check.standing == Standing::Fails);
        Ok(if refused { Exit::Refused } else { Exit::Verified })
    }
}
