//! The demonstration: a sample palace is unpacked into a scratch directory, copied from Chroma to Lance, and the copy
//! mirrored into a second one while [`writer`] keeps changing it. Nothing is left behind.

mod sample;
mod writer;

use super::Face;
use crate::exit_code::Exit;
use crate::output;
use crate::registry::Registry;
use crate::session::{Session, Shown, Until};
use clap::Args;
use palanquin_actors::board::LinkView;
use palanquin_actors::{LinkOptions, PalaceSource, StartLink};
use palanquin_config::{Address, Found};
use palanquin_engine::contract::{Error, ErrorKind, OpenMode, Result};
use palanquin_engine::journal::SqliteJournal;
use palanquin_engine::link::{LinkKind, LinkSpec, LinkState, Outcome, Phase};
use palanquin_engine::parity::{Compared, Criterion, Manner, ParityReport, Verdict, compare};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Changes a demonstration without a terminal follows before it ends.
const CHANGES_FOLLOWED: u64 = 12;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    pub(super) face: Face,
}

/// The palaces of the demonstration.
struct Stage {
    chroma: PalaceSource,
    first: PalaceSource,
    second: PalaceSource,
}

impl Demo {
    pub(super) fn run(self) -> Result<Exit> {
        let scratch = tempfile::Builder::new()
            .prefix("palanquin-demo-")
            .tempdir()
            .map_err(|error| Error::io("no scratch directory can be made", error))?;
        sample::unpack(&scratch.path().join("chroma"))?;
        let stage = Stage::in_folder(scratch.path())?;
        let journal = SqliteJournal::open(&scratch.path().join("state"))?;
        let mut session = Session::start(Arc::new(journal))?;
        let face = self.face.choose();
        let mut shown = session.show(face, "demo", false);
        let ended = stage.play(&mut session, &mut shown, face);
        shown.close(session.runtime());
        session.close();
        scratch.close().map_err(|error| Error::io("the scratch directory could not be removed", error))?;
        ended.map(|epilogue| epilogue.tell(face))
    }
}

/// What is told on the normal screen once the dashboard has gone.
struct Epilogue {
    copy: (LinkSpec, palanquin_actors::LinkEnd),
    mirror: Option<Arc<LinkView>>,
    parity: Option<ParityReport>,
}

impl Stage {
    fn in_folder(folder: &Path) -> Result<Self> {
        let registry = Registry::new();
        let at = |backend: &str, name: &str| Found::from(Address::directory(backend, folder.join(name)));
        Ok(Self {
            chroma: registry.source(&at("chroma", "chroma"))?,
            first: registry.target(&at("lance", "first"))?,
            second: registry.target(&at("lance", "second"))?,
        })
    }

    fn play(&self, session: &mut Session, shown: &mut Shown, face: output::Face) -> Result<Epilogue> {
        let copy = self.link(LinkKind::Migrate, &self.chroma, &self.first);
        let copy_spec = copy.spec.clone();
        session.start_link(copy)?;
        let Some(end) = session.wait_for_end(shown, &copy_spec, Until::Ended) else {
            return Err(Error::new(ErrorKind::Busy, "the demonstration was left"));
        };
        let verified = end.outcome == Outcome::Verified;
        let mut epilogue = Epilogue { copy: (copy_spec, end), mirror: None, parity: None };
        if !verified {
            return Ok(epilogue);
        }
        let mirror = self.link(LinkKind::Mirror, &self.first, &self.second);
        let spec = mirror.spec.clone();
        session.start_link(mirror)?;
        let stop = CancellationToken::new();
        let mut writing = session.runtime().spawn(writer::write(self.first.clone(), stop.clone()));
        if matches!(face, output::Face::Dashboard { .. }) {
            session.wait_for_end(shown, &spec, Until::Left);
            stop.cancel();
            written(session.runtime().block_on(&mut writing))?;
        } else {
            let id = spec.id();
            session.watch_until(|snapshot| {
                let link = snapshot.link(&id);
                let followed = |link: &LinkView| link.changes_applied >= CHANGES_FOLLOWED || link.state.is_final();
                writing.is_finished() || link.is_some_and(followed)
            });
            stop.cancel();
            written(session.runtime().block_on(&mut writing))?;
            let stopped_ms = jiff::Timestamp::now().as_millisecond();
            session.watch_until(|snapshot| {
                snapshot.link(&id).is_some_and(|link| link.state.is_final() || is_level(link, stopped_ms))
            });
            session.drain();
            session.wait_for_end(shown, &spec, Until::Left);
        }
        epilogue.mirror = session.board().borrow().links.iter().find(|link| link.id == spec.id()).cloned();
        if !matches!(face, output::Face::Dashboard { .. }) {
            epilogue.parity = Some(session.wait(self.compare_copies())?);
        }
        Ok(epilogue)
    }

    /// A link in small steps, so that there is something to see.
    fn link(&self, kind: LinkKind, source: &PalaceSource, target: &PalaceSource) -> StartLink {
        let (source, target) = (source.clone(), target.clone());
        let spec = LinkSpec::new(kind, source.address.as_str(), target.address.as_str());
        let options = LinkOptions { batch_rows: 8, commit_rows: 8, partition_rows: 100, ..LinkOptions::default() };
        StartLink { spec, source, target, options, replaces: None, lock: None }
    }

    async fn compare_copies(&self) -> Result<ParityReport> {
        let first = self.first.backend.open(&self.first.palace, OpenMode::Read.into()).await?;
        let second = self.second.backend.open(&self.second.palace, OpenMode::Read.into()).await?;
        let mut pairs = Vec::new();
        for info in first.collections().await? {
            let (source, target) = (first.collection(&info.name).await?, second.collection(&info.name).await?);
            pairs.push(Compared { target_name: info.name.clone(), name: info.name, source, target });
        }
        let manner = Manner { vectors: Criterion::Bits, batch_rows: 1_000 };
        compare((&self.first.address, &self.second.address), &pairs, manner, &|_, _| {}).await
    }
}

/// How the writer ended.
fn written(end: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    end.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, "the writer panicked").with_source(error)))
}

/// Whether a mirror has looked at its source since `stopped_ms` and found nothing it had not applied.
fn is_level(link: &LinkView, stopped_ms: i64) -> bool {
    let nothing_new = link.lag.as_ref().is_some_and(|lag| lag.rows == 0 && lag.measured_at_ms > stopped_ms + 1_000);
    nothing_new && link.state == LinkState::Working { phase: Phase::Live }
}

impl Epilogue {
    fn tell(&self, face: output::Face) -> Exit {
        let (spec, end) = &self.copy;
        let exit = Exit::of_end(end);
        output::summary(face, spec, end, exit);
        if face == output::Face::Json {
            return self.parity.as_ref().map_or(exit, exit_of);
        }
        if let Some(mirror) = &self.mirror {
            let changes = mirror.changes_applied;
            output::note(face, &format!("mirror: {changes} changes of the first copy carried into the second"));
        }
        if let Some(parity) = &self.parity {
            let (equal, differences) = (parity.equal_rows(), parity.difference_count());
            output::note(face, &format!("both copies: {equal} rows equal, {differences} differences"));
        }
        output::note(face, "try it on a palace of yours: palanquin migrate PATH lance:NEW-PATH");
        self.parity.as_ref().map_or(exit, exit_of)
    }
}

fn exit_of(parity: &ParityReport) -> Exit {
    match parity.verdict() {
        Verdict::Equal => Exit::Verified,
        Verdict::Different => Exit::Different,
        Verdict::Inconclusive => Exit::NotVerified,
    }
}
