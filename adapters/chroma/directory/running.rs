use super::supervised::Supervised;
use palanquin_engine::contract::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// The servers of this process, by the real paths of their directories: a directory has one at most.
static RUNNING: LazyLock<Mutex<HashMap<PathBuf, Weak<Running>>>> = LazyLock::new(Mutex::default);

/// A server that is shared by everybody in this process who has the directory open for writing. It ends with the last of
/// them.
pub(super) struct Running {
    server: Mutex<Supervised>,
    url: String,
}

impl Running {
    /// The server over a directory that is there, started if none runs. Blocks.
    pub(super) fn over(folder: &Path) -> Result<Arc<Self>> {
        let path = std::fs::canonicalize(folder).map_err(|error| Error::io("the palace's directory", error))?;
        // Dropped after the turn is over: what ends takes a turn of its own.
        let mut ended = Vec::new();
        // One at a time starts or ends: a second server over the same directory would damage it.
        let mut running = turn();
        running.retain(|_, server| server.strong_count() > 0);
        if let Some(there) = running.get(&path).and_then(Weak::upgrade) {
            if there.lives() {
                return Ok(there);
            }
            there.server().let_go();
            ended.push(there);
        }
        let server = Supervised::start(&path)?;
        let url = server.url().to_owned();
        let started = Arc::new(Self { server: Mutex::new(server), url });
        running.insert(path, Arc::downgrade(&started));
        Ok(started)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn lives(&self) -> bool {
        self.server().lives()
    }

    fn server(&self) -> MutexGuard<'_, Supervised> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _turn = turn();
        self.server().let_go();
    }
}

fn turn() -> MutexGuard<'static, HashMap<PathBuf, Weak<Running>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
