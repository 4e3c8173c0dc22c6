//! The dashboard: shows what the engine publishes and sends what the operator asks.
//!
//! A thread of its own ([`run`]) receives keys, [`Snapshot`]s and the time, and turns each into a message; `update`
//! makes the next [`model`] of it and says what is to be done outside; `view` draws the model, on change and at most
//! fifteen times a second. `keys` is the one table of keys, `acts` what they do, `theme` what states look like,
//! `text` how foreign text is written (figures: [`mod@format`]), `layout` what stands where. The engine never waits
//! for the screen, and the screen never holds anything that the engine needs.

mod acts;
mod keys;
mod layout;
mod model;
mod run;
mod signals;
mod terminal;
mod text;
mod theme;
mod update;
mod view;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use crate::format;
use palanquin_actors::Command;
use palanquin_actors::board::Snapshot;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How the dashboard looks and behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// What runs, for the header.
    pub(crate) title: String,
    /// Nothing is sent to the engine.
    pub(crate) read_only: bool,
    /// Only ASCII is drawn, but for what comes from outside.
    pub(crate) ascii: bool,
    /// Colours are used.
    pub(crate) color: bool,
    /// It ends by itself once every link is done.
    pub(crate) close_when_done: bool,
}

/// Why the dashboard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The operator asked to leave; he confirmed if links were working, and they have been told to drain.
    Quit,
    /// Every link is done, and it was to close then.
    Finished,
    /// The program cancelled `stop`, or the terminal hung up.
    Stopped,
}

/// Shows the dashboard on a thread of its own until it ends. The terminal is given back whatever happens, a panic of
/// that thread included; a panic of any other thread leaves the screen as it is.
///
/// # Errors
/// If the terminal cannot be read or written; the thread's result tells.
pub(crate) fn spawn(
    options: Options,
    board: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::UnboundedSender<Command>,
    stop: CancellationToken,
) -> JoinHandle<io::Result<Ending>> {
    std::thread::spawn(move || run::until_it_ends(options, board, commands, &stop))
}
