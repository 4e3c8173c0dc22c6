use super::super::once;
use super::Chosen;
use crate::exit_code::Exit;
use crate::format::counted;
use crate::output;
use crate::registry::Registry;
use clap::Args;
use palanquin_actors::PalaceSource;
use palanquin_config::{Address, Found};
use palanquin_engine::contract::{
    ChangeBatch, Collection, Error, ErrorKind, GetRequest, Include, LogEntry, OpenMode, Palace, Result, Selection,
    WriteMode,
};
use palanquin_engine::journal::{Carried, Claim, DeadLetter, Digests, Journal, KeptLetter, LinkLock, SqliteJournal};
use palanquin_engine::link::{CollectionPlan, LinkKind, LinkSpec, SetAside};
use palanquin_engine::rows::convert;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

#[derive(Debug, Args)]
pub(super) struct Retry {
    #[command(flatten)]
    chosen: Chosen,
    /// Convert nothing: a row the target could hold only converted stays a dead letter
    #[arg(long)]
    strict: bool,
}

/// What became of the letters.
#[derive(Default)]
struct Retried {
    arrived: u64,
    converted: u64,
    /// Of a mirror: rows the source has no more.
    gone: u64,
    refused: Vec<SetAside>,
}

/// The target, with nobody else at its link.
struct Opened {
    palace: Arc<dyn Palace>,
    source: String,
    _lock: LinkLock,
}

fn locked(retried: &Mutex<Retried>) -> MutexGuard<'_, Retried> {
    retried.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Retry {
    pub(super) fn run(self) -> Result<Exit> {
        let state = self.chosen.state.path()?;
        let journal = self.chosen.state.journal()?;
        let (opened, retried) = (OnceCell::new(), Mutex::new(Retried::default()));
        let record = async || match opened.get() {
            Some(Opened { palace, source, .. }) => {
                let Retried { arrived, converted, .. } = *locked(&retried);
                if arrived == 0 {
                    return Ok(());
                }
                palace.append_to_migration_log(&LogEntry::retry(source, arrived, converted)).await
            }
            None => Ok(()),
        };
        let work = async {
            let (link, letters) = self.chosen.find(&journal).await?;
            let lock = LinkLock::acquire(&state, &link.spec, &[])?;
            let claim = journal.claim(&link.spec).await?;
            let target = Registry::new().target(&located(&link.spec.target)?)?;
            let palace = target.backend.open(&target.palace, OpenMode::Write.into()).await?;
            let followed = match link.spec.kind {
                LinkKind::Mirror => Some(Followed::of(&link.spec).await?),
                LinkKind::Migrate => None,
            };
            let opened = opened.get_or_init(async || Opened { palace, source: link.spec.source, _lock: lock }).await;
            let ends = (followed.as_ref(), &target, opened.palace.as_ref());
            let done = self.all(&journal, &claim, ends, letters, &retried).await;
            let recorded = record().await;
            done.and(recorded)
        };
        let ended = once::run_or(work, record())?;
        let retried = std::mem::take(&mut *locked(&retried));
        if ended.is_none() {
            let arrived = counted(retried.arrived, "row");
            output::complain(&format!("interrupted: {arrived} arrived until then; the others are still dead letters"));
            return Ok(Exit::Interrupted);
        }
        output::print(&format!("{} arrived, {} converted", counted(retried.arrived, "row"), retried.converted));
        if retried.gone > 0 {
            output::print(&format!(
                "{} forgotten: the source has no such row any more",
                counted(retried.gone, "dead letter")
            ));
        }
        for about in &retried.refused {
            output::print(&format!("still refused: {:?} of {}: {}", about.id, about.collection, about.detail));
        }
        Ok(if retried.refused.is_empty() { Exit::Verified } else { Exit::Halted })
    }

    async fn all(
        &self,
        journal: &SqliteJournal,
        claim: &Claim,
        ends: Ends<'_>,
        letters: Vec<KeptLetter>,
        retried: &Mutex<Retried>,
    ) -> Result<()> {
        for KeptLetter { about, .. } in letters {
            if let Some(letter) = journal.dead_letter(&claim.link, &about.collection, &about.id).await? {
                self.one(journal, claim, ends, letter, retried).await?;
            }
        }
        Ok(())
    }

    /// Writes one row; it is durable before it stops being a dead letter.
    async fn one(
        &self,
        journal: &SqliteJournal,
        claim: &Claim,
        (followed, target, palace): Ends<'_>,
        letter: DeadLetter,
        retried: &Mutex<Retried>,
    ) -> Result<()> {
        let about = &letter.about;
        let (place, planned, collection) = collection(claim, target, palace, &about.collection).await?;
        if let Some(followed) = followed {
            let named = GetRequest::of(Selection::ids([about.id.as_str()]));
            let there = followed.palace.collection(planned.source_name()).await?;
            // As where a mirror halts: of such a source nothing can be concluded.
            if there.info().await?.incarnation != planned.source_incarnation || there.count().await? == 0 {
                let detail = "the source is empty, or another collection than the one that was followed";
                return Err(Error::new(ErrorKind::CursorExpired, detail).in_collection(planned.source_name()));
            }
            if there.get(&GetRequest { include: Include::IDS, ..named }).await?.ids.is_empty() {
                journal.release(&claim.link, claim.epoch, &about.collection, std::slice::from_ref(&about.id)).await?;
                locked(retried).gone += 1;
                return Ok(());
            }
            if followed.is_compared {
                // The next round learns that the target may hold it.
                let unknown = vec![(about.id.clone(), Carried::Unknown)];
                journal.record_carried(&claim.link, claim.epoch, place, unknown).await?;
            }
        }
        let row = letter
            .to_batch(planned.spec.dimension)
            .map_err(|error| Error::new(ErrorKind::DimensionMismatch, error.to_string()).of_row(&about.id))?;
        let conversions = if self.strict { &[] } else { target.backend.descriptor().conversions };
        let converted = convert(&row, conversions)
            .map_err(|error| Error::new(ErrorKind::Internal, "a dead letter").with_source(error))?;
        let refused = match converted.refused.first() {
            Some((_, why)) => Some((*why).to_owned()),
            None => match collection.apply(ChangeBatch::upserts(converted.rows), WriteMode::Upsert).await {
                Err(error) if matches!(error.kind(), ErrorKind::RowRefused | ErrorKind::DimensionMismatch) => {
                    Some(error.what())
                }
                applied => applied.map(|_| None)?,
            },
        };
        if let Some(detail) = refused {
            locked(retried).refused.push(SetAside { detail, ..about.clone() });
            return Ok(());
        }
        let made: Vec<_> = converted.changed.iter().map(|(_, conversion)| (*conversion, about.id.clone())).collect();
        journal.note_converted(&claim.link, claim.epoch, &about.collection, &made).await?;
        journal.release(&claim.link, claim.epoch, &about.collection, std::slice::from_ref(&about.id)).await?;
        let mut retried = locked(retried);
        retried.arrived += 1;
        retried.converted += u64::from(!made.is_empty());
        Ok(())
    }
}

