//! The log: a file in the state directory, never the terminal. It holds transitions and failures, no row content.

use std::fs::{File, OpenOptions};
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// A log larger than this is set aside as `palanquin.log.1` at the next start.
const ROTATE_AT: u64 = 10 << 20;

/// Logs to `palanquin.log` in the state directory from now on; `PALANQUIN_LOG` filters as `tracing` does.
pub(crate) fn start(state: &Path) -> std::io::Result<()> {
    let file = open(state)?;
    let filter = EnvFilter::try_from_env("PALANQUIN_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,palanquin=info,palanquin_actors=info"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(file).with_ansi(false).try_init();
    Ok(())
}

fn open(state: &Path) -> std::io::Result<File> {
    let path = state.join("palanquin.log");
    if std::fs::metadata(&path).is_ok_and(|log| log.len() > ROTATE_AT) {
        std::fs::rename(&path, state.join("palanquin.log.1"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}
