//! What of a palace's place stands in the way of a copy (`Backend::preflight`). Nothing is written, no lock is taken.

use crate::home::directory::{self, Standing};
use palanquin_engine::contract::{Check, Purpose};
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Less free space than this is none.
const LITTLE: u64 = 64 << 20;

/// Checks a directory. Blocks.
pub(crate) fn of_directory(path: &Path, purpose: Purpose) -> Vec<Check> {
    let mut checks = vec![format(path, purpose), permissions(path, purpose)];
    if purpose == Purpose::Target {
        checks.extend(disk(path));
    }
    checks.push(lock(path));
    checks
}

/// Which layout lies there.
fn format(path: &Path, purpose: Purpose) -> Check {
    match (directory::look(path), purpose) {
        (Ok(Standing::Palace), _) => Check::passes("format", "Lance tables of rows, one per collection"),
        (Ok(Standing::Vacant), Purpose::Target) => {
            Check::passes("format", "nothing is there; it is made in our layout")
        }
        (Ok(Standing::Vacant), _) => Check::fails("format", "no Lance palace is there", "Check the path."),
        (Ok(Standing::Code(_)), Purpose::Target) => {
            Check::fails("format", "a palace of mempalace-code is there, which is only read", "Choose another target.")
        }
        (Ok(Standing::Code(_)), _) => Check::passes("format", "a table of mempalace-code, which is read as it is"),
        (Ok(Standing::Other(found)), _) => {
            Check::fails("format", format!("not a Lance palace: {found}"), "Check that this is the palace you meant.")
        }
        (Err(error), _) => Check::fails("format", format!("it cannot be looked at: {error}"), "Check the path."),
    }
}

/// The nearest folder that is there: the palace's own may have yet to be made.
fn nearest(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(path).to_owned()
}

fn permissions(path: &Path, purpose: Purpose) -> Check {
    let (folder, wanted, what) = match purpose {
        Purpose::Target => (nearest(path), Access::WRITE_OK | Access::EXEC_OK, "written"),
        Purpose::Source | Purpose::Followed => (path.to_owned(), Access::READ_OK | Access::EXEC_OK, "read"),
    };
    let read_only = purpose == Purpose::Target
        && statvfs(&folder).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY));
    if read_only {
        let found = format!("{} is on a file system that is mounted read-only", folder.display());
        return Check::fails("permissions", found, "Mount it to be written, or choose another target.");
    }
    match access(&folder, wanted) {
        Ok(()) => Check::passes("permissions", format!("{} can be {what}", folder.display())),
        Err(error) => {
            let found = format!("{} cannot be {what}: {error}", folder.display());
            Check::fails("permissions", found, "Grant the access, or choose another place.")
        }
    }
}

/// How much is free. How much is needed is known to whoever plans the copy.
fn disk(path: &Path) -> Option<Check> {
    let found = statvfs(nearest(path)).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let told = format!("{} MiB free", free >> 20);
    Some(if free < LITTLE {
        Check::fails("disk", told, "Make space, or choose another disk.")
    } else {
        Check::passes("disk", told)
    })
}

/// Whether maintenance, or the making of a collection, is under way, and in which process.
fn lock(path: &Path) -> Check {
    let locked: Vec<String> = lockable(path)
        .into_iter()
        .filter_map(|(file, what)| {
            let holder = holder(&file)?;
            Some(format!("{what} is under way in process {holder}"))
        })
        .collect();
    if locked.is_empty() {
        return Check::passes("lock", "nobody holds a lock of the palace");
    }
    Check::warns("lock", locked.join("; "), "Wait for it to end: the copy waits for it where it must.")
}

/// What can be locked there: the directory itself and the files of maintenance.
fn lockable(path: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![(path.to_owned(), "the making of a collection".to_owned())];
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    found.extend(entries.filter_map(|entry| {
        let kind = directory::maintenance_of_lock(&entry.file_name().to_string_lossy())?.to_owned();
        Some((entry.path(), kind))
    }));
    found
}

/// The process that holds a lock on the file, by the kernel's own list; taking the lock to find out would get into the
/// way of whoever wants it.
fn holder(file: &Path) -> Option<String> {
    let inode = fs::metadata(file).ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| holder_in(line, &inode))
}

/// `1: FLOCK  ADVISORY  WRITE 4711 08:02:131 0 EOF`; a waiting one has `->` after the number.
fn holder_in(line: &str, inode: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, _, process, place, ..] = fields.as_slice() else { return None };
    (place.rsplit(':').next() == Some(inode)).then(|| (*process).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::contract::Standing as Stands;
    use std::os::unix::fs::PermissionsExt;

    fn stands(checks: &[Check], name: &str) -> Stands {
        checks.iter().find(|check| check.name == name).map(|check| check.standing).unwrap()
    }

    #[test]
    fn a_new_target_passes_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let checks = of_directory(&folder.path().join("new/palace"), Purpose::Target);
        assert!(checks.iter().all(|check| check.standing == Stands::Passes), "{checks:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(stands(&of_directory(&folder.path().join("new"), Purpose::Source), "format"), Stands::Fails);
    }

    #[test]
    fn what_is_no_palace_and_what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("chroma.sqlite3"), "").unwrap();
        assert_eq!(stands(&of_directory(folder.path(), Purpose::Target), "format"), Stands::Fails);
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
        let root_may = fs::write(locked.join("probe"), "").is_ok();
        let stand = stands(&of_directory(&locked.join("palace"), Purpose::Target), "permissions");
        assert_eq!(stand, if root_may { Stands::Passes } else { Stands::Fails });
    }

    #[test]
    fn whoever_holds_a_lock_is_named_by_process() {
        let folder = tempfile::tempdir().unwrap();
        let held = directory::try_lock_maintenance(folder.path(), "compact").unwrap().unwrap();
        let check = lock(folder.path());
        assert_eq!(check.standing, Stands::Warns);
        assert!(check.found.contains("compact is under way"), "{}", check.found);
        assert!(check.found.contains(&std::process::id().to_string()), "{}", check.found);
        drop(held);
        assert_eq!(lock(folder.path()).standing, Stands::Passes);
    }

    #[test]
    fn a_lock_is_told_from_a_wait_for_one() {
        assert_eq!(holder_in("3: FLOCK  ADVISORY  WRITE 4711 08:02:131 0 EOF", "131").as_deref(), Some("4711"));
        for line in
            ["3: -> FLOCK  ADVISORY  WRITE 4711 08:02:131 0 EOF", "3: POSIX  ADVISORY  READ 1 08:02:131 0 EOF", ""]
        {
            assert_eq!(holder_in(line, "131"), None, "{line}");
        }
    }
}
