use super::overwrite::Exchange;
use super::plan::Plan;
use super::workshop::{Opened, Workshop, ends};
use super::{Face, address, overwrite, restart};
use crate::exit_code::Exit;
use crate::output;
use crate::registry::Registry;
use clap::Args;
use palanquin_actors::StartLink;
use palanquin_config::Address;
use palanquin_engine::contract::Result;
use palanquin_engine::link::{LinkKind, LinkSpec};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The palace to copy: a directory, chroma:PATH, lance:PATH or postgres://HOST/DB?palace=ID
    #[arg(value_parser = address)]
    source: Address,
    /// The palace to make: lance:PATH or postgres://HOST/DB?palace=ID
    #[arg(value_parser = address)]
    target: Address,
    /// Copy only this collection (repeatable)
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,
    /// Replace the target, once the new copy is verified; until then it stays as it is
    #[arg(long)]
    overwrite: bool,
    /// Remove what an interrupted run of this command has copied, and begin anew
    #[arg(long)]
    restart: bool,
    /// Show what would be done and what is in the way, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    workshop: Workshop,
    #[command(flatten)]
    pub(super) face: Face,
}

impl Migrate {
    pub(super) fn run(self) -> Result<Exit> {
        if self.dry_run {
            let json = self.face.choose() == output::Face::Json;
            return Plan::of(self.source, self.target, self.collections, json).run();
        }
        let (source, wanted) = ends(&self.source, &self.target)?;
        let exchange = if self.overwrite {
            Some(Exchange::of(&self.target, &wanted, &source.address, &self.collections)?)
        } else {
            None
        };
        let target = match &exchange {
            Some(exchange) => Registry::new().target(&exchange.staging(wanted.backend.descriptor().name))?,
            None => wanted.clone(),
        };
        let spec = LinkSpec {
            collections: self.collections.clone(),
            ..LinkSpec::new(LinkKind::Migrate, source.address.as_str(), target.address.as_str())
        };
        let Opened { journal, lock, mut session } = self.workshop.open(&spec, &[&wanted.address])?;
        if self.restart {
            session.wait(restart::forget(&journal, &spec, &source, &target))?;
        }
        if let Some(exchange) = &exchange
            && session.wait(overwrite::take_up(&journal, &spec, &wanted, &target, exchange))?
        {
            output::note(self.face.choose(), &format!("the verified copy of an earlier run is now {}", wanted.address));
            return Ok(Exit::Verified);
        }
        let options = self.workshop.options();
        session.start_link(StartLink { spec: spec.clone(), source, target, options, lock: Some(lock) })?;
        let face = self.face.choose();
        let (exit, end) = session.show_until_ended(face, &spec);
        if let Some(exchange) = exchange
            && exit == Exit::Verified
        {
            // An empty copy proves nothing that would justify removing what is there.
            if end.is_none_or(|end| end.rows == 0) {
                output::note(face, &format!("nothing was copied, so {} stays as it was", wanted.address));
                return Ok(Exit::Refused);
            }
            exchange.replace()?;
            session.wait(overwrite::forget(&journal, &spec))?;
            output::note(face, &format!("the verified copy is now {}", wanted.address));
        }
        session.close();
        Ok(exit)
    }
}
