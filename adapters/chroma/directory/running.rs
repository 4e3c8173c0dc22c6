use super::supervised::Supervised;
use palanquin_engine::contract::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// The servers of this process, by the real paths of their directories: a directory has one at most.
static RUNNING: LazyLock<Mutex<HashMap<PathBuf, Known>>> = LazyLock::new(Mutex::default);

struct Known {
    /// Whoever has the directory open.
    shared: Weak<Running>,
    server: Arc<Mutex<Supervised>>,
}

/// A server that is shared by everybody in this process who has the directory open for writing. It ends with the last of
/// them.
pub(super) struct Running {
    server: Arc<Mutex<Supervised>>,
    path: PathBuf,
    url: String,
}

impl Running {
    /// The server over a directory that is there, started if none runs. Blocks.
    pub(super) fn over(folder: &Path) -> Result<Arc<Self>> {
        let path = std::fs::canonicalize(folder).map_err(|error| Error::io("the palace's directory", error))?;
        // Dropped after the turn is over: what ends takes a turn of its own.
        let mut dead = Vec::new();
        let mut running = turn();
        if let Some(known) = running.get(&path) {
            if let Some(there) = known.shared.upgrade() {
                if locked(&there.server).lives() {
                    return Ok(there);
                }
                dead.push(there);
            }
            // Whoever shared it last may still wait for the turn to end it.
            locked(&known.server).let_go();
        }
        let server = Supervised::start(&path)?;
        let url = server.url().to_owned();
        let server = Arc::new(Mutex::new(server));
        let started = Arc::new(Self { server: Arc::clone(&server), path: path.clone(), url });
        running.insert(path, Known { shared: Arc::downgrade(&started), server });
        Ok(started)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = turn();
        locked(&self.server).let_go();
        if running.get(&self.path).is_some_and(|known| Arc::ptr_eq(&known.server, &self.server)) {
            running.remove(&self.path);
        }
    }
}

/// One server at a time starts or ends: a second one over the same directory would damage it.
fn turn() -> MutexGuard<'static, HashMap<PathBuf, Known>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn locked(server: &Mutex<Supervised>) -> MutexGuard<'_, Supervised> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}
