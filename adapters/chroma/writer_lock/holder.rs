use super::{Holder, lock_file};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
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
    // Who forked after locking is not who is listed; what was written is then of use all the same.
    Some(written(&path).filter(|holder| holder.pid.is_some()).unwrap_or(Holder { pid: Some(pid), command: None }))
}

/// Who wrote that it took MemPalace's lock on a palace, be it held or not.
pub(crate) fn last_holder(home: &Path, folder: &Path) -> Option<Holder> {
    written(&lock_file(home, folder).ok()?)
}

fn written(path: &Path) -> Option<Holder> {
    File::open(path).and_then(|mut file| Holder::recorded(&mut file)).ok()
}

impl Holder {
    /// Whether its process has ended: what still holds its lock is what that one has left. The system's list of locks does
    /// not help here, it leaves out those of ended processes wherever processes are numbered anew, as in a container.
    pub(crate) fn is_gone(&self) -> bool {
        let Some(pid) = self.pid.and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) else { return false };
        test_kill_process(pid) == Err(Errno::SRCH) || has_only_its_number_left(pid)
    }
}

/// Whether the process has ended, and nobody has asked for its exit code yet.
fn has_only_its_number_left(pid: Pid) -> bool {
    // "12 (name) Z 1 …", where the name may be anything.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
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
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    #[test]
    fn only_an_exclusive_lock_that_is_held_counts() {
        let listed = "1: FLOCK  ADVISORY  READ 1 fe:00:7 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 2 fe:00:7 0 EOF\n\
                      3: POSIX  ADVISORY  WRITE 3 fe:00:7 0 EOF\n4: FLOCK  ADVISORY  WRITE 4 fe:00:77 0 EOF\n";
        assert_eq!(holding(listed, 7), None);
        assert_eq!(holding(&format!("{listed}5: FLOCK  ADVISORY  WRITE 5 fe:00:7 0 EOF\n"), 7), Some(5));
    }

    #[test]
    fn a_process_that_has_ended_is_gone_whether_or_not_its_parent_has_noticed() {
        let holder = |pid| Holder { pid, command: None };
        assert!(!holder(Some(std::process::id())).is_gone());
        assert!(!holder(None).is_gone() && !holder(Some(0)).is_gone() && !holder(Some(u32::MAX)).is_gone());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&child)), ended).unwrap();
        assert!(!cfg!(target_os = "linux") || holder(Some(pid)).is_gone(), "nobody has waited for it");
        child.wait().unwrap();
        assert!(holder(Some(pid)).is_gone());
    }
}
