use super::{Holder, lock_file};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where Linux lists the locks that are held.
const HELD: &str = "/proc/locks";

/// Who holds MemPalace's lock on a palace; `None` if nobody does, or if the system does not say.
///
/// The lock is not tried: a writer that comes at that very moment would be refused. The system is asked instead, which
/// does not tell of processes in other containers.
pub(crate) fn holder(home: &Path, folder: &Path) -> Option<Holder> {
    let path = lock_file(home, folder).ok()?;
    let inode = std::fs::metadata(&path).ok()?.ino();
    let pid = holding(&std::fs::read_to_string(HELD).ok()?, inode)?;
    let recorded = File::open(&path).and_then(|mut file| Holder::recorded(&mut file)).ok();
    // Who forked after locking is not who is listed; what was written is then of use all the same.
    Some(recorded.filter(|holder| holder.pid.is_some()).unwrap_or(Holder { pid: Some(pid), command: None }))
}

/// The process that has an exclusive lock on the file with that inode.
fn holding(listed: &str, inode: u64) -> Option<u32> {
    listed.lines().find_map(|line| {
        // "1: FLOCK  ADVISORY  WRITE 12 fe:00:34 0 EOF"; those who wait have "->" after the number.
        let mut fields = line.split_ascii_whitespace().skip(1);
        let [Some("FLOCK"), _, Some("WRITE"), pid, file] = [(); 5].map(|()| fields.next()) else { return None };
        let of = file?.rsplit(':').next()?.parse::<u64>().ok()?;
        (of == inode).then(|| pid?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exclusive_lock_that_is_held_counts() {
        let listed = "1: FLOCK  ADVISORY  READ 1 fe:00:7 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 2 fe:00:7 0 EOF\n\
                      3: POSIX  ADVISORY  WRITE 3 fe:00:7 0 EOF\n4: FLOCK  ADVISORY  WRITE 4 fe:00:77 0 EOF\n";
        assert_eq!(holding(listed, 7), None);
        assert_eq!(holding(&format!("{listed}5: FLOCK  ADVISORY  WRITE 5 fe:00:7 0 EOF\n"), 7), Some(5));
    }
}
