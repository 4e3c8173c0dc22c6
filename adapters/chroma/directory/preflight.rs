use super::command;
use super::target::is_vacant;
use crate::connection::is_palace;
use crate::writer_lock;
use palanquin_engine::contract::Check;
use rustix::fs::{Access, access};
use std::path::Path;

/// What stands in the way of writing a directory.
pub(crate) fn preflight(folder: &Path) -> Vec<Check> {
    vec![command::preflight(), format(folder), permissions(folder), lock(folder)]
}

fn format(folder: &Path) -> Check {
    if is_palace(folder) {
        return Check::passes("format", "a Chroma palace is there");
    }
    match is_vacant(folder) {
        Ok(true) => Check::passes("format", "nothing is there; Chroma makes it"),
        Ok(false) => {
            let found = "the directory holds something, and no chroma.sqlite3";
            Check::fails("format", found, "Choose another target.")
        }
        Err(error) => Check::fails("format", error.what(), error.advice()),
    }
}

/// The palace's own folder may have yet to be made.
fn permissions(folder: &Path) -> Check {
    let there = folder.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(folder);
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::passes("permissions", format!("{} can be written", there.display())),
        Err(error) => {
            let found = format!("{} cannot be written: {error}", there.display());
            Check::fails("permissions", found, "Grant this user the right to write there, or choose another target.")
        }
    }
}

fn lock(folder: &Path) -> Check {
    match std::env::home_dir().and_then(|home| writer_lock::holder(&home, folder)) {
        None => Check::passes("lock", "nobody holds MemPalace's lock on it"),
        Some(holder) => {
            Check::fails("lock", format!("{holder} holds MemPalace's lock on it"), "Wait for it to end, or stop it.")
        }
    }
}
