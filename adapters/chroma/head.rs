//! The first bytes of a database file, read beside SQLite without taking its locks away.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Files that were looked into, by device and inode.
///
/// They stay open: as soon as a process closes a file, whichever handle it is, it loses every lock that it has on that
/// file, SQLite's too. A reader under way elsewhere in this process would read on without one.
static OPEN: LazyLock<Mutex<ByInode>> = LazyLock::new(Mutex::default);

type ByInode = HashMap<(u64, u64), Vec<File>>;

/// Reads up to `bytes.len()` first bytes of a file; how many there were.
pub(crate) fn read_head(path: &Path, bytes: &mut [u8]) -> io::Result<usize> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let meta = std::fs::metadata(path)?;
    let files = match open.get(&(meta.dev(), meta.ino())) {
        Some(files) => files,
        None => {
            // Nobody finds those again that were removed.
            open.retain(|_, files| files.iter().any(|file| file.metadata().is_ok_and(|meta| meta.nlink() > 0)));
            let file = File::open(path)?;
            let meta = file.metadata()?;
            let files = open.entry((meta.dev(), meta.ino())).or_default();
            files.push(file);
            files
        }
    };
    let mut read = 0;
    if let Some(file) = files.first() {
        while read < bytes.len() {
            match file.read_at(&mut bytes[read..], read as u64)? {
                0 => break,
                more => read += more,
            }
        }
    }
    Ok(read)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::connection::{Database, is_palace};
    use crate::read::fixture::{Fixture, database_of};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn looking_at_a_palace_leaves_the_locks_of_those_who_read_it() {
        let fixture = Fixture::flushed();
        let inode = std::fs::metadata(database_of(&fixture.path)).unwrap().ino();
        let locked = || {
            let listed = std::fs::read_to_string("/proc/locks").unwrap();
            listed.lines().any(|line| line.contains("POSIX") && line.contains(&format!(":{inode} ")))
        };
        let connection = Database::find(&fixture.path, "p".into()).unwrap().connect().unwrap();
        assert!(!locked());
        connection.execute_batch("BEGIN; SELECT count(*) FROM embeddings").unwrap();
        assert!(locked());
        assert!(is_palace(&fixture.path));
        assert!(locked());
    }
}
