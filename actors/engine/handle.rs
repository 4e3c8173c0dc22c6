use super::root::{Request, Root};
use crate::board::{Board, Snapshot};
use crate::command::Command;
use crate::link::{LinkEnd, LinkOptions};
use actix::{Actor, Addr};
use palanquin_engine::contract::{Backend, EmbedderIdentity, Error, LogEntry, PalaceRef};
use palanquin_engine::journal::{Journal, LinkLock};
use palanquin_engine::link::LinkSpec;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};

/// A palace to connect to.
#[derive(Clone)]
pub struct PalaceSource {
    /// Its address in full, as in the link's spec.
    pub address: String,
    /// What its backend opens.
    pub palace: PalaceRef,
    /// The backend.
    pub backend: Arc<dyn Backend>,
}

/// A palace that is to be replaced by the copy.
#[derive(Clone, Debug, Default)]
pub struct Replaced {
    /// Models recorded in it, by collection.
    pub models: BTreeMap<String, EmbedderIdentity>,
    /// Its migration log, which the copy's goes on from; empty where the exchange itself keeps it.
    pub log: Vec<LogEntry>,
}

/// A link to start.
pub struct StartLink {
    /// What it is.
    pub spec: LinkSpec,
    /// The palace at `spec.source`.
    pub source: PalaceSource,
    /// The palace at `spec.target`.
    pub target: PalaceSource,
    /// How it works.
    pub options: LinkOptions,
    /// What is known of the palace whose place the target takes once it is verified, if it is to take one's.
    pub replaces: Option<Replaced>,
    /// The right to work on it, held until the engine ends.
    pub lock: Option<LinkLock>,
}

/// The engine could not be started or has gone.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No thread for it.
    #[error("the engine's thread could not be started")]
    Thread(#[source] std::io::Error),
    /// It has ended.
    #[error("the engine has ended")]
    Gone,
    /// A backend speaks another version of the contract.
    #[error(transparent)]
    Backend(#[from] Error),
}

/// A running engine.
pub struct Engine {
    requests: mpsc::UnboundedSender<Request>,
    board: watch::Receiver<Arc<Snapshot>>,
    ends: mpsc::UnboundedReceiver<LinkEnd>,
    thread: JoinHandle<()>,
}

impl Engine {
    /// Starts the actor system on a thread of its own; drivers run on `runtime`, which must be a multi-thread one.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(journal: Arc<dyn Journal>, runtime: Arc<Runtime>) -> Result<Self, EngineError> {
        let (board, watcher) = Board::new();
        let (requests, requested) = mpsc::unbounded_channel();
        let (ended, ends) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("actors".to_owned())
            .spawn(move || {
                let system = actix_rt::System::with_tokio_rt(move || runtime);
                system.block_on(async move {
                    let (finished, wait) = oneshot::channel();
                    let root: Addr<Root> = Root::new(journal, board, ended, finished).start();
                    Root::serve(&root, requested);
                    // The root drops its end when every child has shut down.
                    let _ = wait.await;
                });
            })
            .map_err(EngineError::Thread)?;
        Ok(Self { requests, board: watcher, ends, thread })
    }

    /// Starts a link, and the actors of its palaces unless they run already.
    ///
    /// # Errors
    /// If a backend declares another major version of the contract (§9), or the engine has ended.
    pub fn start_link(&self, link: StartLink) -> Result<(), EngineError> {
        for end in [&link.source, &link.target] {
            end.backend.descriptor().check_spec_version()?;
        }
        self.requests.send(Request::StartLink(Box::new(link))).map_err(|_| EngineError::Gone)
    }

    /// Opens a palace for reading and shows it on the board, link or no link.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn show_palace(&self, palace: PalaceSource) -> Result<(), EngineError> {
        palace.backend.descriptor().check_spec_version()?;
        self.requests.send(Request::ShowPalace(Box::new(palace))).map_err(|_| EngineError::Gone)
    }

    /// What can be seen.
    pub fn board(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.board.clone()
    }

    /// Passes the operator's commands on for as long as the channel is open.
    pub fn obey(&self, mut commands: mpsc::UnboundedReceiver<Command>, runtime: &Runtime) {
        let requests = self.requests.clone();
        runtime.spawn(async move {
            while let Some(command) = commands.recv().await {
                if requests.send(Request::Command(command)).is_err() {
                    return;
                }
            }
        });
    }

    /// The next link that ends, or halts; `None` once the engine has ended.
    pub async fn next_end(&mut self) -> Option<LinkEnd> {
        self.ends.recv().await
    }

    /// Has every link stop at its next durable position. Each then ends, see [`next_end`](Self::next_end).
    pub fn drain(&self) {
        let _ = self.requests.send(Request::Command(Command::Drain));
    }

    #[cfg(test)]
    pub(super) fn request(&self, request: Request) {
        let _ = self.requests.send(request);
    }

    /// Ends the engine: links first, then palaces; waits for its thread. Links that were not drained are cut off.
    pub fn shut_down(self) {
        let _ = self.requests.send(Request::ShutDown);
        if self.thread.join().is_err() {
            tracing::error!("the engine's thread panicked");
        }
    }
}
