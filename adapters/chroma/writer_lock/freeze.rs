use super::{Holder, SENTINEL_BYTES, lock_file};
use crate::connection::check_is_palace;
use palanquin_engine::contract::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A palace whose writers wait: as long as this lives, MemPalace refuses to write to it, and says that this process
/// holds it, while it reads on. The end of the process ends it, however the process ends.
#[derive(Debug)]
#[must_use = "dropped, the palace thaws"]
pub struct Freeze {
    lock: File,
    path: PathBuf,
}

/// Takes MemPalace's own lock on the palace in `folder`, without waiting. The palace itself is not touched; the lock is
/// in the user's `~/.mempalace/locks`, and holds off the MemPalaces of this user on this machine.
///
/// # Errors
/// `InUse` if somebody holds it, and says who; `PalaceNotFound` or `NotAPalace` where no palace is.
pub fn freeze(folder: &Path) -> Result<Freeze> {
    let home = std::env::home_dir().ok_or_else(|| {
        let detail = "this user has no home directory, where MemPalace's locks are";
        Error::new(ErrorKind::PermissionDenied, detail).in_palace(folder.display())
    })?;
    freeze_in(&home, folder).map_err(|error| error.in_palace(folder.display()))
}

pub(crate) fn freeze_in(home: &Path, folder: &Path) -> Result<Freeze> {
    check_is_palace(folder)?;
    lock_in(home, folder)
}

/// Takes the lock of a directory, whatever is in it.
pub(crate) fn lock_in(home: &Path, folder: &Path) -> Result<Freeze> {
    let failed = |error| Error::io("MemPalace's lock cannot be taken", error);
    let path = lock_file(home, folder).map_err(failed)?;
    let mut lock = open(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = Holder::recorded(&mut lock).unwrap_or(Holder { pid: None, command: None });
            let detail = format!("MemPalace's lock on it is held by {holder}");
            return Err(Error::new(ErrorKind::InUse, detail));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // As MemPalace does, which goes without if it cannot be written.
    if let Err(error) = sign(&mut lock) {
        tracing::warn!(%error, "the lock does not say who holds it");
    }
    Ok(Freeze { lock, path })
}

/// Opens the lock's file and leaves what is in it: it names the one who holds it.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Writes who this is: "PID" and the first three arguments.
fn sign(lock: &mut File) -> io::Result<()> {
    let mut text = std::process::id().to_string();
    for argument in std::env::args_os().take(3) {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    lock.seek(SeekFrom::Start(SENTINEL_BYTES))?;
    lock.set_len(SENTINEL_BYTES + text.len() as u64)?;
    lock.write_all(text.as_bytes())?;
    lock.flush()
}

impl Freeze {
    /// The locked file, for a process that shall hold the lock as long as it lives.
    pub(crate) fn shared(&self) -> io::Result<File> {
        self.lock.try_clone()
    }

    /// The file that is locked.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Freeze {
    fn drop(&mut self) {
        // Closing would do, but for processes that were forked meanwhile.
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::fixture::Fixture;
    use crate::writer_lock::holder;

    #[test]
    fn a_frozen_palace_is_held_by_this_process_until_it_thaws() {
        let (fixture, home) = (Fixture::flushed(), tempfile::tempdir().unwrap());
        assert_eq!(holder(home.path(), &fixture.path), None);
        let freeze = freeze_in(home.path(), &fixture.path).unwrap();
        let held = holder(home.path(), &fixture.path);
        if cfg!(target_os = "linux") {
            assert_eq!(held.as_ref().and_then(|holder| holder.pid), Some(std::process::id()));
        }
        let bytes = std::fs::read(freeze.path()).unwrap();
        let argument = std::env::args().next().unwrap();
        assert!(bytes.starts_with(format!("\0{} {argument}", std::process::id()).as_bytes()));

        let error = freeze_in(home.path(), &fixture.path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
        assert!(error.to_string().contains(&format!("held by process {} ({argument}", std::process::id())), "{error}");
        drop(freeze);
        assert_eq!(holder(home.path(), &fixture.path), None);
        drop(freeze_in(home.path(), &fixture.path).unwrap());
    }

    #[test]
    fn only_a_palace_is_frozen() {
        let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let error = freeze_in(home.path(), folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PalaceNotFound, "{error}");
        assert!(!home.path().join(".mempalace").exists());
    }

    #[test]
    fn freezing_leaves_the_palace_as_it_was() {
        let (fixture, home) = (Fixture::flushed(), tempfile::tempdir().unwrap());
        let names =
            || std::fs::read_dir(&fixture.path).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        let before = names();
        let freeze = freeze_in(home.path(), &fixture.path).unwrap();
        assert_eq!(names(), before);
        drop(freeze);
    }
}
