//! Replacing a target: the new copy is made and verified beside it, then takes its place.
//!
//! A [`directory`] changes places with the copy's; a palace in a [`database`] is replaced by its own backend. What may
//! be found after a crash is the same for both: the copy beside the target, to be compared again with the source as it
//! is now, or the copy in its place, and then the command means a new one. Where a backend was cut off between the two,
//! it goes on first.

mod database;
mod directory;

use crate::registry::{CHROMA, neighbours};
use database::Database;
use directory::Directory;
use palanquin_actors::{PalaceSource, Replaced};
use palanquin_config::{Found, Place};
use palanquin_engine::contract::{Error, ErrorKind, OpenMode, Palace, Replaces, Result};
use palanquin_engine::journal::{Journal, JournalError};
use palanquin_engine::link::{LinkSpec, Plan};
use std::sync::Arc;

/// Why what is in an object store is not replaced.
const NO_PLACE: &str = "it is in no directory and in no database, where one palace could take another's place; migrate to a place \
                        of its own, and have it used from there";

/// A target, and the new copy beside it.
pub(super) struct Exchange {
    wanted: PalaceSource,
    staged: PalaceSource,
    way: Way,
}

/// How the copy takes the target's place.
enum Way {
    Directory(Directory),
    Database(Database),
}

impl Exchange {
    /// The new copy is made at a place of its own for each request; `request` is as if it were made at once.
    ///
    /// # Errors
    /// `UnsupportedCapability` for a target that has no place that could be exchanged.
    pub(super) fn of(target: &Found, wanted: &PalaceSource, request: &LinkSpec) -> Result<Self> {
        let id = request.id();
        let (staged, way) = match (wanted.backend.descriptor().replaces, &target.address.place) {
            (Replaces::AtOnce | Replaces::InSteps, _) => {
                let (staged, database) = Database::of(target, wanted, &id);
                (staged, Way::Database(database))
            }
            (Replaces::Directory, Place::Directory(path)) => {
                let (staged, directory) = Directory::of(path, wanted, &id);
                (staged, Way::Directory(directory))
            }
            (Replaces::Directory, _) => {
                return Err(Error::new(ErrorKind::UnsupportedCapability, NO_PLACE).in_palace(&wanted.address));
            }
        };
        Ok(Self { wanted: wanted.clone(), staged, way })
    }

    /// Where the new copy is made.
    pub(super) fn staged(&self) -> &PalaceSource {
        &self.staged
    }

    /// What is known of the palace that will be replaced; `None` if there is none.
    ///
    /// # Errors
    /// `NotAPalace`: only a palace is replaced, for a folder or file that is none may be anything; `InvalidRequest` for a
    /// directory that holds another store's palace too.
    pub(super) async fn replaced(&self) -> Result<Option<Replaced>> {
        // Another store's palace may be all that is there.
        if let Way::Directory(_) = &self.way
            && let Some(found) = beside(&self.wanted)
        {
            return Err(Error::new(ErrorKind::InvalidRequest, found).in_palace(&self.wanted.address));
        }
        let Some(there) = opened(&self.wanted).await? else { return Ok(None) };
        // Whoever holds it now would be met again once everything is copied.
        drop(self.frozen().await?);
        let infos = there.collections().await?;
        let models = infos.into_iter().filter_map(|info| Some((info.name, info.identity?))).collect();
        let log = match &self.way {
            Way::Directory(_) => there.migration_log().await?,
            // The exchange keeps it.
            Way::Database(_) => Vec::new(),
        };
        Ok(Some(Replaced { models, log }))
    }

