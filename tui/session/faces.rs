use crate::dashboard::{self, Ending};
use crate::output::{Cadence, Face, complain, json, plain};
use palanquin_actors::Command;
use palanquin_actors::board::Snapshot;
use std::io::Write;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// What an open face shows itself by.
pub(crate) struct Shown {
    face: Face,
    stop: CancellationToken,
    left: Option<oneshot::Receiver<Left>>,
}

/// A face that was left.
pub(super) struct Left {
    /// Why it ended, if not by the operator.
    pub(super) problem: Option<std::io::Error>,
}

impl Shown {
    pub(super) fn open(
        face: Face,
        title: &str,
        close_when_done: bool,
        board: watch::Receiver<Arc<Snapshot>>,
        commands: mpsc::UnboundedSender<Command>,
        runtime: &Runtime,
    ) -> Self {
        let stop = CancellationToken::new();
        let (leave, left) = oneshot::channel();
        match face {
            Face::Dashboard { read_only, ascii, color } => {
                let options = dashboard::Options { title: title.to_owned(), read_only, ascii, color, close_when_done };
                let thread = dashboard::spawn(options, board, commands, stop.clone());
                runtime.spawn_blocking(move || {
                    let ending = thread.join().unwrap_or_else(|_| Err(std::io::Error::other("it panicked")));
                    let _ = leave.send(match ending {
                        Ok(Ending::Quit | Ending::Finished | Ending::Stopped) => Left { problem: None },
                        Err(problem) => Left { problem: Some(problem) },
                    });
                });
            }
            Face::Plain | Face::Json => {
                // The sender is kept by the lines, so that the engine's ear stays open as long as they run.
                runtime.spawn(lines(face, board, stop.clone(), leave, commands));
            }
        }
        Self { face, stop, left: Some(left) }
    }

    pub(super) fn is_dashboard(&self) -> bool {
        matches!(self.face, Face::Dashboard { .. }) && self.left.is_some()
    }

    /// Waits until the operator, or the face itself, has left.
    pub(super) async fn left(&mut self) -> Left {
        match &mut self.left {
            Some(left) => {
                let answer = left.await;
                self.left = None;
                answer.unwrap_or(Left { problem: None })
            }
            None => std::future::pending().await,
        }
    }

    /// Says something to the operator where lines can be said.
    pub(super) fn say(&self, text: &str) {
        if !self.is_dashboard() {
            complain(text);
        }
    }

    /// Closes the face and gives the terminal back.
    pub(crate) fn close(&mut self, runtime: &Runtime) {
        self.stop.cancel();
        if self.left.is_some() {
            runtime.block_on(self.left());
        }
    }
}

/// Prints what happens, and how links stand at the cadence, until stopped.
async fn lines(
    face: Face,
    mut board: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
    leave: oneshot::Sender<Left>,
    _commands: mpsc::UnboundedSender<Command>,
) {
    let mut cadence = Cadence::default();
    let mut events_printed = 0;
    let mut next = Box::pin(tokio::time::sleep(cadence.next_pause()));
    loop {
        let (stopped, due) = tokio::select! {
            () = stop.cancelled() => (true, true),
            () = &mut next => (false, true),
            changed = board.changed() => (changed.is_err(), false),
        };
        let snapshot = board.borrow_and_update().clone();
        let mut out = String::new();
        for entry in snapshot.events.iter().filter(|entry| entry.number > events_printed) {
            out.push_str(&if face == Face::Json { json::event(entry) } else { plain::event(entry) });
            out.push('\n');
        }
        events_printed = snapshot.events.back().map_or(events_printed, |entry| entry.number);
        if due {
            for link in &snapshot.links {
                out.push_str(&if face == Face::Json { json::progress(link) } else { plain::progress(link) });
                out.push('\n');
            }
            next = Box::pin(tokio::time::sleep(cadence.next_pause()));
        }
        if stopped && face == Face::Json {
            for palace in &snapshot.palaces {
                out.push_str(&json::palace(palace));
                out.push('\n');
            }
        }
        // A reader that has gone is no reason to stop the copy.
        let _ = std::io::stdout().write_all(out.as_bytes()).and_then(|()| std::io::stdout().flush());
        if stopped {
            let _ = leave.send(Left { problem: None });
            return;
        }
    }
}
