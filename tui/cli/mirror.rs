use super::salvage::Salvage;
use super::share::Share;
use super::workshop::{Opened, Workshop, ends};
use super::{Face, given, restart};
use crate::exit_code::Exit;
use crate::registry::Registry;
use clap::{Args, ValueEnum};
use palanquin_actors::StartLink;
use palanquin_config::{Given, Interval};
use palanquin_engine::contract::Result;
use palanquin_engine::link::{LinkKind, LinkSpec};
use std::time::Duration;

/// Arguments of `mirror`.
#[derive(Debug, Args)]
pub(super) struct Mirror {
    /// The palace to follow: a name of the configuration, a directory, chroma:PATH, lance:PATH
    /// or, with --capture scan, any palace
    #[arg(value_parser = given)]
    source: Given,
    /// The palace to make and keep equal: a name of the configuration, lance:PATH, chroma:PATH, chroma+http://HOST:PORT or
    /// postgres://HOST/DB?palace=ID
    #[arg(value_parser = given)]
    target: Given,
    #[command(flatten)]
    share: Share,
    /// How to learn of changes, if not from the source's own feed
    #[arg(long, value_enum, value_name = "LEVEL")]
    capture: Option<Capture>,
    /// With --capture scan: how long to wait between two readings of every row, as in 90s, 5m, 2h [default: 1m]
    #[arg(long, value_name = "TIME", requires = "capture")]
    interval: Option<Interval>,
    #[command(flatten)]
    salvage: Salvage,
    /// Begin anew: remove what an interrupted run copied, and forget its plan and positions
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    workshop: Workshop,
    #[command(flatten)]
    pub(super) face: Face,
}

/// A capture level that is taken by choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Capture {
    /// Read every row at an interval and compare it with what was last carried over
    Scan,
}

/// Between two readings of every row, unless told otherwise.
const INTERVAL: Interval = Interval(Duration::from_secs(60));

impl Mirror {
    /// Copies, then follows until it is stopped; the same command goes on where it was.
    pub(super) fn run(self) -> Result<Exit> {
        let registry = Registry::new();
        let (source, target) = ends(&registry.locate(&self.source)?, None, &registry.locate(&self.target)?)?;
        let source = self.salvage.of(source)?;
        let spec = LinkSpec {
            scan_every_ms: self.capture.map(|Capture::Scan| self.interval.unwrap_or(INTERVAL).0.as_millis() as u64),
            ..LinkSpec::new(LinkKind::Mirror, source.address.as_str(), target.address.as_str())
        };
        let spec = self.share.apply(spec)?;
        let Opened { journal, lock, mut session, .. } = self.workshop.open(&spec, &[])?;
        if self.restart {
            session.wait(restart::forget(&journal, &spec, &source, &target))?;
        }
        let options = self.workshop.options();
        session.start_link(StartLink {
            spec: spec.clone(),
            source,
            target,
            options,
            replaces: None,
            lock: Some(lock),
        })?;
        let (exit, _) = session.show_until_ended(self.face.choose(), &spec, |_, _| None);
        session.close();
        Ok(exit)
    }
}
