use super::overwrite::Exchange;
use super::plan::Plan;
use super::{Face, Workshop, address, overwrite, restart};
use crate::exit_code::Exit;
use crate::logging;
use crate::output;
use crate::registry::Registry;
use crate::session::Session;
use clap::Args;
use palanquin_actors::{LinkOptions, StartLink};
use palanquin_config::{Address, state_directory};
use palanquin_engine::contract::{Error, ErrorKind, Result};
use palanquin_engine::journal::{LinkLock, SqliteJournal};
use palanquin_engine::link::{LinkKind, LinkSpec};
use std::sync::Arc;

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The palace to copy: a directory, chroma:PATH or lance:PATH
    #[arg(value_parser = address)]
    source: Address,
    /// The palace to make: lance:PATH
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
        let registry = Registry::new();
        let source = registry.source(&self.source)?;
        let wanted = registry.target(&self.target)?;
        if self.source.overlaps(&self.target) {
            let detail = "the target is the source, or one lies inside the other";
            return Err(Error::new(ErrorKind::InvalidRequest, detail).in_palace(&wanted.address));
        }
        let exchange =
            if self.overwrite { Some(Exchange::of(&self.target, &source.address, &self.collections)?) } else { None };
        let target = match &exchange {
            Some(exchange) => registry.target(&exchange.staging(wanted.backend.descriptor().name))?,
            None => wanted.clone(),
        };
        let spec = LinkSpec {
            kind: LinkKind::Migrate,
            source: source.address.clone(),
            target: target.address.clone(),
            collections: self.collections.clone(),
        };
        let state = state_directory(self.workshop.state, |name| std::env::var_os(name))
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()))?;
        let journal = SqliteJournal::open(&state)?;
        let lock = LinkLock::acquire(&state, &spec, &[&wanted.address])?;
        logging::start(&state).map_err(|error| Error::io("the log cannot be opened", error))?;

        let mut session = Session::start(Arc::new(journal.clone()))?;
        if self.restart {
            session.wait(restart::forget(&journal, &spec, &target))?;
        }
        if let Some(exchange) = &exchange
            && session.wait(overwrite::take_up(&journal, &spec, &wanted, exchange))?
        {
            output::note(self.face.choose(), &format!("the verified copy of an earlier run is now {}", wanted.address));
            return Ok(Exit::Verified);
        }
        let options = LinkOptions { credit_bytes: self.workshop.credit.0, ..LinkOptions::default() };
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
