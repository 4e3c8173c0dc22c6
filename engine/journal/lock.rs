use super::JournalError;
use crate::link::{LinkId, LinkSpec};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::time::SystemTime;

/// The right of one process to work on a link and to write to its target; given back when dropped, and by the operating
/// system when the process dies.
#[derive(Debug)]
pub struct LinkLock {
    _files: Vec<File>,
}

impl LinkLock {
    /// Takes the locks of the link, of its target and of further addresses below `state`, or says who holds them.
    ///
    /// # Errors
    /// `Locked` with the holder's process id.
    pub fn acquire(state: &Path, spec: &LinkSpec, further: &[&str]) -> Result<Self, JournalError> {
        let files: Result<_, _> =
            names(spec, further).into_iter().map(|(name, what)| lock(state, &name, || what)).collect();
        Ok(Self { _files: files? })
    }

    /// Who holds one of them now: what is held, and the process. Makes and changes nothing.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn holder(state: &Path, spec: &LinkSpec, further: &[&str]) -> Result<Option<(String, String)>, JournalError> {
        for (name, what) in names(spec, further) {
            let path = state.join("locks").join(name);
            let io = |source| JournalError::Io { path: path.clone(), source };
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(error)),
            };
            if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(io)?;
                return Ok(Some((what, pid.trim().to_owned())));
            }
        }
        Ok(None)
    }
}

/// Files that stand for the link and for each address, each with what it stands for.
fn names(spec: &LinkSpec, further: &[&str]) -> Vec<(String, String)> {
    let id = spec.id();
    let mut targets: Vec<&str> = further.iter().copied().chain([spec.target.as_str()]).collect();
    targets.sort_unstable();
    targets.dedup();
    let of_target = |target: &str| {
        let hash = blake3::hash(target.as_bytes()).to_hex();
        (format!("target-{}.lock", &hash[..12]), format!("target {target}"))
    };
    let link = (format!("link-{id}.lock"), format!("link {id}"));
    std::iter::once(link).chain(targets.into_iter().map(of_target)).collect()
}

/// When a link was last worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// When that began.
    pub began: SystemTime,
    /// The process that does it now.
    pub pid: Option<String>,
}

impl LastRun {
    /// What the link's lock below `state` tells; `None` if nobody has ever worked on it. The
    /// lock is held for a moment, in which a run that begins finds it taken.
    ///
    /// # Errors
    /// If the lock cannot be looked at.
    pub fn of(state: &Path, link: &LinkId) -> Result<Option<Self>, JournalError> {
        let path = state.join("locks").join(format!("link-{link}.lock"));
        let io = |source| JournalError::Io { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let began = file.metadata().and_then(|metadata| metadata.modified()).map_err(io)?;
        // Shared, so that two who look do not take each other for the one who works.
        let pid = match file.try_lock_shared() {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(io)?;
                Some(pid.trim().to_owned())
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        };
        Ok(Some(Self { began, pid }))
    }
}

fn lock(state: &Path, name: &str, what: impl FnOnce() -> String) -> Result<File, JournalError> {
    let folder = state.join("locks");
    let path = folder.join(name);
    let io = |source| JournalError::Io { path: path.clone(), source };
    std::fs::create_dir_all(&folder).map_err(io)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(io)?;
            return Err(JournalError::Locked { what: what(), pid: pid.trim().to_owned() });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LinkKind;

    fn spec(source: &str) -> LinkSpec {
        LinkSpec::new(LinkKind::Migrate, source, "t")
    }

    #[test]
    fn the_second_taker_learns_the_first_ones_process() {
        let state = tempfile::tempdir().unwrap();
        let held = LinkLock::acquire(state.path(), &spec("a"), &["u"]).unwrap();
        let staged = LinkSpec { target: "t.new".into(), ..spec("c") };
        let taken = LinkLock::acquire(state.path(), &staged, &["u"]);
        assert!(matches!(taken, Err(JournalError::Locked { .. })), "{taken:?}");
        for other in ["a", "b"] {
            match LinkLock::acquire(state.path(), &spec(other), &[]) {
                Err(JournalError::Locked { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
                other => panic!("{other:?}"),
            }
        }
        let ours = Some(std::process::id().to_string());
        let holder = |spec: &LinkSpec| LinkLock::holder(state.path(), spec, &[]).unwrap();
        assert_eq!(holder(&spec("b")).map(|(_, pid)| pid), ours);
        let id = spec("a").id();
        let pid = LastRun::of(state.path(), &id).unwrap().unwrap().pid;
        assert_eq!(pid, Some(std::process::id().to_string()));
        assert_eq!(LastRun::of(state.path(), &LinkId("none".into())).unwrap(), None);
        drop(held);
        assert_eq!(LastRun::of(state.path(), &id).unwrap().unwrap().pid, None);
        assert_eq!(holder(&spec("b")), None);
        LinkLock::acquire(state.path(), &spec("b"), &[]).unwrap();
    }
}
