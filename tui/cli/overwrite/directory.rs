use palanquin_actors::PalaceSource;
use palanquin_engine::contract::{Error, PalaceRef, Result};
use palanquin_engine::link::LinkId;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A target's directory and that of the copy beside it.
pub(super) struct Directory {
    target: PathBuf,
    staging: PathBuf,
    /// Where the old target waits for its removal, if it could not be exchanged in one step.
    set_aside: PathBuf,
}

impl Directory {
    /// The directories, and the copy's as a palace.
    pub(super) fn of(target: &Path, wanted: &PalaceSource, request: &LinkId) -> (PalaceSource, Self) {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".palanquin-new-{request}"));
        let staging = target.with_file_name(name);
        let staged = PalaceSource {
            address: format!("{}:{}", wanted.backend.descriptor().name, staging.display()),
            palace: PalaceRef::local(&staging),
            backend: wanted.backend.clone(),
        };
        (staged, Self { target: target.to_owned(), set_aside: staging.with_added_extension("old"), staging })
    }

    /// Puts the old target back where an earlier run was cut off between setting it aside and putting the copy in its
    /// place: until a copy has been compared, the old one is what there is.
    pub(super) fn put_back(&self) -> Result<()> {
        if self.target.exists() || !self.set_aside.exists() {
            return Ok(());
        }
        let failed = |error| Error::io("what was set aside could not be put back", error);
        std::fs::rename(&self.set_aside, &self.target)
            .and_then(|()| sync_parent(&self.target))
            .map_err(|error| failed(error).in_palace(self.target.display()))
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
            // puts it back.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                std::fs::rename(target, set_aside).map_err(failed)?;
                take_place()?;
                remove(set_aside)
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Removes what lies beside the target: a copy that is not needed, or what is left of the old target.
    pub(super) fn clear(&self) -> Result<()> {
        remove(&self.staging)?;
        remove(&self.set_aside)
    }
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
