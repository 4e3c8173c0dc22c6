use super::share::Share;
use super::workshop::{Opened, Workshop, ends};
use super::{Face, given};
use crate::exit_code::Exit;
use crate::registry::Registry;
use clap::Args;
use palanquin_actors::StartLink;
use palanquin_config::Given;
use palanquin_engine::contract::Result;
use palanquin_engine::link::{LinkKind, LinkSpec};

/// Arguments of `mirror`.
#[derive(Debug, Args)]
pub(super) struct Mirror {
    /// The palace to follow: a name of the configuration, a directory, chroma:PATH or lance:PATH
    #[arg(value_parser = given)]
    source: Given,
    /// The palace to make and keep equal: a name of the configuration, lance:PATH or postgres://HOST/DB?palace=ID
    #[arg(value_parser = given)]
    target: Given,
    #[command(flatten)]
    share: Share,
    #[command(flatten)]
    workshop: Workshop,
    #[command(flatten)]
    pub(super) face: Face,
}

impl Mirror {
    /// Copies, then follows until it is stopped; the same command goes on where it was.
    pub(super) fn run(self) -> Result<Exit> {
        let registry = Registry::new();
        let (source, target) = ends(&registry.locate(&self.source)?, None, &registry.locate(&self.target)?)?;
        let spec = LinkSpec::new(LinkKind::Mirror, source.address.as_str(), target.address.as_str());
        let spec = self.share.apply(spec)?;
        let Opened { lock, mut session, .. } = self.workshop.open(&spec, &[])?;
        let options = self.workshop.options();
        session.start_link(StartLink {
            spec: spec.clone(),
            source,
            target,
            options,
            replaces: None,
            lock: Some(lock),
        })?;
        let (exit, _) = session.show_until_ended(self.face.choose(), &spec);
        session.close();
        Ok(exit)
    }
}