/// The source of a mirror, the target, and its palace.
type Ends<'a> = (Option<&'a Followed>, &'a PalaceSource, &'a dyn Palace);

/// The source of a mirror: what it has lost since a row of it was set aside is not to be written.
struct Followed {
    palace: Arc<dyn Palace>,
    /// Whether it is followed by comparison.
    is_compared: bool,
}

impl Followed {
    async fn of(spec: &LinkSpec) -> Result<Self> {
        let plain = spec.source.strip_suffix("?salvage").unwrap_or(&spec.source);
        let (source, _) = Registry::new().found(&located(plain)?, None)?;
        let palace = source.backend.open(&source.palace, OpenMode::Read.into()).await?;
        Ok(Self { palace, is_compared: spec.scan_every_ms.is_some() })
    }
}

fn located(address: &str) -> Result<Found> {
    let parsed: Address = address.parse().map_err(|error: palanquin_config::AddressError| {
        Error::new(ErrorKind::InvalidRequest, error.to_string()).in_palace(address)
    })?;
    Ok(Found::from(parsed))
}

/// The collection the link made in the target, no other of its name, and its place in the plan.
async fn collection<'a>(
    claim: &'a Claim,
    target: &PalaceSource,
    palace: &dyn Palace,
    name: &str,
) -> Result<(usize, &'a CollectionPlan, Arc<dyn Collection>)> {
    let mut planned = claim.plan.iter().flat_map(|plan| &plan.collections).enumerate();
    let Some((place, planned)) = planned.find(|(_, planned)| planned.source_name() == name) else {
        let detail = "the link has no plan for it";
        return Err(Error::new(ErrorKind::CursorExpired, detail).in_palace(&target.address).in_collection(name));
    };
    let collection = palace.collection(&planned.spec.name).await?;
    if collection.info().await?.incarnation.as_ref() != Some(&planned.spec.incarnation) {
        let error = Error::new(ErrorKind::CursorExpired, "it is another collection than the one the link made");
        return Err(error.in_palace(&target.address).in_collection(&planned.spec.name));
    }
    Ok((place, planned, collection))
}