    /// Takes up what an earlier run of this request has left. A verified copy beside the target is to be compared anew:
    /// the source may have changed since, however long ago that was. One that is in the target's place already was the
    /// end of that run, and this one makes another.
    pub(super) async fn take_up(&self, journal: &dyn Journal, spec: &LinkSpec) -> Result<()> {
        match &self.way {
            Way::Directory(directory) => directory.put_back()?,
            Way::Database(_) => {
                self.wanted.backend.finish_replacing(&self.wanted.palace, &self.staged.palace).await?;
            }
        }
        let claim = journal.claim(spec).await?;
        let (Some(plan), Some(ending)) = (&claim.plan, &claim.ending) else { return Ok(()) };
        if ending.verified
            && !plan.collections.is_empty()
            && !self.is_in_place(plan).await?
            && holds(opened(&self.staged).await?, plan).await?
        {
            journal.reopen(&claim.link, claim.epoch).await?;
            return Ok(());
        }
        // In its place, gone, or not fit to take it: what lies beside the target is not needed any more.
        self.clear().await?;
        journal.forget(&claim.link, claim.epoch).await?;
        Ok(())
    }

    /// Puts the verified copy in the target's place and removes what was there.
    pub(super) async fn replace(&self, journal: &dyn Journal, spec: &LinkSpec) -> Result<()> {
        match &self.way {
            Way::Directory(directory) => {
                let _frozen = self.frozen().await?;
                directory.replace()?;
            }
            Way::Database(_) => {
                if let Err(error) = self.wanted.backend.replace(&self.wanted.palace, &self.staged.palace).await {
                    // The answer may have been lost, and not the exchange.
                    let plan = journal.claim(spec).await?.plan;
                    let done = match &plan {
                        Some(plan) => self.is_in_place(plan).await.unwrap_or(false),
                        None => false,
                    };
                    if !done {
                        return Err(error);
                    }
                }
            }
        }
        forget(journal, spec).await.map_err(Into::into)
    }

    /// MemPalace's lock on a Chroma directory that is there: nobody of MemPalace's writes what is on its way out.
    async fn frozen(&self) -> Result<Option<palanquin_chroma::Freeze>> {
        match &self.way {
            Way::Directory(directory)
                if self.wanted.backend.descriptor().name == CHROMA && opened(&self.wanted).await?.is_some() =>
            {
                palanquin_chroma::freeze(directory.target()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether the target is the very copy of this plan.
    async fn is_in_place(&self, plan: &Plan) -> Result<bool> {
        holds(opened(&self.wanted).await?, plan).await
    }

    /// Removes what lies beside the target.
    async fn clear(&self) -> Result<()> {
        match &self.way {
            Way::Directory(directory) => directory.clear(),
            Way::Database(database) => database.clear(&self.staged).await,
        }
    }
}

/// Why a palace that is there cannot be replaced; `None` if it can.
pub(super) fn refusal(target: &Found, wanted: &PalaceSource) -> Option<String> {
    let is_directory = matches!(target.address.place, Place::Directory(_));
    if wanted.backend.descriptor().replaces == Replaces::Directory && !is_directory {
        return Some(NO_PLACE.to_owned());
    }
    beside(wanted)
}

/// Why a palace's directory is not one to replace: another store has a palace in it, which whoever replaces this one does
/// not mean.
fn beside(palace: &PalaceSource) -> Option<String> {
    let others = neighbours(palace);
    let palaces = if others.len() > 1 { "palaces" } else { "a palace" };
    (!others.is_empty())
        .then(|| format!("its directory holds {palaces} of {} too; migrate to another", others.join(" and ")))
}

/// The palace, if there is one.
async fn opened(palace: &PalaceSource) -> Result<Option<Arc<dyn Palace>>> {
    match palace.backend.open(&palace.palace, OpenMode::Read.into()).await {
        Ok(palace) => Ok(Some(palace)),
        Err(error) if error.kind() == ErrorKind::PalaceNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the palace holds every collection this plan has made.
async fn holds(palace: Option<Arc<dyn Palace>>, plan: &Plan) -> Result<bool> {
    let Some(palace) = palace else { return Ok(false) };
    let there = palace.collections().await?;
    let is_there = |made: &String| there.iter().any(|collection| collection.incarnation.as_ref() == Some(made));
    Ok(plan.collections.iter().all(|planned| is_there(&planned.spec.incarnation)))
}

/// Forgets the link, so that the next `--overwrite` makes a new copy.
async fn forget(journal: &dyn Journal, spec: &LinkSpec) -> Result<(), JournalError> {
    let claim = journal.claim(spec).await?;
    journal.forget(&claim.link, claim.epoch).await
}
