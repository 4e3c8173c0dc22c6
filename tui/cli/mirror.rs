use super::workshop::{Opened, Workshop, ends};
use super::{Face, address, restart};
use crate::exit_code::Exit;
use clap::Args;
use palanquin_actors::StartLink;
use palanquin_config::Address;
use palanquin_engine::contract::Result;
use palanquin_engine::link::{LinkKind, LinkSpec};

/// Arguments of `mirror`.
#[derive(Debug, Args)]
pub(super) struct Mirror {
    /// The palace to follow: a directory, chroma:PATH or lance:PATH
    #[arg(value_parser = address)]
    source: Address,
    /// The palace to make and keep equal: lance:PATH or postgres://HOST/DB?palace=ID
    #[arg(value_parser = address)]
    target: Address,
    /// Follow only this collection (repeatable)
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,
    /// Begin anew: remove what an interrupted run copied, and forget its plan and positions
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    workshop: Workshop,
    #[command(flatten)]
    pub(super) face: Face,
}

impl Mirror {
    /// Copies, then follows until it is stopped; the same command goes on where it was.
    pub(super) fn run(self) -> Result<Exit> {
        let (source, target) = ends(&self.source, &self.target)?;
        let spec = LinkSpec {
            collections: self.collections,
            ..LinkSpec::new(LinkKind::Mirror, source.address.as_str(), target.address.as_str())
        };
        let Opened { journal, lock, mut session } = self.workshop.open(&spec, &[])?;
        if self.restart {
            session.wait(restart::forget(&journal, &spec, &source, &target))?;
        }
        let options = self.workshop.options();
        session.start_link(StartLink { spec: spec.clone(), source, target, options, lock: Some(lock) })?;
        let (exit, _) = session.show_until_ended(self.face.choose(), &spec);
        session.close();
        Ok(exit)
    }
}
