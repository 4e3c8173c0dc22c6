//! MemPalace's lock on a palace: one file per palace in its own folder, not in the palace's. Its writers take it; its
//! readers do not. [`holder()`] tells who has it and disturbs nobody, [`freeze()`] takes it.

mod freeze;
mod holder;

#[cfg(test)]
pub(crate) use freeze::freeze_in;
pub(crate) use freeze::lock_in;
pub use freeze::{Freeze, freeze};
pub(crate) use holder::{holder, last_holder};

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The first byte is what is locked where locks are of bytes; who holds it is written after it.
const SENTINEL_BYTES: u64 = 1;
/// How much of the file is read.
const MAX_BYTES: u64 = 4096;

/// Where MemPalace keeps the lock of the palace in `folder`, for the user whose home is `home`.
fn lock_file(home: &Path, folder: &Path) -> io::Result<PathBuf> {
    let palace = std::fs::canonicalize(folder)?;
    let digest = Sha256::digest(palace.as_os_str().as_encoded_bytes());
    let mut key = String::new();
    for byte in &digest[..8] {
        let _ = write!(key, "{byte:02x}");
    }
    Ok(home.join(".mempalace").join("locks").join(format!("mine_palace_{key}.lock")))
}

/// Who holds a lock, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its process.
    pub(crate) pid: Option<u32>,
    /// Its command, as it wrote it.
    pub(crate) command: Option<String>,
}

impl Holder {
    /// What the last one to take the lock wrote into its file.
    fn recorded(file: &mut File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(SENTINEL_BYTES))?;
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        let (pid, command) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let Ok(pid) = pid.parse() else { return Ok(Self { pid: None, command: None }) };
        let command = command.trim();
        Ok(Self { pid: Some(pid), command: (!command.is_empty()).then(|| command.to_owned()) })
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pid, &self.command) {
            (Some(pid), Some(command)) => write!(f, "process {pid} ({command})"),
            (Some(pid), None) => write!(f, "process {pid}"),
            (None, _) => f.write_str("another writer, which does not say who it is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_a_palace_has_mempalaces_name() {
        // hashlib.sha256(b"/").hexdigest()[:16]
        let file = lock_file(Path::new("/home/ada"), Path::new("/usr/..")).unwrap();
        assert_eq!(file, Path::new("/home/ada/.mempalace/locks/mine_palace_8a5edab282632443.lock"));
    }

    #[test]
    fn who_wrote_the_lock_is_read_whatever_it_wrote() {
        let read = |bytes: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("lock");
            std::fs::write(&path, bytes).unwrap();
            Holder::recorded(&mut File::open(path).unwrap()).unwrap().to_string()
        };
        assert_eq!(read(b"\x0012 mempalace mine x"), "process 12 (mempalace mine x)");
        assert_eq!(read(b"\x0012"), "process 12");
        for bytes in [&b""[..], b"\0", b"\0x y", b"\0\xff\xfe", b"\0-1 x"] {
            assert_eq!(read(bytes), "another writer, which does not say who it is");
        }
    }
}
