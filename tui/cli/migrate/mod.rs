//! `migrate`: one palace, or every palace of the configuration. [`destination`] says where a target goes that was only
//! named by its backend, [`one`] makes a copy, [`all`] makes one after the other and tells how each ended.

mod all;
mod destination;
mod one;

use super::allowances::Allowances;
use super::receipt::ReceiptPlace;
use super::salvage::Salvage;
use super::share::Share;
use super::workshop::Workshop;
use super::{Face, given};
use crate::exit_code::Exit;
use crate::output;
use crate::registry::Registry;
pub(crate) use all::Migrated;
use clap::Args;
use one::Migration;
use palanquin_config::Given;
use palanquin_engine::contract::{Error, ErrorKind, Result};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The palace to copy: a name of the configuration, a directory, chroma:PATH, chroma+http://HOST:PORT,
    /// lance:PATH or postgres://HOST/DB?palace=ID
    #[arg(value_parser = given, required_unless_present_any = ["palace", "all"])]
    source: Option<Given>,
    /// The palace to make: a name of the configuration, lance:PATH, chroma:PATH, chroma+http://HOST:PORT or
    /// postgres://HOST/DB?palace=ID
    #[arg(value_parser = given, required_unless_present = "to", conflicts_with = "to")]
    target: Option<Given>,
    /// The palace to copy, where --to says which backend it goes to
    #[arg(long, value_parser = given, value_name = "PALACE", requires = "to", conflicts_with_all = ["source", "target"])]
    palace: Option<Given>,
    /// Every palace of the configuration, one after the other
    #[arg(long, requires = "to", conflicts_with_all = ["source", "target", "palace", "from"])]
    all: bool,
    /// The source's backend, whatever lies there
    #[arg(long, value_name = "BACKEND")]
    from: Option<String>,
    /// The target's backend, a name of the configuration or an adapter's: the target is made beside the source's
    /// directory, as PALACE.lance or PALACE.postgres (where MemPalace's marker is), or below --target-root
    #[arg(long, value_name = "BACKEND")]
    to: Option<String>,
    /// Where targets of --to go: a directory, or an address with {name} in it
    #[arg(long, value_name = "DIR|ADDRESS", requires = "to")]
    target_root: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) face: Face,
}

/// How each copy is made.
#[derive(Clone, Debug, Args)]
struct How {
    #[command(flatten)]
    share: Share,
    #[command(flatten)]
    salvage: Salvage,
    #[command(flatten)]
    allowances: Allowances,
    /// Leave the target without indexes and statistics of its own
    #[arg(long)]
    no_maintenance: bool,
    /// Remove what an interrupted run of this command has copied, and begin anew
    #[arg(long)]
    restart: bool,
    /// Show what would be done and what is in the way, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    receipt: ReceiptPlace,
    #[command(flatten)]
    workshop: Workshop,
}

impl Migrate {
    pub(super) fn run(self) -> Result<Exit> {
        let face = self.face.choose();
        let registry = Registry::new();
        if let (true, Some(to)) = (self.all, &self.to) {
            return all::run(&registry, to, self.target_root.as_deref(), &self.how, face);
        }
        let Some(source) = self.palace.as_ref().or(self.source.as_ref()) else {
            return Err(Error::new(ErrorKind::InvalidRequest, "say which palace to copy"));
        };
        let source = registry.locate(source)?;
        let target = match (&self.target, &self.to) {
            (Some(target), _) => registry.locate(target)?,
            (None, Some(to)) => {
                let target = destination::of(&source, to, self.target_root.as_deref())?;
                let shown = registry.target(&target)?.address;
                output::note(face, &format!("the target will be {shown}; --target-root says another place"));
                target
            }
            (None, None) => return Err(Error::new(ErrorKind::InvalidRequest, "say which palace to make")),
        };
        Ok(Migration { source, from: self.from, target, how: self.how }.run(face)?.exit)
    }
}
