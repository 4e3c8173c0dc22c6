//! Replacing a target: the new copy is made and verified beside it, then takes its place in one step.

use super::share::Share;
use palanquin_actors::PalaceSource;
use palanquin_config::Address;
use palanquin_engine::contract::{Error, ErrorKind, OpenMode, Result, token};
use palanquin_engine::journal::{Journal, JournalError};
use palanquin_engine::link::{LinkKind, LinkSpec};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A target and the place of the new copy beside it.
pub(super) struct Exchange {
    target: PathBuf,
    staging: PathBuf,
    /// Where the old target waits for its removal, if it could not be exchanged in one step.
    set_aside: PathBuf,
}

impl Exchange {
    /// The new copy is made beside the target, at a place of its own for each request.
    ///
    /// # Errors
    /// `UnsupportedCapability` for a target that is no directory: it has no place that could be exchanged.
    pub(super) fn of(target: &Address, wanted: &PalaceSource, source: &str, share: &Share) -> Result<Self> {
        let in_directory = wanted.backend.descriptor().capabilities.has(token::LOCAL_MODE);
        let Some(path) = target.path().filter(|_| in_directory) else {
            let detail = "--overwrite replaces a directory, which this target is not";
            return Err(Error::new(ErrorKind::UnsupportedCapability, detail).in_palace(target));
        };
        let request = share.apply(LinkSpec::new(LinkKind::Migrate, source, target.to_string()))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".palanquin-new-{}", request.id()));
        let staging = path.with_file_name(name);
        Ok(Self { target: path.to_owned(), set_aside: staging.with_added_extension("old"), staging })
    }

    /// Where the new copy is made.
    pub(super) fn staging(&self, backend: &str) -> Address {
        Address::directory(backend, &self.staging)
    }

    /// Puts the verified copy in the target's place in one step and removes what was there.
    pub(super) fn replace(&self) -> Result<()> {
        let Self { target, staging, set_aside } = self;
        let failed = |error: std::io::Error| {
            Error::io("the verified copy could not take the target's place", error).in_palace(target.display())
        };
        let take_place = || std::fs::rename(staging, target).and_then(|()| sync_parent(target)).map_err(failed);
        if !target.exists() {
            take_place()?;
            return remove(set_aside);
        }
        match renameat_with(CWD, staging, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => {
                sync_parent(target).map_err(failed)?;
                remove(staging)
            }
            // This file system cannot exchange: the old target is set aside first. Cut off in between, the same command
            // finds no target and a verified copy, and puts it in place.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                std::fs::rename(target, set_aside).map_err(failed)?;
                take_place()?;
                remove(set_aside)
            }
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// Takes up an earlier run that verified its copy and was cut off before, or while, it took its place. Whether there was
/// one; there is nothing more to copy then.
pub(super) async fn take_up(
    journal: &dyn Journal,
    spec: &LinkSpec,
    wanted: &PalaceSource,
    staged: &PalaceSource,
    exchange: &Exchange,
) -> Result<bool> {
    // Only a palace is replaced: a folder or file that is none may be anything.
    if let Err(error) = wanted.backend.open(&wanted.palace, OpenMode::Read.into()).await
        && error.kind() != ErrorKind::PalaceNotFound
    {
        return Err(error);
    }
    let claim = journal.claim(spec).await?;
    let (Some(plan), Some(ending)) = (claim.plan, claim.ending) else { return Ok(false) };
    let planned = plan.collections.first().map(|collection| collection.spec.incarnation.clone());
    if !ending.verified || planned.is_none() {
        // Not fit to take the target's place: it is made anew.
        remove(&exchange.staging)?;
        journal.forget(&claim.link, claim.epoch).await?;
        return Ok(false);
    }
    let in_place = match wanted.backend.open(&wanted.palace, OpenMode::Read.into()).await {
        Ok(palace) => palace.collections().await?.into_iter().any(|collection| collection.incarnation == planned),
        Err(error) if error.kind() == ErrorKind::PalaceNotFound => false,
        Err(error) => return Err(error),
    };
    if in_place {
        remove(&exchange.staging)?;
        remove(&exchange.set_aside)?;
    } else if exchange.staging.exists() {
        // Cut off in the middle of its removal, what lies there is the old target.
        let beside = staged.backend.open(&staged.palace, OpenMode::Read.into()).await?.collections().await?;
        let is_there = |made: &String| beside.iter().any(|collection| collection.incarnation.as_ref() == Some(made));
        if !plan.collections.iter().all(|planned| is_there(&planned.spec.incarnation)) {
            let detail = "the verified copy is neither in the target's place nor beside it";
            return Err(Error::new(ErrorKind::PalaceExists, detail).in_palace(exchange.staging.display()));
        }
        exchange.replace()?;
    } else {
        journal.forget(&claim.link, claim.epoch).await?;
        return Ok(false);
    }
    journal.forget(&claim.link, claim.epoch).await?;
    Ok(true)
}

/// Forgets the link, so that the next `--overwrite` makes a new copy.
pub(super) async fn forget(journal: &dyn Journal, spec: &LinkSpec) -> Result<(), JournalError> {
    let claim = journal.claim(spec).await?;
    journal.forget(&claim.link, claim.epoch).await
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("what the target held before could not be removed", error).in_palace(path.display()))
        }
        _ => Ok(()),
    }
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
