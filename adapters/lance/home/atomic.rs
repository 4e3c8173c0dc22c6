use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The contents of a file in the palace; `None` without it.
pub(super) fn read(palace: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    match fs::read(palace.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file in the palace, with mode 0600: whoever reads it finds the old contents or the new. Durable when it
/// returns.
pub(super) fn replace(palace: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let temporary = palace.join(temporary_name(name));
    let replaced = write_and_rename(&temporary, &palace.join(name), text).and_then(|()| File::open(palace)?.sync_all());
    if replaced.is_err() {
        // What is left of a failed attempt; the error to report is the attempt's.
        drop(fs::remove_file(&temporary));
    }
    replaced
}

fn write_and_rename(temporary: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

/// What a file is called before it takes the place of another; left behind by a crash only.
pub(super) fn temporary_name(name: &str) -> String {
    format!(".{}.{}", name.trim_start_matches('.'), uuid::Uuid::new_v4())
}

/// Whether it is such a name.
pub(super) fn is_temporary(file: &str, name: &str) -> bool {
    file.strip_prefix('.')
        .and_then(|file| file.strip_prefix(name.trim_start_matches('.')))
        .is_some_and(|rest| rest.starts_with('.'))
}
