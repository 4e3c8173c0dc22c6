use palanquin_actors::PalaceSource;
use palanquin_engine::contract::{Backend, Error, PalaceRef, Result};
use palanquin_engine::link::LinkId;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A target's directory and that of the copy beside it.
pub(super) struct Directory {
    target: PathBuf,
    staging: PathBuf,
    /// Where the old target waits for its removal, if it could not be exchanged in one step.
    set_aside: PathBuf,
    /// Tells what is the store's of what lies in them.
    backend: Arc<dyn Backend>,
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
        let set_aside = staging.with_added_extension("old");
        (staged, Self { target: target.to_owned(), set_aside, staging, backend: wanted.backend.clone() })
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
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

    /// Puts the verified copy in the target's place in one step and removes what the store had there; what is nobody's of the
    /// store's stays in the directory.
    pub(super) fn replace(&self) -> Result<()> {
        let Self { target, staging, set_aside, .. } = self;
        let failed = |error: std::io::Error| {
            Error::io("the verified copy could not take the target's place", error).in_palace(target.display())
        };
        let take_place = || std::fs::rename(staging, target).and_then(|()| sync_parent(target)).map_err(failed);
        if !target.exists() {
            take_place()?;
            return self.retire(set_aside);
        }
        match renameat_with(CWD, staging, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => {
                sync_parent(target).map_err(failed)?;
                self.retire(staging)
            }
            // This file system cannot exchange: the old target is set aside first. Cut off in between, the same command
            // puts it back.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                std::fs::rename(target, set_aside).map_err(failed)?;
                take_place()?;
                self.retire(set_aside)
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Removes what lies beside the target: a copy that is not needed, or what is left of the old target.
    pub(super) fn clear(&self) -> Result<()> {
        self.retire(&self.staging)?;
        self.retire(&self.set_aside)
    }

    /// Removes a directory that is no longer the target, once everything in it that is not the store's is in the target. Cut
    /// off in between, the next run goes on.
    fn retire(&self, old: &Path) -> Result<()> {
        let failed =
            |error| Error::io("what the target held before could not be removed", error).in_palace(old.display());
        let entries = match std::fs::read_dir(old) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        let mut kept = 0;
        for entry in entries {
            let entry = entry.map_err(failed)?.path();
            if self.backend.owns(&entry) {
                continue;
            }
            std::fs::rename(&entry, self.free_place_for(&entry)).map_err(failed)?;
            kept += 1;
        }
        if kept > 0 {
            File::open(&self.target).and_then(|target| target.sync_all()).map_err(failed)?;
            tracing::info!(kept, "entries of the replaced directory that are not the store's were kept");
        }
        std::fs::remove_dir_all(old).map_err(failed)
    }

    /// Where in the target an entry of the old directory goes: by its own name, and by another where that is taken.
    fn free_place_for(&self, entry: &Path) -> PathBuf {
        let own = self.target.join(entry.file_name().unwrap_or_default());
        let numbered = (1..).map(|number| own.with_added_extension(format!("old-{number}")));
        let is_free = |place: &PathBuf| place.symlink_metadata().is_err();
        std::iter::once(own.clone()).chain(numbered).find(is_free).unwrap_or(own)
    }
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
